"""Remembers valid tokens and their verdicts. Judges none."""

from __future__ import annotations

from typing import Final

from txtoken.service.keys.key import Key
from txtoken.service.revocations import Identity

REMEMBERED_TOKEN_BYTES_MAX: Final = 2 * 1024
REMEMBERED_BYTES_MAX: Final = 8 * 1024 * 1024  # of tokens and verdicts, in each of the two generations


class Verdict:
    """A valid token: its content (JSON text), its key, and the time in which it is valid (Unix time). `answer` is the check
    route's answer, written once. `decisions` are those of the forward-auth routes, by number, each written once.
    """

    __slots__ = ("answer", "claims", "decisions", "header", "identity", "key", "token", "valid_from", "valid_until")

    def __init__(
        self, token: bytes, header: bytes, claims: bytes, key: Key, valid_from: float, valid_until: float
    ) -> None:
        self.token = token
        self.header = header
        self.claims = claims
        self.key = key
        self.valid_from = valid_from
        self.valid_until = valid_until
        self.answer = b""
        self.decisions: dict[int, object] | None = None
        self.identity: Identity | None = None  # if there is a list of revocations


class Memory:
    """A map from tokens, byte for byte, to their verdicts.

    A token is added when it is seen for the second time, so that tokens which are checked only once cost neither time nor memory.
    There are two generations: when the young one has `entries` verdicts, or 8 MiB, it becomes the old one, so that nothing is
    evicted one by one. `entries` of 0 means no memory. The look-up uses a hash with a secret seed, which shows an attacker
    nothing of the remembered tokens.
    """

    __slots__ = ("_entries", "_old", "_seen_once", "_young", "_young_bytes", "hits")

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._young: dict[bytes, Verdict] = {}
        self._young_bytes = 0
        self._old: dict[bytes, Verdict] = {}
        self._seen_once: set[int] = set()  # hashes of valid tokens; a collision does no harm
        self.hits = 0  # tokens that were found within their time; reporting resets it

    def find(self, token: bytes) -> Verdict | None:
        """Return a token's verdict, if it is remembered. Its time may be over."""
        if len(token) > REMEMBERED_TOKEN_BYTES_MAX:
            return None
        return self._young.get(token) or self._old.get(token)

    def add(self, token: bytes, verdict: Verdict) -> None:
        """Remember a valid token, when it comes for the second time."""
        if not self._entries or len(token) > REMEMBERED_TOKEN_BYTES_MAX:
            return
        mark = hash(token)
        if mark not in self._seen_once:
            if len(self._seen_once) >= 2 * self._entries:
                self._seen_once.clear()
            self._seen_once.add(mark)
            return
        if len(self._young) >= self._entries or self._young_bytes >= REMEMBERED_BYTES_MAX:
            self._old, self._young = self._young, {}
            self._young_bytes = 0
        self._young[token] = verdict
        # The token is stored twice, the second time within the answer, and so is its content.
        self._young_bytes += 2 * (len(token) + len(verdict.claims)) + len(verdict.header)

    def note_held(self, verdict: Verdict, size: int) -> None:
        """Add to the size of a verdict, if it is remembered."""
        if self.find(verdict.token) is verdict:
            self._young_bytes += size
