"""docs/reference/ beside what else says the same: docs/openapi.yml, whose examples are tested, and the code's own tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from tests.docs.pages import ROOT, read
from txtoken.cli import exit_codes
from txtoken.config.table import KEYS

ROUTES: Final = read(ROOT / "docs" / "reference" / "routes.md")
API: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docs" / "openapi.yml").read_text())


def values(node: object, name: str) -> Iterator[str]:
    """Find every text of this name in the examples."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "value" and isinstance(value, dict) and isinstance(value.get(name), str):
                yield value[name]
            yield from values(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from values(item, name)


def test_every_route_is_named() -> None:
    """Each path of docs/openapi.yml stands in the table of routes, with each of its methods."""
    rows = re.findall(r"^\| (`/.*?) \| (.*?) \|", ROUTES, re.MULTILINE)
    for path, operations in API["paths"].items():
        methods = {name.upper() for name in operations if name in ("get", "post", "put", "delete")}
        (named,) = (methods_of for paths, methods_of in rows if f"`{path}`" in paths)
        assert named == "any" or methods <= set(named.split(", "))


def test_every_message_is_named() -> None:
    """What a login or a check can be answered with is in the page, by the examples of docs/openapi.yml."""
    messages = {message for path in ("/getToken", "/checkToken") for message in values(API["paths"][path], "message")}
    errors = set(values(API["paths"]["/checkToken"], "error"))
    assert len(messages) >= 6
    assert [text for text in messages | errors if f"`{text}`" not in ROUTES] == []


def test_quoted_messages_exist() -> None:
    """A message of the log that a guide quotes is one of the service's own."""
    source = "".join(file.read_text() for file in (ROOT / "txtoken").rglob("*.py"))
    for page in (ROOT / "docs" / "how-to").glob("*.md"):
        text = " ".join(read(page).split())
        quoted = re.findall(r'"message": "([^"{}]+)"', text) + re.findall(r"`((?:the|a|an) [^`]{20,})`", text)
        assert [message for message in quoted if message not in source] == [], page


def test_exit_codes() -> None:
    """The table of exit codes is that of the code."""
    page = read(ROOT / "docs" / "reference" / "life-cycle.md")
    written = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert written == {value for name, value in vars(exit_codes).items() if name.isupper()}


def test_what_wants_a_restart() -> None:
    """The keys that a running service does not take over are named, and no others."""
    page = read(ROOT / "docs" / "reference" / "life-cycle.md")
    (line,) = re.findall(r"^- (.*) need a restart\.$", page, re.MULTILINE)
    keys = {key.name for key in KEYS if key.wants_restart}
    keys |= {item.name for key in KEYS for item in key.items if item.wants_restart}
    assert set(re.findall(r"`([^`]+)`", line)) == keys
