"""Which histories are shown: those of bench/history, each architecture's series by the conditions that they were counted under.

Knows files, and how `bench.count` reads and compares them; draws nothing.
"""

from __future__ import annotations

from pathlib import Path

from bench.count.history import FOLDER, read_history
from bench.count.trend import trend
from bench.report.trends import Histories


def histories(folder: Path = FOLDER) -> Histories:
    """Read all of a folder.

    Raises:
        BenchError: one is broken.
    """
    return {
        path.stem: [(series, series.fingerprint.summary) for series in trend(read_history(path))]
        for path in sorted(folder.glob("*.jsonl"))
    }
