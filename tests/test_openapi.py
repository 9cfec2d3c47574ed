"""docs/openapi.yml beside the running service: each of its examples is an answer that comes. `scripts/api-check` tries more."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import jsonschema
import jwt
import pytest
import yaml

from tests.configuring import EXAMPLE_FILE
from tests.login_api import QuietServer
from tests.running import PATIENCE_S, ServiceProcess, service_process
from txtoken.config import table
from txtoken.config.checks import JWKS_ROUTE
from txtoken.config.signing_secret import EXAMPLE_KEY
from txtoken.config.table import BY_NAME, KEYS
from txtoken.demo.login_api import PASSWORD, PROFILE, USER
from txtoken.service.routes import HEALTH_PATHS
from txtoken.settings import JwksSettings
from txtoken.version import VERSION

API: Final = yaml.safe_load((EXAMPLE_FILE.parent / "docs" / "openapi.yml").read_text())
JSON: Final = "application/json"
HOST: Final = "Host: txtoken.example"
HELD: Final = threading.Semaphore(0)  # logins that are being held


class Login(BaseHTTPRequestHandler):
    """A login API that answers by the password: as that of the demo, or in one of the ways to fail."""

    def do_POST(self) -> None:
        password = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["password"]
        if password == "hold":
            HELD.release()
            self.rfile.read()  # until txtoken has lost its patience
            return
        profile = json.dumps(PROFILE).encode()
        large = json.dumps({"a": "x" * 30_000}).encode()
        by_password = {
            PASSWORD: (200, profile),
            "cut": (200, profile[:-1]),
            "list": (200, b"[]"),
            "large": (200, large),
        }
        status, body = by_password.get(password, (401, b"{}"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(profile) if password == "cut" else len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


def started(
    folders: pytest.TempPathFactory, *settings: str, config: Path = EXAMPLE_FILE
) -> AbstractContextManager[ServiceProcess]:
    """Start the service of the example file, or of another one."""
    settings = ("port=0", "listen=127.0.0.1", "log.format=json", *settings)
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    return service_process(folders.mktemp("service"), "serve", "--config", str(config), *arguments)


@pytest.fixture(scope="module")
def remote() -> Iterator[str]:
    """The setting for a service in front of that login API."""
    login_api = QuietServer(("127.0.0.1", 0), Login)
    threading.Thread(target=login_api.serve_forever, args=(0.01,), daemon=True).start()
    yield f"remote=http://127.0.0.1:{login_api.server_address[1]}/login"
    login_api.shutdown()
    login_api.server_close()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, remote: str) -> Iterator[int]:
    """The port of a service that has little patience."""
    impatient = ("timeouts.remote=300ms", "timeouts.body=100ms", "limits.remoteConnections=1", "limits.waiting=0")
    with started(tmp_path_factory, remote, *impatient) as service:
        yield service.port


ASKED: Final = "{headers: {X-Auth-Request-User: /data/user, X-Name: /data/name}, require: {/data/user: [ada]}}"
PRIVATE_KEYS: Final = {  # of RFC 7515 A.3 and RFC 8037 A.1
    "ec.json": {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    },
    "okp.json": {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    },
}
KEYSET: Final = """
keys:
- {alg: ES256, kid: 2027-01, keyFile: FOLDER/ec.json}
- {alg: EdDSA, keyFile: FOLDER/okp.json, from: 2999-01-01T00:00:00Z}
claims: {iss: https://login.example}
"""


@pytest.fixture(scope="module")
def publishing_port(tmp_path_factory: pytest.TempPathFactory, remote: str) -> Iterator[int]:
    """The port of a service that publishes keys."""
    folder = tmp_path_factory.mktemp("keys")
    for name, key in PRIVATE_KEYS.items():
        (folder / name).write_text(json.dumps(key))
    (folder / "keys.yml").write_text(EXAMPLE_FILE.read_text() + KEYSET.replace("FOLDER", str(folder)))
    with started(tmp_path_factory, remote, config=folder / "keys.yml") as service:
        yield service.port


@pytest.fixture(scope="module")
def sessions_port(tmp_path_factory: pytest.TempPathFactory, remote: str) -> Iterator[int]:
    """The port of a service with a cookie, whose tokens are renewed, and which proxies ask."""
    impatient = ("timeouts.body=100ms", "limits.remoteConnections=1", "limits.waiting=0", f"forwardAuth={ASKED}")
    with started(tmp_path_factory, remote, "cookie.name=__Host-session", "refresh.grace=0", *impatient) as service:
        yield service.port


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: Any


def asked(path: str, method: str, *lines: str, body: str = "", version: str = "1.1") -> bytes:
    """Write a request."""
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join((f"{method.upper()} {path} HTTP/{version}", *lines, *length, "", body)).encode()


def send(port: int, request: bytes) -> socket.socket:
    """Send a request on a connection of its own."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    client.sendall(request)
    return client


def receive(client: socket.socket) -> Answer:
    """Wait for the answer, and close."""
    with client, http.client.HTTPResponse(client) as response:
        response.begin()
        return Answer(response.status, response.headers, json.loads(response.read()))


def resolved(place: Any) -> Any:
    """Return what a reference stands for."""
    if "$ref" in place:
        found = API
        for part in place["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found
    return place


def validate(value: object, schema: dict[str, Any]) -> None:
    """Assert that a value is what a schema of the file says."""
    whole = {**schema, "components": API["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


SESSIONS: Final = ("/refreshToken", "/refreshToken/end")
FORWARD_AUTH: Final = "/forwardAuth"
PUBLISHED: Final = [path for path in API["paths"] if path.startswith("/.well-known/")]
OPERATIONS: Final = {
    (path, method): operation for path, methods in API["paths"].items() for method, operation in methods.items()
}
EXAMPLES: Final = [
    (path, method, status, name)
    for (path, method), operation in OPERATIONS.items()
    for status, response in operation["responses"].items()
    if "content" in resolved(response)  # 204 has none
    for name in resolved(response)["content"][JSON]["examples"]
]


def assert_documented(answer: Answer, path: str, method: str, name: str) -> None:
    """Assert that an answer is what the file says, and the example of this name to the letter."""
    responses = OPERATIONS[path, method]["responses"]
    response = resolved(responses.get(str(answer.status)) or responses[f"{answer.status // 100}XX"])
    content = response["content"][JSON]
    validate(answer.body, content["schema"])
    is_published = path in PUBLISHED and answer.status == 200  # verifiers refuse parameters, some of them
    assert answer.headers["Content-Type"] == (JSON if is_published else f"{JSON}; charset=utf-8")
    for header, said in response["headers"].items():
        if header in answer.headers or resolved(said).get("required"):
            validate(_typed(answer.headers[header]), resolved(said)["schema"])
    example = content["examples"][name]["value"]
    if "token" in example:
        claims, known = (jwt.decode(body["token"], EXAMPLE_KEY, ["HS256"]) for body in (answer.body, example))
        assert claims["data"] == known["data"] == PROFILE
    else:
        assert answer.body == example


def _typed(text: str) -> object:
    return int(text) if text.isdigit() else text


GOOD_TOKEN: Final = API["paths"]["/getToken"]["post"]["responses"]["200"]["content"][JSON]["examples"]["good"]["value"][
    "token"
]
CREDENTIALS: Final = API["paths"]["/getToken"]["post"]["requestBody"]["content"][JSON]["examples"]
LOGINS: Final = {
    **{name: json.dumps(example["value"]) for name, example in CREDENTIALS.items()},
    "notJson": f"user={USER}",
    "cut": '{"password":"cut"}',
    "notAnObject": '{"password":"list"}',
    "tooLarge": '{"password":"large"}',
}


def of_session(**claims: object) -> str:
    """Sign a token of a session."""
    now = int(time.time())
    return jwt.encode(
        {"data": PROFILE, "sid": "s", "auth_time": now, "exp": now + 3600, **claims}, EXAMPLE_KEY, "HS256"
    )


CHECKS: Final = {
    "good": f"Authorization: Bearer {GOOD_TOKEN}",
    "foreign": f"Authorization: Bearer {jwt.encode({'exp': 1}, EXAMPLE_KEY[::-1], 'HS256')}",
    "none": "Authorization: Bearer ",
}
RENEWALS: Final = {
    **CHECKS,
    "noSession": CHECKS["good"],
    "good": f"Authorization: Bearer {of_session()}",
    "over": f"Authorization: Bearer {of_session(auth_time=0)}",
    "tooLarge": f"Authorization: Bearer {of_session(data='x' * 4000)}",
}
QUESTIONS: Final = {
    **CHECKS,
    "forbidden": f"Authorization: Bearer {of_session(data={'user': 'eve'})}",
    "identity": f"Authorization: Bearer {of_session(data={'user': USER, 'name': 'x' * 2048})}",
}
FOREIGN: Final = "Sec-Fetch-Site: cross-site"
REFUSED: Final[dict[str, tuple[str, ...]]] = {
    "malformed": (),
    "slow": (HOST, "Content-Length: 5"),
    "large": (HOST, f"Content-Length: {10**9}"),
    "expecting": (HOST, "Expect: wonders"),
    "many": (HOST, *["X: y"] * 100),
    "coding": (HOST, "Transfer-Encoding: gzip, chunked"),
}
GATEWAY: Final = {"wrongByGateway": "wrong", "cutByGateway": "cut"}
ELSEWHERE: Final = (
    "unreachable",
    "timeout",
    "overloaded",
    "draining",
    "secrets",
    "throttled",
    *GATEWAY,
)  # take more than one request: see below


def request_for(path: str, method: str, name: str) -> bytes:
    """Write what an example is the answer to."""
    if name in REFUSED:
        return asked(path, method, *REFUSED[name])
    if name == "long":
        return asked(f"{path}?{'x' * 17_000}", method, HOST)
    if name == "version":
        return asked(path, method, HOST, version="2.0")
    if name == "foreignSite":
        return asked(path, method, HOST, FOREIGN, RENEWALS["good"])
    if path == "/getToken":
        return asked(path, method, HOST, body=LOGINS[name])
    if path == FORWARD_AUTH:
        return asked(path, method, HOST, QUESTIONS[name])
    if path == "/refreshToken":
        return asked(path, method, HOST, RENEWALS[name])
    return asked(path, method, HOST, *([CHECKS[name]] if path == "/checkToken" else []))


@pytest.mark.parametrize(
    ("path", "method", "status", "name"),
    [example for example in EXAMPLES if example[-1] not in ELSEWHERE],
    ids=lambda part: part.strip("/"),
)
def test_examples_are_real_answers(
    port: int, publishing_port: int, sessions_port: int, path: str, method: str, status: str, name: str
) -> None:
    """Each example comes as it stands there, with the headers that stand there."""
    has_cookie = path in (*SESSIONS, FORWARD_AUTH) or name == "foreignSite"
    chosen = publishing_port if path in PUBLISHED else sessions_port if has_cookie else port
    answer = receive(send(chosen, request_for(path, method, name)))
    assert str(answer.status) == status
    assert_documented(answer, path, method, name)


def test_examples_of_a_remote_that_is_slow(port: int) -> None:
    """While the only connection to the remote is taken others are turned away, and then its time is up."""
    first = send(port, asked("/getToken", "post", HOST, body='{"password":"hold"}'))
    assert HELD.acquire(timeout=PATIENCE_S)
    second = receive(send(port, asked("/getToken", "post", HOST, body=LOGINS["good"])))
    assert_documented(second, "/getToken", "post", "overloaded")
    assert_documented(receive(first), "/getToken", "post", "timeout")


def test_examples_of_a_status_map(tmp_path_factory: pytest.TempPathFactory, remote: str) -> None:
    """With `statusMap` the status says what the remote did."""
    with started(tmp_path_factory, remote, "statusMap=gateway") as service:
        port = service.port
        answers = {
            name: receive(send(port, request_for("/getToken", "post", login))) for name, login in GATEWAY.items()
        }
    assert [answer.status for answer in answers.values()] == [401, 502]
    for name, answer in answers.items():
        assert_documented(answer, "/getToken", "post", name)


def test_example_of_a_throttle(tmp_path_factory: pytest.TempPathFactory, remote: str) -> None:
    """With `throttle` the attempt after the tenth failure is refused."""
    with started(tmp_path_factory, remote, "throttle.field=/user") as service:
        port = service.port
        wrong = asked("/getToken", "post", HOST, body=LOGINS["wrong"])
        answers = [receive(send(port, wrong)) for _ in range(11)]
    assert [answer.status for answer in answers] == [500] * 10 + [429]
    assert_documented(answers[-1], "/getToken", "post", "throttled")
    validate(answers[-1].body, API["components"]["schemas"]["Throttled"])


def test_examples_of_a_service_without_a_remote(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nobody can log in where nobody listens, and a service that is ending says so."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        remote = f"remote=http://127.0.0.1:{unused.getsockname()[1]}/"
    with started(tmp_path_factory, remote, "timeouts.drainDelay=20s") as service:
        port = service.port
        login = receive(send(port, asked("/getToken", "post", HOST, body=LOGINS["good"])))
        service.send(signal.SIGTERM)
        service.line_with('"draining"')
        readiness = receive(send(port, asked("/readyz", "get", HOST)))
    assert_documented(login, "/getToken", "post", "unreachable")
    assert_documented(readiness, "/readyz", "get", "draining")


def test_example_of_a_service_without_public_keys(tmp_path_factory: pytest.TempPathFactory, remote: str) -> None:
    """Where the route is asked for and all keys are secrets, it says that there is nothing to publish."""
    (path, *_) = PUBLISHED
    with started(tmp_path_factory, remote, f"jwksRoute={path}") as service:
        answer = receive(send(service.port, asked(path, "get", HOST)))
    assert answer.status == 404
    assert_documented(answer, path, "get", "secrets")


def test_the_end_of_a_session(sessions_port: int) -> None:
    """The cookie is cleared without a word, as the file says; a login and a renewal set it."""
    request = asked(SESSIONS[1], "post", HOST, "Sec-Fetch-Site: same-origin")
    with send(sessions_port, request) as client, http.client.HTTPResponse(client) as response:
        response.begin()
        assert (response.status, response.read()) == (204, b"")
        headers = response.headers
    said = OPERATIONS[SESSIONS[1], "post"]["responses"]["204"]["headers"]
    for header in said:
        validate(headers[header], resolved(said[header])["schema"])
    assert "Max-Age=0;" in headers["Set-Cookie"]
    assert headers["Content-Length"] is None
    for path, request in (
        ("/getToken", asked("/getToken", "post", HOST, body=LOGINS["good"])),
        ("/refreshToken", asked("/refreshToken", "post", HOST, RENEWALS["good"])),
    ):
        answer = receive(send(sessions_port, request))
        assert answer.headers["Set-Cookie"].startswith(f"__Host-session={answer.body['token']}; Path=/; Max-Age=")
        assert_documented(answer, path, "post", "good")


def test_a_request_that_may_pass(sessions_port: int) -> None:
    """A proxy gets the headers for a request that may pass, and no content; any method and path below do."""
    said = OPERATIONS[FORWARD_AUTH, "get"]["responses"]["200"]["headers"]
    for method, path in (("GET", FORWARD_AUTH), ("DELETE", f"{FORWARD_AUTH}/below?x")):
        request = asked(path, method, HOST, CHECKS["good"])
        with send(sessions_port, request) as client, http.client.HTTPResponse(client) as response:
            response.begin()
            assert (response.status, response.read(), response.headers["Content-Type"]) == (200, b"", None)
            for header in said:
                validate(_typed(response.headers[header]), resolved(said[header])["schema"])
            assert response.headers["X-Auth-Request-User"] == USER


def test_every_route_is_in_it(publishing_port: int, sessions_port: int) -> None:
    """The paths are the default ones, and other methods than those of the file are refused with these and HEAD."""
    port = publishing_port
    defaults = {str(key.default) for key in KEYS if key.name.endswith("TokenRoute")} | {*SESSIONS, FORWARD_AUTH}
    assert FORWARD_AUTH in {key.default for key in table.FORWARD_AUTH}
    assert BY_NAME["refresh.route"].default == SESSIONS[0]
    assert set(API["paths"]) == {
        *defaults,
        *HEALTH_PATHS,
        JWKS_ROUTE,
        *JwksSettings(issuer="https://login.example").discovery_paths,
    }
    for path, methods in API["paths"].items():
        if path == FORWARD_AUTH:
            continue  # every method is one of its own
        answer = receive(send(sessions_port if path in SESSIONS else port, asked(path, "DELETE", HOST)))
        allowed = {method.upper() for method in methods} | ({"HEAD"} if "get" in methods else set())
        assert (answer.status, set(answer.headers["Allow"].split(", "))) == (405, allowed)
        validate(answer.body, API["components"]["schemas"]["Error"])
    answer = receive(send(port, asked("/elsewhere", "GET", HOST)))
    assert answer.status == 404
    validate(answer.body, API["components"]["schemas"]["Error"])


def test_tokens_in_the_body(port: int) -> None:
    """A token in a POSTed body is looked at in each of the ways that the file names."""
    check = API["paths"]["/checkToken"]["post"]
    for media_type in check["requestBody"]["content"]:
        for name in API["components"]["schemas"]["Presented"]["properties"]:
            body = json.dumps({name: GOOD_TOKEN}) if media_type == JSON else f"{name}={GOOD_TOKEN}"
            answer = receive(send(port, asked("/checkToken", "post", HOST, f"Content-Type: {media_type}", body=body)))
            assert_documented(answer, "/checkToken", "post", "good")


def test_it_is_well_formed() -> None:
    """Its schemas are schemas, and it is of this release."""
    for schema in API["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    assert API["info"]["version"] == VERSION
