"""One row: start, a calm second, the attack until as much memory and as many files are in use as before. Knows no attack by name.

An attack that could not be made is a void row, never a held one; a service that ends is a row that did not hold.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import IO, Final

from bench.errors import BenchError, Ended
from bench.measure.accounting import TICKS_PER_S, tree_cpu
from bench.withstand.attack import Attack, Scale, Trial
from bench.withstand.honest import LANES
from bench.withstand.measures import Done, Row, Run, Usage
from bench.withstand.stage import Attackers, Stage, Watch, staged
from bench.withstand.swarm import Plan
from bench.withstand.verdict import GROWTH_KIB_MAX, IDLE_SHARE_MAX, growth_kib

CALM_S: Final = 1.0
# Runs of an attack: the second, unless memory grew in it. What fills up once (a cache, or more connections at a time than in
# the first run, which nobody can repeat exactly) does not in the third or fourth; what leaks does.
RUNS_MAX: Final = 4
SETTLE_S: Final = 1.0  # after an attack, before CPU time is looked at
FILES_S: Final = 6.0  # for connections to be gone
POLL_S: Final = 0.1
WORKERS_OF_A_LANE: Final = len(LANES)  # connections that one killed worker can break


def play(row: Attack | Trial, python: str, scale: Scale) -> Row:
    """Play one row."""
    try:
        return row.run(python, scale) if isinstance(row, Trial) else _attacked(row, python, scale)
    except Ended as error:
        return Row(row.name, row.about, problems=[f"the service {error}"])
    except (BenchError, OSError) as error:
        return Row(row.name, row.about, void=str(error))


def _attacked(attack: Attack, python: str, scale: Scale) -> Row:
    runs: list[Run] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="withstand-")))
        output = stack.enter_context(_log(attack.log))
        stage = stack.enter_context(
            staged(python, folder, workers=attack.workers, settings=attack.settings, output=output)
        )
        files = stage.subject.usage().files
        stage.honest.go(attack.lanes)
        time.sleep(CALM_S)
        calm = stage.honest.pause()
        if calm.failures or not calm.requests:
            reasons = dict(calm.reasons) or "it makes no requests"
            return Row(attack.name, attack.about, void=f"the honest client fails without an attack: {reasons}")
        before = dataclasses.replace(stage.subject.usage(), files=files)
        problems: list[str] = []
        for number in range(RUNS_MAX):
            share = attack.first_share if number == 0 else 1.0
            try:
                run = _run(attack, stage, Scale(scale.seconds, scale.share * share), files, is_first=number == 0)
            except Ended as error:
                problems.append(f"the service {error}")
                break
            runs.append(run)
            if run.done.void or (number and growth_kib(runs) <= GROWTH_KIB_MAX):
                break
    return Row(attack.name, attack.about, calm.p50_ms, before, runs, problems, note=_note(runs))


def _run(attack: Attack, stage: Stage, scale: Scale, files: int, *, is_first: bool) -> Run:
    stage.honest.go(attack.lanes)
    cpu_s, busy_s, foreign_s = stage.subject.cpu_s(), _busy_s(stage.cores.honest), _foreign_s(stage)
    began = time.monotonic()
    with Watch(stage.subject) as watch:
        done = _attack(attack, stage, scale)
        took_s = time.monotonic() - began
        service_share = (stage.subject.cpu_s() - cpu_s) / took_s
        other_share = (_busy_s(stage.cores.honest) - busy_s) / took_s
        foreign_share = max(0.0, _foreign_s(stage) - foreign_s) / took_s
        stage.subject.process.check_alive()
        honest = stage.honest.pause(may_break=attack.may_break)
    if attack.may_break and honest.excused > WORKERS_OF_A_LANE * done.counts.get("workers ended", 0):
        done = dataclasses.replace(done, wrong=f"{honest.excused} connections of the honest client broke")
    time.sleep(SETTLE_S)
    idle_share = None if is_first else _idle_share(stage)
    after = _settled(stage, files)
    return Run(honest, done, watch.files_most, after, service_share, other_share, idle_share, foreign_share)


def _attack(attack: Attack, stage: Stage, scale: Scale) -> Done:
    if attack.plan is None:
        assert attack.meddle is not None
        return _meddled(attack, stage, scale)
    plan = attack.plan(stage, scale)
    with Attackers(plan, stage.cores.attackers) as attackers:
        if attack.meddle is not None:
            attack.meddle(stage, plan.seconds)
        done = attackers.wait()
    stage.remote.ask("behave")
    return judged(done, plan, attack.expected)


def _meddled(attack: Attack, stage: Stage, scale: Scale) -> Done:
    assert attack.meddle is not None
    counts = dict(attack.meddle(stage, scale.seconds))
    least = min(counts.values(), default=0)
    return Done(counts, void="" if least else "nothing was done")


def judged(done: Done, plan: Plan, expected: frozenset[int]) -> Done:
    """Void an attack that did too little, and name answers that are wrong. Pure."""
    if done.void:
        return done
    counts = done.counts
    for name, least in (("answers", plan.answers), ("opened", plan.opens or (0 if plan.answers else plan.clients))):
        if counts.get(name, 0) < least:
            return dataclasses.replace(
                done, void=f"the attackers did too little: {counts.get(name, 0):,} {name} of {least:,}"
            )
    if not expected:
        return done
    wrong = {
        name: count for name, count in counts.items() if name.startswith("status ") and int(name[7:]) not in expected
    }
    if unanswered := counts.get("closed without an answer", 0):
        wrong["no answer"] = unanswered
    if not wrong:
        return done
    return dataclasses.replace(
        done, wrong="wrong answers: " + ", ".join(f"{count:,} x {name}" for name, count in wrong.items())
    )


def _settled(stage: Stage, files: int) -> Usage:
    """Wait until no more files are open than before, or for as long as they may take."""
    ends = time.monotonic() + FILES_S
    while (usage := stage.subject.usage()).files > files and time.monotonic() < ends:
        time.sleep(POLL_S)
    return usage


def _idle_share(stage: Stage) -> float:
    """Return the share of a core that the idle service uses. A second above the limit is followed by two more, and their median
    counts: one of some 200 such seconds showed 2 %, and none in five more runs of its row.
    """
    shares = [_share_of_a_second(stage)]
    if shares[0] > IDLE_SHARE_MAX:
        shares += [_share_of_a_second(stage) for _ in range(2)]
    return median(shares)


def _share_of_a_second(stage: Stage) -> float:
    cpu_s, began = stage.subject.cpu_s(), time.monotonic()
    time.sleep(1.0)
    return (stage.subject.cpu_s() - cpu_s) / (time.monotonic() - began)


def _foreign_s(stage: Stage) -> float:
    """Say how long this machine's cores have been busy with what the battery did not start, stolen time included."""
    own_s = sum(
        tree_cpu(pid).total_s for pid in (stage.subject.process.pid, stage.remote.process.pid, stage.honest.pid)
    )
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):  # attackers are children that have been waited for
        usage = resource.getrusage(who)
        own_s += usage.ru_utime + usage.ru_stime
    user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + steal) / TICKS_PER_S - own_s


def _busy_s(cores: frozenset[int] | None) -> float:
    """Say how long the first of these cores has been busy, niced processes included (proc_stat(5))."""
    name = f"cpu{min(cores)}" if cores else "cpu0"
    for line in Path("/proc/stat").read_text().splitlines():
        word, *fields = line.split()
        if word == name:
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS_PER_S
    return 0.0


def _note(runs: list[Run]) -> str:
    """Say what the attackers did in the last run."""
    if not runs:
        return ""
    counts = runs[-1].done.counts
    said = [
        f"{count:,} {name}"
        for name, count in sorted(counts.items())
        if not name.startswith("bytes") and name != "tried"
    ]
    if runs[-1].honest.excused:
        said.append(f"{runs[-1].honest.excused} honest requests excused")
    return ", ".join(said)


@contextlib.contextmanager
def _log(kind: str) -> Iterator[IO[bytes] | None]:
    """Open what the service's stdout is to be."""
    match kind:
        case "full":
            with Path("/dev/full").open("wb") as output:
                yield output
        case "stuck":
            reader, writer = os.pipe()
            with open(reader, "rb"), open(writer, "wb") as output:  # the reader is there, and reads nothing
                yield output
        case _:
            yield None
