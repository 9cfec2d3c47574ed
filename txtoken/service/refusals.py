"""The answers to invalid tokens, for every route that needs a token (RFC 6750 §3). Judges none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from txtoken.errors import TokenError
from txtoken.http1.messages import Response
from txtoken.service.answers import error_response
from txtoken.service.tokens.verify import NO_TOKEN

CHALLENGE: Final = b"WWW-Authenticate: Bearer"
_INVALID: Final = CHALLENGE + b' error="invalid_token"'  # RFC 6750 §3.1


class Refusals:
    """The answers of one route, each made once. `make` writes an error in the form of that route."""

    __slots__ = ("_by_code", "_make", "no_token")

    def __init__(self, make: Callable[..., Response] = error_response) -> None:
        self._make = make
        self._by_code: dict[str, Response] = {}
        self.no_token = make(401, *NO_TOKEN, CHALLENGE)

    def of(self, error: TokenError) -> Response:
        """Return the answer to a token with this error."""
        response = self._by_code.get(error.code)
        if response is None:
            response = self._by_code[error.code] = self._make(401, error.code, error.public, _INVALID)
        return response
