"""What a valid token has to say (contract §3.5 `require`)."""

from __future__ import annotations

import json

import pytest

from tests.costs import cost_s
from txtoken.service.requirement import OTHERS_LOOKED_AT, Required, Requirement


def holds(claims: object, *required: tuple[str, list[object]]) -> bool:
    """Whether claims fulfil a requirement."""
    require = tuple((pointer, tuple(json.dumps(value).encode() for value in values)) for pointer, values in required)
    return Requirement(require).holds(claims)


@pytest.mark.parametrize(
    ("values", "good", "bad"),
    [
        (
            ["admin"],
            ["admin", ["admin"], ["x", "admin"]],
            ["Admin", "admins", "", None, True, 1, {}, ["x"], [["admin"]]],
        ),
        (["a", "b"], ["a", "b", ["b"], ["c", "a"]], ["ab", "c", [], ["a b"], {"a": "b"}]),
        ([1], [1, 1.0, [1], [2, 1.0]], ["1", True, [True], ["1"], 2, None, 1.5]),
        ([True], [True, [True]], [1, "true", False, None, [1]]),
        ([False], [False, [0, False]], [0, "", None, []]),
        ([0], [0, 0.0, -0.0], [False, None, ""]),
        ([None], [None], [False, 0, "", [], [None], {}, "null"]),
        ([{"a": 1}], [{"a": 1}, {"a": 1.0}, [{"a": 1}]], [{"a": True}, {"a": 1, "b": 2}, {}, "a"]),
        ([["a"]], [["a"], [["a"]], ["x", ["a"]]], ["a", ["b"], [[]]]),
        ([""], ["", [""]], [None, [], " "]),
        ([12345678901234567890], [12345678901234567890], ["12345678901234567890"]),
        (["admin", None, 3], ["admin", None, 3, ["x", 3]], ["x", 4, [None]]),
    ],
)
def test_values(values: list[object], good: list[object], bad: list[object]) -> None:
    """A claim is one of the values or a list that holds one, as JSON values are equal. No text is looked into."""
    for claim in good:
        assert holds({"data": {"v": claim}}, ("/data/v", values)), claim
    for claim in bad:
        assert not holds({"data": {"v": claim}}, ("/data/v", values)), claim


def test_missing_claims() -> None:
    """A claim that is not there is null, and nothing else."""
    assert not holds({}, ("/data/v", ["a"]))
    assert holds({}, ("/data/v", [None]))
    assert not holds({"data": "text"}, ("/data/v/w", ["a"]))
    assert holds({"data": ["a", {"b": "c"}]}, ("/data/1/b", ["c"]))


def test_all_have_to_hold() -> None:
    """Of several pointers each has to lead to what it asks for."""
    both: tuple[tuple[str, list[object]], ...] = (("/a", [1]), ("/b", [2]))
    assert holds({"a": 1, "b": 2}, *both)
    assert not holds({"a": 1}, *both)
    assert not holds({"b": 2}, *both)


def test_the_whole_of_the_claims() -> None:
    """The pointer "" is all claims."""
    assert holds({"a": 1}, ("", [{"a": 1}]))
    assert not holds({"a": 1, "exp": 2}, ("", [{"a": 1}]))


@pytest.mark.parametrize("claim", [[{"a": n} for n in range(3000)], [[n] for n in range(3000)], ["x"] * 8000])
def test_no_claim_is_slow_to_look_through(claim: list[object]) -> None:
    """What fills a token takes a few milliseconds to compare with all that can be asked for, and of objects and lists no more
    than the first thousand is looked at.
    """
    values: list[object] = [{"a": -n} for n in range(1, 9)]
    assert holds({"v": [*claim[:900], {"a": -1}]}, ("/v", values))
    required = Required("/v", tuple(json.dumps(value).encode() for value in values))
    assert cost_s(lambda: required.holds({"v": claim})) < 0.01


def test_objects_beyond_a_thousand_are_not_found() -> None:
    """A requirement is never fulfilled by what was not looked at; texts and numbers are looked at all."""
    many: list[object] = [{"b": n} for n in range(OTHERS_LOOKED_AT)]
    assert not holds({"v": [*many, {"a": 1}]}, ("/v", [{"a": 1}]))
    assert holds({"v": [*many[1:], {"a": 1}]}, ("/v", [{"a": 1}]))
    assert holds({"v": [*many, "x"]}, ("/v", ["x"]))
