"""Names of HTTP in the configuration: routes, header fields, origins of web pages. Knows no key's name."""

from __future__ import annotations

import re
from typing import Final

import yaml

from txtoken.config.values import TEXT, Wrong, kind, read_text

RESERVED_ROUTES: Final = ("/livez", "/readyz", "/healthz")
ROUTE: Final = '/[!"$->@-~]*'  # printable ASCII without # and ?
FIELD_NAME: Final = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}"  # RFC 9110 §5.1; the maximum length is ours
FORWARDED_FIELD_NAME: Final = FIELD_NAME.replace("*", "")
ORIGIN: Final = r"\*|[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?"

# Fields that txtoken sets itself, that belong to one connection (RFC 9110 §7.6.1), or that hold the client's credentials.
NEVER_FORWARDED: Final = frozenset(
    (
        *("accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "expect"),
        *("host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent"),
    )
)


@kind(TEXT, pattern=FIELD_NAME, refused=("*",))
def read_script_field_name(node: yaml.Node) -> str:
    """The name of a header field that scripts of web pages may send."""
    text = _field_name(node)
    if text == "*":
        raise Wrong("has to list the header fields: with credentials, browsers treat * as a name", node)
    return text


@kind(TEXT, pattern=FORWARDED_FIELD_NAME)
def read_field_name(node: yaml.Node) -> str:
    """The name of a header field that may be forwarded. `*` is legal in one (RFC 9110 §5.6.2), but not used in practice."""
    text = _field_name(node)
    if "*" in text:
        raise Wrong("contains a *: patterns are not supported, list each field", node)
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
        raise Wrong(f"{text} is in use: it is a health route of the service")
    return text


@kind("string", pattern=ORIGIN)
def read_origin(node: yaml.Node) -> str:
    """An origin as browsers send it (RFC 6454 §6.1), such as `https://app.example.com`, or `*`."""
    text = read_text(node)
    if text == "*":
        return text
    example = "an origin as browsers send it, like https://app.example.com or http://127.0.0.1:3000"
    if text == "null":
        raise Wrong("null is the origin of every page that hides its own, including an attacker's", node)
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
