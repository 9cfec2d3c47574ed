"""Calls from a page in a real browser: what Chromium lets a script read of the service's answers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, service_process

CHROMIUM: Final = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

PAGE: Final = """<!doctype html><pre id="told">not yet</pre><script>
const service = "%s";
async function told(path, options) {
  try {
    const answer = await fetch(service + path, options);
    return [answer.status, Object.keys(await answer.json()).sort(), answer.headers.get("WWW-Authenticate")];
  } catch (error) {
    return error.name;
  }
}
const json = {"Content-Type": "application/json"};
const login = (password, options) =>
  told("/getToken", {method: "POST", headers: json, body: JSON.stringify({password}), ...options});
(async () => {
  document.getElementById("told").textContent = JSON.stringify({
    right: await login("right"),
    wrong: await login("wrong"),
    broken: await told("/getToken", {method: "POST", headers: json, body: "{"}),
    check: await told("/checkToken", {headers: {Authorization: "Bearer a.b.c"}}),
    nowhere: await told("/nowhere", {}),
    method: await told("/getToken", {}),
    put: await told("/getToken", {method: "PUT"}),
    header: await told("/checkToken", {headers: {"X-Tenant": "a"}}),
    credentials: await login("right", {credentials: "include"}),
  });
})();
</script>"""
NO: Final = "TypeError"  # all that a script learns of an answer that it may not read


@pytest.fixture
def page() -> Iterator[dict[str, str]]:
    """A web server with one page. `service` is to be the URL of what its script calls."""
    settings = {"service": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (PAGE % settings["service"]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        settings["origin"] = f"http://127.0.0.1:{server.server_address[1]}"
        yield settings
        server.shutdown()
        thread.join()


CALLED: Final = {
    "right": [200, ["token"], None],
    "wrong": [401, ["message", "status"], "Bearer"],
    "broken": [400, ["error", "message"], None],
    "check": [401, ["error"], 'Bearer error="invalid_token"'],
    "nowhere": [404, ["error"], None],
    "method": [405, ["error"], None],
    "put": NO,
    "header": NO,
}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("cors: {origins: ORIGIN}", {**CALLED, "credentials": NO}),
        ("cors: {origins: ORIGIN, credentials: true}", {**CALLED, "credentials": CALLED["right"]}),
        ("cors: {origins: '*'}", {**CALLED, "credentials": NO}),
        ("cors: {origins: https://app.example.com}", dict.fromkeys((*CALLED, "credentials"), NO)),
        ("", dict.fromkeys((*CALLED, "credentials"), NO)),
    ],
)
def test_a_page(tmp_path: Path, page: dict[str, str], settings: str, expected: dict[str, object]) -> None:
    """A page of an origin that is allowed reads tokens and errors; one that is not reads nothing."""
    api = LoginApi()
    settings = settings.replace("ORIGIN", page["origin"])
    config = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {api.url}\nstatusMap: gateway\n{settings}\n"
    assert CHROMIUM is not None
    try:
        with service_process(tmp_path, "serve", config=config) as process:
            page["service"] = f"http://127.0.0.1:{process.port}"
            command = [
                *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *(f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=20000", "--dump-dom", page["origin"]),
            ]
            done = subprocess.run(command, capture_output=True, timeout=2 * PATIENCE_S, check=True)
    finally:
        api.close()
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert told is not None
    assert json.loads(unescape(told[1])) == expected
