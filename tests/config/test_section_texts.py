"""A whole section in one variable, or in one `--set`: JSON of some of its keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.configuring import KEY, failure, load_text, told, whole
from txtoken.config.read import load
from txtoken.config.table import BY_VARIABLE, SECTION_BY_VARIABLE, SECTIONS


def test_every_section_has_a_variable() -> None:
    """Each section has one, and none is a key's."""
    assert {*SECTION_BY_VARIABLE.values()} == {*SECTIONS}
    assert not {*SECTION_BY_VARIABLE} & {*BY_VARIABLE}


def test_a_section_sets_the_keys_that_it_holds(tmp_path: Path) -> None:
    """These count more than the file's, the others stay as they are there, and null is absent."""
    text = whole("limits:\n  bodyBytes: 1KiB\n  waiting: 7\n  headerCount: 9\n")
    config = load_text(tmp_path, text, {"TXTOKEN_LIMITS": '{"bodyBytes": "1MB", "headerCount": 8, "waiting": null}'})
    assert (config.limits.body_bytes, config.limits.header_count, config.remote.waiting) == (1_000_000, 8, 7)


def test_a_section_and_single_keys(tmp_path: Path) -> None:
    """Variables of single keys go with that of their section, as long as no key is set by both."""
    environ = {"TXTOKEN_LIMITS": '{"bodyBytes": "1Mi"}', "TXTOKEN_LIMITS_WAITING": "3"}
    config = load_text(tmp_path, whole(""), environ, {"limits": '{"headerCount": 5}'})
    assert (config.limits.body_bytes, config.limits.header_count, config.remote.waiting) == (1_048_576, 5, 3)
    for order in (1, -1):
        pairs = [("TXTOKEN_LIMITS", '{"waiting": 2}'), ("TXTOKEN_LIMITS_WAITING", "3")][::order]
        (problem,) = told(tmp_path, failure(tmp_path, whole(""), dict(pairs)))
        (first, _), (second, _) = pairs
        assert (
            problem == f"environment {second}: limits.waiting: is already set by environment {first}: keep one of them"
        )


def test_a_section_that_switches_something_on(tmp_path: Path) -> None:
    """An empty section is there, as in the file; null, and no text, are not."""
    assert load_text(tmp_path, whole(""), {"TXTOKEN_REFRESH": "{}"}).refresh.route == "/refreshToken"
    for text in ("null", "", "~"):
        assert load_text(tmp_path, whole(""), {"TXTOKEN_REFRESH": text}).refresh.route is None
    assert load_text(tmp_path, whole(""), {"TXTOKEN_THROTTLE": "{field: /user}"}).throttle is not None


def test_lists_of_sections(tmp_path: Path) -> None:
    """Keys that are lists of sections take JSON, too."""
    environ = {
        "TXTOKEN_FORWARD_AUTH": '[{"route": "/a"}, {"route": "/b", "cache": "5s"}]',
        "TXTOKEN_KEYS": f'[{{"alg": "HS256", "kid": "a", "secret": "{KEY}"}}]',
    }
    config = load_text(tmp_path, whole(""), environ)
    assert [(section.route, section.cache_s) for section in config.forward_auth] == [("/a", 0), ("/b", 5)]
    assert [entry.kid for entry in config.keys.entries] == ["a"]


def test_the_environment_alone() -> None:
    """No file is needed for it."""
    environ = {"TXTOKEN_ENC_KEY": KEY, "TXTOKEN_REMOTE": "http://h/", "TXTOKEN_CLAIMS": '{"iss": "me", "iat": true}'}
    config = load(None, environ, default_path="")
    assert (config.issue.issuer, config.issue.has_iat) == ("me", True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("debug", 'log: has to be a JSON object, for example {"access": true}'),
        ("[]", 'log: has to be a JSON object, for example {"access": true}'),
        ('{"level":', 'log: has to be a JSON object, for example {"access": true}'),
        ('{"level": "loud"}', "log.level: has to be debug or info or warning or error"),
        ('{"levle": "info"}', "log.levle: is not a known key: did you mean log.level?"),
        ('{"level": "info", "level": "debug"}', "log.level: is already set there: keep one of them"),
        (f'{{"{KEY}": 1}}', "?: is not a known key"),
        ('{"log": {"level": "info"}}', "log.log: is not a known key"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    """An error names the variable, the key, and what to do; a text that may be a secret is not shown."""
    (problem,) = told(tmp_path, failure(tmp_path, whole(""), {"TXTOKEN_LOG": text}))
    assert problem.startswith(f"environment TXTOKEN_LOG: {said}")
    assert KEY not in problem
    (problem,) = told(tmp_path, failure(tmp_path, whole(""), {}, {"log": text}))
    assert problem.startswith(f"--set: {said}")
