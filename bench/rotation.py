"""Keys that rotate by themselves, under load: does every token verify everywhere until it expires? Needs wrk and nginx.

Two services with the same secret, one of them with two workers; wrk logs in and checks at both, while a client takes tokens at
one, has them checked at the other until their last second, and verifies them by a JWKS that it caches as long as `max-age` says.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jwt

PORTS: Final = (18_761, 18_762)
REMOTE_PORT: Final = 18_760
EVERY_S: Final = 10
LIFE_S: Final = 30
CONNECTIONS: Final = 32
ISSUER: Final = "https://login.example"
REPLY: Final = '{"id":1815,"user":"ada","roles":["member","author"]}'

NGINX: Final = """daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000;
client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
scgi_temp_path {folder}/s;
server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{reply}'; }} }} }}
"""
# Logs in and checks by turns, each time with the newest token that the thread has seen.
LUA: Final = """
local n, token, bad = 0, nil, 0
request = function()
  n = n + 1
  if token and n % 2 == 0 then return wrk.format("GET", "/checkToken", {Authorization = "Bearer " .. token}) end
  return wrk.format("POST", "/getToken", {["Content-Type"] = "application/json"}, '{"user":"ada","password":"engine"}')
end
response = function(status, headers, body)
  local found = body:match('"token":"([^"]+)"')
  if found then token = found end
end
"""


@dataclass
class Found:
    """What the client has seen."""

    tokens: int = 0
    checks: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    kids: set[str] = field(default_factory=set)


class Cache:
    """A verifier's keys, fetched again only when their `max-age` is over."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetch_at = 0.0
        self.fetches = 0

    def key(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of this name, as far as it is in the cache."""
        if time.monotonic() >= self._fetch_at:
            status, headers, body = ask(self._port, "GET", "/.well-known/jwks.json")
            assert status == 200, status
            max_age = re.search(r"max-age=(\d+)", headers["Cache-Control"])
            assert max_age is not None
            self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(json.loads(body)).keys if key.key_id}
            self._fetch_at = time.monotonic() + int(max_age[1])
            self.fetches += 1
        return self._keys.get(kid)


def ask(
    port: int, method: str, path: str, headers: dict[str, str] | None = None, body: str = ""
) -> tuple[int, Any, bytes]:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def claims_of(token: str) -> dict[str, Any]:
    """Read a token's claims."""
    payload = token.split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(found, dict)
    return found


@contextlib.contextmanager
def running(algorithm: str) -> Iterator[list[int]]:
    """Run remote and services until the end. Gives the services' process ids."""
    processes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "root").write_bytes(base64.b64encode(secrets.token_bytes(32)))
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=REMOTE_PORT, reply=REPLY))
        (folder / "wrk.lua").write_text(LUA)
        processes.append(subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]))
        for port, workers in zip(PORTS, (2, 1), strict=True):
            file = folder / f"{port}.yml"
            file.write_text(
                f"port: {port}\nlisten: 127.0.0.1\nworkers: {workers}\nremote: http://127.0.0.1:{REMOTE_PORT}/login\n"
                f"expHours: {LIFE_S / 3600:.6f}\nlog: {{level: warning, access: false}}\n"
                f"claims: {{iss: '{ISSUER}', sub: /id, iat: true, jti: true}}\n"
                f"keys: {{secretFile: {folder}/root, alg: {algorithm}, every: {EVERY_S}s}}\n"
            )
            processes.append(subprocess.Popen([sys.executable, "-m", "txtoken", "serve", "-c", str(file)]))
        try:
            for port in PORTS:
                wait_for(port)
            os.environ["ROTATION_LUA"] = str(folder / "wrk.lua")
            yield [process.pid for process in processes[1:]]
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(timeout=10)


def wait_for(port: int) -> None:
    """Wait until a service is ready."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ask(port, "GET", "/readyz")[0] == 200:
                return
        time.sleep(0.05)
    raise SystemExit(f"the service on port {port} did not become ready")


def watch(seconds: float, found: Found) -> Cache:
    """Take tokens and have them verified, until the time is over and the last one has expired."""
    cache = Cache(PORTS[1])
    alive: list[tuple[int, str]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or alive:
        if time.monotonic() < end:
            status, _, body = ask(
                PORTS[found.tokens % 2], "POST", "/getToken", {"Content-Type": "application/json"}, "{}"
            )
            if status == 200:
                token = json.loads(body)["token"]
                found.tokens += 1
                alive.append((claims_of(token)["exp"], token))
                verify_by(cache, token, found)
            else:
                found.failures[f"login: {status}"] += 1
        # All that live are checked again and again, the ones that end soon in their last second too.
        alive = [(exp, token) for exp, token in alive if exp > time.time() + 0.2]
        for _, token in [
            *random.sample(alive, min(4, len(alive))),
            *[pair for pair in alive if pair[0] < time.time() + 1.5],
        ]:
            for port in PORTS:
                status, _, body = ask(port, "GET", "/checkToken", {"Authorization": f"Bearer {token}"})
                found.checks += 1
                if status != 200 and claims_of(token)["exp"] > time.time():
                    found.failures[f"check: {json.loads(body)['error']}"] += 1
            verify_by(cache, token, found)
    return cache


def verify_by(cache: Cache, token: str, found: Found) -> None:
    """Verify a token as a consumer does, by its cached keys."""
    kid = jwt.get_unverified_header(token)["kid"]
    found.kids.add(kid)
    key = cache.key(kid)
    if key is None:
        found.failures["JWKS: unknown kid"] += 1
        return
    try:
        jwt.decode(token, key.key, [key.algorithm_name], issuer=ISSUER)
    except jwt.PyJWTError as error:
        if claims_of(token)["exp"] > time.time():
            found.failures[f"JWKS: {type(error).__name__}"] += 1


def main() -> int:
    """Run it. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--alg", default="EdDSA", choices=("EdDSA", "ES256"))
    options = parser.parse_args()
    found = Found()
    with running(options.alg):
        load = [
            subprocess.Popen(
                ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{options.seconds}s", "--latency", "-s", os.environ["ROTATION_LUA"],
                 f"http://127.0.0.1:{port}/"],
                stdout=subprocess.PIPE, text=True,
            )
            for port in PORTS
        ]  # fmt: skip
        cache = watch(options.seconds, found)
        outputs = [process.communicate()[0] for process in load]
    for port, output in zip(PORTS, outputs, strict=True):
        requests = re.search(r"(\d+) requests in", output)
        p99 = re.search(r"99%\s+(\S+)", output)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        errors = re.search(r"Socket errors: (.*)", output)
        print(
            f"wrk at {port}: {requests and requests[1]} requests, p99 {p99 and p99[1]}, refused {bad[1] if bad else 0}"
        )
        if bad is not None or errors is not None or requests is None:
            found.failures[f"wrk: {(bad or errors or [output])[0]}"] += 1
    print(f"tokens {found.tokens}, checks {found.checks}, kids {len(found.kids)}, fetches of the JWKS {cache.fetches}")
    print(f"failures {sum(found.failures.values())} {dict(found.failures) or ''}")
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
