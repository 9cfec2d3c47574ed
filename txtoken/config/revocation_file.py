"""Reads the file that `revocations` names, or reports the first line that is wrong. Knows no running service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from txtoken.config.values import printable
from txtoken.errors import ConfigError, Problem
from txtoken.service.revocations import BadLine, Carried, Revocations
from txtoken.settings import Config

LINES_A_STEP = 256  # 0.3 ms, so that the caller can check the time in between

# Identifies a file's content without reading it: a file of 40 MB must not be read every ten seconds.
Signature = tuple[int, int, int, int]


def carried_by(config: Config) -> Carried:
    """Return which claims the tokens of a service carry, by its configuration."""
    issue, keys, has_sessions = config.issue, config.keys, config.refresh.route is not None
    return Carried(
        jti=issue.has_jti,
        sid=has_sessions,
        kid=bool(keys.entries) or keys.rotation is not None,
        sub=issue.subject is not None,
        time=issue.has_iat or has_sessions,
    )


def signature_of(path: str) -> Signature | None:
    """Return what identifies this content of a file. None: there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def fill(revocations: Revocations, path: str) -> Iterator[None]:
    """Read a file's lines into a list. Yields after every few lines; the list is complete when the iterator ends.

    Raises:
        ConfigError: it cannot be read, or a line is wrong.
    """
    number = 0
    try:
        with Path(path).open(encoding="utf-8-sig", errors="strict") as file:
            for number, line in enumerate(file, 1):
                revocations.add(line)
                if not number % LINES_A_STEP:
                    yield
        yield from revocations.put_in_order()
    except BadLine as bad:
        raise _problem(path, str(bad), number) from None
    except UnicodeDecodeError:
        raise _problem(path, "is not UTF-8 text", number + 1) from None
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror}") from None


def read_all(path: str, carried: Carried) -> Revocations:
    """Read a file at once.

    Raises:
        ConfigError: as `fill`.
    """
    revocations = Revocations(carried)
    for _ in fill(revocations, path):
        pass
    return revocations


def _problem(path: str, text: str, line: int = 0) -> ConfigError:
    place = f"{printable(path)}, line {line}" if line else printable(path)
    return ConfigError((Problem("revocations", place, text),))
