"""What a value of the configuration may be: converters from YAML nodes, each for one kind. Knows no key's name.

A converter takes a node and not what YAML makes of it, so that `encKey: 1e5…` stays the text that was written, and so
that what is wrong can be told with its line. It returns a value or raises `Wrong`. Beside it stands what a JSON Schema can
say of what it takes.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import orjson
import yaml

from txtoken.certificates import PemFile, Unusable
from txtoken.cpus import usable_cpus

KIB: Final = 1024
MIB: Final = 1024 * KIB
DAY_S: Final = 24 * 3600
WEEK_S: Final = 7 * DAY_S
PEM_FILE_BYTES_MAX: Final = MIB  # the certificates of all public authorities are a quarter of that
UNIX_PATH_BYTES_MAX: Final = 107  # of Linux's sockaddr_un, without the byte that ends it
LOOPBACK: Final = "127.0.0.1"
ALL_ADDRESSES: Final = "::"  # IPv4 and IPv6, unless an IPv4 address stands beside it
ALL_IPV4: Final = "0.0.0.0"  # noqa: S104 - only named here
UNIX_PREFIX: Final = "unix:"
WORKERS_MAX: Final = 256
RESERVED_ROUTES: Final = ("/livez", "/readyz", "/healthz")

# Another tag asks for something that nobody here does: decoding base64, decrypting, looking up a variable.
TEXT_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)
NULL_TAG: Final = "tag:yaml.org,2002:null"

# What txtoken sets itself, what belongs to one connection (RFC 9110 §7.6.1), and what holds the client's credentials.
NEVER_FORWARDED: Final = frozenset(
    (
        *("accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "expect"),
        *("host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent"),
    )
)


T = TypeVar("T", covariant=True)


class Wrong(Exception):
    """What is wrong with one value. `node` says where, when not at the value itself."""

    def __init__(self, text: str, node: yaml.Node | None = None) -> None:
        super().__init__(text)
        self.node = node


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A converter and the JSON Schema of what it takes, for editors: these see what YAML makes of a node, so that a text
    may come as a number, and most bounds hold for numbers only. What the converter takes, the schema takes too.
    """

    read: Callable[[yaml.Node], T]
    schema: Mapping[str, Any]

    def __call__(self, node: yaml.Node) -> T:
        """Return the node's value, or raise `Wrong`."""
        return self.read(node)


def kind(
    types: str, *, pattern: str | None = None, refused: tuple[object, ...] = (), **schema: object
) -> Callable[[Callable[[yaml.Node], T]], Kind[T]]:
    """Say of a converter what JSON types it takes, which pattern the whole of a text matches, which single values it refuses,
    and what else a schema can say.
    """
    if pattern is not None:
        schema["pattern"] = f"^(?:{pattern})$"
    if refused:
        schema["not"] = {"enum": refused}
    return lambda read: Kind(read, {"type": types.split(), **schema})


TEXT: Final = "string number boolean"  # what YAML may make of a text without quotes
WHOLE_NUMBER: Final = "0|[1-9][0-9]{0,18}"
SIZE: Final = "([0-9]{1,18}) ?(KiB|MiB|)"
DURATION: Final = r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(ms|s|m|h|d|)"
_UNITS_S: Final = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": DAY_S}
HOURS: Final = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,2})?|[0-9]+\."
HOURS_MAX: Final = 100 * 366 * 24  # a hundred years
FIELD_NAME: Final = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}"  # RFC 9110 §5.1; the length is a bound of ours
FORWARDED_FIELD_NAME: Final = FIELD_NAME.replace("*", "")
FAILURE: Final = "[2-5]xx|[2-5][0-9][0-9]|timeout|unreachable|invalid"
TOLD_STATUS: Final = "[45][0-9][0-9]"
TOLD_STATUS_SCHEMA: Final = {
    "type": ["integer", "string"],
    "minimum": 400,
    "maximum": 599,
    "pattern": f"^(?:pass|{TOLD_STATUS})$",
}
NETWORK: Final = "unix|[0-9A-Fa-f:.]+(?:/[0-9.]+)?"
ORIGIN: Final = r"\*|[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?"
ROUTE: Final = '/[!"$->@-~]*'  # printable ASCII without # and ?

# Converters: a node becomes a value, or raises Wrong


@kind(TEXT)
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


def whole_number(low: int, high: int) -> Kind[int]:
    """A whole number, `low` and `high` included."""

    @kind("integer string", minimum=low, maximum=high, pattern=WHOLE_NUMBER)
    def read(node: yaml.Node) -> int:
        text = read_text(node)
        if not re.fullmatch(WHOLE_NUMBER, text) or not low <= int(text) <= high:
            raise Wrong(f"has to be a whole number from {low} to {high}")
        return int(text)

    return read


@kind("integer string", minimum=1, maximum=WORKERS_MAX, pattern=f"auto|{WHOLE_NUMBER}")
def read_workers(node: yaml.Node) -> int:
    """A number of processes; `auto` is one for each CPU that this one may use."""
    if read_text(node) == "auto":
        return min(usable_cpus(), WORKERS_MAX)
    try:
        return whole_number(1, WORKERS_MAX)(node)
    except Wrong:
        raise Wrong(f"has to be a whole number from 1 to {WORKERS_MAX}, or auto") from None


def size(low: int, high: int) -> Kind[int]:
    """A number of bytes: `4096`, `64KiB`, `1MiB`."""

    @kind("integer string", minimum=low, maximum=high, pattern=SIZE)
    def read(node: yaml.Node) -> int:
        match = re.fullmatch(SIZE, read_text(node))
        value = int(match[1]) * {"": 1, "KiB": KIB, "MiB": MIB}[match[2]] if match else -1
        if not low <= value <= high:
            raise Wrong(f"has to be a number of bytes from {low} to {high}, or one with KiB or MiB")
        return value

    return read


def duration(low: float, high: float) -> Kind[float]:
    """A time in seconds: `5`, `500ms`, `5s`, `1m`, `24h`, `7d`."""

    @kind("number string", minimum=low, maximum=high, pattern=DURATION)
    def read(node: yaml.Node) -> float:
        match = re.fullmatch(DURATION, read_text(node))
        value = float(match[1]) * _UNITS_S[match[2]] if match else -1
        if not low <= value <= high:
            raise Wrong(f"has to be a time from {low:.12g} to {high:.12g} seconds: 5, 500ms, 5s, 1m, 24h, 7d")
        return value

    return read


@kind(
    "number string boolean",
    minimum=0.1,
    maximum=DAY_S,
    pattern=f"[Oo][Ff][Ff]|[Ff][Aa][Ll][Ss][Ee]|{DURATION}",
    refused=(True,),
)
def read_period(node: yaml.Node) -> float | None:
    """How often something is done, in seconds; `off` is never."""
    if read_text(node).lower() in ("off", "false"):
        return None
    try:
        return duration(0.1, DAY_S)(node)
    except Wrong as wrong:
        raise Wrong(f"{wrong}, or off") from None


@kind("number string", exclusiveMinimum=0, maximum=HOURS_MAX, pattern=HOURS)
def read_hours(node: yaml.Node) -> int:
    """A number of hours, fractions allowed, as whole seconds."""
    match = re.fullmatch(HOURS, read_text(node))
    hours = float(match[0]) if match else 0.0
    if not 0 < hours <= HOURS_MAX:
        raise Wrong("has to be a number of hours above 0, fractions allowed, and at most a hundred years")
    return max(1, round(hours * 3600))


@kind("boolean string", pattern="[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]")
def read_flag(node: yaml.Node) -> bool:
    """`true` or `false`, as YAML or as text."""
    text = read_text(node).lower()
    if text not in ("true", "false"):
        raise Wrong("has to be true or false")
    return text == "true"


def choice(*choices: str) -> Kind[str]:
    """One of a few words."""

    @kind("string", enum=choices)
    def read(node: yaml.Node) -> str:
        text = read_text(node)
        if text not in choices:
            raise Wrong(f"has to be {' or '.join(choices)}")
        return text

    return read


def list_of(item: Kind[str]) -> Kind[tuple[str, ...]]:
    """A list, or one value; in the environment its items are separated by commas."""

    @kind(f"array {TEXT}", items=item.schema)
    def read(node: yaml.Node) -> tuple[str, ...]:
        if isinstance(node, yaml.SequenceNode):
            nodes = node.value
            if node.tag != "tag:yaml.org,2002:seq":
                raise Wrong("has a YAML tag (!…) that has no meaning here")
            if any(each.tag == NULL_TAG for each in nodes):
                raise Wrong("holds an item without a value")
        else:
            parts = [part.strip() for part in read_text(node).split(",")]
            nodes = [scalar(part, node) for part in parts if part]
        return tuple(item(each) for each in nodes)

    return read


@kind("string", pattern=r"localhost|[0-9A-Fa-f:.]+(?:%[^%]+)?|unix:/[\s\S]*[^/]")
def read_address(node: yaml.Node) -> str:
    """An IP address, `localhost`, or `unix:` and the path of a socket."""
    text = read_text(node)
    if text.startswith(UNIX_PREFIX):
        path = text.removeprefix(UNIX_PREFIX)
        if not path.startswith("/") or path.endswith("/") or len(os.fsencode(path)) > UNIX_PATH_BYTES_MAX:
            length = f"at most {UNIX_PATH_BYTES_MAX} bytes long"
            raise Wrong(f"has to name a Unix socket by its whole path, {length}: unix:/run/txtoken/txtoken.sock", node)
    elif text != "localhost":
        try:
            ipaddress.ip_address(text)
        except ValueError:
            example = "an IP address like 0.0.0.0, 127.0.0.1 or ::, localhost, or unix:/path"
            raise Wrong(f"has to be {example}", node) from None
    return text


@kind(f"array {TEXT}", items=read_address.schema, minItems=1, uniqueItems=True)
def read_addresses(node: yaml.Node) -> tuple[str, ...]:
    """One address or a list of them, each once."""
    addresses = list_of(read_address)(node)
    if not addresses:
        raise Wrong("names no address: leave it out to listen on all")
    if len(set(addresses)) != len(addresses):
        raise Wrong("names an address twice")
    return addresses


def is_local(address: str) -> bool:
    """Whether only this machine can reach what listens on an address of `listen`."""
    if address == "localhost" or address.startswith(UNIX_PREFIX):
        return True
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


@kind("string", pattern=NETWORK)
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


@kind("string", pattern=ORIGIN)
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


@kind(
    "string object",
    pattern=r"original|gateway|\s*\{[\s\S]*",
    patternProperties={f"^(?:{FAILURE})$": TOLD_STATUS_SCHEMA},
    additionalProperties=False,
)
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
    for key, value in pairs(node):
        try:
            name = _failure(read_text(key))
            status_map[name] = _told_status(name, read_text(value))
        except Wrong as wrong:
            raise Wrong(str(wrong), key) from None
    return status_map


def _failure(name: str) -> str:
    if not re.fullmatch(FAILURE, name):
        raise Wrong("holds a key that is no status (401), class (4xx), timeout, unreachable or invalid")
    return name


def _told_status(name: str, told: str) -> str:
    if told == "pass":
        if name[0] not in "45":
            raise Wrong(f"{name} cannot pass: give the status that clients get, from 400 to 599")
    elif not re.fullmatch(TOLD_STATUS, told):
        raise Wrong(f"{name} needs a status from 400 to 599, or pass")
    return told


@kind(TEXT, pattern=FIELD_NAME, refused=("*",))
def read_script_field_name(node: yaml.Node) -> str:
    """The name of a header field that scripts of web pages may send."""
    text = _field_name(node)
    if text == "*":
        raise Wrong("has to name the header fields: browsers take * for a name where credentials are sent", node)
    return text


@kind(TEXT, pattern=FORWARDED_FIELD_NAME)
def read_field_name(node: yaml.Node) -> str:
    """The name of a header field that may be forwarded. `*` is legal in one (RFC 9110 §5.6.2), but nobody uses it so."""
    text = _field_name(node)
    if "*" in text:
        raise Wrong(
            "holds a *, which stands for nothing here: patterns are not supported, each field has to be named", node
        )
    if text.lower() in NEVER_FORWARDED:
        raise Wrong(f"{text} is never forwarded: it belongs to the connection, or txtoken sets it itself", node)
    return text


def _field_name(node: yaml.Node) -> str:
    """The name of a header field (RFC 9110 §5.1)."""
    text = read_text(node)
    if not re.fullmatch(FIELD_NAME, text):
        raise Wrong("has to be a list of header field names", node)
    return text


@kind("string", pattern=ROUTE, refused=RESERVED_ROUTES)
def read_route(node: yaml.Node) -> str:
    """The path of a route, as it stands in a request line."""
    text = read_text(node)
    if not re.fullmatch(ROUTE, text):
        raise Wrong("has to be a path that starts with /, in printable ASCII, without ? and #")
    if text in RESERVED_ROUTES:
        raise Wrong(f"{text} is taken: the service's health is there")
    return text


@kind(TEXT)
def read_certificates(node: yaml.Node) -> PemFile:
    """A file of certificates in PEM form."""
    return _read_pem(node, PemFile.of_certificates)


@kind(TEXT)
def read_private_key(node: yaml.Node) -> PemFile:
    """A file with a private key in PEM form."""
    return _read_pem(node, PemFile.of_private_key)


def _read_pem(node: yaml.Node, take: Callable[[str, bytes], PemFile]) -> PemFile:
    path = read_text(node)
    if not exists(path):
        raise Wrong("names a file that does not exist")  # without the name: it may be the key itself, put here
    try:
        return take(path, read_file(path, PEM_FILE_BYTES_MAX))
    except Unusable as unusable:
        raise Wrong(str(unusable)) from None


def exists(path: str) -> bool:
    """Whether there is something at this path, as far as can be seen."""
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


def pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Return a section's names and values. A name that stands twice is wrong."""
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
