"""File and environment into one frozen `Config`, or every problem at once (contract §1). Knows what keys there are, what
they may be and where they came from; starts nothing.

The table `KEYS` is the model: names, converters, defaults. Reading, the environment's names, the nearest known key and
what `txtoken check` shows all come from it. A converter takes a YAML node, so that `encKey: 1e5…` stays the text that
was written, and so that every problem has its line.
"""

from __future__ import annotations

import difflib
import hmac
import ipaddress
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import yaml

from txtoken.errors import ConfigError, Problem

DEFAULT_PATH: Final = "example_cfg.yml"  # as the original: in the working directory
ENVIRONMENT_PREFIX: Final = "TXTOKEN_"
EXAMPLE_KEY: Final = "replace-this-key-before-anyone-uses-it"  # of example_cfg.yml: everybody knows it
HIDDEN: Final = "<hidden>"

KIB: Final = 1024
MIB: Final = 1024 * KIB
DAY_S: Final = 24 * 3600
FILE_BYTES_MAX: Final = MIB  # of a configuration file; what is larger is some other file
SECRET_FILE_BYTES_MAX: Final = 4 * KIB
TREE_DEPTH_MAX: Final = 100
TREE_NODES_MAX: Final = 10_000  # aliases count each time, so that a small file cannot become a huge token
RESERVED_ROUTES: Final = ("/livez", "/readyz", "/healthz")

# What txtoken sets itself, what belongs to one connection (RFC 9110 §7.6.1), and what holds the client's credentials.
NEVER_FORWARDED: Final = frozenset(
    (
        *("accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "expect"),
        *("host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent"),
    )
)


class Secret:
    """Bytes that are never shown by accident. `reveal` is for what signs."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a way to compare that is not constant-time


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process takes on (contract §4.1)."""

    head_bytes: int = 64 * KIB  # request line and headers: cookies and tokens of several proxies fit
    header_count: int = 100
    body_bytes: int = MIB
    reply_bytes: int = MIB
    connections: int = 10_000  # clients
    remote_connections: int = 256
    waiting: int = 1024  # requests in line for a connection to the remote


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long things may take, in seconds (contract §4.1)."""

    head: float = 10.0
    body: float = 30.0
    idle: float = 75.0  # longer than the 60 s of common load balancers: they close first, and no request is lost
    connect: float = 2.0
    remote: float = 5.0  # of the whole exchange, as the original
    remote_idle: float = 15.0
    drain: float = 30.0
    drain_delay: float = 0.0


@dataclass(frozen=True, slots=True)
class VerifyRules:
    """What a token has to fulfil beside its signature (contract §3.2)."""

    leeway_s: float = 0
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    require_exp: bool = True
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged and how. `level` is debug, info, warning or error; `format` json or text."""

    level: str = "info"
    format: str = "json"
    access: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """All that the service needs to know, valid as a whole."""

    source: str  # the file's path, "" without one
    listen: tuple[str, ...]
    port: int
    debug: bool
    enc_key: Secret
    remote: str
    token_ttl_s: int
    get_token_route: str
    check_token_route: str
    request_token_data: bytes  # compact JSON
    request_key: Secret
    request_token_s: int
    validate_body: bool
    limits: Limits
    timeouts: Timeouts
    verify: VerifyRules
    check_response: str  # original or claims
    forward_headers: tuple[str, ...]
    log: LogSettings
    warnings: tuple[str, ...]  # to be said aloud at start


class _Wrong(Exception):
    """What is wrong with one value. `node` says where, when not at the value itself."""

    def __init__(self, text: str, node: yaml.Node | None = None) -> None:
        super().__init__(text)
        self.node = node


# Converters: a node becomes a value, or raises _Wrong


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _Wrong("has to be one value, not a list or a section")
    return str(node.value)


def _whole(low: int, high: int) -> Callable[[yaml.Node], int]:
    def read(node: yaml.Node) -> int:
        text = _text(node)
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or not low <= int(text) <= high:
            raise _Wrong(f"has to be a whole number from {low} to {high}")
        return int(text)

    return read


def _size(low: int, high: int) -> Callable[[yaml.Node], int]:
    def read(node: yaml.Node) -> int:
        match = re.fullmatch(r"([0-9]{1,18}) ?(KiB|MiB|)", _text(node))
        value = int(match[1]) * {"": 1, "KiB": KIB, "MiB": MIB}[match[2]] if match else -1
        if not low <= value <= high:
            raise _Wrong(f"has to be a number of bytes from {low} to {high}, or one with KiB or MiB")
        return value

    return read


def _duration(low: float, high: float) -> Callable[[yaml.Node], float]:
    def read(node: yaml.Node) -> float:
        match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(ms|s|m|)", _text(node))
        value = float(match[1]) * {"": 1, "s": 1, "ms": 0.001, "m": 60}[match[2]] if match else -1
        if not low <= value <= high:
            raise _Wrong(f"has to be a time from {low:g} to {high:g} seconds: 5, 500ms, 5s, 1m")
        return value

    return read


def _hours(node: yaml.Node) -> int:
    match = re.fullmatch(r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,2})?|[0-9]+\.", _text(node))
    hours = float(match[0]) if match else 0.0
    if not 0 < hours <= 100 * 366 * 24:
        raise _Wrong("has to be a number of hours above 0, fractions allowed, and at most a hundred years")
    return max(1, round(hours * 3600))


def _flag(node: yaml.Node) -> bool:
    text = _text(node).lower()
    if text not in ("true", "false"):
        raise _Wrong("has to be true or false")
    return text == "true"


def _choice(*choices: str) -> Callable[[yaml.Node], str]:
    def read(node: yaml.Node) -> str:
        text = _text(node)
        if text not in choices:
            raise _Wrong(f"has to be {' or '.join(choices)}")
        return text

    return read


def _list(read_item: Callable[[yaml.Node], str]) -> Callable[[yaml.Node], tuple[str, ...]]:
    """A list, or one value; in the environment its items are separated by commas."""

    def read(node: yaml.Node) -> tuple[str, ...]:
        if isinstance(node, yaml.SequenceNode):
            items = node.value
        else:
            parts = [part.strip() for part in _text(node).split(",")]
            items = [_scalar(part, node) for part in parts if part]
        return tuple(read_item(item) for item in items)

    return read


def _listen_address(node: yaml.Node) -> str:
    text = _text(node)
    if text.startswith("unix:"):
        raise _Wrong("listening on a Unix socket is not supported yet: give an IP address", node)
    if text != "localhost":
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise _Wrong("has to be an IP address like 0.0.0.0, 127.0.0.1 or ::, or localhost", node) from None
    return text


def _addresses(node: yaml.Node) -> tuple[str, ...]:
    addresses = _list(_listen_address)(node)
    if not addresses:
        raise _Wrong("names no address: leave it out to listen on 0.0.0.0")
    if len(set(addresses)) != len(addresses):
        raise _Wrong("names an address twice")
    return addresses


def _field_name(node: yaml.Node) -> str:
    text = _text(node)
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", text):
        raise _Wrong("has to be a list of header field names", node)
    if text.lower() in NEVER_FORWARDED:
        raise _Wrong(f"{text} is never forwarded: it belongs to the connection, or txtoken sets it itself", node)
    return text


def _route(node: yaml.Node) -> str:
    text = _text(node)
    if not re.fullmatch(r"/[!-~]*", text) or "?" in text or "#" in text:
        raise _Wrong("has to be a path that starts with /, in printable ASCII, without ? and #")
    if text in RESERVED_ROUTES:
        raise _Wrong(f"{text} is taken: the service's health is there")
    return text


def _remote_url(node: yaml.Node) -> str:
    text = _text(node)
    example = "like http://login.internal:8080/login"
    if not re.fullmatch(r"[!-~]+", text) or any(character in text for character in '"<>\\^`{|}'):
        raise _Wrong(f"has to be a URL in printable ASCII without spaces, {example} (punycode, percent-encoding)")
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise _Wrong(f"has a malformed host or port: it has to be a URL {example}") from None
    if url.scheme.lower() not in ("http", "https") or not host:
        raise _Wrong(f"has to be an absolute http or https URL, {example}")
    if "@" in url.netloc:
        raise _Wrong("must not hold a user or password: txtoken presents a token of its own (requestTokenData)")
    if "#" in text:
        raise _Wrong("must not have a fragment (#…): it is never sent")
    if port == 0 or not re.fullmatch(r"[A-Za-z0-9._~-]+|[0-9a-fA-F:.]+", host):
        raise _Wrong(f"has a malformed host or port: it has to be a URL {example}")
    return text


def _secret(node: yaml.Node) -> str:
    text = _text(node)
    if not 32 <= len(text) <= 64:
        raise _Wrong(f"has to be 32 to 64 characters long; this one has {len(text)}. `txtoken keygen` makes one")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Wrong("holds characters that UTF-8 cannot write") from None
    return text


def _secret_file(node: yaml.Node) -> str:
    path = _text(node)
    data = _read_file(path, SECRET_FILE_BYTES_MAX)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _Wrong(f"{path} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    try:
        return _secret(_scalar(text, node))
    except _Wrong as wrong:
        raise _Wrong(f"the secret in {path} {wrong}") from None


def _tree(node: yaml.Node) -> bytes:
    """Any YAML tree, or a string that holds JSON, as compact JSON."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
        try:
            value = orjson.loads(node.value)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            raise _Wrong("is text that does not hold JSON: write a YAML section, or JSON in quotes") from None
        if _depth(value) > TREE_DEPTH_MAX:
            raise _Wrong(f"is nested deeper than {TREE_DEPTH_MAX} levels")
        value = json.loads(node.value)  # once more, for integers of any size
    else:
        nodes_left = iter(range(TREE_NODES_MAX))
        value = _plain(node, 0, nodes_left)
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, UnicodeEncodeError):
        raise _Wrong("holds something that JSON cannot say") from None


def _depth(value: object, limit: int = TREE_DEPTH_MAX + 1) -> int:
    if limit == 0 or not isinstance(value, dict | list):
        return 0
    items = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(item, limit - 1) for item in items), default=0)


def _plain(node: yaml.Node, depth: int, nodes_left: Iterator[int]) -> object:
    if depth > TREE_DEPTH_MAX:
        raise _Wrong(f"is nested deeper than {TREE_DEPTH_MAX} levels")
    if next(nodes_left, None) is None:
        raise _Wrong(f"holds more than {TREE_NODES_MAX} values")
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.endswith((":binary", ":set", ":omap", ":pairs")):
        raise _Wrong("has a YAML tag that JSON has no word for", node)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth + 1, nodes_left) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {_text(key): _plain(value, depth + 1, nodes_left) for key, value in _pairs(node)}
    assert isinstance(node, yaml.ScalarNode)
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
                    raise _Wrong("holds a number that JSON has no word for", node)
                return number
            case _:
                return _text(node)
    except (ValueError, KeyError, IndexError, OverflowError):
        raise _Wrong("holds a malformed value", node) from None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])[A-Z]", lambda match: "_" + match[0].lower(), name)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file: `name` is dotted within a section, `default` what holds when it is absent."""

    name: str
    read: Callable[[yaml.Node], Any]
    default: object
    attribute: str = ""  # of Config, where it is not the name in snake case
    secret: bool = False
    instead_of: str = ""  # another way to say the same: of the two only one may be given

    @property
    def variable(self) -> str:
        """The environment variable that sets this key."""
        return ENVIRONMENT_PREFIX + _snake(self.name).upper().replace(".", "_")


_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()

KEYS: Final = (
    Key("port", _whole(0, 65535), 8888),
    Key("debug", _flag, False),
    Key("encKey", _secret, None, secret=True, instead_of="encKeyFile"),
    Key("remote", _remote_url, None),
    Key("expHours", _hours, DAY_S, attribute="token_ttl_s"),
    Key("getTokenRoute", _route, "/getToken"),
    Key("checkTokenRoute", _route, "/checkToken"),
    Key("requestTokenData", _tree, b"{}"),
    Key("listen", _addresses, ("0.0.0.0",)),  # noqa: S104 - a service is there to be reached
    Key("encKeyFile", _secret_file, None, secret=True, instead_of="encKey"),
    Key("requestKey", _secret, None, secret=True, instead_of="requestKeyFile"),
    Key("requestKeyFile", _secret_file, None, secret=True, instead_of="requestKey"),
    Key("requestTokenSeconds", _whole(1, DAY_S), 300, attribute="request_token_s"),
    Key("validateBody", _flag, True),
    Key("limits.headBytes", _size(KIB, MIB), _LIMITS.head_bytes),
    Key("limits.headerCount", _whole(1, 10_000), _LIMITS.header_count),
    Key("limits.bodyBytes", _size(1, 64 * MIB), _LIMITS.body_bytes),
    Key("limits.replyBytes", _size(2, 64 * MIB), _LIMITS.reply_bytes),
    Key("limits.connections", _whole(1, 1_000_000), _LIMITS.connections),
    Key("limits.remoteConnections", _whole(1, 60_000), _LIMITS.remote_connections),
    Key("limits.waiting", _whole(0, 1_000_000), _LIMITS.waiting),
    Key("timeouts.head", _duration(0.001, DAY_S), _TIMEOUTS.head),
    Key("timeouts.body", _duration(0.001, DAY_S), _TIMEOUTS.body),
    Key("timeouts.idle", _duration(0.001, DAY_S), _TIMEOUTS.idle),
    Key("timeouts.connect", _duration(0.001, DAY_S), _TIMEOUTS.connect),
    Key("timeouts.remote", _duration(0.001, DAY_S), _TIMEOUTS.remote),
    Key("timeouts.remoteIdle", _duration(0.001, DAY_S), _TIMEOUTS.remote_idle),
    Key("timeouts.drain", _duration(0, DAY_S), _TIMEOUTS.drain),
    Key("timeouts.drainDelay", _duration(0, DAY_S), _TIMEOUTS.drain_delay),
    Key("forwardHeaders", _list(_field_name), ("X-Request-Id", "traceparent", "tracestate")),
    Key("verify.leeway", _duration(0, DAY_S), 0.0, attribute="verify.leeway_s"),
    Key("verify.iss", _text, None, attribute="verify.issuer"),
    Key("verify.aud", _list(_text), (), attribute="verify.audience"),
    Key("verify.requireExp", _flag, True),
    Key("verify.maxAge", _duration(1, 36_525 * DAY_S), None, attribute="verify.max_age_s"),
    Key("checkResponse", _choice("original", "claims"), "original"),
    Key("log.level", _choice("debug", "info", "warning", "error"), None),
    Key("log.format", _choice("json", "text"), None),
    Key("log.access", _flag, True),
)
_BY_NAME: Final = {key.name: key for key in KEYS}
_BY_VARIABLE: Final = {key.variable: key for key in KEYS}
_SECTIONS: Final = {name.partition(".")[0] for name in _BY_NAME if "." in name}


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was given, and where."""

    node: yaml.Node
    source: str  # file, environment or --set
    where: str
    line: int = 0


class _Reader:
    """Collects what was given and all that is wrong with it."""

    def __init__(self) -> None:
        self.given: dict[str, _Given] = {}
        self.file_failed = False  # it could not be read at all: that keys are missing is then no news
        self._problems: list[tuple[int, Problem]] = []

    def complain(self, key: str, where: str, text: str, line: int = 0) -> None:
        self._problems.append((line, Problem(key, where, text)))

    def raise_problems(self) -> None:
        """Raise all problems, in the order of their lines."""
        if self._problems:
            raise ConfigError(tuple(problem for _, problem in sorted(self._problems, key=lambda pair: pair[0])))

    def give(self, name: str, given: _Given) -> None:
        """Take a value from a source that counts more than those before."""
        self.given[name] = given
        rival = self.given.get(_BY_NAME[name].instead_of)
        if rival is None:
            return
        if rival.source == given.source:
            self.complain(
                name, given.where, f"is given beside {_BY_NAME[name].instead_of}: keep one of them", given.line
            )
        else:
            del self.given[_BY_NAME[name].instead_of]

    def read_file(self, path: str) -> None:
        self.file_failed = True
        try:
            text = _read_file(path, FILE_BYTES_MAX).decode("utf-8-sig")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except _Wrong as wrong:
            self.complain("", "configuration file", f"{wrong}. Name another with --config or CFG_FILE.")
        except UnicodeDecodeError:
            self.complain("", path, "is not UTF-8 text")
        except yaml.YAMLError as error:
            line, text = _explain_yaml(error)
            self.complain("", f"{path}, line {line}" if line else path, text, line)
        except RecursionError:
            self.complain("", path, "is nested too deeply to be read")
        else:
            self.file_failed = False
            if root is not None and _is_given(root):
                self._read_section(root, path, "")

    def _read_section(self, section: yaml.Node, path: str, prefix: str) -> None:
        name = prefix.removesuffix(".")
        if not isinstance(section, yaml.MappingNode):
            self.complain(name, _place(path, section), "has to be a section of `key: value` lines", _line(section))
            return
        first_lines: dict[str, int] = {}
        for key_node, value in section.value:
            where, line = _place(path, key_node), _line(key_node)
            key = prefix + key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if key in first_lines:
                self.complain(key, where, f"was given in line {first_lines[key]} already: keep one of them", line)
                continue
            first_lines[key] = line
            if key in _BY_NAME:
                if _is_given(value):
                    self.give(key, _Given(value, "file", where, line))
            elif key in _SECTIONS:
                if _is_given(value):
                    self._read_section(value, path, key + ".")
            else:
                self._complain_unknown(key, where, line)

    def _complain_unknown(self, key: str, where: str, line: int) -> None:
        section = key.rpartition(".")[0]
        near = [name for name in _BY_NAME if name.rpartition(".")[0] == section] + ([] if section else [*_SECTIONS])
        self.complain(key[:80] or "?", where, f"is not a known key{_nearest(key, near)}", line)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        for variable, text in environ.items():
            if not variable.startswith(ENVIRONMENT_PREFIX):
                continue
            key = _BY_VARIABLE.get(variable)
            if key is not None:
                self.give(key.name, _Given(_scalar(text), "environment", f"environment {variable}"))
            else:
                self.complain("", f"environment {variable}", f"sets no known key{_nearest(variable, _BY_VARIABLE)}")

    def read_overrides(self, overrides: Mapping[str, str]) -> None:
        for name, text in overrides.items():
            if name in _BY_NAME:
                self.give(name, _Given(_scalar(text), "--set", "--set"))
            else:
                self.complain("", f"--set {name}", f"is not a known key{_nearest(name, _BY_NAME)}")

    def value(self, name: str) -> Any:
        """Convert one value. What is wrong with it is noted, and the default stands in."""
        key = _BY_NAME[name]
        given = self.given.get(name)
        if given is None:
            return key.default
        try:
            return key.read(given.node)
        except _Wrong as wrong:
            place, line = given.where, given.line
            if wrong.node is not None and line:
                line = _line(wrong.node)
                place = f"{place.rpartition(', line')[0]}, line {line}"
            self.complain(name, place, str(wrong), line)
            return key.default

    def where(self, name: str) -> tuple[str, int]:
        given = self.given.get(name)
        return (given.where, given.line) if given else ("configuration", 0)


def load(path: str | None, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> Config:
    """Read the configuration: `overrides` (dotted names) count more than `environ`, that more than the file.

    The file is `path`, else the environment's CFG_FILE, else `example_cfg.yml` in the working directory. That last one
    may be missing when the environment or `overrides` give what is required.

    Raises:
        ConfigError: it cannot be used. Every problem is told.
    """
    reader = _Reader()
    source = path or environ.get("CFG_FILE") or ""
    if not source and (Path(DEFAULT_PATH).exists() or not _is_complete(environ, overrides or {})):
        source = DEFAULT_PATH
    if source:
        reader.read_file(source)
    reader.read_environment(environ)
    reader.read_overrides(overrides or {})
    config = _assemble(reader, source)
    reader.raise_problems()
    return config


def _is_complete(environ: Mapping[str, str], overrides: Mapping[str, str]) -> bool:
    names = {*overrides, *(_BY_VARIABLE[variable].name for variable in environ if variable in _BY_VARIABLE)}
    return "remote" in names and not names.isdisjoint(("encKey", "encKeyFile"))


def _assemble(reader: _Reader, source: str) -> Config:
    value = {key.name: reader.value(key.name) for key in KEYS}
    debug = value["debug"]
    warnings: list[str] = []
    if not reader.file_failed:
        for name, how in (("remote", "the URL that logins are POSTed to"), ("encKey", "`txtoken keygen` makes one")):
            if name not in reader.given and _BY_NAME[name].instead_of not in reader.given:
                reader.complain(name, source or "configuration", f"is required: {how}")
    if value["getTokenRoute"] == value["checkTokenRoute"]:
        where, line = reader.where("checkTokenRoute")
        reader.complain("checkTokenRoute", where, "has to differ from getTokenRoute", line)
    for name in ("encKey", "encKeyFile", "requestKey", "requestKeyFile"):
        weakness = _weakness(value[name])
        if weakness and debug:
            warnings.append(f"{name} {weakness}: this is let through because of debug: true, and never elsewhere")
        elif weakness:
            where, line = reader.where(name)
            text = f"{weakness}. Replace it (`txtoken keygen` makes one), or try things out with debug: true"
            reader.complain(name, where, text, line)
    enc_key = Secret((value["encKey"] or value["encKeyFile"] or "").encode())
    request_key = value["requestKey"] or value["requestKeyFile"]
    return Config(
        source=source,
        listen=value["listen"],
        port=value["port"],
        debug=debug,
        enc_key=enc_key,
        remote=value["remote"] or "",
        token_ttl_s=value["expHours"],
        get_token_route=value["getTokenRoute"],
        check_token_route=value["checkTokenRoute"],
        request_token_data=value["requestTokenData"],
        request_key=Secret(request_key.encode()) if request_key else enc_key,
        request_token_s=value["requestTokenSeconds"],
        validate_body=value["validateBody"],
        limits=Limits(**_section(value, "limits.")),
        timeouts=Timeouts(**_section(value, "timeouts.")),
        verify=VerifyRules(**_section(value, "verify.")),
        check_response=value["checkResponse"],
        forward_headers=value["forwardHeaders"],
        log=LogSettings(
            level=value["log.level"] or ("debug" if debug else "info"),
            format=value["log.format"] or ("text" if debug else "json"),
            access=value["log.access"],
        ),
        warnings=tuple(warnings),
    )


def _section(value: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {_attribute(_BY_NAME[name]).removeprefix(prefix): value[name] for name in value if name.startswith(prefix)}


def _attribute(key: Key) -> str:
    return key.attribute or _snake(key.name)


def describe(config: Config) -> dict[str, object]:
    """Return what would run, under the file's own names. Secrets are hidden, times are in seconds."""
    described: dict[str, object] = {}
    for key in KEYS:
        if key.name.endswith("KeyFile"):
            continue  # the secret is shown (as hidden) under the name of the key that it stands for
        shown: object = config
        for part in _attribute(key).split("."):
            shown = getattr(shown, part)
        if key.name == "expHours":
            shown = round(config.token_ttl_s / 3600, 6)
        elif key.secret:
            shown = HIDDEN
        elif isinstance(shown, bytes):
            shown = orjson.Fragment(shown)
        section, _, name = key.name.rpartition(".")
        place = described.setdefault(section, {}) if section else described
        assert isinstance(place, dict)
        place[name] = shown
    return described


def _weakness(secret: str | None) -> str:
    if secret is None:
        return ""
    if secret == EXAMPLE_KEY:
        return "is the example file's key, which everybody knows"
    return "is one character repeated" if len(set(secret)) == 1 else ""


def _read_file(path: str, bytes_max: int) -> bytes:
    file = Path(path)
    try:
        if not file.is_file():
            raise _Wrong(f"{path} is not a file" if file.exists() else f"{path} does not exist")
        with file.open("rb") as stream:
            data = stream.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        raise _Wrong(f"{path[:200]!r} cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None
    if len(data) > bytes_max:
        raise _Wrong(f"{path} is larger than {bytes_max} bytes")
    return data


def _explain_yaml(error: yaml.YAMLError) -> tuple[int, str]:
    """Say where YAML ends to be YAML. PyYAML's own message quotes the line, which may be the one with the secret."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return 0, "holds a character that YAML does not allow"
    problem = re.sub(r"['\"].*", "…", str(getattr(error, "problem", "")), flags=re.DOTALL)
    return mark.line + 1, f"is not valid YAML from column {mark.column + 1} on: {problem}"


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    seen = set()
    for key, value in node.value:
        name = _text(key)
        if name in seen:
            raise _Wrong("holds a member twice", key)
        seen.add(name)
        yield key, value


def _is_given(node: yaml.Node) -> bool:
    """A key without a value, or with null, counts as absent."""
    return node.tag != "tag:yaml.org,2002:null"


def _scalar(text: str, like: yaml.Node | None = None) -> yaml.ScalarNode:
    mark = like.start_mark if like is not None else None
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, start_mark=mark)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark is not None else 0


def _place(path: str, node: yaml.Node) -> str:
    return f"{path}, line {_line(node)}"


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name[:80].lower(), by_lower, n=1, cutoff=0.5)
    return f": did you mean {by_lower[near[0]]}?" if near else ""
