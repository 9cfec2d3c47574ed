"""What was seen of a rotation: counts, latencies, and each fault in words. Knows no HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

FAULTS_SHOWN: Final = 10
WIDTH: Final = 56  # of what is counted, in the report


@dataclass(slots=True)
class Findings:
    """Of one run, of everything but the load itself."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    unknown_kids: int = 0  # of tokens at verifiers that keep the JWKS for as long as they may
    kids: set[str] = field(default_factory=set)
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {"login": [], "check": []})

    def fault(self, text: str) -> None:
        """Record a fault."""
        self.faults[text] += 1


def percentile(latencies: Sequence[float], share: float) -> float:
    """Return the latency that so large a share of all stays within. 0 where there is none."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def report(findings: Findings) -> Iterator[str]:
    """Say what was seen, a line each."""
    for name, count in findings.counts.items():
        yield f"{name:<{WIDTH}}{count:>9}"
    yield f"{'keys that signed':<{WIDTH}}{len(findings.kids):>9}"
    yield f"{'unknown kids at verifiers':<{WIDTH}}{findings.unknown_kids:>9}"
    for name, latencies in findings.latencies_ms.items():
        p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
        yield f"{f'{name}, at a fixed rate: p50, p99, max ms':<{WIDTH}}{p50:>9.1f}{p99:>9.1f}{max(latencies, default=0):>9.1f}"
    for text, count in findings.faults.most_common(FAULTS_SHOWN):
        yield f"FAULT, {count} x: {text}"
    if len(findings.faults) > FAULTS_SHOWN:
        yield f"and {len(findings.faults) - FAULTS_SHOWN} other kinds of faults"
    yield f"{'faults':<{WIDTH}}{sum(findings.faults.values()):>9}"
