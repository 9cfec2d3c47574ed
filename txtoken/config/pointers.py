"""JSON Pointers in the configuration (RFC 6901). Follows none."""

from __future__ import annotations

import re
from typing import Final

import yaml

from txtoken.config.values import Wrong, kind, read_text

POINTER: Final = r"(?:/(?:[^~/]|~[01])*)*"  # RFC 6901 §3


@kind("string", pattern=POINTER)
def read_pointer(node: yaml.Node) -> str:
    """A JSON Pointer, as `/user/id`."""
    text = read_text(node)
    try:
        return check_pointer(text)
    except Wrong as wrong:
        raise Wrong(str(wrong).replace("contains a key that is", "is"), node) from None


def check_pointer(text: str) -> str:
    """Check the syntax of a JSON Pointer.

    Raises:
        Wrong: it is not one.
    """
    if text.startswith("#"):
        raise Wrong("contains a pointer that begins with #: leave that out, as in /success")
    if text and not text.startswith("/"):
        raise Wrong(
            "contains a key that is not a JSON Pointer: it has to begin with /, as in /success or /user/roles/0"
        )
    if not re.fullmatch(POINTER, text, re.DOTALL):
        raise Wrong("contains a JSON Pointer with a ~ that is neither ~0 (for ~) nor ~1 (for /)")
    return text
