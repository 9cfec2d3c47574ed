"""Files with secrets that commands write: new ones, that only their owner can read, whole or not at all. Knows no content."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from typing import Final

from txtoken.cli import early_signals

FILE_MODE: Final = 0o600
# What file systems without links answer: those of USB sticks, and some of networks and of FUSE.
_NO_LINKS: Final = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)


class NotWritten(Exception):
    """A file was not written: why."""


class ThereAlready(NotWritten):
    """There is something under that name, which is never overwritten."""

    def __init__(self) -> None:
        super().__init__("is there already, and is not overwritten: choose another name")


def write_new(path: str, text: str) -> None:
    """Write a file that was not there before. Nothing has its name before all of it is on the disk, and nothing is left of it
    when that fails.

    Raises:
        ThereAlready: there is one.
        NotWritten: it cannot be written.
    """
    early_signals.block()  # Ctrl-C waits for the few milliseconds that this takes
    try:
        _write(path, text.encode())
    except FileExistsError:
        raise ThereAlready from None
    except (OSError, ValueError) as error:
        raise NotWritten(f"cannot be written: {getattr(error, 'strerror', None) or error}") from None
    finally:
        early_signals.unblock()


def _write(path: str, data: bytes) -> None:
    if os.path.lexists(path):
        raise FileExistsError
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=f".{os.path.basename(path)}.")
    try:
        _fill(descriptor, data)
        try:
            os.link(temporary, path)  # which overwrites nothing, as a rename would
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LINKS:
                raise
            _write_in_place(path, data)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _write_in_place(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        _fill(descriptor, data)
    except OSError:
        os.unlink(path)  # half a file is none
        raise


def _fill(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
