"""What happens once in a long while: hanging workers, threads that never end, signals that come early, back-off."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.process.test_supervisor import check, workers_of
from tests.running import KEY, PATIENCE_S, ServiceProcess, run_first, service_process

HANG_S: Final = 0.5
# The limit of a hanging worker, short enough for a test.
SHORT_HANG: Final = f"from txtoken.process import beats\nbeats.HANG_S = {HANG_S}\n"
# A thread of the loop's own pool that waits for ever, as a name look-up may. It starts with the service.
STUCK_THREAD: Final = """
import asyncio, threading
from txtoken.process import worker
start = worker.Worker.start
async def start_stuck(self, sockets):
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    await start(self, sockets)
worker.Worker.start = start_stuck
"""


def config_of(workers: int, more: str = "") -> str:
    """Write a configuration."""
    return (
        f"port: 0\nlisten: 127.0.0.1\nworkers: {workers}\nencKey: {KEY}\nremote: http://127.0.0.1:9/login\n"
        f"log: {{level: debug}}\n{more}\n"
    )


@contextlib.contextmanager
def changed_service(folder: Path, code: str, config: str) -> Iterator[ServiceProcess]:
    """Start the service with `code` run before anything else in its process."""
    with service_process(folder, config=config, environment=run_first(folder, code)) as process:
        try:
            yield process
        finally:
            for pid in STOPPED:  # a stopped process would keep the pipe of the log open for ever
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def stdout_to(folder: Path, fd: int, config: str, code: str = "") -> Iterator[tuple[ServiceProcess, int]]:
    """Start a service with `fd` as its stdout. Its socket is the test's, so its port is known; yields when it has answered."""
    environment = run_first(folder, code)
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        service_process(folder, config=config, passed=[listening], stdout=fd, environment=environment) as process,
    ):
        port = listening.getsockname()[1]
        assert check(port) == 200
        yield process, port


STOPPED: Final[list[int]] = []


@pytest.fixture(autouse=True)
def _no_process_stays_stopped() -> Iterator[None]:
    """A process that is stopped ends neither by its supervisor's end nor by a signal that it could handle."""
    yield
    STOPPED.clear()


def stop(pid: int) -> None:
    """Stop a process, until it is killed or continued."""
    os.kill(pid, signal.SIGSTOP)
    STOPPED.append(pid)


def checks(port: int, count: int) -> Counter[int]:
    """Have so many tokens checked, each on a connection of its own."""
    return Counter(check(port) for _ in range(count))


# Workers that hang


def test_a_stopped_worker_is_replaced(tmp_path: Path) -> None:
    """A worker that is stopped is killed, replaced and named; the connections of the other one do not notice."""
    config = config_of(2, "adminPort: 0")
    with changed_service(tmp_path, SHORT_HANG, config) as service:
        port = service.port
        victim, other = workers_of(service)
        stop(victim)
        assert json.loads(service.line_with("a worker hangs and is killed"))["pid"] == victim
        service.line_with("by signal 9")
        service.line_with('"worker ready"')
        after = workers_of(service)
        assert victim not in after
        assert other in after
        assert checks(port, 10) == {200: 10}
        service.send(signal.SIGTERM)
        code, output, _ = service.ended()
    assert code == 0
    assert output.count("a worker hangs and is killed") == 1


def test_a_worker_in_an_endless_loop_is_replaced(tmp_path: Path) -> None:
    """A worker whose loop never comes back is replaced, though its process uses all the CPU it gets."""
    spin = (
        SHORT_HANG
        + "import os, signal\n"
        + "def spin(*_):\n    while True: pass\n"
        + "signal.signal(signal.SIGUSR2, spin)\n"
    )
    with changed_service(tmp_path, spin, config_of(2)) as service:
        port = service.port
        victim = workers_of(service)[0]
        os.kill(victim, signal.SIGUSR2)
        assert json.loads(service.line_with("a worker hangs and is killed"))["pid"] == victim
        service.line_with('"worker ready"')
        assert checks(port, 10) == {200: 10}


def test_a_supervisor_that_was_stopped_kills_no_worker(tmp_path: Path) -> None:
    """When the whole service was stopped for longer than the limit, all workers go on as they are."""
    with changed_service(tmp_path, SHORT_HANG, config_of(2)) as service:
        port = service.port
        workers = workers_of(service)
        everybody = (service.process.pid, *workers)
        for pid in everybody:
            stop(pid)
        with socket.create_connection(("127.0.0.1", port), timeout=3 * HANG_S) as client, pytest.raises(TimeoutError):
            client.recv(1)  # no process can answer for so long
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        assert checks(port, 10) == {200: 10}
        service.send(signal.SIGTERM)
        code, output, _ = service.ended()
    assert code == 0
    assert "hangs" not in output
    assert "replaced" not in output


def test_workers_share_what_was_there_before_them(tmp_path: Path) -> None:
    """The garbage collection of workers does not touch what the supervisor had made before it forked: memory that they
    share stays shared. What was garbage by then is not kept.
    """
    code = (
        "import gc, weakref\n"
        "from txtoken.process import running, supervisor\n"
        "class Circle: pass\n"
        "run, serve_as = supervisor.Supervisor.run, running.serve_as\n"
        "def run_with_garbage(self):\n"
        "    global garbage\n"
        "    gc.disable()\n"  # none but the supervisor's own collection
        "    circle = Circle()\n"
        "    circle.circle, garbage = circle, weakref.ref(circle)\n"
        "    del circle\n"
        "    return run(self)\n"
        "def count(*arguments):\n"
        f"    with open({str(tmp_path / 'frozen')!r}, 'w') as file:\n"
        "        file.write(f'{gc.get_freeze_count()} {garbage() is None}')\n"
        "    return serve_as(*arguments)\n"
        "supervisor.Supervisor.run, running.serve_as = run_with_garbage, count\n"
    )
    with changed_service(tmp_path, code, config_of(2)) as service:
        assert service.port
        frozen, is_garbage_gone = (tmp_path / "frozen").read_text().split()
        assert int(frozen) > 10_000
        assert is_garbage_gone == "True"


# The end


@pytest.mark.parametrize("workers", [1, 2])
def test_the_end_waits_for_no_thread(tmp_path: Path, workers: int) -> None:
    """A thread that never ends does not delay the end: the process logs that it has stopped, and ends with 0."""
    socket_path = tmp_path / "here"
    config = config_of(workers).replace("listen: 127.0.0.1", f"listen: [127.0.0.1, 'unix:{socket_path}']")
    with changed_service(tmp_path, STUCK_THREAD, config) as service:
        port = service.port
        assert checks(port, 2) == {200: 2}
        assert socket_path.exists()
        began = time.monotonic()
        service.send(signal.SIGTERM)
        code, output, errors = service.ended()
    assert (code, errors) == (0, "")
    assert output.rstrip().endswith('"message":"stopped"}')
    assert time.monotonic() - began < PATIENCE_S / 4
    assert not socket_path.exists()


@pytest.mark.parametrize("is_closed", [False, True])
def test_the_end_loses_no_text(*, is_closed: bool) -> None:
    """What was printed is written when the process leaves, and a closed stream does not keep it from leaving."""
    code = "import sys\nfrom txtoken.process.running import leave\nprint('one', end='')\nsys.stderr.write('two')\n"
    code += "sys.stderr.close()\n" if is_closed else ""
    command = [sys.executable, "-c", code + "leave(3)"]
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "one", "two")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_end_with_a_log_that_nobody_reads(tmp_path: Path, workers: int) -> None:
    """A full pipe delays the end for a moment, for the last lines, and not longer."""
    reading, writing = os.pipe()
    os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096))
    try:
        with stdout_to(tmp_path, writing, config_of(workers)) as (process, port):
            assert checks(port, 2) == {200: 2}
            process.send(signal.SIGTERM)
            assert process.process.wait(PATIENCE_S) == 0
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_while_the_last_lines_wait(tmp_path: Path, workers: int) -> None:
    """A second request to end does not wait for a reader of the last lines, and the exit code says so."""
    reading, writing = os.pipe()
    os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096))
    patient = f"from txtoken.observe import logs\nlogs.FINISH_S = {10 * PATIENCE_S}\n"
    try:
        with stdout_to(tmp_path, writing, config_of(workers), patient) as (process, _):
            for _ in range(100):
                process.send(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.process.wait(0.1)
                    break
            assert process.process.returncode == 1
    finally:
        os.close(reading)
        os.close(writing)


def test_a_second_signal_ends_a_loop_that_hangs(tmp_path: Path) -> None:
    """A service of one process whose loop never comes back is ended by a second signal."""
    spin = "import signal\ndef spin(*_):\n    while True: pass\nsignal.signal(signal.SIGUSR2, spin)\n"
    with changed_service(tmp_path, spin, config_of(1)) as service:
        assert service.port
        service.send(signal.SIGUSR2)
        service.send(signal.SIGTERM)
        while True:  # two signals of one kind are one to the kernel while the first waits to be handled
            service.send(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.process.wait(0.1)
                break
        assert service.process.returncode in (1, -signal.SIGALRM)


# Signals before anything runs

UNCHANGED: Final = "the configuration is unchanged"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_before_the_service_runs(tmp_path: Path, number: signal.Signals, workers: int) -> None:
    """A signal that comes while the service starts is not lost and makes no traceback: asked to end it ends with 0, asked to
    reload it serves on.
    """
    gate_path, fifo = tmp_path / "gate", tmp_path / "here"
    os.mkfifo(fifo)
    code = (
        "import fcntl, sys\n"
        "from txtoken.config import read\n"
        "load = read.load\n"
        "def wait(*arguments):\n"
        f"    with open({str(fifo)!r}, 'w') as here: here.write('x')\n"
        f"    with open({str(gate_path)!r}) as gate: fcntl.flock(gate, fcntl.LOCK_SH)\n"
        "    read.load = load\n"
        "    return load(*arguments)\n"
        "read.load = wait\n"
    )
    with gate_path.open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        with changed_service(tmp_path, code, config_of(workers)) as service:
            assert fifo.read_text() == "x"
            service.send(number)
            if number == signal.SIGHUP:
                fcntl.flock(gate, fcntl.LOCK_UN)
                assert check(service.port) == 200
                if not any(UNCHANGED in line for line in service.lines):
                    service.line_with(UNCHANGED)
                service.send(signal.SIGTERM)
            code_, output, errors = service.ended()
    assert (code_, errors) == (0, "")
    assert (UNCHANGED in output) == (number == signal.SIGHUP)


# Where the program is loaded, the process waits until the gate opens.
LOADING: Final = """
import fcntl, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "txtoken.cli.main":
            sys.meta_path.remove(self)
            with open({fifo!r}, "w") as here: here.write("x")
            with open({gate!r}) as gate: fcntl.flock(gate, fcntl.LOCK_SH)
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_while_the_program_is_loaded(tmp_path: Path, number: signal.Signals) -> None:
    """A signal that comes before the program is even loaded means what it means later: the end with 0, or a reload."""
    gate_path, fifo = tmp_path / "gate", tmp_path / "here"
    os.mkfifo(fifo)
    with gate_path.open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        code = LOADING.format(fifo=str(fifo), gate=str(gate_path))
        with changed_service(tmp_path, code, config_of(1)) as service:
            assert fifo.read_text() == "x"
            service.send(number)
            fcntl.flock(gate, fcntl.LOCK_UN)
            if number == signal.SIGHUP:
                assert check(service.port) == 200
                if not any(UNCHANGED in line for line in service.lines):
                    service.line_with(UNCHANGED)
                service.send(signal.SIGTERM)
            code_, output, errors = service.ended()
    assert (code_, errors) == (0, "")
    assert (UNCHANGED in output) == (number == signal.SIGHUP)


def test_a_signal_before_the_loop_runs(tmp_path: Path) -> None:
    """One that comes when the service listens, but has no loop yet, ends it without a word on stderr."""
    code = (
        "import os, signal, sys\n"
        "from txtoken.process import running\n"
        "new = running.new_event_loop\n"
        "def ended(*arguments):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return new(*arguments)\n"
        "running.new_event_loop = ended\n"
    )
    with changed_service(tmp_path, code, config_of(1)) as service:
        assert service.ended() == (0, "", "")


def test_commands_take_signals(tmp_path: Path) -> None:
    """Any other command ends by the signal that asks it to, as programs do."""
    gate_path, fifo = tmp_path / "gate", tmp_path / "here"
    os.mkfifo(fifo)
    environment = run_first(tmp_path, LOADING.format(fifo=str(fifo), gate=str(gate_path)))
    with gate_path.open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        with service_process(tmp_path, "keygen", environment=environment) as command:
            assert fifo.read_text() == "x"
            command.send(signal.SIGTERM)
            fcntl.flock(gate, fcntl.LOCK_UN)
            assert command.ended()[:2] == (-signal.SIGTERM, "")


# Back-off


def test_workers_that_cannot_start_later(tmp_path: Path) -> None:
    """When no new worker can start any more, the one that is left serves on while it is tried again and again."""
    flag = tmp_path / "broken"
    code = (
        "import os, uvloop\n"
        "class Failing(uvloop.Loop):\n"
        "    def __init__(self):\n"
        f"        if os.path.exists({str(flag)!r}): os._exit(3)\n"
        "uvloop.Loop = Failing\n"
        "from txtoken.process import places\n"
        "places.BACK_OFF_S = 0.01\n"
    )
    with changed_service(tmp_path, code, config_of(2)) as service:
        port = service.port
        flag.touch()
        victim = workers_of(service)[0]
        os.kill(victim, signal.SIGKILL)
        for _ in range(5):
            service.line_with("with exit code 3")
        with socket.create_connection(("127.0.0.1", port)):
            flag.unlink()
        service.line_with('"worker ready"')
        assert checks(port, 10) == {200: 10}
        service.send(signal.SIGTERM)
        assert service.ended()[0] == 0


def test_a_worker_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """A worker that ignores the end is killed after its time, and the exit code says that not all was in order."""
    code = "from txtoken.process import supervisor\nsupervisor.KILL_AFTER_S = 0.2\n"
    with changed_service(tmp_path, code, config_of(2, "timeouts: {drain: 100ms}")) as service:
        assert service.port
        victim = workers_of(service)[0]
        stop(victim)
        service.send(signal.SIGTERM)
        assert service.ended()[0] == 1
    assert not Path(f"/proc/{victim}").exists()


def test_no_descriptors_are_left(tmp_path: Path) -> None:
    """When the supervisor may open no more files, the other worker serves on, and the place is filled when there is room."""
    code = (
        "import resource\n"
        "from txtoken.process import places\n"
        "places.BACK_OFF_S = 0.05\n"
        "start = places.Places.start\n"
        "def start_later(self, place):\n"
        "    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "    if place.started and place.short_lives < 4:\n"
        "        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))\n"
        "    try:\n"
        "        start(self, place)\n"
        "    finally:\n"
        "        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))\n"
        "places.Places.start = start_later\n"
    )
    with changed_service(tmp_path, code, config_of(2)) as service:
        port = service.port
        os.kill(workers_of(service)[0], signal.SIGKILL)
        for _ in range(3):
            service.line_with("a worker cannot start: Too many open files")
        service.line_with('"worker ready"')
        assert checks(port, 10) == {200: 10}
        service.send(signal.SIGTERM)
        assert service.ended()[0] == 0


# The log


@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_that_does_not_block(tmp_path: Path, workers: int) -> None:
    """When stdout is a pipe that another process has made non-blocking, every line arrives, be its reader ever so slow."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    requests = 600
    with stdout_to(tmp_path, writing, config_of(workers)) as (process, port):
        os.close(writing)
        filler = b"x" * 150
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
            for number in range(requests):
                client.sendall(b"GET /%06d%b HTTP/1.1\r\nHost: x\r\n\r\n" % (number, filler))
                answer = b""
                while not answer.endswith(b"}"):
                    answer += client.recv(10_000)
        process.send(signal.SIGTERM)
        with open(reading) as stream:
            lines = [json.loads(line) for line in stream]
        assert process.process.wait(PATIENCE_S) == 0
    paths = [event["path"][1:7] for event in lines if event["message"] == "request" and event["path"] != "/checkToken"]
    assert sorted(paths) == [f"{number:06d}" for number in range(requests)]
    assert lines[-1]["message"] == "stopped"
    assert not [event for event in lines if event["message"].startswith("log lines were dropped")]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_on_a_full_disk(tmp_path: Path, workers: int) -> None:
    """With a full disk under its log the service serves, and ends in order."""
    device = os.open("/dev/full", os.O_WRONLY)
    try:
        with stdout_to(tmp_path, device, config_of(workers)) as (process, port):
            assert checks(port, 10) == {200: 10}
            process.send(signal.SIGTERM)
            assert process.process.wait(PATIENCE_S) == 0
    finally:
        os.close(device)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_whose_reader_has_gone(tmp_path: Path, workers: int) -> None:
    """When the reader of its log has gone, the service serves, and ends in order."""
    reading, writing = os.pipe()
    with stdout_to(tmp_path, writing, config_of(workers)) as (process, port):
        os.close(reading)
        assert checks(port, 10) == {200: 10}
        process.send(signal.SIGTERM)
        assert process.process.wait(PATIENCE_S) == 0
    os.close(writing)
