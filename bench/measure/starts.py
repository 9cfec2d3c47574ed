"""CPU time from start to end of short commands, and to the first answer of the service, beside that of an empty Python program.

`python -m bench.measure.starts [ROUNDS]`. A container's health check runs every few seconds for years. Rounds are
interleaved, and bytecode is there before the first one.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PROGRAM: Final = Path(sys.executable).with_name("txtoken")
NOBODY: Final = "http://127.0.0.1:9"
SERVE: Final = ("serve", "-c", "txtoken.yml", "--host", "127.0.0.1", "--port", "0")
ANSWER_S: Final = 30.0  # for the service to answer
# Each command, and the most that its CPU time may be, in that of `python -c pass`.
GOALS: Final[Mapping[tuple[str, ...], float]] = {
    ("--version",): 2.5,
    ("health", "--url", NOBODY): 2.5,
    ("health", "-c", "txtoken.yml"): 4.0,
    ("check", "-c", "txtoken.yml"): 8.0,
    SERVE: 14.0,
}


def ratios(folder: Path, rounds: int, program: Sequence[str] = (str(PROGRAM),)) -> dict[tuple[str, ...], float]:
    """Measure each command in `folder`, where a configuration is written: the median of its CPU time, in those of an empty
    program. `serve` is measured until its first answer.
    """
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("TXTOKEN_", "CFG_FILE"))}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    subprocess.run([*program, "init"], cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    empty = (sys.executable, "-c", "pass")
    commands = {empty: empty, **{command: (*program, *command) for command in GOALS}}
    taken: dict[tuple[str, ...], list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            cpu_s = _cpu_s(command, folder, environ, answers=name == SERVE)
            if number:  # the first round writes bytecode
                taken[name].append(cpu_s)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    return {name: medians[name] / medians[empty] for name in GOALS}


def _cpu_s(command: Sequence[str], folder: Path, environ: Mapping[str, str], *, answers: bool) -> float:
    """Return the CPU time of a process, user and system: all of it, or until it has answered a request."""
    process = subprocess.Popen(
        command, cwd=folder, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout as output:
        if answers:
            try:
                _await_answer(output.readline())
            finally:
                process.kill()
        output.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _await_answer(listening: bytes) -> None:
    """Have a request answered by the service that logged this line."""
    port = int(json.loads(listening)["addresses"][0].rpartition(":")[2])
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    client.request("GET", "/checkToken")
    client.getresponse().read()
    client.close()


def main() -> int:
    """Print the ratios. Returns 1 where one is over its goal."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        measured = ratios(Path(folder), rounds)
    for command, ratio in measured.items():
        sys.stdout.write(f"{ratio:5.2f} x, goal {GOALS[command]:.1f} x  txtoken {' '.join(command)}\n")
    return int(any(ratio > GOALS[command] for command, ratio in measured.items()))


if __name__ == "__main__":
    sys.exit(main())
