"""Issues tokens whose content is decided: signs at once or in a thread, checks limits, sets the cookie. Knows no remote and no
route.

The handlers that issue tokens (`Login`, `Refresh`) share one `Issuance`, because their limits are common.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from txtoken.clock import Clock
from txtoken.errors import CookieTooLarge, NoSigningKey, RemoteError, RemoteOverloaded, TokenTooLarge
from txtoken.http1.messages import Client, Response
from txtoken.service.answers import CRASHED, OK_HEAD
from txtoken.service.cookies import COOKIE_BYTES_MAX, TokenCookie
from txtoken.service.failures import Failures
from txtoken.service.keys.key import Key
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.upstream.exchange import Exchange

# Tokens that wait for a thread to sign them. RSA with 4096 bits takes 1.5 ms, so the last one waits for half a second.
SIGNING_MAX: Final = 512
LARGE_TOKEN_BYTES: Final = 8 * 1024  # above it many servers reject a request with the token in a header
# Runs a slow function in a thread, and calls back in the loop with its result.
InThread = Callable[[Callable[[], bytes], Callable[[bytes | Exception], None]], object]


class Order(Exchange):
    """A request for a token in progress: `client` gets it, unless `is_cancelled`. It may involve the remote, or not."""

    __slots__ = ("client", "is_cancelled")

    def __init__(self, client: Client, lines: bytes, body: bytes) -> None:
        super().__init__(lines, body)
        self.client = client
        self.is_cancelled = False  # the client is gone, or has been answered


class Issuance:
    """Issues tokens. `cookie` also sets each one as a cookie; None: no cookie."""

    __slots__ = (
        "_clock",
        "_cookie",
        "_failures",
        "_in_thread",
        "_on_crash",
        "_on_failure",
        "_on_large_token",
        "_signing",
        "_token_bytes_max",
        "_usual_bytes_max",
        "issuer",
    )

    def __init__(
        self,
        issuer: TokenIssuer,
        failures: Failures,
        clock: Clock,
        *,
        cookie: TokenCookie | None,
        token_bytes_max: int,
        in_thread: InThread,
        on_failure: Callable[[RemoteError], None],
        on_large_token: Callable[[int], None],
        on_crash: Callable[[Exception], None],
    ) -> None:
        self.issuer = issuer
        self._failures = failures
        self._clock = clock
        self._cookie = cookie
        self._token_bytes_max = token_bytes_max
        # Longer tokens are checked further: all of them, if there is a cookie.
        self._usual_bytes_max = min(token_bytes_max, LARGE_TOKEN_BYTES) if cookie is None else -1
        self._in_thread = in_thread
        self._signing = 0  # tokens that threads are signing
        self._on_failure = on_failure
        self._on_large_token = on_large_token  # called with the length of a token that many servers reject
        self._on_crash = on_crash

    def refusal(self) -> Response | None:
        """Return why no token can be issued now. None: one can."""
        if not self.issuer.can_sign(self._clock.second):
            return self.explain(NoSigningKey(), None)
        if self._signing >= SIGNING_MAX:
            return self.explain(RemoteOverloaded("overloaded", "too many tokens are waiting to be signed"), None)
        return None

    def hand_out(
        self, order: Order, key: Key, signing_input: bytes, expires: int, remote_s: float | None
    ) -> Response | None:
        """Return the answer with a token that is signed now and `expires` then (Unix time). None: a thread signs it, and the
        answer follows.
        """
        if key.is_slow:
            self._sign_in_thread(order, key, signing_input, expires, remote_s)
            return None
        return self._answer(signing_input, key.sign(signing_input), expires, remote_s)

    def explain(self, error: RemoteError, remote_s: float | None) -> Response:
        """Return the answer that explains why there is no token."""
        self._on_failure(error)
        return self._failures.answer(error, self._clock.second, remote_s)

    def _answer(self, signing_input: bytes, signature: bytes, expires: int, remote_s: float | None) -> Response:
        head = OK_HEAD
        size = len(signing_input) + 1 + len(signature)
        if size > self._usual_bytes_max:
            if size > self._token_bytes_max:
                return self.explain(TokenTooLarge(size, self._token_bytes_max), remote_s)
            cookie = self._cookie
            if cookie is not None:
                token = b"".join((signing_input, b".", signature))
                if cookie.size(token) > COOKIE_BYTES_MAX:
                    return self.explain(CookieTooLarge(cookie.size(token), COOKIE_BYTES_MAX), remote_s)
                # A thread may have signed it, and a second may have passed.
                head += cookie.set(token, max(0, expires - self._clock.second))
            else:
                self._on_large_token(size)
        return Response(200, head, b"".join((b'{"token":"', signing_input, b".", signature, b'"}')), remote_s=remote_s)

    def _sign_in_thread(
        self, order: Order, key: Key, signing_input: bytes, expires: int, remote_s: float | None
    ) -> None:
        """Sign in a thread, where the library releases the interpreter, then answer."""

        def conclude(signature: bytes | Exception) -> None:
            self._signing -= 1
            if order.is_cancelled:
                return
            if isinstance(signature, bytes):
                response = self._answer(signing_input, signature, expires, remote_s)
            else:
                self._on_crash(signature)
                response = CRASHED
            order.client.respond(response)

        self._signing += 1
        self._in_thread(lambda: key.sign(signing_input), conclude)
