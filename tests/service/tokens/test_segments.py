"""Segments: base64url in the one way to write it. The judge is the standard library."""

from __future__ import annotations

import base64
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtoken.service.tokens.segments import (
    PIECES_BYTES_MIN,
    decode_segment,
    encode_after,
    encode_segment,
    encode_signature,
)


def judged(text: bytes) -> bytes | None:
    """Return what the standard library reads from a text that is base64url in its one form."""
    if not re.fullmatch(rb"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    return data if base64.urlsafe_b64encode(data).rstrip(b"=") == text else None


@given(st.binary(max_size=100))
def test_segments(data: bytes) -> None:
    """A segment is base64url without padding, and reads back."""
    written = encode_segment(data)
    assert written == base64.urlsafe_b64encode(data).rstrip(b"=")
    assert decode_segment(written) == data


@given(st.binary(max_size=40))
def test_one_way_to_write_a_segment(text: bytes) -> None:
    """No other text reads as the same bytes: a token cannot be written in two ways."""
    data = decode_segment(text)
    assert data is None or encode_segment(data) == text


def test_all_short_segments() -> None:
    """Of all texts of up to four characters, of these kinds, those are read that are base64url in its one form."""
    for length in range(5):
        for characters in itertools.product(b"AQgwEzZ9-_+/=\n \x00\xe9", repeat=length):
            text = bytes(characters)
            assert decode_segment(text) == judged(text)


@pytest.mark.parametrize("wrong", [b"+", b"/", b"=", b"\n", b" ", b".", b"\x00", b"\xff"])
@pytest.mark.parametrize("size", [40, 41, 42, 43, 400, 4000])
def test_one_wrong_character(wrong: bytes, size: int) -> None:
    """One wrong character anywhere in a long segment is found, the vectors' remainders included."""
    good = base64.urlsafe_b64encode(bytes(number % 251 for number in range(size))).rstrip(b"=")
    assert decode_segment(good) == judged(good)
    for at in {0, 1, 15, 16, 31, 32, 33, len(good) // 2, len(good) - 2, len(good) - 1}:
        assert decode_segment(good[:at] + wrong + good[at + 1 :]) is None
    assert decode_segment(good + b"=" * (-len(good) % 4)) in (None, judged(good) if len(good) % 4 == 0 else None)


@given(
    st.binary(max_size=10),
    st.binary(max_size=10),
    st.integers(-8, 8) | st.integers(-PIECES_BYTES_MIN, 0),
    st.binary(max_size=10),
)
def test_pieces(start: bytes, before: bytes, more: int, after: bytes) -> None:
    """A segment is the same, whether its pieces are joined before or after they are encoded."""
    text = bytes(number * 7 % 256 for number in range(PIECES_BYTES_MIN + more))
    assert encode_after(start, before, text, after) == start + encode_segment(before + text + after)


@given(st.binary(min_size=32, max_size=32))
def test_signatures(signature: bytes) -> None:
    """A signature is a segment like any other."""
    assert encode_signature(signature) == encode_segment(signature)
