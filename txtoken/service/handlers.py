"""One class a route: what a request for a token, a check of one, or a look at the service's health is answered with.

Knows the contract's bodies and texts (§3). Knows no connections: whoever calls it says where the answer goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from orjson import JSONDecodeError
from orjson import dumps as write_json
from orjson import loads as read_json

from txtoken.clock import Clock
from txtoken.errors import RemoteError, RemoteInvalid, RemoteOverloaded, TokenError
from txtoken.http1.messages import (
    Client,
    Handler,
    Head,
    Peer,
    Pending,
    Request,
    Response,
    UnloggedResponse,
    response_head,
)
from txtoken.service.failures import NO_STORE, Failures
from txtoken.service.remote import Exchange, Outcome, Remote
from txtoken.service.tokens import NO_TOKEN, TokenIssuer, TokenVerifier, UnusableJson, compact_object

FORM_FIELDS_MAX: Final = 1000
_OK: Final = response_head(200, NO_STORE)
_BAD_REQUEST: Final = response_head(400, NO_STORE)


def error_response(status: int, code: str, text: str, *lines: bytes) -> Response:
    """Make the answer `{"error": text}`, with more header `lines` where the status wants them."""
    return Response(status, response_head(status, NO_STORE, *lines), write_json({"error": text}), error=code)


CRASHED: Final = error_response(500, "internal", "the service failed to answer")


class Fixed(Handler):
    """Always the same answer."""

    __slots__ = ("_response",)

    def __init__(self, response: Response) -> None:
        self._response = response

    def handle(self, request: Request, client: Client) -> None:
        client.respond(self._response)


class Health(Handler):
    """`/livez`, `/readyz`, `/healthz`: 200 or 503, asked anew each time."""

    __slots__ = ("_good", "_is_good", "_not_good")

    def __init__(self, is_good: Callable[[], bool]) -> None:
        self._is_good = is_good
        self._good = UnloggedResponse(200, _OK, b'{"status":"ok"}')
        self._not_good = UnloggedResponse(503, response_head(503, NO_STORE), b'{"status":"not ready"}')

    def handle(self, request: Request, client: Client) -> None:
        client.respond(self._good if self._is_good() else self._not_good)


class Metrics(Handler):
    """`/metrics`: text that is written anew each time."""

    __slots__ = ("_head", "_render")

    def __init__(self, render: Callable[[], bytes], content_type: str) -> None:
        self._render = render
        self._head = response_head(200, NO_STORE, content_type=content_type.encode("ascii"))

    def handle(self, request: Request, client: Client) -> None:
        client.respond(UnloggedResponse(200, self._head, self._render()))


class GetToken(Handler):
    """`POST getTokenRoute`: the client's JSON goes to the remote, the remote's reply comes back as a token (§3.1)."""

    __slots__ = (
        "_clock",
        "_failures",
        "_forward",
        "_forwarded_lines",
        "_issuer",
        "_on_crash",
        "_on_failure",
        "_remote",
        "_validate_body",
    )

    def __init__(
        self,
        remote: Remote,
        issuer: TokenIssuer,
        failures: Failures,
        clock: Clock,
        *,
        forward_headers: Sequence[str],
        forwarded_lines: Callable[[Peer, Mapping[bytes, bytes]], bytes] | None,
        validate_body: bool,
        on_failure: Callable[[RemoteError], None],
        on_crash: Callable[[Exception], None],
    ) -> None:
        self._remote = remote
        self._issuer = issuer
        self._failures = failures
        self._clock = clock
        self._forwarded_lines = forwarded_lines  # of who sent the request, when the remote is to know
        self._forward = tuple({name.lower().encode("ascii"): name.encode("ascii") for name in forward_headers}.items())
        self._validate_body = validate_body
        self._on_failure = on_failure
        self._on_crash = on_crash

    def handle(self, request: Request, client: Client) -> Pending | None:
        if self._validate_body:
            try:
                read_json(request.body)
            except JSONDecodeError as error:
                client.respond(_not_json(error))
                return None
        lines = b""
        fields = request.head.fields
        for name, written in self._forward:
            if name in fields and not _is_of_connection(fields, name):
                lines += b"%b: %b\r\n" % (written, fields[name])
        if self._forwarded_lines is not None:
            lines += self._forwarded_lines(client.peer(), fields)
        login = _Login(self, client, lines, request.body)
        try:
            self._remote.post(login)
        except RemoteOverloaded as error:
            client.respond(self._explain(error, None))
            return None
        return login

    def waits(self, head: Head) -> bool:
        return True

    def answer(self, outcome: Outcome, remote_s: float) -> Response:
        """Return what the client is told when the remote's outcome is there, `remote_s` seconds after it was asked."""
        try:
            return self._answer(outcome, remote_s)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the client without an answer
            self._on_crash(error)
            return CRASHED

    def _answer(self, outcome: Outcome, remote_s: float) -> Response:
        if not isinstance(outcome, bytes):
            return self._explain(outcome, remote_s)
        try:
            data = compact_object(outcome)
        except UnusableJson as error:
            return self._explain(RemoteInvalid("bad_json", str(error)), remote_s)
        token = self._issuer.issue(data, self._clock.second)
        return Response(200, _OK, b"".join((b'{"token":"', token, b'"}')), remote_s=remote_s)

    def _explain(self, error: RemoteError, remote_s: float | None) -> Response:
        self._on_failure(error)
        return self._failures.answer(error, self._clock.second, remote_s)


class _Login(Exchange):
    """One client's login on its way."""

    __slots__ = ("_client", "_handler")

    def __init__(self, handler: GetToken, client: Client, lines: bytes, body: bytes) -> None:
        super().__init__(lines, body)
        self._handler = handler
        self._client = client

    def conclude(self, outcome: Outcome, seconds: float) -> None:
        self._client.respond(self._handler.answer(outcome, seconds))


class CheckToken(Handler):
    """`GET` or `POST checkTokenRoute`: is this token valid, and what does it say (§3.2)?"""

    __slots__ = ("_clock", "_refusals", "_verifier")

    def __init__(self, verifier: TokenVerifier, clock: Clock) -> None:
        self._verifier = verifier
        self._clock = clock
        self._refusals: dict[str, Response] = {}

    def handle(self, request: Request, client: Client) -> None:
        try:
            token = presented_token(request)
            if not token:
                raise NO_TOKEN
            verdict = self._verifier.verify(token, self._clock.second)
        except TokenError as error:
            client.respond(self._refuse(error))
        else:
            client.respond(Response(200, _OK, verdict.body))

    def _refuse(self, error: TokenError) -> Response:
        response = self._refusals.get(error.code)
        if response is None:
            challenge = b"WWW-Authenticate: Bearer"
            if error.code != NO_TOKEN.code:
                challenge += b' error="invalid_token"'  # RFC 6750 §3.1
            response = self._refusals[error.code] = error_response(401, error.code, error.public, challenge)
        return response


def _is_of_connection(fields: Mapping[bytes, bytes], name: bytes) -> bool:
    """Whether the client says that a field is for this connection alone (RFC 9110 §7.6.1)."""
    connection = fields.get(b"connection")
    return connection is not None and name in {option.strip() for option in connection.lower().split(b",")}


def presented_token(request: Request) -> bytes:
    """Find the token that a client presents, in the contract's order (§3.2). Empty when there is none."""
    head = request.head
    token = head.token
    if not token and head.query:
        token = _form_member(head.query, "access_token")
    if not token and request.body and head.method == b"POST":
        token = _body_token(request)
    return token


def _body_token(request: Request) -> bytes:
    media_type = request.head.fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    body = request.body
    if media_type == b"application/x-www-form-urlencoded":
        return _form_member(body, "access_token") or _form_member(body, "token")
    try:
        members = read_json(body)
    except JSONDecodeError:
        return b""
    if isinstance(members, dict):
        for name in ("access_token", "token"):
            value = members.get(name)
            if isinstance(value, str) and value:
                return value.encode()
    return b""


def _form_member(text: bytes, name: str) -> bytes:
    """Return the first value of this name in form-encoded text (a query or a body). Broken text holds nothing."""
    if name.encode() not in text:
        return b""  # 5 000 parameters of something else are not worth taking apart
    try:
        pairs = parse_qsl(text.decode("utf-8", "surrogateescape"), max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        return b""
    value = next((value for key, value in pairs if key == name), "")
    return value.encode("utf-8", "surrogateescape")


def _not_json(error: JSONDecodeError) -> Response:
    # The parser's message names the place and never quotes the text.
    body = write_json({"message": "Request body is not valid JSON.", "error": str(error)})
    return Response(400, _BAD_REQUEST, body, error="bad_body")
