"""`checkTokenRoute`: is this token valid, and what does it say (contract §3.2)? Judges no token itself."""

from __future__ import annotations

from typing import Final

from txtoken.clock import Clock
from txtoken.errors import TokenError
from txtoken.http1.messages import Client, Handler, Request, Response
from txtoken.service.answers import OK_HEAD, error_response
from txtoken.service.presented import presented_token
from txtoken.service.tokens.memory import Verdict
from txtoken.service.tokens.verify import NO_TOKEN, TokenVerifier

_CHALLENGE: Final = b"WWW-Authenticate: Bearer"


class Check(Handler):
    """`GET` or `POST checkTokenRoute`: is this token valid, and what does it say (§3.2)?"""

    __slots__ = ("_as_original", "_clock", "_cookie", "_no_token", "_refusals", "_verifier")

    def __init__(self, verifier: TokenVerifier, clock: Clock, *, response: str, cookie: str = "") -> None:
        self._verifier = verifier
        self._clock = clock
        self._cookie = cookie.encode("ascii")  # its name; empty: there is none
        self._as_original = response == "original"
        self._no_token = error_response(401, *NO_TOKEN, _CHALLENGE)
        self._refusals: dict[str, Response] = {}

    def handle(self, request: Request, client: Client) -> None:
        token = presented_token(request, self._cookie)
        if not token:
            client.respond(self._no_token)
            return
        try:
            verdict = self._verifier.verify(token, self._clock.second)
        except TokenError as error:
            client.respond(self._refuse(error))
        else:
            answer = verdict.answer
            if not answer:
                answer = verdict.answer = original_answer(verdict) if self._as_original else verdict.claims
            client.respond(Response(200, OK_HEAD, answer))

    def _refuse(self, error: TokenError) -> Response:
        response = self._refusals.get(error.code)
        if response is None:
            challenge = _CHALLENGE + b' error="invalid_token"'  # RFC 6750 §3.1
            response = self._refusals[error.code] = error_response(401, error.code, error.public, challenge)
        return response


def original_answer(verdict: Verdict) -> bytes:
    """Write what the original answered: its library's whole token (golang-jwt's `Token`)."""
    token, key = verdict.token, verdict.key
    method = b'","Method":{"Name":"%b","Hash":%d},"Header":' % (key.algorithm.encode("ascii"), key.jwa_hash)
    signature = token[token.rindex(b".") + 1 :]
    parts = (b'{"Raw":"', token, method, verdict.header, b',"Claims":', verdict.claims, b',"Signature":"', signature)
    return b"".join((*parts, b'","Valid":true}'))
