"""Converters from YAML nodes to values of the configuration, one for each kind. Knows no key's name.

A converter takes a node and not YAML's value, so that `encKey: 1e5…` stays the text that was written, and so that an error can
name its line. It returns a value or raises `Wrong`. It also carries the JSON Schema of what it accepts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, Generic, TypeVar

import yaml

from txtoken import timestamp
from txtoken.config.cpus import usable_cpus
from txtoken.settings import KIB

DAY_S: Final = 24 * 3600
WEEK_S: Final = 7 * DAY_S
WORKERS_MAX: Final = 256

# Other tags ask for something that this reader does not do: decode base64, decrypt, look up a variable.
TEXT_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)
NULL_TAG: Final = "tag:yaml.org,2002:null"

T = TypeVar("T", covariant=True)


class Wrong(Exception):
    """One value is wrong. The text says how; `node` says where, if not at the value itself."""

    def __init__(self, text: str, node: yaml.Node | None = None) -> None:
        super().__init__(text)
        self.node = node


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A converter and the JSON Schema of what it accepts, for editors. They see YAML's value of a node, so a text may look like a
    number, and most bounds apply to numbers only. The schema accepts everything that the converter accepts.
    """

    read: Callable[[yaml.Node], T]
    schema: Mapping[str, Any]
    write: Callable[[Any], object]  # returns a value as in the file, for orjson

    def __call__(self, node: yaml.Node) -> T:
        """Return the node's value, or raise `Wrong`."""
        return self.read(node)


def kind(
    types: str,
    *,
    pattern: str | None = None,
    refused: tuple[object, ...] = (),
    write: Callable[[Any], object] = lambda value: value,
    **schema: object,
) -> Callable[[Callable[[yaml.Node], T]], Kind[T]]:
    """Make a `Kind` of a converter: the JSON types it accepts, the pattern of a whole text, the values it rejects, how the file
    writes a value, and other parts of the schema.
    """
    if pattern is not None:
        schema["pattern"] = f"^(?:{pattern})$"
    if refused:
        schema["not"] = {"enum": refused}
    return lambda read: Kind(read, {"type": types.split(), **schema}, write)


TEXT: Final = "string number boolean"  # the types that YAML may give to a text without quotes
WHOLE_NUMBER: Final = "0|[1-9][0-9]{0,18}"
SIZE: Final = "([0-9]{1,18}) ?(?:([kKMG])(i)?)?B?"
DURATION: Final = r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(ms|s|m|h|d|)"
WITH_UNIT: Final = r"[0-9]{1,12}(?:\.[0-9]{1,9})? ?(?:ms|s|m|h|d)"  # a duration where a bare number is none
_UNITS_S: Final = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": DAY_S}
MEDIA_TYPE: Final = "[A-Za-z0-9!#$&^_.+/-]{1,127}"
REGISTERED_CLAIMS: Final = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "sid")
HOURS: Final = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,2})?|[0-9]+\."
HOURS_MAX: Final = 100 * 366 * 24  # a hundred years

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
        raise Wrong("contains characters that UTF-8 cannot encode")
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
    """A number of bytes: `4096`, `64KiB`, `64Ki`, `1MB`, `1M`. A unit with an `i` is a power of 1024, one without it of 1000."""

    @kind("integer string", minimum=low, maximum=high, pattern=SIZE)
    def read(node: yaml.Node) -> int:
        match = re.fullmatch(SIZE, read_text(node))
        value = int(match[1]) * (KIB if match[3] else 1000) ** " KMG".index((match[2] or " ").upper()) if match else -1
        if not low <= value <= high:
            raise Wrong(f"has to be a number of bytes from {low} to {high}, for example 4096, 64KiB, 1MiB, 64kB or 1MB")
        return value

    return read


def duration(low: float, high: float) -> Kind[float]:
    """A time in seconds: `5`, `500ms`, `5s`, `1m`, `24h`, `7d`."""

    @kind("number string", minimum=low, maximum=high, pattern=DURATION)
    def read(node: yaml.Node) -> float:
        match = re.fullmatch(DURATION, read_text(node))
        value = _seconds(match) if match else -1
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


@kind(
    "number string",
    exclusiveMinimum=0,
    maximum=HOURS_MAX,
    pattern=f"{HOURS}|{WITH_UNIT}",
    write=lambda seconds: round(seconds / 3600, 6),
)
def read_hours(node: yaml.Node) -> int:
    """A number of hours, fractions allowed, or a time with its unit (`30m`, `12h`, `7d`), as whole seconds."""
    text = read_text(node)
    try:
        hours = float(text) if re.fullmatch(HOURS, text) else _with_unit(text) / 3600
    except ValueError:
        hours = 0.0
    if not 0 < hours <= HOURS_MAX:
        raise Wrong("has to be hours above 0 (24, 0.5) or a time (30m, 12h, 7d), and at most a hundred years")
    return max(1, round(hours * 3600))


def whole_seconds(low: int, high: int) -> Kind[int]:
    """A whole number of seconds, or a time with its unit that is one: `300`, `5m`."""

    @kind("integer string", minimum=low, maximum=high, pattern=f"{WHOLE_NUMBER}|{WITH_UNIT}")
    def read(node: yaml.Node) -> int:
        text = read_text(node)
        try:
            value = int(text) if re.fullmatch(WHOLE_NUMBER, text) else _with_unit(text)
        except ValueError:
            value = -1
        if value != int(value) or not low <= value <= high:
            raise Wrong(f"has to be a whole number of seconds from {low} to {high}, for example 300 or 5m")
        return int(value)

    return read


def _with_unit(text: str) -> float:
    """Return the seconds of a time with its unit. ValueError: it is none."""
    match = re.fullmatch(DURATION, text)
    if match is None or not match[2]:
        raise ValueError
    return _seconds(match)


def _seconds(match: re.Match[str]) -> float:
    """Return the seconds of a `DURATION`. Without rounding, 8.2m would be 491.99999999999994 seconds."""
    return round(float(match[1]) * _UNITS_S[match[2]], 9)


@kind("string", pattern=timestamp.PATTERN)
def read_time(node: yaml.Node) -> float:
    """A moment as RFC 3339 §5.6 writes it, as Unix time."""
    text = read_text(node)
    try:
        return timestamp.parsed(text).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):  # the second: in UTC it is before the year 1, or after 9999
        pass
    raise Wrong("has to be a date and time with its zone, like 2027-01-31T00:00:00Z (RFC 3339)", node)


@kind(TEXT, pattern=MEDIA_TYPE)
def read_media_type(node: yaml.Node) -> str:
    """A type of tokens (RFC 7515 §4.1.9), as `JWT` or `at+jwt`."""
    text = read_text(node)
    if not re.fullmatch(MEDIA_TYPE, text):
        raise Wrong("has to be a type of tokens, like JWT or at+jwt")
    return text


@kind(TEXT, refused=REGISTERED_CLAIMS)
def read_claim_name(node: yaml.Node) -> str:
    """The name of a claim that txtoken does not set itself."""
    text = read_text(node)
    if text in REGISTERED_CLAIMS:
        raise Wrong(f"{text} is a claim with a meaning of its own (RFC 7519 §4.1): choose another name")
    return text


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
                raise Wrong("contains an item without a value")
        else:
            parts = [part.strip() for part in read_text(node).split(",")]
            nodes = [scalar(part, node) for part in parts if part]
        return tuple(item(each) for each in nodes)

    return read


def printable(text: str) -> str:
    """Return the text in a form that UTF-8 can encode: file names and arguments may contain bytes that are not text."""
    return text.encode(errors="backslashreplace").decode()


def pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Return a section's names and values. A duplicate name is wrong."""
    seen = set()
    for key, value in node.value:
        name = read_text(key)
        if name in seen:
            raise Wrong("contains a member twice", key)
        seen.add(name)
        yield key, value


def scalar(text: str, like: yaml.Node | None = None) -> yaml.ScalarNode:
    """Make a node of a text that does not come from YAML. It gets the place of `like`."""
    mark = like.start_mark if like is not None else None
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, start_mark=mark)
