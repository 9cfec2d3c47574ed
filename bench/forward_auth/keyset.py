"""Keys that come and go, and tokens of them. Knows no service but what its file of keys says."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt

KNOWN: Final = 3  # keys at a time: the one before, the one that signs, the one that is next
LIFE_S: Final = 300
RETIRED_MAX: Final = 20  # that are kept to sign what has to be refused


@dataclass(frozen=True, slots=True)
class Key:
    """One secret with its name."""

    kid: str
    secret: str

    def sign(self, nonce: str, life_s: float = LIFE_S) -> str:
        """Sign a token for a nonce."""
        claims = {"data": {"nonce": nonce}, "exp": int(time.time() + life_s)}
        return jwt.encode(claims, self.secret, "HS256", headers={"kid": self.kid})


class Keyset:
    """`known` are in a service's configuration: the second signs. `retired` were, and a service was seen to refuse them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.known = [self._made() for _ in range(KNOWN)]
        self.retired: list[Key] = []

    @property
    def current(self) -> Key:
        """The key that signs."""
        return self.known[1]

    def next_known(self) -> list[Key]:
        """Say which keys are known after the next turn."""
        return [*self.known[1:], self._made()]

    def turn(self, known: list[Key]) -> None:
        """Take over what `next_known` said: a service knows it now."""
        self.retired = [*self.retired, self.known[0]][-RETIRED_MAX:]
        self.known = known

    def entries(self, known: list[Key]) -> list[dict[str, Any]]:
        """Write `keys` of a configuration."""
        return [{"alg": "HS256", "kid": key.kid, "secretFile": str(self._folder / key.kid)} for key in known]

    def _made(self) -> Key:
        self._count += 1
        key = Key(f"key-{self._count}", secrets.token_hex(32))
        (self._folder / key.kid).write_text(key.secret)
        return key
