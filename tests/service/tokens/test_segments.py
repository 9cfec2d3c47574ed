"""Segments: base64url in the one way to write it. The judge is the standard library."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from txtoken.service.tokens.segments import decode_segment, encode_segment


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
