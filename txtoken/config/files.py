"""Files that the configuration names, read within bounds. Knows no key's name, and no file's content."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISREG
from typing import Final

import yaml

from txtoken.config.values import TEXT, Wrong, kind, printable, read_text
from txtoken.settings import HIDDEN, KIB

KEY_FILE_BYTES_MAX: Final = 64 * KIB  # an RSA key of 8192 bits has 7
SECRET_FILE_BYTES_MAX: Final = 4 * KIB
_LINE_END_BYTES: Final = 2


def _hidden(_: object) -> str:
    return HIDDEN


def exists(path: str) -> bool:
    """Whether this path exists, as far as this process can see."""
    try:
        return _mode(Path(path)) is not None
    except ValueError:
        return False
    except OSError:
        return "/" in path  # reading it will report the system's reason, unless this is no path at all


def _mode(file: Path) -> int | None:
    """Return the mode of a file, None where there is none. Raises OSError, which `Path.exists` of Python 3.14 hides."""
    try:
        return file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_file(path: str, bytes_max: int) -> bytes:
    """Read a file that is not larger than `bytes_max`."""
    file, path = Path(path), printable(path)
    try:
        mode = _mode(file)
        if mode is None or not S_ISREG(mode):
            raise Wrong(f"{path} does not exist" if mode is None else f"{path} is not a file")
        with file.open("rb") as stream:
            data = stream.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        raise Wrong(f"{path[:200]!r} cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None
    if len(data) > bytes_max:
        raise Wrong(f"{path} is larger than {bytes_max} bytes")
    return data


def read_text_file(node: yaml.Node, bytes_max: int) -> str:
    """Return the text of the file that a value names, without one trailing line end. At most `bytes_max` long.

    Raises:
        Wrong: there is no such file, or no such text in it.
    """
    path = read_text(node)
    if not exists(path):
        raise Wrong("names a file that does not exist")  # without the path: someone may have put the secret itself here
    try:
        text = read_file(path, bytes_max + _LINE_END_BYTES).decode()
    except UnicodeDecodeError:
        raise Wrong(f"{path} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


@kind(TEXT)
def read_path(node: yaml.Node) -> str:
    """The path of an existing file. It is read later."""
    path = read_text(node)
    if not exists(path):
        raise Wrong("names a file that does not exist")  # without the path: it may be a secret meant for another key
    if not Path(path).is_file():
        raise Wrong(f"{printable(path)} is not a file")
    return path


@kind(TEXT, write=_hidden)
def read_key_bytes(node: yaml.Node) -> bytes:
    """The content of a file with a key."""
    return _read_named(node, KEY_FILE_BYTES_MAX)


@kind(TEXT, write=_hidden)
def read_secret_bytes(node: yaml.Node) -> bytes:
    """The content of a file with a secret, without one trailing line end."""
    data = _read_named(node, SECRET_FILE_BYTES_MAX).removesuffix(b"\n").removesuffix(b"\r")
    if not data:
        raise Wrong(f"{printable(read_text(node))} is empty")
    return data


@kind(f"array {TEXT}", items=read_secret_bytes.schema, minItems=1, write=_hidden)
def read_secrets_bytes(node: yaml.Node) -> tuple[bytes, ...]:
    """The contents of one or several files with a secret, all bytes of them: a secret need not be text."""
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not nodes:
        raise Wrong("names no file")
    return tuple(_read_named(each, SECRET_FILE_BYTES_MAX) for each in nodes)


def _read_named(node: yaml.Node, bytes_max: int) -> bytes:
    path = read_text(node)
    if not exists(path):
        # Without the path: someone may have put the secret itself here.
        raise Wrong("names a file that does not exist", node)
    try:
        return read_file(path, bytes_max)
    except Wrong as wrong:
        raise Wrong(str(wrong), node) from None
