"""The file that `revocations` names: its lines, and the first one that cannot be used. Knows no service that runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from txtoken.config.values import printable
from txtoken.errors import ConfigError, Problem
from txtoken.service.revocations import BadLine, Carried, Revocations
from txtoken.settings import Config

LINES_A_STEP = 256  # 0.3 ms, so that its reader can look at the time in between

# What says whether a file is the one that was read: a file of 40 MB is not read every ten seconds to see that.
Signature = tuple[int, int, int, int]


def carried_by(config: Config) -> Carried:
    """Return what the tokens of a service carry, by its configuration."""
    issue, keys, has_sessions = config.issue, config.keys, config.refresh.route is not None
    return Carried(
        jti=issue.has_jti,
        sid=has_sessions,
        kid=bool(keys.entries) or keys.rotation is not None,
        sub=issue.subject is not None,
        time=issue.has_iat or has_sessions,
    )


def signature_of(path: str) -> Signature | None:
    """Return what tells this content of a file from another one. None: there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def fill(revocations: Revocations, path: str) -> Iterator[None]:
    """Read a file's lines into a list, which is whole when this has nothing more to yield. It yields after each few lines.

    Raises:
        ConfigError: it cannot be read, or a line says nothing that can be revoked.
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
