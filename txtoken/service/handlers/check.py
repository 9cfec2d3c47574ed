"""`checkTokenRoute`: checks a token and returns what it says (contract §3.2). Judges no token itself."""

from __future__ import annotations

from typing import Final

from txtoken.clock import Clock
from txtoken.errors import TokenError
from txtoken.http1.messages import Client, Handler, Request, Response
from txtoken.service.answers import OK_HEAD
from txtoken.service.keys.key import ALGORITHMS
from txtoken.service.presented import presented_token
from txtoken.service.refusals import Refusals
from txtoken.service.tokens.memory import Verdict
from txtoken.service.tokens.verify import TokenVerifier

# In the original's answer, for each algorithm: what stands between the token and its header. Written each time it took 0.3 µs.
_METHODS: Final = {
    algorithm: b'","Method":{"Name":"%b","Hash":%d},"Header":' % (algorithm.encode("ascii"), jwa_hash)
    for algorithm, jwa_hash in ALGORITHMS.items()
}


class Check(Handler):
    """`GET` or `POST checkTokenRoute`: checks a token and returns what it says (§3.2)."""

    __slots__ = ("_as_original", "_clock", "_cookie", "_refusals", "_verifier")

    def __init__(self, verifier: TokenVerifier, clock: Clock, *, response: str, cookie: str = "") -> None:
        self._verifier = verifier
        self._clock = clock
        self._cookie = cookie.encode("ascii")  # its name; empty: no cookie
        self._as_original = response == "original"
        self._refusals = Refusals()

    def handle(self, request: Request, client: Client) -> None:
        token = presented_token(request, self._cookie)
        if not token:
            client.respond(self._refusals.no_token)
            return
        try:
            verdict = self._verifier.verify(token, self._clock.second)
        except TokenError as error:
            client.respond(self._refusals.of(error))
        else:
            answer = verdict.answer
            if not answer:
                answer = verdict.answer = original_answer(verdict) if self._as_original else verdict.claims
            client.respond(Response(200, OK_HEAD, answer))


def original_answer(verdict: Verdict) -> bytes:
    """Write the original's answer: the whole token of its library (golang-jwt's `Token`)."""
    token = verdict.token
    method = _METHODS[verdict.key.algorithm]
    signature = token[token.rindex(b".") + 1 :]
    parts = (b'{"Raw":"', token, method, verdict.header, b',"Claims":', verdict.claims, b',"Signature":"', signature)
    return b"".join((*parts, b'","Valid":true}'))
