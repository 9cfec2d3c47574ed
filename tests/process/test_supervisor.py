"""Several workers as one service: real processes that are killed, replaced and ended, and what the supervisor decides."""

from __future__ import annotations

import fcntl
import gc
import http.client
import itertools
import json
import logging
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path

import jwt
import pytest

from tests.configuring import load_text
from tests.running import KEY, PATIENCE_S, ServiceProcess, run_first, service_process
from txtoken.errors import StartError
from txtoken.observe.logs import DirectWriter
from txtoken.observe.metrics import EVENTS, FIRST_EVENT, Board
from txtoken.process import supervisor
from txtoken.process.admin import AdminPort
from txtoken.process.auth_listeners import AuthListener
from txtoken.process.events import Events
from txtoken.process.inheritance import NOTHING, Inheritance
from txtoken.process.places import LIVED_S, Ending, Place, Places
from txtoken.process.signals import AT_ONCE
from txtoken.process.supervisor import Supervisor
from txtoken.settings import Config

WORKERS = 3
CONFIG = (
    f"port: 0\nlisten: 127.0.0.1\nworkers: {WORKERS}\nencKey: {KEY}\nremote: http://127.0.0.1:9/login\n"
    "log: {level: debug}\n"
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service with several workers."""
    with service_process(tmp_path, config=CONFIG) as process:
        yield process


def workers_of(process: ServiceProcess) -> list[int]:
    """Return the process ids of the children."""
    pid = process.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def check(port: int) -> int:
    """Have a good token checked, on a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        token = jwt.encode({"exp": time.time() + 60}, KEY, "HS256")
        client.request("GET", "/checkToken", headers={"Authorization": f"Bearer {token}"})
        return client.getresponse().status
    finally:
        client.close()


def test_all_workers_serve(service: ServiceProcess) -> None:
    """There are as many workers as were asked for, and the service says that it listens when all of them do."""
    event = json.loads(service.line_with('"listening"'))
    assert event["workers"] == WORKERS
    ready = [json.loads(line)["pid"] for line in service.lines if '"worker ready"' in line]
    assert sorted(ready) == sorted(workers_of(service))
    assert len(set(ready)) == WORKERS


def test_a_worker_that_is_killed_is_replaced(service: ServiceProcess) -> None:
    """After a worker was killed another takes its place, and clients that connect meanwhile are answered."""
    port = service.port
    for _ in range(WORKERS):
        victim = workers_of(service)[0]
        os.kill(victim, signal.SIGKILL)
        statuses = Counter(check(port) for _ in range(30))
        assert statuses == {200: 30}
        service.line_with("by signal 9")
        service.line_with('"worker ready"')
        assert len(workers_of(service)) == WORKERS
        assert victim not in workers_of(service)


def test_lines_of_text(tmp_path: Path) -> None:
    """Where the log is text, the supervisor's lines are text as its workers' are."""
    config = CONFIG.replace("level: debug", "level: debug, format: text")
    with service_process(tmp_path, config=config) as process:
        process.line_with("worker ready")
        process.line_with("listening")
        process.send(signal.SIGTERM)
        code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert output.rstrip().endswith("stopped")
    assert not [line for line in (*process.lines, *output.splitlines()) if line.startswith("{")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end(service: ServiceProcess, number: signal.Signals) -> None:
    """A signal drains and ends all workers, and the service ends with 0."""
    port = service.port
    workers = workers_of(service)
    assert check(port) == 200
    service.send(number)
    code, output, errors = service.ended()
    assert (code, errors) == (0, "")
    assert output.rstrip().endswith('"message":"stopped"}')
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    with pytest.raises(ConnectionRefusedError):
        check(port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_of_them(service: ServiceProcess, number: signal.Signals) -> None:
    """A signal that reaches every process, as Ctrl-C and systemd send it, is not taken for a second one: logins that run end."""
    port = service.port
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as begun:
        begun.sendall(b"POST /checkToken HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        assert check(port) == 200
        for pid in (*workers_of(service), service.process.pid):
            os.kill(pid, number)
        service.line_with('"draining"')
        begun.sendall(b"}")
        assert begun.recv(1000).startswith(b"HTTP/1.1 401")
    assert service.ended()[0] == 0


def test_a_second_signal_ends_at_once(service: ServiceProcess) -> None:
    """A second request to end does not wait for a request that never ends, and the exit code says so."""
    port = service.port
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as begun:
        begun.sendall(b"POST /checkToken HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        assert check(port) == 200
        service.send(signal.SIGTERM)
        service.line_with('"draining"')
        service.send(signal.SIGTERM)
        assert service.ended()[0] == 1


def test_a_port_that_another_service_shares(service: ServiceProcess, tmp_path: Path) -> None:
    """A second service with workers of its own does not take a share of the first one's clients."""
    port = service.port
    with service_process(tmp_path, "serve", "--set", f"port={port}", config=CONFIG) as second:
        code, _, errors = second.ended()
    assert (code, f":{port}: the port is in use" in errors) == (1, True)


def test_a_replacement_that_dies_early_is_tried_again(service: ServiceProcess) -> None:
    """A worker that is killed before it serves does not take the service with it."""
    port = service.port
    replaced = 0
    os.kill(workers_of(service)[0], signal.SIGKILL)
    before = set(workers_of(service))
    while replaced < 3:
        for pid in set(workers_of(service)) - before:
            os.kill(pid, signal.SIGKILL)
            before.add(pid)
            replaced += 1
    for _ in range(1 + replaced):
        service.line_with("a worker ended and is replaced")
    service.line_with('"worker ready"')
    assert check(port) == 200
    service.send(signal.SIGTERM)
    assert service.ended()[0] == 0


def test_workers_do_not_outlive_their_supervisor(service: ServiceProcess) -> None:
    """When the supervisor is killed its workers drain and end."""
    assert service.port
    workers = workers_of(service)
    service.send(signal.SIGKILL)
    assert service.process.wait(PATIENCE_S) == -signal.SIGKILL
    # The pipe of their log ends with the last of them.
    assert service.ended()[0] == -signal.SIGKILL
    assert len(workers) == WORKERS


def test_the_end_while_workers_start(tmp_path: Path) -> None:
    """A service that is asked to end while its workers still start ends in order, and they with it."""
    gate_path, fifo = tmp_path / "gate", tmp_path / "here"
    os.mkfifo(fifo)
    environment = run_first(
        tmp_path,
        "import fcntl, uvloop\n"
        "class Waiting(uvloop.Loop):\n"
        "    def __init__(self):\n"
        f"        with open({str(fifo)!r}, 'w') as here: here.write('x')\n"
        f"        with open({str(gate_path)!r}) as gate: fcntl.flock(gate, fcntl.LOCK_SH)\n"
        "uvloop.Loop = Waiting\n",
    )
    with gate_path.open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        with service_process(tmp_path, config=CONFIG, environment=environment) as process:
            come = 0
            while come < WORKERS:
                come += len(fifo.read_text())  # waits for the workers that write
            process.send(signal.SIGTERM)
            process.line_with('"draining"')
            fcntl.flock(gate, fcntl.LOCK_UN)
            code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert '"listening"' not in output


def test_a_worker_that_cannot_start_ends_the_service(tmp_path: Path) -> None:
    """A worker that fails before it serves ends the service with 1, instead of being started for ever."""
    environment = run_first(
        tmp_path,
        "import os\n"
        "from asyncio import base_events\n"
        "import uvloop\n"
        "class Failing(uvloop.Loop):\n"
        "    def __init__(self): raise OSError('no loop today')\n"
        "uvloop.Loop = Failing\n",
    )
    with service_process(tmp_path, config=CONFIG, environment=environment) as process:
        code, output, errors = process.ended()
    assert code == 1
    assert "a worker could not start" in output
    assert "no loop today" in errors
    assert KEY not in output + errors


# The sockets of workers


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[list[socket.socket]]]]:
    """The sockets that each supervisor got, which run no worker. The writer of the log has been closed after each."""
    given: list[list[list[socket.socket]]] = []
    closed: list[bool] = []

    class Writer(DirectWriter):
        def close(self) -> None:
            closed.append(True)
            super().close()

    class Idle(Supervisor):
        def run(self) -> int:
            given.append([list(place.sockets) for place in self._places._places])
            self._events._selector.close()
            for end in self._events._wake_up:
                end.close()
            for fd in self._places._lifeline:
                os.close(fd)
            return 5

    monkeypatch.setattr(supervisor, "Supervisor", Idle)
    monkeypatch.setattr(supervisor, "DirectWriter", Writer)
    yield given
    assert len(closed) == len(given)
    for sock in itertools.chain.from_iterable(itertools.chain.from_iterable(given)):
        sock.close()


def test_each_worker_has_its_sockets(served: list[list[list[socket.socket]]], tmp_path: Path) -> None:
    """Each worker has a socket of its own at the same port, which the kernel chose, and one at the same Unix socket. Nothing
    else is left open.
    """
    config = load_text(tmp_path, CONFIG.replace("127.0.0.1", f"[127.0.0.1, 'unix:{tmp_path}/s']", 1))
    before = len(os.listdir("/proc/self/fd"))
    assert supervisor._serve(config, lambda: config, ()) == 5
    assert len(os.listdir("/proc/self/fd")) == before + 2 * WORKERS
    (sockets,) = served
    assert len(sockets) == WORKERS
    (host,) = {own[0].getsockname() for own in sockets}
    assert host[0] == "127.0.0.1"
    assert host[1] != 0
    assert {own[1].getsockname() for own in sockets} == {f"{tmp_path}/s"}
    assert {len(own) for own in sockets} == {2}
    assert len({os.fstat(own[0].fileno()).st_ino for own in sockets}) == WORKERS
    assert len({os.fstat(own[1].fileno()).st_ino for own in sockets}) == 1


def test_sockets_that_were_passed_are_all(served: list[list[list[socket.socket]]], tmp_path: Path) -> None:
    """Where sockets were passed to the service, each worker has these and no other."""
    config = load_text(tmp_path, CONFIG)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        supervisor._serve(config, lambda: config, [os.dup(listening.fileno())])
    assert [[sock.getsockname() for sock in own] for own in served[0]] == [[address]] * WORKERS


# What the supervisor decides


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor of two places that starts no worker, as it is when the service has listened."""
    config = load_text(tmp_path, CONFIG.replace(f"workers: {WORKERS}", "workers: 2"))
    log = logging.getLogger("txtoken.test.supervisor")
    made = Supervisor(config, lambda: config, [[], []], NOTHING, log)
    made._is_announced = True
    yield made
    log.setLevel(logging.NOTSET)  # a reload sets it
    made._events._selector.close()
    for end in made._events._wake_up:
        end.close()
    for fd in made._places._lifeline:
        os.close(fd)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[signal.Signals]:
    """The signals that are sent to all workers, in place of sending them."""
    numbers: list[signal.Signals] = []
    monkeypatch.setattr(Places, "send", lambda _, number: numbers.append(number))
    return numbers


def first_place(made: Supervisor) -> Place:
    """Return one of its places."""
    return made._places._places[0]


def test_a_worker_that_ends_unasked_is_replaced(supervised: Supervisor) -> None:
    """A worker that ends with 0 without being asked to is replaced as any other, and the service goes on."""
    place = first_place(supervised)
    place.started = time.monotonic() - LIVED_S
    supervised._note_ending(Ending(place, supervisor.OK, has_served=True))
    assert place.start_at <= time.monotonic()
    assert not supervised._is_stopping
    assert supervised._code == supervisor.OK


@pytest.mark.parametrize("has_served", [False, True])
def test_a_worker_that_ends_before_all_have_served(
    supervised: Supervisor, sent: list[signal.Signals], *, has_served: bool
) -> None:
    """While the service starts, a worker that ends before it serves ends the service with 1. One that served is replaced."""
    supervised._is_announced = False
    supervised._note_ending(Ending(first_place(supervised), supervisor.OK, has_served=has_served))
    assert supervised._is_stopping == (not has_served)
    assert supervised._code == (supervisor.OK if has_served else supervisor.FAILED)
    assert sent == ([] if has_served else [signal.SIGTERM])


def test_the_numbers_of_a_worker_that_ended(supervised: Supervisor) -> None:
    """When a worker ends, what was so of it at the last moment is no longer shown; a replacement is counted, the end is not."""
    port = AdminPort((), Board(2), lambda: b"", "")
    supervised._inheritance = Inheritance(port)
    block = port.board.workers[0]
    for replaced in (1, 1):
        block.set_gauge("is_ready", 1)
        supervised._note_ending(Ending(first_place(supervised), -9, has_served=True))
        assert block.gauge("is_ready") == 0
        assert port.board.service.counts[FIRST_EVENT + EVENTS.index("workers_replaced")] == replaced
        supervised._is_stopping = True


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (-9, 1)])
def test_the_exit_code_of_the_service(supervised: Supervisor, code: int, expected: int) -> None:
    """The service ends with 0 if all workers do."""
    supervised._is_stopping = True
    for end in (0, code, 0):
        supervised._note_ending(Ending(first_place(supervised), end, has_served=True))
    assert supervised._code == expected


@pytest.mark.parametrize("delay_s", [0.0, 3.0])
def test_requests_to_end(
    supervised: Supervisor, sent: list[signal.Signals], monkeypatch: pytest.MonkeyPatch, delay_s: float
) -> None:
    """The first request to end asks workers to drain, and the sockets are closed after `drainDelay`. The second asks them to end
    at once, and the exit code says so. After each, workers have their time until they are killed. Children that end ask nothing.
    """
    timeouts = replace(supervised._config.timeouts, drain_delay=delay_s, drain=20.0)
    supervised._config = replace(supervised._config, timeouts=timeouts)
    closed: list[bool] = []
    monkeypatch.setattr(Places, "close_sockets", lambda _: closed.append(True))
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    supervised._act_on(signal.SIGCHLD)
    assert sent == []
    supervised._act_on(signal.SIGTERM)
    supervised._act_on(signal.SIGCHLD)
    assert sent == [signal.SIGTERM]
    assert supervised._kill_at == 1000 + delay_s + 20 + supervisor.KILL_AFTER_S
    assert (bool(closed), supervised._close_at) == ((False, 1003.0) if delay_s else (True, inf))
    assert supervised._code == supervisor.OK
    supervised._act_on(signal.SIGINT)
    assert sent == [signal.SIGTERM, AT_ONCE]
    assert supervised._kill_at == 1000 + supervisor.KILL_AT_ONCE_S
    assert supervised._code == supervisor.FAILED


@pytest.mark.parametrize("is_stopping", [False, True])
def test_hanging_workers_at_the_end(
    supervised: Supervisor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, is_stopping: bool
) -> None:
    """A hanging worker is killed, but not at the end, when it has its time to drain."""
    place = first_place(supervised)
    place.pid = 17
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    monkeypatch.setattr(Places, "take_hanging", lambda *_: [place])
    supervised._is_stopping = is_stopping
    supervised._kill_hanging()
    assert killed == ([] if is_stopping else [(17, signal.SIGKILL)])
    assert len(caplog.records) == len(killed)


class FakeReload:
    """A reload whose result is the test's."""

    def __init__(self, config: Config | None, *, has_failed: bool = False) -> None:
        self.config = config
        self.has_failed = has_failed
        self.wait_s = 7.0
        self.calls: list[bool] = []

    def has_changed(self) -> bool:
        """Find a change."""
        return True

    def read_again(self, *, at_once: bool) -> Config | None:
        """Note how it was called."""
        self.calls.append(at_once)
        return self.config


def test_reloads_by_signal_and_by_change(supervised: Supervisor, sent: list[signal.Signals]) -> None:
    """A signal reloads at once; a change that was found may wait until it rests. Workers are asked to reload only what is good,
    and nothing is read at the end.
    """
    supervised._reload = reload = FakeReload(supervised._config)  # type: ignore[assignment]
    supervised._act_on(signal.SIGHUP)
    assert reload.calls == [True]
    supervised._look_for_change()
    assert reload.calls == [True, False]
    assert sent == [signal.SIGHUP] * 2
    assert time.monotonic() < supervised._look_at <= time.monotonic() + reload.wait_s
    reload.config = None
    supervised._look_for_change()
    assert len(sent) == 2
    supervised._is_stopping = True
    supervised._act_on(signal.SIGHUP)
    assert len(reload.calls) == 3
    assert supervised._look_at == inf


@pytest.mark.parametrize("has_failed", [False, True])
def test_failed_reloads_are_counted(supervised: Supervisor, *, has_failed: bool) -> None:
    """A configuration that cannot be used is counted as failed, and one that is still being written is not."""
    port = AdminPort((), Board(2), lambda: b"", "")
    supervised._inheritance = Inheritance(port)
    supervised._reload = FakeReload(None, has_failed=has_failed)  # type: ignore[assignment]
    supervised._look_for_change()
    assert port.board.service.counts[FIRST_EVENT + EVENTS.index("reloads_failed")] == has_failed


@pytest.mark.parametrize("key", [KEY, KEY[::-1]])
def test_a_new_key_has_its_time(supervised: Supervisor, sent: list[signal.Signals], tmp_path: Path, key: str) -> None:
    """A reload that changes the key is noted as such, once; any other is a reload alone."""
    port = AdminPort((), Board(2), lambda: b"", "")
    supervised._inheritance = Inheritance(port)
    config = load_text(tmp_path, CONFIG.replace(KEY, key))
    supervised._reload = FakeReload(config)  # type: ignore[assignment]
    service = port.board.service
    supervised._look_for_change()
    assert service.moment("reloaded") > 0
    assert (service.moment("key_loaded") > 0) == (key != KEY)
    assert supervised._config is config
    service.set_moment("key_loaded", 0.0)
    supervised._look_for_change()
    assert service.moment("key_loaded") == 0
    assert len(sent) == 2


@pytest.mark.parametrize("is_due", [False, True])
def test_what_is_due_is_done(supervised: Supervisor, monkeypatch: pytest.MonkeyPatch, *, is_due: bool) -> None:
    """Each pass of the supervisor does what is due, and only that."""
    done: list[str] = []
    acts = ("_close_sockets", "_look_for_change", "_write_kept_lines", "_kill_hanging", "_kill_workers")
    for act in acts:
        monkeypatch.setattr(Supervisor, act, lambda _, act=act: done.append(act))
    for name in ("_close_at", "_look_at", "_watch_at", "_kill_at"):
        setattr(supervised, name, 0.0 if is_due else inf)
    monkeypatch.setattr(Supervisor, "_start_workers", lambda made: setattr(made, "_is_stopping", True))
    monkeypatch.setattr(Events, "listen", lambda _: None)
    monkeypatch.setattr(Events, "wait", lambda *_: [])
    for act in ("enable", "collect", "freeze"):
        monkeypatch.setattr(gc, act, lambda act=act: done.append(act))
    monkeypatch.setattr(supervisor, "end_at_next_signal", lambda: done.append("end"))
    assert supervised.run() == supervisor.OK
    assert done == ["enable", "collect", "freeze", *(acts if is_due else ()), "end"]


def test_the_sockets_of_other_ports_are_closed(supervised: Supervisor) -> None:
    """At the end the supervisor closes its admin port too, and the dedicated addresses of forward authentication."""
    admin, door = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    supervised._inheritance = Inheritance(
        AdminPort([admin], Board(2), lambda: b"", ""), None, [AuthListener("", [door])]
    )
    supervised._close_sockets()
    assert admin.fileno() == door.fileno() == -1


def test_many_failures_later_do_not_end_the_service(supervised: Supervisor) -> None:
    """Workers that can no longer start are tried at longer and longer intervals, and do not end a service that has listened."""
    place = first_place(supervised)
    for _ in range(20):
        supervised._note_ending(Ending(place, 1, has_served=False))
    assert place.start_at > time.monotonic()
    assert not supervised._is_stopping


@pytest.mark.parametrize("name", ["pipe", "fork"])
def test_nothing_is_left_for_a_new_worker(
    supervised: Supervisor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Where the system has no descriptor or process left for a worker, the supervisor logs it, and tries again later. Before
    the service has listened, it is an error that ends it.
    """
    place, other = supervised._places._places
    other.start_at = inf

    def fail() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, name, fail)
    supervised._start_workers()
    assert [record.getMessage() for record in caplog.records] == ["a worker cannot start: Too many open files"]
    assert place.start_at > time.monotonic()
    place.start_at = 0.0
    supervised._is_announced = False
    with pytest.raises(StartError, match="a worker cannot start: Too many open files"):
        supervised._start_workers()


def test_no_worker_starts_at_the_end(supervised: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the service ends no worker is started, and none is waited for."""
    supervised._watch_at = supervised._look_at = inf
    assert supervised._next_at() == 0.0
    supervised._stop()
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a worker was started"))
    supervised._start_workers()
    assert supervised._next_at() == supervised._kill_at


def test_what_is_due_at_the_end_is_done_once(supervised: Supervisor) -> None:
    """What the supervisor has to do at a time keeps it awake until it is done, and not after that."""
    supervised._is_stopping = True
    for name, act in (
        ("_close_at", supervised._close_sockets),
        ("_look_at", supervised._look_for_change),
        ("_watch_at", supervised._kill_hanging),
        ("_kill_at", supervised._kill_workers),
    ):
        for other in ("_close_at", "_look_at", "_watch_at", "_kill_at"):
            setattr(supervised, other, inf)
        assert supervised._next_at() == inf
        setattr(supervised, name, 5.0)
        assert supervised._next_at() == 5.0
        act()
        assert supervised._next_at() == inf


def test_lost_lines_are_reported_when_the_report_can_arrive(
    supervised: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    """Lines of the log that were lost are reported once, when lines can be written again."""
    reading, writing = os.pipe()
    writer = DirectWriter(writing)
    supervised._writer = writer
    writer.dropped, writer._failed = 3, True
    supervised._write_kept_lines()
    assert caplog.records == []
    writer._failed = False
    writer._kept += b"kept\n"
    for _ in range(2):
        supervised._write_kept_lines()
    assert os.read(reading, 100) == b"kept\n"
    (record,) = caplog.records
    assert record.getMessage() == "log lines were dropped because their reader is too slow"
    assert record.fields == {"lines": 3}  # type: ignore[attr-defined]  # of `extra`
    writer.close()
    for fd in (reading, writing):
        os.close(fd)
