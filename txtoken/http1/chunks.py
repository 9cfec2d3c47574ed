"""A chunked body while it arrives: its content, and the size of its framing. Knows only sizes; httptools parses the chunks.

Excessive framing is rejected: 16 KiB of extensions for a body of one byte would be wasted work.
"""

from __future__ import annotations

from typing import Final

from txtoken.errors import ProtocolError

CHUNK_OVERHEAD_BYTES_MAX: Final = 16 * 1024  # extensions and trailers of one body together: no real client needs more
CHUNK_FRAMING_BYTES_MAX: Final = 32  # a chunk's size and line ends, counted before the chunk is known to be complete


class ChunkedBody:
    """One body. `content` is its content so far, `has_trailers` says whether fields followed it."""

    __slots__ = (
        "_body_bytes_max",
        "_chunk_start",
        "_framing_size",
        "_is_complete",
        "_size_before",
        "content",
        "has_trailers",
    )

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._chunk_start = 0  # bytes of the content before the current chunk
        self._framing_size = 0  # bytes around the content so far, without what its chunks need
        self._size_before = 0  # bytes of the content before the current piece
        self._is_complete = False
        self.content = bytearray()
        self.has_trailers = False

    def begin_piece(self, size: int) -> None:
        """So many bytes are read next, content and framing together."""
        self._framing_size += size
        self._size_before = len(self.content)

    def end_piece(self) -> bool:
        """The bytes of a piece were read. Returns whether the body is complete.

        Raises:
            ProtocolError: the framing is too large.
        """
        self._framing_size -= len(self.content) - self._size_before
        slack = 0 if self._is_complete else CHUNK_FRAMING_BYTES_MAX
        if self._framing_size > CHUNK_OVERHEAD_BYTES_MAX + slack:
            raise ProtocolError(431, "chunk_overhead", "the body's chunk extensions and trailers are too large")
        return self._is_complete

    def begin_chunk(self) -> None:
        """A chunk's size was read."""
        # The chunk before this one is complete: its size in hexadecimal digits and two line ends are no overhead. Before
        # the first one there is none, and that deduction stands for the last chunk, whose size is 0 too.
        size = len(self.content) - self._chunk_start
        self._chunk_start = len(self.content)
        self._framing_size -= len(b"%x" % size) + 4

    def add(self, content: bytes) -> None:
        """Add content.

        Raises:
            ProtocolError: it is too large.
        """
        if len(self.content) + len(content) > self._body_bytes_max:
            raise ProtocolError(413, "body_too_large", "the request body is too large")
        self.content += content

    def end(self) -> None:
        """The last chunk and all trailers were read."""
        self._is_complete = True
