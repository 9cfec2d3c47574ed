"""`getTokenRoute`: the client's JSON goes to the remote, the remote's reply comes back as a token (contract §3.1).

Knows the contract's bodies and texts. Knows no connections: its caller says where the answer goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from orjson import JSONDecodeError
from orjson import dumps as write_json
from orjson import loads as read_json

from txtoken.clock import Clock
from txtoken.errors import (
    ClaimsUnbuildable,
    NoSigningKey,
    RemoteError,
    RemoteInvalid,
    RemoteOverloaded,
    RemoteStatus,
    TokenTooLarge,
)
from txtoken.http1.messages import Client, Handler, Head, Peer, Pending, Request, Response, response_head
from txtoken.service.answers import CRASHED, NO_STORE, OK_HEAD
from txtoken.service.failures import Failures
from txtoken.service.keys.key import Key
from txtoken.service.success import Success
from txtoken.service.throttle.guard import Guard, throttled
from txtoken.service.throttle.names import NOT_READ
from txtoken.service.throttle.throttle import Attempt
from txtoken.service.tokens.compact import NESTING_MAX, UnusableJson, is_json, read_object
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.upstream.exchange import Exchange, Outcome
from txtoken.service.upstream.remote import Remote
from txtoken.settings import LoginSettings

# Bodies of clients that are looked at: 64 KiB of the densest JSON hold the loop for 4 ms, so longer ones go to the remote as
# they are (contract §1.2 validateBody).
CHECKED_BODY_BYTES_MAX: Final = 64 * 1024
# And those that are looked at once more where orjson refuses them, which is not for all that RFC 8259 allows.
RECHECKED_BODY_BYTES_MAX: Final = 16 * 1024
# Tokens that wait for a thread to sign them. One by RSA with 4096 bits takes 1.5 ms: the last one waits for half a second.
SIGNING_MAX: Final = 512
LARGE_TOKEN_BYTES: Final = 8 * 1024  # past it many servers refuse a request that carries it in a header
REFUSED: Final = 401  # what a reply counts as that `successWhen` does not agree with (contract §1.2)
# Does something that takes long in a thread, and calls back in the loop with what came of it.
InThread = Callable[[Callable[[], bytes], Callable[[bytes | Exception], None]], object]
# Header lines that tell the remote who sent a request, made of its peer and its header fields.
ForwardedLines = Callable[[Peer, Mapping[bytes, bytes]], bytes]
_BAD_REQUEST: Final = response_head(400, NO_STORE)


class Login(Handler):
    """`POST getTokenRoute`: the client's JSON goes to the remote, the remote's reply comes back as a token (§3.1)."""

    __slots__ = (
        "_clock",
        "_failures",
        "_forward",
        "_forwarded_lines",
        "_guard",
        "_in_thread",
        "_issuer",
        "_on_crash",
        "_on_failure",
        "_on_large_token",
        "_remote",
        "_signing",
        "_success",
        "_token_bytes_max",
        "_validate_body",
    )

    def __init__(
        self,
        remote: Remote,
        issuer: TokenIssuer,
        failures: Failures,
        clock: Clock,
        settings: LoginSettings,
        *,
        forwarded_lines: ForwardedLines | None,
        guard: Guard,
        token_bytes_max: int,
        in_thread: InThread,
        on_failure: Callable[[RemoteError], None],
        on_large_token: Callable[[int], None],
        on_crash: Callable[[Exception], None],
    ) -> None:
        self._remote = remote
        self._issuer = issuer
        self._failures = failures
        self._clock = clock
        self._forwarded_lines = forwarded_lines  # of who sent the request, when the remote is to know
        self._guard = guard
        self._forward = tuple(
            {name.lower().encode("ascii"): name.encode("ascii") for name in settings.forward_headers}.items()
        )
        self._validate_body = settings.validate_body
        self._token_bytes_max = token_bytes_max
        # None: every JSON object is a success.
        self._success = Success(settings.success_members) if settings.success_members else None
        self._in_thread = in_thread
        self._signing = 0  # tokens that threads sign at this moment
        self._on_failure = on_failure
        self._on_large_token = on_large_token  # how many bytes one has that is longer than many servers take
        self._on_crash = on_crash

    def handle(self, request: Request, client: Client) -> Pending | None:
        body, document = request.body, NOT_READ
        if self._validate_body and len(body) <= CHECKED_BODY_BYTES_MAX:
            try:
                document = read_json(body)
            except JSONDecodeError as wrong:
                if len(body) > RECHECKED_BODY_BYTES_MAX or not is_json(body):
                    client.respond(_not_json(wrong))
                    return None
        if not self._issuer.can_sign(self._clock.second):
            client.respond(self._explain(NoSigningKey(), None))
            return None
        if self._signing >= SIGNING_MAX:
            client.respond(
                self._explain(RemoteOverloaded("overloaded", "too many tokens are waiting to be signed"), None)
            )
            return None
        lines = b""
        fields = request.head.fields
        for name, written in self._forward:
            if name in fields and not _is_of_connection(fields, name):
                lines += b"%b: %b\r\n" % (written, fields[name])
        if self._forwarded_lines is not None:
            lines += self._forwarded_lines(client.peer(), fields)
        login = LoginExchange(self, client, lines, body)
        doorman = self._guard.doorman
        if doorman is not None:
            login.attempt = attempt = doorman.begin(client.address(), fields, body, document)
            if attempt.wait_s:
                client.respond(throttled(attempt.wait_s))
                return None
        try:
            self._remote.post(login)
        except RemoteOverloaded as error:
            self._guard.take_back(login.attempt)
            client.respond(self._explain(error, None))
            return None
        return login

    def waits(self, head: Head) -> bool:
        return True

    def conclude(self, login: LoginExchange, outcome: Outcome, remote_s: float) -> None:
        """Answer a login whose outcome is there, `remote_s` seconds after the remote was asked: at once, or when its token was
        signed in a thread.
        """
        try:
            response = self._answer(login, outcome, remote_s)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the client without an answer
            self._guard.take_back(login.attempt)
            self._on_crash(error)
            response = CRASHED
        if response is not None:
            login.client.respond(response)

    def cancel(self, login: LoginExchange) -> None:
        """Give up a login whose client is gone, or was answered."""
        self._guard.abandon(login.attempt, was_sent=login.connection_number != 0)
        self._remote.cancel(login)

    def _answer(self, login: LoginExchange, outcome: Outcome, remote_s: float) -> Response | None:
        """Return the answer. None: a thread signs the token, and answers then."""
        if not isinstance(outcome, bytes):
            return self._fail(login, outcome, remote_s)
        try:
            reply, data = read_object(outcome, NESTING_MAX)
        except UnusableJson as unusable:
            return self._fail(login, RemoteInvalid("bad_json", str(unusable)), remote_s)
        if self._success is not None and not self._success.agrees(reply):
            return self._fail(login, RemoteStatus(REFUSED, body=outcome), remote_s)
        try:
            signing_input = self._issuer.signing_input(data, self._clock.second, reply)
        except (ClaimsUnbuildable, NoSigningKey) as error:
            return self._fail(login, error, remote_s)
        self._guard.succeed(login.attempt)
        key = self._issuer.key
        if key.is_slow:
            self._sign_in_thread(login, key, signing_input, remote_s)
            return None
        return self._hand_out(b"".join((signing_input, b".", key.sign(signing_input))), remote_s)

    def _hand_out(self, token: bytes, remote_s: float) -> Response:
        size = len(token)
        if size > self._token_bytes_max:
            return self._explain(TokenTooLarge(size, self._token_bytes_max), remote_s)
        if size > LARGE_TOKEN_BYTES:
            self._on_large_token(size)
        return Response(200, OK_HEAD, b"".join((b'{"token":"', token, b'"}')), remote_s=remote_s)

    def _sign_in_thread(self, login: LoginExchange, key: Key, signing_input: bytes, remote_s: float) -> None:
        """Sign in a thread, which the library does without holding the loop, and answer then."""

        def conclude(signature: bytes | Exception) -> None:
            self._signing -= 1
            if login.is_cancelled:
                return
            if isinstance(signature, bytes):
                response = self._hand_out(b"".join((signing_input, b".", signature)), remote_s)
            else:
                self._on_crash(signature)
                response = CRASHED
            login.client.respond(response)

        self._signing += 1
        self._in_thread(lambda: key.sign(signing_input), conclude)

    def _fail(self, login: LoginExchange, error: RemoteError, remote_s: float) -> Response:
        self._guard.fail(login.attempt, error)
        return self._explain(error, remote_s)

    def _explain(self, error: RemoteError, remote_s: float | None) -> Response:
        self._on_failure(error)
        return self._failures.answer(error, self._clock.second, remote_s)


class LoginExchange(Exchange):
    """One client's login on its way."""

    __slots__ = ("_handler", "attempt", "client", "is_cancelled")

    def __init__(self, handler: Login, client: Client, lines: bytes, body: bytes) -> None:
        super().__init__(lines, body)
        self._handler = handler
        self.client = client
        self.attempt: Attempt | None = None  # where there is a throttle
        self.is_cancelled = False  # the client is gone, or has been answered

    def conclude(self, outcome: Outcome, seconds: float) -> None:
        self._handler.conclude(self, outcome, seconds)

    def cancel(self) -> None:
        self.is_cancelled = True
        self._handler.cancel(self)


def _is_of_connection(fields: Mapping[bytes, bytes], name: bytes) -> bool:
    """Whether the client says that a field is for this connection alone (RFC 9110 §7.6.1)."""
    connection = fields.get(b"connection")
    return connection is not None and name in {option.strip() for option in connection.lower().split(b",")}


def _not_json(error: JSONDecodeError) -> Response:
    # The parser's message names the place and never quotes the text.
    body = write_json({"message": "Request body is not valid JSON.", "error": str(error)})
    return Response(400, _BAD_REQUEST, body, error="bad_body")
