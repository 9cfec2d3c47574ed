"""Secrets that sign tokens: their length, weaknesses and invisible characters. Knows no key's name.

No message quotes any part of a secret.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import yaml

from txtoken.config.files import read_text_file
from txtoken.config.values import TEXT, Wrong, kind, read_text, scalar
from txtoken.service.keys.hmac import is_other_key
from txtoken.settings import KIB

EXAMPLE_KEY: Final = "replace-this-key-before-anyone-uses-it"  # of example_cfg.yml: it is public

SECRET_BYTES_MIN: Final = 32  # RFC 7518 §3.2: as long as the hash that HS256 makes
SECRET_BYTES_MAX: Final = 4 * KIB
CHARACTER_BYTES_MAX: Final = 4  # of UTF-8

_BYTE_ORDER_MARK: Final = "\ufeff"
_LINE_ENDS: Final = "\n\r\v\f\x85\u2028\u2029"
_BLANKS: Final = "\t \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_EMPTY_LETTERS: Final = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters and marks without width


# A schema counts characters, and 8 characters can be 32 bytes.
@kind(TEXT, minLength=SECRET_BYTES_MIN // CHARACTER_BYTES_MAX, maxLength=SECRET_BYTES_MAX, writeOnly=True)
def read_secret(node: yaml.Node) -> str:
    """A secret, exactly as written, 32 bytes to 4 KiB of UTF-8."""
    text = read_text(node)
    length = len(text.encode())
    if not SECRET_BYTES_MIN <= length <= SECRET_BYTES_MAX:
        wanted = f"has to be {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes long"
        raise Wrong(f"{wanted}; this one has {length}. `txtoken keygen` makes one")
    if is_other_key(text.encode()):
        raise Wrong("is a PEM, SSH or JWK key, which HS256 must not use. `txtoken keygen` makes a suitable one")
    return text


@kind(TEXT)
def read_secret_file(node: yaml.Node) -> str:
    """A secret from a file, without one trailing line end."""
    text = read_text_file(node, SECRET_BYTES_MAX)
    try:
        return read_secret(scalar(text, node))
    except Wrong as wrong:
        raise Wrong(f"the secret in {read_text(node)} {wrong}") from None


def weakness(secret: str) -> str:
    """Return why anyone could guess this secret. Empty: no reason is known."""
    if secret == EXAMPLE_KEY:
        return "is the example file's key, which is public"
    return "is one character repeated" if len(set(secret)) == 1 else ""


def invisible(secret: str) -> list[str]:
    """Return the kinds of invisible characters in a secret. They are most likely a mistake."""
    inner = secret.strip(_BYTE_ORDER_MARK + _LINE_ENDS)
    found = {
        "a line end": any(character in _LINE_ENDS for character in secret),
        "a blank at an end": inner != inner.strip(_BLANKS),
        "a byte order mark": _BYTE_ORDER_MARK in secret,
        "a control character": any(_is_control(character) for character in inner.strip(_BLANKS)),
        "a zero-width character": any(_has_no_width(character) for character in secret),
    }
    return [name for name, is_there in found.items() if is_there]


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc" and character not in _LINE_ENDS


def _has_no_width(character: str) -> bool:
    if character == _BYTE_ORDER_MARK:
        return False  # has its own name
    return unicodedata.category(character) == "Cf" or character in _EMPTY_LETTERS
