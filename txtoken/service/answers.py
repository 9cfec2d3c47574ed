"""Parts of answers that every route uses, and the answers that any of them may give. Knows no route."""

from __future__ import annotations

from typing import Final

from orjson import dumps as write_json

from txtoken.http1.messages import Response, response_head

NO_STORE: Final = b"Cache-Control: no-store"
OK_HEAD: Final = response_head(200, NO_STORE)


def error_response(status: int, code: str, text: str, *lines: bytes) -> Response:
    """Make the answer `{"error": text}`, with more header `lines` if the status needs them."""
    return Response(status, response_head(status, NO_STORE, *lines), write_json({"error": text}), error=code)


CRASHED: Final = error_response(500, "internal", "the service failed to answer")
