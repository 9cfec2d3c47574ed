"""What each proxy asks by its exported file, seen by an upstream in txtoken's place: nothing that announces what never comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.forward_auth.stage import COOKIE, FRONTS, USER, Front, Protected, Stage, bearer, of
from tests.fronting import HOST

SENT: Final = (
    *("Expect: 100-continue", "TE: trailers", "Range: bytes=0-0", "X-Request-Id: req-7"),
    *("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", f"Cookie: {COOKIE}=x"),
)


@pytest.fixture(scope="module")
def auth() -> Iterator[Protected]:
    """Say 200 to everything, in txtoken's place."""
    protected = Protected()
    yield protected
    protected.close()


@of(*FRONTS)
def test_what_is_asked(stage: Stage, auth: Protected, front: Front) -> None:
    """Every question has its whole token and no body, at the route itself, or below it where the proxy is Envoy."""

    def elsewhere(text: str) -> str:
        """Ask `auth` in place of the service."""
        for port in (8888, 8890):
            text = text.replace(f"{HOST}:{port}", f"127.0.0.1:{auth.port}")
            text = text.replace(
                f'address: "{HOST}", port_value: {port}', f'address: "127.0.0.1", port_value: {auth.port}'
            )
        return text

    line = bearer(user="ada")
    port = stage.start(front, elsewhere, f"asking {front}")
    for method, body in (("GET", None), ("POST", b"x" * 3000), ("HEAD", None), ("OPTIONS", None)):
        count, passed = len(auth.seen), len(stage.protected.seen)
        answer = stage.ask_at(port, method, "/a/../livez?secret=1", line, *SENT, f"{USER}: spoof", body=body)
        assert answer.status == 200
        assert len(stage.protected.seen) == passed + 1
        (asked,) = auth.seen[count:]
        is_envoy = front.program == "envoy"
        expected = {"nginx": "HEAD", "caddy": "GET", "haproxy": "GET"}.get(front.program.partition("-")[0], method)
        assert asked.method == expected
        prefix = "" if HOST in front.section else front.section
        assert asked.target == (f"{prefix}/a/../livez?secret=1" if is_envoy else front.section)
        assert asked.values("authorization") == [line.partition(": ")[2]]
        assert asked.values("cookie") == [f"{COOKIE}=x"]
        assert asked.values("content-length") in ([], ["0"])
        assert asked.body == ""
        assert asked.values("transfer-encoding") == asked.values("upgrade") == []
        if not front.program.startswith("caddy"):  # which hands on what announces nothing; 2.6 this one, too
            assert asked.values("te") == asked.values("expect") == []
        if not front.program.startswith("nginx"):
            assert asked.values(USER) == []
        if is_envoy:
            assert len(asked.values("x-request-id")) == 1  # its own
        else:
            assert asked.values("x-request-id") == ["req-7"]
        # This answer had none of the claim headers, which txtoken never leaves out.
        assert "spoof" not in stage.protected.seen[-1].values(USER)
