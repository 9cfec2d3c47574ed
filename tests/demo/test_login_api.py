"""The demo's login API alone, as the remote of a service that is configured."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from pathlib import Path

import jwt
import pytest

from tests.running import KEY, PATIENCE_S, service_process


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::1"])  # noqa: S104 - it is what a container listens on
def test_the_demos_login_api_alone(tmp_path: Path, address: str) -> None:
    """`demo --login-only` is a remote for a service that is configured, on the address that was asked for."""
    with service_process(tmp_path, "demo", "--login-port", "0", "--login-only", *filter(None, [address])) as demo:
        url = demo.line_with("login API is at").split(" is at ")[1].split(". ")[0]
        assert url.startswith(f"http://{f'[{address}]' if ':' in address else address or '127.0.0.1'}:")
        config = f"encKey: {KEY}\nremote: {url}\nport: 0\nlisten: 127.0.0.1\n"
        with service_process(tmp_path, "serve", config=config) as process:
            client = http.client.HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_S)
            client.request("POST", "/getToken", b'{"user":"ada","password":"engine"}')
            token = json.loads(client.getresponse().read())["token"]
            client.close()
        assert jwt.decode(token, KEY, ["HS256"])["data"]["name"] == "Ada Lovelace"
        demo.send(signal.SIGTERM)
        code, _, errors = demo.ended()
    assert (code, errors) == (0, "")


def test_the_demos_login_api_where_it_cannot_listen(tmp_path: Path) -> None:
    """A port in use, or an address of another machine, ends the demo with 1 and one line that says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with service_process(tmp_path, "demo", "--login-only", "--login-port", port) as demo:
            code, _, errors = demo.ended()
    assert code == 1
    assert errors == (
        f"txtoken: the demo's login API cannot listen on 127.0.0.1:{port}: the port is in use. "
        "Choose another with --login-port.\n"
    )
    with service_process(tmp_path, "demo", "--login-only", "192.0.2.1", "--login-port", "0") as demo:
        code, _, errors = demo.ended()
    assert code == 1
    assert "on 192.0.2.1:0: Cannot assign requested address" in errors
