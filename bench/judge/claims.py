"""What a result permits to say: one sentence for each picture, computed, and "undecided" where the rounds do not carry one.

Knows figures and words; draws nothing and reads no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
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

    @property
    def noun(self) -> str:
        """What is counted."""
        return self.unit.removesuffix("/s")

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
    def amount(self) -> str:
        """The number; where it is undecided, what it lies between, as far as that is known."""
        if self.is_decided or self.between is None:
            return written(self.value)
        return f"{written(self.between[0])} to {written(self.between[1])}"

    @property
    def text(self) -> str:
        """The same, and that it is undecided."""
        if self.between is None:
            return "undecided: too few rounds"
        return self.amount if self.is_decided else f"undecided: {self.amount}"


class Finding(Enum):
    """What the interval of a ratio permits to say."""

    ALONE = "no other service was measured"
    RATIO = "the ratio"
    LEVEL = "level"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said of a topic. `bars` are the best first; `rival` is the best peer, `ratio` that of the turns to it."""

    topic: Topic
    bars: tuple[Bar, ...]
    subject: Bar
    rival: Bar | None
    ratio: Estimate | None
    finding: Finding
    rate_per_s: float | None = None  # of an open loop
    nothing: str = ""  # why no figure of the result says anything

    @property
    def is_decided(self) -> bool:
        """Whether there is anything to say."""
        return self.finding is not Finding.UNDECIDED

    @property
    def title(self) -> str:
        """The message."""
        what = f"{self.topic.what} at {self.rate_per_s:,.0f}/s" if self.rate_per_s else self.topic.what
        return f"{what}: {self._message}"

    @property
    def reason(self) -> str:
        """What the message rests on."""
        if self.nothing:
            return f"{self.nothing[0].upper()}{self.nothing[1:]}."
        if self.rival is None:
            return "No other service was measured." if self.is_decided else f"The figure is {self.subject.text}."
        if self.ratio is None or self.ratio.between is None:
            return f"Too few rounds for an interval: {0 if self.ratio is None else self.ratio.count}."
        return f"{PERCENT} interval {self._between}{NO_BREAK}×, {self.ratio.count} rounds."

    @property
    def measure(self) -> str:
        """What the numbers are, and which are the good ones."""
        topic = self.topic
        what = f"{topic.noun} in one second of CPU time" if topic.per_core else topic.unit
        return f"{what[0].upper()}{what[1:]}, {'more' if topic.more_is_better else 'less'} is better"

    @property
    def short(self) -> str:
        """The message, the two figures and the interval, in one line."""
        reason = f"{self.reason[0].lower()}{self.reason[1:-1]}"
        if self.nothing:
            return f"{self.title} ({reason})"
        figures = ", ".join(f"{bar.name} {bar.amount}" for bar in (self.subject, self.rival) if bar is not None)
        return f"{self.title} ({figures} {self.topic.unit}; {reason})"

    @property
    def prose(self) -> str:
        """The same for those who read no tables."""
        topic, mine = self.topic, self.subject
        has = (
            f"A second of one core is enough for {mine.amount} {topic.noun}"
            if topic.per_core
            else f"{mine.amount} {topic.unit}"
        )
        if self.nothing or self.rival is None:
            return f"{has}. {self.reason}"
        if self.ratio is None or self.ratio.between is None:
            return f"{has}. How {self.rival.name} compares is undecided: too few rounds."
        interval = f"the ratio's {PERCENT} interval"
        match self.finding:
            case Finding.LEVEL:
                return f"{has}, as with {self.rival.name} ({interval}: {self._between})."
            case Finding.RATIO:
                theirs = f"{'for ' if topic.per_core else ''}{self.rival.amount}"
                return f"{has}; with {self.rival.name} {theirs} ({interval}: {self._between})."
            case _:
                return f"{has}. How {self.rival.name} compares is undecided: {interval} is {self._between}."

    @property
    def _message(self) -> str:
        suffix = f"{NO_BREAK}per{NO_BREAK}core" if self.topic.per_core else ""
        if self.finding is Finding.ALONE:
            return f"{self.subject.text}{NO_BREAK}{self.topic.unit}{suffix}"
        if self.nothing or self.rival is None:
            return "undecided"
        name = self.rival.name.replace(" ", NO_BREAK)
        if self.finding is Finding.LEVEL:
            return f"level with {name}{suffix}"
        if self.finding is Finding.UNDECIDED or self.ratio is None:
            return f"undecided between {self.subject.name} and {name}"
        return f"{_times(self.ratio.value)}{NO_BREAK}×{NO_BREAK}{name}{suffix}"

    @property
    def _between(self) -> str:
        assert self.ratio is not None
        assert self.ratio.between is not None
        return f"{self.ratio.between[0]:.2f} to {self.ratio.between[1]:.2f}"


def claims(result: Result) -> Iterator[Claim]:
    """Return the claim of every topic of which the subject was measured."""
    for topic in TOPICS:
        measured = [one for one in result.measurements if one.scenario == topic.scenario]
        bars = [bar for one in measured if (bar := _bar(one, topic)) is not None]
        bars.sort(key=lambda bar: -bar.value if topic.more_is_better else bar.value)
        subject = next((bar for bar in bars if bar.service == SUBJECT), None)
        if subject is None:
            continue
        rival, ratio = _rival(result, topic, bars)
        nothing = undecidable(result)
        finding = Finding.UNDECIDED if nothing else _finding(subject, rival, ratio)
        rates = {one.settings.get("rate_per_s") for one in measured}
        rate = rates.pop() if len(rates) == 1 else None
        yield Claim(topic, tuple(bars), subject, rival, ratio, finding, rate, nothing)


def written(value: float) -> str:
    """Write three digits of a number."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def is_near(value: float, between: Interval) -> bool:
    """Return whether a figure is decided: whether its interval holds it and ends near to it."""
    low, high = between
    return value * (1 - APART_MAX) <= low <= value <= high <= value * (1 + APART_MAX)


def _finding(subject: Bar, rival: Bar | None, ratio: Estimate | None) -> Finding:
    if rival is None:
        return Finding.ALONE if subject.is_decided else Finding.UNDECIDED
    if ratio is None or ratio.between is None:
        return Finding.UNDECIDED
    low, high = ratio.between
    if low >= 1 / (1 + LEVEL) and high <= 1 + LEVEL:
        return Finding.LEVEL
    return Finding.UNDECIDED if low <= 1 <= high or not is_near(ratio.value, ratio.between) else Finding.RATIO


def _bar(measured: Measurement, topic: Topic) -> Bar | None:
    found = Estimate.of([value for one in measured.rounds if (value := topic.value(one)) is not None])
    return None if found is None else Bar(measured.service, found.value, found.between)


def _rival(result: Result, topic: Topic, bars: Sequence[Bar]) -> tuple[Bar | None, Estimate | None]:
    """Return the peer to which the subject's ratio is the worst, and that ratio; without ratios the one with the best figure."""
    found = [
        (bar, _ratio(result, topic, bar.service)) for bar in bars if bar.service not in (SUBJECT, INTERPRETED, FLOOR)
    ]
    paired_ones = [(bar, ratio) for bar, ratio in found if ratio is not None]
    if paired_ones:
        sign = 1 if topic.more_is_better else -1
        return min(paired_ones, key=lambda one: sign * one[1].value)
    return found[0] if found else (None, None)


def _ratio(result: Result, topic: Topic, rival: str) -> Estimate | None:
    """Estimate the ratio to a rival by the turns: what slowed both in one of them cancels out."""
    mine, theirs = (result.find(service, topic.scenario) for service in (SUBJECT, rival))
    assert mine is not None
    assert theirs is not None
    ratios = paired(mine, theirs, topic.field)
    return Estimate.of([1 / ratio for ratio in ratios if ratio] if topic.per_core else ratios)


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= TWO_DECIMALS_BELOW else f"{ratio:.2f}"
