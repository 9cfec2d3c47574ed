"""All keys of a service: which one signs now, and which one a token names. Knows no claims."""

from __future__ import annotations

from txtoken.service.keys.key import Key


class KeyRing:
    """The keys that sign and verify tokens."""

    __slots__ = ("_key",)

    def __init__(self, key: Key) -> None:
        self._key = key

    def signer(self) -> Key:
        """Return the key that signs now."""
        return self._key

    def find(self) -> Key:
        """Return the key that a token has to be signed by. A `kid` means nothing where there is one key without one."""
        return self._key
