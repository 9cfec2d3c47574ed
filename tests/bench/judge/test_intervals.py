"""The interval of a median: how often it holds the true one, and what it does not depend on."""

from __future__ import annotations

from math import exp, sqrt
from random import Random
from statistics import NormalDist, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.judge.intervals import CONFIDENCE, FEWEST, Estimate, Interval, _tail, interval

VALUES = st.lists(st.floats(0.001, 1000), min_size=FEWEST, max_size=30)
SAMPLES = 2000
# Three standard deviations of the share that so many samples hold, if the true one is `CONFIDENCE`.
CHANCE = 3 * (CONFIDENCE * (1 - CONFIDENCE) / SAMPLES) ** 0.5


def of(values: list[float]) -> Interval:
    """Return the interval of enough values."""
    between = interval(values)
    assert between is not None
    return between


@pytest.mark.parametrize("count", [6, 7, 8, 11, 13, 20, 29, 40])
@pytest.mark.parametrize("noise", ["log-normal", "outliers", "skewed"])
def test_it_holds_the_true_median_as_often_as_it_says(count: int, noise: str) -> None:
    """In 95 % of samples or a little more, whatever the noise: a fifth of outliers, a long tail."""
    random = Random(f"{count} {noise}")

    def value() -> float:
        if noise == "log-normal":
            return exp(random.gauss(0, 0.1))
        if noise == "outliers":
            return exp(random.gauss(0, 0.02) + (random.random() < 0.2) * random.choice((-1, 1)))
        return random.expovariate(0.6931471805599453)

    held = 0
    for _ in range(SAMPLES):
        low, high = of([value() for _ in range(count)])
        held += low <= 1 <= high
    assert CONFIDENCE - CHANCE <= held / SAMPLES <= 0.99


def test_it_is_that_of_resampling() -> None:
    """20,000 resamples have the same percentiles as the distribution that is computed."""
    random = Random(1)
    values = [exp(random.gauss(0, 0.1)) for _ in range(20)]
    medians = sorted(median(random.choices(values, k=len(values))) for _ in range(20_000))
    tail = 0.01588  # of 20 values: Student's t with 19 degrees of freedom, wider by sqrt(20/19)
    low, high = of(values)
    place = round(tail * len(medians))
    near = 80  # resamples: four standard deviations
    assert medians[place - near] <= low <= medians[place + near]
    assert medians[-place - near] <= high <= medians[-place + near]


@pytest.mark.parametrize(("count", "draws", "student"), [(6, 6, 2.570582), (7, 6, 2.446912), (20, 20, 2.093024)])
def test_its_tails_are_those_of_students_t(count: int, draws: int, student: float) -> None:
    """Two sides of 2.5 % by the tables of Student's t, wider by the factor by which resamples are too much alike."""
    assert _tail(count) == pytest.approx(NormalDist().cdf(-student * sqrt(draws / (count - 1))), rel=0.01)


@given(VALUES, st.floats(0.01, 100))
def test_the_unit_does_not_matter(values: list[float], factor: float) -> None:
    """The same figures in another unit have the same interval in that unit."""
    low, high = of(values)
    assert of([value * factor for value in values]) == pytest.approx((low * factor, high * factor))


@given(VALUES, st.data())
def test_larger_values_never_make_it_smaller(values: list[float], data: st.DataObject) -> None:
    """If values grow, neither end falls."""
    grown = [value + data.draw(st.floats(0, 10)) for value in values]
    low, high = of(values)
    later_low, later_high = of(grown)
    assert later_low >= low
    assert later_high >= high


@given(VALUES, st.randoms())
def test_the_order_does_not_matter(values: list[float], random: Random) -> None:
    """And the same values have the same interval every time; the median is in it, and it is within the values."""
    low, high = of(values)
    assert min(values) <= low <= median(values) <= high <= max(values)
    random.shuffle(values)
    assert of(values) == (low, high)


def test_one_outlier_does_not_decide() -> None:
    """Of twelve values one may be anything."""
    steady = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0, 1.01, 1.0]
    assert of([*steady, 50.0])[1] < 1.03


def test_too_few_values_have_no_interval() -> None:
    """Five values cannot exclude anything with 95 % confidence."""
    assert interval([1.0] * (FEWEST - 1)) is None
    assert interval([]) is None
    assert interval([2.0] * FEWEST) == (2.0, 2.0)


def test_an_estimate_is_median_interval_and_count() -> None:
    """Of no values there is none, of few there is one without an interval."""
    assert Estimate.of([]) is None
    assert Estimate.of([1.0, 3.0]) == Estimate(2.0, None, 2)
    assert Estimate.of([2.0] * 7) == Estimate(2.0, (2.0, 2.0), 7)
