"""What a result permits to say: one sentence for each picture, computed, and "undecided" where the rounds do not carry one.

Knows figures and words; draws nothing and reads no files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.judge.goals import undecidable
from bench.judge.intervals import CONFIDENCE, Estimate, Interval
from bench.measure.figures import Measurement, Round, paired
from bench.measure.results import Result
from bench.measure.scenarios import FLOOR, INTERPRETED, NAMES, SUBJECT

# A figure is decided if its interval ends no further from it than this share of it: such a figure has one digit that holds.
APART_MAX: Final = 0.25
LEVEL: Final = 0.05  # two figures are level if the whole interval of their ratio is this close to 1
TWO_DECIMALS_BELOW: Final = 1.2  # there 1.06 would become 1.1, nearly twice the lead
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
PERCENT: Final = f"{CONFIDENCE * 100:g}{NO_BREAK}%"


@dataclass(frozen=True, slots=True)
class Topic:
    """What one claim is about: one figure of all services in one scenario."""

    name: str  # of the picture's file
    scenario: str
    what: str
    unit: str  # follows a value
    field: str  # of a round
    per_core: bool = False  # the field is CPU µs a request, shown as requests in a second of CPU time
    scale: float = 1.0
    more_is_better: bool = False
    is_drawn: bool = True  # there is a picture, too

    def value(self, one: Round) -> float | None:
        """Return the figure of one round in the unit that is shown, None where there is none."""
        raw = getattr(one, self.field)
        if one.void or not raw:
            return None
        return 1_000_000 / float(raw) if self.per_core else float(raw) * self.scale


def _per_core(name: str, scenario: str, what: str, unit: str, *, is_drawn: bool = True) -> Topic:
    """Make a topic of how many requests one second of CPU time is enough for."""
    return Topic(name, scenario, what, unit, "cpu_us", per_core=True, more_is_better=True, is_drawn=is_drawn)


TOPICS: Final = (
    _per_core("peers", "get_token", "Logins", "logins/s"),
    _per_core("few-connections", "few_8", "Logins on 8 connections", "logins/s", is_drawn=False),
    _per_core("large-replies", "list_8k", "Logins with an access list of 8 KiB", "logins/s"),
    _per_core("checks", "check_token", "Checks of one token", "checks/s"),
    _per_core("checks-distinct", "check_token_distinct", "Checks of 10,000 tokens in turn", "checks/s"),
    Topic("latency", "open_loop", "p99 latency of logins", "milliseconds", "p99_ms"),
    Topic("memory", "idle_10k", "Memory with 10,000 idle connections", "MiB", "memory_kib", scale=1 / 1024),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One service's figure: the median of its rounds, and the interval that holds it."""

    service: str
    value: float
    between: Interval | None  # None: too few rounds

    @property
    def name(self) -> str:
        """What people call it."""
        return NAMES.get(self.service, self.service)

    @property
    def is_decided(self) -> bool:
        """Whether the rounds agree well enough for one number."""
        return self.between is not None and is_near(self.value, self.between)

    @property
    def text(self) -> str:
        """The number; where it is undecided, what it lies between."""
        if self.is_decided:
            return written(self.value)
        if self.between is None:
            return "undecided: too few rounds"
        return f"undecided: {written(self.between[0])} to {written(self.between[1])}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A picture's message. `title` is the message, `reason` what it rests on, `bars` the best first."""

    topic: Topic
    title: str
    reason: str
    bars: tuple[Bar, ...]
    is_decided: bool

    @property
    def sentence(self) -> str:
        """The message, what it rests on, and the figures of the service, of the best peer and of the floor."""
        subject = [bar for bar in self.bars if bar.service == SUBJECT]
        peers = [bar for bar in self.bars if bar.service not in (SUBJECT, INTERPRETED, FLOOR)]
        floor = [bar for bar in self.bars if bar.service == FLOOR]
        figures = "; ".join(f"{bar.name} {bar.text}" for bar in (*subject, *peers[:1], *floor))
        return f"{self.title}. {self.measure}: {figures}. {self.reason}"

    @property
    def measure(self) -> str:
        """What the numbers are, and which are the good ones."""
        topic = self.topic
        what = f"{topic.unit.removesuffix('/s')} in one second of CPU time" if topic.per_core else topic.unit
        return f"{what[0].upper()}{what[1:]}, {'more' if topic.more_is_better else 'less'} is better"


def claims(result: Result) -> Iterator[Claim]:
    """Return the claim of every topic of which the subject was measured."""
    for topic in TOPICS:
        measured = [one for one in result.measurements if one.scenario == topic.scenario]
        bars = [bar for one in measured if (bar := _bar(one, topic)) is not None]
        if any(bar.service == SUBJECT for bar in bars):
            bars.sort(key=lambda bar: -bar.value if topic.more_is_better else bar.value)
            yield _claim(result, topic, bars)


def written(value: float) -> str:
    """Write three digits of a number."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def is_near(value: float, between: Interval) -> bool:
    """Return whether a figure is decided: whether its interval holds it and ends near to it."""
    low, high = between
    return value * (1 - APART_MAX) <= low <= value <= high <= value * (1 + APART_MAX)


def _bar(measured: Measurement, topic: Topic) -> Bar | None:
    found = Estimate.of([value for one in measured.rounds if (value := topic.value(one)) is not None])
    return None if found is None else Bar(measured.service, found.value, found.between)


def _claim(result: Result, topic: Topic, bars: list[Bar]) -> Claim:
    rates = {one.settings.get("rate_per_s") for one in result.measurements if one.scenario == topic.scenario}
    rate = rates.pop() if len(rates) == 1 else None
    what = f"{topic.what} at {rate:,.0f}/s" if rate else topic.what
    subject = next(bar for bar in bars if bar.service == SUBJECT)
    rival = next((bar for bar in bars if bar.service not in (SUBJECT, INTERPRETED, FLOOR)), None)

    def say(message: str, reason: str, *, is_decided: bool) -> Claim:
        return Claim(topic, f"{what}: {message}", reason, tuple(bars), is_decided)

    if why := undecidable(result):
        return say("undecided", f"{why[0].upper()}{why[1:]}.", is_decided=False)
    suffix = f"{NO_BREAK}per{NO_BREAK}core" if topic.per_core else ""
    if rival is None:
        if not subject.is_decided:
            return say("undecided", f"The figure is {subject.text}.", is_decided=False)
        return say(f"{subject.text}{NO_BREAK}{topic.unit}{suffix}", "No other service was measured.", is_decided=True)
    name = rival.name.replace(" ", NO_BREAK)
    against = f"undecided between {subject.name} and {name}"
    ratio = _ratio(result, topic, rival.service)
    if ratio is None or ratio.between is None:
        count = 0 if ratio is None else ratio.count
        return say(against, f"Too few rounds for an interval: {count}.", is_decided=False)
    between = ratio.between
    reason = f"{PERCENT} interval {between[0]:.2f} to {between[1]:.2f}{NO_BREAK}×, {ratio.count} rounds."
    if between[0] >= 1 / (1 + LEVEL) and between[1] <= 1 + LEVEL:
        return say(f"level with {name}{suffix}", reason, is_decided=True)
    if between[0] <= 1 <= between[1] or not is_near(ratio.value, between):
        return say(against, reason, is_decided=False)
    return say(f"{_times(ratio.value)}{NO_BREAK}×{NO_BREAK}{name}{suffix}", reason, is_decided=True)


def _ratio(result: Result, topic: Topic, rival: str) -> Estimate | None:
    """Estimate the ratio to a rival by the turns: what slowed both in one of them cancels out."""
    mine, theirs = (result.find(service, topic.scenario) for service in (SUBJECT, rival))
    assert mine is not None
    assert theirs is not None
    ratios = paired(mine, theirs, topic.field)
    return Estimate.of([1 / ratio for ratio in ratios if ratio] if topic.per_core else ratios)


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= TWO_DECIMALS_BELOW else f"{ratio:.2f}"
