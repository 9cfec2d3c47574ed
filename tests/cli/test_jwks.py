"""What `txtoken token verify --jwks` takes: as the service would, but by PyJWT and with public keys alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.cli.terminal import CONFIG, Ran, Terminal
from tests.login_api import QuietServer
from tests.running import run_first
from txtoken.cli.exit_codes import FAILED, OK, USAGE

KEYS: Final[dict[str, Any]] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(65537, 2048),
    "PS256": rsa.generate_private_key(65537, 2048),
}
SECRET: Final = b"a-secret-that-stands-in-a-jwks-0123456789"
CLAIMS: Final = {"data": {"id": 7}, "exp": 4_000_000_000}


def jwk(algorithm: str) -> dict[str, str]:
    """Write a public key as the service publishes it."""
    members: dict[str, str] = jwt.get_algorithm_by_name(algorithm).to_jwk(KEYS[algorithm].public_key(), as_dict=True)
    return {**members, "use": "sig", "alg": algorithm, "kid": algorithm}


OCT: Final = {"kty": "oct", "alg": "HS256", "kid": "oct", "k": base64.urlsafe_b64encode(SECRET).decode().rstrip("=")}
JWKS: Final = {"keys": [*map(jwk, KEYS), OCT]}


def token(algorithm: str, claims: dict[str, object] = CLAIMS, **header: object) -> str:
    """Sign a token that names its key."""
    return jwt.encode(claims, KEYS[algorithm], algorithm, {"kid": algorithm} | header)


def forged(header: dict[str, object], secret: bytes, claims: dict[str, object] = CLAIMS) -> str:
    """Sign with HMAC, whatever the header says."""

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    signing_input = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{signing_input}.{encoded(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"


def verify(terminal: Terminal, text: str, *arguments: str) -> Ran:
    """Verify a token with the JWK Set in a file."""
    terminal.write(json.dumps(JWKS), "jwks.json")
    return terminal.run("token", "verify", "--jwks", "jwks.json", *arguments, "--", text)


@pytest.mark.parametrize("algorithm", KEYS)
def test_good_tokens(terminal: Terminal, algorithm: str) -> None:
    """A token of each algorithm is valid, and its claims are printed as they stand in it. No configuration is needed."""
    (terminal.folder / "example_cfg.yml").unlink()
    claims = {"data": {"big": 123456789012345678901234567890}, "exp": 4_000_000_000}
    assert verify(terminal, token(algorithm, claims)) == Ran(
        OK, '{"data":{"big":123456789012345678901234567890},"exp":4000000000}\n', ""
    )
    ran = verify(terminal, f"Bearer {token(algorithm)}", "--alg", algorithm, "--output", "json")
    assert ran.json == {"valid": True, "claims": CLAIMS}


@pytest.mark.parametrize(
    ("changed", "arguments", "error"),
    [
        ({}, [], None),
        ({"iat": 3_900_000_000}, [], None),
        ({"iss": "login", "aud": ["shop", "api"]}, ["--iss", "login", "--aud", "api"], None),
        ({"iss": "login", "aud": "api"}, ["--iss", "other", "--iss", "login", "--aud", "x", "--aud", "api"], None),
        ({"aud": "shop"}, [], None),
        ({"iss": "login2"}, ["--iss", "login"], "token issuer is invalid"),
        ({"iss": ["login"]}, ["--iss", "login"], "token issuer is invalid"),
        ({}, ["--iss", "login"], "token issuer is invalid"),
        ({"aud": "shop"}, ["--aud", "api"], "token audience is invalid"),
        ({}, ["--aud", "api"], "token audience is invalid"),
        ({"exp": 1}, [], "Token is expired"),
        ({"nbf": 3_900_000_000}, [], "Token is not valid yet"),
        ({"exp": None}, [], "token has no expiry"),
        ({"exp": "4000000000"}, [], "token has no expiry"),
        ({"exp": True}, [], "Token is expired"),
        ({}, ["--alg", "EdDSA"], "signing method (alg) is unavailable."),
        ({}, ["--alg", "EdDSA", "--alg", "ES256"], None),
    ],
)
def test_demands(terminal: Terminal, changed: dict[str, object], arguments: list[str], error: str | None) -> None:
    """`exp` is required; `iss`, `aud` and the algorithm are compared where they are asked for. The texts are the service's."""
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    text = jwt.PyJWS().encode(json.dumps(claims).encode(), KEYS["ES256"], "ES256", {"kid": "ES256", "typ": "JWT"})
    ran = verify(terminal, text, *arguments)
    assert (ran.code, ran.err) == ((OK, "") if error is None else (FAILED, f"not valid: {error}\n"))


PEM: Final = KEYS["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a.b", "token contains an invalid number of segments"),
        ("", "token contains an invalid number of segments"),
        ("a.b.c", "token is malformed"),
        ("é.é.é", "token is malformed"),
        (token("ES256").rpartition(".")[0] + "." + "A" * 86, "signature is invalid"),
        (token("PS256", kid="RS256"), "signing method (alg) is unavailable."),
        (token("ES256", crit=["x"], x=1), "token is malformed"),
        (token("ES256", typ="remote+jwt"), "token audience is invalid"),
        (forged({"alg": "HS256", "kid": "RS256"}, PEM), "signing method (alg) is unavailable."),
        (forged({"alg": "none", "kid": "RS256"}, PEM), "signing method (alg) is unavailable."),
        (forged({"alg": "RS256", "kid": "RS256"}, PEM), "signature is invalid"),
        (forged({"alg": "HS256", "kid": "oct"}, SECRET), "signing key is unknown"),
        (forged({"alg": "HS256"}, b""), "signing key is unknown"),
        (forged({"alg": "HS256", "kid": "\x1b[2J"}, b""), "signing key is unknown"),
        (forged({"alg": "HS256", "kid": 5}, b""), "token is malformed"),
    ],
)
def test_bad_tokens(terminal: Terminal, text: str, error: str) -> None:
    """What is no token of one of the public keys is refused, by HMAC or by none above all; the reason quotes nothing of it."""
    ran = verify(terminal, text)
    assert (ran.code, ran.out) == (FAILED, "")
    known = " (the JWKS holds ES256, EdDSA, RS256, PS256)" if error == "signing key is unknown" else ""
    assert ran.err == f"not valid: {error}{known}\n"


def test_deeply_nested_headers(terminal: Terminal) -> None:
    """A header of a thousand brackets is malformed, and nothing worse."""
    deep = base64.urlsafe_b64encode(b'{"a":' + b"[" * 100_000).decode().rstrip("=")
    assert verify(terminal, f"{deep}.e30.AAAA").err == "not valid: token is malformed\n"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"keys":[]}', '{"keys":5}', '{"keys":[{"kty":"x"}]}', "\0", "[" * 100_000]
)
def test_files_that_are_no_jwks(terminal: Terminal, content: str) -> None:
    """A file that holds no key that can be used is said to be none."""
    terminal.write(content, "keys.json")
    ran = terminal.run("token", "verify", "--jwks", "keys.json", token("ES256"))
    assert ran == Ran(FAILED, "", "txtoken: keys.json is no JWK Set with keys that can be used\n")


def test_files_that_are_not_there(terminal: Terminal) -> None:
    """A file that cannot be read is named."""
    ran = terminal.run("token", "verify", "--jwks", "none.json", "x")
    assert ran == Ran(FAILED, "", "txtoken: none.json does not exist\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--iss", "login"],
        ["--aud", "api"],
        ["--alg", "ES256"],
        ["--jwks", "x", "-c", "example_cfg.yml"],
        ["--jwks", "x", "--set", "port=1"],
    ],
)
def test_wrong_usage(terminal: Terminal, arguments: list[str]) -> None:
    """A JWKS takes the place of the configuration, and neither is mixed with the other."""
    ran = terminal.run("token", "verify", *arguments, token("ES256"))
    assert (ran.code, ran.out) == (USAGE, "")


# By URL


class Publisher(BaseHTTPRequestHandler):
    """Publishes the JWK Set, and what is none."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status = {"/jwks.json": 200, "/html": 200, "/moved": 302}.get(self.path, 404)
        body = b"<p>Hello</p>" if self.path == "/html" else json.dumps(JWKS).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "/jwks.json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.fixture(scope="module")
def published() -> Iterator[str]:
    """The address where keys are published."""
    server = QuietServer(("127.0.0.1", 0), Publisher)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_by_url(terminal: Terminal, published: str) -> None:
    """The keys are fetched once, also for a token whose key is not among them."""
    url = f"{published}/jwks.json"
    Publisher.asked.clear()
    assert terminal.run("token", "verify", "--jwks", url, token("EdDSA")).json == CLAIMS
    ran = terminal.run("token", "verify", "--jwks", url, token("EdDSA", kid="x"))
    assert ran.err == "not valid: signing key is unknown (the JWKS holds ES256, EdDSA, RS256, PS256)\n"
    assert Publisher.asked == ["/jwks.json"] * 2


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/none", "cannot be fetched: the answer is 404"),
        ("/moved", "cannot be fetched: the answer is 302"),
        ("/html", "is no JWK Set with keys that can be used"),
    ],
)
def test_urls_without_a_jwks(terminal: Terminal, published: str, path: str, error: str) -> None:
    """Where no keys are, or only a redirect to them, the reason says so."""
    ran = terminal.run("token", "verify", "--jwks", published + path, token("EdDSA"))
    assert ran == Ran(FAILED, "", f"txtoken: {published}{path} {error}\n")


def test_url_where_nobody_listens(terminal: Terminal) -> None:
    """A publisher that cannot be reached is named with the reason."""
    ran = terminal.run("token", "verify", "--jwks", "http://127.0.0.1:9/jwks.json", token("EdDSA"))
    assert (ran.code, ran.out) == (FAILED, "")
    assert ran.err.startswith("txtoken: http://127.0.0.1:9/jwks.json cannot be fetched: ")


def test_only_verifying_with_a_jwks_loads_pyjwt(tmp_path: Path) -> None:
    """Issuing a token, and verifying it with the configuration, load neither PyJWT nor cryptography."""
    loaded = tmp_path / "loaded"
    code = f"import atexit, sys\natexit.register(lambda: open({str(loaded)!r}, 'w').write(' '.join(sys.modules)))\n"
    (tmp_path / "example_cfg.yml").write_text(CONFIG)
    environment = run_first(tmp_path, code)
    for arguments in (
        ["token", "issue", "{}"],
        ["token", "verify", "x"],
        ["keys", "list"],
        ["keys", "generate", "--help"],
    ):
        command = [sys.executable, "-P", "-m", "txtoken", *arguments]
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=20)
        assert not {"jwt", "cryptography"} & set(loaded.read_text().split()), arguments


def test_without_cryptography(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is missing it is named."""
    monkeypatch.setattr("jwt.api_jwk.has_crypto", False)
    ran = verify(terminal, token("ES256"))
    assert (ran.code, ran.out) == (FAILED, "")
    assert ran.err.startswith("txtoken: a JWKS needs the package cryptography")


def test_clock(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is valid up to the second before its `exp`."""
    now = int(time.time())
    assert verify(terminal, token("EdDSA", {"exp": now + 60})).code == OK
    assert verify(terminal, token("EdDSA", {"exp": now})).code == FAILED
