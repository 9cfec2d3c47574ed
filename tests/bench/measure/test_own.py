"""Services that somebody brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.load.routes import CONTRACT, LOGIN, Routes
from bench.measure.own import services_of

FILE = """
peers:
  mine:
    command: ./serve --port {port} 'two words'
    login: {path: /oauth/token, method: PUT, body: user=ada, type: application/x-www-form-urlencoded, token: /access/0}
    check: {path: /me, method: POST, header: 'X-Token: {token}', status: 204, refused: 403}
  other: {command: other, contract: true}
"""


def test_a_pair_and_paths() -> None:
    """A command is split as a shell would, and the routes are its own."""
    found = services_of(["mine=./serve --name 'two words'"], None, login_path="/login", check_path="/me")
    mine = found["mine"]
    assert mine.command == ("./serve", "--name", "two words")
    assert mine.routes == Routes(login_path="/login", check_path="/me", is_contract=False)
    assert mine.routes.login_body == LOGIN


def test_the_original_has_the_routes_of_the_contract() -> None:
    """Paths are for the others: the original's are in its configuration."""
    found = services_of(["go=./txtoken", "mine=x"], None, login_path="/login")
    assert found["go"].routes == CONTRACT
    assert found["mine"].routes.login_path == "/login"


def test_a_file(tmp_path: Path) -> None:
    """A file can say everything of a service."""
    file = tmp_path / "peers.yml"
    file.write_text(FILE)
    found = services_of([], file)
    assert found["mine"].command == ("./serve", "--port", "{port}", "two words")
    assert found["mine"].routes == Routes(
        login_path="/oauth/token",
        login_method="PUT",
        login_body="user=ada",
        login_type="application/x-www-form-urlencoded",
        token_at="/access/0",
        check_path="/me",
        check_method="POST",
        check_header="X-Token: {token}",
        check_status=204,
        refused_status=403,
        is_contract=False,
    )
    assert found["mine"].routes.header_name == "X-Token"
    assert found["mine"].routes.header_value == "{token}"
    assert found["other"].routes == CONTRACT


@pytest.mark.parametrize(
    ("pairs", "paths", "words"),
    [
        (["mine"], {}, "needs NAME=COMMAND"),
        (["mine="], {}, "needs NAME=COMMAND"),
        (["mine= "], {}, "the command is empty"),
        (["mine='"], {}, "the command cannot be read"),
        (["a b=x"], {}, "is no name"),
        (["hello=x"], {}, "there is a service hello already"),
        (["mine=x", "mine=y"], {}, "there is a service mine already"),
        ([], {"login_path": "/x"}, "which is missing"),
        ([], {"check_path": "/x"}, "which is missing"),
        (["mine=x"], {"login_path": "x"}, "--login-path: a path like /login, not 'x'"),
        (["mine=x"], {"check_path": "/x y"}, "--check-path: a path like /login"),
    ],
)
def test_wrong_arguments(pairs: list[str], paths: dict[str, str], words: str) -> None:
    """The error says what is wrong and what is needed."""
    with pytest.raises(BenchError, match=words):
        services_of(pairs, None, **paths)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("peers: [", "is not YAML"),
        ("other: {}", "a section `peers`"),
        ("peers: [mine]", "a section `peers`"),
        ("peers: {mine: x}", "a section `peers`"),
        ("[]", "a section `peers`"),
        ("peers: {mine: {}}", "mine.command: a text is needed"),
        ("peers: {mine: {command: x, pot: 1}}", "there is no key pot; there are check, command, contract, login"),
        ("peers: {mine: {command: x, login: /x}}", "mine.login: a section"),
        ("peers: {mine: {command: x, login: {url: /x}}}", "mine.login: there is no key url"),
        ("peers: {mine: {command: x, login: {path: x}}}", "mine.login.path: a path like /login"),
        ("peers: {mine: {command: x, login: {token: x}}}", "mine.login.token: a JSON Pointer"),
        ("peers: {mine: {command: x, login: {body: {a: 1}}}}", "mine.login.body: a text"),
        ("peers: {mine: {command: x, check: {status: '200'}}}", "mine.check.status: a number"),
        ("peers: {mine: {command: x, check: {status: true}}}", "mine.check.status: a number"),
        ("peers: {mine: {command: x, check: {header: 'X: y'}}}", "mine.check.header: a header field with {token}"),
        ("peers: {mine: {command: x, check: {header: '{token}'}}}", "mine.check.header: a header field"),
        ("peers: {mine: {command: x, contract: yes please}}", "mine.contract: true or false"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, words: str) -> None:
    """The error names the file and the key."""
    file = tmp_path / "peers.yml"
    file.write_text(text)
    with pytest.raises(BenchError, match=words) as caught:
        services_of([], file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is an error, too."""
    with pytest.raises(BenchError, match=r"peers\.yml cannot be read"):
        services_of([], tmp_path / "peers.yml")
