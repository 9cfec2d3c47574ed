"""What is counted: logins and checks, and which answer to each is right.

Knows the routes (contract §3.1, §3.2) and the key; PyJWT is the judge. Sends nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, repeat
from typing import Any, Final

import jwt

from bench.count.client import request
from bench.errors import BenchError
from bench.load.replies import REPLY_BYTES, compact, reply_object
from bench.load.routes import Routes

KEY: Final = "a-key-of-the-counts-only-0123456789abcdef"
ALGORITHM: Final = "HS256"
ROUTES: Final = Routes()
TOKEN_S: Final = 12 * 3600
_EXPIRES: Final = 4_102_444_800  # the year 2100: a fixed time, so that every start checks the same tokens
_SHOWN: Final = 200
_ID_LETTERS: Final = 8


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request. Figures of it are compared where all of this is equal."""

    name: str
    reply: bytes  # of the remote; what a check's token says is the same
    logs_in: bool = False
    distinct: bool = False  # whether no token is checked twice

    @property
    def parameters(self) -> str:
        """Describe what it does, for people and for comparing."""
        data = f"{len(self.reply)} B ({hashlib.sha256(self.reply).hexdigest()[:_ID_LETTERS]})"
        if self.logs_in:
            return f"a login, its reply of {data}"
        return f"a check, {'all tokens different' if self.distinct else 'one token'}, its data of {data}"

    def exchanges(self) -> Iterator[tuple[bytes, Callable[[Any], None]]]:
        """Make requests without end, each with the judge of its answer, which raises BenchError."""
        data = json.loads(self.reply)
        if self.logs_in:
            login = request("POST", ROUTES.login_path, {"Content-Type": ROUTES.login_type}, ROUTES.login_body.encode())
            yield from repeat((login, partial(_check_token, data)))
        for number in count():
            claims = {"data": data | {"session": f"{number:012}"}, "exp": _EXPIRES}
            token = jwt.encode(claims, KEY, ALGORITHM)
            check = request("GET", ROUTES.check_path, {"Authorization": f"Bearer {token}"})
            exchange = check, partial(_check_verdict, claims)
            yield from (exchange,) if self.distinct else repeat(exchange)


_SMALL: Final = compact(reply_object(REPLY_BYTES))
CASES: Final = {
    case.name: case
    for case in (
        Case("login", _SMALL, logs_in=True),
        Case("login_8k", compact(reply_object(8 * 1024)), logs_in=True),
        Case("check", _SMALL),
        Case("check_distinct", _SMALL, distinct=True),
    )
}


def chosen(names: Sequence[str], reply: bytes | None) -> list[Case]:
    """Return the cases of these names, all of them if there are none. `login` gets the reply, if there is one.

    Raises:
        BenchError: there is no such case, or the reply is not a JSON object.
    """
    for name in names:
        if name not in CASES:
            raise BenchError(f"there is no case {name}; there are {', '.join(CASES)}")
    if reply is not None:
        try:
            is_object = isinstance(json.loads(reply), dict)
        except ValueError:
            is_object = False
        if not is_object:
            raise BenchError("the reply is not a JSON object, which every login API's is")
    return [
        replace(case, reply=reply) if reply is not None and name == "login" else case
        for name, case in CASES.items()
        if name in names or not names
    ]


def _check_token(data: object, answer: Any) -> None:
    try:
        claims = jwt.decode(answer["token"], KEY, [ALGORITHM], options={"require": ["exp"]})
    except (KeyError, TypeError, jwt.InvalidTokenError) as error:
        raise BenchError(f"the answer to a login is not a token ({error}): {answer!r:.{_SHOWN}}") from error
    if claims.get("data") != data:
        raise BenchError(f"the token of a login says something else than the remote: {claims!r:.{_SHOWN}}")


def _check_verdict(claims: object, answer: Any) -> None:
    if not isinstance(answer, dict) or answer.get("Valid") is not True or answer.get("Claims") != claims:
        raise BenchError(f"the answer to a check is not the token's verdict: {answer!r:.{_SHOWN}}")
