"""The terminal: standard streams that are safe to use, text for people, and its colours. Knows no verb and no configuration.

Every command loads this module, so it loads nothing that takes long: no typing, no argparse.
"""

from __future__ import annotations

import io
import os
import sys

# What a style is to a terminal (ECMA-48 §8.3.117).
STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


def prepare_streams() -> None:
    """Make the standard streams safe to use.

    Where one was closed, /dev/null takes its place, so that no socket gets its number and then the log's lines.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - it lasts as long as the process, and so do the next two
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - see above
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - see above
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # claims and paths may hold characters that the locale cannot encode
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def say(text: str) -> None:
    """Print a text for people to standard output."""
    print(text, flush=True)


def complain(text: str) -> None:
    """Print what went wrong to standard error."""
    print(text, file=sys.stderr, flush=True)


def has_colour(*, error: bool = False) -> bool:
    """Whether standard output, or standard error, is a terminal that shows colours, and nobody asked for none: by `NO_COLOR` with
    any value but the empty one, or by `TERM=dumb`.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return (sys.stderr if error else sys.stdout).isatty()


def painted(text: str, *styles: str, error: bool = False) -> str:
    """Return a text in these styles (`bold`, `red`, …), or as it is where standard output (or error) shows no colours."""
    if not text or not has_colour(error=error):
        return text
    return f"\x1b[{';'.join(STYLES[style] for style in styles)}m{text}\x1b[0m"
