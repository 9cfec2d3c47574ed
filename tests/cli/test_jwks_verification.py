"""`txtoken token verify --jwks`: a token is verified by published keys, from a file and from a server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from jwt.algorithms import ECAlgorithm

from tests.cli.terminal import Ran, Terminal
from tests.login_api import QuietServer
from txtoken.cli.exit_codes import FAILED, OK, USAGE
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.build import CRYPTO_MISSING

LATER: Final = int(time.time()) + 3600
CLAIMS: Final[dict[str, Any]] = {
    "data": {"name": "Ünal", "id": 10**30},
    "exp": LATER,
    "iss": "https://l",
    "aud": "shop",
}


class Server(BaseHTTPRequestHandler):
    """Serves what the test says, at /jwks; and sends elsewhere from /moved."""

    body = b""

    def do_GET(self) -> None:
        self.send_response({"/jwks": 200, "/moved": 302}.get(self.path, 500))
        self.send_header("Content-Type", "application/json")
        self.send_header("Location", "/jwks")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a server of published keys."""
    server = QuietServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def keyset(terminal: Terminal, *algorithms: str) -> dict[str, Any]:
    """Make keys k0, k1…, and their JWK Set, in the file jwks.json and at the server."""
    lines = ""
    for number, algorithm in enumerate(algorithms):
        Path(f"{number}.pem").unlink(missing_ok=True)
        assert terminal.run("keys", "generate", "--alg", algorithm, "--out", f"{number}.pem").code == OK
        lines += f"- {{alg: {algorithm}, keyFile: {number}.pem, kid: k{number}}}\n"
    terminal.write(f"keys:\n{lines}remote: http://h/\n")
    text = terminal.run("keys", "jwks").out
    publish(terminal, text)
    found: dict[str, Any] = json.loads(text)
    return found


def publish(terminal: Terminal, text: str) -> None:
    """Write a JWK Set to the file and to the server."""
    terminal.write(text, "jwks.json")
    Server.body = text.encode()


def signed(
    claims: dict[str, Any] = CLAIMS, kid: str | None = "k0", algorithm: str = "ES256", key: str = "0.pem"
) -> str:
    """Sign a token."""
    return jwt.encode(claims, Path(key).read_text(), algorithm, headers={} if kid is None else {"kid": kid})


def verified(terminal: Terminal, token: str, *arguments: str, jwks: str = "jwks.json") -> Ran:
    """Verify a token by the JWK Set."""
    return terminal.run("token", "verify", "--jwks", jwks, *arguments, stdin=token.encode())


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256"])
def test_tokens_of_the_service(terminal: Terminal, url: str, algorithm: str) -> None:
    """What the service issues is valid for anyone who has its JWK Set alone, from a file as from a server."""
    keyset(terminal, algorithm)
    token = terminal.run("token", "issue", '{"name": "Ünal", "id": 123456789012345678901234567890}').out
    Path("example_cfg.yml").unlink()
    for source in ("jwks.json", f"{url}/jwks"):
        ran = verified(terminal, token, jwks=source)
        assert (ran.code, ran.err) == (OK, "")
        assert ran.json["data"] == {"name": "Ünal", "id": 123456789012345678901234567890}
        assert '"Ünal"' in ran.out
        assert verified(terminal, token, "--output", "json", jwks=source).json == {"valid": True, "claims": ran.json}


def test_issuer_and_audience(terminal: Terminal) -> None:
    """They are looked at where they are given, and not elsewhere."""
    keyset(terminal, "ES256")
    token = signed()
    for arguments, code in (
        ([], OK),
        (["--iss", "https://l", "--aud", "shop"], OK),
        (["--iss", "https://l/"], FAILED),
        (["--aud", "bank"], FAILED),
    ):
        assert verified(terminal, token, *arguments).code == code


def test_tokens_that_are_not_valid(terminal: Terminal) -> None:
    """A token that has expired, was changed, names no key of the set, or says another algorithm, is not valid."""
    keyset(terminal, "ES256", "EdDSA")
    good = signed()
    head, payload, signature = good.split(".")
    other = signed({**CLAIMS, "exp": LATER + 1}).split(".")[1]
    for token, reason in (
        (signed({"exp": 1}), "Signature has expired"),
        (f"{head}.{other}.{signature}", "Signature verification failed"),
        (signed(kid="k9"), "no key of the JWK Set has the token's kid"),
        (signed(kid=None), "the token has no kid, and the JWK Set has 2 keys"),
        (signed(kid="k1"), "The specified alg value is not allowed"),
        (f"{head}.{payload}", "Not enough segments"),
        ("", "Not enough segments"),
        (jwt.encode(CLAIMS, "s" * 32, "HS256", headers={"kid": "k0"}), "The specified alg value is not allowed"),
        (jwt.encode(CLAIMS, "", "none", headers={"kid": "k0"}), "The specified alg value is not allowed"),
    ):
        assert verified(terminal, token) == Ran(FAILED, "", f"not valid: {reason}\n")
        ran = verified(terminal, token, "--output", "json")
        assert (ran.code, ran.json) == (FAILED, {"valid": False, "error": reason})


def test_tokens_that_have_to_expire(terminal: Terminal) -> None:
    """A token without a numeric `exp` is not valid: it would be for ever, or until whatever a library makes of it."""
    keyset(terminal, "ES256")
    key = Path("0.pem").read_text()
    for claims, reason in (
        ({"sub": "1"}, 'Token is missing the "exp" claim'),
        ({"exp": None}, 'Token is missing the "exp" claim'),
        ({"exp": str(LATER)}, "its exp is no number"),
        ({"exp": "later"}, "Expiration Time claim (exp) must be an integer."),
        ({"exp": True}, "Signature has expired"),
    ):
        token = jwt.PyJWS().encode(json.dumps(claims).encode(), key, "ES256", {"kid": "k0"})
        assert verified(terminal, token) == Ran(FAILED, "", f"not valid: {reason}\n")


def test_the_bearer_is_nobodys_login(terminal: Terminal) -> None:
    """The token that the service shows to the remote has the same key, and is refused by its type."""
    keyset(terminal, "ES256")
    token = jwt.encode(CLAIMS, Path("0.pem").read_text(), "ES256", headers={"kid": "k0", "typ": "remote+jwt"})
    ran = verified(terminal, token)
    assert (ran.code, ran.out) == (FAILED, "")
    assert "shown to the remote" in ran.err


def test_algorithm(terminal: Terminal) -> None:
    """With `--alg` a key of another algorithm verifies nothing, though it is in the set."""
    keyset(terminal, "ES256", "EdDSA")
    token = signed()
    assert verified(terminal, token, "--alg", "ES256").code == OK
    assert verified(terminal, token, "--alg", "EdDSA", "--alg", "ES256").code == OK
    said = "not valid: its key is for ES256, which --alg does not name\n"
    assert verified(terminal, token, "--alg", "EdDSA") == Ran(FAILED, "", said)


def test_one_key_needs_no_name(terminal: Terminal) -> None:
    """A token without `kid` is one of the only key."""
    keyset(terminal, "ES256")
    assert verified(terminal, signed(kid=None)).code == OK


def test_keys_that_are_not_used(terminal: Terminal, url: str) -> None:
    """A secret, a key without an algorithm or with that of a secret, and one for encryption verify nothing."""
    (good,) = keyset(terminal, "ES256")["keys"]
    secret = {"kty": "oct", "k": "c" * 43, "kid": "k0"}
    token = jwt.encode(CLAIMS, jwt.PyJWK({**secret, "alg": "HS256"}), "HS256", headers={"kid": "k0"})
    without = {name: value for name, value in good.items() if name != "alg"}
    said = "txtoken: --jwks: holds no public key for signatures that says its algorithm (alg)\n"
    for key in (
        {**secret, "alg": "HS256"},
        secret,
        {**secret, "alg": "ES256"},
        without,
        {**good, "alg": "HS256"},
        {**good, "alg": "none"},
        {**good, "use": "enc"},
        {**good, "alg": ["ES256"]},
        {**good, "x": 5},
        {**good, "crv": ["P-256"]},
        {**good, "kty": {}},
        "ES256",
        None,
    ):
        publish(terminal, json.dumps({"keys": [key]}))
        for source in ("jwks.json", f"{url}/jwks"):
            for tried in (token, signed()):
                assert verified(terminal, tried, jwks=source) == Ran(FAILED, "", said)
    publish(terminal, json.dumps({"keys": [secret, {"kty": "new"}, good]}))
    assert verified(terminal, signed()).code == OK  # what cannot be used spoils nothing


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"keys":{}}', '{"keys":[]}', "[" * 100_000])
def test_what_is_no_jwk_set(terminal: Terminal, url: str, text: str) -> None:
    """What is no JWK Set is said to be none, in one line."""
    keyset(terminal, "ES256")
    token = signed()
    publish(terminal, text)
    for source in ("jwks.json", f"{url}/jwks"):
        ran = verified(terminal, token, jwks=source)
        assert (ran.code, ran.out) == (FAILED, "")
        assert ran.err.startswith("txtoken: --jwks: ")
        assert ran.err.count("\n") == 1


def test_what_cannot_be_had(terminal: Terminal, url: str) -> None:
    """No file, a server that fails, sends elsewhere, or is not there: a failure of one line."""
    keyset(terminal, "ES256")
    token = signed()
    for source in ("none.json", ".", f"{url}/none", f"{url}/moved", "http://127.0.0.1:1/", "http://"):
        ran = verified(terminal, token, jwks=source)
        assert (ran.code, ran.out) == (FAILED, "")
        assert ran.err.startswith("txtoken: --jwks: cannot be ")
        assert ran.err.count("\n") == 1


def test_nothing_reaches_the_terminal(terminal: Terminal) -> None:
    """What a token says is shown without what a terminal would act upon."""
    (key,) = keyset(terminal, "ES256")["keys"]
    assert ECAlgorithm(ECAlgorithm.SHA256).from_jwk(key)
    for headers in ({"crit": ["\x1b[2J"]}, {"kid": "\x1b[2J"}, {"kid": "k0", "crit": ["\x1b[2J"], "\x1b[2J": 1}):
        token = jwt.encode(CLAIMS, Path("0.pem").read_text(), "ES256", headers=headers)
        ran = verified(terminal, token)
        assert ran.code == FAILED
        assert "\x1b" not in ran.err


@pytest.mark.parametrize(
    "arguments",
    [["--iss", "x"], ["--aud", "x"], ["--alg", "x"], ["--jwks", "x", "-c", "x"], ["--jwks", "x", "--set", "port=1"]],
)
def test_options_that_do_not_fit(terminal: Terminal, arguments: list[str]) -> None:
    """An option that would be ignored is wrong usage."""
    ran = terminal.run("token", "verify", *arguments)
    assert (ran.code, ran.out) == (USAGE, "")
    assert ran.err.startswith("txtoken: --")


def test_without_cryptography(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is missing, that is said."""

    def missing() -> None:
        raise KeyMaterialError(CRYPTO_MISSING)

    terminal.write("{}", "jwks.json")
    monkeypatch.setattr("txtoken.cli.jwks_verification.asymmetric", missing)
    assert verified(terminal, "x") == Ran(FAILED, "", f"txtoken: --jwks: {CRYPTO_MISSING}\n")


def test_other_commands_do_not_load_pyjwt(terminal: Terminal) -> None:
    """PyJWT is loaded with `--jwks` alone."""
    program = "import sys; from txtoken.cli.main import main; main(sys.argv[1:]); sys.exit('jwt' in sys.modules)"
    for arguments in (["issue", "{}"], ["verify", "x"], ["explain", "x"]):
        ran = subprocess.run([sys.executable, "-c", program, "token", *arguments], capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr
    ran = subprocess.run([sys.executable, "-c", program, "token", "verify", "--jwks", "x", "x"], check=False)
    assert ran.returncode == 1
