"""Trees of YAML as JSON, and what is refused of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.test_values import node, refused
from txtoken.config.trees import read_tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        ("a: 1", {"a": 1}),
        ("a: {b: [1, 2.5, true, ~, x, '1', \"yes\"]}", {"a": {"b": [1, 2.5, True, None, "x", "1", "yes"]}}),
        ("a: yes\nb: off", {"a": True, "b": False}),
        ("a: 0x1F\nb: 1_000\nc: 1.5e+3", {"a": 31, "b": 1000, "c": 1500.0}),
        ("a: 2018-01-02", {"a": "2018-01-02"}),
        ("1: a\ntrue: b\n~: c", {"1": "a", "true": "b", "~": "c"}),
        ("a: &x {y: 1}\nb: *x", {"a": {"y": 1}, "b": {"y": 1}}),
        ("a: &x {y: 1, z: 1}\nb: {<<: *x, z: 2}", {"a": {"y": 1, "z": 1}, "b": {"y": 1, "z": 2}}),
        ("b: {<<: [{y: 1}, {y: 2, z: 3}]}", {"b": {"y": 1, "z": 3}}),
        ("[1]", [1]),
        ("5", 5),
        ("~", None),
        ("'{\"a\": 1}'", {"a": 1}),
        ("'[1, \"x\"]'", [1, "x"]),
        ("'\"text\"'", "text"),
        ("'{\"a\": 123456789012345678901234567890}'", {"a": 123456789012345678901234567890}),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_tree_becomes_json(text: str, value: Any) -> None:
    """Any YAML tree, and a string that holds JSON, comes out as the compact JSON of the same value."""
    written = read_tree(node(text))
    assert json.loads(written) == value
    assert b" " not in written


def test_tree_keeps_the_order_of_members_and_writes_utf8() -> None:
    """Members stand in the order of the file, and letters are not escaped."""
    assert read_tree(node("b: 1\na: ü\nc: 3")) == '{"b":1,"a":"ü","c":3}'.encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("plain text", "is not JSON"),
        ("''", "is not JSON"),
        ("'{\"a\": }'", "is not JSON"),
        ("'NaN'", "is not JSON"),
        ("a: .nan", "number that JSON cannot express"),
        ("a: -.inf", "number that JSON cannot express"),
        ("a: !!binary aGk=", "tag"),
        ("a: !!set {x}", "tag"),
        ("a: !mine x", "tag"),
        ("a: !!python/tuple [1]", "tag"),
        ("a: !!python/object/apply:os.system [ls]", "tag"),
        ("a: !!int x", "malformed value"),
        ("a: !!float ''", "malformed value"),
        ("a: !!bool maybe", "malformed value"),
        (f"a: {'9' * 5000}", "malformed value"),
        ("a: 1\na: 2", "contains a member twice"),
        ("? [a]\n: 1", "one value"),
        ("&a [*a]", "nested deeper than 100 levels"),
        ("&a {x: *a}", "nested deeper than 100 levels"),
        ("&a {<<: *a}", "nested deeper than 100 levels"),
        ("{<<: 5}", "merges (<<) something that is not a section"),
        ('a: "\\ud800"', "UTF-8"),
        ("[" * 102 + "]" * 102, "nested deeper than 100 levels"),
        ("'" + "[" * 102 + "]" * 102 + "'", "nested deeper than 100 levels"),
        ("[" + "1," * 10_000 + "]", "contains more than 10000 values"),
    ],
)
def test_tree_is_refused(text: str, why: str) -> None:
    """What JSON cannot say, or a token should not carry, is refused as what it is."""
    assert why in str(refused(read_tree, node(text)))


@pytest.mark.parametrize("quote", ["", "'"])
def test_tree_of_the_greatest_depth_is_taken(quote: str) -> None:
    """A hundred levels are allowed, in YAML as in JSON."""
    text = "[" * 100 + "]" * 100
    assert read_tree(node(f"{quote}{text}{quote}")) == text.encode()


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(
            [
                f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
                for before, name in zip("abcdef", "bcdefg", strict=True)
            ]
        ),
        f"k: [{', '.join(['*a'] * 5000)}]",
        f"k: [{', '.join(['{*a : 1}'] * 3000)}]",
    ],
    ids=["lists of lists", "one long text often", "one long name often"],
)
def test_small_file_does_not_become_a_huge_token(text: str) -> None:
    """Aliases count each time they stand, by number and by length."""
    told = str(refused(read_tree, node(f"a: &a {'x' * 5000}\n{text}")))
    assert told == "contains more than 10000 values, or too much text"


def test_long_text_is_taken_once() -> None:
    """A text of half a megabyte may stand in a tree: only many of them are too much."""
    assert len(read_tree(node(f"a: {'x' * 500_000}"))) == 500_008
