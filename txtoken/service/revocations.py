"""The list of revocations, one rule a line (contract §5 `revocations`). Knows no file and no clock."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from math import inf
from typing import Any, Final

from orjson import JSONDecodeError
from orjson import loads as read_json

from txtoken import timestamp

_QUOTED_OR_NOT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_FORMS: Final = {
    "jti": "jti ID, or jti ID until TIME",
    "sid": "sid ID, or sid ID until TIME",
    "kid": "kid NAME",
    "sub": "sub SUBJECT before TIME",
    "all": "all before TIME",
}


PARTS: Final = 1024  # for a million ids: 1000 each, which are sorted in 0.3 ms
MOMENTS: Final = 4096  # kept for reuse; each takes 240 bytes
_RELATIONS: Final[dict[str, tuple[str | None, ...]]] = {
    **dict.fromkeys(("jti", "sid"), (None, "until")),
    "kid": (None,),
    **dict.fromkeys(("sub", "all"), ("before",)),
}
_KEYS: Final = {"jti": " (claims.jti)", "sid": " (refresh)", "kid": " (keys)", "sub": " (claims.sub)"}


class BadLine(ValueError):
    """A line is wrong. The text quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Which claims the service's tokens carry. A line about another claim is a mistake."""

    jti: bool = False
    sid: bool = False
    kid: bool = False
    sub: bool = False
    time: bool = False  # `iat`, or `auth_time`


# What `Identity` asks for.
IDENTITY_CLAIMS: Final = frozenset(("jti", "sid", "sub", "auth_time", "iat"))


class Identity:
    """The claims of a token that a revocation can name."""

    __slots__ = ("jti", "sid", "sub", "time")

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self.jti = _mark(claims.get("jti"))
        self.sid = _mark(claims.get("sid"))
        self.sub = _mark(claims.get("sub"))
        since = claims.get("auth_time", claims.get("iat"))
        # A token without a time of issue counts as older than any time.
        self.time: float = since if type(since) is int or type(since) is float else -inf


def _mark(value: object) -> int:
    """Return a claim as a number of 64 bits, 0 if it is not text.

    Two texts with the same number are as rare as a guess that hits a key of 64 bits, and nobody can choose them: Python's hash
    has a secret seed.
    """
    return hash(value) if isinstance(value, str) else 0


class Times:
    """A time (Unix, seconds) for each of many ids. The latest counts. `add` all of them, then `put_in_order`, then ask `of`.

    A million take 18 MB, where a dictionary takes 110 MB. They are not separate objects, so neither garbage collection nor
    freeing them blocks the loop.
    """

    __slots__ = ("_marks", "_times")

    def __init__(self) -> None:
        self._marks: list[array[int]] = [array("q") for _ in range(PARTS)]
        self._times: list[array[float]] = [array("d") for _ in range(PARTS)]

    def add(self, mark: int, time: float) -> None:
        """Add an id."""
        part = mark % PARTS
        self._marks[part].append(mark)
        self._times[part].append(time)

    def put_in_order(self) -> Iterator[None]:
        """Sort the added ids, so that `of` finds them. Yields often."""
        for part, marks in enumerate(self._marks):
            if marks:
                pairs = sorted(zip(marks, self._times[part], strict=True))
                self._marks[part] = array("q", [mark for mark, _ in pairs])
                self._times[part] = array("d", [time for _, time in pairs])
                yield

    def of(self, mark: int) -> float:
        """Return the time of an id, -inf if it is not among them."""
        part = mark % PARTS
        marks = self._marks[part]
        place = bisect_right(marks, mark) - 1
        return self._times[part][place] if place >= 0 and marks[place] == mark else -inf


class Revocations:
    """A list of revocations. `add` its lines, then `put_in_order`, then ask `revokes`."""

    __slots__ = (
        "_all_before",
        "_carried",
        "_fitting",
        "_ids",
        "_last_before",
        "_lists",
        "_moments",
        "_sessions",
        "_subjects",
        "count",
        "kids",
    )

    def __init__(self, carried: Carried) -> None:
        self._carried = carried
        self._ids = Times()  # until when each is revoked
        self._sessions = Times()
        self._subjects = Times()  # before which each is revoked
        self._lists = {"jti": self._ids, "sid": self._sessions, "sub": self._subjects}
        self._moments: dict[str, float] = {}  # parsed times: many lines usually have the same
        self._fitting: set[str] = set()  # kinds of lines that match the claims of the tokens
        self._all_before = -inf
        self._last_before = -inf
        self.kids: set[str] = set()
        self.count = 0  # lines

    def add(self, line: str) -> None:
        """Take a line.

        Raises:
            BadLine: it is not a rule that tokens can match.
        """
        words = _QUOTED_OR_NOT.findall(line) if '"' in line else line.split()
        if "#" in line:
            words = list(takewhile(_is_no_comment, words))
        if not words:
            return
        kind = words[0]
        if kind not in _FORMS:
            raise BadLine(f"has to be one of: {'; '.join(_FORMS.values())}")
        names = 1 if kind == "all" else 2  # words before the relation
        relation = words[names] if len(words) == names + 2 else None
        if len(words) != names + 2 * (relation is not None) or relation not in _RELATIONS[kind]:
            raise BadLine(f"has to be: {_FORMS[kind]}")
        if kind not in self._fitting:
            self._check_carried(kind, relation)
        moment = inf if relation is None else self._moment(words[-1])
        if relation == "before":
            self._last_before = max(self._last_before, moment)
        if kind == "all":
            self._all_before = max(self._all_before, moment)
        else:
            name = _named(words[1])
            if kind == "kid":
                self.kids.add(name)
            else:
                self._lists[kind].add(hash(name), moment)
        self.count += 1

    def put_in_order(self) -> Iterator[None]:
        """Sort the lines, so that `revokes` finds them. Yields often."""
        for times in (self._ids, self._sessions, self._subjects):
            yield from times.put_in_order()

    def doubts(self, kids: Collection[str], now: float, *, signs: bool) -> list[str]:
        """Return warnings about probable mistakes, for a service with keys of these names. `signs`: one of them signs now."""
        said = []
        if strange := len(self.kids.difference(kids)):
            lines = "a line with `kid` names" if strange == 1 else f"{strange} lines with `kid` name"
            said.append(f"{lines} no known key: `txtoken keys list` shows the names")
        if self._last_before > now:
            said.append("a time after `before` is in the future: tokens that are issued until then are rejected, too")
        if self.kids and not signs:
            said.append(
                "no key signs, because all keys that could are revoked: logins are answered with 503. Add another key"
            )
        return said

    def _check_carried(self, kind: str, relation: str | None) -> None:
        carried = self._carried
        if kind != "all" and not getattr(carried, kind):
            raise BadLine(f"names `{kind}`, which the tokens of this service do not carry{_KEYS[kind]}")
        if relation == "before" and not carried.time:
            raise BadLine(
                "contains `before`, but the tokens of this service do not carry their time of issue (claims.iat, refresh)"
            )
        self._fitting.add(kind)

    def _moment(self, text: str) -> float:
        known = self._moments.get(text)
        if known is None:
            try:
                known = timestamp.parsed(text).timestamp()
            except ValueError:
                raise BadLine("needs a time like 2027-01-31T00:00:00Z (RFC 3339)") from None
            if len(self._moments) == MOMENTS:
                self._moments.clear()
            self._moments[text] = known
        return known

    def revokes(self, identity: Identity, kid: str, now: float) -> bool:
        """Whether a token is revoked at this moment (Unix time). `before` means an earlier second."""
        if identity.time < self._all_before or (kid and kid in self.kids):
            return True
        if identity.jti and self._ids.of(identity.jti) > now:
            return True
        if identity.sid and self._sessions.of(identity.sid) > now:
            return True
        return identity.time < self._subjects.of(identity.sub)


def _is_no_comment(word: str) -> bool:
    return not word.startswith("#")


def _named(written: str) -> str:
    """Return a name. A name with blanks is in quotes, as JSON."""
    if written.startswith("'"):
        raise BadLine("has a name after ': quotes are \"")
    if not written.startswith('"'):
        return written
    try:
        name = read_json(written)
    except JSONDecodeError:
        raise BadLine("has a name in quotes that is not JSON text") from None
    assert isinstance(name, str)
    return name
