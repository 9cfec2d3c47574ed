"""What is published of keys, the token that is shown to the remote, and tokens of a revoked key: over real sockets."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from typing import Any, Final

import jwt
import pytest

from tests.configuring import KEY, failure, load_text, told
from tests.http1.loopback import Answer
from tests.running import run
from tests.service.faulty_remote import FaultyRemote, good
from tests.service.keys.material import jwk, pair, pem
from tests.serving import NOBODY, Served, serving
from txtoken.service.app import origin_of
from txtoken.service.keys.derived import YEAR_2020
from txtoken.settings import Config, JwksSettings

JWKS: Final = "/.well-known/jwks.json"
OPENID: Final = "/.well-known/openid-configuration"
OAUTH: Final = "/.well-known/oauth-authorization-server"
ISSUER: Final = "https://login.example"
ES256: Final = "keys: [{alg: ES256, keyFile: @ec.pem, kid: one}]"
SECRET: Final = "sesame-0123456789-abcdefghijklmnop-ABCDEFGHIJKLMNOP-and-still-longer"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with keys, which `@` stands for."""
    for name, algorithm in (("ec", "ES256"), ("rsa", "RS256"), ("ed", "EdDSA")):
        (tmp_path / f"{name}.pem").write_bytes(pem(pair(algorithm)))
    (tmp_path / "root").write_bytes(Random(7517).randbytes(32))
    return tmp_path


def config_of(folder: Path, text: str, remote: str = NOBODY) -> Config:
    """Read a configuration with `keys`."""
    whole = f"port: 0\nlisten: 127.0.0.1\nremote: {remote}\n{text}"
    return load_text(folder, whole.replace("@", f"{folder}/"))


def asked(folder: Path, text: str, *paths: str, method: str = "GET", lines: tuple[str, ...] = ()) -> list[Answer]:
    """Ask a service of this configuration for some paths."""

    async def main() -> list[Answer]:
        async with serving(config_of(folder, text)) as served:
            return [await served.ask(method, path, *lines) for path in paths]

    return run(main())


def fields(answer: Answer) -> dict[str, str]:
    """Return an answer's fields by lower-case name, without those of every answer. No name stands twice: h11 has seen to it."""
    found = {name.decode().lower(): value.decode() for name, value in answer.fields.items()}
    return {name: value for name, value in found.items() if name not in ("date", "server", "connection")}


# JWKS


def test_the_set(folder: Path) -> None:
    """The public halves of all keys, to the byte, and the header fields that verifiers and caches want."""
    text = "keys: [{alg: ES256, keyFile: @ec.pem, kid: one}, {alg: EdDSA, keyFile: @ed.pem, kid: b, from: 2020-01-01T00:00:00Z}]"
    first, second = asked(folder, text, JWKS, JWKS)
    assert first.status == 200
    assert first.body == second.body
    ec, ed = jwk(pair("ES256").public_key()), jwk(pair("EdDSA").public_key())
    expected = {
        "keys": [
            {"kty": "EC", "use": "sig", "alg": "ES256", "kid": "one", "crv": "P-256", "x": ec["x"], "y": ec["y"]},
            {"kty": "OKP", "use": "sig", "alg": "EdDSA", "kid": "b", "crv": "Ed25519", "x": ed["x"]},
        ]
    }
    assert first.body == json.dumps(expected, separators=(",", ":")).encode()
    sent = fields(first)
    assert sent["content-type"] == "application/json"
    assert sent["cache-control"] == "public, max-age=900"
    assert sent["access-control-allow-origin"] == "*"
    assert sent["content-length"] == str(len(first.body))
    assert "access-control-allow-credentials" not in sent
    assert "set-cookie" not in sent


def test_head_and_other_methods(folder: Path) -> None:
    """HEAD has the same fields and no body; what does not read is refused."""
    (got,) = asked(folder, ES256, JWKS)
    (head,) = asked(folder, ES256, JWKS, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert fields(head) == fields(got)
    (posted,) = asked(folder, ES256, JWKS, method="POST")
    assert posted.status == 405
    assert fields(posted)["allow"] == "GET, HEAD"


@pytest.mark.parametrize("accept", ["application/json", "application/jwk-set+json", "text/html", "image/png", ""])
def test_any_accept(folder: Path, accept: str) -> None:
    """The answer is the same whatever is accepted, for any client, and with any query."""
    for path in (JWKS, f"{JWKS}?x=1"):
        (answer,) = asked(
            folder, ES256, path, lines=(f"Accept: {accept}", "Authorization: Bearer x", "If-None-Match: *")
        )
        assert answer.status == 200
        assert json.loads(answer.body)["keys"][0]["kid"] == "one"


@pytest.mark.parametrize(
    "cors",
    [
        "cors: {origins: ['https://app.example']}",
        "cors: {origins: ['https://app.example'], credentials: true}",
        "cors: {origins: '*'}",
    ],
)
@pytest.mark.parametrize("origin", ["https://app.example", "https://evil.example", "null"])
def test_beside_cors(folder: Path, cors: str, origin: str) -> None:
    """With `cors` set every page may read the keys still, by one field, and without credentials."""
    text = f"{ES256}\nclaims: {{iss: '{ISSUER}'}}\n{cors}"
    for answer in asked(folder, text, JWKS, OPENID, lines=(f"Origin: {origin}",)):
        assert answer.status == 200
        sent = fields(answer)
        assert sent["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in sent
        assert "vary" not in sent


def test_secrets_alone(folder: Path) -> None:
    """With HMAC keys alone the route is 404, and says why where it was asked for; no secret is in it."""
    text = f"jwksRoute: /keys\nkeys: [{{alg: HS256, kid: a, secret: {SECRET}}}]\nclaims: {{iss: '{ISSUER}'}}"
    answer, openid, oauth = asked(folder, text, "/keys", OPENID, OAUTH)
    assert answer.status == 404
    assert b"HMAC" in answer.body
    assert SECRET.encode() not in answer.body
    assert fields(answer)["access-control-allow-origin"] == "*"
    assert (openid.status, oauth.status) == (404, 404)
    for plain in (text.replace("jwksRoute: /keys\n", ""), f"encKey: {KEY}"):
        assert [found.status for found in asked(folder, plain, JWKS, OPENID)] == [404, 404]


def test_another_route(folder: Path) -> None:
    """The keys are at the route that was asked for, and there alone."""
    answer, usual, openid = asked(
        folder, f"{ES256}\njwksRoute: /public\nclaims: {{iss: '{ISSUER}'}}", "/public", JWKS, OPENID
    )
    assert (answer.status, usual.status) == (200, 404)
    assert json.loads(openid.body)["jwks_uri"] == f"{ISSUER}/public"


def test_keys_that_rotate(folder: Path) -> None:
    """The set holds the old, the current and the coming key; it may be kept for a quarter of the lead."""
    text = "keys: {secretFile: @root, alg: ES256, every: 24h, lead: 20m, iss: a}\nexpHours: 1"
    (answer,) = asked(folder, text, JWKS)
    period = int(time.time() // 86400)
    assert [member["kid"].partition("-")[0] for member in json.loads(answer.body)["keys"]] == [
        str(number) for number in (period - 1, period, period + 1)
    ]
    assert fields(answer)["cache-control"] == "public, max-age=300"


# Discovery


@pytest.mark.parametrize(
    ("issuer", "paths"),
    [
        (ISSUER, [OPENID, OAUTH]),
        (f"{ISSUER}/", [OPENID, OAUTH]),
        (f"{ISSUER}/a/b", [f"/a/b{OPENID}", f"{OPENID}/a/b", f"/a/b{OAUTH}", f"{OAUTH}/a/b"]),
        (f"{ISSUER}:8443/a/", [f"/a{OPENID}", f"{OPENID}/a", f"/a{OAUTH}", f"{OAUTH}/a"]),
    ],
)
def test_discovery(folder: Path, issuer: str, paths: list[str]) -> None:
    """Five members, the issuer to the letter, at both places that its path gives."""
    assert sorted(JwksSettings(issuer=issuer).discovery_paths) == sorted(paths)
    for answer in asked(folder, f"{ES256}\nclaims: {{iss: '{issuer}'}}", *paths):
        assert answer.status == 200
        assert json.loads(answer.body) == {
            "issuer": issuer,
            "jwks_uri": "/".join(issuer.split("/")[:3]) + JWKS,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }
        sent = fields(answer)
        assert sent["content-type"] == "application/json"
        assert sent["cache-control"] == "public, max-age=900"
        assert sent["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "issuer", ["login.example", "urn:x", "ftp://login.example", "https://", "https://a?b", "https://a#b"]
)
def test_an_issuer_that_is_no_url(folder: Path, issuer: str) -> None:
    """There is no discovery, and the keys are published all the same."""
    answers = asked(folder, f"{ES256}\nclaims: {{iss: '{issuer}'}}", JWKS, OPENID, OAUTH)
    assert [answer.status for answer in answers] == [200, 404, 404]


@pytest.mark.parametrize(
    "issuer", ["https://login.example/\u00e9", "https://l\u00f6gin.example", "https://a/\u2028", "https://[x/"]
)
def test_an_issuer_that_no_path_can_hold(folder: Path, issuer: str) -> None:
    """A URL that is not ASCII, or none, stops nothing."""
    (answer,) = asked(folder, f'{ES256}\nclaims: {{iss: "{issuer}"}}', JWKS)
    assert answer.status == 200


def test_an_issuer_without_tls(folder: Path) -> None:
    """An http issuer has discovery too, and is a warning: many verifiers take https alone."""
    config = config_of(folder, f"{ES256}\nclaims: {{iss: 'http://login.example'}}")
    assert config.jwks.issuer == "http://login.example"
    assert [warning for warning in config.warnings if warning.startswith("claims.iss is an http URL")]


def test_algorithms_in_discovery(folder: Path) -> None:
    """All algorithms that verify, each once; those of secrets are not named."""
    text = (
        "keys: [{alg: RS256, keyFile: @rsa.pem}, {alg: EdDSA, keyFile: @ed.pem}, {alg: ES256, keyFile: @ec.pem}, "
        f"{{alg: HS256, kid: h, secret: {SECRET}}}]\nclaims: {{iss: '{ISSUER}'}}"
    )
    (answer,) = asked(folder, text, OPENID)
    assert json.loads(answer.body)["id_token_signing_alg_values_supported"] == ["ES256", "EdDSA", "RS256"]


def test_discovery_before_the_clock_is_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that starts with a clock of 1970 names its algorithm: verifiers read it once."""
    text = f"keys: {{secretFile: @root, alg: ES256, every: 24h}}\nclaims: {{iss: '{ISSUER}'}}"
    config = config_of(folder, text)

    async def main() -> Answer:
        async with serving(config) as served:
            return await served.ask("GET", OPENID)

    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() % YEAR_2020)
    assert json.loads(run(main()).body)["id_token_signing_alg_values_supported"] == ["ES256"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"checkTokenRoute: {JWKS}", "checkTokenRoute"),
        (f"getTokenRoute: {JWKS}", "getTokenRoute"),
        (f"checkTokenRoute: {OPENID}", "checkTokenRoute"),
        (f"jwksRoute: {OAUTH}", "jwksRoute"),
        (f"getTokenRoute: {OPENID}/a", "getTokenRoute"),
    ],
)
def test_a_path_has_one_meaning(folder: Path, text: str, key: str) -> None:
    """No route of the configuration is silently replaced by one that publishes keys."""
    whole = f"remote: {NOBODY}\n{text}\n{ES256}\nclaims: {{iss: '{ISSUER}/a'}}"
    if OPENID + "/a" not in text:
        whole = whole.replace("/a'", "'")
    (problem,) = told(folder, failure(folder, whole.replace("@", f"{folder}/")))
    assert problem.startswith(f"cfg.yml, line 2: {key}: ")
    assert "is in use" in problem


# The token that the remote is shown, and tokens that the check route takes


async def login(served: Served) -> str:
    """Log in, and return the token."""
    answer = await served.ask("POST", "/getToken", "Content-Type: application/json", body=b"{}")
    assert answer.status == 200, answer
    body = json.loads(answer.body)
    return next(value for value in body.values() if isinstance(value, str) and value.count(".") == 2)


async def check(served: Served, token: str) -> Answer:
    """Ask the check route."""
    return await served.ask("GET", "/checkToken", f"Authorization: Bearer {token}")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (ES256, {"alg": "ES256", "kid": "one"}),
        ("keys: [{alg: EdDSA, keyFile: @ed.pem, kid: ed}]", {"alg": "EdDSA", "kid": "ed"}),
        (f"keys: [{{alg: HS512, kid: h, secret: {SECRET}}}]", {"alg": "HS512", "kid": "h"}),
    ],
)
def test_the_bearer(folder: Path, text: str, named: dict[str, str]) -> None:
    """It is signed by the key that signs logins, says that it is none, and to whom it goes; the check route refuses it."""

    async def main() -> tuple[str, str, Answer, Answer, Any, str]:
        remote = FaultyRemote(good)
        async with remote.listening(), serving(config_of(folder, text, remote.url)) as served:
            token = await login(served)
            request = remote.requests[0][1].decode()
            bearer = request.partition("Authorization: Bearer ")[2].partition("\r\n")[0]
            keys = await served.ask("GET", JWKS)
            return bearer, token, await check(served, bearer), await check(served, token), keys, remote.url

    bearer, token, refused, taken, keys, url = run(main())
    assert jwt.get_unverified_header(bearer) == {"typ": "remote+jwt", **named}
    assert jwt.get_unverified_header(token) == {"typ": "JWT", **named}
    key: Any = SECRET.encode()
    if named["alg"] != "HS512":
        (found,) = jwt.PyJWKSet.from_json(keys.body.decode()).keys
        key = found.key
    claims = jwt.decode(bearer, key, [named["alg"]], audience=origin_of(url))
    assert 0 < claims["exp"] - time.time() <= 300
    jwt.decode(token, key, [named["alg"]])
    assert refused.status == 401
    assert b"token audience is invalid" in refused.body
    assert taken.status == 200


@pytest.mark.parametrize("own", ["encKey", "requestKey"])
def test_the_bearer_of_a_secret_beside_keys(folder: Path, own: str) -> None:
    """With `encKey` or `requestKey` beside a keyset that secret signs what the remote is shown, as in the original: no `kid`, no
    type of its own. The check route takes one by `requestKey` for nobody's.
    """

    async def main() -> tuple[str, str, Answer]:
        remote = FaultyRemote(good)
        config = f"{ES256[:-2]}, from: 2020-01-01T00:00:00Z}}]\n{own}: {KEY}"
        async with remote.listening(), serving(config_of(folder, config, remote.url)) as served:
            token = await login(served)
            request = remote.requests[0][1].decode()
            bearer = request.partition("Authorization: Bearer ")[2].partition("\r\n")[0]
            return bearer, token, await check(served, bearer)

    bearer, token, checked = run(main())
    assert jwt.get_unverified_header(bearer) == {"alg": "HS256", "typ": "JWT"}
    assert set(jwt.decode(bearer, KEY, ["HS256"])) == {"data", "exp"}
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT", "kid": "one"}
    if own == "requestKey":
        assert checked.status == 401
        assert json.loads(checked.body) == {"error": "signing key is unknown"}


def test_a_bearer_is_refused_for_its_first_fault(folder: Path) -> None:
    """For an expired one that is the reason, and for one with another `iss` that; its own type is the last reason."""

    async def main() -> None:
        remote = FaultyRemote(good)
        text = f"{ES256}\nverify: {{iss: '{ISSUER}', leeway: 60}}"
        async with remote.listening(), serving(config_of(folder, text, remote.url)) as served:
            await login(served)
            request = remote.requests[0][1].decode()
            bearer = request.partition("Authorization: Bearer ")[2].partition("\r\n")[0]
            for _ in range(3):
                answer = await check(served, bearer)
                assert json.loads(answer.body) == {"error": "token issuer is invalid"}

    run(main())


def test_a_revoked_key(folder: Path) -> None:
    """Its tokens are refused, remembered or not, it leaves the JWKS at once, and the other key signs."""
    (folder / "revoked.txt").write_text("# nothing yet\n")
    text = (
        "revocations: @revoked.txt\nkeys: [{alg: EdDSA, keyFile: @ed.pem, kid: old}, "
        "{alg: ES256, keyFile: @ec.pem, kid: new, from: 2020-01-01T00:00:00Z}]"
    )

    async def main() -> None:
        remote = FaultyRemote(good)
        async with remote.listening(), serving(config_of(folder, text, remote.url)) as served:
            token = await login(served)
            assert jwt.get_unverified_header(token)["kid"] == "new"
            for _ in range(3):
                assert (await check(served, token)).status == 200
            app = served.worker._app
            (folder / "revoked.txt").write_text("kid new\n")
            served.worker.read_revocations_again()
            for _ in range(500):
                if b'"new"' not in app.ring.jwks:
                    break
                await served.ask("GET", "/livez")
            refused = await check(served, token)
            assert refused.status == 401
            assert b"token is revoked" in refused.body
            keys = await served.ask("GET", JWKS)
            assert [member["kid"] for member in json.loads(keys.body)["keys"]] == ["old"]

    run(main())


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("HTTP://Login.Internal:8080/Login?x=1", "http://login.internal:8080"),
        ("https://login.internal?x", "https://login.internal"),
        ("https://login.internal", "https://login.internal"),
        ("https://login.internal:443/login", "https://login.internal"),
        ("http://login.internal:80", "http://login.internal"),
        ("http://login.internal:443/", "http://login.internal:443"),
        ("https://login.internal:4443/", "https://login.internal:4443"),
        ("http://[::1]:80/", "http://[::1]"),
        ("http://[::80]/", "http://[::80]"),
        ("http+unix://%2Frun%2FLogin.sock/login", "http+unix://%2Frun%2FLogin.sock"),
    ],
)
def test_origins(url: str, origin: str) -> None:
    """RFC 6454 §6.2: scheme, host and port in small letters, without the scheme's own port; a socket's path keeps its letters."""
    assert origin_of(url) == origin


def test_no_key_signs(folder: Path) -> None:
    """When no key signs, a login is refused with 503 before the remote is asked, and the service is not ready."""

    async def main() -> None:
        (folder / "revoked.txt").write_text("kid one\n")
        async with FaultyRemote(good).listening() as faulty:
            config = config_of(folder, f"{ES256}\nrevocations: @revoked.txt", faulty.url)
            async with serving(config) as served:
                answer = await served.ask("POST", "/getToken", body=b"{}")
                assert answer.status == 503
                assert json.loads(answer.body)["message"] == "Can not generate return token"
                assert (await served.ask("GET", "/readyz")).status == 503
                assert (await served.ask("GET", "/livez")).status == 200
                assert json.loads((await served.ask("GET", JWKS)).body).get("keys") is None
                assert faulty.requests == []

    run(main())


def test_the_bytes_are_served_from_memory(folder: Path) -> None:
    """The answer is made when the keys change, and not with each request."""

    async def main() -> None:
        async with serving(config_of(folder, ES256)) as served:
            first = served.worker._app.ring.jwks
            for _ in range(3):
                assert (await served.ask("GET", JWKS)).body == first
            assert served.worker._app.ring.jwks is first

    run(main())
