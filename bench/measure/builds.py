"""Which build of the service is measured: the compiled one, or the sources. Builds nothing."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from bench.errors import BenchError
from bench.measure.processes import ROOT

COMPILED: Final = ROOT / ".venv-compiled" / "bin" / "python"  # made by scripts/compile


def add_build_option(parser: argparse.ArgumentParser) -> None:
    """Declare `--build`, which is what `python_of` takes."""
    parser.add_argument(
        "--build",
        choices=("auto", "compiled", "source"),
        default="auto",
        help="auto: the compiled build if scripts/compile made one, else the sources",
    )


def python_of(build: str) -> str:
    """Return the interpreter that has this build: `compiled`, `source`, or `auto` for the compiled one where it exists.

    Raises:
        BenchError: it is not there.
    """
    if build == "source" or (build == "auto" and not COMPILED.exists()):
        return sys.executable
    if not COMPILED.exists():
        raise BenchError("there is no compiled build: run scripts/compile first")
    return str(COMPILED)
