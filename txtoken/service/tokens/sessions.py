"""Sessions: tokens that can be renewed, from a login until the session's end (contract §3.6). Knows no clock and no sockets:
callers pass the time.

A login's token carries the time of the login (`auth_time`, OpenID Connect Core §2) and the session's id (`sid`). Renewed tokens
carry the same, so that either can end a session, and no token outlives the longest session.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from orjson import Fragment
from orjson import dumps as write_json

from txtoken.errors import NoSigningKey, TokenError
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.claims import RESERVED, select, times_of
from txtoken.service.tokens.compact import read_object
from txtoken.service.tokens.issue import ClaimsIssuer, CutTokens, TokenIssuer, new_issuer
from txtoken.service.tokens.memory import Verdict
from txtoken.service.tokens.segments import encode_after, encode_segment
from txtoken.service.tokens.verify import CLAIMS_NESTING_MAX, MALFORMED, NOT_YET
from txtoken.settings import IssueSettings

SID_BYTES: Final = 16
SIDS_A_READ: Final = 256  # ids from one system call
AHEAD_S_MAX: Final = 60  # how far the issuer's clock may be ahead of ours
# Claims that are new in each token. All others stay.
_RENEWED: Final = frozenset(("exp", "iat", "nbf", "jti"))
_NO_AUTH_TIME: Final = ("no_auth_time", "token has no auth_time")
_OVER: Final = ("session_over", "session is over")


class SessionIds:
    """Makes session ids that are unguessable, and unique over all processes."""

    __slots__ = ("_at", "_random")

    def __init__(self) -> None:
        self._random = b""
        self._at = 0

    def next(self) -> bytes:
        """Make the next one."""
        if self._at == len(self._random):
            self._random = os.urandom(SID_BYTES * SIDS_A_READ)
            self._at = 0
        self._at += SID_BYTES
        return encode_segment(self._random[self._at - SID_BYTES : self._at])


class Session:
    """The content of a token to renew: its `claims`, and their `text` with exact numbers. The session is over at `ends` (Unix
    time, a whole second).
    """

    __slots__ = ("claims", "ends", "text")

    def __init__(self, claims: Mapping[str, Any], text: bytes, ends: int) -> None:
        self.claims = claims
        self.text = text
        self.ends = ends

    def check_end(self, now: float) -> None:
        """Check that it is not over.

        Raises:
            TokenError: it is.
        """
        if self.ends <= now:
            raise TokenError(*_OVER)

    def data(self, name: str) -> bytes:
        """Return the content of the data claim with this name, unchanged. With the name "", return all claims that are not
        registered.

        Raises:
            TokenError: there is no such claim: another configuration issued the token.
        """
        if not name:
            return select(self.claims, self.text, [member for member in self.claims if member not in RESERVED])
        if name not in self.claims:
            raise TokenError(*MALFORMED)
        written = write_json(self.claims)
        exact = self.claims if written == self.text else json.loads(self.text, parse_int=Fragment, parse_float=Fragment)
        return write_json(exact[name])


def session_of(verdict: Verdict, max_session_s: int, now: float) -> Session:
    """Return the session of a valid token.

    Raises:
        TokenError: it has no session, or the session is over or has not begun.
    """
    claims, text = read_object(verdict.claims, CLAIMS_NESTING_MAX)
    since = claims.get("auth_time")
    if type(since) is not int and type(since) is not float:
        raise TokenError(*_NO_AUTH_TIME)
    assert isinstance(since, int | float)
    if since > now + AHEAD_S_MAX:
        raise TokenError(*NOT_YET)
    session = Session(claims, text, int(since) + max_session_s)
    session.check_end(now)
    return session


class SessionIssuer(ClaimsIssuer):
    """Issues the tokens of sessions, and renews them."""

    __slots__ = ("_sids",)

    def __init__(
        self, ring: KeyRing, settings: IssueSettings, cut: CutTokens | None, on_drop: Callable[[str], object]
    ) -> None:
        super().__init__(ring, settings, cut, on_drop)
        self._sids = SessionIds()

    def _claims(self, text: bytes, reply: Mapping[str, Any]) -> tuple[bytes, bytes, bytes]:
        before, text, after = super()._claims(text, reply)
        return before, text, b'%b,"sid":"%b","auth_time":%d}' % (after[:-1], self._sids.next(), self._second)

    def renew(
        self, session: Session, now: int, reply: Mapping[str, Any] | None = None, text: bytes = b""
    ) -> tuple[bytes, int]:
        """Return the next token of a session without its signature, by `key`, and when it expires (Unix time).

        It keeps its claims, in their order, and then has the claims that are new in each token. `reply` and `text` (the same as
        compact JSON) replace its data.

        Raises:
            NoSigningKey: no key signs now.
        """
        if not self.can_sign(now):
            raise NoSigningKey
        kept = [name for name in session.claims if name not in _RENEWED and not self._is_data(name, reply)]
        before, data = (b"{", b"") if reply is None else self._data.write(reply, text)
        stays = select(session.claims, session.text, kept)[1:-1]
        expires = min(now + self._settings.ttl_s, session.ends)
        if self.key.until < expires:
            expires = int(self.key.until)
            self._cut.count += 1
        token_id = b"" if self._ids is None else self._ids.write()
        times = b'%b%b,"exp":%d' % (token_id, times_of(self._settings, now), expires)
        after = b",".join(filter(None, (stays, times[1:])))
        return encode_after(self._start, before, data, b",%b}" % after if data else after + b"}"), expires

    def _is_data(self, name: str, reply: Mapping[str, Any] | None) -> bool:
        """Whether the reply replaces this claim."""
        if reply is None:
            return False
        return name == self._settings.data_claim if self._settings.data_claim else name not in RESERVED


def issuer_for(
    ring: KeyRing,
    settings: IssueSettings,
    cut: CutTokens | None = None,
    on_drop: Callable[[str], object] = lambda names: None,
) -> TokenIssuer:
    """Make the issuer of a service's tokens. As `new_issuer`, but also for sessions."""
    if settings.max_session_s is not None:
        return SessionIssuer(ring, settings, cut, on_drop)
    return new_issuer(ring, settings, cut, on_drop)
