"""Sessions from outside (contract §3.6): real processes, one worker and several, with a clock that the test moves."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from tests.http1.loopback import read_answers
from tests.login_api import LoginApi
from tests.process.moved_clock import Line, MovedClock, lines_to
from tests.process.test_admin_port import ports_of, scrape_until
from tests.running import KEY, PATIENCE_S, ServiceProcess, run, service_process
from tests.scrape import Scrape
from tests.serving import configuration, serving

START: Final = 1_800_000_000
HOUR: Final = 3600
SESSIONS: Final = "refresh: {maxSession: 2h, grace: 60}\nexpHours: 1\ncookie: {name: s}\nclaims: {jti: true}\n"
OWN: Final = {"Sec-Fetch-Site": "same-origin"}
both_kinds = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture
def api() -> Iterator[LoginApi]:
    """A remote."""
    api = LoginApi({"id": 42})
    yield api
    api.close()


def config_of(remote: str, text: str = SESSIONS, workers: int = 1) -> str:
    """Write a configuration. A short `remoteIdle` has the workers look at the clock often."""
    return (
        f"port: 0\nlisten: 127.0.0.1\nworkers: {workers}\nencKey: {KEY}\nrequestKey: {KEY[::-1]}\nremote: {remote}\n"
        f"reload: off\nlog: {{level: debug}}\ntimeouts: {{remoteIdle: 100ms}}\n{text}"
    )


@contextlib.contextmanager
def service_of(
    folder: Path, remote: str, workers: int, text: str = SESSIONS
) -> Iterator[tuple[ServiceProcess, MovedClock, list[Line]]]:
    """Start a service, with a connection to each of its workers."""
    clock = MovedClock(folder, START + 0.5)
    config = config_of(remote, text, workers)
    with service_process(folder, config=config, environment=clock.environment) as service:
        lines = lines_to(service, workers)
        yield service, clock, lines
        for line in lines:
            line.close()


def renewed(line: Line, token: str, headers: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Renew a token. Returns status, token or error, and what is set as a cookie."""
    told = {"Authorization": f"Bearer {token}"} if headers is None else headers
    status, fields, body = line.ask("POST", "/refreshToken", headers=told)
    found: dict[str, str] = json.loads(body)
    return status, found.get("token") or found["error"], fields.get("Set-Cookie", "")


def claims_of(token: str) -> dict[str, Any]:
    """Return a token's claims, by PyJWT's judgement of its signature."""
    claims: dict[str, Any] = jwt.decode(token, KEY, ["HS256"], options={"verify_exp": False})
    return claims


def move(clock: MovedClock, lines: list[Line], second: int) -> None:
    """Let it be this second for every worker."""
    clock.set(second + 0.5)
    for line in lines:
        line.wait_for(second)


@both_kinds
def test_a_session_over_all_workers(tmp_path: Path, api: LoginApi, workers: int) -> None:
    """Whichever worker renews a token, it is of the same session, and none of them beyond its end. No two logins share a name."""
    with service_of(tmp_path, api.url, workers) as (_, clock, lines):
        logins = [line.log_in() for line in lines for _ in range(20)]
        assert len({claims_of(token)["sid"] for token in logins}) == len(logins)
        first = claims_of(logins[0])
        assert (first["auth_time"], first["exp"]) == (START, START + HOUR)
        token, ids = logins[0], {first["jti"]}
        for turn in range(1, 13):
            move(clock, lines, START + 590 * turn)
            status, token, cookie = renewed(lines[turn % workers], token)
            assert status == 200, token
            claims = claims_of(token)
            assert claims == first | {"jti": claims["jti"], "exp": START + min(590 * turn + HOUR, 2 * HOUR)}
            assert cookie.startswith(f"s={token}; Path=/; Max-Age={claims['exp'] - START - 590 * turn}; ")
            ids.add(claims["jti"])
        assert len(ids) == 13
        for line in lines:
            assert line.check(token) == (200, "")
        move(clock, lines, START + 2 * HOUR)
        for line in lines:
            assert renewed(line, token)[:2] == (401, "session is over")
            assert line.check(token) == (401, "Token is expired")
            assert renewed(line, logins[1])[:2] == (401, "Token is expired")  # its grace is over, too


@both_kinds
def test_a_reload_that_shortens_sessions(tmp_path: Path, api: LoginApi, workers: int) -> None:
    """A running service takes another `maxSession` over, and ends the sessions that are longer."""
    with service_of(tmp_path, api.url, workers) as (service, clock, lines):
        token = lines[0].log_in()
        move(clock, lines, START + 1900)
        for line in lines:
            assert renewed(line, token)[0] == 200
        (tmp_path / "example_cfg.yml").write_text(
            config_of(api.url, SESSIONS.replace("maxSession: 2h", "maxSession: 30m"), workers)
        )
        service.send(signal.SIGHUP)
        if workers == 1:
            service.line_with("the configuration is reloaded")
        for _ in range(workers if workers > 1 else 0):
            service.line_with('"another configuration is in use"')
        for line in lines:
            assert renewed(line, token)[:2] == (401, "session is over")
            assert claims_of(line.log_in())["exp"] == START + 1900 + 1800


def test_the_remote_that_is_asked(tmp_path: Path, api: LoginApi) -> None:
    """A renewal asks the remote of its own, whose answer decides; a user who was locked out meanwhile gets no token."""
    users = LoginApi({"id": 43})
    try:
        text = SESSIONS + "statusMap: gateway\n"
        with service_of(tmp_path, api.url, 1, text.replace("grace: 60", f"remote: '{users.url}'")) as (_, _, lines):
            (line,) = lines
            token = line.log_in()
            status, following, _ = renewed(line, token)
            assert (status, claims_of(following)) == (
                200,
                claims_of(token) | {"data": {"id": 43}, "jti": claims_of(following)["jti"]},
            )
            assert [len(remote.bearers) for remote in (api, users)] == [1, 1]
    finally:
        users.close()
    locked = LoginApi()  # which takes only those who know a password
    try:
        folder = tmp_path / "second"
        folder.mkdir()
        with service_of(folder, api.url, 1, text.replace("grace: 60", f"remote: '{locked.url}'")) as (_, _, lines):
            (line,) = lines
            status, _, body = line.ask("POST", "/refreshToken", headers={"Authorization": f"Bearer {line.log_in()}"})
            assert (status, json.loads(body)) == (401, {"message": "Remote post status failure.", "status": 401})
    finally:
        locked.close()


# Metrics and log


def test_what_is_counted(tmp_path: Path, api: LoginApi) -> None:
    """Renewals, ends and refusals are counted by route and reason, and renewals that asked the remote among its requests."""
    text = (
        SESSIONS.replace("grace: 60", f"remote: '{api.url}'").replace("expHours: 1", "expHours: 3") + "adminPort: 0\n"
    )
    # Connections to the remote are to stay as long as the test does.
    config = config_of(api.url, text).replace("timeouts: {remoteIdle: 100ms}\n", "")
    with service_process(tmp_path, config=config) as service:
        port, admin = ports_of(service)
        (listening,) = [json.loads(line) for line in service.lines if '"listening"' in line]
        assert listening["token_hours"] == 2  # as long as a session
        _, token, _ = post(port, "/getToken", {}, "{}")
        for _ in range(3):
            assert post(port, "/refreshToken", {"Authorization": f"Bearer {token}"})[0] == 200
        old = jwt.encode({"exp": 4_000_000_000, "auth_time": 5}, KEY, "HS256")
        bare = jwt.encode({"exp": 4_000_000_000}, KEY, "HS256")
        for wrong in (old, bare, ""):
            assert post(port, "/refreshToken", {"Authorization": f"Bearer {wrong}"})[0] == 401
        assert post(port, "/refreshToken/end", OWN)[0] == 204
        assert post(port, "/refreshToken/end", {})[0] == 403
        found: Scrape = scrape_until(
            admin,
            lambda now: (
                now.by("status", "txtoken_requests_total", route="refresh_end") == {"204": 1, "403": 1}
                and now.by("outcome", "txtoken_remote_requests_total") == {"ok": 4}
            ),
        )
        assert found.by("status", "txtoken_requests_total", route="refresh") == {"200": 3, "401": 3}
        assert found.by("result", "txtoken_tokens_checked_total") == {
            "session_over": 1,
            "no_auth_time": 1,
            "no_token": 1,
        }
        assert found.by("reason", "txtoken_requests_refused_total") == {"foreign_site": 1}
        assert found.value("txtoken_tokens_issued_total") == 4
        assert found.value("txtoken_remote_duration_seconds_count") == 4
        assert found.value("txtoken_limit", kind="remote_connections") == 2 * 256
        assert found.value("txtoken_limit", kind="waiting") == 2 * 1024
        assert found.by("state", "txtoken_remote_connections") == {"idle": 2}
        service.send(signal.SIGTERM)
        _, output, _ = service.ended()
    lines = [json.loads(line) for line in output.splitlines() if '"request"' in line]
    assert token not in output
    assert {(line["path"], line["status"]) for line in lines if "refresh" in line["path"]} == {
        ("/refreshToken", 200),
        ("/refreshToken", 401),
        ("/refreshToken/end", 204),
        ("/refreshToken/end", 403),
    }


def post(port: int, path: str, headers: Mapping[str, str], body: str = "") -> tuple[int, str, Mapping[str, str]]:
    """POST on a connection of its own. Returns status, the token if there is one, and the header fields."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.request("POST", path, body, dict(headers))
        answer = client.getresponse()
        text = answer.read()
        return answer.status, json.loads(text or b"{}").get("token", ""), dict(answer.getheaders())
    finally:
        client.close()


# The wire


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_nothing_follows_a_204(tmp_path: Path, api: LoginApi, version: str) -> None:
    """The end of a session has no body and no length, and the connection goes on with the next answer (RFC 9110 §8.6)."""
    config = config_of(api.url, SESSIONS)
    with (
        service_process(tmp_path, config=config) as service,
        socket.create_connection(("127.0.0.1", service.port), PATIENCE_S) as client,
    ):
        same_site = "Sec-Fetch-Site: same-origin"
        end = f"POST /refreshToken/end HTTP/{version}\r\nHost: a\r\n{same_site}\r\nConnection: keep-alive\r\n"
        client.sendall(f"{end}Content-Length: 2\r\n\r\n{{}}".encode() * 2)
        client.sendall(
            f"POST /checkToken HTTP/{version}\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
        )
        received = b""
        while piece := client.recv(65_536):
            received += piece
    answers, _, rest = read_answers(received, ["POST"] * 3)
    assert [answer.status for answer in answers] == [204, 204, 401]
    assert rest == b""
    assert b"content-length" not in answers[0].fields
    assert received.split(b"\r\n\r\n")[0].count(b"\r\n") == len(answers[0].fields)


def test_a_pipeline_of_renewals(tmp_path: Path, api: LoginApi) -> None:
    """Renewals, which wait for the remote, and what waits for nothing are answered in their order."""
    config = configuration(tmp_path, f"refresh: {{remote: '{api.url}'}}\nrequestKey: {KEY[::-1]}\n", api.url)

    async def main() -> None:
        async with serving(config) as served:
            token = json.loads((await served.ask("POST", "/getToken", body=b"{}")).body)["token"]
            client = await served.client()
            renewal = f"POST /refreshToken HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\nContent-Length: 0\r\n\r\n"
            check = renewal.replace("POST /refreshToken", "GET /checkToken")
            await client.send((renewal + check + renewal.replace(token, "x") + renewal).encode())
            answers = await client.answers(4)
            assert [answer.status for answer in answers] == [200, 200, 401, 200]
            assert [next(iter(json.loads(answer.body))) for answer in answers] == ["token", "Raw", "error", "token"]

    run(main())
