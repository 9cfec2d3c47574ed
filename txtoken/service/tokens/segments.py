"""A token's segments: canonical base64url without padding (RFC 7515 §2). Knows nothing of their content."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from typing import Final

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# Characters that a segment must not contain become invalid base64.
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
# By a segment's length modulo 4: its padding, and the last characters without an unused bit set (RFC 4648 §3.5).
_PADDING: Final = (b"", b"", b"==", b"=")
_LAST_OF_TWO: Final = frozenset(b"AQgw")
_LAST_OF_THREE: Final = frozenset(b"AEIMQUYcgkosw048")
SIGNATURE_CHARACTERS: Final = 43  # of 32 bytes


def encode_segment(data: bytes) -> bytes:
    """Write bytes as base64url without padding."""
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=")


def decode_segment(segment: bytes) -> bytes | None:
    """Read canonical base64url without padding. None for any other form, set unused bits included."""
    surplus = len(segment) % 4
    if surplus:
        last = segment[-1]
        if surplus == 1 or last not in (_LAST_OF_TWO if surplus == 2 else _LAST_OF_THREE):
            return None
    try:
        return a2b_base64(segment.translate(_FROM_URL) + _PADDING[surplus], strict_mode=True)
    except Base64Error:
        return None


def encode_signature(signature: bytes) -> bytes:
    """Write the 32 bytes of a signature: the same as `encode_segment`, in fewer steps."""
    return b2a_base64(signature)[:SIGNATURE_CHARACTERS].translate(_TO_URL)
