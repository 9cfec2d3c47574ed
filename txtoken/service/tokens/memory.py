"""Tokens that were found valid, and what was found. Judges none."""

from __future__ import annotations

from typing import Final

from txtoken.service.keys.key import Key
from txtoken.service.revocations import Identity

REMEMBERED_TOKEN_BYTES_MAX: Final = 2 * 1024
REMEMBERED_BYTES_MAX: Final = 8 * 1024 * 1024  # of tokens and verdicts, in each of the two generations


class Verdict:
    """A valid token: what stands in it (JSON text), the key that it was signed by, and from when until before when it is valid
    (Unix time). `answer` is for the route that checks tokens: what it made of this verdict, to be written but once. So are
    `decisions`, of the routes for proxies by their numbers.
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
        self.identity: Identity | None = None  # where there is a list of revocations


class Memory:
    """A map from tokens, byte for byte, to their verdicts.

    A token comes into it when it is seen for the second time, so that tokens which are checked but once cost neither time nor
    memory. It has two generations: when the young one holds `entries` verdicts, or 8 MiB, it becomes the old one, so that
    nothing is ever evicted one by one. `entries` of 0 is no memory. Finding a token is a look-up by a hash with a secret seed,
    which shows an attacker nothing of the tokens that are remembered.
    """

    __slots__ = ("_entries", "_old", "_seen_once", "_young", "_young_bytes", "hits")

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._young: dict[bytes, Verdict] = {}
        self._young_bytes = 0
        self._old: dict[bytes, Verdict] = {}
        self._seen_once: set[int] = set()  # hashes of valid tokens; two with the same one do no harm
        self.hits = 0  # tokens that were found, and whose time is; the one that reports them sets it back

    def find(self, token: bytes) -> Verdict | None:
        """Return a token's verdict, if it is remembered. Its time may have gone."""
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
        # The token is held twice, the second time within the answer, and so is what stands in it.
        self._young_bytes += 2 * (len(token) + len(verdict.claims)) + len(verdict.header)

    def note_held(self, verdict: Verdict, size: int) -> None:
        """A verdict holds so many bytes more, which counts if it is remembered."""
        if self.find(verdict.token) is verdict:
            self._young_bytes += size
