"""JSON as text: what is JSON, what a token can carry, how it is written, and what it costs to find out."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs import cost_s
from tests.service.tokens.json_values import JSON_OBJECTS
from tests.service.tokens.plain import KEY, ring, verifier
from tests.service.tokens.signing import NOW
from txtoken.service.tokens.compact import UnusableJson, compact_object, is_json, read_object
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.settings import IssueSettings

# What a token can carry


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (b"{}", b"{}"),
        (b' {\n"b" : 1, "a":[ 1,2 ]}\t', b'{"b":1,"a":[1,2]}'),
        (b'{"a":1,"b":2,"a":3}', b'{"a":3,"b":2}'),
        (b'{"a":9007199254740993}', b'{"a":9007199254740993}'),
        (b'{"a": 18446744073709551616}', b'{"a":18446744073709551616}'),
        (b'{"a":-123456789012345678901234567890}', b'{"a":-123456789012345678901234567890}'),
        (b'{"a":%b}' % (b"9" * 5000), b'{"a":%b}' % (b"9" * 5000)),
        (b'{"a":0.1000000000000000055511151231257827}', b'{"a":0.1000000000000000055511151231257827}'),
        (b'{"a":1e100}', b'{"a":1e100}'),
        (b'{"a": 1.50}', b'{"a":1.5}'),
        (b'{"n":%b, "a":1.50}' % (b"9" * 400), b'{"n":%b,"a":1.50}' % (b"9" * 400)),
        (b'{"a":"9007199254740993"}', b'{"a":"9007199254740993"}'),
        (b'{"a":"\\u00e9\\n"}', '{"a":"é\\n"}'.encode()),
    ],
)
def test_compact_object(text: bytes, written: bytes) -> None:
    """An object keeps its members' order and every number's value; the last of duplicates wins."""
    assert compact_object(text) == written


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"null", b"[]", b'"x"', b"1", b"true", b"{", b"{}{}", b"{} x", b'{"a":NaN}', b'{"a":Infinity}'),
        *(
            b'{"a":1e999}',
            b"\xef\xbb\xbf{}",
            '{"a":1}'.encode("utf-16"),
            b'{"a":"\\ud800"}',
            b'{"a":"\xff"}',
            b"{'a':1}",
        ),
        *(
            b'{"n":%b,"a":%b}' % (b"9" * 400, wrong)
            for wrong in (b"NaN", b"1e999", b'"\\ud800"', b"[", b"01", b'"\xff"', b"x")
        ),
        *(b"9" * 400, b"[" + b"9" * 400 + b"]", b'{"a":1E400}', b'{"a":-1e400}', b"\xff" + b"9" * 400),
        *(b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":1,}', b'{"a"}', b"<html>"),
    ],
)
def test_unusable_json(text: bytes) -> None:
    """What is not a JSON object, or cannot be written as one, is refused before anything is signed."""
    with pytest.raises(UnusableJson):
        compact_object(text)


@pytest.mark.parametrize("opening", [b'{"a":', b"["])
def test_nesting(opening: bytes) -> None:
    """200 levels are usable, 201 are not; brackets inside of strings do not count."""
    closing = {b"[": b"]"}.get(opening, b"}")

    def nested(levels: int) -> bytes:
        return b'{"b":"' + b"[{" * 300 + b'\\"","a":' + opening * (levels - 1) + b"1" + closing * (levels - 1) + b"}"

    token = TokenIssuer(ring(KEY), IssueSettings(60)).issue(compact_object(nested(200)), NOW)
    assert verifier().verify(token, NOW).claims == b'{"data":%b,"exp":%d}' % (nested(200), NOW + 60)
    with pytest.raises(UnusableJson):
        compact_object(nested(201))
    with pytest.raises(UnusableJson):
        compact_object(nested(100_000))


@given(JSON_OBJECTS, st.integers(0, 2))
def test_compact_is_compact(value: dict[str, Any], indent: int) -> None:
    """No white space is left but in strings, and what was compact stays as it is."""
    once = compact_object(json.dumps(value, indent=indent or None).encode())
    assert compact_object(once) == once
    assert orjson.loads(once).keys() == value.keys()


# What it costs


REPLY_BYTES: Final = 128 * 1024  # contract §4.1


DENSE: Final = {
    "lists": b'{"a":[%b1]}' % (b"[]," * (REPLY_BYTES // 3 - 4)),
    "objects": b'{"a":[%b1]}' % (b'{"k":{}},' * (REPLY_BYTES // 9 - 2)),
    "strings": b'{"a":[%b1]}' % (b'"",' * (REPLY_BYTES // 3 - 4)),
    "deep": b'{"a":[%b1]}' % ((b"[" * 198 + b"]" * 198 + b",") * (REPLY_BYTES // 400)),
    "runs of digits": b'{"a":[%b1]}' % ((b"9" * 299 + b",") * (REPLY_BYTES // 300 - 1)),
    "runs of digits in text": b'{"a":"%b"}' % ((b"9" * 299 + b"x") * (REPLY_BYTES // 300 - 1)),
    "a huge integer": b'{"b":%b,"a":[%b1]}' % (b"9" * 320, b"1," * (REPLY_BYTES // 2 - 200)),
    "one integer": b'{"a":%b}' % (b"9" * (REPLY_BYTES - 8)),
    "exponents": b'{"a":[%b1]}' % (b"1e100," * (REPLY_BYTES // 6 - 4)),
    "deep objects": b'{"a":[%b1]}' % ((b'{"":' * 150 + b"1" + b"}" * 150 + b",") * (REPLY_BYTES // 752)),
    "many members": b"{%b}" % b",".join(b'"%x":[]' % number for number in range(12_000)),
    "one member again and again": b'{%b"a":1}' % (b'"a":1,' * (REPLY_BYTES // 6 - 2)),
    "lists, then a huge integer": b'{"a":[%b1],"b":%b}' % (b"[]," * (REPLY_BYTES // 3 - 120), b"9" * 320),
}


@pytest.mark.parametrize(
    "blank",
    [b"", b'"n":12345678901234567890123,', b'"n":1,"n":12345678901234567890123,', b'"n":%b,' % (b"9" * 400)],
    ids=["compact", "with a blank and a long number", "with a long number twice", "with a huge integer"],
)
@pytest.mark.parametrize("text", DENSE.values(), ids=DENSE.keys())
def test_no_reply_holds_the_loop(text: bytes, blank: bytes) -> None:
    """Whatever stands in 128 KiB, to make it compact takes about 10 ms of CPU at most. Measured: 0.1 to 11; it was up to 2 s."""
    if blank:
        text = text.replace(b"{", b"{ " + blank, 1)
    cost = cost_s(partial(compact_object, text), enough_s=0.015)
    if cost >= 0.025:
        # Thousands of tests have left their marks on this process's memory; no service has such a heap.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            cost = fresh.submit(cost_s, partial(compact_object, text), enough_s=0.015).result()
    assert cost < 0.025  # with room for a busy machine


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 8_000 + b"]" * 8_000,
        b"[" * 16_000,
        b"9" * 16_000,
        b'["' + b"9" * 16_000,
        b"[" + b'"\\ud800",' * 1_500 + b"1]",
        b"[" + b"1," * 7_900 + b"1e999]",
        b"[" + (b"9" * 299 + b"x") * 50,
        b'"' * 16_001,
        b"\\" * 16_000,
        b'"' + b"\\" * 16_001,
        b" " * 16_000,
        b"[" + b" " * 16_000 + b"x",
    ],
)
def test_no_body_holds_the_loop(text: bytes) -> None:
    """Whatever stands in 16 KiB, to say whether it is JSON takes 10 ms at most. Measured: 0.1 to 7."""
    assert cost_s(lambda: is_json(text), enough_s=0.01) < 0.025


# What is JSON


@pytest.mark.parametrize(
    "text",
    [
        *(b"9" * 400, b"-9e999", b"[1e400]", b'{"a":"\\ud800"}', b'"\\udc00\\ud800"', b"[" * 1_100 + b"]" * 1_100),
        *(
            b'{"a":' * 1_100 + b"1" + b"}" * 1_100,
            b" [ ] ",
            b'{"":{"":[]}}',
            b"0",
            b"-0.0e-0",
            b"null",
            b'"\\u00e9\\/"',
        ),
    ],
)
def test_all_of_rfc_8259_is_json(text: bytes) -> None:
    """What RFC 8259 allows is JSON, what orjson refuses included."""
    assert is_json(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b" ",
            b"{",
            b"}",
            b"[",
            b"]",
            b"[}",
            b"{]",
            b"[1}",
            b"[1,]",
            b"[,1]",
            b"[1 2]",
            b"[1,,2]",
            b"1 2",
            b"1,",
            b"[]]",
        ),
        *(
            b'{"a"}',
            b'{"a":}',
            b'{"a":1,}',
            b'{,"a":1}',
            b'{"a" 1}',
            b'{"a":1:2}',
            b"{1:2}",
            b'{"a":1 "b":2}',
            b"{:1}",
            b":",
        ),
        *(
            b"01",
            b"-",
            b"-a",
            b"+1",
            b".5",
            b"1.",
            b"1.e5",
            b"1e",
            b"1e+",
            b"1e5.5",
            b"1.5.5",
            b"1.5e5e5",
            b"--1",
            b"1-2",
            b"0x1",
        ),
        *(
            b"nul",
            b"nulll",
            b"True",
            b"truefalse",
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"'a'",
            b'"a',
            b'"\\',
            b'"\\x41"',
        ),
        *(
            b'"\\u12"',
            b'"\\u12g4"',
            b'"\x00"',
            b'"\n"',
            b'"\xff"',
            b"\xff",
            b'\xef\xbb\xbf"a"',
            b'"\xed\xa0\x80"',
            b"\x0b1",
            b"/**/1",
        ),
        *(b"00" + b"0" * 400, b"1 " + b"9" * 400, b'"a"b', b'{"a":1}x', b"[" * 1_100 + b"]" * 1_099),
    ],
)
def test_nothing_else_is_json(text: bytes) -> None:
    """What RFC 8259 does not allow is not JSON, however near it comes."""
    assert not is_json(text)


JSON_LIKE: Final = st.lists(
    st.sampled_from(
        [*'{}[]:,"\\ -+.eE019', "null", "true", "false", '"a"', '"":', "1", "1.5e3", "\\n", "\\u0041", "é"]
    ),
    max_size=12,
)


def _refuse(name: str) -> None:
    raise ValueError(name)


@given(JSON_LIKE)
def test_is_json_agrees_with_pythons_parser(parts: list[str]) -> None:
    """Python's own parser takes the same texts, but for the constants that are no JSON."""
    text = "".join(parts)
    try:
        json.loads(text, parse_constant=_refuse)
        expected = True
    except ValueError:
        expected = False
    assert is_json(text.encode()) == expected


# What is written


SHORT_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(10**15, 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.text('"\\/ \t:{}[]', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip # one alternative after the other reads as a grammar


@given(st.dictionaries(st.text(max_size=3), SHORT_JSON, max_size=5), st.sampled_from([None, 0, 2]), st.booleans())
def test_compact_means_the_same(value: dict[str, object], indent: int | None, ascii_only: bool) -> None:
    """However an object is written, its compact text means the same to the last digit, and has no blank outside of strings."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    compact = compact_object(text)
    assert json.loads(compact) == value
    assert compact_object(compact) == compact


@pytest.mark.parametrize(
    ("text", "compact"),
    [
        (b'{ "a":1, "n":12345678901234567890, "a":2 }', b'{"a":2,"n":12345678901234567890}'),
        (b'{ "a\\"b\\\\" : 12345678901234567890 }', b'{"a\\"b\\\\":12345678901234567890}'),
        (b'{ "a:" : [ 0.12345678901234567890 , "\\\\" , "x y" ] }', b'{"a:":[0.12345678901234567890,"\\\\","x y"]}'),
        (b'{"a":%b}' % (b"1" * 400), b'{"a":%b}' % (b"1" * 400)),
        (b'{ "a":%b, "a":-%b }' % (b"1" * 400, b"2" * 400), b'{"a":-%b}' % (b"2" * 400)),
        (b'{"a":0.%b1e-400}' % (b"0" * 400), b'{"a":0.%b1e-400}' % (b"0" * 400)),
        (b'{ "a":1e100 , "b":1E+200 }', b'{"a":1e100,"b":1E+200}'),
    ],
)
def test_numbers_stand_as_they_stood(text: bytes, compact: bytes) -> None:
    """Numbers that a binary64 could not hold are written digit by digit, and of duplicate members the last wins all the same."""
    assert compact_object(text) == compact


@pytest.mark.parametrize("text", [b'{"a":0%b}' % (b"1" * 400), b'{"a":00%b}' % (b"0" * 400), b'{"a":%b' % (b"1" * 400)])
def test_a_huge_integer_hides_nothing(text: bytes) -> None:
    """Text that is wrong beside its huge integers is refused."""
    with pytest.raises(UnusableJson):
        compact_object(text)


@pytest.mark.parametrize("blank", [b"", b" "])
@pytest.mark.parametrize("number", [b"1" + b"0" * 400, b"1" * 301, b"-" + b"9" * 5_000])
def test_a_huge_integer_is_read_as_a_huge_one(number: bytes, blank: bytes) -> None:
    """What is read of an integer past 10^308 is past 10^298: it is no time that has passed, and no small number equals it."""
    for length in (10, 20_000):
        text = b'{"a":%b%b,"b":"%b"}' % (blank, number, b"x" * length)
        value, written = read_object(text, 200)
        assert abs(value["a"]) > 1e298
        assert (value["a"] < 0) == number.startswith(b"-")
        assert written == text.replace(b" ", b"")


def depth(of: object) -> int:
    """Count the levels of a value."""
    inner = of.values() if isinstance(of, dict) else of if isinstance(of, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def is_usable(text: bytes, levels: int) -> bool:
    """Whether a text may be a reply of so many levels."""
    try:
        compact_object(text, levels)
    except UnusableJson as error:
        assert str(error) == f"nested deeper than {levels} levels"  # noqa: PT017 - what else is wrong with it fails
        return False
    return True


@given(SHORT_JSON, st.integers(1, 4))
def test_levels_are_counted_right(value: object, levels: int) -> None:
    """An object is nested deeper than so many levels exactly when one of its values is."""
    assert is_usable(json.dumps({"a": value}).encode(), levels) == (depth({"a": value}) <= levels)


@pytest.mark.parametrize("more", [b"", b'"n":12345678901234567890,', b'"n":%b,' % (b"9" * 400)])
@pytest.mark.parametrize("filling", [b"", b"[],{},", b'"\\\\[","{\\"[",'])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"b":'])
def test_many_levels_are_counted_right(opening: bytes, filling: bytes, more: bytes) -> None:
    """At the limit itself, with flat containers and brackets in strings beside the deep one."""
    closing = opening[::-1].translate(bytes.maketrans(b"{[", b"}]"), b'"ab:')
    levels = 200 // len(closing)
    text = b'{ %b"a":[%b' % (more, filling) + opening * levels + b"1" + closing * levels + b"]}"
    assert is_usable(text, 202)
    assert not is_usable(text, 201)


@pytest.mark.parametrize(("levels", "usable"), [(190, True), (300, True), (1_000, False)])
def test_what_a_duplicate_hides(levels: int, *, usable: bool) -> None:
    """Of a member that is dropped nothing is left, however deep it was, and none of it makes the service fail."""
    text = b'{"n":12345678901234567890,"a":%b,"a":1}' % (b"[" * levels + b"]" * levels)
    assert is_usable(text, 200) or not usable
