"""Ensures that all processes of a service use the same bytes of the configuration. Knows only digests of files.

The supervisor requests a reload, and each worker reads the files itself. If a file changed in between, a worker would use another
configuration than the others.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping
from typing import Final

DIGEST_BYTES: Final = 16

Content = bytes | str  # of a file: the digest of its bytes, or why it cannot be read


class Agreement:
    """The digest of what the supervisor read last, in shared memory. Make it before the workers are forked.

    Only the supervisor writes. A worker that reads during a write gets a digest that matches nothing, and checks again later.
    """

    __slots__ = ("_memory",)

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, DIGEST_BYTES)  # anonymous and shared

    def note(self, contents: Mapping[str, Content]) -> None:
        """Record the contents of these files, by path, as the agreed ones."""
        self._memory[:DIGEST_BYTES] = _digest(contents)

    def is_on(self, contents: Mapping[str, Content]) -> bool:
        """Whether these contents were agreed on."""
        return self._memory[:DIGEST_BYTES] == _digest(contents)


def _digest(contents: Mapping[str, Content]) -> bytes:
    together = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for path in sorted(contents):
        together.update(repr((path, contents[path])).encode("utf-8", "backslashreplace"))
    return together.digest()
