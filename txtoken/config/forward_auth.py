"""The values of the keys `forwardAuth` and `cookie` (contract §3.5, §3.6). Answers no request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import orjson
import yaml

from txtoken.config.pointers import check_pointer
from txtoken.config.trees import compact, plain
from txtoken.config.values import TEXT, Kind, Wrong, kind, list_of, pairs, read_text
from txtoken.settings import ForwardAuthSettings

PLACES: Final = ("header", "cookie", "query")
HEADERS_MAX: Final = 32
NAME: Final = "[A-Za-z0-9-]{1,64}"
REQUIRED_MAX: Final = 32  # claims
VALUES_MAX: Final = 256  # of one claim
OTHERS_MAX: Final = 8  # lists and sections among these: they are compared one by one
NUMBER_MAX: Final = 1 << 64
COOKIE_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{0,128}"  # RFC 6265 §4.1.1, RFC 9110 §5.6.2; empty: no cookie
COOKIE_DOMAIN: Final = r"\.?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
COOKIE_PATH: Final = r"/[!-:<-~]{0,1023}"  # printable ASCII but ;

# Header names with a meaning for proxies or for HTTP itself: prefixes first, then whole names.
_TAKEN_PREFIXES: Final = ("content-", "x-forwarded-", "x-accel-", "x-envoy-", "proxy-", "sec-")
_TAKEN: Final = frozenset(
    (
        *("age", "authorization", "cache-control", "connection", "cookie", "cookie2", "date", "etag", "expires"),
        *("expect", "host", "keep-alive", "location", "pragma", "refresh", "retry-after", "server", "set-cookie"),
        *("set-cookie2", "status", "te", "trailer", "transfer-encoding", "upgrade", "vary", "via", "www-authenticate"),
    )
)

_T = TypeVar("_T")


def _as_written(listed: tuple[ForwardAuthSettings, ...]) -> object:
    """Write the routes as in the file."""
    return [
        {
            "route": settings.route,
            "headers": dict(settings.headers),
            "require": {pointer: [orjson.Fragment(value) for value in values] for pointer, values in settings.require},
            "from": list(settings.places),
            "cache": settings.cache_s,
            "body": settings.has_body,
            "envoy": settings.is_envoy,
            **({} if settings.listen is None else {"listen": settings.listen}),
        }
        for settings in listed
    ] or None


def _never(_: yaml.Node) -> None:
    raise AssertionError("a list of sections is read key by key")


ROUTES: Final[Kind[None]] = Kind(_never, {}, _as_written)


@kind("object", maxProperties=HEADERS_MAX, propertyNames={"pattern": f"^(?:{NAME})$"}, write=dict)
def read_headers(node: yaml.Node) -> tuple[tuple[str, str], ...]:
    """Names of header fields, each with a JSON Pointer into the claims."""
    example = "has to be a section of names and JSON Pointers, as X-Auth-Request-User: /data/id"
    headers: list[tuple[str, str]] = []
    for name_node, value in _members(node, example):
        name = _at(name_node, read_text)
        lower = name.lower()
        if not re.fullmatch(NAME, name):
            raise Wrong(f"has a header name that is not 1 to 64 letters, digits and -: {name!r}", name_node)
        if lower in _TAKEN or lower.startswith(_TAKEN_PREFIXES):
            raise Wrong(f"cannot set {name}, which has a meaning for proxies: choose another name", name_node)
        if lower in {other.lower() for other, _ in headers}:
            raise Wrong(f"lists {name} twice: header names ignore case", name_node)
        headers.append((name, _at(value, lambda node: check_pointer(read_text(node)))))
    if len(headers) > HEADERS_MAX:
        raise Wrong(f"contains more than {HEADERS_MAX} names")
    return tuple(headers)


@kind("object", maxProperties=REQUIRED_MAX, write=dict)
def read_require(node: yaml.Node) -> tuple[tuple[str, tuple[bytes, ...]], ...]:
    """JSON Pointers into the claims, each with the allowed value or a list of allowed values."""
    example = "has to be a section of JSON Pointers and values, as /data/groups: [admin, staff]"
    required = []
    for name_node, value in _members(node, example):
        pointer = _at(name_node, lambda node: check_pointer(read_text(node)))
        found = _at(value, plain)
        values = found if isinstance(found, list) else [found]
        if not values:
            raise Wrong("contains an empty list, which rejects every token", name_node)
        if len(values) > VALUES_MAX:
            raise Wrong(f"contains a list of more than {VALUES_MAX} values", name_node)
        if sum(isinstance(value, list | dict) for value in values) > OTHERS_MAX:
            raise Wrong(f"contains a list with more than {OTHERS_MAX} lists or sections in it", name_node)
        if not all(map(_is_exact, values)):
            raise Wrong(
                "contains a number of more than 64 bits, which cannot be compared exactly: require another claim",
                name_node,
            )
        try:
            required.append((pointer, tuple(map(compact, values))))
        except Wrong as wrong:
            raise Wrong(str(wrong), name_node) from None
    if len(required) > REQUIRED_MAX:
        raise Wrong(f"contains more than {REQUIRED_MAX} pointers")
    return tuple(required)


def _is_exact(value: object) -> bool:
    """Whether every number in a value can be compared exactly: JSON readers round larger ones."""
    if isinstance(value, list | dict):
        return all(map(_is_exact, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or -NUMBER_MAX <= value < NUMBER_MAX


def _members(node: yaml.Node, example: str) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise Wrong(example)
    return pairs(node)


def _at(node: yaml.Node, read: Callable[[yaml.Node], _T]) -> _T:
    """Read a part of a value. Errors name the part's line."""
    try:
        return read(node)
    except Wrong as wrong:
        raise Wrong(str(wrong), wrong.node or node) from None


_read_list: Final = list_of(Kind(read_text, {"type": ["string"], "enum": PLACES}, str))


@kind("array string", items={"enum": PLACES}, minItems=1, uniqueItems=True)
def read_places(node: yaml.Node) -> tuple[str, ...]:
    """Where a token may stand: header, cookie, query; one or a list."""
    places = _read_list(node)
    if not places or not set(places) <= set(PLACES) or len(set(places)) < len(places):
        raise Wrong("has to be a list of header, cookie and query, each once at most")
    return places


@kind(TEXT, pattern=COOKIE_NAME)
def read_cookie_name(node: yaml.Node) -> str:
    """The name of a cookie. Empty: no cookie."""
    text = read_text(node)
    if not re.fullmatch(COOKIE_NAME, text):
        raise Wrong("has to be a cookie's name: 1 to 128 letters, digits and some marks, as __Host-session")
    return text


@kind(TEXT, pattern=COOKIE_DOMAIN)
def read_cookie_domain(node: yaml.Node) -> str:
    """The domain that a cookie is sent to, with its subdomains."""
    text = read_text(node)
    if not re.fullmatch(COOKIE_DOMAIN, text):
        raise Wrong("has to be a domain, as example.com (punycode for other letters)")
    return text


@kind("string", pattern=COOKIE_PATH)
def read_cookie_path(node: yaml.Node) -> str:
    """The path that a cookie is sent to, with the paths below it."""
    text = read_text(node)
    if not re.fullmatch(COOKIE_PATH, text):
        raise Wrong("has to be a path that starts with /, in printable ASCII, without blanks and ;")
    return text
