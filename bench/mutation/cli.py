"""`scripts/mutate`: breaks the service in many places, one at a time, and says which of them no test noticed.

Runs in the environment of cosmic-ray; the tests run in their own, in copies of the tree. Not in CI: 150 mutants take an hour.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from bench.mutation.mutants import Mutant, Position, broken, first_tests, folder_of_tests, in_random_order, mutants_of

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = ROOT / ".venv-dev" / "bin" / "python"
NOT_COPIED: Final = (".git", ".venv*", "build", "dist", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis")
# Those need arguments, or break what only the reader sees.
UNUSED: Final = ("RemoveDecorator", "VariableReplacer", "VariableInserter")
PATHS: Final = (
    *("txtoken/process", "txtoken/http1/server.py", "txtoken/http1/places.py", "txtoken/http1/ending.py"),
    *("txtoken/service/upstream/remote.py", "txtoken/observe"),
)
MARK: Final = "MUTANT_RUN"  # in the environment of all that a run starts; tests pass no TXTOKEN_… on
PATIENCE_S: Final = 20.0  # added to three times the duration of the tests when nothing is broken


def find(source: str) -> Iterator[tuple[str, int, Position]]:
    """Give what cosmic-ray's operators can break: operator, occurrence, where."""
    for name in operator_names():
        operator_class = get_operator(name)
        if name.endswith(UNUSED) or operator_class.arguments():
            continue
        operator = operator_class()
        positions = [at for node in ast_nodes(get_ast(source)) for at, _ in operator.mutation_positions(node)]
        yield from ((name, number, at) for number, at in enumerate(positions))


def break_by(source: str, name: str, occurrence: int) -> str | None:
    """Let cosmic-ray break one place."""
    text: str | None = mutate_code(source, get_operator(name)(), occurrence)
    return text


def sources(paths: list[str]) -> list[Path]:
    """List the modules of files and folders, by their place below the root."""
    found = []
    for path in paths:
        place = (ROOT / path).resolve()
        if not place.exists():
            raise SystemExit(f"{path} does not exist")
        found += sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return [file.relative_to(ROOT) for file in found if file.name != "__init__.py"]


class Tree:
    """A copy of the repository, in which one thing at a time is broken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = f"{MARK}={folder}"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)

    def passes(self, tests: Sequence[Path], seconds: float | None = None) -> bool:
        """Run tests, each once and in this order, until the first that fails. False: one failed, or they took longer."""
        name, _, value = self._mark.partition("=")
        environment = os.environ | {"PYTHONPATH": str(self._folder), "PYTHONDONTWRITEBYTECODE": "1", name: value}
        command = [str(PYTHON), "-P", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *map(str, tests)]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            command, cwd=self._folder, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            self._end_all()
            process.wait()

    def _end_all(self) -> None:
        """End what the tests started and did not end, services in sessions of their own included."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = self._mark.encode() in (folder / "environ").read_bytes().split(b"\0")
                if is_ours and int(folder.name) != os.getpid():
                    os.kill(int(folder.name), signal.SIGKILL)
            except OSError:  # it has ended, or is another user's
                continue

    def survives(self, mutant: Mutant, text: str, tests: Sequence[Path], seconds: float) -> bool:
        """Whether no test notices that a module has this text."""
        file = self._folder / mutant.file
        source = file.read_text()
        file.write_text(text)
        try:
            return self.passes(tests, seconds)
        finally:
            file.write_text(source)


def numbers(text: str) -> set[int]:
    """Read `3,7-9`."""
    ranges = (part.partition("-") for part in text.split(","))
    return {number for first, _, last in ranges for number in range(int(first), int(last or first) + 1)}


def diff(mutant: Mutant, source: str, text: str) -> str:
    """Show what was broken."""
    name = f"{mutant.file}:{mutant.at[0]}"
    return "\n".join(difflib.unified_diff(source.splitlines(), text.splitlines(), name, name, lineterm="", n=2))


def main() -> int:
    """Run the command. Returns its exit code: also 0 if mutants survived: that is a finding, no failure."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="*", default=[*PATHS], metavar="PATH", help="modules or folders")
    parser.add_argument("--sample", type=int, default=150, metavar="N", help="how many mutants (150)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed is another sample")
    parser.add_argument(
        "--only", type=numbers, metavar="N,N-N", help="of the sample those alone, say what survived before"
    )
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="how many at a time (2)")
    options = parser.parse_args()
    texts = {file: (ROOT / file).read_text() for file in sources(options.paths)}
    everything = [mutant for file, text in texts.items() for mutant in mutants_of(file, text, find)]
    texts_of_mutants = (
        (mutant, broken(mutant, texts[mutant.file], break_by)) for mutant in in_random_order(everything, options.seed)
    )
    breakable = ((mutant, text) for mutant, text in texts_of_mutants if text is not None)
    sample = [(number, *pair) for number, pair in enumerate(islice(breakable, options.sample), 1)]
    chosen = [one for one in sample if options.only is None or one[0] in options.only]
    with tempfile.TemporaryDirectory(prefix="txtoken-mutants-") as folder:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for number in range(options.at_once):
            trees.put(Tree(Path(folder, str(number))))
        allowed: dict[Path, float] = {}

        def passes(tests: Path) -> bool:
            tree = trees.get()
            try:
                began = time.monotonic()
                is_good = tree.passes([tests])
                allowed[tests] = 3 * (time.monotonic() - began) + PATIENCE_S
                return is_good
            finally:
                trees.put(tree)

        def survives(mutant: Mutant, text: str) -> bool:
            tree = trees.get()
            try:
                tests = folder_of_tests(mutant.file, ROOT)
                return tree.survives(mutant, text, [*first_tests(mutant.file, ROOT), tests], allowed[tests])
            finally:
                trees.put(tree)

        survivors = []
        with ThreadPoolExecutor(options.at_once) as pool:
            folders = sorted({folder_of_tests(mutant.file, ROOT) for _, mutant, _ in chosen})
            for tests, is_good in zip(folders, pool.map(passes, folders), strict=True):
                if not is_good:
                    print(f"{tests} fails when nothing is broken", file=sys.stderr)
                    return 1
            outcomes = pool.map(lambda one: survives(*one[1:]), chosen)
            for (number, mutant, text), survived in zip(chosen, outcomes, strict=True):
                said = "SURVIVED" if survived else "killed"
                print(f"{number}/{len(sample)} {mutant.file}:{mutant.at[0]} {mutant.operator}: {said}", flush=True)
                if survived:
                    survivors.append(diff(mutant, texts[mutant.file], text))
    print(*("\n" + survivor for survivor in survivors), sep="\n")
    share = 100 * len(survivors) / max(1, len(chosen))
    killed = len(chosen) - len(survivors)
    print(f"\n{len(chosen)} mutants, {killed} killed, {len(survivors)} survived ({share:.1f} %)")
    return 0
