"""Arguments become one run of the battery. Knows what people type and read; measures nothing itself.

Exit codes: 0 all rows held, 1 one did not or was void, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from bench.errors import BenchError
from bench.measure.builds import add_build_option, python_of
from bench.measure.processes import raise_open_files
from bench.withstand.attack import Attack, Scale, Trial
from bench.withstand.battery import play
from bench.withstand.catalog import CATALOG
from bench.withstand.measures import Row
from bench.withstand.table import NAME_WIDTH, lines, table, to_json
from bench.withstand.verdict import held
from txtoken.version import VERSION

HELD: Final = 0
FAILED: Final = 1
OPEN_FILES_MIN: Final = 5000
QUICK: Final = Scale(seconds=2.0, share=0.05)
SECONDS: Final = 8.0


class Progress(Protocol):
    """Shows the progress."""

    def begin(self, steps: int) -> None:
        """Take the number of steps."""

    def step(self, text: str) -> None:
        """Begin the next step."""

    def say(self, text: str) -> None:
        """Write a line that stays."""

    def __enter__(self) -> Progress: ...

    def __exit__(self, *_: object) -> None: ...


class Lines:
    """Progress where tqdm is not installed: a line for each step."""

    def __init__(self) -> None:
        self._steps = self._step = 0

    def begin(self, steps: int) -> None:
        """Take the number of steps."""
        self._steps = steps

    def step(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        if sys.stderr.isatty():
            print(f"{self._step}/{self._steps} {text} …", end="\r", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Write a line that stays."""
        print(text, file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to release."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run it. Returns the process's exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        rows = chosen(options.only, is_quick=options.quick)
        if options.list:
            for row in rows:
                print(f"{row.name:<{NAME_WIDTH}}{row.about}")
            return HELD
        return _run(options, rows)
    except BenchError as error:
        print(f"withstand: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def chosen(names: Sequence[str] | None, *, is_quick: bool) -> list[Attack | Trial]:
    """Choose rows: those named, or whose name begins with one of the names; without names all rows, or those of a quick run.

    Raises:
        BenchError: there is no such row.
    """
    if not names:
        return [row for row in CATALOG.values() if row.is_quick or not is_quick]
    for name in names:
        if not any(known.startswith(name) for known in CATALOG):
            raise BenchError(f"there is no row {name}; --list names all")
    return [row for known, row in CATALOG.items() if known in names or any(known.startswith(name) for name in names)]


def _run(options: argparse.Namespace, chosen_rows: Sequence[Attack | Trial]) -> int:
    if (files := raise_open_files()) < OPEN_FILES_MIN:
        raise BenchError(f"{OPEN_FILES_MIN} open files are needed, the limit is {files} (ulimit -n)")
    python = python_of(options.build)
    scale = QUICK if options.quick else Scale(options.seconds, options.times)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    rows: list[Row] = []
    with _progress() as progress:
        progress.say(f"txtoken {VERSION}, {python}, Linux {platform.release()}")
        progress.begin(len(chosen_rows))
        try:
            for row in chosen_rows:
                progress.step(row.name)
                rows.append(play(row, python, scale))
                for line in lines(rows[-1]):
                    progress.say(line)
        except KeyboardInterrupt:
            progress.say("interrupted: not all rows were run")
    print("\n".join(table(rows)))
    if options.json is not None:
        about: dict[str, Any] = {
            "version": VERSION,
            "build": options.build,
            "seconds": scale.seconds,
            "share": scale.share,
        }
        options.json.write_text(to_json(rows, about))
    return HELD if len(rows) == len(chosen_rows) and all(held(row) for row in rows) else FAILED


def _progress() -> Progress:
    if importlib.util.find_spec("tqdm") is None:
        return Lines()
    bar: Progress = importlib.import_module("bench.measure.progress").Bar()
    return bar


def _parser() -> argparse.ArgumentParser:
    about = "Attack the service while an honest client measures itself. Exit code 0: all rows held."
    parser = argparse.ArgumentParser(prog="scripts/withstand", description=about)
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="only this row, or all rows whose names begin with NAME; may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="list the rows and exit")
    parser.add_argument(
        "--quick", action="store_true", help="one row of each kind, with a twentieth of the counts: 4 minutes"
    )
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="duration of an attack that has no count (default: %(default)g)"
    )
    parser.add_argument(
        "--times",
        type=float,
        default=1.0,
        metavar="N",
        help="multiply all counts by N; with 10, even the slow answers are requested 100,000 times",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements to FILE")
    add_build_option(parser)
    return parser
