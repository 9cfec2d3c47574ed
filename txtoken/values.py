"""What a value of the configuration may be: converters from YAML nodes, each for one kind. Knows no key's name.

A converter takes a node and not what YAML makes of it, so that `encKey: 1e5…` stays the text that was written, and so
that what is wrong can be told with its line. It returns a value or raises `Wrong`.
"""

from __future__ import annotations

import ipaddress
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import orjson
import yaml

KIB: Final = 1024
MIB: Final = 1024 * KIB
DAY_S: Final = 24 * 3600
SECRET_FILE_BYTES_MAX: Final = 4 * KIB
WORKERS_MAX: Final = 256
TREE_DEPTH_MAX: Final = 100
TREE_NODES_MAX: Final = 10_000  # aliases count each time, so that a small file cannot become a huge token
TREE_TEXT_PER_VALUE: Final = 100  # characters; a longer text counts as several values, for the same reason
RESERVED_ROUTES: Final = ("/livez", "/readyz", "/healthz")

# Another tag asks for something that nobody here does: decoding base64, decrypting, looking up a variable.
TEXT_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)
MERGE_TAG: Final = "tag:yaml.org,2002:merge"  # the key `<<`
NULL_TAG: Final = "tag:yaml.org,2002:null"

# What an HMAC must not use (RFC 8725 §2.1), as a PEM, SSH or JWK key: whoever knows its public half could sign.
OTHER_KEY: Final = re.compile(
    r"ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp(?:256|384|521)|(?s:.*)----[- ]BEGIN [A-Z0-9 ]+[- ]----"
    r'|\ufeff?\s*[\[{](?s:.*)"kty"\s*:'
)

# What txtoken sets itself, what belongs to one connection (RFC 9110 §7.6.1), and what holds the client's credentials.
NEVER_FORWARDED: Final = frozenset(
    (
        *("accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "expect"),
        *("host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent"),
    )
)


class Wrong(Exception):
    """What is wrong with one value. `node` says where, when not at the value itself."""

    def __init__(self, text: str, node: yaml.Node | None = None) -> None:
        super().__init__(text)
        self.node = node


# Converters: a node becomes a value, or raises Wrong


def read_text(node: yaml.Node) -> str:
    """Any one value, as it was written."""
    if not isinstance(node, yaml.ScalarNode):
        raise Wrong("has to be one value, not a list or a section")
    if node.tag not in TEXT_TAGS:
        raise Wrong("has a YAML tag (!…) that has no meaning here")
    text = str(node.value)
    if printable(text) != text:
        raise Wrong("holds characters that UTF-8 cannot write")
    return text


def whole_number(low: int, high: int) -> Callable[[yaml.Node], int]:
    """A whole number, `low` and `high` included."""

    def read(node: yaml.Node) -> int:
        text = read_text(node)
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or not low <= int(text) <= high:
            raise Wrong(f"has to be a whole number from {low} to {high}")
        return int(text)

    return read


def read_workers(node: yaml.Node) -> int:
    """A number of processes; `auto` is one for each CPU that this one may use."""
    if read_text(node) == "auto":
        return len(os.sched_getaffinity(0))
    try:
        return whole_number(1, WORKERS_MAX)(node)
    except Wrong:
        raise Wrong(f"has to be a whole number from 1 to {WORKERS_MAX}, or auto") from None


def size(low: int, high: int) -> Callable[[yaml.Node], int]:
    """A number of bytes: `4096`, `64KiB`, `1MiB`."""

    def read(node: yaml.Node) -> int:
        match = re.fullmatch(r"([0-9]{1,18}) ?(KiB|MiB|)", read_text(node))
        value = int(match[1]) * {"": 1, "KiB": KIB, "MiB": MIB}[match[2]] if match else -1
        if not low <= value <= high:
            raise Wrong(f"has to be a number of bytes from {low} to {high}, or one with KiB or MiB")
        return value

    return read


def duration(low: float, high: float) -> Callable[[yaml.Node], float]:
    """A time in seconds: `5`, `500ms`, `5s`, `1m`."""

    def read(node: yaml.Node) -> float:
        match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(ms|s|m|)", read_text(node))
        value = float(match[1]) * {"": 1, "s": 1, "ms": 0.001, "m": 60}[match[2]] if match else -1
        if not low <= value <= high:
            raise Wrong(f"has to be a time from {low:g} to {high:g} seconds: 5, 500ms, 5s, 1m")
        return value

    return read


def read_period(node: yaml.Node) -> float | None:
    """How often something is done, in seconds; `off` is never."""
    if read_text(node).lower() in ("off", "false"):
        return None
    try:
        return duration(0.1, DAY_S)(node)
    except Wrong as wrong:
        raise Wrong(f"{wrong}, or off") from None


def read_hours(node: yaml.Node) -> int:
    """A number of hours, fractions allowed, as whole seconds."""
    match = re.fullmatch(r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,2})?|[0-9]+\.", read_text(node))
    hours = float(match[0]) if match else 0.0
    if not 0 < hours <= 100 * 366 * 24:
        raise Wrong("has to be a number of hours above 0, fractions allowed, and at most a hundred years")
    return max(1, round(hours * 3600))


def read_flag(node: yaml.Node) -> bool:
    """`true` or `false`, as YAML or as text."""
    text = read_text(node).lower()
    if text not in ("true", "false"):
        raise Wrong("has to be true or false")
    return text == "true"


def choice(*choices: str) -> Callable[[yaml.Node], str]:
    """One of a few words."""

    def read(node: yaml.Node) -> str:
        text = read_text(node)
        if text not in choices:
            raise Wrong(f"has to be {' or '.join(choices)}")
        return text

    return read


def list_of(read_item: Callable[[yaml.Node], str]) -> Callable[[yaml.Node], tuple[str, ...]]:
    """A list, or one value; in the environment its items are separated by commas."""

    def read(node: yaml.Node) -> tuple[str, ...]:
        if isinstance(node, yaml.SequenceNode):
            items = node.value
            if node.tag != "tag:yaml.org,2002:seq":
                raise Wrong("has a YAML tag (!…) that has no meaning here")
            if any(item.tag == NULL_TAG for item in items):
                raise Wrong("holds an item without a value")
        else:
            parts = [part.strip() for part in read_text(node).split(",")]
            items = [scalar(part, node) for part in parts if part]
        return tuple(read_item(item) for item in items)

    return read


def read_address(node: yaml.Node) -> str:
    """An IP address, or `localhost`."""
    text = read_text(node)
    if text.startswith("unix:"):
        raise Wrong("listening on a Unix socket is not supported yet: give an IP address", node)
    if text != "localhost":
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise Wrong("has to be an IP address like 0.0.0.0, 127.0.0.1 or ::, or localhost", node) from None
    return text


def read_addresses(node: yaml.Node) -> tuple[str, ...]:
    """One address or a list of them, each once."""
    addresses = list_of(read_address)(node)
    if not addresses:
        raise Wrong("names no address: leave it out to listen on 0.0.0.0")
    if len(set(addresses)) != len(addresses):
        raise Wrong("names an address twice")
    return addresses


def read_proxies(node: yaml.Node) -> str:
    """A network whose addresses are proxies, as `10.0.0.0/8`; one address is a network too. `unix` is all Unix sockets."""
    text = read_text(node)
    if text == "unix":
        return text
    wanted = "has to be a list of networks like 10.0.0.0/8 or fd00::/8, addresses, or unix"
    if "%" in text:
        raise Wrong(f"{wanted}, without zones", node)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Wrong(wanted, node) from None
    if "/" in text and ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        raise Wrong(f"{text} names an address within a network: did you mean {network}?", node)
    return str(network)


def read_origin(node: yaml.Node) -> str:
    """An origin as browsers send it (RFC 6454 §6.1): `https://app.example.com`; or `*`."""
    text = read_text(node)
    if text == "*":
        return text
    example = "an origin as browsers send it, like https://app.example.com or http://127.0.0.1:3000"
    if text == "null":
        raise Wrong("null is the origin of every page that hides its own, an attacker's too", node)
    match = re.fullmatch(
        r"([A-Za-z][A-Za-z0-9+.-]*)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?(/?)", text
    )
    if match is None or int(match[3] or 0) > 65535:
        raise Wrong(f"has to be {example}, without a path (punycode for other letters), or * for all", node)
    scheme, host, port = match[1].lower(), match[2].lower(), match[3]
    as_sent = f"{scheme}://{host}"
    if port is not None and int(port) != {"http": 80, "https": 443}.get(scheme):
        as_sent += f":{int(port)}"
    if text != as_sent:
        raise Wrong(f"is never sent in this form: did you mean {as_sent}?", node)
    return text


def read_status_map(node: yaml.Node) -> str | dict[str, str]:
    """`original`, `gateway`, or a map: a section, or a text that holds JSON. What is told to clients for what the remote did."""
    if not isinstance(node, yaml.MappingNode):
        text = read_text(node)
        if text in ("original", "gateway"):
            return text
        try:
            members = orjson.loads(text)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            members = None
        if not isinstance(members, dict):
            raise Wrong('has to be original, gateway, or a map like {"401": "pass", "4xx": 400, "timeout": 504}')
        return {_failure(name): _told_status(name, str(told)) for name, told in members.items()}
    status_map = {}
    for key, value in _pairs(node):
        try:
            name = _failure(read_text(key))
            status_map[name] = _told_status(name, read_text(value))
        except Wrong as wrong:
            raise Wrong(str(wrong), key) from None
    return status_map


def _failure(name: str) -> str:
    if not re.fullmatch(r"[2-5]xx|[2-5][0-9][0-9]|timeout|unreachable|invalid", name):
        raise Wrong("holds a key that is no status (401), class (4xx), timeout, unreachable or invalid")
    if name == "200":
        raise Wrong("cannot map 200, which is success: what is wrong with such a reply is called invalid")
    return name


def _told_status(name: str, told: str) -> str:
    if told == "pass":
        if name[0] not in "45":
            raise Wrong(f"{name} cannot pass: give the status that clients get, from 400 to 599")
    elif not re.fullmatch(r"[45][0-9][0-9]", told):
        raise Wrong(f"{name} needs a status from 400 to 599, or pass")
    return told


def read_script_field_name(node: yaml.Node) -> str:
    """The name of a header field that scripts of web pages may send."""
    text = _field_name(node)
    if text == "*":
        raise Wrong("has to name the header fields: browsers take * for a name where credentials are sent", node)
    return text


def read_field_name(node: yaml.Node) -> str:
    """The name of a header field that may be forwarded."""
    text = _field_name(node)
    if text.lower() in NEVER_FORWARDED:
        raise Wrong(f"{text} is never forwarded: it belongs to the connection, or txtoken sets it itself", node)
    return text


def _field_name(node: yaml.Node) -> str:
    """The name of a header field (RFC 9110 §5.1)."""
    text = read_text(node)
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", text):
        raise Wrong("has to be a list of header field names", node)
    return text


def read_route(node: yaml.Node) -> str:
    """The path of a route, as it stands in a request line."""
    text = read_text(node)
    if not re.fullmatch(r"/[!-~]*", text) or "?" in text or "#" in text:
        raise Wrong("has to be a path that starts with /, in printable ASCII, without ? and #")
    if text in RESERVED_ROUTES:
        raise Wrong(f"{text} is taken: the service's health is there")
    return text


def read_url(node: yaml.Node) -> str:
    """The absolute URL of the remote (contract §1.1)."""
    text = read_text(node)
    example = "like http://login.internal:8080/login"
    if not re.fullmatch(r"[!-~]+", text) or any(character in text for character in '"<>\\^`{|}'):
        raise Wrong(f"has to be a URL in printable ASCII without spaces, {example} (punycode, percent-encoding)")
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise Wrong(f"has a malformed host or port: it has to be a URL {example}") from None
    if url.scheme.lower() not in ("http", "https") or not host:
        raise Wrong(f"has to be an absolute http or https URL, {example}")
    if "@" in url.netloc:
        raise Wrong("must not hold a user or password: txtoken presents a token of its own (requestTokenData)")
    if "#" in text:
        raise Wrong("must not have a fragment (#…): it is never sent")
    # urlsplit of older patch releases overlooks what stands between a bracket and the port.
    whole = re.fullmatch(r"(?:\[[^\[\]]*\]|[^\[\]:]*)(?::[0-9]*)?", url.netloc)
    if whole is None or port == 0 or not (_is_ipv6(host) if "[" in url.netloc else _is_host_name(host)):
        raise Wrong(f"has a malformed host or port: it has to be a URL {example}")
    return text


def _is_ipv6(host: str) -> bool:
    try:
        return "%" not in str(ipaddress.IPv6Address(host))  # an address with a zone is no URL's
    except ValueError:
        return False


def _is_host_name(host: str) -> bool:
    """Tell whether resolvers take it: one that they refuse to look at would break each request (RFC 1035 §2.3.4)."""
    return len(host) <= 253 and re.fullmatch(r"(?:[a-z0-9_~-]{1,63}\.)*[a-z0-9_~-]{1,63}\.?", host) is not None


def read_secret(node: yaml.Node) -> str:
    """A secret, exactly as written, 32 to 64 characters."""
    text = read_text(node)
    if not 32 <= len(text) <= 64:
        raise Wrong(f"has to be 32 to 64 characters long; this one has {len(text)}. `txtoken keygen` makes one")
    if OTHER_KEY.match(text):
        raise Wrong("is a PEM, SSH or JWK key, which HS256 must not use. `txtoken keygen` makes one that it can")
    return text


def read_secret_file(node: yaml.Node) -> str:
    """A secret from a file, without the one line end at its end."""
    path = read_text(node)
    if not _exists(path):
        raise Wrong("names a file that does not exist")  # without the name: it may be the secret itself, put here
    data = read_file(path, SECRET_FILE_BYTES_MAX)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Wrong(f"{path} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    try:
        return read_secret(scalar(text, node))
    except Wrong as wrong:
        raise Wrong(f"the secret in {path} {wrong}") from None


def read_tree(node: yaml.Node) -> bytes:
    """Any YAML tree, or a string that holds JSON, as compact JSON."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
        try:
            value = orjson.loads(node.value)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            raise Wrong("is text that does not hold JSON: write a YAML section, or JSON in quotes") from None
        if _depth(value) > TREE_DEPTH_MAX:
            raise Wrong(f"is nested deeper than {TREE_DEPTH_MAX} levels")
        value = json.loads(node.value)  # once more, for integers of any size
    else:
        nodes_left = iter(range(TREE_NODES_MAX))
        value = _plain(node, 0, nodes_left)
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, UnicodeEncodeError):
        raise Wrong("holds something that JSON cannot say") from None


def _depth(value: object, limit: int = TREE_DEPTH_MAX + 1) -> int:
    if limit == 0 or not isinstance(value, dict | list):
        return 0
    items = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(item, limit - 1) for item in items), default=0)


def _plain(node: yaml.Node, depth: int, nodes_left: Iterator[int]) -> object:
    if depth > TREE_DEPTH_MAX:
        raise Wrong(f"is nested deeper than {TREE_DEPTH_MAX} levels")
    _spend(1, nodes_left)
    if node.tag not in TEXT_TAGS and node.tag not in ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"):
        raise Wrong("has a YAML tag that JSON has no word for", node)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth + 1, nodes_left) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _plain_members(node, depth, nodes_left)
    assert isinstance(node, yaml.ScalarNode)
    _spend(len(node.value) // TREE_TEXT_PER_VALUE, nodes_left)
    construct = yaml.constructor.SafeConstructor()
    try:
        match node.tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return construct.construct_yaml_bool(node)
            case "int":
                return construct.construct_yaml_int(node)
            case "float":
                number = construct.construct_yaml_float(node)
                if not math.isfinite(number):
                    raise Wrong("holds a number that JSON has no word for", node)
                return number
            case _:
                return read_text(node)
    except (ValueError, KeyError, IndexError, OverflowError):
        raise Wrong("holds a malformed value", node) from None


def _plain_members(node: yaml.MappingNode, depth: int, nodes_left: Iterator[int]) -> dict[str, object]:
    """Read a section's own members, and those that `<<` merges into it: of these the first wins, and own ones over all."""
    merged: dict[str, object] = {}
    own: dict[str, object] = {}
    for key, value in _pairs(node):
        if key.tag == MERGE_TAG:
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                members = _plain(source, depth + 1, nodes_left)
                if not isinstance(members, dict):
                    raise Wrong("merges (<<) something that is not a section", key)
                merged = members | merged
        else:
            name = read_text(key)
            _spend(len(name) // TREE_TEXT_PER_VALUE, nodes_left)
            own[name] = _plain(value, depth + 1, nodes_left)
    return merged | own


def _spend(count: int, nodes_left: Iterator[int]) -> None:
    if len(list(islice(nodes_left, count))) < count:
        raise Wrong(f"holds more than {TREE_NODES_MAX} values, or too much text")


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:
        return "/" in path  # what cannot be looked at is told with the system's reason, unless it is no path at all


def printable(text: str) -> str:
    """Return the text in a form that UTF-8 can write: file names and arguments may hold bytes that are no text."""
    return text.encode(errors="backslashreplace").decode()


def read_file(path: str, bytes_max: int) -> bytes:
    """Read a file that is not larger than `bytes_max`."""
    file, path = Path(path), printable(path)
    try:
        if not file.is_file():
            raise Wrong(f"{path} is not a file" if file.exists() else f"{path} does not exist")
        with file.open("rb") as stream:
            data = stream.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        raise Wrong(f"{path[:200]!r} cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None
    if len(data) > bytes_max:
        raise Wrong(f"{path} is larger than {bytes_max} bytes")
    return data


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    seen = set()
    for key, value in node.value:
        name = read_text(key)
        if name in seen:
            raise Wrong("holds a member twice", key)
        seen.add(name)
        yield key, value


def scalar(text: str, like: yaml.Node | None = None) -> yaml.ScalarNode:
    """Make a node of a text that does not come from YAML. `like` lends it its place."""
    mark = like.start_mark if like is not None else None
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, start_mark=mark)
