"""Signals, files and workers that are tampered with while the service serves. Each counts what it did."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from bench.withstand.attack import Attack
from bench.withstand.stage import Stage

SEED: Final = 1815
STORM_S: Final = 0.01  # between SIGHUPs
TURN_S: Final = 0.1
WORKER_S: Final = 1.0  # between workers that are ended
WORKERS: Final = 2


def _turns(seconds: float, every_s: float) -> Iterator[int]:
    ends = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < ends:
        yield turn
        turn += 1
        time.sleep(every_s)


def _replace(path: Path, text: str) -> None:
    """Put a whole file in the place of another at once."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def _storm(stage: Stage, seconds: float) -> Mapping[str, int]:
    """SIGHUP a hundred times a second; the file changes with every tenth."""
    turns = 0
    for turns in _turns(seconds, STORM_S):
        if turns % 10 == 0:
            _replace(stage.subject.config, stage.subject.text(requestTokenSeconds=300 + turns))
        stage.subject.signal(signal.SIGHUP)
    return {"SIGHUPs": turns}


def _half_written(stage: Stage, seconds: float) -> Mapping[str, int]:
    """The file is cut anywhere, then whole again."""
    subject = stage.subject
    chance = random.Random(SEED)  # noqa: S311 - it chooses a place in a file, no key
    whole = subject.text()
    turns = 0
    for turns in _turns(seconds, TURN_S):
        subject.config.write_text(
            whole[: chance.randrange(len(whole) - len(f"{subject.secret}\n"))] if turns % 2 == 0 else whole
        )
        subject.signal(signal.SIGHUP)
    subject.config.write_text(whole)
    return {"cuts": turns // 2}


def _swapped(stage: Stage, seconds: float) -> Mapping[str, int]:
    """File and secret are links into a folder that is swapped, as a kubelet does it."""
    subject = stage.subject
    turns = 0
    for turns in _turns(seconds, TURN_S):
        folder = subject.folder / f"..{turns}-{time.monotonic_ns()}"
        folder.mkdir()
        (folder / subject.config.name).write_text(subject.text(requestTokenSeconds=300 + turns))
        (folder / subject.secret.name).write_text(subject.key)
        link = subject.folder / "..new"
        link.symlink_to(folder.name)
        link.replace(subject.folder / "..data")
        for path in (subject.config, subject.secret):
            if not path.is_symlink():
                own = path.with_name(path.name + ".link")
                own.symlink_to(f"..data/{path.name}")
                own.replace(path)
        subject.signal(signal.SIGHUP)
    return {"swaps": turns}


def _vanished(stage: Stage, seconds: float) -> Mapping[str, int]:
    """The secret is gone, empty, too short, a folder, and back."""
    secret, key = stage.subject.secret, stage.subject.key
    turns = 0
    for turns in _turns(seconds, TURN_S):
        if secret.is_dir():
            secret.rmdir()
        match turns % 5:
            case 0:
                secret.unlink()
            case 1:
                secret.write_text("")
            case 2:
                secret.write_text("short")
            case 3:
                secret.unlink()
                secret.mkdir()
            case _:
                _replace(secret, key)
        stage.subject.signal(signal.SIGHUP)
    if secret.is_dir():
        secret.rmdir()
    _replace(secret, key)
    return {"turns": turns}


def _ending(number: signal.Signals) -> Callable[[Stage, float], Mapping[str, int]]:
    """End one of the workers each second, once all are there."""

    def meddle(stage: Stage, seconds: float) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        last = 0.0
        for _ in _turns(max(seconds, 3 * WORKER_S), TURN_S):
            pids = stage.subject.workers()
            if len(pids) == WORKERS and time.monotonic() - last >= WORKER_S:
                os.kill(pids[0], number)  # the oldest: each has its turn
                counts["workers ended"] += 1
                last = time.monotonic()
        return counts

    return meddle


MEDDLING: Final = (
    Attack("SIGHUP storm", "a hundred SIGHUPs a second, every tenth with a changed file", meddle=_storm, is_quick=True),
    Attack(
        "half-written file",
        "the configuration file truncated at random, ten times a second",
        meddle=_half_written,
        is_quick=True,
    ),
    Attack("symlink swaps", "configuration and secret replaced as a kubelet does", meddle=_swapped),
    Attack("vanished secret", "the secret file missing, empty, too short, a folder", meddle=_vanished),
    Attack(
        "workers killed",
        "SIGKILL to one of two workers, every second",
        meddle=_ending(signal.SIGKILL),
        workers=2,
        may_break=True,
        is_quick=True,
    ),
    Attack(
        "workers replaced",
        "SIGTERM to one of two workers, every second",
        meddle=_ending(signal.SIGTERM),
        workers=2,
        may_break=True,
    ),
)
