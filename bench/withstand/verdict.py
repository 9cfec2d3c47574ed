"""Which rows held, and why others did not. Pure: knows measures alone.

A row that was not attacked as it should have been is void, and void is never held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bench.withstand.measures import Row, Run, percentile

P99_MS_MAX: Final = 50.0
P50_RATIO_MAX: Final = 3.0  # of the unloaded p50, where both cores are at least half idle
P50_MS_FLOOR: Final = 0.5  # below this a ratio measures the machine's scheduler
BUSY_SHARE: Final = 0.5
PEAK_KIB_MAX: Final = 256 * 1024
GROWTH_KIB_MAX: Final = 2 * 1024  # from the end of one run to the end of the next
IDLE_SHARE_MAX: Final = 0.01
FOREIGN_SHARE_MAX: Final = 0.25  # of one core: above it, latencies say nothing about the service
REQUESTS_MIN: Final = 20  # of the honest client: fewer say nothing


def void(row: Row) -> str:
    """Return why a row is void, or an empty text."""
    if row.void:
        return row.void
    for run in row.runs:
        if run.done.void:
            return run.done.void
    requests = sum(run.honest.requests for run in row.runs)
    if row.runs and requests < REQUESTS_MIN:
        return f"the honest client made only {requests} requests"
    foreign_share = max((run.foreign_share for run in row.runs), default=0.0)
    if foreign_share > FOREIGN_SHARE_MAX and _of_latency(row) and not _of_all_else(row):
        return f"other programs used {foreign_share:.2f} of a core"
    return ""


def problems(row: Row) -> list[str]:
    """List the problems of a row, its own ones first."""
    return [*_of_all_else(row), *_of_latency(row)]


def held(row: Row) -> bool:
    """Whether the row was attacked and held."""
    return not void(row) and not problems(row)


def _of_latency(row: Row) -> list[str]:
    found = []
    # p99 of all runs together: the first tenth of a count alone is over before a hundred requests were made.
    p99_ms = percentile(sorted(one for run in row.runs for one in run.honest.latencies_ms), 0.99)
    if p99_ms > P99_MS_MAX:
        found.append(f"honest p99 {p99_ms:.0f} ms")
    for run in row.runs:
        is_free = run.service_share <= BUSY_SHARE and run.other_share <= BUSY_SHARE
        if is_free and run.honest.p50_ms > max(P50_RATIO_MAX * row.unloaded_p50_ms, P50_MS_FLOOR):
            found.append(f"honest p50 {run.honest.p50_ms:.2f} ms, {row.unloaded_p50_ms:.2f} unloaded")
    return found


def _of_all_else(row: Row) -> list[str]:
    found = list(row.problems)
    for run in row.runs:
        found += (text for text in _of_run(row, run) if text not in found)
    if len(row.runs) > 1 and (growth := growth_kib(row.runs)) > GROWTH_KIB_MAX:
        found.append(f"memory grew by {growth / 1024:.1f} MiB from the last run but one to the last")
    return found


def growth_kib(runs: Sequence[Run]) -> int:
    """Say how much more memory is held after the last run than after the one before it."""
    return runs[-1].after.resident_kib - runs[-2].after.resident_kib


def _of_run(row: Row, run: Run) -> Iterator[str]:
    honest = run.honest
    if honest.failures:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in sorted(honest.reasons.items()))
        yield f"honest failures: {reasons}"
    if run.done.wrong:
        yield run.done.wrong
    if run.after.peak_kib > PEAK_KIB_MAX:
        yield f"memory {run.after.peak_kib / 1024:.0f} MiB at most"
    if row.before is not None and run.after.files > row.before.files:
        yield f"{run.after.files} files open afterwards, {row.before.files} before"
    if run.idle_share is not None and run.idle_share > IDLE_SHARE_MAX:
        yield f"{run.idle_share:.1%} CPU afterwards, when idle"
