"""The running service as issuer: its tokens, its JWKS, and a rotation by a reload. Knows no verifier.

Most bad tokens are its own too: of services with the same key whose claims are others, or whose clock is wrong. What no service
can be made to sign, such as a token without `exp`, is made of a good one of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jwt
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.login_api import LoginApi
from tests.running import PATIENCE_S, run_first, service_process
from tests.verifying.issuer import AUDIENCE, HOUR_S, ISSUER, SUBJECT, Kind, SigningKey, forged
from tests.verifying.publisher import CACHE_CONTROL, CONTENT_TYPE, JWKS_PATH

CLAIMS: Final[Mapping[str, Any]] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "/id", "iat": True}
# How a service has to be that signs such a token: its claims (None: without that one), and by how much its clock is ahead.
OTHERS: Final[Mapping[Kind, tuple[Mapping[str, Any], int]]] = {
    Kind.AUDIENCES: ({"aud": ["other", AUDIENCE]}, 0),
    Kind.EXPIRED: ({}, -2 * HOUR_S),
    Kind.NOT_YET: ({"nbf": True, "iat": None}, HOUR_S // 2),
    Kind.OTHER_ISSUER: ({"iss": "https://login.other.example"}, 0),
    Kind.LONGER_ISSUER: ({"iss": ISSUER + "/"}, 0),
    Kind.NO_ISSUER: ({"iss": None}, 0),
    Kind.OTHER_AUDIENCE: ({"aud": "other"}, 0),
    Kind.NO_AUDIENCE: ({"aud": None}, 0),
    Kind.NO_SUBJECT: ({"sub": None}, 0),
}
SWITCH_S: Final = 20  # from when the next key is published until it signs: less than `Issuer.rotate`'s caller waits


class Service:
    """A service that signs with keys in files."""

    def __init__(self, folder: Path, remote: str, *, ahead_s: int = 0) -> None:
        self._remote = remote
        self._config = folder / "example_cfg.yml"
        self._folder = folder
        self._ahead_s = ahead_s
        self._exits = contextlib.ExitStack()

    def start(self, keys: list[dict[str, str]], claims: Mapping[str, Any]) -> None:
        """Begin to serve."""
        self._write(keys, claims)
        environment = {}
        if self._ahead_s:
            code = f"import time\nnow = time.time\ntime.time = lambda: now() + {self._ahead_s}\n"
            environment = run_first(self._folder, code)
        self._process = self._exits.enter_context(service_process(self._folder, environment=environment))
        self._port = self._process.port

    def take_over(self, keys: list[dict[str, str]], claims: Mapping[str, Any]) -> None:
        """Serve with other keys, or claims."""
        self._write(keys, claims)
        self._process.send(signal.SIGHUP)
        self._process.line_with("the configuration is reloaded")

    def _write(self, keys: list[dict[str, str]], claims: Mapping[str, Any]) -> None:
        config = {
            "port": 0,
            "listen": "127.0.0.1",
            "reload": "off",
            "log": {"access": False},
            "remote": self._remote,
            "expHours": 1,
            "keys": keys,
            "claims": {name: value for name, value in claims.items() if value is not None},
        }
        new = self._config.with_suffix(".new")
        new.write_text(yaml.safe_dump(config))
        new.rename(self._config)

    def log_in(self) -> str:
        """Return a token."""
        _, body = self._ask("POST", "/getToken", "{}")
        return str(json.loads(body)["token"])

    def jwks(self) -> tuple[Mapping[str, str], bytes]:
        """Return the header fields and the body of the JWKS."""
        return self._ask("GET", JWKS_PATH)

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[Mapping[str, str], bytes]:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            client.request(method, path, body)
            response = client.getresponse()
            answer = response.read()
            assert response.status == 200, answer
            return dict(response.getheaders()), answer
        finally:
            client.close()

    def close(self) -> None:
        """End it."""
        self._exits.close()


class ServiceIssuer:
    """Has the service sign with one algorithm. `close` it."""

    def __init__(self, algorithm: str, switch_s: int = SWITCH_S) -> None:
        self._switch_s = switch_s
        self._exits = contextlib.ExitStack()
        self._folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory()))
        self._api = LoginApi({"id": int(SUBJECT), "user": "ada"})
        self._exits.callback(self._api.close)
        self._foreign = SigningKey(algorithm)  # which the service does not have
        self.keys: list[SigningKey] = []
        self._entries: list[dict[str, str]] = []
        self._add_key(SigningKey(algorithm))
        self._service = self._serve("service", CLAIMS)
        self._good = self._service.log_in()
        self._others: dict[Kind, str] = {}  # tokens of services that are not as they should be
        for kind, (changed, ahead_s) in OTHERS.items():
            self._others[kind] = self._issued_otherwise({**CLAIMS, **changed}, ahead_s)
        self._others[Kind.BEARER] = self._api.bearers[0].removeprefix("Bearer ")
        self._is_rotated = False

    def _add_key(self, key: SigningKey, begins: float | None = None) -> None:
        path = self._folder / f"{len(self.keys)}.pem"
        path.write_bytes(key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        entry = {"alg": key.algorithm, "keyFile": str(path)}
        if begins is not None:
            entry["from"] = datetime.fromtimestamp(begins, UTC).isoformat()
        self.keys.append(key)
        self._entries.append(entry)

    def _serve(self, name: str, claims: Mapping[str, Any], ahead_s: int = 0) -> Service:
        folder = self._folder / name
        folder.mkdir()
        service = Service(folder, self._api.url, ahead_s=ahead_s)
        self._exits.callback(service.close)
        service.start(self._entries, claims)
        return service

    def _issued_otherwise(self, claims: Mapping[str, Any], ahead_s: int) -> str:
        """Return a token of the service with other claims, or of one with another clock."""
        if ahead_s:
            other = self._serve(f"clock {ahead_s}", claims, ahead_s)
            token = other.log_in()
            other.close()
        else:
            self._service.take_over(self._entries, claims)
            token = self._service.log_in()
            self._service.take_over(self._entries, CLAIMS)
        return token

    def jwks(self) -> bytes:
        """Return the JWKS as the service publishes it now. It has to hold the keys of the files, and no more."""
        fields, body = self._service.jwks()
        assert (fields["Content-Type"], fields["Cache-Control"]) == (CONTENT_TYPE, CACHE_CONTROL)
        assert fields["Access-Control-Allow-Origin"] == "*"
        published = {key["kid"]: key for key in json.loads(body)["keys"]}
        assert published == {key.kid: key.jwk for key in self.keys}
        return body

    def rotate(self) -> None:
        """Publish the next key beside the first, by a reload. It signs a while later."""
        self._good = self._service.log_in()
        assert jwt.get_unverified_header(self._good)["kid"] == self.keys[0].kid
        self._add_key(SigningKey(self.keys[0].algorithm), int(time.time()) + self._switch_s)
        self._service.take_over(self._entries, CLAIMS)
        self._is_rotated = True

    def issue(self, kind: Kind) -> str:
        """Return a token of that kind. After the rotation those of the first key are ones that the service issued before."""
        if kind is Kind.NEXT:
            return self._next()
        if kind in self._others:
            return self._others[kind]
        if kind is Kind.GOOD:
            if not self._is_rotated:
                self._good = self._service.log_in()
            return self._good
        claims = jwt.decode(self._good, options={"verify_signature": False})
        return forged(kind, self.keys[0], self._foreign, jwt.get_unverified_header(self._good), claims)

    def _next(self) -> str:
        deadline = time.monotonic() + self._switch_s + PATIENCE_S
        while jwt.get_unverified_header(token := self._service.log_in())["kid"] != self.keys[1].kid:
            assert time.monotonic() < deadline, "the next key does not sign"
            time.sleep(0.1)
        return token

    def close(self) -> None:
        """End all that was started."""
        self._exits.close()
