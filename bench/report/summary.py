"""A result in six lines: what it permits to say of logins, few connections, large replies, checks, latency and memory, goals.

Knows which claims stand in which line, not how they are reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench.judge.claims import claims
from bench.judge.goals import in_short, standings
from bench.judge.table import GOALS
from bench.measure.results import Result
from bench.measure.scenarios import SUBJECT

# The topics of each line.
LINES: Final = (
    ("peers",),
    ("few-connections",),
    ("large-replies",),
    ("checks", "checks-distinct"),
    ("latency", "memory"),
)


def summary(result: Result) -> Iterator[str]:
    """Return the lines. What was not measured has none, and an emulated CPU has none at all."""
    if result.machine.emulated:
        return
    made = {claim.topic.name: claim for claim in claims(result)}
    for names in LINES:
        said = [made[name].short for name in names if name in made]
        if said:
            yield f"{'. '.join(said)}."
    if SUBJECT in result.services:
        yield f"Goals: {in_short(standings(result, GOALS))}"
