"""The demo's page in a real browser: what it shows, that everybody can use it, and that nothing that it shows can harm it.

`scripts/page` runs it, in an environment of its own.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from tests.running import ServiceProcess, service_process

pytest.importorskip("playwright", reason="playwright is not installed: scripts/page makes an environment that has it")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.demo.browser import CHROMIUM, NARROW, PATIENCE_MS, WIDE, chromium, window

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")

expect.set_options(timeout=PATIENCE_MS)
ANY: Final = ("--port", "0", "--login-port", "0")
LINES_MAX: Final = 200  # of the log, in the page
LOOKS: Final = [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light"), (NARROW, "dark")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each opens windows of its own."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a demo for all tests that do no more than use it."""
    with service_process(tmp_path_factory.mktemp("plain"), "demo", *ANY) as demo:
        yield url_of(demo)


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a demo with a public key and two workers."""
    arguments = ("demo", *ANY, "--algorithm", "ES256", "--workers", "2")
    with service_process(tmp_path_factory.mktemp("public"), *arguments) as demo:
        yield url_of(demo)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Starts demos."""
    started: list[contextlib.AbstractContextManager[ServiceProcess]] = []

    def new(*arguments: str) -> ServiceProcess:
        manager = service_process(tmp_path, "demo", *(arguments or ANY))
        started.append(manager)
        return manager.__enter__()

    yield new
    for manager in started:
        manager.__exit__(None, None, None)


class Watched:
    """A page, and all that it asked for and complained about."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page = context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.url = url
        self.page.goto(url)

    @property
    def unexpected(self) -> list[str]:
        """What the browser complained about, but that requests were refused, as they should be."""
        return [text for text in self.complaints if not re.search(r"status of (401|500|503|404)", text)]


def url_of(demo: ServiceProcess) -> str:
    """Wait until a demo listens. Returns the URL of its page."""
    url = demo.line_with("Open http").split()[1]
    demo.line_with("listening")
    return url


def log_in(page: Page) -> None:
    """Log in, and wait until all of it is shown."""
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#login-outcome")).to_contain_text("200 txtoken answered with a signed token")
    expect(page.locator("#seen-reply")).to_contain_text("Ada Lovelace")
    expect(page.locator("#log div.mine", has_text="POST /getToken")).to_have_count(1)


def assert_fits(page: Page) -> None:
    """Assert that nothing is beside the window."""
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], widths


def test_the_first_minute(browser: Browser, plain: str) -> None:
    """Log in, see what the login API saw, the token and its claims, check it, break it: all of it real, with a line of the log
    each. Nothing is asked of anybody else.
    """
    with window(browser) as context:
        watched = Watched(context, plain)
        page = watched.page
        expect(page.get_by_label("User")).to_have_value("ada")
        log_in(page)
        seen = page.locator("#seen-request").text_content() or ""
        assert seen.startswith("POST /login HTTP/1.1\nHost: ")
        assert "Authorization: Bearer eyJhbGciOi…\n" in seen
        assert seen.endswith('{"user":"ada","password":"…"}')
        expect(page.locator("#seen-bearer")).to_contain_text("valid for 5 minutes")
        token = page.locator("#token").text_content() or ""
        assert [part.count(".") for part in page.locator("#token span").all_text_contents()] == [0, 0, 0]
        assert ".".join(page.locator("#token span").all_text_contents()) == token
        assert json.loads(page.locator("#token-header").text_content() or "") == {"alg": "HS256", "typ": "JWT"}
        claims = json.loads(page.locator("#token-claims").text_content() or "")
        assert claims["data"]["name"] == "Ada Lovelace"
        expect(page.locator("#left b")).to_have_text(re.compile(r"^2[34]:\d\d:\d\d$"))
        before = page.locator("#left b").text_content() or ""
        expect(page.locator("#left b")).not_to_have_text(before)  # it counts down

        page.get_by_role("button", name="Check the token").click()
        expect(page.locator("#check-outcome")).to_contain_text("200 Valid.")
        assert json.loads(page.locator("#check-answer").text_content() or "")["Valid"] is True
        assert page.locator("#check-curl").text_content() == (
            f"curl -s -H 'Authorization: Bearer {token}' {plain}checkToken"
        )

        page.get_by_role("button", name="Break one character").click()
        expect(page.locator("#check-outcome")).to_contain_text("401 Refused: ")
        broken = page.locator("#token").text_content() or ""
        (place,) = [number for number in range(len(token)) if broken[number] != token[number]]
        named = re.search(
            r"Character (\d+), in the (\w+), was “(.)” and is “(.)”",
            page.locator("#check-outcome").text_content() or "",
        )
        assert named is not None
        assert (int(named[1]) - 1, named[3], named[4]) == (place, token[place], broken[place])
        assert named[2] == ("header", "claims", "signature")[token[:place].count(".")]
        assert page.locator("#token mark").text_content() == broken[place]
        expect(page.locator("#log div.mine", has_text="GET /checkToken 401")).to_have_count(1)
        page.get_by_role("button", name="Check the token").click()
        expect(page.locator("#check-outcome")).to_contain_text("200 Valid.")
        assert page.locator("#token").text_content() == token
        assert all(each.startswith((plain, "data:")) for each in watched.requests), watched.requests
        assert watched.unexpected == []


def test_a_wrong_password(browser: Browser, plain: str) -> None:
    """It gets no token: the page shows txtoken's answer and that of the login API, and a curl command that does the same."""
    with window(browser) as context:
        page = Watched(context, plain).page
        page.get_by_role("button", name="Use a wrong password").click()
        expect(page.locator("#login-outcome")).to_contain_text("500 No token.")
        expect(page.locator("#seen-reply")).to_contain_text("wrong user or password")
        expect(page.locator("#login-curl")).to_contain_text('"password":"guess"')
        expect(page.locator("#token-shown")).to_be_hidden()
        expect(page.get_by_role("button", name="Check the token")).to_be_disabled()
        expect(page.locator("#log div.mine", has_text="POST /getToken 500")).to_have_count(1)


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_everybody_can_use_it(browser: Browser, public: str, width: int, scheme: str) -> None:
    """axe finds nothing to say, light and dark, wide and narrow, before a login, after it, and after a character was broken; and
    nothing is beside the window.
    """
    with window(browser, width, scheme) as context:
        page = Watched(context, public).page
        expect(page.locator("#keys-answer")).to_contain_text("P-256")

        def look() -> None:
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert_fits(page)

        look()
        log_in(page)
        look()
        page.get_by_role("button", name="Break one character").click()
        expect(page.locator("#check-outcome")).to_contain_text("401")
        look()


def test_a_public_key(browser: Browser, public: str) -> None:
    """Where keys are published, the page shows them, and the browser verifies the token by them."""
    with window(browser) as context:
        watched = Watched(context, public)
        log_in(watched.page)
        expect(watched.page.locator("#keys-outcome")).to_contain_text("This browser has verified the signature")
        assert watched.unexpected == []


def test_the_keyboard(browser: Browser, plain: str) -> None:
    """All of it can be done by the keyboard alone: the focus goes through every control, in the order of the page, can be seen,
    and comes out again.
    """
    with window(browser) as context:
        page = Watched(context, plain).page
        expect(page.locator("#log div")).not_to_have_count(0)
        focused = "document.activeElement.id || document.activeElement.dataset.copies || document.activeElement.tagName"
        order = ["user", "password", "log-in", "guess", "login-curl", "log"]
        for wanted in order:
            page.keyboard.press("Tab")
            assert page.evaluate(focused) == wanted
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid", wanted
        for _ in order[2:]:
            page.keyboard.press("Shift+Tab")
        assert page.evaluate(focused) == "password"
        page.keyboard.press("Enter")
        expect(page.locator("#token-shown")).to_be_visible()
        for wanted in ("log-in", "guess", "login-curl", "token", "check", "break"):
            page.keyboard.press("Tab")
            assert page.evaluate(focused) == wanted
        page.keyboard.press("Space")
        expect(page.locator("#check-outcome")).to_contain_text("401")
        assert page.evaluate(focused) == "break"


def test_nothing_moves_for_who_does_not_want_it(browser: Browser, plain: str) -> None:
    """With prefers-reduced-motion nothing is animated; without it a new line of the log is."""
    with window(browser) as context:
        page = Watched(context, plain).page
        for motion, name in (("reduce", "none"), ("no-preference", "come")):
            page.emulate_media(reduced_motion="reduce" if motion == "reduce" else "no-preference")
            expect(page.locator("#log div").first).to_have_css("animation-name", name)


PLANTED: Final = '<img src=x onerror="document.title=1"><script>document.title=2</script>\u202e</script>'


class Remote(ThreadingHTTPServer):
    """A login API that answers what a test says."""

    def __init__(self, status: int, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read1()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/login"


def test_html_is_text(browser: Browser, plain: str, start: Callable[..., ServiceProcess]) -> None:
    """What people type and what login APIs answer is shown as it is, and does nothing."""
    with window(browser) as context:
        own = Watched(context, plain)
        own.page.get_by_label("User").fill(PLANTED)
        own.page.get_by_role("button", name="Log in").click()
        expect(own.page.locator("#seen-request")).to_contain_text("<img src=x onerror=")
        expect(own.page.locator("#login-curl")).to_contain_text("<img src=x onerror=")
        assert own.page.title() == "txtoken demo"
        assert own.page.locator("main img").count() == 0
        assert own.unexpected == []
    remote = Remote(200, json.dumps({"name": PLANTED, PLANTED: [PLANTED]}).encode())
    with remote, window(browser, NARROW) as context:
        other = Watched(context, url_of(start("--port", "0", "--remote", remote.url)))
        other.page.get_by_label("JSON that your login API expects").fill('{"user":"it\'s me"}')
        expect(other.page.locator("#login-curl")).to_contain_text("""-d '{"user":"it'\\''s me"}'""")
        other.page.get_by_role("button", name="Log in").click()
        expect(other.page.locator("#token-claims")).to_contain_text("<img src=x onerror=")
        assert other.page.title() == "txtoken demo"
        assert other.page.locator("main img").count() == 0
        assert_fits(other.page)
        assert other.unexpected == []
        remote.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, json.dumps({"list": ["x" * 100] * 1000}).encode(), "No token. txtoken answered"),
        (200, b"<html>no JSON</html>", "No token. txtoken answered"),
        (503, b"{}", "No token. txtoken answered"),
    ],
)
def test_a_reply_that_makes_no_token(
    browser: Browser, start: Callable[..., ServiceProcess], status: int, body: bytes, words: str
) -> None:
    """100 KB of reply, a reply that is no JSON, and a failure: the page shows what txtoken makes of them."""
    remote = Remote(status, body)
    with remote, window(browser) as context:
        watched = Watched(context, url_of(start("--port", "0", "--remote", remote.url)))
        watched.page.get_by_role("button", name="Log in").click()
        expect(watched.page.locator("#login-outcome")).to_contain_text(words)
        expect(watched.page.locator("#token-shown")).to_be_hidden()
        assert watched.unexpected == []
        remote.shutdown()


def test_a_long_token(browser: Browser, start: Callable[..., ServiceProcess]) -> None:
    """A token of 20 KB is shown whole, its claims in part, and it can be checked and broken."""
    remote = Remote(200, json.dumps({"list": ["x" * 100] * 140}).encode())
    with remote, window(browser, NARROW) as context:
        watched = Watched(context, url_of(start("--port", "0", "--remote", remote.url)))
        page = watched.page
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#token-claims")).to_contain_text("more characters")
        assert len(page.locator("#token").text_content() or "") > 18_000
        page.get_by_role("button", name="Break one character").click()
        expect(page.locator("#check-outcome")).to_contain_text("401 Refused")
        assert_fits(page)
        assert watched.unexpected == []
        remote.shutdown()


def test_a_remote_that_is_down(browser: Browser, start: Callable[..., ServiceProcess]) -> None:
    """The page shows what a client gets then."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with window(browser) as context:
        page = Watched(context, url_of(start("--port", "0", "--remote", f"http://127.0.0.1:{port}/login"))).page
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#login-outcome")).to_contain_text("No token. txtoken answered")
        expect(page.locator("#log div.bad", has_text="error=refused")).to_have_count(1)


def test_the_demo_ends_and_comes_back(browser: Browser, start: Callable[..., ServiceProcess]) -> None:
    """While the demo is down the page says so, whatever is pressed; when another has taken its place it says that as well."""
    first = start()
    url = url_of(first)
    with window(browser) as context:
        page = Watched(context, url).page
        log_in(page)
        first.process.terminate()
        expect(page.get_by_role("alert")).to_contain_text("txtoken does not answer")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#login-outcome")).to_contain_text("No answer: the connection to txtoken failed.")
        page.get_by_role("button", name="Check the token").click()
        expect(page.locator("#check-outcome")).to_contain_text("No answer: the connection to txtoken failed.")
        assert first.ended()[0] == 0
        start("--port", url.rstrip("/").rpartition(":")[2], "--login-port", "0")
        expect(page.get_by_role("alert")).to_contain_text("started anew")


def test_many_lines(browser: Browser, start: Callable[..., ServiceProcess]) -> None:
    """After 10 000 requests of others the page has some lines and no more, says that it left out others, and works."""
    demo = start()
    url = url_of(demo)
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with window(browser) as context:
        page = Watched(context, url).page
        log_in(page)
        with socket.create_connection((host, int(port)), 20) as client:
            answers = client.makefile("rb")
            for _ in range(100):
                client.sendall(b"GET /checkToken HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
                count = 0
                while count < 100:
                    count += b"HTTP/1.1 401 " in answers.readline()
        expect(page.locator("#log div", has_text="lines more, too fast to show")).not_to_have_count(0)
        log_in_again = page.get_by_role("button", name="Log in")
        log_in_again.click()
        expect(page.locator("#log div.mine", has_text="POST /getToken")).not_to_have_count(0)
        assert page.locator("#log div").count() <= LINES_MAX
