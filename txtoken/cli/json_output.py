"""What commands print for programs: JSON. Prints nothing for people."""

from __future__ import annotations

import sys
from typing import Final

import orjson

_OPTIONS: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def print_json(value: object) -> None:
    """Print a value to standard output."""
    sys.stdout.write(orjson.dumps(value, option=_OPTIONS).decode())
    sys.stdout.flush()
