"""Files that the configuration names, read within bounds. Knows no key's name, and nothing of what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from txtoken.config.values import Wrong, printable, read_text

_LINE_END_BYTES: Final = 2


def exists(path: str) -> bool:
    """Whether there is something at this path, as far as can be seen."""
    try:
        return Path(path).exists()
    except OSError:
        return "/" in path  # what cannot be looked at is told with the system's reason, unless it is no path at all


def read_file(path: str, bytes_max: int) -> bytes:
    """Read a file that is not larger than `bytes_max`."""
    file, path = Path(path), printable(path)
    try:
        if not file.is_file():
            raise Wrong(f"{path} is not a file" if file.exists() else f"{path} does not exist")
        with file.open("rb") as stream:
            data = stream.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        raise Wrong(f"{path[:200]!r} cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None
    if len(data) > bytes_max:
        raise Wrong(f"{path} is larger than {bytes_max} bytes")
    return data


def read_text_file(node: yaml.Node, bytes_max: int) -> str:
    """Return the text of the file that a value names, without the one line end at its end, of `bytes_max` at most.

    Raises:
        Wrong: there is no such file, or no such text in it.
    """
    path = read_text(node)
    if not exists(path):
        raise Wrong("names a file that does not exist")  # without the name: it may be the secret itself, put here
    try:
        text = read_file(path, bytes_max + _LINE_END_BYTES).decode()
    except UnicodeDecodeError:
        raise Wrong(f"{path} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")
