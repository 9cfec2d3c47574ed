"""`getTokenRoute`: the client's JSON goes to the remote, the remote's reply comes back as a token (contract §3.1).

Knows the contract's bodies and texts. Knows no connections: its caller says where the answer goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from orjson import JSONDecodeError
from orjson import dumps as write_json
from orjson import loads as read_json

from txtoken.clock import Clock
from txtoken.compiling import mypyc_attr
from txtoken.errors import ClaimsUnbuildable, NoSigningKey, RemoteError, RemoteOverloaded
from txtoken.http1.messages import Client, Handler, Head, Pending, Request, Response, response_head
from txtoken.service.answers import CRASHED, NO_STORE
from txtoken.service.cookies import TokenCookie
from txtoken.service.failures import Failures
from txtoken.service.forwarded import ForwardedLines, Forwarding
from txtoken.service.issuance import InThread, Issuance, Order
from txtoken.service.replies import ReplyReader
from txtoken.service.success import Success
from txtoken.service.throttle.guard import Guard, throttled
from txtoken.service.throttle.names import NOT_READ
from txtoken.service.throttle.throttle import Attempt
from txtoken.service.tokens.compact import is_json, is_plain_object
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.upstream.exchange import Outcome
from txtoken.service.upstream.remote import Remote
from txtoken.settings import LoginSettings

# The largest body that is checked: 64 KiB of the densest JSON block the loop for 4 ms. Longer bodies are forwarded unchecked
# (contract §1.2 validateBody).
CHECKED_BODY_BYTES_MAX: Final = 64 * 1024
# The largest body that is checked again if orjson rejects it: orjson does not accept everything that RFC 8259 allows.
RECHECKED_BODY_BYTES_MAX: Final = 16 * 1024
_BAD_REQUEST: Final = response_head(400, NO_STORE)


class Login(Handler):
    """`POST getTokenRoute`: the client's JSON goes to the remote, the remote's reply comes back as a token (§3.1)."""

    __slots__ = (
        "_clock",
        "_forwarding",
        "_guard",
        "_issuer",
        "_on_crash",
        "_remote",
        "_replies",
        "_validate_body",
        "issuance",
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
        cookie: TokenCookie | None = None,
    ) -> None:
        self._remote = remote
        self._issuer = issuer
        self._clock = clock
        self._forwarding = Forwarding(settings.forward_headers, forwarded_lines)
        self._guard = guard
        self._validate_body = settings.validate_body
        success = Success(settings.success_members) if settings.success_members else None
        self._replies = ReplyReader(success, issuer)
        self._on_crash = on_crash
        self.issuance = Issuance(
            issuer,
            failures,
            clock,
            cookie=cookie,
            token_bytes_max=token_bytes_max,
            in_thread=in_thread,
            on_failure=on_failure,
            on_large_token=on_large_token,
            on_crash=on_crash,
        )

    def handle(self, request: Request, client: Client) -> Pending | None:
        body, document = request.body, NOT_READ
        login_throttle = self._guard.login_throttle
        if (
            self._validate_body
            and len(body) <= CHECKED_BODY_BYTES_MAX
            and (login_throttle is not None or not is_plain_object(body))
        ):
            try:
                document = read_json(body)
            except JSONDecodeError as wrong:
                if len(body) > RECHECKED_BODY_BYTES_MAX or not is_json(body):
                    client.respond(_not_json(wrong))
                    return None
        refusal = self.issuance.refusal()
        if refusal is not None:
            client.respond(refusal)
            return None
        fields = request.head.fields
        login = LoginExchange(self, client, self._forwarding.lines(fields, client), body)
        if login_throttle is not None:
            login.attempt = attempt = login_throttle.begin(client.address(), fields, body, document)
            if attempt.wait_s:
                client.respond(throttled(attempt.wait_s))
                return None
        try:
            self._remote.post(login)
        except RemoteOverloaded as error:
            self._guard.take_back(login.attempt)
            client.respond(self.issuance.explain(error, None))
            return None
        return login

    def waits(self, head: Head) -> bool:
        return True

    def conclude(self, login: LoginExchange, outcome: Outcome, remote_s: float) -> None:
        """Answer a login that has its outcome, `remote_s` seconds after it was sent to the remote: at once, or after a thread has
        signed the token.
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
        """Cancel a login whose client is gone."""
        self._guard.abandon(login.attempt, was_sent=login.connection_number != 0)
        self._remote.cancel(login)

    def withdraw(self, login: LoginExchange) -> None:
        """Cancel a login for which the service has no room."""
        self._guard.take_back(login.attempt)
        self._remote.cancel(login)

    def _answer(self, login: LoginExchange, outcome: Outcome, remote_s: float) -> Response | None:
        """Return the answer. None: a thread signs the token, and the answer follows."""
        read = self._replies.read(outcome)
        if isinstance(read, RemoteError):
            return self._fail(login, read, remote_s)
        reply, data = read
        try:
            signing_input = self._issuer.signing_input(data, self._clock.second, reply)
        except (ClaimsUnbuildable, NoSigningKey) as error:
            return self._fail(login, error, remote_s)
        self._guard.succeed(login.attempt)
        issuer = self._issuer
        return self.issuance.hand_out(login, issuer.key, signing_input, issuer.expires, remote_s)

    def _fail(self, login: LoginExchange, error: RemoteError, remote_s: float) -> Response:
        self._guard.fail(login.attempt, error)
        return self.issuance.explain(error, remote_s)


@mypyc_attr(free_list_len=1)  # as `Request`
class LoginExchange(Order):
    """One client's login in progress."""

    __slots__ = ("_handler", "attempt")

    def __init__(self, handler: Login, client: Client, lines: bytes, body: bytes) -> None:
        super().__init__(client, lines, body)
        self._handler = handler
        self.attempt: Attempt | None = None  # if there is a throttle

    def conclude(self, outcome: Outcome, seconds: float) -> None:
        self._handler.conclude(self, outcome, seconds)

    def cancel(self) -> None:
        self.is_cancelled = True
        self._handler.cancel(self)

    def withdraw(self) -> None:
        self.is_cancelled = True
        self._handler.withdraw(self)


def _not_json(error: JSONDecodeError) -> Response:
    # The parser's message names the place and never quotes the text.
    body = write_json({"message": "Request body is not valid JSON.", "error": str(error)})
    return Response(400, _BAD_REQUEST, body, error="bad_body")
