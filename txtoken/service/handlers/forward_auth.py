"""Forward-auth routes: decide for a proxy whether a request may pass, and whose it is (contract §3.5). Judges no token itself.

Only the token decides: no header of the proxy, no path, no user agent, no method. Every failure is answered with 401 or 403,
which every proxy treats as a rejection. Some proxies let a request pass when they get a 5xx.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from txtoken.clock import Clock
from txtoken.errors import TokenError
from txtoken.http1.messages import Client, Handler, Head, Request, Response, response_head
from txtoken.service.answers import NO_STORE, error_response
from txtoken.service.identity import IDENTITY_BYTES_MAX, Identity, TooLarge
from txtoken.service.presented import cookie_token, query_token
from txtoken.service.refusals import CHALLENGE, Refusals
from txtoken.service.requirement import Requirement
from txtoken.service.tokens.compact import read_object
from txtoken.service.tokens.memory import Verdict
from txtoken.service.tokens.verify import CLAIMS_NESTING_MAX, TokenVerifier
from txtoken.settings import ForwardAuthSettings

_INSUFFICIENT: Final = CHALLENGE + b' error="insufficient_scope"'
# nginx and APISIX store nothing that is `private`.
_VARY: Final = b"Vary: Authorization, Cookie"
# Memory of a stored decision beside the bytes of its head: the objects around them.
_DECISION_BYTES: Final = 200


class ForwardAuth(Handler):
    """One forward-auth route. `number` is unique among these routes, `cookie` is the name of the cookie, "" for none."""

    __slots__ = (
        "_cache_s",
        "_clock",
        "_cookie",
        "_has_body",
        "_identity",
        "_looks_at_header",
        "_looks_at_query",
        "_number",
        "_on_crash",
        "_refusals",
        "_requirement",
        "_verifier",
        "denied",
        "no_token",
    )

    def __init__(
        self,
        number: int,
        settings: ForwardAuthSettings,
        cookie: str,
        verifier: TokenVerifier,
        clock: Clock,
        on_crash: Callable[[Exception], None],
    ) -> None:
        self._number = number
        self._verifier = verifier
        self._clock = clock
        self._on_crash = on_crash
        self._looks_at_header = "header" in settings.places
        self._looks_at_query = "query" in settings.places
        self._cookie = cookie.encode("ascii") if "cookie" in settings.places else b""
        self._cache_s = settings.cache_s
        self._has_body = settings.has_body
        self._identity = Identity(settings.headers, names_missing=settings.is_envoy) if settings.headers else None
        self._requirement = Requirement(settings.require) if settings.require else None
        self._refusals = Refusals(self.refusal)
        self.no_token = self._refusals.no_token
        self.denied = self.refusal(403, "internal", "the service failed to answer")  # without a decision

    def handle(self, request: Request, client: Client) -> None:
        try:
            response = self._decide(request.head)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not let a request pass
            self._on_crash(error)
            response = self.denied
        client.respond(response)

    def waits_for_body(self, head: Head) -> bool:
        return False  # proxies announce the body of another request

    def is_for_pages(self) -> bool:
        return False  # OPTIONS is decided like any other request

    def _decide(self, head: Head) -> Response:
        token = head.token if self._looks_at_header else b""
        if not token and self._looks_at_query and head.query:
            token = query_token(head)
        if not token and self._cookie:
            token = cookie_token(head, self._cookie)
        if not token:
            return self.no_token
        now = self._clock.second
        try:
            verdict = self._verifier.verify(token, now)
        except TokenError as error:
            return self._refusals.of(error)
        decisions = verdict.decisions
        if decisions is not None:
            decision = decisions.get(self._number)
            if decision is not None and (not self._cache_s or verdict.valid_until - now >= self._cache_s):
                assert isinstance(decision, Response)
                return decision
        return self._new_decision(verdict, now)

    def _new_decision(self, verdict: Verdict, now: int) -> Response:
        response = self._judge(verdict, now)
        if verdict.decisions is None:
            verdict.decisions = {}
        if self._number not in verdict.decisions:
            self._verifier.memory.note_held(verdict, len(response.head) + len(response.body) + _DECISION_BYTES)
        verdict.decisions[self._number] = response
        return response

    def _judge(self, verdict: Verdict, now: int) -> Response:
        """Decide about a valid token, and make the answer."""
        lines = b""
        if self._requirement is not None or self._identity is not None:
            claims, text = read_object(verdict.claims, CLAIMS_NESTING_MAX)
            if self._requirement is not None and not self._requirement.holds(claims):
                return self.refusal(
                    403, "forbidden", "token does not have the claims that this route requires", _INSUFFICIENT
                )
            if self._identity is not None:
                try:
                    lines = self._identity.lines(claims, text)
                except TooLarge:
                    text_of_refusal = (
                        f"the claims for this route's headers are longer than {IDENTITY_BYTES_MAX} bytes together"
                    )
                    return self.refusal(403, "identity_too_large", text_of_refusal)
        cache_s = min(self._cache_s, verdict.valid_until - now)
        storing = (b"Cache-Control: max-age=%d" % int(cache_s), _VARY) if cache_s >= 1 else (NO_STORE,)
        return Response(200, response_head(200, *storing, content_type=b"") + lines, b"")

    def refusal(self, status: int, code: str, text: str, *lines: bytes) -> Response:
        """Make a rejection in the form of this route."""
        if self._has_body:
            return error_response(status, code, text, *lines)
        return Response(status, response_head(status, NO_STORE, *lines, content_type=b""), b"", error=code)
