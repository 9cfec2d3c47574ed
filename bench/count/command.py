"""`bench count` and `bench track`: their options, and what they print. Both are registered with `bench.cli`.

Exit codes, beside those of `bench.cli`: 3, nothing was counted, because a program is missing here.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.count import build, revisions
from bench.count.build import Build
from bench.count.cases import CASES, chosen
from bench.count.counting import Figure, Plan, count
from bench.count.emulator import MODELS, Emulator, emulator
from bench.count.fingerprint import Fingerprint, fingerprint
from bench.count.history import Line, added, history_of, line_of, read_history, write_history
from bench.count.names import CLOCKS
from bench.count.subject import environment
from bench.count.trend import GROWTH_MAX, growth, last_comparable, table, trend
from bench.errors import BenchError, Unavailable
from bench.load.replies import compact, reply_object
from bench.measure.processes import ROOT

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name

DONE: Final = 0
FAILED: Final = 1
CANNOT: Final = 3
REVISIONS_MAX: Final = 10  # of one `bench track --since`


def add_count(commands: Commands) -> None:
    """Add `bench count` to the commands."""
    about = "count the service's instructions and system calls a request, under qemu-user: the same on a busy machine"
    counting = commands.add_parser("count", help=about, description=about)
    counting.set_defaults(command=_or_cannot(run_count))
    _add_subject(counting)
    counting.add_argument("--python", type=Path, metavar="PYTHON", help="count what is installed for this interpreter")
    counting.add_argument(
        "--only", type=lambda text: text.split(","), default=[], metavar="CASE,…", help=f"of {', '.join(CASES)}"
    )
    reply = counting.add_mutually_exclusive_group()
    reply.add_argument(
        "--reply-bytes", type=_positive, metavar="N", help="`login` gets an access list of so many bytes"
    )
    reply.add_argument("--reply-file", type=Path, metavar="FILE", help="`login` gets this JSON object")
    plan = Plan()
    counting.add_argument(
        "--starts", type=_positive, default=plan.starts, metavar="N", help="of the service (default: %(default)s)"
    )
    counting.add_argument(
        "--check",
        action="store_true",
        help=f"fail if a request costs {GROWTH_MAX * 100:g} %% more than in the last comparable line of the history",
    )
    counting.add_argument("--json", action="store_true", help="print JSON")


def add_track(commands: Commands) -> None:
    """Add `bench track` to the commands."""
    about = "add this revision's counts to bench/history/<arch>.jsonl, and show how they changed"
    tracking = commands.add_parser("track", help=about, description=about)
    tracking.set_defaults(command=_or_cannot(run_track))
    _add_subject(tracking)
    what = tracking.add_mutually_exclusive_group()
    what.add_argument(
        "--since",
        metavar="REVISION",
        help=f"count that revision, this one, and evenly chosen ones between, {REVISIONS_MAX} at most, each in a"
        " working tree of its own",
    )
    what.add_argument("--show", action="store_true", help="only show the history")


def run_count(options: argparse.Namespace) -> int:
    """`bench count`."""
    cases = chosen(options.only, _reply(options))
    plan = Plan(starts=options.starts)
    under = emulator(options.arch, options.root)
    counted = _build(options, ROOT)
    conditions = fingerprint(under, counted, environment(0), str(plan))
    figures = count(under, counted, cases, plan)
    if options.json:
        print(json.dumps({"fingerprint": asdict(conditions), "figures": [asdict(one) for one in figures]}, indent=1))
    else:
        _show(conditions, figures)
    return _check(conditions, figures) if options.check else DONE


def run_track(options: argparse.Namespace) -> int:
    """`bench track`."""
    path = history_of(options.arch)
    before = read_history(path)
    is_whole = True
    if not options.show:
        under = emulator(options.arch, options.root)
        if options.since is None:
            write_history(path, added(before, _line(options, under, ROOT, revisions.present()), revisions.order()))
        else:
            is_whole = _fill(options, under, path)
    lines = read_history(path)
    if not lines:
        print(f"{path.name} has no line yet")
    for text in table(trend(lines)):
        print(text)
    return DONE if is_whole else FAILED


def _fill(options: argparse.Namespace, under: Emulator, path: Path) -> bool:
    """Count revisions and write each at once. Whether all of them could be counted."""
    wanted = revisions.since(options.since, REVISIONS_MAX)
    is_whole = True
    with revisions.working_tree() as (tree, put):
        for number, revision in enumerate(wanted, 1):
            print(f"{number}/{len(wanted)}: {revision.id} of {revision.committed[:10]}", flush=True)
            put(revision)
            try:
                line = _line(options, under, tree, revision)
            except BenchError as error:
                print(f"bench track: {revision.id} is left out: {error}", file=sys.stderr)
                is_whole = False
                continue
            write_history(path, added(read_history(path), line, revisions.order()))
    return is_whole


def _line(options: argparse.Namespace, under: Emulator, tree: Path, revision: revisions.Revision) -> Line:
    plan = Plan()
    counted = _build(options, tree)
    conditions = fingerprint(under, counted, environment(0), str(plan))
    return line_of(revision.id, revision.committed, conditions, count(under, counted, chosen([], None), plan))


def _check(conditions: Fingerprint, figures: Sequence[Figure]) -> int:
    """Compare figures with the last ones of the same conditions, and say it."""
    path = history_of(conditions.arch)
    lines = read_history(path)
    has_grown = False
    for case, now in line_of("0" * revisions.ID_LETTERS, "", conditions, figures).counts.items():
        line = last_comparable(lines, conditions, case, now)
        if line is None:
            print(f"{case}: nothing to compare with: {_why(lines, conditions)}")
            continue
        before = line.counts[case].instructions
        grown = growth(before, now.instructions)
        print(f"{case}: {grown:+.2%} instructions since {line.revision} ({before:,.0f} → {now.instructions:,.0f})")
        if grown > GROWTH_MAX:
            print(f"bench count: {case} costs more than {GROWTH_MAX * 100:g} % more", file=sys.stderr)
            has_grown = True
    return FAILED if has_grown else DONE


def _why(lines: Sequence[Line], conditions: Fingerprint) -> str:
    """Say why no line of a history is comparable."""
    if not lines:
        return "the history has no line"
    last = next((line for line in reversed(lines) if line.fingerprint.build == conditions.build), lines[-1])
    differences = conditions.differences(last.fingerprint)
    return f"{last.revision} had other conditions ({'; '.join(differences) or 'parameters of the case'})"


def _show(conditions: Fingerprint, figures: Sequence[Figure]) -> None:
    for text in _described(conditions, figures):
        print(text)


def _described(conditions: Fingerprint, figures: Sequence[Figure]) -> Iterator[str]:
    wheels = ", ".join(f"{name} {version}" for name, version in conditions.wheels.items())
    yield f"{conditions.arch}, {conditions.build}; Python {conditions.python.partition(' ')[0]}, {wheels}"
    yield f"QEMU {conditions.qemu}, -cpu {conditions.cpu}; {conditions.counting}; fingerprint {conditions.id}"
    yield f"{'':14} {'instructions':>12} {'typical':>10} {'in one':>7} {'between':>7}  system calls"
    for one in figures:
        others = {name: times for name, times in one.system_calls.items() if name not in CLOCKS}
        clocks = sum(times for name, times in one.system_calls.items() if name in CLOCKS)
        calls = ", ".join(f"{name} {times:g}" for name, times in others.items())
        yield (
            f"{one.case:14} {one.instructions:12,.0f} {one.typical:10,.0f} {one.spread:7.2%} {one.between:7.2%}"
            f"  {sum(others.values()):g} ({calls}), and {clocks:g} clocks"
        )


def _add_subject(parser: argparse.ArgumentParser) -> None:
    """Declare what says which service is counted."""
    parser.add_argument(
        "--build", choices=("compiled", "source"), help="compiled is the default, and source with --root"
    )
    parser.add_argument(
        "--arch", choices=tuple(MODELS), default=platform.machine(), help="(default: this machine's, %(default)s)"
    )
    parser.add_argument(
        "--root", type=Path, metavar="FOLDER", help="a system of that architecture, made by scripts/foreign-root"
    )


def _build(options: argparse.Namespace, tree: Path) -> Build:
    if options.root is not None:
        if options.build == "compiled" or getattr(options, "python", None):
            raise BenchError("with --root the sources are counted, by the root's own Python")
        return build.of_root(options.root, tree)
    if getattr(options, "python", None):
        return build.installed(options.python)
    return build.sources(tree) if options.build == "source" else build.compiled(tree)


def _reply(options: argparse.Namespace) -> bytes | None:
    if options.reply_bytes is not None:
        return compact(reply_object(options.reply_bytes))
    if options.reply_file is None:
        return None
    path: Path = options.reply_file
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from error


def _or_cannot(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Let a command end with an exit code of its own where a program is missing: CI says so and continues."""

    def run(options: argparse.Namespace) -> int:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
        try:
            return command(options)
        except Unavailable as error:
            print(f"bench: nothing was counted: {error}", file=sys.stderr)
            return CANNOT
        finally:
            signal.signal(signal.SIGTERM, before)

    return run


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
