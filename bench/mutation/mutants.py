"""Where a line of the service may be broken on purpose, and which tests have to notice. Knows sources as text, runs nothing.

The operators are cosmic-ray's and one of our own, that leaves a statement out: most faults of a life cycle are a line that
does not stand there. Neither cosmic-ray nor mutmut runs a sample of the mutants of some modules, each against a folder of
its own, so `bench.mutation` does that.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOG_METHODS: Final = {"debug", "info", "warning", "error", "exception", "critical", "log"}
LEFT_OUT: Final = "leave out"  # the operator of our own

Position = tuple[int, int]  # line from 1, column from 0
Break = Callable[[str, str, int], str | None]  # source, operator, occurrence → the broken source
Find = Callable[[str], Iterator[tuple[str, int, Position]]]  # source → operator, occurrence, where


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to break one place."""

    file: Path  # below the root
    operator: str
    occurrence: int
    at: Position


def folder_of_tests(file: Path, root: Path) -> Path:
    """Name the folder of tests (or the one file) that has to notice what is broken in `file`, both below the root."""
    _, *folders, name = file.parts
    for depth in range(len(folders), 0, -1):
        tests = Path("tests", *folders[:depth])
        if (root / tests).is_dir():
            return tests
    alone = Path("tests", f"test_{name}")
    return alone if (root / alone).exists() else Path("tests")


def first_tests(file: Path, root: Path) -> list[Path]:
    """Name the files of tests in that folder that are named after `file`: nearly all that is broken fails there, in seconds."""
    tests = folder_of_tests(file, root)
    return sorted(found.relative_to(root) for found in (root / tests).rglob(f"test_{file.stem}*.py"))


def in_random_order(mutants: Sequence[Mutant], seed: int) -> Iterator[Mutant]:
    """Give each place once, by chance, and for each one way to break it: a comparison has ten, and counts once."""
    places: dict[tuple[Path, Position, str], list[Mutant]] = {}
    for mutant in mutants:
        kind = mutant.operator.partition("_")[0]
        places.setdefault((mutant.file, mutant.at, kind), []).append(mutant)
    chance = random.Random(seed)  # noqa: S311 - a sample is no secret
    for place in chance.sample(sorted(places), len(places)):
        yield chance.choice(places[place])


def without_meaning(source: str) -> list[tuple[Position, Position]]:
    """Return what says nothing to a running service: annotations, what is logged, `__slots__`, what is impossible."""
    spans: list[tuple[Position, Position]] = []
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.AST | None] = []
        match node:
            case ast.arg() | ast.AnnAssign():
                parts = [node.annotation]
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                parts = [node.returns, *node.decorator_list]
            case ast.ClassDef():
                parts = [*node.decorator_list]
            case ast.Assert() | ast.Assign(targets=[ast.Name("__slots__")]) | ast.If(test=ast.Name("TYPE_CHECKING")):
                parts = [node]
            case ast.Call() if is_log_call(node):
                parts = [*node.args, *node.keywords]
            case ast.Call(func=ast.Name("cast" | "TypeVar")):
                parts = [node]
        spans += [span_of(part) for part in parts if part is not None]
    return spans


def span_of(node: ast.AST) -> tuple[Position, Position]:
    """Return where a node begins and ends."""
    assert isinstance(node, ast.expr | ast.stmt | ast.keyword)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def is_log_call(call: ast.Call) -> bool:
    """Whether a call writes to a log."""
    match call.func:
        case ast.Attribute(ast.Name("log" | "_log" | "logger") | ast.Attribute(attr="log" | "_log" | "logger"), method):
            return method in LOG_METHODS
    return False


def statements(source: str) -> Iterator[ast.stmt]:
    """Give the statements that can be left out, in order: calls, and what is noted on an object outside `__init__`."""
    tree = ast.parse(source)
    made = {node for init in ast.walk(tree) if is_init(init) for node in ast.walk(init)}
    for node in ast.walk(tree):
        match node:
            case ast.Expr(ast.Call() as call) if not is_log_call(call):
                yield node
            case ast.Expr(ast.Await()) | ast.Raise() | ast.AugAssign() | ast.Delete():
                yield node
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]) if node not in made:
                yield node


def is_init(node: ast.AST) -> bool:
    """Whether it is a constructor, without whose attributes nothing begins."""
    return isinstance(node, ast.FunctionDef) and node.name == "__init__"


def leave_out(source: str, occurrence: int) -> str:
    """Put `pass` in a statement's place."""
    statement = [*statements(source)][occurrence]
    lines = source.encode().splitlines(keepends=True)  # columns are counted in bytes
    (first, begin), (last, end) = span_of(statement)
    lines[first - 1 : last] = [lines[first - 1][:begin] + b"pass" + lines[last - 1][end:]]
    return b"".join(lines).decode()


def mutants_of(file: Path, source: str, find: Find) -> list[Mutant]:
    """List the mutants of one module: those that `find` knows and our own, without those that would mean nothing."""
    found = [*find(source)]
    found += [(LEFT_OUT, number, span_of(node)[0]) for number, node in enumerate(statements(source))]
    spans = without_meaning(source)
    return [
        Mutant(file, operator, occurrence, at)
        for operator, occurrence, at in found
        if not any(begin <= at < end for begin, end in spans)
    ]


def broken(mutant: Mutant, source: str, break_by: Break) -> str | None:
    """Return the source with this place broken. None: that is no program, or no other one."""
    if mutant.operator == LEFT_OUT:
        text: str | None = leave_out(source, mutant.occurrence)
    else:
        text = break_by(source, mutant.operator, mutant.occurrence)
    if text is None:
        return None
    try:
        same = ast.dump(ast.parse(text)) == ast.dump(ast.parse(source))
    except SyntaxError:
        return None
    return None if same else text
