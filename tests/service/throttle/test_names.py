"""The names in a body: which texts are one name, and that no way of writing a body hides whose login it is."""

from __future__ import annotations

import json
import sys
import unicodedata
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs import cost_s
from txtoken.service.throttle.names import DENSE_BODY_BYTES_MAX, NAME_CHARACTERS_MAX, NOT_READ, Names, comparable


def names(body: bytes | str, pointer: str = "/user") -> list[str]:
    """Find the names in a body, in the way of a body that was read, and of one that was not: they say the same."""
    if isinstance(body, str):
        body = body.encode()
    finder = Names(pointer)
    found = finder.find(body, NOT_READ)
    if len(body) > DENSE_BODY_BYTES_MAX:
        return found  # nobody has read it
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return found
    assert finder.find(body, document) == found
    return found


NOBODY = [""]


@pytest.mark.parametrize(
    ("body", "pointer", "found"),
    [
        ('{"user":"ada","password":"engine"}', "/user", ["ada"]),
        ('{"password":"user","user":"ada"}', "/user", ["ada"]),
        ('{"login":{"user":"ada"},"user":"bob"}', "/login/user", ["ada"]),
        ('[{"a":1},{"user":"ada"}]', "/1/user", ["ada"]),
        ('{"0":"ada"}', "/0", ["ada"]),
        ('["ada"]', "/0", ["ada"]),
        ('"ada"', "", ["ada"]),
        ('{"a/b":"ada"}', "/a~1b", ["ada"]),
        ('{"a\\\\b":"ada"}', "/a\\b", ["ada"]),
        ('{"ben\\u00fctzer":"ada"}', "/benützer", ["ada"]),
        ('{"benützer":"ada"}', "/benützer", ["ada"]),
        # What has no name
        ("{}", "/user", NOBODY),
        ('{"user":null}', "/user", NOBODY),
        ('{"user":4711}', "/user", NOBODY),
        ('{"user":1e400}', "/user", NOBODY),
        ('{"user":true}', "/user", NOBODY),
        ('{"user":["ada"]}', "/user", NOBODY),
        ('{"user":{"name":"ada"}}', "/user", NOBODY),
        ('{"user":""}', "/user", NOBODY),
        ('{"user":" \\t "}', "/user", NOBODY),
        ('["user"]', "/user", NOBODY),
        ("user=ada&password=engine", "/user", NOBODY),
        ("", "/user", NOBODY),
        (b'{"user":"ada\xff"}', "/user", NOBODY),
        ('{"user":"ada"', "/user", NOBODY),
        ("[" * 5000 + "]" * 5000, "/user", NOBODY),
        # From Python 3.13 on the library reads deeper than 1 000 levels.
        (
            '{"a":' + "[" * 5000 + "]" * 5000 + ',"user":"ada"}',
            "/user",
            ["ada"] if sys.version_info >= (3, 13) else NOBODY,
        ),
    ],
)
def test_the_pointer_leads_to_a_name(body: str | bytes, pointer: str, found: list[str]) -> None:
    """The text at the pointer is the name; a body without one counts for its network alone."""
    assert names(body, pointer) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"user":"ada","user":"bob"}', ["ada", "bob"]),
        ('{"user":"ada","user":"ADA "}', ["ada"]),
        ('{"\\u0075ser":"ada"}', ["ada"]),
        ('{"\\u0075ser":"ada","user":"bob"}', ["ada", "bob"]),
        ('{"user":"bob","us\\u0065r":"ada"}', ["bob", "ada"]),
        ('{"user":"\\u0061da"}', ["ada"]),
        ('{"User":"ada"}', ["ada"]),
        ('{"user":"bob","USER":"ada"}', ["bob", "ada"]),
        ('{"User":"ada","user":null}', ["ada", ""]),
        ('{"u\u017fer":"ada","user":"bob"}', ["ada", "bob"]),
        ('{"user":"bob","user":4711}', ["bob", ""]),
        ('{"user":"bob","user":"ada","list":[%s1]}' % ("1," * 7000), ["bob", "ada"]),
        ('{"user":"bob","user":["ada"]}', ["bob", ""]),
        ('{"n":%s,"user":"bob","user":"ada"}' % ("9" * 5000), ["bob", "ada"]),
        ('{"n":-1.5e999,"user":"ada"}', ["ada"]),
        ('{"s":"\\ud800","user":"ada"}', ["ada"]),
        ('{"user":"a\\ud800"}', ["a\ud800"]),
    ],
)
def test_no_duplicate_hides_a_name(body: str, found: list[str]) -> None:
    """Of duplicate members each counts, however their names are written, and what is no text counts for the network."""
    assert names(body) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"a":{"user":"1"},"a":{"user":"2","user":"3"}}', ["1", "2", "3"]),
        ('{"a":{"user":"1"},"A":{"User":"2"}}', ["1", "2"]),
        ('{"a":{"user":"1"},"a":5}', ["1"]),
        ('{"a":5,"a":[]}', NOBODY),
        ('{"a":{"user":"a"}}', ["a"]),
    ],
)
def test_every_choice_of_duplicates(body: str, found: list[str]) -> None:
    """Whichever of duplicate members a reader follows at each step, the name that it finds is among them."""
    assert names(body, "/a/user") == found


def test_letters_that_look_like_others() -> None:
    """What a reader that ignores case takes for an s or a k is taken for one here."""
    assert names('{"\u212aunde":"ada","kunde":"bob"}', "/kunde") == ["ada", "bob"]
    assert names('{"kunde":"bob","\u212aUNDE":"ada"}', "/kunde") == ["bob", "ada"]
    assert names('{"kunde":"J\u00fcrgen"}', "/kunde") == ["j\u00fcrgen"]


def test_many_duplicates() -> None:
    """Of more than eight names the first four and the last four count, and the network."""
    eight = ["a", "b", "c", "d", "e", "f", "g", "h"]
    assert names(written(tuple(("user", name) for name in eight))) == eight
    many = written(tuple(("user", str(number)) for number in range(1000)))
    assert names(many) == ["0", "1", "2", "3", "996", "997", "998", "999", ""]


def test_other_encodings() -> None:
    """A byte order mark and UTF-16, which some readers take, hide no name."""
    text = '{"user":"ada"}'
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        assert names(text.encode(encoding)) == ["ada"]


@pytest.mark.parametrize(
    "variant",
    [
        *("ada", "ADA", "Ada", " ada", "ada ", "\tada\n", "\u00a0ada", "ada\u3000", "\u2028ada"),
        *("\0ada", "ada\0\0", "\x01 ada \x02", "\ufeffada", "a\u200bda", "a\u00adda", "\u2060ada"),
        *("\uff21\uff24\uff21", "\U0001d41a\U0001d41d\U0001d41a", "\u1d43d\u1d43", "\u24b6\u24b9\u24b6"),
    ],
)
def test_variants_are_one_name(variant: str) -> None:
    """Case, blanks at either end, width, style and what is not seen make no other name."""
    assert comparable(variant) == "ada"
    assert names(json.dumps({"user": variant})) == ["ada"]
    assert names(json.dumps({"user": variant}, ensure_ascii=False)) == ["ada"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("stra\u00dfe", "STRASSE"),
        ("J\u00fcrgen", "Ju\u0308rgen"),
        ("\u0130", "i\u0307"),
        ("\ufb01n", "FIN"),
        ("\u03c3\u03c2", "\u03a3\u03a3"),
        ("\u212a", "k"),
    ],
)
def test_other_letters(one: str, other: str) -> None:
    """Letters that Unicode takes for one another are one, composed or not."""
    assert comparable(one) == comparable(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("ada", "adab"), ("a da", "ada"), ("ada", "\u0430da"), ("jurgen", "j\u00fcrgen")]
)
def test_other_names(one: str, other: str) -> None:
    """Blanks inside, other alphabets and accents make another name."""
    assert comparable(one) != comparable(other)


@given(st.text())
def test_comparing_once_is_enough(name: str) -> None:
    """What is comparable stays as it is, and is what Unicode says of case and form, for whatever text."""
    found = comparable(name)
    assert comparable(found) == found or len(name) > NAME_CHARACTERS_MAX
    assert comparable(name.upper()) == comparable(name.lower()) or not name.isascii()
    assert unicodedata.is_normalized("NFKC", found)


def test_long_names_are_cut() -> None:
    """A name of a megabyte is one by its first 256 characters after the blanks, and takes no time."""
    long = "a" * 1_000_000
    assert comparable(long) == comparable(long + "b") == "a" * 256
    assert comparable(" " * 1_000_000 + "ada") == "ada"
    assert comparable("b" + long) != comparable(long)
    assert len(comparable("\ufdfa" * 1_000_000)) < 256 * 20
    for name in (long, "\ufdfa" * 300_000, " " * 1_000_000, "\u3000" * 300_000, "\x01" * 150_000):
        body = orjson.dumps({"user": name})
        assert cost_s(partial(names, body), enough_s=0.01) < 0.05, name[:1]


# Bodies that are long


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"user":"ada","image":"%b"}' % (b"x" * 100_000), ["ada"]),
        (b'{"user":"bob","image":"%b","user":"ada"}' % (b"x" * 100_000), ["bob", "ada"]),
        (b'{"user":"ada","image":"%b"}' % (b"x" * 1_048_000), ["ada"]),
        (b'{"user":"ada","image":"%b"}' % (b"x" * 1_049_000), NOBODY),
        (b'{"user":"ada","list":[%b1]}' % (b"1," * 20_000), ["ada"]),
        (b'{"user":"ada","list":[%b1]}' % (b"1," * 40_000), NOBODY),
        (b'{"user":"ada","list":[%b1],"USER":"bob"}' % (b"1," * 4_000), ["ada", "bob"]),
        (b'{"user":"ada","list":[%b1],"USER":"bob"}' % (b"1," * 9_000), NOBODY),
        (b'{"user":"ada","text":"%b"}' % (b"\\n" * 4_000), ["ada"]),
        (b'{"user":"ada","text":"%b"}' % (b"\\n" * 9_000), NOBODY),
        (b'{"user":"ada","text":"%b"}' % (b"\\n" * 40_000), NOBODY),
    ],
    ids=[
        "text",
        "duplicates",
        "1MiB",
        "over-1MiB",
        "40K-dense",
        "80K-dense",
        "8K",
        "18K",
        "4K-esc",
        "18K-esc",
        "80K-esc",
    ],
)
def test_long_bodies(body: bytes, found: list[str]) -> None:
    """A long body is read where it has few marks, up to 1 MiB; else it has no name, and counts for its network."""
    assert names(body) == found


DENSE: dict[str, bytes] = {
    "lists": b"[" * 500 + b"[]," * 20_000 + b"0" + b"]" * 500,
    "64K-lists": b"[%b[]]" % (b"[]," * 21_800),
    "16K-members": b"{%b}" % b",".join(b'"user":%d' % (number % 10) for number in range(1_800)),
    "16K-escapes": b'{"user":"%b"}' % (b"\\u0041" * 2_700),
    "16K-odd": b'{"user":"%b"}' % ("\u017f".encode() * 8_000),
    "1M-backslashes": b'{"user":"%b"}' % (b"\\\\" * 500_000),
    "1M-text": b'{"user":"%b"}' % (b"A" * 1_048_000),
    "1M-blanks": b'{%b"USER":"a"}' % (b" " * 1_048_000),
    "1M-4096-marks": b'{"a":[%b0],"User":"x"}' % ((b'"%b",' % (b"A" * 250)) * 4_090),
    "1M-umlauts": ('{"USER":"%s"}' % ("\u00e4" * 524_000)).encode(),
    "1M-digits": b'{"USER":"a","n":%b}' % (b"9" * 1_000_000),
}


@pytest.mark.parametrize("body", DENSE.values(), ids=DENSE.keys())
def test_no_body_holds_the_loop(body: bytes) -> None:
    """Whatever stands in a body, to find its names takes no longer than 10 ms (contract §4.1)."""
    finder = Names("/user")
    assert cost_s(lambda: finder.find(body, NOT_READ), enough_s=0.01) <= 0.01


def plain_names(value: Any, steps: list[str]) -> list[Any]:
    """Follow all ways to where a pointer may lead in what `json` read, with objects as lists of pairs in a tuple."""
    if not steps:
        return [value]
    if not isinstance(value, tuple):
        return []
    return [
        found
        for name, inner in value
        for found in (plain_names(inner, steps[1:]) if name.casefold() == steps[0] else [])
    ]


NAMES_OF_MEMBERS = st.sampled_from(["user", "User", "USER", "u\u017fer", "id", "x"])
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(["user", "id"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(st.tuples(NAMES_OF_MEMBERS, inner), max_size=4).map(tuple)
    ),
    max_leaves=12,
)


def written(value: Any, *, ensure_ascii: bool = True) -> str:
    """Write a tree as JSON, with its duplicates."""
    if isinstance(value, tuple):
        members = [
            f"{written(name, ensure_ascii=ensure_ascii)}:{written(inner, ensure_ascii=ensure_ascii)}"
            for name, inner in value
        ]
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(inner, ensure_ascii=ensure_ascii) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=ensure_ascii)


@given(TREES, st.booleans(), st.sampled_from(["/user", "/id", "/id/user"]))
def test_whatever_a_reader_finds_is_found(tree: Any, ensure_ascii: bool, pointer: str) -> None:
    """For any JSON, the names are all texts to which any reader may come, the one of our own JSON library among them."""
    body = written(tree, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass")
    found = plain_names(tree, pointer.split("/")[1:])
    expected = list(dict.fromkeys(comparable(value) if isinstance(value, str) else "" for value in found)) or NOBODY
    if len(expected) > 8:
        expected = [*expected[:4], *expected[-4:], ""]
    assert names(body, pointer) == expected
