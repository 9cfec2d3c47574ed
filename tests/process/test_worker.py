"""One process: binding, the signals' meaning, and what it does when its parts fail."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import json
import logging
import resource
import socket
import subprocess
import time
from collections.abc import Coroutine
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from tests.configuring import changed, revealed
from tests.exchange import LOGIN, REPLY, House, check_request
from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, PROGRAM, clean_environment, service_process
from tests.service.faulty_remote import turning
from txtoken.demo.configuration import demo_config
from txtoken.http1.buffers import EASED_BYTES
from txtoken.process import heap
from txtoken.process.auth_listeners import auth_limits
from txtoken.process.descriptors import OTHER_FILES, with_room
from txtoken.process.servers import Servers
from txtoken.process.worker import Worker
from txtoken.service import app as app_module
from txtoken.service.upstream.dial import Dialler
from txtoken.settings import Config, LogSettings, RefreshSettings, VerifyRules


@pytest.fixture
def config() -> Config:
    """A good configuration."""
    return demo_config(0, "http://127.0.0.1:9/login", LogSettings())


@pytest.mark.parametrize(
    ("soft", "hard", "asked", "connections", "remote_connections"),
    [
        (20_000, 20_000, None, 10_000, 256),
        (1024, 20_000, 10_336, 10_000, 256),
        (1024, resource.RLIM_INFINITY, 10_336, 10_000, 256),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None, 10_000, 256),
        (1024, 4096, 4096, 3916, 100),
        (1024, 1024, 1024, 921, 23),
        (256, 256, 256, 172, 4),
        (64, 64, 64, 31, 1),
    ],
)
def test_room_for_clients(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    soft: int,
    hard: int,
    asked: int | None,
    connections: int,
    remote_connections: int,
) -> None:
    """A process asks for as many files as it needs; where it does not get them, clients and connections to the remote shrink
    in proportion, and a warning says to what.
    """
    calls: list[int] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: calls.append(limit[0]))
    found = with_room(config, logging.getLogger("txtoken.test"))
    assert (found.limits.connections, found.remote.connections) == (connections, remote_connections)
    assert calls == ([] if asked is None else [asked])
    assert bool(caplog.records) == (connections < 10_000)
    for record in caplog.records:
        fields = {"files": hard, "connections": connections, "remote_connections": remote_connections}
        assert record.fields == fields  # type: ignore[attr-defined]  # of `extra`


def test_room_for_dedicated_addresses(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each dedicated address of forward authentication needs files for a tenth of the clients; with too few files all
    shrink alike.
    """
    calls: list[int] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: calls.append(limit[0]))
    two = changed(config, process__auth_addresses=("unix:/a", "unix:/b"))
    for soft, connections, remote in ((20_000, 10_000, 256), (1024, 770, 19)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        found = with_room(two, logging.getLogger("txtoken.test"))
        assert (found.limits.connections, found.remote.connections) == (connections, remote)
        files = connections + 2 * auth_limits(found.limits).connections + remote + OTHER_FILES
        assert files <= soft
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20_000))
    with_room(two, logging.getLogger("txtoken.test"))
    assert calls == [1024, 12_336]


def test_room_for_a_second_remote(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote that is asked before tokens are renewed has as many connections as the other one, and both need files."""
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: None)
    for limit, connections, remote_connections in ((20_000, 10_000, 256), (1024, 900, 22)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        with_two = changed(config, refresh=RefreshSettings("/r", url="http://127.0.0.1:9/"))
        found = with_room(with_two, logging.getLogger("txtoken.test"))
        assert (found.limits.connections, found.remote.connections) == (connections, remote_connections)
        asked = found.refresh.remote(found.remote)
        assert asked is not None
        assert asked.connections == remote_connections


@pytest.mark.parametrize("workers", [1, 2])
def test_too_few_files_to_start(tmp_path: Path, workers: int) -> None:
    """With fewer than 64 files the service ends with exit code 1 and says why, however many workers it has."""
    (tmp_path / "cfg.yml").write_text(
        f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nworkers: {workers}\nremote: http://127.0.0.1:9/\n"
    )
    command = ["bash", "-c", 'ulimit -n 63; exec "$@"', "bash", *PROGRAM, "serve", "-c", "cfg.yml"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "this process may open 63 files (ulimit -n): at least 64 are needed" in ended.stderr


def test_few_files_serve_clients_and_the_remote(tmp_path: Path) -> None:
    """With 256 files many clients are accepted, their logins reach the remote, and who comes past all places is served."""
    api = LoginApi()
    text = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {api.url}\n"
    (tmp_path / "cfg.yml").write_text(text)
    program = ["bash", "-c", 'ulimit -n 256; exec "$@"', "bash", *PROGRAM]
    with subprocess.Popen(
        [*program, "serve", "-c", "cfg.yml"], cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            events = [json.loads(process.stdout.readline()) for _ in range(2)]
            assert (events[0]["connections"], events[0]["remote_connections"]) == (172, 4)
            port = int(events[1]["addresses"][0].rpartition(":")[2])
            for _ in range(4):
                silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
                clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S) for _ in range(12)]
                for client in clients:
                    client.request("POST", "/getToken", body='{"password":"right"}')
                    assert client.getresponse().status == 200
                for sock in silent:
                    sock.close()
                for client in clients:
                    client.close()
        finally:
            process.terminate()
            api.close()
    assert process.returncode == 0


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test on asyncio's own loop, whose timers can be read."""
    with asyncio.Runner() as runner:
        runner.run(main)


class Times:
    """The wall clock and the one of the remote's deadlines, as a test sets them. Both can be moved alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = float(int(time.time()))
        self.monotonic = time.monotonic()
        monkeypatch.setattr(time, "time", lambda: self.wall)
        for name in ("txtoken.service.app.monotonic", "txtoken.service.upstream.remote.monotonic"):
            monkeypatch.setattr(name, lambda: self.monotonic)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    """Clocks that stand until the test moves them."""
    return Times(monkeypatch)


# Reload


def other(config: Config) -> Config:
    """Change what the remote is made of."""
    return changed(config, remote__request_token_s=config.remote.request_token_s + 1)


def test_a_remote_that_is_retired_ends_with_its_last_exchange(config: Config) -> None:
    """After a reload the earlier remote stays while a login is under way to it, and is closed and let go of after that."""

    async def main() -> None:
        house = House(config)
        earlier = house.worker._app.remote
        house.client.data_received(LOGIN)
        house.worker.take_over(other(config))
        assert house.worker._app.remote is not earlier
        now = asyncio.get_running_loop().time()
        house.worker._sweep(now)
        assert house.worker._app._retired == [earlier]
        assert not house.to_remote.is_closed
        house.remote.data_received(REPLY)
        assert house.to_client.written[0].startswith(b"HTTP/1.1 200 ")
        house.worker._sweep(now)
        assert house.worker._app._retired == []
        (closing,) = house.worker._app.closing
        await closing
        assert house.to_remote.is_closed
        assert not house.worker._app.closing
        await house.close()

    run(main())


def test_deadlines_hold_at_a_remote_that_is_retired(config: Config, times: Times) -> None:
    """A login to an earlier remote that does not answer fails after `timeouts.remote`, as any other."""

    async def main() -> None:
        house = House(config)
        house.client.data_received(LOGIN)
        house.worker.take_over(other(config))
        now = asyncio.get_running_loop().time()
        times.monotonic += config.remote.timeout_s - 0.1
        house.worker._sweep(now)
        assert not house.to_client.written
        times.monotonic += 0.2
        house.worker._sweep(now)
        assert house.to_client.written[0].startswith(b"HTTP/1.1 500 ")
        await house.close()

    run(main())


def test_remotes_that_are_retired_are_closed_at_the_end(config: Config) -> None:
    """The end closes the connections of earlier remotes too."""

    async def main() -> None:
        house = House(config)
        house.client.data_received(LOGIN)
        house.worker.take_over(other(config))
        await house.worker.abandon()
        assert house.to_remote.is_closed
        await house.close()

    run(main())


def test_remotes_are_prepared(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the start, and after each change, remotes prepare what the first login needs. The end does not wait for it."""
    prepared: list[Dialler] = []
    ends: list[bool] = []

    async def prepare(dialler: Dialler) -> None:
        prepared.append(dialler)
        try:
            await asyncio.Event().wait()
        finally:
            ends.append(True)

    async def main() -> None:
        house = House(config)
        worker = house.worker
        monkeypatch.setattr(Dialler, "prepare", prepare)
        await worker.start([])
        assert not prepared  # clients come first
        await asyncio.sleep(0)
        first = worker._app.remote._dialler
        assert prepared == [first]
        worker.take_over(other(config))
        await asyncio.sleep(0)
        assert prepared == [first, worker._app.remote._dialler]
        assert len(set(prepared)) == 2
        await house.close()
        await turning(lambda: len(ends) == 2)
        assert not worker._preparing

    run(main())


@pytest.mark.parametrize("is_enabled", [True, False])
def test_garbage_at_the_start(config: Config, monkeypatch: pytest.MonkeyPatch, is_enabled: bool) -> None:
    """A process that was just loaded, without garbage collection, begins it at its start. Any other begins by collecting."""
    done: list[str] = []
    for act in ("collect", "freeze", "enable", "set_threshold"):
        monkeypatch.setattr(gc, act, lambda *_, act=act: done.append(act))
    monkeypatch.setattr(gc, "isenabled", lambda: is_enabled)

    async def main() -> None:
        house = House(config)
        await house.worker.start([])
        await house.close()

    run(main())
    assert done == ["collect" if is_enabled else "enable", "freeze", "set_threshold"]


@pytest.mark.parametrize("part", ["new_remote", "TokenVerifier", "Login", "new_logs"])
def test_a_take_over_that_fails_changes_nothing(config: Config, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """When any part of the service cannot be built by the new configuration, all of it goes on by the old one, and the same
    configuration is applied later, when it can be built.
    """

    async def main() -> None:
        house = House(config)
        worker = house.worker

        def parts() -> tuple[object, ...]:
            app, servers = worker._app, worker._servers
            return app, app.remote, servers._logs, servers.main.observer, servers.main.router

        before = parts()

        def fail(*_: object, **__: object) -> None:
            raise OSError("no")

        new = changed(other(config), issue__ttl_s=60, check__rules=VerifyRules(leeway_s=1))
        with monkeypatch.context() as patched:
            patched.setattr(Servers if part == "new_logs" else app_module, part, fail)
            with pytest.raises(OSError, match="no"):
                worker.take_over(new)
        assert all(now is then for now, then in zip(parts(), before, strict=True))
        assert not worker._app._retired
        assert len(worker._app.closing) == (part != "new_remote")  # what was built in vain
        house.log_in()
        assert house.to_client.written[0].startswith(b"HTTP/1.1 200 ")
        worker.take_over(new)
        assert worker._app.config is new
        assert worker._app.remote is not before[1]
        await house.close()

    run(main())


def test_the_end_does_not_wait_for_a_remote(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote whose closing hangs, in a name look-up say, keeps the end a moment and not longer."""
    monkeypatch.setattr(app_module, "CLOSE_S", 0.01)

    async def main() -> None:
        house = House(config)

        async def hang(_: object) -> None:
            await asyncio.Event().wait()

        with monkeypatch.context() as patched:
            patched.setattr(type(house.worker._app.remote), "close", hang)
            await house.worker.abandon()
        for closing in house.worker._app.closing:
            closing.cancel()
        await house.close()

    run(main())


# The beat


@pytest.mark.parametrize(("fraction", "wait_s"), [(0.0, 0.25), (0.5, 0.25), (0.9, 0.101), (0.9995, 0.0015)])
def test_the_beat_at_the_turn_of_a_second(config: Config, times: Times, fraction: float, wait_s: float) -> None:
    """The next beat comes a quarter of a second later, and just after the turn of a second where that is sooner."""

    async def main() -> None:
        house = House(config)
        times.wall += fraction
        began = asyncio.get_running_loop().time()
        house.worker._heartbeat.start()
        timer = house.worker._heartbeat._timer
        assert timer is not None
        assert timer.when() - began == pytest.approx(wait_s, abs=0.02)
        assert timer.when() - began >= wait_s
        assert house.worker._surroundings.clock.second == int(times.wall)
        await house.close()
        assert timer.cancelled()

    run(main())


def test_the_beat_goes_on_after_a_fault(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every beat is a sign of life, and after one whose work fails the next one comes."""
    beats: list[None] = []

    async def main() -> None:
        house = House(config)
        house.worker._on_beat = lambda: beats.append(None)

        def fail(_: Worker, now: float) -> None:
            raise ValueError("no")

        with monkeypatch.context() as patched:
            patched.setattr(Worker, "_sweep", fail)
            house.worker._heartbeat.start()
        assert house.worker._heartbeat._timer is not None
        assert not house.worker._heartbeat._timer.cancelled()
        assert len(beats) == 1
        await house.close()

    run(main())


# Clocks that are set

STEPS: Final = [3 * 3600.0, -3 * 3600.0, 400 * 86400.0, -400 * 86400.0, 1.0, -1.0]


@pytest.mark.parametrize("step_s", STEPS)
def test_dates_follow_a_clock_that_is_set(config: Config, times: Times, step_s: float) -> None:
    """After the wall clock was set, forward or back, Date, `exp` and the bearer for the remote are those of the new time."""

    async def main() -> None:
        house = House(config)
        for second in (times.wall, times.wall + step_s, times.wall):
            times.wall = second
            house.worker._heartbeat.start()
            house.to_client.written.clear()
            house.to_remote.written.clear()
            house.log_in()
            head, _, body = house.to_client.written[0].partition(b"\r\n\r\n")
            (date,) = [line[6:] for line in head.decode().split("\r\n") if line.startswith("Date: ")]
            assert parsedate_to_datetime(date).timestamp() == second
            token = json.loads(body)["token"]
            assert exp_of(token, revealed(config.keys.secret)) == second + config.issue.ttl_s
            (line,) = [line for line in house.to_remote.written[0].split(b"\r\n") if line.startswith(b"Authorization")]
            assert (
                exp_of(line.split()[-1].decode(), revealed(config.remote.request_key))
                == second + config.remote.request_token_s
            )
        await house.close()

    run(main())


def exp_of(token: str, key: bytes) -> int:
    """Return the end of a token whose signature is right."""
    return int(jwt.decode(token, key, ["HS256"], options={"verify_exp": False})["exp"])


def test_remembered_tokens_follow_a_clock_that_is_set(config: Config, times: Times) -> None:
    """A token that was found valid, and is remembered, is not valid once the clock was set past its end, and is again when the
    clock was set back.
    """

    async def main() -> None:
        house = House(config)
        token = jwt.encode({"exp": int(times.wall) + 3600}, revealed(config.keys.secret), "HS256").encode()
        request = check_request(token)
        for step_s, status in (
            (0, 200),
            (0, 200),
            (3 * 3600, 401),
            (3 * 3600, 401),
            (-5 * 3600, 200),
            (3599, 200),
            (3600, 401),
        ):
            wall = times.wall
            times.wall += step_s
            house.worker._heartbeat.start()
            house.to_client.written.clear()
            house.check(request)
            assert house.to_client.written[0].startswith(b"HTTP/1.1 %d " % status), step_s
            times.wall = wall
        await house.close()

    run(main())


@pytest.mark.parametrize("step_s", STEPS)
def test_deadlines_do_not_follow_a_clock_that_is_set(config: Config, times: Times, step_s: float) -> None:
    """Setting the wall clock neither ends a login or a connection early nor lets one go on for longer."""

    async def main() -> None:
        house = House(config)
        idle, to_idle = house.connect()
        house.client.data_received(LOGIN)
        times.wall += step_s
        house.worker._heartbeat.start()
        assert not house.to_client.written
        assert not to_idle.is_closed
        assert not house.to_remote.is_closed
        times.monotonic += config.remote.timeout_s + 0.1
        house.worker._heartbeat.start()
        assert house.to_client.written[0].startswith(b"HTTP/1.1 500 ")
        del idle
        await house.close()

    run(main())


# The log


def test_lost_lines_are_reported_when_it_can_arrive(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the log takes no lines nothing is said about lost ones: it would be lost, and be the next to report."""

    async def main() -> None:
        house = House(config)
        worker = house.worker
        said: list[int] = []
        monkeypatch.setattr(worker._log, "warning", lambda _, extra: said.append(extra["fields"]["lines"]))
        now = asyncio.get_running_loop().time()
        worker._writer.dropped += 3
        worker._writer._failed = True
        worker._sweep(now)
        worker._sweep(now)
        assert said == []
        worker._writer._failed = False
        worker._sweep(now)
        worker._sweep(now)
        assert said == [3]
        await house.close()

    run(main())


def test_a_handshake_that_failed_is_named_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of handshakes that fail in a row the first is logged, at level debug; all are counted."""

    async def main() -> None:
        house = House(config)
        said: list[str] = []
        monkeypatch.setattr(house.worker._log, "debug", lambda _, extra: said.append(extra["fields"]["cause"]))
        for cause in ("first", "second"):
            house.worker._servers.main.places.note_tls_failure(cause)
        assert said == ["first"]
        assert house.worker._servers.main.places.handshakes_failed == 2
        await house.close()

    run(main())


def test_much_that_was_held_goes_back_to_the_system(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once what clients made the service hold has gone, its memory is returned to the system."""

    async def main() -> None:
        house = House(config)
        given: list[bool] = []
        monkeypatch.setattr(heap, "give_back", lambda: given.append(True))
        now = asyncio.get_running_loop().time()
        house.worker._sweep(now)
        assert not given
        house.worker._servers.main.buffers._most = 2 * EASED_BYTES
        house.worker._sweep(now)
        house.worker._sweep(now)
        assert given == [True]
        await house.close()

    run(main())


def test_files_that_run_out(tmp_path: Path) -> None:
    """When no file is left while it serves, a login is answered 503, clients that are connected are served, and all is well again
    when there are files.
    """
    text = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: http://127.0.0.1:9/\nreload: off\n"
    with service_process(tmp_path, config=text) as service, contextlib.ExitStack() as stack:
        port = int(json.loads(service.line_with('"listening"'))["addresses"][0].rpartition(":")[2])

        def ask(method: str, path: str, body: str | None = None) -> http.client.HTTPConnection:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            stack.callback(client.close)
            client.request(method, path, body=body)
            return client

        connected = ask("GET", "/livez")
        assert connected.getresponse().read()
        pid = service.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(list(Path(f"/proc/{pid}/fd").iterdir())), limits[1]))
        for _ in range(8):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        for _ in range(2):
            connected.request("POST", "/getToken", body="{}")
            answer = connected.getresponse()
            assert (answer.status, bool(answer.read())) == (503, True)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert ask("GET", "/livez").getresponse().status == 200


def test_a_client_that_was_reset_keeps_nobody_from_being_shed(config: Config) -> None:
    """uvloop raises for each use of a transport that was reset and not yet reported: what is held for others is given up all the
    same, and so is that client when it is reported.
    """

    async def main() -> None:
        house = House(config)
        server = house.worker._servers.main

        def gone(*_: object) -> None:
            raise RuntimeError("the handler is closed")

        (reset, dead), (honest, alive) = house.connect(), house.connect()
        for name in ("write", "pause_reading", "resume_reading", "write_eof"):
            setattr(dead, name, gone)
        for number, client in enumerate((reset, honest)):
            body = b"x" * (50_000 - number)
            client.data_received(b"POST /getToken HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + body)
        server.buffers.limit = 10_000
        server.buffers.shed()
        assert server.buffers.total == 0
        assert b"".join(alive.written).startswith(b"HTTP/1.1 503 ")
        house.lose(reset)
        await house.close()

    run(main())
