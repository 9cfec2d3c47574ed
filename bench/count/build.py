"""Which build of the service is counted: an interpreter, and where it finds what it imports. Compiles when asked to."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError

PROGRAM: Final = Path("usr", "bin", "python3")  # of a root
WHEELS: Final = Path("opt", "txtoken")  # of a root: made by scripts/foreign-root
PINS: Final = Path("opt", "made-from-pins")  # a copy of what they were made from
_COMPILE_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Build:
    """An interpreter, and folders that it searches before its own."""

    python: Path
    searched: tuple[Path, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Return what the interpreter needs in its environment to find them."""
        return {"PYTHONPATH": ":".join(map(str, self.searched))} if self.searched else {}


def installed(python: Path) -> Build:
    """Return the build that is installed for this interpreter.

    Raises:
        BenchError: there is no such program.
    """
    if not python.is_file():
        raise BenchError(f"there is no interpreter {python}")
    # Not resolved: the interpreter of a virtual environment is a link, and knows its packages by where the link stands.
    return Build(python.absolute())


def compiled(tree: Path) -> Build:
    """Return the compiled build of a working tree, compiled if it is not there or of other sources.

    Raises:
        BenchError: it cannot be compiled.
    """
    _make(tree, "scripts/compile")
    return installed(tree / ".venv-compiled" / "bin" / "python")


def sources(tree: Path) -> Build:
    """Return the sources of a working tree, with what this process's interpreter has installed beside them."""
    return Build(Path(sys.executable).absolute(), (tree,))


def of_root(root: Path, tree: Path) -> Build:
    """Return the sources of a working tree, for the interpreter of another system.

    Raises:
        BenchError: the root has none, or not the wheels that the tree wants.
    """
    for needed in (PROGRAM, WHEELS, PINS):
        if not (root / needed).exists():
            raise BenchError(f"{root} has no {needed}: make it with scripts/foreign-root")
    pins = tree / "requirements" / "run.txt"
    if (root / PINS).read_bytes() != pins.read_bytes():
        raise BenchError(
            f"{root} has not what requirements/run.txt wants: run scripts/foreign-root again, for the present pins"
        )
    return Build((root / PROGRAM).absolute(), ((root / WHEELS).absolute(), tree))


def _make(tree: Path, script: str) -> None:
    made = subprocess.run(
        [str(tree / script)], cwd=tree, capture_output=True, text=True, timeout=_COMPILE_S, check=False
    )
    if made.returncode:
        said = made.stderr.strip().rpartition("\n")[2] or f"it ended with {made.returncode}"
        raise BenchError(f"{script}: {said}")
