"""Which bytes of the configuration the processes of a service have agreed on. Knows what files hold by digests alone.

A worker reads the files itself when its supervisor says that there is a new configuration. What was written in between would
make it serve by another one than the rest.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping
from typing import Final

DIGEST_BYTES: Final = 16

Content = bytes | str  # of a file: a digest of its bytes, or why there are none


class Agreement:
    """What the supervisor has read last, in memory that all processes share. Make it before the workers are forked.

    Only the supervisor writes. A reader that is caught in between finds what fits nothing, and looks again later.
    """

    __slots__ = ("_memory",)

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, DIGEST_BYTES)  # anonymous and shared

    def note(self, contents: Mapping[str, Content]) -> None:
        """Agree on these files."""
        self._memory[:DIGEST_BYTES] = _digest(contents)

    def is_on(self, contents: Mapping[str, Content]) -> bool:
        """Whether these files are what was agreed on."""
        return self._memory[:DIGEST_BYTES] == _digest(contents)


def _digest(contents: Mapping[str, Content]) -> bytes:
    together = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for path in sorted(contents):
        together.update(repr((path, contents[path])).encode("utf-8", "backslashreplace"))
    return together.digest()
