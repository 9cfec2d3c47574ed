"""Lists of sections, and what is read of one (contract §1.2 `keys`): where each value came from, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.configuring import KEY, OTHER_KEY, REMOTE, dump, failure, load_text, told
from tests.service.keys.material import jwk, pair, pem
from txtoken.config import yaml_reader
from txtoken.config.reader import Given, Reader, Section
from txtoken.config.table import BY_NAME, ENTRY, ROTATION
from txtoken.errors import ConfigError

NAMES: Final = sorted({key.name.rpartition(".")[2] for key in (*ENTRY, *ROTATION)})


def read(text: str) -> tuple[Reader, Any]:
    """Read the value of `keys` in a file."""
    reader = Reader("cfg.yml")
    node = yaml_reader.compose(text)
    assert isinstance(node, yaml.MappingNode)
    ((name, value),) = node.value
    reader.give("keys", Given(value, "file", f"cfg.yml, line {name.start_mark.line + 1}", name.start_mark.line + 1))
    return reader, reader.value("keys")


def problems(reader: Reader) -> list[str]:
    """Return what is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        reader.raise_problems()
    return [str(problem) for problem in caught.value.problems]


def test_a_list_of_sections() -> None:
    """Each section has its values by their own names, the defaults of the rest, and the line where it begins."""
    _, sections = read("# one\nkeys:\n  - alg: ES256\n    kid: a\n  - {alg: HS256, secret: x}\n")
    assert [type(section) for section in sections] == [Section, Section]
    first, second = sections
    assert (first.values["alg"], first.values["kid"], first.values["until"]) == ("ES256", "a", None)
    assert set(first.values) == {key.name.rpartition(".")[2] for key in ENTRY}
    assert (first.line, second.line, first.where) == (3, 5, "cfg.yml, line 3")
    assert [(name, given.line) for name, given in first.given.items()] == [("alg", 3), ("kid", 4)]
    assert first.is_whole


def test_one_section_alone() -> None:
    """A section in place of the list has keys of its own."""
    _, section = read("keys:\n  alg: EdDSA\n  every: 24h\n")
    assert isinstance(section, Section)
    assert set(section.values) == {key.name.rpartition(".")[2] for key in ROTATION}
    assert section.values["every"] == 86_400


def test_what_is_empty_is_absent() -> None:
    """A name without a value counts as not given."""
    _, (section,) = read("keys: [{alg: ES256, kid: , until: ~}]")
    assert set(section.given) == {"alg"}
    assert section.is_whole


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("keys:\n- {alg: ES256, algo: x}", "cfg.yml, line 2: keys.algo: is not a known key: did you mean alg?"),
        (
            "keys:\n- alg: ES256\n  KeyFile: x",
            "cfg.yml, line 3: keys.KeyFile: is not a known key: did you mean keyFile?",
        ),
        (
            "keys:\n- alg: ES256\n  alg: ES256",
            "cfg.yml, line 3: keys.alg: is already set in this section: keep one of them",
        ),
        ("keys:\n- alg: ES256\n  ? [a]\n  : x", "cfg.yml, line 3: ?: is not a known key"),
        (f"keys:\n- {{alg: ES256, {KEY}: x}}", "cfg.yml, line 2: ?: is not a known key"),
        (f"keys:\n- {{alg: ES256, secret:{KEY}}}", "cfg.yml, line 2: ?: is not a known key"),
        ("keys:\n- x", "cfg.yml, line 2: keys: has to be a section of `key: value` lines"),
        ("keys: [{alg: ES256}, {algo: x}]", "cfg.yml, line 1, entry 2: keys.algo: is not a known key"),
        ("keys: [{alg: ES256}, {alg: x}]", "cfg.yml, line 1, entry 2: keys.alg: has to be HS256 or"),
        ("keys: [{alg: ES256},\n {alg: x}]", "cfg.yml, line 2: keys.alg: has to be HS256 or"),
        ("keys: [{alg: ES256}, x]", "cfg.yml, line 1, entry 2: keys: has to be a section"),
        ("keys:\n-\n- []", "cfg.yml, line 2: keys: has to be a section of `key: value` lines"),
        ("keys: x", "cfg.yml, line 1: keys: has to be a list of sections, or one section"),
        ("keys:\n  every: 1s", "cfg.yml, line 2: keys.every: has to be a time from 10 to 31622400 seconds"),
        ("keys:\n- kid:\n  - a", "cfg.yml, line "),
    ],
)
def test_what_is_wrong(text: str, problem: str) -> None:
    """A problem has the line of the value within its section, and its name where that is no secret."""
    reader, value = read(text)
    assert problems(reader)[0].startswith(problem)
    for section in value if isinstance(value, list) else [value] if isinstance(value, Section) else []:
        assert isinstance(section, Section)
    assert KEY not in "".join(problems(reader))


@pytest.mark.parametrize("text", ["[{}, {algo: x}, y]", "- alg: ES256\n- algo: x\n- y"])
def test_what_is_wrong_in_the_environment(text: str) -> None:
    """There are no lines: a problem has the number of the entry."""
    reader = Reader("cfg.yml")
    reader.read_environment({"TXTOKEN_KEYS": text})
    reader.value("keys")
    first, second = problems(reader)
    assert first.startswith("environment TXTOKEN_KEYS, entry 2: keys.algo: is not a known key")
    assert second.startswith("environment TXTOKEN_KEYS, entry 3: keys: has to be a section")


def test_all_files_are_named() -> None:
    """The files of every section are watched for change, those of a list too."""
    assert read("keys: [{secretFile: /a}, {keyFile: /b}]")[0].other_files() == ["/a", "/b"]
    assert read("keys: {secretFile: [/a, /b]}")[0].other_files() == ["/a", "/b"]


def test_complaints_of_a_section() -> None:
    """What is wrong with a value that is not there stands at the section, what is wrong with one that is at its line."""
    reader, (section,) = read("keys:\n- alg: ES256\n  kid: a")
    reader.complain_in(section, "keys", "kid", "is wrong")
    reader.complain_in(section, "keys", "keyFile", "is missing")
    reader.complain_in(section, "keys", "", "is wrong as a whole")
    assert problems(reader) == [
        "cfg.yml, line 2: keys.keyFile: is missing",
        "cfg.yml, line 2: keys: is wrong as a whole",
        "cfg.yml, line 3: keys.kid: is wrong",
    ]


def test_no_key_of_a_section_stands_alone() -> None:
    """Keys of a list's sections are neither keys of the file nor variables of their own."""
    assert not {key.name for key in (*ENTRY, *ROTATION)} & set(BY_NAME)


# Nothing leaks

SECRETS: Final = (KEY, OTHER_KEY[:31])
SHAPES: Final[list[Callable[[str], str]]] = [
    lambda text: text,
    lambda text: f"[{text}]",
    lambda text: f"[[{text}]]",
    lambda text: f"{{{text}: {text}}}",
    lambda text: f"!x {text}",
    lambda text: f"*{text}",
    lambda text: f"&{text} 1",
    lambda text: f"'{text}",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("alone", [False, True], ids=["list", "section"])
def test_no_mistake_shows_a_secret(tmp_path: Path, name: str, alone: bool) -> None:
    """Wherever a secret ends up in a keyset by mistake, the error that follows does not show it, whatever it is read from."""
    for secret in SECRETS:
        for shape in SHAPES:
            section = f"{{alg: ES512, {name}: {shape(secret)}}}"
            text = section if alone else f"[{section}]"
            if name == "alg":
                text = text.replace("alg: ES512, ", "")
            for error in (
                failure(tmp_path, f"remote: {REMOTE}\nport: x\nkeys: {text}"),
                failure(tmp_path, f"remote: {REMOTE}\nport: x", {"TXTOKEN_KEYS": text}),
                failure(tmp_path, f"remote: {REMOTE}\nport: x", {}, {"keys": text}),
            ):
                assert secret[:12] not in dump(error)


def test_no_name_shows_a_secret(tmp_path: Path) -> None:
    """A secret that stands where a name should is not shown either."""
    for text in (
        f"{{{KEY}: x}}",
        f"[{{{KEY}: x}}]",
        f"[{{secret:{KEY}}}]",
        f"[{KEY}]",
        f"[[{KEY}]]",
        f"[? {KEY}]",
        f"[&{KEY} a]",
    ):
        for error in (
            failure(tmp_path, f"remote: {REMOTE}\nport: x\nkeys: {text}"),
            failure(tmp_path, f"remote: {REMOTE}\nport: x", {"TXTOKEN_KEYS": text}),
        ):
            assert KEY[:12] not in dump(error)


# Anything at all

ANY: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["ES256", "HS256", KEY, "24h", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.lists(ANY, max_size=3) | ANY)
def test_any_keyset_is_a_configuration_or_an_error(tmp_path: Path, value: object) -> None:
    """Whatever stands in `keys`, in the file or in the environment, loading ends in a configuration or in a ConfigError."""
    (tmp_path / "key.pem").write_bytes(pem(pair("ES256")))
    text = json.dumps(value)
    private = jwk(pair("ES256"))["d"]
    files: list[tuple[str, dict[str, str]]] = [(f"keys: {text}", {}), ("port: 1", {"TXTOKEN_KEYS": text})]
    for more, environ in files:
        error = error_of(tmp_path, f"remote: {REMOTE}\nencKey: {KEY}\n{more}", environ)
        assert error is None or (told(tmp_path, error) and private not in dump(error))


def error_of(folder: Path, text: str, environ: dict[str, str]) -> ConfigError | None:
    """Return the error that loading ends with, if it does."""
    try:
        load_text(folder, text, environ)
    except ConfigError as error:
        return error
    return None
