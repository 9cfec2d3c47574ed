"""Public keys as a running service publishes them, and the token that it shows to the remote."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest

from tests.configuring import KEY, load_text
from tests.running import run
from tests.service.faulty_remote import FaultyRemote, good
from tests.service.keys.making import private_key, private_pem
from tests.serving import NOBODY, Served, serving
from txtoken.service.handlers.jwks import discovery_paths
from txtoken.settings import Config

KEYS = "keys: [{alg: ES256, keyFile: FOLDER/ec.pem, kid: ec}, {alg: EdDSA, keyFile: FOLDER/ed.pem, kid: ed}]"
ROUTE = "/.well-known/jwks.json"
CORS = "cors: {origins: ['https://app.example']}"


def configured(folder: Path, text: str, remote: str = NOBODY) -> Config:
    """Read a configuration with keys beside it."""
    (folder / "ec.pem").write_bytes(private_pem("ES256"))
    (folder / "ed.pem").write_bytes(private_pem("EdDSA"))
    text = text.replace("FOLDER", str(folder))
    return load_text(folder, f"port: 0\nlisten: 127.0.0.1\nremote: {remote}\n{text}\n")


@pytest.mark.parametrize("more", ["", CORS])
def test_the_public_keys(tmp_path: Path, more: str) -> None:
    """The route gives the JWKS to everybody, web pages of every origin included, with nothing else in its head."""

    async def main() -> None:
        async with serving(configured(tmp_path, f"{KEYS}\n{more}")) as served:
            for method in ("GET", "HEAD"):
                answer = await served.ask(method, ROUTE, "Origin: https://other.example")
                assert answer.status == 200
                fields = {
                    name: value for name, value in answer.fields.items() if name not in (b"date", b"content-length")
                }
                assert fields == {
                    b"content-type": b"application/json",
                    b"cache-control": b"public, max-age=900",
                    b"access-control-allow-origin": b"*",
                }
            body = (await served.ask("GET", ROUTE)).body
            assert body == served.worker._app.ring.jwks
            assert {key["kid"] for key in json.loads(body)["keys"]} == {"ec", "ed"}
            assert (await served.ask("POST", ROUTE, body=b"{}")).status == 405
            assert (await served.ask("GET", "/.well-known/openid-configuration")).status == 404

    run(main())


def test_where_there_are_none(tmp_path: Path) -> None:
    """With secrets alone there is no such route; where one is asked for it is 404, and says why."""

    async def main() -> None:
        for text, why in ((f"encKey: {KEY}", b"nothing"), (f"encKey: {KEY}\njwksRoute: {ROUTE}", b"never published")):
            async with serving(configured(tmp_path, text)) as served:
                answer = await served.ask("GET", ROUTE)
                assert answer.status == 404
                assert why in answer.body

    run(main())


@pytest.mark.parametrize(
    ("issuer", "paths"),
    [
        ("https://a.example", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]),
        ("https://a.example/", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]),
        (
            "https://a.example/t/1",
            [
                *("/t/1/.well-known/openid-configuration", "/.well-known/openid-configuration/t/1"),
                *("/t/1/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/t/1"),
            ],
        ),
    ],
)
def test_discovery(tmp_path: Path, issuer: str, paths: list[str]) -> None:
    """Where the issuer is a URL, the documents of discovery stand at all places that its path gives, and say the five members."""
    assert sorted(discovery_paths(issuer)) == sorted(paths)

    async def main() -> None:
        async with serving(configured(tmp_path, f"{KEYS}\nclaims: {{iss: '{issuer}'}}\njwksRoute: /keys")) as served:
            for path in paths:
                answer = await served.ask("GET", path)
                assert answer.fields[b"content-type"] == b"application/json"
                assert answer.fields[b"access-control-allow-origin"] == b"*"
                assert json.loads(answer.body) == {
                    "issuer": issuer,
                    "jwks_uri": "https://a.example/keys",
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256", "EdDSA"],
                }

    run(main())


def test_the_bearer(tmp_path: Path) -> None:
    """With a keyset alone the current key signs what the remote is shown, for the remote alone: it passes no check of ours."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening() as faulty,
            serving(configured(tmp_path, f"{KEYS}\nrequestTokenData: {{a: 1}}", faulty.url)) as served,
        ):
            token = await log_in(served)
            (_, request) = faulty.requests[0]
            bearer = request.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode()
            assert jwt.get_unverified_header(bearer) == {"alg": "ES256", "typ": "remote+jwt", "kid": "ec"}
            origin = faulty.url.removesuffix("/login").rstrip("/")
            claims = jwt.decode(bearer, private_key("ES256").public_key(), ["ES256"], audience=origin)
            assert claims["data"] == {"a": 1}
            for checked, error in ((token, None), (bearer, "token audience is invalid")):
                answer = await served.ask("GET", "/checkToken", f"Authorization: Bearer {checked}")
                assert json.loads(answer.body).get("error") == error
            body = json.loads((await served.ask("GET", "/checkToken", f"Authorization: Bearer {token}")).body)
            assert body["Method"] == {"Name": "ES256", "Hash": 5}

    run(main())


async def log_in(served: Served) -> str:
    """Log in, and return the token."""
    answer = await served.ask("POST", "/getToken", body=b"{}")
    assert answer.status == 200
    return str(json.loads(answer.body)["token"])


def test_a_revoked_key_leaves_at_once(tmp_path: Path) -> None:
    """A key that is revoked by name signs and is published no more, and its tokens are revoked."""

    async def main() -> None:
        (tmp_path / "revoked.txt").write_text("kid ec\n")
        async with FaultyRemote(good).listening() as faulty:
            config = configured(tmp_path, f"{KEYS}\nrevocations: {tmp_path}/revoked.txt", faulty.url)
            async with serving(config) as served:
                token = await log_in(served)
                assert jwt.get_unverified_header(token)["kid"] == "ed"
                (key,) = json.loads((await served.ask("GET", ROUTE)).body)["keys"]
                assert key["kid"] == "ed"
                ours = jwt.encode({"exp": 4_000_000_000}, private_key("ES256"), "ES256", {"kid": "ec"})
                answer = await served.ask("GET", "/checkToken", f"Authorization: Bearer {ours}")
                assert json.loads(answer.body)["error"] == "token is revoked"

    run(main())


def test_no_key_signs(tmp_path: Path) -> None:
    """When no key signs, a login is refused with 503 before the remote is asked, and the service is not ready."""

    async def main() -> None:
        (tmp_path / "revoked.txt").write_text("kid ec\nkid ed\n")
        async with FaultyRemote(good).listening() as faulty:
            config = configured(tmp_path, f"{KEYS}\nrevocations: {tmp_path}/revoked.txt", faulty.url)
            async with serving(config) as served:
                answer = await served.ask("POST", "/getToken", body=b"{}")
                assert answer.status == 503
                assert json.loads(answer.body)["message"] == "Can not generate return token"
                assert (await served.ask("GET", "/readyz")).status == 503
                assert (await served.ask("GET", "/livez")).status == 200
                assert json.loads((await served.ask("GET", ROUTE)).body).get("keys") is None
                assert faulty.requests == []

    run(main())


def test_the_bytes_are_served_from_memory(tmp_path: Path) -> None:
    """The answer is made when the keys change, and not with each request."""

    async def main() -> None:
        async with serving(configured(tmp_path, KEYS)) as served:
            first = served.worker._app.ring.jwks
            for _ in range(3):
                assert (await served.ask("GET", ROUTE)).body == first
            assert served.worker._app.ring.jwks is first

    run(main())
