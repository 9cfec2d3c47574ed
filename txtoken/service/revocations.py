"""What is no longer valid before its time (contract §5 `revocations`): one line each. Knows no file and no clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any, Final

from orjson import JSONDecodeError
from orjson import loads as read_json

_QUOTED_OR_NOT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_FORMS: Final = {
    "jti": "jti ID, or jti ID until TIME",
    "sid": "sid ID, or sid ID until TIME",
    "kid": "kid NAME",
    "sub": "sub SUBJECT before TIME",
    "all": "all before TIME",
}


TABLES: Final = 64  # with more, a million would stand in tables that are nearly empty
_RELATIONS: Final[dict[str, tuple[str | None, ...]]] = {
    **dict.fromkeys(("jti", "sid"), (None, "until")),
    "kid": (None,),
    **dict.fromkeys(("sub", "all"), ("before",)),
}
_KEYS: Final = {"jti": " (claims.jti)", "sid": "", "kid": " (keys)", "sub": " (claims.sub)"}


class BadLine(ValueError):
    """What is wrong with a line. The text quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What the service's tokens carry, so that a line about anything else is a mistake."""

    jti: bool = False
    sid: bool = False
    kid: bool = False
    sub: bool = False
    time: bool = False  # `iat`, or `auth_time`


class Identity:
    """What of a token's claims a revocation can name."""

    __slots__ = ("jti", "sid", "sub", "time")

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self.jti = _mark(claims.get("jti"))
        self.sid = _mark(claims.get("sid"))
        self.sub = _mark(claims.get("sub"))
        since = claims.get("auth_time", claims.get("iat"))
        # A token that does not say since when it is counts as older than any.
        self.time: float = since if type(since) is int or type(since) is float else -inf


def _mark(value: object) -> int:
    """Return a claim as a number of 64 bits, 0 where it is no text: a million ids are 80 MB so, as texts they would be 120. Two
    texts with the same number are as rare as a guess that hits a key of 64 bits, and nobody can choose them: Python's hash has a
    secret seed.
    """
    return hash(value) if isinstance(value, str) else 0


class Marks:
    """Many ids, as marks, each with an end (Unix time) or without one.

    They stand in many small tables: a table of a million grows, and is let go of, in one go that would hold the loop for 30 ms.
    """

    __slots__ = ("_for_ever", "_until")

    def __init__(self) -> None:
        self._for_ever: list[set[int]] = [set() for _ in range(TABLES)]
        self._until: list[dict[int, float]] = [{} for _ in range(TABLES)]

    def add(self, mark: int, until: float) -> None:
        """Add an id."""
        if until == inf:
            self._for_ever[mark % TABLES].add(mark)
        else:
            self._until[mark % TABLES][mark] = until

    def has(self, mark: int, now: float) -> bool:
        """Whether an id is among them at this moment."""
        place = mark % TABLES
        return mark in self._for_ever[place] or self._until[place].get(mark, -inf) > now

    def drop_some(self) -> bool:
        """Let go of some ids. False: there were none left."""
        if not self._for_ever:
            return False
        self._for_ever.pop()
        self._until.pop()
        return True


class Revocations:
    """A list of revocations. `add` its lines, then ask `revokes`. One that is no longer asked is let go of by `drop_some`."""

    __slots__ = ("_all_before", "_carried", "_ids", "_sessions", "_subjects", "_times", "count", "kids")

    def __init__(self, carried: Carried) -> None:
        self._carried = carried
        self._ids = Marks()
        self._sessions = Marks()
        self._subjects: dict[int, float] = {}
        self._times: dict[str, float] = {}  # that were read: mostly many lines have the same
        self._all_before = -inf
        self.kids: set[str] = set()
        self.count = 0  # lines

    def add(self, line: str) -> None:
        """Take a line, without its end.

        Raises:
            BadLine: it says nothing that can be revoked.
        """
        text = line.strip()
        if not text or text.startswith("#"):
            return
        words = _QUOTED_OR_NOT.findall(text) if '"' in text else text.split()
        kind = words[0]
        if kind not in _FORMS:
            raise BadLine(f"has to be one of: {'; '.join(_FORMS.values())}")
        written = words[1] if kind != "all" and len(words) > 1 else None
        relation, when = words[-2:] if len(words) == (3 if kind == "all" else 4) else (None, None)
        if len(words) != 1 + (written is not None) + 2 * (relation is not None):
            raise BadLine(f"has to be: {_FORMS[kind]}")
        self._check_form(kind, written, relation)
        moment = inf if when is None else self._moment(when)
        name = "" if written is None else _unquoted(written)
        if kind == "all":
            self._all_before = max(self._all_before, moment)
        elif kind == "kid":
            self.kids.add(name)
        elif kind == "sub":
            mark = hash(name)
            self._subjects[mark] = max(self._subjects.get(mark, -inf), moment)
        else:
            (self._ids if kind == "jti" else self._sessions).add(hash(name), moment)
        self.count += 1

    def drop_some(self) -> bool:
        """Let go of a part of the list. False: nothing is left."""
        return self._ids.drop_some() or self._sessions.drop_some()

    def _check_form(self, kind: str, written: str | None, relation: str | None) -> None:
        if (written is not None) != (kind != "all") or relation not in _RELATIONS[kind]:
            raise BadLine(f"has to be: {_FORMS[kind]}")
        carried = self._carried
        if kind != "all" and not getattr(carried, kind):
            raise BadLine(f"speaks of `{kind}`, which the tokens of this service do not carry{_KEYS[kind]}")
        if relation == "before" and not carried.time:
            raise BadLine("says `before`, and the tokens of this service do not say when they were issued (claims.iat)")

    def _moment(self, text: str) -> float:
        known = self._times.get(text)
        if known is None:
            try:
                known = datetime.fromisoformat(text.upper()).timestamp() if _TIME.fullmatch(text) else None
            except ValueError:
                known = None
            if known is None:
                raise BadLine("needs a time like 2027-01-31T00:00:00Z (RFC 3339)")
            self._times[text] = known
        return known

    def revokes(self, identity: Identity, kid: str, now: float) -> bool:
        """Whether a token is revoked at this moment (Unix time). `before` a time is what says an earlier second than that."""
        if identity.time < self._all_before or (kid and kid in self.kids):
            return True
        if identity.jti and self._ids.has(identity.jti, now):
            return True
        if identity.sid and self._sessions.has(identity.sid, now):
            return True
        return bool(self._subjects) and identity.time < self._subjects.get(identity.sub, -inf)


def _unquoted(written: str) -> str:
    """Return a name as it was meant: one with blanks stands in quotes, as JSON."""
    if not written.startswith('"'):
        return written
    try:
        name = read_json(written)
    except JSONDecodeError:
        raise BadLine("has a name in quotes that is no JSON text") from None
    assert isinstance(name, str)
    return name
