"""The answers to clients when the remote fails (contract §3.3): a table, made once from `statusMap`. Knows no exchange.

The bodies are the original's, whatever the status. With `passRemoteErrors`, the remote's JSON body replaces them if both statuses
are 4xx.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Final

import orjson

from txtoken.errors import (
    ClaimsUnbuildable,
    NoSigningKey,
    RemoteError,
    RemoteInvalid,
    RemoteOverloaded,
    RemoteStatus,
    RemoteTimeout,
    RemoteTruncated,
    TokenTooLarge,
)
from txtoken.http1.messages import Response, response_head
from txtoken.service.answers import NO_STORE

UNNAMED: Final = 500  # what the original answers to everything
PASSED: Final = ("400", "401", "403", "404", "409", "422", "423", "429", "503")
GATEWAY: Final = {
    **dict.fromkeys(PASSED, "pass"),
    **dict.fromkeys(("2xx", "3xx", "4xx", "5xx", "unreachable", "invalid"), "502"),
    "timeout": "504",
}
STATUSES: Final = range(200, 600)  # failures of a remote: 1xx are interim replies, and 200 is not always a success
PASSED_BODY_BYTES_MAX: Final = 64 * 1024  # a longer error is probably a debugger's page
RETRY_AFTER_S_MAX: Final = 3600  # the longest Retry-After of the remote that is passed on
WITH_RETRY_AFTER: Final = (429, 503)  # statuses with Retry-After (RFC 9110 §10.2.3, RFC 6585 §4)
CLAIMS: Final = "Can not build claims from returned json."
_OVERLOADED: Final = response_head(503, NO_STORE, b"Retry-After: 1")


class Failures:
    """The answers to every failure of the remote. `status_map` is `original`, `gateway` or the configuration's map."""

    __slots__ = ("_by_status", "_heads", "_invalid", "_passes_bodies", "_timeout", "_unreachable")

    def __init__(self, status_map: str | Mapping[str, str], *, passes_bodies: bool) -> None:
        if isinstance(status_map, str):
            status_map = GATEWAY if status_map == "gateway" else {}
        self._by_status: dict[int, int] = {status: _resolve(status_map, status) for status in STATUSES}
        self._timeout = int(status_map.get("timeout", UNNAMED))
        self._unreachable = int(status_map.get("unreachable", UNNAMED))
        self._invalid = int(status_map.get("invalid", UNNAMED))
        told = {*self._by_status.values(), self._timeout, self._unreachable, self._invalid}
        self._heads: dict[int, bytes] = {status: _head(status) for status in told}
        self._passes_bodies = passes_bodies

    def answer(self, error: RemoteError, now_s: int, remote_s: float | None) -> Response:
        """Return the answer to a failure. `now_s` is Unix time, `remote_s` how long the remote took, None if it got no
        request.
        """
        body: dict[str, object]
        match error:
            case RemoteStatus():
                return self._answer_to_status(error, now_s, remote_s)
            case RemoteTruncated():
                status, body = self._invalid, {"message": "Remote post failed to parse body.", "error": error.public}
            case RemoteInvalid():
                status, body = self._invalid, {"message": "Can not unmarshal returned json.", "error": error.public}
            case ClaimsUnbuildable():
                status, body = self._invalid, {"message": CLAIMS, "error": error.public}
            case TokenTooLarge():
                status, body = self._invalid, {"message": "Can not generate return token", "error": error.public}
            case _:
                status = self._timeout if isinstance(error, RemoteTimeout) else self._unreachable
                body = {"message": "Remote post failure.", "error": error.public}
                if isinstance(error, NoSigningKey):
                    body["message"] = "Can not generate return token"
                if isinstance(error, RemoteOverloaded | NoSigningKey):  # nothing was sent
                    return Response(503, _OVERLOADED, orjson.dumps(body), error=error.code, remote_s=remote_s)
        return Response(status, self._heads[status], orjson.dumps(body), error=error.code, remote_s=remote_s)

    def _answer_to_status(self, error: RemoteStatus, now_s: int, remote_s: float | None) -> Response:
        status = self._by_status[error.status]
        head = self._heads[status]
        if status in WITH_RETRY_AFTER:
            wait_s = retry_after_s(error.retry_after, now_s)
            if wait_s is not None:
                head += b"Retry-After: %d\r\n" % wait_s
        if self._passes_bodies and status < 500 and 400 <= error.status < 500 and _is_passable(error.body):
            body = error.body
        else:
            body = orjson.dumps({"message": "Remote post status failure.", "status": error.status})
        return Response(status, head, body, error=error.code, remote_s=remote_s)


def retry_after_s(field: bytes, now_s: int) -> int | None:
    """Read a Retry-After field, seconds or a date (RFC 9110 §10.2.3), as seconds from 1 to an hour. None: absent or invalid."""
    text = field.strip().decode("latin-1")
    if text.isascii() and text.isdigit():
        seconds = int(text[:10])
    else:
        try:
            # Loaded for the first such date: it takes 5 ms.
            seconds = int(importlib.import_module("email.utils").parsedate_to_datetime(text).timestamp()) - now_s
        except (ValueError, OverflowError):
            return None
    return max(1, min(seconds, RETRY_AFTER_S_MAX))


def _resolve(status_map: Mapping[str, str], status: int) -> int:
    told = status_map.get(str(status)) or status_map.get(f"{status // 100}xx")
    if told is None:
        return UNNAMED
    return status if told == "pass" else int(told)


def _head(status: int) -> bytes:
    # A 401 needs a challenge (RFC 9110 §15.5.2). This scheme opens no dialog in a browser.
    return (
        response_head(status, NO_STORE, b"WWW-Authenticate: Bearer")
        if status == 401
        else response_head(status, NO_STORE)
    )


def _is_passable(body: bytes) -> bool:
    if len(body) > PASSED_BODY_BYTES_MAX:
        return False
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True
