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
from txtoken.demo.front_page import About, FrontPage
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


@pytest.mark.parametrize("path", ["", "demo/events"])
def test_the_service_has_no_page(tmp_path: Path, path: str) -> None:
    """`txtoken serve` knows neither the page nor its events."""
    config = f"encKey: {KEY}\nremote: http://127.0.0.1:9/\nport: 0\nlisten: 127.0.0.1\n"
    with (
        service_process(tmp_path, "serve", config=config) as process,
        pytest.raises(urllib.error.HTTPError, match="404"),
    ):
        urllib.request.urlopen(f"http://127.0.0.1:{process.port}/{path}", timeout=PATIENCE_S)
