"""What a token says, without any check of it. Knows no key."""

from __future__ import annotations

from typing import Any

import orjson

from txtoken.service.tokens.segments import decode_segment


def decoded(token: str) -> tuple[Any, Any]:
    """Return the header and the claims of a token.

    Raises:
        ValueError: it is no token.
    """
    header, claims = (orjson.loads(decode_segment(part.encode()) or b"") for part in token.split(".")[:2])
    return header, claims
