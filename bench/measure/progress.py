"""A run's progress on the terminal: a bar at the bottom, a line for every round above it.

Knows texts and counts, nothing of what they mean.
"""

from __future__ import annotations

import sys

from tqdm import tqdm

REFRESH_S = 1.0  # drawing costs the load generator's core a little


class Bar:
    """A context manager. Without a terminal, only the lines are written."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._text = ""

    def begin(self, steps: int) -> None:
        """Take the number of steps."""
        self._bar = tqdm(
            total=steps, mininterval=REFRESH_S, leave=False, disable=not sys.stderr.isatty(), dynamic_ncols=True
        )

    def step(self, text: str) -> None:
        """Begin the next step."""
        if self._bar is not None:
            if self._text:
                self._bar.update()
            self._bar.set_description(text, refresh=True)
        self._text = text

    def say(self, text: str) -> None:
        """Write a line that stays."""
        tqdm.write(text, file=sys.stderr)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
