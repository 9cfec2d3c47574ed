"""Counts cases: a fixed number of requests in a few starts, one by one, and what one of them costs.

Knows what a figure is; who is counted and what is asked stands in `subject` and `cases`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from bench.count.build import Build
from bench.count.cases import Case
from bench.count.client import Client
from bench.count.counters import Snapshot
from bench.count.emulator import Emulator
from bench.count.names import named
from bench.count.remote import started_remote
from bench.count.subject import Subject, started_service
from bench.errors import BenchError

METHOD: Final = 1  # greater when figures of before and after a change of how is counted cannot be compared
LARGE_BYTES: Final = 16 * 1024  # of a reply: from here on its token is longer than the limit allows by default
WINDOWS: Final = 3  # that the requests are divided into, to see how steady the figure is
KEPT_MIN: Final = 0.05  # share of the requests that have to be undisturbed
ENDING_S: Final = 1.0  # that a service which stopped answering gets to end, so that its exit code can be told


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is counted."""

    # Each has a hash seed of its own, which moves everything a little (0.9 % between six seeds): their median moves less.
    starts: int = 3
    warm_up: int = 300  # requests, until Python has specialised its bytecode and all memories are filled
    requests: int = 600  # counted

    def __str__(self) -> str:
        """Describe it, for the fingerprint."""
        return f"{self.starts} starts of {self.warm_up} + {self.requests} requests, method {METHOD}"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one request of a case costs.

    Some of the service's work depends on the time and not on requests: that of the start of each second, and turns of its loop
    that others get while a large answer is made, which are more where the machine is busy. A request into which it fell made
    more system calls than others, and is left out. Python's collections of garbage are not left out: they are the requests'
    own, and make `instructions`, a mean, greater than `typical`, the median.
    """

    case: str
    parameters: str
    instructions: float
    typical: float
    spread: float  # between the least and the greatest of the windows of one start, as a share
    between: float  # the same between starts
    kept: float  # share of the requests that were not left out
    system_calls: dict[str, float]  # by name


def count(emulator: Emulator, build: Build, cases: Sequence[Case], plan: Plan) -> list[Figure]:
    """Start the service as often as planned and count each case.

    Several starts run at once where there are cores for them: other work does not change what is counted.

    Raises:
        BenchError: it does not start, ends too early, or answers wrongly.
    """
    ended = threading.Event()
    with ThreadPoolExecutor(min(plan.starts, len(os.sched_getaffinity(0)))) as pool:
        started = [pool.submit(_count_start, emulator, build, cases, plan, seed, ended) for seed in range(plan.starts)]
        try:
            starts = [one.result() for one in started]
        except BaseException:  # Ctrl-C too: the other starts end soon
            ended.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [together(figures) for figures in zip(*starts, strict=True)]


def together(figures: Sequence[Figure]) -> Figure:
    """Make one figure of those of several starts: that of the start in the middle."""
    ordered = sorted(figures, key=lambda one: one.instructions)
    middle = ordered[(len(ordered) - 1) // 2]
    return Figure(
        case=middle.case,
        parameters=middle.parameters,
        instructions=middle.instructions,
        typical=middle.typical,
        spread=max(one.spread for one in figures),
        between=(ordered[-1].instructions - ordered[0].instructions) / middle.instructions,
        kept=min(one.kept for one in figures),
        system_calls=middle.system_calls,
    )


def figure(case: Case, requests: Sequence[Snapshot], arch: str) -> Figure:
    """Make the figure of one start from the counts of single requests.

    Raises:
        BenchError: they are too different, or nothing was counted.
    """
    if min(one.instructions for one in requests) <= 0:
        raise BenchError("the plugin counted no instruction of a request")
    kept = undisturbed(requests)
    instructions = [one.instructions for one in kept]
    middle = fmean(instructions)
    each = len(kept) // WINDOWS
    windows = [fmean(instructions[each * number : each * (number + 1)]) for number in range(WINDOWS)]
    calls = sum((one.system_calls for one in kept), Counter[int]())
    return Figure(
        case=case.name,
        parameters=case.parameters,
        instructions=middle,
        typical=median(instructions),
        spread=(max(windows) - min(windows)) / middle,
        between=0.0,
        kept=len(kept) / len(requests),
        system_calls=named(arch, {number: times / len(kept) for number, times in sorted(calls.items())}),
    )


def undisturbed(requests: Sequence[Snapshot]) -> list[Snapshot]:
    """Return the requests with the fewest system calls, if they are not just a few of all; else those with the next number.

    Raises:
        BenchError: no two requests are alike.
    """
    sizes = Counter(one.system_calls.total() for one in requests)
    for calls, times in sorted(sizes.items()):
        if times >= max(WINDOWS, KEPT_MIN * len(requests)):
            return [one for one in requests if one.system_calls.total() == calls]
    raise BenchError(
        f"no {KEPT_MIN:.0%} of the requests made the same number of system calls: is the machine too busy?"
    )


def _count_start(
    emulator: Emulator, build: Build, cases: Sequence[Case], plan: Plan, seed: int, ended: threading.Event
) -> list[Figure]:
    largest = max(len(case.reply) for case in cases)
    settings = {"limits.tokenBytes": "1MiB"} if largest > LARGE_BYTES else {}
    with started_remote(b"{}") as remote, started_service(emulator, build, seed, remote.url, settings) as subject:
        figures = []
        for case in cases:
            remote.reply = case.reply
            try:
                figures.append(figure(case, _requests(subject, case, plan, ended), emulator.arch))
            except BenchError as error:
                with contextlib.suppress(BenchError):
                    subject.process.wait(ENDING_S)
                subject.process.check_alive()
                raise BenchError(f"{case.name}: {error}") from error
        return figures


def _requests(subject: Subject, case: Case, plan: Plan, ended: threading.Event) -> list[Snapshot]:
    """Send the case's requests one by one and count each, from one rest of the service to the next."""
    exchanges = case.exchanges()
    counts = []
    with Client(subject.port) as client:
        for number in range(plan.warm_up + plan.requests):
            if ended.is_set():
                raise BenchError("another start failed")
            whole, judge = next(exchanges)
            before = subject.at_rest() if number >= plan.warm_up else None
            judge(client.ask(whole))
            if before is not None:
                counts.append(subject.at_rest() - before)
    return counts
