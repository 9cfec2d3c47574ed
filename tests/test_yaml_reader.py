"""YAML with tabs. The judges are libyaml, which takes some, and PyYAML's own scanner for texts without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.configuring import load_text, whole
from txtoken.config.yaml_reader import compose, explain

PIECES: Final = (
    *(
        "a",
        "b",
        "1",
        ":",
        ": ",
        "-",
        "- ",
        "?",
        "#",
        " #",
        "'",
        '"',
        "|",
        ">",
        "|-",
        "!!str",
        "!x",
        "&x",
        "*x",
        "[",
        "]",
    ),
    *("{", "}", ",", " ", "  ", "\n", "\n  ", "\r\n", "\u2028", "---", "...", "%YAML 1.1\n---\n", "~", "\\t"),
)
TEXTS: Final = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
WITH_TABS: Final = st.lists(st.sampled_from((*PIECES, "\t", "\t", "\t", ":\t", "\t#", "\t\n")), max_size=14).map(
    "".join
)


def shown(node: yaml.Node | None) -> object:
    """Return all that a node says, but its place."""
    if node is None:
        return None
    if isinstance(node, yaml.MappingNode):
        return node.tag, [(shown(key), shown(value)) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return node.tag, [shown(item) for item in node.value]
    return node.tag, node.value


def outcome(read: Callable[[str], Any], text: str) -> object:
    """Return what a reader makes of a text, or where it stops."""
    try:
        return shown(read(text))
    except yaml.YAMLError as error:
        return str(getattr(error, "problem_mark", "no mark"))
    except ValueError:
        return "no mark"


def by_pyyaml(text: str) -> Any:
    """Read as PyYAML does."""
    return yaml.compose(text, Loader=yaml.SafeLoader)


def by_libyaml(text: str) -> Any:
    """Read as libyaml does."""
    return yaml.compose(text, Loader=yaml.CSafeLoader)


@settings(max_examples=400)
@given(text=TEXTS)
@example(text="a:\n  b\n\n c\n")
@example(text="a: b\n---\n")
@example(text="a: b\r\n c\u2028d")
def test_without_tabs_nothing_has_changed(text: str) -> None:
    """A text without tabs means what it means to PyYAML, and ends to be YAML at the same place."""
    assert outcome(compose, text) == outcome(by_pyyaml, text)


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML comes without libyaml here")
@settings(max_examples=400)
@given(text=WITH_TABS)
@example(text="a:\tb\t# c\n")
@example(text="a: b\tc\n \td\n")
@example(text="a: |\t# c\n  \tb\n")
@example(text="a: !!str\t1")
@example(text="%YAML\t1.1\t# c\n---\t\na:\t1")
@example(text="[\ta,\tb\t]\t")
@example(text="{a:\n\tb}")
def test_tabs_that_libyaml_takes_are_taken(text: str) -> None:
    """What libyaml reads is read alike, unless both differ about the same text with blanks in place of the tabs."""
    theirs = outcome(by_libyaml, text)
    if not isinstance(theirs, str) and outcome(by_libyaml, text.replace("\t", " ")) == outcome(
        by_pyyaml, text.replace("\t", " ")
    ):
        assert outcome(compose, text) == theirs


def test_tabs_in_a_configuration(tmp_path: Any) -> None:
    """Tabs after a colon, before a comment and at the end of a line are blanks, and are no part of a value."""
    config = load_text(
        tmp_path,
        whole(
            "port:\t9000\t# behind a tab\nlisten:\t[\t127.0.0.1,\t'::1'\t]\t\nlimits:\t\n  waiting:\t7\t\ndebug: \ttrue\n"
        ),
    )
    assert (config.process.port, config.process.addresses, config.remote.waiting, config.log.debug) == (
        9000,
        ("127.0.0.1", "::1"),
        7,
        True,
    )


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: 1\n\tb: 2\n", 2, 1),
        ("a:\n\tb: 1\n", 2, 1),
        ("a:\n  \tb: 1\n", 2, 3),
        ("a:\n  b: 1\n\tc: 2\n", 3, 1),
        ("- a\n-\tb: 1\n", 2, 2),
        ("a: |\n\ttext\n", 2, 1),
        ("a: b\n\n\tc\n", 3, 1),
    ],
)
def test_a_tab_as_indentation(text: str, line: int, column: int) -> None:
    """A tab that indents is an error that says so, with its line and its column."""
    with pytest.raises(yaml.YAMLError) as caught:
        compose(text)
    why = f"is not valid YAML from column {column}: a tab is used as indentation, which has to be spaces"
    assert explain(caught.value, text) == (line, why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("port: 1\nsecret\nremote: x\n", "is not valid YAML from column 1: could not find expected ':'"),
        ("listen: [secret\nport: 1\n", "is not valid YAML from column 5: expected ',' or ']'"),
        ("a: {b: c\nsecret: 1]\n", "is not valid YAML from column 7: expected ',' or '}'"),
        ('encKey: "secret\\zzz"\n', "is not valid YAML from column 17: found unknown escape character …"),
        ("encKey: *secret\n", "is not valid YAML from column 9: found undefined alias …"),
    ],
)
def test_what_is_expected_is_said(text: str, why: str) -> None:
    """An error says what YAML expects there, and quotes nothing of the text."""
    with pytest.raises(yaml.YAMLError) as caught:
        compose(text)
    assert explain(caught.value, text)[1] == why
