"""Calls from web pages. The judge is the WHATWG Fetch Standard, written down here as browsers do it (§4.8 to §4.10)."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.http1.loopback import Answer
from tests.running import run
from tests.service.faulty_remote import FaultyRemote, good
from tests.service.listener import Listener
from tests.serving import Served, configuration, serving
from txtoken.http1.connection import Connection
from txtoken.http1.messages import Client, Handler, Head, Request
from txtoken.service.answers import CRASHED
from txtoken.service.cors import CrossOriginRoutes, _Page
from txtoken.service.routes import Routes
from txtoken.settings import CorsSettings

PAGE: Final = "https://app.example.com"
OTHER: Final = "http://127.0.0.1:3000"
FOREIGN: Final = "https://evil.example"
LISTED: Final = (
    f"cors: {{origins: [{PAGE}, '{OTHER}'], headers: [Authorization, content-type, X-Request-Id], maxAge: 90s}}"
)
WITH_CREDENTIALS: Final = LISTED.replace("maxAge: 90s", "credentials: true")
ALL: Final = "cors: {origins: '*'}"
SAFE_METHODS: Final = ("GET", "HEAD", "POST")


class Call(NamedTuple):
    """What a script asks its browser to fetch. `unsafe` are the names of fields that are not CORS-safelisted."""

    method: str
    path: str
    origin: str = PAGE
    unsafe: tuple[str, ...] = ()
    credentials: bool = False
    body: bytes = b""


def fields(answer: Answer) -> dict[str, str]:
    """Return an answer's fields by lower-case name."""
    return {name.decode(): value.decode() for name, value in answer.fields.items()}


def items(text: str) -> list[str]:
    """Take a list field apart."""
    return [item.strip() for item in text.split(",") if item.strip()]


def cors_check(call: Call, answer: Answer) -> bool:
    """Fetch §4.10, "CORS check": whether a script of this origin may see this answer."""
    allowed = fields(answer).get("access-control-allow-origin")
    if allowed is None:
        return False
    if not call.credentials and allowed == "*":
        return True
    if allowed != call.origin:
        return False
    return not call.credentials or fields(answer).get("access-control-allow-credentials") == "true"


def preflight_passes(call: Call, answer: Answer) -> bool:
    """Fetch §4.9, "CORS-preflight fetch", from step 7 on: whether the request itself may be sent."""
    if not cors_check(call, answer) or not 200 <= answer.status <= 299:
        return False
    said = fields(answer)
    methods = items(said.get("access-control-allow-methods", ""))
    names = [name.lower() for name in items(said.get("access-control-allow-headers", ""))]
    if call.method not in methods and call.method not in SAFE_METHODS and (call.credentials or "*" not in methods):
        return False
    if any(name.lower() == "authorization" for name in call.unsafe) and "authorization" not in names:
        return False
    return all(name.lower() in names or (not call.credentials and "*" in names) for name in call.unsafe)


async def fetch(served: Served, call: Call) -> Answer | None:
    """Do as a browser does. None: the script gets a network error."""
    if call.unsafe or call.method not in SAFE_METHODS:
        lines = [f"Access-Control-Request-Method: {call.method}"]
        if call.unsafe:
            lines.append(f"Access-Control-Request-Headers: {','.join(sorted(name.lower() for name in call.unsafe))}")
        preflight = await served.ask("OPTIONS", call.path, f"Origin: {call.origin}", *lines)
        if not preflight_passes(call, preflight):
            return None
    sent = [f"{name}: application/json" for name in call.unsafe]
    answer = await served.ask(call.method, call.path, f"Origin: {call.origin}", *sent, body=call.body)
    return answer if cors_check(call, answer) else None


LOGIN: Final = Call("POST", "/getToken", unsafe=("Content-Type",), body=b"{}")
CHECK: Final = Call("GET", "/checkToken", unsafe=("Authorization",))

FETCHES: Final[list[tuple[str, Call, int | None]]] = [
    (LISTED, LOGIN, 200),
    (LISTED, LOGIN._replace(origin=OTHER), 200),
    (LISTED, LOGIN._replace(unsafe=()), 200),
    (LISTED, LOGIN._replace(body=b"{"), 400),
    (LISTED, LOGIN._replace(unsafe=("Content-Type", "X-Request-Id")), 200),
    (LISTED, LOGIN._replace(unsafe=("X-Tenant",)), None),
    (LISTED, LOGIN._replace(origin=FOREIGN), None),
    (LISTED, LOGIN._replace(origin=FOREIGN, unsafe=()), None),
    (LISTED, LOGIN._replace(origin="null"), None),
    (LISTED, LOGIN._replace(origin=PAGE.upper()), None),
    (LISTED, LOGIN._replace(origin=PAGE + "."), None),
    (LISTED, LOGIN._replace(origin=PAGE + ":8443"), None),
    (LISTED, LOGIN._replace(origin=PAGE.replace("https", "http")), None),
    (LISTED, LOGIN._replace(origin=PAGE + ", " + OTHER), None),
    (LISTED, LOGIN._replace(credentials=True), None),
    (LISTED, CHECK, 401),
    (LISTED, CHECK._replace(unsafe=()), 401),
    (LISTED, CHECK._replace(method="HEAD"), 401),
    (LISTED, CHECK._replace(method="PUT"), None),
    (LISTED, Call("GET", "/getToken"), 405),
    (LISTED, Call("GET", "/nowhere"), 404),
    (LISTED, Call("GET", "/nowhere", unsafe=("Authorization",)), None),
    (LISTED, Call("GET", "/readyz"), 200),
    (LISTED, Call("GET", "/readyz", unsafe=("Authorization",)), 200),
    (WITH_CREDENTIALS, LOGIN._replace(credentials=True), 200),
    (WITH_CREDENTIALS, LOGIN, 200),
    (WITH_CREDENTIALS, CHECK._replace(credentials=True), 401),
    (WITH_CREDENTIALS, LOGIN._replace(credentials=True, origin=FOREIGN), None),
    (WITH_CREDENTIALS, LOGIN._replace(credentials=True, origin=FOREIGN, unsafe=()), None),
    (ALL, LOGIN, 200),
    (ALL, LOGIN._replace(origin=FOREIGN), 200),
    (ALL, LOGIN._replace(origin="null"), 200),
    (ALL, CHECK, 401),
    (ALL, LOGIN._replace(credentials=True), None),
    (ALL, LOGIN._replace(unsafe=("X-Tenant",)), None),
    (ALL + "\ncors.headers: []", LOGIN, None),
    (ALL + "\ncors.headers: []", LOGIN._replace(unsafe=()), 200),
    ("", LOGIN, None),
    ("", LOGIN._replace(unsafe=()), None),
]


@pytest.mark.parametrize(("text", "call", "status"), FETCHES)
def test_fetches(tmp_path: Path, text: str, call: Call, status: int | None) -> None:
    """A script gets the answer, errors included, exactly when its page's origin, fields and credentials are allowed."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening() as remote,
            serving(configuration(tmp_path, text, remote.url)) as served,
        ):
            answer = await fetch(served, call)
            assert (None if answer is None else answer.status) == status

    run(main())


def test_failures_reach_the_page(tmp_path: Path) -> None:
    """A script can read why a login failed at the remote."""

    async def main() -> None:
        async with serving(configuration(tmp_path, LISTED + "\nstatusMap: gateway")) as served:
            answer = await fetch(served, LOGIN)
            assert answer is not None
            assert (answer.status, b"Remote post failure." in answer.body) == (502, True)

    run(main())


class Faulty(Handler):
    """A handler with a fault, before or behind its answer."""

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers

    def handle(self, request: Request, client: Client) -> None:
        """Fail."""
        if self._answers:
            client.respond(CRASHED)
        raise RuntimeError("a fault of ours")


def test_faults_of_ours_reach_the_page() -> None:
    """A script learns that the service has failed; a fault behind an answer is left to who asked, and answers nothing twice."""
    crashes: list[Exception] = []
    table: dict[str, dict[str, Handler]] = {"/a": {"GET": Faulty(answers=False)}, "/b": {"GET": Faulty(answers=True)}}
    routes = CrossOriginRoutes(Routes(table, crashes.append), CorsSettings((PAGE,)))
    asked = [
        Head(
            *(b"GET", path, b"", {b"origin": PAGE.encode()}),
            minor_version=1,
            keep_alive=True,
            content_length=0,
            expects_continue=False,
        )
        for path in (b"/a", b"/b")
    ]
    before, behind = Listener(), Listener()
    assert routes.find(asked[0]).handle(Request(asked[0], b""), before) is None
    assert [str(crash) for crash in crashes] == ["a fault of ours"]
    with pytest.raises(RuntimeError):
        routes.find(asked[1]).handle(Request(asked[1], b""), behind)
    for (response,) in (before.told, behind.told):
        assert response.status == 500
        assert b"Access-Control-Allow-Origin: " + PAGE.encode() + b"\r\n" in response.head


def cors_fields(answer: Answer) -> dict[str, str]:
    """Return the fields that `cors` has a say in."""
    return {
        name: value
        for name, value in fields(answer).items()
        if name.startswith("access-control") or name in ("vary", "allow")
    }


EXPOSED: Final = {"access-control-expose-headers": "Retry-After, WWW-Authenticate"}
METHODS: Final = {"access-control-allow-methods": "GET, HEAD, POST", "allow": "GET, HEAD, OPTIONS, POST"}
NAMES: Final = {"access-control-allow-headers": "Authorization, content-type, X-Request-Id"}
LINES: Final[list[tuple[str, str, str | None, dict[str, str]]]] = [
    (LISTED, "GET", PAGE, {"vary": "Origin", "access-control-allow-origin": PAGE, **EXPOSED}),
    (LISTED, "GET", OTHER, {"vary": "Origin", "access-control-allow-origin": OTHER, **EXPOSED}),
    (LISTED, "GET", FOREIGN, {"vary": "Origin"}),
    (LISTED, "GET", None, {"vary": "Origin"}),
    (
        LISTED,
        "OPTIONS",
        PAGE,
        {
            "vary": "Origin",
            "access-control-allow-origin": PAGE,
            "access-control-max-age": "90",
            **EXPOSED,
            **METHODS,
            **NAMES,
        },
    ),
    (LISTED, "OPTIONS", None, {"vary": "Origin", "access-control-max-age": "90", **METHODS, **NAMES}),
    (LISTED, "PUT", FOREIGN, {"vary": "Origin", "allow": METHODS["allow"]}),
    (
        WITH_CREDENTIALS,
        "GET",
        PAGE,
        {
            "vary": "Origin",
            "access-control-allow-origin": PAGE,
            "access-control-allow-credentials": "true",
            **EXPOSED,
        },
    ),
    (WITH_CREDENTIALS, "GET", FOREIGN, {"vary": "Origin"}),
    (ALL, "GET", FOREIGN, {"access-control-allow-origin": "*", **EXPOSED}),
    (ALL, "GET", None, {"access-control-allow-origin": "*", **EXPOSED}),
    ("", "GET", PAGE, {}),
    ("", "OPTIONS", PAGE, {"allow": "GET, HEAD, POST"}),
    ("cors: {origins: []}", "OPTIONS", PAGE, {"allow": "GET, HEAD, POST"}),
]


@pytest.mark.parametrize(("text", "method", "origin", "expected"), LINES)
def test_lines(tmp_path: Path, text: str, method: str, origin: str | None, expected: dict[str, str]) -> None:
    """An answer has exactly these fields: its own origin, `Vary` where it depends on that, and none without `cors`."""

    async def main() -> None:
        async with serving(configuration(tmp_path, text)) as served:
            lines = [] if origin is None else [f"Origin: {origin}"]
            answer = await served.ask(method, "/checkToken", *lines, "Access-Control-Request-Method: GET")
            assert cors_fields(answer) == expected

    run(main())


def test_a_preflight_is_empty(tmp_path: Path) -> None:
    """A preflight is answered 200 without content, and its line in the log is like any other's."""

    async def main() -> None:
        async with serving(configuration(tmp_path, LISTED)) as served:
            answer = await served.ask("OPTIONS", "/getToken", f"Origin: {PAGE}", "Access-Control-Request-Method: POST")
            assert (answer.status, answer.body) == (200, b"")
            assert fields(answer)["content-length"] == "0"
            assert "content-type" not in fields(answer)
            assert fields(answer)["access-control-allow-methods"] == "POST"
            await served.ask("GET", "/livez", f"Origin: {PAGE}")
            (line,) = served.access_lines()
            assert '"method":"OPTIONS","path":"/getToken","status":200' in line

    run(main())


def test_public_keys_have_no_preflight(tmp_path: Path) -> None:
    """What every page may read anyway answers no preflight, and none for the pages of `cors` either."""

    async def main() -> None:
        async with serving(configuration(tmp_path, f"{LISTED}\njwksRoute: /keys")) as served:
            answer = await served.ask("OPTIONS", "/keys", f"Origin: {PAGE}")
            assert (answer.status, answer.fields[b"allow"]) == (405, b"GET, HEAD")

    run(main())


def test_logins_of_pages_are_throttled(tmp_path: Path) -> None:
    """Logins from web pages are logins like any other: the throttle knows their address."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening() as faulty,
            serving(configuration(tmp_path, f"{LISTED}\nthrottle: {{field: /user}}", faulty.url)) as served,
        ):
            answer = await fetch(served, LOGIN)
            assert answer is not None
            assert answer.status == 200

    run(main())


@pytest.mark.parametrize("kind", [_Page, Connection])
def test_a_client_in_place_of_another_is_all_of_it(kind: type[Client]) -> None:
    """Everything that handlers get as a client implements all methods of one."""
    asked = {name for name in vars(Client) if not name.startswith("_")}
    assert asked == {"respond", "address", "peer"}
    for name in asked:
        assert getattr(kind, name) is not getattr(Client, name), name
