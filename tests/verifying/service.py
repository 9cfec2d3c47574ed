"""Tokens and JWKS of a service that runs. What it does not make (broken tokens, those of the past) is made from its keys."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.login_api import LoginApi
from tests.running import ServiceProcess
from tests.verifying.issuer import AUDIENCE, HOUR_S, ISSUER, SUBJECT, Kind, LocalIssuer, SigningKey
from txtoken.config.read import load
from txtoken.service.keys.build import build_ring
from txtoken.service.tokens.issue import new_issuer

NEXT_AFTER_S: Final = 20  # from its publication until the next key signs


class ServiceIssuer(LocalIssuer):
    """A service that signs with keys of one algorithm."""

    def __init__(self, algorithm: str, folder: Path, remote: str) -> None:
        super().__init__(algorithm)
        self._folder = folder
        self._remote = remote
        self._next_from = 0.0
        self._configure()
        self._service = ServiceProcess(["serve", "-c", str(folder / "cfg.yml")], {}, folder)
        self._port = self._service.port

    def _configure(self) -> None:
        entries = []
        for number, key in enumerate(self.keys):
            file = self._folder / f"{number}.pem"
            file.write_bytes(key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            begins = datetime.fromtimestamp(self._next_from, UTC).isoformat(timespec="seconds")
            entries.append(f"{{alg: {key.algorithm}, keyFile: {file}{f', from: {begins}' if number else ''}}}")
        (self._folder / "cfg.yml").write_text(
            f"port: 0\nlisten: 127.0.0.1\nremote: {self._remote}\nlog: {{level: info, access: false}}\nreload: off\n"
            f"claims: {{iss: '{ISSUER}', aud: {AUDIENCE}, sub: /id, iat: true, jti: true}}\n"
            f"keys: [{', '.join(entries)}]\n"
        )

    def jwks(self) -> bytes:
        """Fetch the JWKS from the service."""
        return self._ask("GET", "/.well-known/jwks.json")

    def rotate(self) -> None:
        """Publish the next key, which signs a little later by itself."""
        self.keys.append(SigningKey(self.keys[0].algorithm))
        self._next_from = time.time() + NEXT_AFTER_S
        self._configure()
        self._service.send(signal.SIGHUP)
        self._service.line_with("the configuration is taken over")
        assert len(json.loads(self.jwks())["keys"]) == 2

    def issue(self, kind: Kind) -> str:
        """Log in where the service makes such tokens, else make one from its keys."""
        if kind in (Kind.GOOD, Kind.NEXT):
            return str(json.loads(self._ask("POST", "/getToken", "{}"))["token"])
        if kind is Kind.EXPIRED:
            return self._of_the_past()
        return super().issue(kind)

    def _of_the_past(self) -> str:
        """Make what the service made two hours ago, with a life of one."""
        config = load(str(self._folder / "cfg.yml"), {}, {"expHours": "1"})
        issuer = new_issuer(build_ring(config.keys, HOUR_S), config.issue)
        reply = {"id": SUBJECT}
        return issuer.issue(json.dumps(reply).encode(), int(time.time()) - 2 * HOUR_S, reply).decode()

    def _ask(self, method: str, path: str, body: str = "") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer
            return answer
        finally:
            connection.close()

    def close(self) -> None:
        """End the service."""
        self._service.close()


@contextlib.contextmanager
def service_issuer(algorithm: str) -> Iterator[ServiceIssuer]:
    """Run a login API, and a service in front of it."""
    api = LoginApi({"id": SUBJECT, "user": "ada"})
    try:
        with tempfile.TemporaryDirectory() as folder:
            issuer = ServiceIssuer(algorithm, Path(folder), api.url)
            try:
                yield issuer
            finally:
                issuer.close()
    finally:
        api.close()
