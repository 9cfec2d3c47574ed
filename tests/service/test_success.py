"""Which replies `successWhen` agrees with (contract §1.2), as JSON values."""

from __future__ import annotations

import json

import pytest

from txtoken.service.success import Success, are_equal

REPLY = json.loads(
    b'{"success":true,"errors":null,"n":1,"f":1.0,"s":"1","list":[{"id":7},[],null],"empty":{},"a/b":1,"m~n":2,'
    b'"~1":3,"":{"":4},"0":"zero","data":{"0":"named"},"huge":12345678901234567890123}'
)


@pytest.mark.parametrize(
    ("pointer", "value", "agrees"),
    [
        ("/success", b"true", True),
        ("/success", b"1", False),
        ("/success", b'"true"', False),
        ("/success", b"false", False),
        ("/success", b"null", False),
        ("/errors", b"null", True),
        ("/errors", b"false", False),
        ("/errors", b"[]", False),
        ("/nowhere", b"null", True),
        ("/nowhere/deeper", b"null", True),
        ("/errors/deeper", b"null", True),
        ("/n/deeper", b"null", True),
        ("/nowhere", b'""', False),
        ("/n", b"1", True),
        ("/n", b"1.0", True),
        ("/f", b"1", True),
        ("/n", b"true", False),
        ("/n", b'"1"', False),
        ("/s", b"1", False),
        ("/s", b'"1"', True),
        ("/list/0/id", b"7", True),
        ("/list/0", b'{"id":7.0}', True),
        ("/list/0", b'{"id":true}', False),
        ("/list/0", b'{"id":7,"x":null}', False),
        ("/list/1", b"[]", True),
        ("/list/1", b"{}", False),
        ("/list/2", b"null", True),
        ("/list/3", b"null", True),
        ("/list/3", b"7", False),
        ("/list/-", b"null", True),
        ("/list/-", b"7", False),
        ("/list/00", b'{"id":7}', False),
        ("/list/+0", b'{"id":7}', False),
        ("/list/-1", b"null", True),
        ("/list/-3/id", b"7", False),
        ("/list/\u0660", b'{"id":7}', False),
        ("/list/99999999999999999999", b"null", True),
        ("/list/id", b"7", False),
        ("/empty", b"{}", True),
        ("/empty", b"[]", False),
        ("/a~1b", b"1", True),
        ("/m~0n", b"2", True),
        ("/~01", b"3", True),
        ("//", b"4", True),
        ("/0", b'"zero"', True),
        ("/data/0", b'"named"', True),
        ("", b"{}", False),
    ],
)
def test_a_member(pointer: str, value: bytes, *, agrees: bool) -> None:
    """A pointer finds what RFC 6901 says, and what it finds is compared as JSON."""
    assert Success(((pointer, value),)).agrees(REPLY) is agrees


def test_the_whole_reply() -> None:
    """The empty pointer is the reply itself; the order of members means nothing."""
    assert Success((("", b'{"b":[1,2],"a":1}'),)).agrees({"a": 1, "b": [1, 2]})
    assert not Success((("", b'{"b":[2,1],"a":1}'),)).agrees({"a": 1, "b": [1, 2]})


def test_all_have_to_agree() -> None:
    """One member that does not agree is enough."""
    good = ("/success", b"true"), ("/errors", b"null")
    assert Success(good).agrees(REPLY)
    assert not Success((*good, ("/n", b"2"))).agrees(REPLY)


@pytest.mark.parametrize(
    "one", [0, 1, 0.0, 1.0, True, False, None, "", "1", [], {}, [0], [False], {"a": 1}, {"a": True}]
)
def test_a_value_equals_itself_alone(one: object) -> None:
    """Two values are equal when they are written the same, numbers when they are the same number."""
    for other in (0, 1, True, False, None, "", "1", [], {}, [0], [False], {"a": 1}, {"a": True}):
        same_number = not isinstance(one, bool) and isinstance(one, float) and json.dumps(int(one)) == json.dumps(other)
        assert are_equal(one, other) is are_equal(other, one) is (json.dumps(one) == json.dumps(other) or same_number)
