"""Why there is no release, in words that say what to do."""

from __future__ import annotations

from collections.abc import Sequence


class Refusal(Exception):
    """One problem or several, each with its remedy; all that are known are said at once."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems: Sequence[str] = problems

    def __str__(self) -> str:
        return "\n".join(f"- {problem}" for problem in self.problems)
