"""Claims as header fields (contract §3.5 `headers`): whatever a claim holds, a field is one line, and says what it says."""

from __future__ import annotations

import contextlib
import json
from typing import Final
from urllib.parse import unquote

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs import cost_s
from txtoken.service.identity import IDENTITY_BYTES_MAX, Identity, TooLarge
from txtoken.service.tokens.compact import read_object
from txtoken.service.tokens.verify import CLAIMS_NESTING_MAX

ONE: Final = Identity((("X-User", "/data/v"),), names_missing=False)


def lines(identity: Identity, claims: str) -> bytes:
    """Write the lines of claims that are given as JSON."""
    parsed, text = read_object(claims.encode(), CLAIMS_NESTING_MAX)
    return identity.lines(parsed, text)


def value(claim: str) -> str:
    """Write one claim's field, which is one line."""
    written = lines(ONE, f'{{"data":{{"v":{claim}}}}}')
    assert written.startswith(b"X-User: ")
    assert written.endswith(b"\r\n")
    return written[8:-2].decode("ascii")


@pytest.mark.parametrize(
    ("claim", "shown"),
    [
        ('"ada"', "ada"),
        ('""', ""),
        ("null", ""),
        ("{}", ""),
        ('{"a":1}', ""),
        ("true", "true"),
        ("false", "false"),
        ("0", "0"),
        ("-7", "-7"),
        ("1.5", "1.5"),
        ("3.14159265358979323846264338", "3.14159265358979323846264338"),
        ("-0.0", "-0.0"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("[]", ""),
        ('["a"]', "a"),
        ('["a","b c",3,true,2.00000000000000000001]', "a,b c,3,true,2.00000000000000000001"),
        ('["a,b","c"]', "a%2Cb,c"),
        ('[""," a","b "]', ",%20a,b%20"),
        ('["a",null]', ""),
        ('["a",{}]', ""),
        ('["a",["b"]]', ""),
        ('"a,b"', "a,b"),
        ('"100%"', "100%25"),
        ('"%41"', "%2541"),
        ('" a b  "', "%20a b%20%20"),
        ('" "', "%20"),
        ('"\\t"', "%09"),
        ('"a\\r\\nX-Admin: yes"', "a%0D%0AX-Admin: yes"),
        ('"a\\nb"', "a%0Ab"),
        ('"a\\u0000b"', "a%00b"),
        ('"\\u007f"', "%7F"),
        ('"Zoë"', "Zo%C3%AB"),
        ('"\\ud83d\\ude00"', "%F0%9F%98%80"),
        ('"\\u2028"', "%E2%80%A8"),
        ('"~!\\"#$&\'()*+-./:;<=>?@[]^_`{|}"', "~!\"#$&'()*+-./:;<=>?@[]^_`{|}"),
    ],
)
def test_values(claim: str, shown: str) -> None:
    """Every kind of claim has one way to be written."""
    assert value(claim) == shown


@given(st.text())
def test_text_comes_back(text: str) -> None:
    """Decoding a field gives the text that the claim was, and h11 takes the line as it is."""
    written = value(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
    assert unquote(written, errors="surrogatepass") == text.encode("utf-8", "replace").decode()
    request = h11.Request(method="GET", target="/", headers=[("Host", "a"), ("X-User", written)])
    assert dict(request.headers)[b"x-user"] == written.encode()


@given(st.lists(st.text(max_size=5), max_size=6))
def test_items_come_back(items: list[str]) -> None:
    """Splitting a field at its commas gives the items that the claim's list had."""
    written = value(json.dumps(items))
    assert [unquote(item) for item in written.split(",")] == (items or [""])


def test_every_header_is_sent() -> None:
    """A header whose claim is missing is sent empty: that removes a client's own copy. Envoy gets them by name."""
    headers = (("X-User", "/data/user"), ("X-Id", "/data/id"), ("X-All", ""), ("X-Third", "/data/list/2"))
    claims = '{"data":{"user":"ada","list":[1,2,3]}}'
    plain = b"X-User: ada\r\nX-Id: \r\nX-All: \r\nX-Third: 3\r\n"
    assert lines(Identity(headers, names_missing=False), claims) == plain
    told = plain + b"X-Envoy-Auth-Headers-To-Remove: X-Id, X-All\r\n"
    assert lines(Identity(headers, names_missing=True), claims) == told
    full = '{"data":{"user":"ada","id":1,"list":[1,2,3]}}'
    assert b"To-Remove" not in lines(Identity((headers[0], headers[1]), names_missing=True), full)


def test_two_fields_have_their_own_numbers() -> None:
    """Numbers that Python would round are as they stand in each of several fields, whatever the others are."""
    identity = Identity((("X-A", "/a"), ("X-B", "/b"), ("X-C", "/c")), names_missing=False)
    assert lines(identity, '{"a":1.00000000000000000001,"b":"x","c":[2.5]}') == (
        b"X-A: 1.00000000000000000001\r\nX-B: x\r\nX-C: 2.5\r\n"
    )


@pytest.mark.parametrize(
    "claim",
    [
        lambda size: json.dumps("a" * size),
        lambda size: json.dumps(["a" * (size // 2), "b" * (size - size // 2 - 1)]),
        lambda size: "1" * size,
    ],
)
def test_what_fits_is_never_cut(claim: object) -> None:
    """The lines have 2 KiB at most, line ends included. One byte more is refused, and nothing is cut."""
    assert callable(claim)
    room = IDENTITY_BYTES_MAX - len("X-User: \r\n")
    assert len(value(claim(room))) == room
    with pytest.raises(TooLarge):
        value(claim(room + 1))


def test_encoding_counts() -> None:
    """What is encoded counts as it is sent, and so does every other line."""
    with pytest.raises(TooLarge):
        value(json.dumps("ä" * (IDENTITY_BYTES_MAX // 6 + 1)))
    two = Identity((("X-A", "/a"), ("X-B", "/b")), names_missing=False)
    with pytest.raises(TooLarge):
        lines(two, json.dumps({"a": "a" * 1100, "b": "b" * 1100}))
    removed = Identity((("X-A", "/a"), *((f"X-{number:060}", "/n") for number in range(16))), names_missing=True)
    with pytest.raises(TooLarge):
        lines(removed, json.dumps({"a": "a" * 100}))


@pytest.mark.parametrize("claim", ["\u00e4" * 100_000, ["a"] * 100_000, ["\u00e4" * 100] * 1000])
def test_a_huge_claim_is_refused_before_it_is_written(claim: object) -> None:
    """Claims that are far too long are refused, and not encoded first: that takes no millisecond."""
    claims = {"data": {"v": claim}}
    text = json.dumps(claims).encode()

    def refuse() -> None:
        with contextlib.suppress(TooLarge):
            ONE.lines(claims, text)

    with pytest.raises(TooLarge):
        ONE.lines(claims, text)
    assert cost_s(refuse) < 0.004


def test_lists_together_have_a_bound() -> None:
    """Lists that are looked through and turn out to be no value are bounded, too: 32 headers may point to one of thousands."""
    claims = {"v": ["a"] * 1000 + [None]}
    text = json.dumps(claims).encode()
    one = Identity((("X-A", "/v"),), names_missing=False)
    assert one.lines(claims, text) == b"X-A: \r\n"
    with pytest.raises(TooLarge):
        Identity(tuple((f"X-{number}", "/v") for number in range(3)), names_missing=False).lines(claims, text)
