"""`refresh.route` renews a token within its session; the path below it clears the session's cookie (contract §3.6). Judges no
token itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from txtoken.clock import Clock
from txtoken.errors import NoSigningKey, RemoteError, RemoteOverloaded, TokenError
from txtoken.http1.messages import Client, Handler, Head, Pending, Request, Response, response_head
from txtoken.service.answers import CRASHED, NO_STORE
from txtoken.service.cookies import TokenCookie
from txtoken.service.forwarded import Forwarding
from txtoken.service.issuance import Issuance, Order
from txtoken.service.presented import cookie_token, presented_token
from txtoken.service.refusals import Refusals
from txtoken.service.replies import ReplyReader
from txtoken.service.sites import FOREIGN, Sites
from txtoken.service.tokens.memory import Verdict
from txtoken.service.tokens.sessions import Session, SessionIssuer, session_of
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.service.upstream.exchange import Outcome
from txtoken.service.upstream.remote import Remote
from txtoken.settings import RefreshSettings

_CLEARED: Final = response_head(204, NO_STORE, content_type=b"")


class Renewed:
    """Counts tokens that were renewed with the remote's consent, over all configurations of a process."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class CookieRules:
    """The cookie that may contain a token, and the sites that may use it. `name` is its name."""

    __slots__ = ("name", "sites")

    def __init__(self, name: str, sites: Sites) -> None:
        self.name = name.encode("ascii")
        self.sites = sites


class Asked:
    """The remote that decides about renewals, by the data claim of this name. `replies` reads what it answers."""

    __slots__ = ("data_claim", "forwarding", "remote", "renewed", "replies")

    def __init__(
        self, remote: Remote, data_claim: str, forwarding: Forwarding, replies: ReplyReader, renewed: Renewed
    ) -> None:
        self.remote = remote
        self.data_claim = data_claim
        self.forwarding = forwarding
        self.replies = replies
        self.renewed = renewed


class Refresh(Handler):
    """`POST refresh.route`: the next token of a session. `asked` and `cookie` are None if not configured."""

    __slots__ = (
        "_asked",
        "_clock",
        "_cookie",
        "_issuance",
        "_issuer",
        "_on_crash",
        "_refusals",
        "_settings",
        "_verifier",
    )

    def __init__(
        self,
        settings: RefreshSettings,
        verifier: TokenVerifier,
        issuer: SessionIssuer,
        issuance: Issuance,
        clock: Clock,
        *,
        asked: Asked | None,
        cookie: CookieRules | None,
        on_crash: Callable[[Exception], None],
    ) -> None:
        self._settings = settings
        self._verifier = verifier
        self._issuer = issuer
        self._issuance = issuance
        self._clock = clock
        self._asked = asked
        self._cookie = cookie
        self._on_crash = on_crash
        self._refusals = Refusals()

    def handle(self, request: Request, client: Client) -> Pending | None:
        token, is_allowed = self._presented(request, client)
        if not token:
            client.respond(self._refusals.no_token)
            return None
        if not is_allowed:
            client.respond(FOREIGN)
            return None
        refusal = self._issuance.refusal()
        if refusal is not None:
            client.respond(refusal)
            return None
        now = self._clock.second
        try:
            verdict = self._verifier.verify_late(token, now, self._settings.grace_s)
            session = session_of(verdict, self._settings.max_session_s, now)
            if self._asked is not None:
                return self._ask(self._asked, verdict, session, request, client)
        except TokenError as error:
            client.respond(self._refusals.of(error))
            return None
        renewal = Renewal(self, client, verdict, session, b"", b"")
        response = self._renew(renewal, None, b"", None)
        if response is None:
            return renewal
        client.respond(response)
        return None

    def waits(self, head: Head) -> bool:
        return True

    def conclude(self, renewal: Renewal, outcome: Outcome, remote_s: float) -> None:
        """Answer a renewal `remote_s` seconds after it was sent to the remote: at once, or after a thread has signed the
        token.
        """
        try:
            response = self._answer(renewal, outcome, remote_s)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the client without an answer
            self._on_crash(error)
            response = CRASHED
        if response is not None:
            renewal.client.respond(response)

    def cancel(self, renewal: Renewal) -> None:
        """Cancel a renewal whose client is gone, or has its answer."""
        if self._asked is not None:
            self._asked.remote.cancel(renewal)

    def _presented(self, request: Request, client: Client) -> tuple[bytes, bool]:
        """Find the token, and check that its page may use the cookie: the answer sets it, and with the cookie a page needs no
        token of its own.
        """
        token, cookie = presented_token(request), self._cookie
        if cookie is None:
            return token, True
        if token:
            return token, cookie.sites.may_log_in(request.head, client)
        return cookie_token(request.head, cookie.name), cookie.sites.may_use_cookie(request.head, client)

    def _ask(
        self, asked: Asked, verdict: Verdict, session: Session, request: Request, client: Client
    ) -> Pending | None:
        lines = asked.forwarding.lines(request.head.fields, client)
        renewal = Renewal(self, client, verdict, session, lines, session.data(asked.data_claim))
        try:
            asked.remote.post(renewal)
        except RemoteOverloaded as error:
            client.respond(self._issuance.explain(error, None))
            return None
        return renewal

    def _answer(self, renewal: Renewal, outcome: Outcome, remote_s: float) -> Response | None:
        """Return the answer. None: a thread signs the token, and the answer follows."""
        assert self._asked is not None
        read = self._asked.replies.read(outcome)
        if isinstance(read, RemoteError):
            return self._issuance.explain(read, remote_s)
        reply, text = read
        response = self._renew(renewal, reply, text, remote_s)
        if response is None or response.error is None:
            self._asked.renewed.count += 1
        return response

    def _renew(
        self, renewal: Renewal, reply: Mapping[str, Any] | None, text: bytes, remote_s: float | None
    ) -> Response | None:
        """Sign the next token, with this reply as its data if there is one. None: a thread signs it, and the answer follows."""
        issuer, now = self._issuer, self._clock.second
        try:
            if remote_s is not None:  # time has passed at the remote
                renewal.session.check_end(now)
                self._verifier.verify_again(renewal.verdict, now)
            signing_input, expires = issuer.renew(renewal.session, now, reply, text)
        except TokenError as error:
            return self._refusals.of(error)
        except NoSigningKey as none:
            return self._issuance.explain(none, remote_s)
        return self._issuance.hand_out(renewal, issuer.key, signing_input, expires, remote_s)


class Renewal(Order):
    """One client's renewal in progress, with the exchange with the remote if there is one."""

    __slots__ = ("_handler", "session", "verdict")

    def __init__(
        self, handler: Refresh, client: Client, verdict: Verdict, session: Session, lines: bytes, body: bytes
    ) -> None:
        super().__init__(client, lines, body)
        self._handler = handler
        self.verdict = verdict
        self.session = session

    def conclude(self, outcome: Outcome, seconds: float) -> None:
        self._handler.conclude(self, outcome, seconds)

    def cancel(self) -> None:
        self.is_cancelled = True
        self._handler.cancel(self)


class End(Handler):
    """`POST <refresh.route>/end`: clears the browser's cookie. The token in it stays valid until it expires."""

    __slots__ = ("_cleared", "_sites")

    def __init__(self, cookie: TokenCookie, sites: Sites) -> None:
        self._sites = sites
        self._cleared = Response(204, _CLEARED + cookie.clear(), b"")

    def handle(self, request: Request, client: Client) -> None:
        client.respond(self._cleared if self._sites.may_use_cookie(request.head, client) else FOREIGN)
