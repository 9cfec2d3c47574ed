"""How the demo speaks to people. Knows no terminal: what speaks on it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Say(Protocol):
    """Prints a text."""

    def __call__(self, text: str) -> None: ...


class Paint(Protocol):
    """Returns a text in styles (`bold`, `red`, …), or as it is where no colours are shown."""

    def __call__(self, text: str, *styles: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Speech:
    """Where the demo's words go. `complain` is for what went wrong."""

    say: Say
    complain: Say
    paint: Paint
