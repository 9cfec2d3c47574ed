"""Tokens to send, and whether an answer is the right one: status, shape, signature, claims.

Knows the two routes (contract §3.1, §3.2) and the key of this run; PyJWT is the judge.
"""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

import jwt

from bench.errors import BenchError
from bench.load.stub_remote import LOOPBACK

ALGORITHM: Final = "HS256"
LOGIN_ROUTE: Final = "/getToken"
CHECK_ROUTE: Final = "/checkToken"
LOGIN: Final = json.dumps({"user": "ada", "password": "engine", "client": "bench"}, separators=(",", ":"))
REFUSED_LOGIN: Final = json.dumps({"user": "ada", "password": "refuse"})
TOKEN_HOURS: Final = 12
SMALL_DATA: Final[Mapping[str, object]] = {
    "id": 1
}  # of the token that is checked: one with a reply of 64 KiB is too long for a header
TIMEOUT_S: Final = 10.0
SESSION_BYTES: Final = 12


def sign(key: str, data: Mapping[str, object], hours: float = TOKEN_HOURS) -> str:
    """Make a token as the service would."""
    return jwt.encode({"data": data, "exp": int(time.time() + hours * 3600)}, key, ALGORITHM)


def distinct_tokens(key: str, data: dict[str, object], count: int) -> list[str]:
    """Make tokens that are all different and all of one length.

    The difference is in the middle, where wrk's Lua looks when it hashes a string: it takes twelve bytes for the whole, and
    40 000 strings that are equal there took it minutes.
    """
    members = list(data.items())
    half = len(members) // 2
    return [
        sign(key, dict([*members[:half], ("session", secrets.token_hex(SESSION_BYTES)), *members[half:]]))
        for _ in range(count)
    ]


class Judge:
    """Asks one service on a connection of its own, and looks at the answers as an independent reader would.

    A service that is not `faithful` (the floor) answers both routes with a fixed text: only its status counts.
    """

    def __init__(self, port: int, key: str, data: dict[str, object], *, faithful: bool) -> None:
        self._key = key
        self._data = data  # what the remote answers to a login
        self._faithful = faithful
        self._token = sign(key, SMALL_DATA)
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Close its connection."""
        self._connection.close()

    def is_ready(self) -> bool:
        """Whether the service answers at all."""
        try:
            status, _ = self._ask("GET", CHECK_ROUTE, token=self._token)
        except (OSError, http.client.HTTPException):
            return False
        return status == 200

    def check_before_load(self, *, logs_in: bool) -> None:
        """Check right answers and refusals alike.

        Raises:
            BenchError: an answer is not what the contract says.
        """
        self.check_once(logs_in=False)
        if not self._faithful:
            return
        swapped = "A" if self._token[-10] != "A" else "B"
        for what, token in (
            ("with a wrong signature", self._token[:-10] + swapped + self._token[-9:]),
            ("that has expired", sign(self._key, SMALL_DATA, hours=-1)),
            ("without a signature", jwt.encode({"data": {}, "exp": int(time.time()) + 60}, "", "none")),
        ):
            status, _ = self._ask("GET", CHECK_ROUTE, token=token)
            if status != 401:
                raise BenchError(f"a token {what} is answered with {status} instead of 401")
        if logs_in:
            self.check_once(logs_in=True)
            status, _ = self._ask("POST", LOGIN_ROUTE, body=REFUSED_LOGIN)
            if status < 400:
                raise BenchError(f"a login that the remote refuses is answered with {status}")

    def check_once(self, *, logs_in: bool) -> None:
        """Make one request and check its answer.

        Raises:
            BenchError: it is not what the contract says.
        """
        if logs_in:
            status, answer = self._ask("POST", LOGIN_ROUTE, body=LOGIN)
        else:
            status, answer = self._ask("GET", CHECK_ROUTE, token=self._token)
        if status != 200:
            raise BenchError(f"{'a login' if logs_in else 'a good token'} is answered with {status}: {answer!r:.200}")
        if self._faithful:
            problem = self._wrong_token(answer) if logs_in else self._wrong_verdict(answer)
            if problem:
                raise BenchError(f"{problem}: {answer!r:.200}")

    def _wrong_token(self, answer: bytes) -> str | None:
        try:
            claims = jwt.decode(json.loads(answer)["token"], self._key, [ALGORITHM], options={"require": ["exp"]})
        except (ValueError, KeyError, TypeError, jwt.InvalidTokenError) as error:
            return f"not a token ({error})"
        return None if claims.get("data") == self._data else "a token that says something else than the remote"

    def _wrong_verdict(self, answer: bytes) -> str | None:
        try:
            verdict: dict[str, Any] = json.loads(answer)
        except ValueError:
            return "not JSON"
        right = verdict.get("Valid") is True and verdict.get("Claims", {}).get("data") == SMALL_DATA
        return None if right else "not the verdict of the contract"

    def _ask(self, method: str, path: str, *, token: str | None = None, body: str | None = None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            self._connection.request(method, path, body=body, headers=headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
