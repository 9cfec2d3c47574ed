"""Known request heads and their meaning: clients repeat their heads byte for byte. Knows no connection."""

from __future__ import annotations

from typing import Final

from txtoken.http1.messages import Head, Request
from txtoken.memo import Memo

KNOWN_HEAD_BYTES_MAX: Final = 2 * 1024  # the most that an idle connection may keep
KNOWN_HEADS_MAX: Final = 128
SEEN_ONCE_MAX: Final = 1024

_AUTHORIZATION: Final = b"\r\nauthorization: "
# Leaves the characters of a token as they are, and changes all others.
_TOKEN68: Final = bytes(
    code if chr(code).isascii() and (chr(code).isalnum() or chr(code) in "-._~+/=") else code ^ 0x80
    for code in range(256)
)


class KnownHead:
    """One head section: its bytes including the empty line, and their meaning.

    `bytes_max` is the maximum length of the same head with another token.
    """

    __slots__ = ("_bytes_max", "_end", "_is_bearer", "_scheme", "_start", "head", "text")

    def __init__(self, text: bytes, head: Head, bytes_max: int) -> None:
        self.text = text
        self.head = head
        self._bytes_max = -1
        self._start = b""  # the text before and after the token in its Authorization field
        self._end = b""
        self._scheme = b""  # the field's value before the token
        self._is_bearer = False
        value = head.fields.get(b"authorization")
        if value is not None and (at := text.lower().find(_AUTHORIZATION)) >= 0:
            start = at + len(_AUTHORIZATION)
            end = start + len(value)
            if text[start:end] == value and text[end : end + 2] == b"\r\n":
                self._scheme = value[: value.rfind(b" ") + 1]
                self._start = text[: start + len(self._scheme)]
                self._end = text[end:]
                self._is_bearer = self._scheme != b"" and head.token == value[len(self._scheme) :]
                self._bytes_max = bytes_max

    def read(self, data: bytes) -> Request | None:
        """Parse bytes that are exactly one request with this head, perhaps with another token. None for all others.

        Most requests take this path.
        """
        size, head = len(self.text), self.head
        if len(data) == size + head.content_length and data.startswith(self.text):
            return Request(head, data[size:])
        if head.content_length == 0 and (other := self.with_another_token(data)) is not None:
            return Request(other, b"")
        return None

    def with_another_token(self, text: bytes) -> Head | None:
        """Recognize this head with another token: a proxy sends such heads for its clients.

        A token's characters (RFC 9110 §11.2, token68) cannot change what the rest means. Compiled 0.3 µs, where parsing takes 3.
        """
        size = len(text)
        begins, ends = len(self._start), size - len(self._end)
        # Comparing slices takes less than `startswith`.
        if begins >= ends or size > self._bytes_max or text[:begins] != self._start or text[ends:] != self._end:
            return None
        token = text[begins:ends]
        if token.translate(_TOKEN68) != token:
            return None
        return self.head.with_authorization(self._scheme + token, token if self._is_bearer else None)


class KnownHeads:
    """The heads that the connections of one server share. Changed limits need a new object.

    A thousand connections of one proxy send the same few heads. Stored once and not a thousand times, these stay in the
    processor's cache, and a new connection's first head need not be parsed. A head is added when it is seen for the second time:
    many contain the request's id, and never repeat.
    """

    __slots__ = ("_known", "_seen_once")

    def __init__(self) -> None:
        self._known: Memo[bytes, KnownHead] = Memo(KNOWN_HEADS_MAX)
        self._seen_once: Memo[int, bool] = Memo(SEEN_ONCE_MAX)  # hashes; a collision does no harm

    def find(self, text: bytes) -> KnownHead | None:
        """Return the known head with exactly these bytes."""
        return self._known.get(text) if len(text) <= KNOWN_HEAD_BYTES_MAX else None  # hashing 64 KiB takes 14 µs

    def learn(self, text: bytes, head: Head, bytes_max: int) -> KnownHead:
        """Make a known head of a parsed one, and share it if it was seen before. `bytes_max` as in `KnownHead`."""
        known = KnownHead(text, head, bytes_max)
        mark = hash(text)
        if mark in self._seen_once:
            self._known.put(text, known)
        else:
            self._seen_once.put(mark, True)
        return known
