"""Interprets complete heads, and checks the rules that httptools leaves to its user. Knows no connection, keeps nothing of a
client.

These rules are sizes of a head, versions, forms of a target, `Host`, framing of a body, and expectations.
"""

from __future__ import annotations

import re
from typing import Final

from txtoken.errors import ProtocolError
from txtoken.http1.messages import Head
from txtoken.memo import Memo

REQUEST_LINE_BYTES_MAX: Final = 16 * 1024  # twice what RFC 9112 §3 asks everybody to accept
LENGTH_DIGITS_MAX: Final = 18

ONLY_THESE_VERSIONS: Final = "only HTTP/1.1 and HTTP/1.0 are served here"
ONLY_CHUNKED: Final = "chunked is the only transfer coding served here"

_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(?::([0-9]*))?")
_ABSOLUTE_FORM: Final = re.compile(rb"[hH][tT][tT][pP][sS]?://([^/?#]+)([/?].*|)", re.DOTALL)

# Valid Host values: the same few repeat with every request, and a look-up is faster than the pattern.
KNOWN_HOSTS_MAX: Final = 64
KNOWN_HOST_BYTES_MAX: Final = 255
_known_hosts: Final[Memo[bytes, bool]] = Memo(KNOWN_HOSTS_MAX)


def check_head_size(text: bytes | bytearray, head_bytes_max: int) -> None:
    """Check a head, or its beginning, against the limits.

    Raises:
        ProtocolError: its first line or all of it is too long.
    """
    if len(text) <= REQUEST_LINE_BYTES_MAX and len(text) <= head_bytes_max:
        return
    line_end = text.find(b"\r\n")
    if line_end < 0:
        line_end = len(text) - 1  # the last byte may be the first of the line's end
    if line_end > REQUEST_LINE_BYTES_MAX:
        raise ProtocolError(414, "uri_too_long", "the request line is too long")
    if len(text) > head_bytes_max:
        raise ProtocolError(431, "head_too_large", "the request's header section is too large")


def read_head(text: bytes, fields: dict[bytes, bytes], *, keep_alive: bool) -> Head:
    """Interpret a complete head that llhttp found well-formed. `fields` become the head's own.

    Raises:
        ProtocolError: it breaks one of the rules.
    """
    method, target, minor_version = _read_request_line(text[: text.find(b"\r\n")])
    if (host := fields.get(b"host")) is not None:
        if _known_hosts.get(host) is None:
            _check_host(host)
    elif minor_version == 1:
        raise ProtocolError(400, "host_missing", "the Host header field is missing")
    path, query = _read_target(method, target, fields)
    content_length = _read_content_length(minor_version, fields)
    expects_continue = False
    if b"expect" in fields and minor_version == 1:
        if fields[b"expect"].lower() != b"100-continue":
            raise ProtocolError(417, "expectation_failed", "the expectation cannot be met")
        expects_continue = content_length != 0
    return Head(
        method,
        path,
        query,
        fields,
        minor_version=minor_version,
        keep_alive=keep_alive,
        content_length=content_length,
        expects_continue=expects_continue,
    )


def _read_request_line(line: bytes) -> tuple[bytes, bytes, int]:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise ProtocolError(400, "bad_request", "malformed request line")
    method, target, version = parts
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise ProtocolError(505, "version_not_supported", ONLY_THESE_VERSIONS)
    return method, target, 1 if version == b"HTTP/1.1" else 0


def _read_target(method: bytes, target: bytes, fields: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Split a request target into path and query, in any of its forms (RFC 9112 §3.2)."""
    if method == b"CONNECT":
        raise ProtocolError(501, "not_implemented", "CONNECT is not served here")
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE_FORM.fullmatch(target)
        if absolute is not None:
            _check_host(absolute[1])
            fields[b"host"] = absolute[1]  # the target's authority replaces the field (RFC 9112 §3.2.2)
            target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
        elif target != b"*" or method != b"OPTIONS":
            raise ProtocolError(400, "bad_target", "malformed request target")
    if b"#" in target:
        raise ProtocolError(400, "bad_target", "a request target has no fragment")
    path, _, query = target.partition(b"?")
    return path, query


def _check_host(host: bytes) -> None:
    match = _HOST.fullmatch(host)
    if match is None or (match[1] and (len(match[1]) > 5 or int(match[1]) > 65535)):
        raise ProtocolError(400, "bad_host", "the Host header field is malformed")
    if len(host) <= KNOWN_HOST_BYTES_MAX:
        _known_hosts.put(host, True)


def _read_content_length(minor_version: int, fields: dict[bytes, bytes]) -> int:
    """Return the body's length in bytes, -1 for a chunked body (RFC 9112 §6)."""
    length = fields.get(b"content-length")
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise ProtocolError(400, "bad_framing", "Content-Length and Transfer-Encoding exclude each other")
        if minor_version == 0:
            raise ProtocolError(400, "bad_framing", "HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise ProtocolError(501, "not_implemented", ONLY_CHUNKED)
        return -1
    if length is None:
        return 0
    if not length.isdigit():
        raise ProtocolError(400, "bad_framing", "malformed Content-Length")
    return int(length) if len(length) <= LENGTH_DIGITS_MAX else 10**LENGTH_DIGITS_MAX
