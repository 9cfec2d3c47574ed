"""A .tar.gz that holds the same bytes whoever makes it, and whenever: sorted, nobody's, of one time."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Member:
    """One file of an archive."""

    content: bytes
    executable: bool = False


def write(path: Path, members: Mapping[str, Member], epoch: int) -> None:
    """Write the archive; `epoch` (seconds since 1970) is the time of all its files."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=epoch, fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, member in sorted(members.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(member.content), epoch, 0o755 if member.executable else 0o644
            archive.addfile(entry, io.BytesIO(member.content))


def read(path: Path) -> dict[str, Member]:
    """Return the files of an archive."""
    found = {}
    with tarfile.open(path) as archive:
        for entry in archive:
            if (file := archive.extractfile(entry)) is not None:
                found[entry.name] = Member(file.read(), bool(entry.mode & 0o100))
    return found
