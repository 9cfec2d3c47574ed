"""Requests and responses as values, and the writing of responses. Reads no bytes and no socket.

A `Head` is the meaning of one head section. It is immutable, and many requests may share it: clients that keep a connection
repeat their head byte for byte.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from txtoken.compiling import mypyc_attr
from txtoken.errors import ProtocolError


class Head:
    """One request's head: `method`, `path` and `query` as sent (bytes, not decoded), `fields` by lower-case name.

    Repeated fields are joined with a comma, `Cookie` with a semicolon (RFC 9110 §5.3, RFC 6265 §5.4). `content_length` is
    in bytes, and -1 means chunked. `keep_alive` says whether the connection outlives this request (RFC 9112 §9.3). `token` is
    the token in the Authorization field, empty without one; it is found once for a repeated head (0.2 µs of a check).
    """

    __slots__ = (
        "content_length",
        "expects_continue",
        "fields",
        "keep_alive",
        "method",
        "minor_version",
        "path",
        "query",
        "token",
    )

    def __init__(
        self,
        method: bytes,
        path: bytes,
        query: bytes,
        fields: dict[bytes, bytes],
        *,
        minor_version: int,
        keep_alive: bool,
        content_length: int,
        expects_continue: bool,
        token: bytes | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.fields = fields
        self.minor_version = minor_version
        self.keep_alive = keep_alive
        self.content_length = content_length
        self.expects_continue = expects_continue
        self.token = _bearer_token(fields.get(b"authorization", b"")) if token is None else token

    def with_authorization(self, value: bytes, token: bytes | None = None) -> Head:
        """Return this head with another Authorization field, in which this is the token, if that is known."""
        fields = self.fields.copy()
        fields[b"authorization"] = value
        return Head(
            self.method,
            self.path,
            self.query,
            fields,
            minor_version=self.minor_version,
            keep_alive=self.keep_alive,
            content_length=self.content_length,
            expects_continue=self.expects_continue,
            token=token,
        )


def _bearer_token(authorization: bytes) -> bytes:
    """Take the token from an Authorization field. The scheme is case-insensitive, and optional as in the original."""
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    return b"" if authorization.lower() == b"bearer" else authorization


class Peer:
    """The other end of a connection: `address` as the kernel reports it, or `UNIX` or `UNKNOWN`; `scheme` is http or https."""

    __slots__ = ("address", "scheme")

    def __init__(self, address: str, scheme: str) -> None:
        self.address = address
        self.scheme = scheme


UNIX: Final = "unix"  # in place of the address of a Unix socket's client
UNKNOWN: Final = "-"  # in place of the address of a client that is already gone


# Compiled, the last one that was freed is used again.
@mypyc_attr(free_list_len=1)
class Request:
    """A complete request: its head and its whole body."""

    __slots__ = ("body", "head")

    def __init__(self, head: Head, body: bytes) -> None:
        self.head = head
        self.body = body


_PHRASES: Final = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}


def response_head(status: int, *lines: bytes, content_type: bytes = b"application/json; charset=utf-8") -> bytes:
    """Write the constant part of a response's head: status line, Content-Type, `lines` (without line ends).

    Made once at start; `render` adds the variable part. Without content, pass an empty `content_type`. A status without a phrase
    is written without one (RFC 9112 §4).
    """
    parts = [b"HTTP/1.1 %d %b" % (status, _PHRASES.get(status, b"")), *lines]
    if content_type:
        parts.insert(1, b"Content-Type: " + content_type)
    return b"\r\n".join(parts) + b"\r\n"


@mypyc_attr(free_list_len=1)  # as `Request`
class Response:
    """What a handler answers. `head` comes from `response_head`, `body` is bytes ready to send.

    For the access line: `error` is the stable code of a failure, `remote_s` how long the remote took in seconds.
    """

    __slots__ = ("body", "error", "head", "remote_s", "status")

    is_logged = True

    def __init__(
        self, status: int, head: bytes, body: bytes, *, error: str | None = None, remote_s: float | None = None
    ) -> None:
        self.status = status
        self.head = head
        self.body = body
        self.error = error
        self.remote_s = remote_s

    def with_lines(self, lines: bytes) -> Response:
        """Return this response with more header `lines`, each with its line end."""
        return Response(self.status, self.head + lines, self.body, error=self.error, remote_s=self.remote_s)


class UnloggedResponse(Response):
    """A response without an access line: probes come every second, and show nothing about the service's users."""

    __slots__ = ()

    is_logged = False

    def with_lines(self, lines: bytes) -> UnloggedResponse:
        """Return this response with more header `lines`, still unlogged."""
        return UnloggedResponse(self.status, self.head + lines, self.body, error=self.error, remote_s=self.remote_s)


NO_CONTENT: Final = 204
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE_LINE: Final = b"Connection: close\r\n"
KEEP_ALIVE_LINE: Final = b"Connection: keep-alive\r\n"


def render(response: Response, date_line: bytes, connection_line: bytes = b"", *, with_body: bool = True) -> bytes:
    """Write a response as one bytes object, for a single `write` (one packet, one system call).

    `connection_line` is `CLOSE_LINE`, `KEEP_ALIVE_LINE` (for HTTP/1.0) or nothing. Without the body, for HEAD, the head
    stays exactly the same (RFC 9110 §9.3.2). A 204 has neither a body nor a length (§8.6).
    """
    body = response.body
    end = end_of_head(len(body)) if body or response.status != NO_CONTENT else b"\r\n"
    return b"".join((response.head, date_line, connection_line, end, body if with_body else b""))


WRITTEN_LENGTHS: Final = 1024  # nearly every body is shorter than this
_ENDS_OF_HEADS: Final = [b"Content-Length: %d\r\n\r\n" % length for length in range(WRITTEN_LENGTHS)]


def end_of_head(length: int) -> bytes:
    """Write the last line of a head, the Content-Length, and the empty line after it."""
    return _ENDS_OF_HEADS[length] if length < WRITTEN_LENGTHS else b"Content-Length: %d\r\n\r\n" % length


# These are classes and not Protocols, because mypyc calls a class's methods directly, and a Protocol's by name.


@mypyc_attr(allow_interpreted_subclasses=True)
class Client:
    """The client of a request, as handlers see it."""

    __slots__ = ()

    def respond(self, response: Response) -> None:
        """Send the answer to the request."""
        raise NotImplementedError

    def address(self) -> str:
        """Return the peer's address, as in `Peer`."""
        raise NotImplementedError

    def peer(self) -> Peer:
        """Return the other end of the connection."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Pending:
    """An answer that comes later."""

    __slots__ = ()

    def cancel(self) -> None:
        """Cancel it: the client is no longer answered."""
        raise NotImplementedError

    def withdraw(self) -> None:
        """Cancel it because the service has no room for it, without a fault of the client."""
        self.cancel()


def has_idle_body(head: Head) -> bool:
    """Whether the request's method gives its body no meaning."""
    return head.method == b"GET" or head.method == b"HEAD"


@mypyc_attr(allow_interpreted_subclasses=True)
class Handler:
    """Answers the requests of one route."""

    __slots__ = ()

    def handle(self, request: Request, client: Client) -> Pending | None:
        """Answer the client exactly once: before returning None, or later, having returned a `Pending`."""
        raise NotImplementedError

    def waits(self, head: Head) -> bool:
        """Whether answers come later: such a request does not start for a client that has left."""
        return False

    def waits_for_body(self, head: Head) -> bool:
        """Whether a request is answered after its body, or at the end of its head, whatever body it announces.

        A body of GET and HEAD has no meaning (RFC 9110 §9.3.1), and may never arrive: nginx's `auth_request` announces the body
        of another request.
        """
        return not has_idle_body(head)

    def is_for_pages(self) -> bool:
        """Whether `cors` decides which web pages may read the answers. If not, the answers decide themselves."""
        return True


@mypyc_attr(allow_interpreted_subclasses=True)
class Router:
    """Finds the handler of a request. Every head has a handler: unknown paths and wrong methods are routes too."""

    __slots__ = ()

    def find(self, head: Head) -> Handler:
        """Return the handler of this request."""
        raise NotImplementedError

    def waits(self, head: Head) -> bool:
        """Whether the answer to this request comes later. As `Handler.waits`."""
        return False

    def waits_for_body(self, head: Head) -> bool:
        """Whether this request is answered after its body. As `Handler.waits_for_body`."""
        return not has_idle_body(head)

    def refusal(self, error: ProtocolError, head: Head | None = None) -> Response:
        """Return the answer to bytes that are not a request that we serve, or to a request without room: then `head` is its head,
        if known.
        """
        raise NotImplementedError

    def failure(self, error: Exception) -> Response:
        """Return the answer to a request that made this program fail."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Observer:
    """Receives every response of a server, and every client without one, to log and count them."""

    __slots__ = ()

    def note(self, head: Head | None, response: Response, elapsed_s: float, client: Client) -> None:
        """Receive a response. `head` is None if the client's bytes were not a request, `elapsed_s` is the time since the request
        was complete.
        """
        raise NotImplementedError

    def note_unanswered(self, head: Head | None, outcome: Response, elapsed_s: float, client: Client) -> None:
        """Receive a client without a response. `outcome` says why, and is never sent; otherwise as `note`."""
        raise NotImplementedError
