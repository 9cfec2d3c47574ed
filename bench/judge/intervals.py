"""The interval that holds a median, from a few values. Knows values alone: no rounds, no services, no words.

A bootstrap interval without resampling. The median of an even number of draws is the mean of its two middle ones, so it is one of
few numbers, and how often each of them comes follows from the binomial distribution. It is computed and not drawn: the result is
exact, the same every time, and takes 0.1 ms for 20 values where 2,000 resamples take 9.

The plain percentiles of that distribution are too narrow for few values. Of 7 values they hold the true median in 88 % of all
samples, of 13 in 91 %, not in 95. So

- an odd number of values is drawn from one time fewer: their own median would have as many possible values as there are values;
- the tails are those of Student's t, not of the normal distribution (the expanded percentile interval: Hesterberg, "What teachers
  should know about the bootstrap", 2015, section 4.3).

Then 6 to 60 values hold it in 95 to 98.6 % of all samples, whatever the noise (`tests/bench/judge/test_intervals.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb, sqrt
from statistics import NormalDist, median
from typing import Final

CONFIDENCE: Final = 0.95
FEWEST: Final = 6  # all of five values lie on one side of the true median once in 16 times

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure: the median of its values, and the interval that holds it."""

    value: float
    between: Interval | None  # None: too few values
    count: int  # of values

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate | None:
        """Estimate the median; None if there are no values."""
        return cls(median(values), interval(values), len(values)) if values else None


def interval(values: Sequence[float]) -> Interval | None:
    """Return the interval that holds the median of what such values come from with `CONFIDENCE`; None if they are too few."""
    if len(values) < FEWEST:
        return None
    ordered = sorted(values)
    medians = sorted(
        ((ordered[low] + ordered[high]) / 2, probability) for low, high, probability in _medians(len(ordered))
    )
    tail = _tail(len(ordered))
    return _quantile(medians, tail), _quantile(medians[::-1], tail)


def _quantile(medians: Sequence[tuple[float, float]], tail: float) -> float:
    """Return the first of them at which more than the tail has passed."""
    passed = 0.0
    for value, probability in medians:
        passed += probability
        if passed > tail:
            return value
    raise AssertionError("the probabilities do not add up to 1")


@cache
def _medians(count: int) -> list[tuple[int, int, float]]:
    """Return every median that a resample can have: the places of its two middle draws, and its probability.

    Counted in whole numbers, of all resamples that there are: the powers are large and their differences small.
    """
    draws = _draws(count)
    half, resamples = draws // 2, count**draws
    found = []
    for low in range(count):
        # The lower of the two middle draws is at place `low`,
        rest = _at_least(half, count, low + 1) - _at_least(half, count, low)
        for high in range(low + 1, count):
            # and one half is at most that with at least one draw at it, the other at least `high` with at least one draw there.
            lower = (low + 1) ** half - low**half
            upper = (count - high) ** half - (count - high - 1) ** half
            ways = comb(draws, half) * lower * upper
            rest -= ways
            found.append((low, high, ways / resamples))
        found.append((low, low, rest / resamples))
    return found


def _at_least(least: int, count: int, lowest: int) -> int:
    """Return how many resamples have at least `least` of their draws among the `lowest` values."""
    draws = _draws(count)
    return sum(comb(draws, of) * lowest**of * (count - lowest) ** (draws - of) for of in range(least, draws + 1))


def _draws(count: int) -> int:
    """Return how many draws make a resample."""
    return count - count % 2


@cache
def _tail(count: int) -> float:
    """Return what is left out at either end."""
    normal, freedom = NormalDist(), count - 1
    z = normal.inv_cdf((1 + CONFIDENCE) / 2)
    # Student's quantile by its expansion (Abramowitz and Stegun, 26.7.5): within 0.1 % from 5 degrees of freedom on.
    student = (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
    # The medians of resamples lie closer together than those of samples, by this factor.
    return normal.cdf(-student * sqrt(_draws(count) / freedom))
