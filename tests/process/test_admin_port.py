"""The admin port of real services: who answers what where, and that the numbers are right, whichever process is asked."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Final

import jwt
import pytest

from tests.configuring import changed, load_text
from tests.exchange import LOGIN, REPLY, House
from tests.login_api import LoginApi
from tests.process.test_supervisor import workers_of
from tests.running import KEY, PATIENCE_S, PROGRAM, ServiceProcess, clean_environment, run, run_command, service_process
from tests.scrape import Scrape, get, scrape
from tests.service.faulty_remote import turning
from txtoken.demo.configuration import demo_config
from txtoken.process.admin import ADMIN_LIMITS, ADMIN_TIMEOUTS
from txtoken.settings import Config, LogSettings

HEALTH: Final = ("/livez", "/readyz", "/healthz")
OTHER_KEY: Final = "another-key-for-tests-0123456789-abcdefgh"
GOOD, BAD = '{"password":"right"}', '{"password":"wrong"}'


@pytest.fixture
def login_api() -> Iterator[LoginApi]:
    """A login API."""
    api = LoginApi()
    yield api
    api.close()


def text_of(remote: str, workers: int = 1, more: str = "") -> str:
    """Write a configuration."""
    return (
        f"port: 0\nadminPort: 0\nlisten: 127.0.0.1\nworkers: {workers}\nencKey: {KEY}\nremote: {remote}\n"
        f"reload: off\nlog: {{level: debug}}\n{more}"
    )


def ports_of(service: ServiceProcess) -> tuple[int, int]:
    """Wait until the service listens. Returns `port` and `adminPort`."""
    event = json.loads(service.line_with('"listening"'))
    return tuple(int(event[name][0].rpartition(":")[2]) for name in ("addresses", "admin_addresses"))  # type: ignore[return-value]


def token(key: str = KEY, exp: float | None = None) -> str:
    """Make a token."""
    return jwt.encode({"exp": time.time() + 60 if exp is None else exp}, key, "HS256")


def check(port: int, presented: str) -> int:
    """Have a token checked, on a connection of its own."""
    return get(port, "/checkToken", headers={"Authorization": f"Bearer {presented}"})[0]


def log_in(port: int, body: str = GOOD) -> int:
    """Log in, on a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.request("POST", "/getToken", body)
        response = client.getresponse()
        response.read()
        return response.status
    finally:
        client.close()


def scrape_until(port: int, holds: Callable[[Scrape], bool]) -> Scrape:
    """Scrape until something holds: workers tell some of their numbers a few times a second."""
    end = time.monotonic() + PATIENCE_S
    while not holds(found := scrape(port)):
        assert time.monotonic() < end, found.text
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_each_port_has_its_routes(tmp_path: Path, workers: int) -> None:
    """Health and metrics are on the admin port alone, tokens on the other alone, and no access line shows the first."""
    with service_process(tmp_path, config=text_of("http://127.0.0.1:9/", workers)) as service:
        port, admin = ports_of(service)
        for path in HEALTH:
            assert get(admin, path) == (200, '{"status":"ok"}')
            assert get(port, path)[0] == 404
        assert get(port, "/metrics")[0] == 404
        assert get(admin, "/metrics", "POST")[0] == 405
        assert get(admin, "/metrics", "HEAD") == (200, "")
        for path in ("/checkToken", "/getToken", "/.well-known/jwks.json", "/"):
            assert get(admin, path)[0] == 404
            assert get(admin, path, "POST")[0] == 404
        assert check(port, token()) == 200
        found = scrape(admin)
        assert found.by("status", "txtoken_requests_total", route="other") == {"404": 4}
        service.send(signal.SIGTERM)
        code, output, errors = service.ended()
    assert (code, errors) == (0, "")
    paths = [json.loads(line)["path"] for line in output.splitlines() if '"request"' in line]
    assert sorted(paths) == sorted((*HEALTH, "/metrics", "/checkToken"))


def test_without_an_admin_port(tmp_path: Path) -> None:
    """Health is on the one port that there is, and metrics are nowhere."""
    config = text_of("http://127.0.0.1:9/").replace("adminPort: 0\n", "")
    with service_process(tmp_path, config=config) as service:
        port = service.port
        assert [get(port, path)[0] for path in (*HEALTH, "/metrics")] == [200, 200, 200, 404]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_request_is_counted_once(tmp_path: Path, login_api: LoginApi, workers: int) -> None:
    """Logins and checks, good and bad, are counted exactly, though different workers answer them and the scrapes."""
    with service_process(tmp_path, config=text_of(login_api.url, workers)) as service:
        port, admin = ports_of(service)
        for _ in range(20):
            assert check(port, token()) == 200
            assert check(port, token(OTHER_KEY)) == 401
            assert log_in(port) == 200
        for _ in range(3):
            assert log_in(port, BAD) == 500
            assert check(port, token(exp=1)) == 401
            assert check(port, "") == 401
            assert check(port, "a.b") == 401
        assert log_in(port, "no JSON") == 400
        assert get(port, "/getToken")[0] == 405
        sums = "txtoken_request_duration_seconds_sum"
        scrape_until(admin, lambda now: now.value(sums, route="get_token") > 0)
        for _ in range(2 * workers):  # whoever answers
            found = scrape(admin)
            assert found.by("status", "txtoken_requests_total", route="get_token") == {
                "200": 20,
                "500": 3,
                "400": 1,
                "405": 1,
            }
            assert found.by("status", "txtoken_requests_total", route="check_token") == {"200": 20, "401": 29}
            assert found.value("txtoken_request_duration_seconds_count", route="get_token") == 25
            assert found.value("txtoken_tokens_issued_total") == 20
            assert found.by("result", "txtoken_tokens_checked_total") == {
                "valid": 20,
                "signature": 20,
                "expired": 3,
                "no_token": 3,
                "segments": 3,
            }
            assert found.by("outcome", "txtoken_remote_requests_total") == {"ok": 20, "status": 3}
            assert found.value("txtoken_remote_duration_seconds_count") == 23
            assert found.value(sums, route="get_token") >= found.value("txtoken_remote_duration_seconds_sum") > 0
            assert found.value("txtoken_loop_delay_seconds_count") > 0
            assert found.by("reason", "txtoken_requests_refused_total") == {"bad_body": 1, "method_not_allowed": 1}
            assert found.value("txtoken_workers_ready") == workers
        assert len(found.by("process", "process_open_fds")) == (1 if workers == 1 else workers + 1)


def test_counts_survive_a_worker(tmp_path: Path) -> None:
    """What a killed worker counted is not lost, and the one in its place counts on."""
    with service_process(tmp_path, config=text_of("http://127.0.0.1:9/", 2)) as service:
        port, admin = ports_of(service)
        before: set[int] = set()
        for round_ in (1, 2, 3):
            for _ in range(10):
                assert check(port, token()) == 200
            found = scrape(admin)
            assert found.by("result", "txtoken_tokens_checked_total") == {"valid": 10 * round_}
            assert found.value("txtoken_workers_replaced_total") == round_ - 1
            before.add(victim := workers_of(service)[0])
            os.kill(victim, signal.SIGKILL)
            service.line_with("by signal 9")
            service.line_with('"worker ready"')
            found = scrape_until(admin, lambda now: now.value("txtoken_workers_ready") == 2)
            assert len(found.by("process", "process_open_fds")) == 3
        assert get(admin, "/readyz")[0] == 200
        assert not before & set(workers_of(service))


def test_the_remote_fails(tmp_path: Path, login_api: LoginApi) -> None:
    """Refused, late, overloaded and given up: each is counted as what it is, and what is so meanwhile can be seen."""
    more = "limits: {remoteConnections: 1, waiting: 1}\ntimeouts: {remote: 500ms}\n"
    with service_process(tmp_path, config=text_of(login_api.url, 1, more)) as service:
        port, admin = ports_of(service)
        login_api.gate.clear()
        begun = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) for _ in range(2)]
        request = b"POST /getToken HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        begun[0].sendall(request)
        assert login_api.arrived.acquire(timeout=PATIENCE_S)
        begun[1].sendall(request)
        found = scrape_until(admin, lambda now: now.value("txtoken_requests_waiting") == 1)
        assert found.value("txtoken_requests_in_flight") == 2
        assert found.value("txtoken_connections_open") == 2
        assert found.by("state", "txtoken_remote_connections") == {"busy": 1}
        assert log_in(port) == 503
        begun[1].close()
        assert begun[0].recv(1000).startswith(b"HTTP/1.1 500 ")
        begun[0].close()
        found = scrape_until(admin, lambda now: now.value("txtoken_remote_requests_total", outcome="given_up") == 1)
        assert found.by("outcome", "txtoken_remote_requests_total") == {"timeout": 1, "overloaded": 1, "given_up": 1}
        assert found.by("kind", "txtoken_limits_hit_total") == {"overloaded": 1}
        assert found.value("txtoken_remote_duration_seconds_count") == 1
        login_api.gate.set()
        (tmp_path / "example_cfg.yml").write_text(text_of("http://127.0.0.1:9/", 1, more))
        service.send(signal.SIGHUP)
        service.line_with("is reloaded")
        scrape_until(admin, lambda now: now.value("txtoken_config_reloads_total", result="success") == 1)
        assert log_in(port) == 500
        assert scrape(admin).by("reason", "txtoken_remote_failures_total", outcome="unreachable") == {"refused": 1}
        assert scrape(admin).by("state", "txtoken_remote_connections") == {}


def test_limits_that_are_met(tmp_path: Path) -> None:
    """Clients that send too much, too slowly, or are too many are counted by the limit that they met."""
    more = "limits: {bodyBytes: 10, headerCount: 10, connections: 1}\ntimeouts: {head: 50ms, body: 50ms}\n"
    start = b"POST /checkToken HTTP/1.1\r\nHost: x\r\n"
    requests = {
        "body_too_large": start + b"Content-Length: 11\r\n\r\n",
        "too_many_fields": start + b"A: b\r\n" * 20 + b"\r\n",
        "uri_too_long": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "head_timeout": b"GET /",
        "body_timeout": start + b"Content-Length: 10\r\n\r\n{",
    }
    with service_process(tmp_path, config=text_of("http://127.0.0.1:9/", 1, more)) as service:
        port, admin = ports_of(service)
        for request in requests.values():
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
                client.sendall(request)
                assert client.recv(1000).startswith(b"HTTP/1.1 4")
        scrape_until(admin, lambda now: now.value("txtoken_connections_open") == 0)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S),
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S),
        ):
            found = scrape_until(admin, lambda now: now.value("txtoken_limits_hit_total", kind="connections") == 1)
        assert found.by("kind", "txtoken_limits_hit_total") == dict.fromkeys((*requests, "connections"), 1)
        assert found.value("txtoken_limit", kind="connections") == 1


def test_hits_of_the_cache(tmp_path: Path) -> None:
    """A token is remembered with its second check, so the third one finds it; a reload loses no count."""
    config = text_of("http://127.0.0.1:9/")
    with service_process(tmp_path, config=config) as service:
        port, admin = ports_of(service)
        presented = token()
        for _ in range(5):
            assert check(port, presented) == 200
        assert scrape(admin).value("txtoken_token_cache_hits_total") == 3
        assert check(port, presented) == 200
        (tmp_path / "example_cfg.yml").write_text(config.replace(KEY, OTHER_KEY))
        service.send(signal.SIGHUP)
        service.line_with("is reloaded")
        found = scrape_until(admin, lambda now: now.value("txtoken_config_reloads_total", result="success") == 1)
        assert check(port, presented) == 401
        assert found.value("txtoken_token_cache_hits_total") == 4
        started = found.value("process_start_time_seconds", process="worker_0")
        assert found.value("txtoken_signing_key_loaded_timestamp_seconds") > started


@pytest.mark.parametrize("workers", [1, 2])
def test_reloads(tmp_path: Path, workers: int) -> None:
    """A reload that fails is counted and seen until one succeeds, and new paths are counted as the routes they are."""
    config = text_of("http://127.0.0.1:9/", workers)
    file = tmp_path / "example_cfg.yml"
    with service_process(tmp_path, config=config) as service:
        port, admin = ports_of(service)
        first = scrape(admin)
        file.write_text(config.replace("port: 0", "port: many"))
        service.send(signal.SIGHUP)
        service.line_with("is rejected")
        found = scrape_until(admin, lambda now: now.value("txtoken_config_last_reload_successful") == 0)
        assert found.by("result", "txtoken_config_reloads_total") == {"failure": 1}
        name = "txtoken_config_last_reload_success_timestamp_seconds"
        assert found.value(name) == first.value(name)
        file.write_text(config + "checkTokenRoute: /look\n")
        service.send(signal.SIGHUP)
        for _ in range(workers if workers > 1 else 0):
            service.line_with("another configuration is in use")
        found = scrape_until(admin, lambda now: now.value("txtoken_config_last_reload_successful") == 1)
        assert found.by("result", "txtoken_config_reloads_total") == {"failure": 1, "success": 1}
        assert found.value(name) > first.value(name)
        loaded = "txtoken_signing_key_loaded_timestamp_seconds"
        assert found.value(loaded) == first.value(loaded)
        assert get(port, "/look", headers={"Authorization": f"Bearer {token()}"})[0] == 200
        assert scrape(admin).by("status", "txtoken_requests_total", route="check_token") == {"200": 1}


@pytest.mark.parametrize("workers", [1, 2])
def test_draining_is_seen(tmp_path: Path, login_api: LoginApi, workers: int) -> None:
    """While the last logins run, the admin port says that the service is not ready and still shows its numbers."""
    with service_process(tmp_path, config=text_of(login_api.url, workers)) as service:
        port, admin = ports_of(service)
        login_api.gate.clear()
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as begun:
            begun.sendall(b'POST /getToken HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{"password":"right"}')
            assert login_api.arrived.acquire(timeout=PATIENCE_S)
            service.send(signal.SIGTERM)
            service.line_with('"draining"')
            end = time.monotonic() + PATIENCE_S
            while get(admin, "/readyz")[0] == 200:
                assert time.monotonic() < end
            assert get(admin, "/readyz") == (503, '{"status":"not ready"}')
            assert get(admin, "/livez")[0] == 200
            found = scrape_until(admin, lambda now: now.value("txtoken_workers_ready") == 0)
            assert found.value("txtoken_requests_in_flight") == 1
            with socket.create_connection(
                ("127.0.0.1", admin), timeout=PATIENCE_S
            ) as scraper:  # as Prometheus keeps one
                scraper.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                assert scraper.recv(1000).startswith(b"HTTP/1.1 200 ")
                login_api.gate.set()
                assert begun.recv(1000).startswith(b"HTTP/1.1 200 ")
                code, _, errors = service.ended()
    assert (code, errors) == (0, "")
    with pytest.raises(ConnectionRefusedError):
        get(admin, "/livez")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_in_use(tmp_path: Path, workers: int) -> None:
    """An admin port that somebody else has ends the service with 1 and says which it is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = text_of("http://127.0.0.1:9/", workers).replace("adminPort: 0", f"adminPort: {port}")
        with service_process(tmp_path, config=config) as service:
            code, _, errors = service.ended()
    assert code == 1
    assert f":{port}: the port is in use" in errors
    assert "adminPort" in errors


def test_health_asks_the_admin_port(tmp_path: Path) -> None:
    """`txtoken health` asks where health is."""
    config = text_of("http://127.0.0.1:9/")
    with service_process(tmp_path, config=config) as service:
        port, admin = ports_of(service)
        for asked, code in ((admin, 0), (port, 1)):
            done = run_command(tmp_path, "health", "--set", f"adminPort={asked}", capture_output=True, text=True)
            assert (done.returncode, f"127.0.0.1:{asked}: " in done.stdout) == (code, True), done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_keys_are_seen(tmp_path: Path, login_api: LoginApi, workers: int) -> None:
    """The keys of a keyset are shown, tokens that end with them are counted, and after a reload it is the new keyset's turn."""
    now = int(time.time())

    def keyset(until: int, more: str = "") -> str:
        shown = datetime.fromtimestamp(until, UTC).isoformat()
        first = f"{{alg: HS256, kid: one, secret: {KEY}, from: '2024-01-01T00:00:00Z', until: '{shown}'}}"
        return text_of(login_api.url, workers, f"expHours: 96\nkeys: [{first}{more}]\n").replace(f"encKey: {KEY}\n", "")

    file = tmp_path / "example_cfg.yml"
    with service_process(tmp_path, config=keyset(now + 3 * 86400)) as service:
        port, admin = ports_of(service)
        assert log_in(port) == 200
        old = jwt.encode({"exp": 1}, KEY, "HS256", headers={"kid": "one"})
        assert check(port, old) == 401
        found = scrape_until(admin, lambda now: now.value("txtoken_tokens_cut_total") == 1)
        assert found.value("txtoken_signing_key_present") == 1
        assert found.value("txtoken_signing_key_age_seconds") > 365 * 86400
        assert found.value("txtoken_signing_key_end_timestamp_seconds") == now + 3 * 86400
        assert found.value("txtoken_keys_end_timestamp_seconds") == now + 3 * 86400
        assert 2 * 86400 < found.value("txtoken_signing_key_next_switch_seconds") <= 3 * 86400
        assert (found.value("txtoken_keys_verifying"), found.value("txtoken_keys_published")) == (1, 0)
        scrape_until(
            admin, lambda now: now.by("key", "txtoken_tokens_refused_total", reason="expired") == {"signing": 1}
        )
        file.write_text(keyset(now + 5 * 86400, f", {{alg: HS256, kid: two, secret: {OTHER_KEY}}}"))
        service.send(signal.SIGHUP)
        for _ in range(workers if workers > 1 else 0):
            service.line_with("another configuration is in use")
        found = scrape_until(admin, lambda now: now.value("txtoken_keys_verifying") == 2)
        assert found.value("txtoken_keys_end_timestamp_seconds") == inf
        assert log_in(port) == 200
        assert scrape(admin).value("txtoken_tokens_cut_total") == 1


def test_nothing_is_told_twice() -> None:
    """What is counted elsewhere comes to the numbers once, however often they are published, and is not lost with its counter."""

    async def main() -> Scrape:
        config = demo_config(0, "http://127.0.0.1:9/login", LogSettings(access=False))
        house = House(changed(config, process__admin_port=0))
        worker = house.worker
        worker._writer.dropped = 2
        worker._app.verifier.memory.hits, worker._app.remote.cancelled, worker._servers.main.places.deferred = (
            3,
            4,
            5,
        )
        worker._servers.main.places.handshakes_failed = 6
        worker._app.verifier.refused, worker._app.counts.cut.count = {("expired", "old"): 7}, 8
        cut = worker._app.counts.cut
        worker.take_over(
            changed(config, process__admin_port=0, remote__url="http://127.0.0.1:9/other", check__response="claims")
        )
        worker._app._retired[0].cancelled = 1  # by a login that had begun before
        cut.count += 1  # by another one
        for _ in range(3):
            worker._sweep(0.0)
        assert not worker._app._retired
        worker._writer.dropped = 3
        worker._publish()
        assert worker.admin is not None
        found = Scrape(worker.admin._show().decode())
        worker._writer.dropped = 0
        await house.close()
        return found

    found = run(main())
    assert found.value("txtoken_log_lines_dropped_total") == 3
    assert found.value("txtoken_token_cache_hits_total") == 3
    assert found.value("txtoken_remote_requests_total", outcome="given_up") == 5
    assert found.value("txtoken_limits_hit_total", kind="connections") == 5
    assert found.value("txtoken_tls_handshake_failures_total") == 6
    assert found.by("key", "txtoken_tokens_refused_total", reason="expired") == {"old": 7}
    assert found.value("txtoken_tokens_cut_total") == 9


def test_keys_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of keys, the age of the one that signs, the next switch, the end, tokens that are cut and revocations, of a
    keyset as it changes with time and with a reload. A login that began before the reload is counted too.
    """
    start = 2_000_000_000
    now = float(start)
    monkeypatch.setattr(time, "time", lambda: now)
    revoked = tmp_path / "revoked.txt"
    revoked.write_text("kid c\n")

    def keyset(*until: int) -> Config:
        keys = "".join(
            f"  - {{alg: HS256, kid: {kid}, secret: '{KEY}-{kid}', from: '{utc(begins)}', until: '{utc(end)}'}}\n"
            for kid, begins, end in zip(
                "abc", (start - 500, start + 1000, start - 900), (*until, start + 9000), strict=False
            )
        )
        return load_text(
            tmp_path,
            f"port: 0\nadminPort: 0\nlisten: 127.0.0.1\nremote: http://127.0.0.1:9/\nexpHours: 0.1\nreload: off\n"
            f"requestKey: {OTHER_KEY}\nrevocations: {revoked}\nkeys:\n{keys}",
        )

    async def main() -> None:
        nonlocal now
        house = House(keyset(start + 2000, start + 3000))
        worker = house.worker

        def seen() -> Scrape:
            worker._surroundings.clock.tick()
            worker._sweep(0.0)
            assert worker.admin is not None
            return Scrape(worker.admin._show().decode())

        def moments() -> list[float]:
            found = seen()
            names = ("signing_key_age_seconds", "signing_key_next_switch_seconds", "keys_end_timestamp_seconds")
            return [found.value(f"txtoken_{name}") for name in names]

        def count() -> tuple[float, float]:
            found = seen()
            return found.value("txtoken_signing_key_present"), found.value("txtoken_keys_verifying")

        assert count() == (1, 2)  # of three the last is revoked
        assert moments() == [500, 1000, start + 3000]
        assert seen().value("txtoken_revocations") == 1
        now = start + 1000
        assert moments() == [0, 2000, start + 3000]
        house.log_in()
        assert seen().value("txtoken_tokens_cut_total") == 0
        now = start + 2700  # 300 s before the end of all keys, and tokens live for 360
        assert count() == (1, 1)
        house.log_in()
        assert seen().value("txtoken_tokens_cut_total") == 1
        house.client.data_received(LOGIN)
        worker.take_over(keyset(start + 2000, start + 2900))
        house.remote.data_received(REPLY)
        assert seen().value("txtoken_tokens_cut_total") == 2
        assert moments() == [1700, 200, start + 2900]
        now = start + 2900
        found = seen()
        assert count() == (0, 0)
        assert "txtoken_signing_key_age_seconds" not in found.types
        assert found.value("txtoken_revocations_last_read_successful") == 1
        revoked.write_text("nonsense\n")
        worker.read_revocations_again()
        await turning(lambda: seen().value("txtoken_revocations_last_read_successful") == 0)
        assert seen().value("txtoken_revocations") == 1
        revoked.write_text("kid c\nkid a\n")
        worker.read_revocations_again()
        await turning(lambda: seen().value("txtoken_revocations") == 2)
        assert seen().value("txtoken_revocations_last_read_successful") == 1
        await house.close()

    run(main())


def utc(moment: int) -> str:
    """Write Unix time as a configuration has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def test_silent_connections_keep_nobody_waiting(tmp_path: Path) -> None:
    """With both ports full of silent connections a probe of either is answered within a second, and a client too."""
    text = text_of("http://127.0.0.1:9/", more="limits: {connections: 50}\n")
    with service_process(tmp_path, config=text) as service, contextlib.ExitStack() as stack:
        port, admin = ports_of(service)
        for filled in (port, admin):
            for _ in range(120):
                stack.enter_context(socket.create_connection(("127.0.0.1", filled))).sendall(b"G")
        for _ in range(3):
            begin = time.monotonic()
            assert get(admin, "/readyz")[0] == 200
            assert check(port, token()) == 200
            assert time.monotonic() - begin < 1
        assert scrape(admin).value("txtoken_limits_hit_total", kind="connections") >= 70


def test_silent_connections_to_the_admin_port_end_soon() -> None:
    """The admin port's timeouts are its own, and short; its places are not the clients'."""
    assert (ADMIN_TIMEOUTS.head, ADMIN_TIMEOUTS.body, ADMIN_TIMEOUTS.idle) == (5, 5, 5)
    assert ADMIN_LIMITS.connections < 64


def test_what_is_held_too_much_is_seen(tmp_path: Path) -> None:
    """Clients that were given up for `limits.bufferedBytes` are a kind of limit that was hit, and one line in the log."""
    text = text_of("http://127.0.0.1:9/", more="limits: {bufferedBytes: 1MiB, bodyBytes: 1MiB}\n")
    with service_process(tmp_path, config=text) as service, contextlib.ExitStack() as stack:
        port, admin = ports_of(service)
        part = b"POST /getToken HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + 300_000 * b"x"
        greedy = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(5)]
        for sock in greedy:
            sock.sendall(part)
        line = json.loads(service.line_with("limits.bufferedBytes is reached"))
        assert (line["level"], line["limit"], line["clients"]) == ("warning", 1 << 20, 1)
        scrape_until(admin, lambda now: now.value("txtoken_limits_hit_total", kind="buffered_bytes") >= 1)
        assert check(port, token()) == 200


def test_lines_that_are_dropped(tmp_path: Path) -> None:
    """Lines of the log that cannot be written are counted, and the service goes on."""
    listening = socket.create_server(("127.0.0.1", 0))
    admin = listening.getsockname()[1]
    listening.close()
    (tmp_path / "example_cfg.yml").write_text(
        text_of("http://127.0.0.1:9/").replace("adminPort: 0", f"adminPort: {admin}")
    )
    with open("/dev/full", "wb") as full:
        service = subprocess.Popen(
            PROGRAM,
            stdout=full,
            cwd=tmp_path,
            env=clean_environment(),
        )
        try:
            end = time.monotonic() + PATIENCE_S
            while True:
                try:
                    scrape_until(admin, lambda now: now.value("txtoken_log_lines_dropped_total") > 0)
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < end
        finally:
            service.terminate()
            assert service.wait(PATIENCE_S) == 0
