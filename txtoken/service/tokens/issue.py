"""Turns claims into tokens (contract §3.1). Knows no clock and no sockets: callers pass the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orjson import dumps as write_json

from txtoken.compiling import mypyc_attr
from txtoken.errors import NoSigningKey
from txtoken.service.keys.key import Key
from txtoken.service.keys.ring import KeyRing
from txtoken.service.pointer import members_of
from txtoken.service.tokens.claims import Subject, TokenIds, constant_members, data_of, times_of
from txtoken.service.tokens.segments import encode_after, encode_segment
from txtoken.settings import IssueSettings

_NOTHING: dict[str, Any] = {}


class CutTokens:
    """Counts tokens that end with their key, before their full life. Over all configurations of a process."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


@mypyc_attr(allow_interpreted_subclasses=True)
class TokenIssuer:
    """Signs tokens that carry a reply of the remote. Parts that stay the same for a second are written once.

    `names` are the members of a parsed reply that it asks for; None: it asks for all.
    """

    __slots__ = (
        *("_constant", "_cut", "_end", "_is_cut", "_key", "_open", "_ring", "_second", "_settings", "_start"),
        "expires",
        "names",
    )

    def __init__(self, ring: KeyRing, settings: IssueSettings, cut: CutTokens | None = None) -> None:
        self._ring = ring
        self._cut = CutTokens() if cut is None else cut
        self._settings = settings
        self._open = b"{%b:" % write_json(settings.data_claim)
        self._constant = constant_members(settings)
        self._second = -1  # the second of the parts below
        self._key: Key | None = None
        self._is_cut = False  # `exp` is the key's end
        self.expires = 0  # `exp` of the last result of `signing_input`
        self.names: frozenset[str] | None = frozenset()
        self._start = b""  # the header's segment, and a dot
        self._end = b""  # of the claims

    @property
    def key(self) -> Key:
        """The key that signs the last result of `signing_input`."""
        assert self._key is not None
        return self._key

    def issue(self, text: bytes, now: int, reply: Mapping[str, Any] = _NOTHING) -> bytes:
        """Return the token for a reply: `text` is compact JSON, `reply` its `names` parsed. `now` is Unix time in seconds.

        Raises:
            NoSigningKey: no key signs now.
            ClaimsUnbuildable: the reply lacks the value of a configured claim.
        """
        signing_input = self.signing_input(text, now, reply)
        return b"".join((signing_input, b".", self.key.sign(signing_input)))

    def choose_again(self) -> None:
        """Choose the key again for the next token: the ring's keys have changed within this second."""
        self._second = -1

    def can_sign(self, now: int) -> bool:
        """Whether a key signs at this moment (Unix time in seconds)."""
        if now != self._second:
            try:
                self._renew(now)
            except NoSigningKey:
                return False
        return True

    def signing_input(self, text: bytes, now: int, reply: Mapping[str, Any]) -> bytes:
        """Return the token without its signature, as `issue` says."""
        if now != self._second:
            self._renew(now)
        before, text, after = self._claims(text, reply)
        signing_input = encode_after(self._start, before, text, after)
        if self._is_cut:
            self._cut.count += 1
        return signing_input

    def _claims(self, text: bytes, reply: Mapping[str, Any]) -> tuple[bytes, bytes, bytes]:
        """Write the claims in three pieces. The one in the middle may be long."""
        return self._open, text, self._end

    def _renew(self, now: int) -> None:
        ring, settings = self._ring, self._settings
        ring.refresh(now)
        life_s = settings.life_s
        key = ring.signer(now, life_s)
        if key is None:
            raise NoSigningKey
        if key is not self._key:
            self._key = key
            header = {"alg": key.algorithm, "typ": settings.typ, **({"kid": key.kid} if key.kid else {})}
            self._start = encode_segment(write_json(header)) + b"."
        # A token does not outlive the key that it is verified by.
        self._is_cut = key.until < now + life_s
        self.expires = int(key.until) if self._is_cut else now + life_s
        self._end = b'%b%b,"exp":%d}' % (self._constant, times_of(settings, now), self.expires)
        self._second = now


class ClaimsIssuer(TokenIssuer):
    """The same, with claims that differ between tokens, or with parts of the reply."""

    __slots__ = ("_data", "_ids", "_subject")

    def __init__(
        self, ring: KeyRing, settings: IssueSettings, cut: CutTokens | None, on_drop: Callable[[str], object]
    ) -> None:
        super().__init__(ring, settings, cut)
        self._data = data_of(settings, on_drop)
        self._subject = None if settings.subject is None else Subject(settings.subject)
        if self._data.is_whole:
            self.names = frozenset() if self._subject is None else members_of([self._subject.pointer])
        else:
            self.names = None
        self._ids = TokenIds() if settings.has_jti else None

    def _claims(self, text: bytes, reply: Mapping[str, Any]) -> tuple[bytes, bytes, bytes]:
        before, data = self._data.write(reply, text)
        subject = b"" if self._subject is None else self._subject.write(reply, text)
        token_id = b"" if self._ids is None else self._ids.write()
        after = b"".join((subject, token_id, self._end))
        return before, data, after if data else after[1:]


def new_issuer(
    ring: KeyRing,
    settings: IssueSettings,
    cut: CutTokens | None = None,
    on_drop: Callable[[str], object] = lambda names: None,
) -> TokenIssuer:
    """Make the fastest issuer for these settings.

    `cut` counts the tokens that end with their key. `on_drop` is called once, with the names of members of a reply that are
    registered claims, and are dropped.
    """
    varies = settings.subject is not None or settings.has_jti or not settings.data_claim
    varies = varies or settings.data_include is not None or bool(settings.data_exclude)
    return ClaimsIssuer(ring, settings, cut, on_drop) if varies else TokenIssuer(ring, settings, cut)
