"""The demo's page as a file: its size, what it loads, what it may do, and that nothing else has it."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.running import KEY, PATIENCE_S, service_process
from txtoken.demo import front_page
from txtoken.demo.configuration import demo_config
from txtoken.demo.events import EVENTS_PATH, Ring
from txtoken.demo.front_page import PAGE_PATH, About, FrontPage, pages
from txtoken.http1.messages import Client, Handler, Head, Request, Response
from txtoken.settings import LogSettings

BYTES_MAX: Final = 60 * 1024
PAGE: Final = Path(front_page.__file__).with_name("front_page.html").read_text()


def test_its_size() -> None:
    """It is small."""
    assert len(PAGE.encode()) <= BYTES_MAX


def test_it_names_no_other_place() -> None:
    """Nothing in it is an address but the name of SVG, and nothing is made of text as HTML."""
    assert set(re.findall(r"https?:[^'\"\s]*", PAGE)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\sstyle=|\son\w+=", PAGE)
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*\s(?:src|href)=(?!\"data:)", PAGE)


def test_what_it_knows_cannot_end_its_element() -> None:
    """A remote whose URL holds HTML stays text."""
    config = demo_config(0, "http://127.0.0.1/", LogSettings())
    config = replace(config, remote=replace(config.remote, url="http://a/?</script><script>alert(1)</script>"))
    page = FrontPage(About(config, "run", is_own=False))
    text = page._response.body.decode()
    found = re.findall(r'<script type="application/json" id="settings">(.*?)</script>', text)
    assert len(found) == 1
    assert json.loads(found[0])["remote"] == config.remote.url
    assert text.count("<script") == PAGE.count("<script")


def test_its_policy(tmp_path: Path) -> None:
    """Its own style and script alone have an effect, by their hashes. It may speak with its own origin alone, and be in no
    frame.
    """
    with service_process(tmp_path, "demo", "--port", "0", "--login-port", "0") as process:
        url = process.line_with("Open http").split()[1]
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - it is the demo's
            head, body = answer.headers, answer.read()
        assert process.line_with("GET / 200")
    policy = dict(part.strip().partition(" ")[::2] for part in head["Content-Security-Policy"].split(";"))
    for kind in ("script-src", "style-src"):
        assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy[kind])
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert head["Cache-Control"] == "no-store"
    assert head["X-Content-Type-Options"] == "nosniff"
    assert head["Cross-Origin-Resource-Policy"] == "same-origin"
    assert head["Access-Control-Allow-Origin"] is None
    assert len(body) <= BYTES_MAX


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("", 200),
        ("127.0.0.1:8888", 200),
        ("LOCALHOST:1", 200),
        ("demo.localhost", 200),
        ("[::1]:80", 200),
        ("attacker.example", 403),
        ("attacker.example:8888", 403),
        ("127.0.0.1.attacker.example", 403),
        ("localhost.attacker.example", 403),
        ("notlocalhost", 403),
    ],
)
@pytest.mark.parametrize("path", [PAGE_PATH, EVENTS_PATH])
def test_a_page_of_another_site_reads_nothing(path: str, host: str, status: int) -> None:
    """A web page whose name leads to this machine (DNS rebinding) gets neither the demo's page nor what happens in the demo."""
    about = About(demo_config(0, "http://127.0.0.1/", LogSettings()), "run", is_own=True)
    assert asked(pages(about, Ring())[path]["GET"], path, host) == status


def test_a_demo_for_everybody_has_any_name() -> None:
    """Where it listens on other addresses too, people open it by the machine's name."""
    about = About(demo_config(0, "http://127.0.0.1/", LogSettings(), host="0.0.0.0"), "run", is_own=True)  # noqa: S104
    assert asked(pages(about, Ring())[PAGE_PATH]["GET"], PAGE_PATH, "machine.example") == 200


def asked(handler: Handler, path: str, host: str) -> int:
    """Ask with a Host field, or with none. Returns the status."""
    statuses = []

    class Browser(Client):
        def respond(self, response: Response) -> None:
            statuses.append(response.status)

    head = Head(
        b"GET",
        path.encode(),
        b"after=1",
        {b"host": host.encode()} if host else {},
        minor_version=1,
        keep_alive=True,
        content_length=0,
        expects_continue=False,
    )
    assert handler.handle(Request(head, b""), Browser()) is None
    (status,) = statuses
    return status


@pytest.mark.parametrize("path", ["", "demo/events"])
def test_the_service_has_no_page(tmp_path: Path, path: str) -> None:
    """`txtoken serve` knows neither the page nor its events."""
    config = f"encKey: {KEY}\nremote: http://127.0.0.1:9/\nport: 0\nlisten: 127.0.0.1\n"
    with (
        service_process(tmp_path, "serve", config=config) as process,
        pytest.raises(urllib.error.HTTPError, match="404"),
    ):
        urllib.request.urlopen(f"http://127.0.0.1:{process.port}/{path}", timeout=PATIENCE_S)
