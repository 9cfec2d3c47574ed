"""Text that commands are given: as an argument, or on standard input. Knows how people copy tokens; verifies none."""

from __future__ import annotations

import os
import re
import sys
from typing import Final

_QUOTES: Final = b" \t\r\n\"'`"
# What precedes a token where it is copied from: quotes, a field's name, and the authentication scheme.
_BEFORE_TOKEN: Final = re.compile(rb"[\s\"'`]*(?:authorization\s*:[\s\"'`]*)?(?:bearer\s+[\s\"'`]*)?", re.IGNORECASE)


def read_argument(value: str) -> bytes:
    """Read an argument, or standard input for `-`: others on the machine can read what stands in a command line."""
    if value != "-":
        return os.fsencode(value).strip()
    return sys.stdin.buffer.read().strip() if sys.stdin is not None else b""


def read_token(value: str) -> bytes:
    """Read a token as people copy it: in an answer's JSON, in a header field, in quotes, on lines that were wrapped."""
    text = read_argument(value)
    member = re.search(rb'"(?:access_token|token)"\s*:\s*"([^"]*)"', text) if text[:1] == b"{" else None
    if member is not None:
        text = member[1]
    before = _BEFORE_TOKEN.match(text)
    assert before is not None  # it matches nothing, too
    text = text[before.end() :]
    return b"".join(text.rstrip(_QUOTES).split())
