"""Health, and answers that are always the same."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random

import jwt
import pytest

from tests.configuring import load_text
from tests.running import run
from tests.service.faulty_remote import FaultyRemote, good
from tests.service.handlers.desk import lines, request
from tests.service.listener import Listener
from tests.serving import serving
from txtoken.http1.messages import Response, UnloggedResponse, response_head
from txtoken.service.handlers.fixed import Fixed
from txtoken.service.handlers.health import Health
from txtoken.service.keys.derived import YEAR_2020


def test_health() -> None:
    """Health is asked anew each time, 200 or 503, and leaves no access line."""
    state = True
    first, second = Listener(), Listener()
    health = Health(lambda: state)
    health.handle(request(method=b"GET"), first)
    state = False
    health.handle(request(method=b"GET"), second)
    told = first.told + second.told
    assert [response.status for response in told] == [200, 503]
    assert [json.loads(response.body) for response in told] == [{"status": "ok"}, {"status": "not ready"}]
    for response in told:
        assert isinstance(response, UnloggedResponse)
        assert not response.is_logged
        assert b"Cache-Control: no-store" in lines(response)


@pytest.mark.parametrize("algorithm", ["EdDSA", "HS256"])
def test_a_clock_that_was_never_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    """While the clock says earlier than 2020 a service whose keys rotate is not ready, refuses logins without asking the remote,
    and publishes nothing; it lives, and once the clock is set it serves without a restart.
    """
    (tmp_path / "root").write_bytes(Random(2020).randbytes(32))
    now = YEAR_2020 - 3.0
    monkeypatch.setattr(time, "time", lambda: now)

    async def main() -> None:
        nonlocal now
        async with FaultyRemote(good).listening() as faulty:
            keys = f"keys: {{secretFile: {tmp_path}/root, alg: {algorithm}, every: 24h, iss: a}}\njwksRoute: /jwks"
            config = load_text(tmp_path, f"port: 0\nlisten: 127.0.0.1\nremote: {faulty.url}\n{keys}")
            async with serving(config) as served:
                assert (await served.ask("GET", "/readyz")).status == 503
                assert (await served.ask("GET", "/livez")).status == 200
                assert (await served.ask("GET", "/jwks")).status == 404
                refused = await served.ask("POST", "/getToken", body=b"{}")
                assert refused.status == 503
                assert refused.fields[b"retry-after"]
                assert json.loads(refused.body)["message"] == "Can not generate return token"
                assert not faulty.requests
                now = YEAR_2020 + 86_400.0
                while (await served.ask("GET", "/readyz")).status == 503:
                    pass  # until the next beat
                answer = await served.ask("POST", "/getToken", body=b"{}")
                token = json.loads(answer.body)["token"]
                assert jwt.get_unverified_header(token)["kid"].startswith(f"{int(now // 86_400)}-")
                assert (await served.ask("GET", "/checkToken", f"Authorization: {token}")).status == 200
                assert (await served.ask("GET", "/jwks")).status == (404 if algorithm == "HS256" else 200)

    run(main())


def test_fixed() -> None:
    """What is fixed is always the same answer."""
    response = Response(200, response_head(200), b"{}")
    client = Listener()
    Fixed(response).handle(request(), client)
    assert client.told == [response]
