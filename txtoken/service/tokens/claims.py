"""Writes the claims of tokens: the remote's reply and the configured claims (contract §1.2 `claims`, `dataClaim`, `dataFields`).
Decides once, at start. Knows no key and no clock.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from orjson import Fragment
from orjson import dumps as write_json

from txtoken.compiling import mypyc_attr
from txtoken.errors import ClaimsUnbuildable
from txtoken.service.pointer import Pointer
from txtoken.settings import IssueSettings

# Registered claims (RFC 7519 §4.1), and two of our own. A reply must not set any of them.
RESERVED: Final = frozenset(("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "sid"))
JTI_PREFIX_BYTES: Final = 9  # random, of each process: 72 bits, so that no two processes ever share it


@mypyc_attr(allow_interpreted_subclasses=True)
class Data:
    """Writes a reply as the beginning of the claims: `{"data":<the reply>`. `is_whole`: all of it, without a look inside."""

    __slots__ = ("_start", "is_whole")

    def __init__(self, name: str, *, is_whole: bool = True) -> None:
        self.is_whole = is_whole
        self._start = b"{" + write_json(name) + b":"

    def write(self, reply: Mapping[str, Any], text: bytes) -> tuple[bytes, bytes]:
        """Write it, in two pieces. The second is empty if it has no member.

        `text` is the reply as compact JSON, `reply` the same parsed, if this looks inside.
        """
        return self._start, text


class Selected(Data):
    """The same with some of the reply's members: only the included ones, or all except the excluded ones."""

    __slots__ = ("_exclude", "_include")

    def __init__(self, name: str, include: tuple[str, ...] | None, exclude: tuple[str, ...]) -> None:
        super().__init__(name, is_whole=False)
        self._include = None if include is None else frozenset(include)
        self._exclude = frozenset(exclude)

    def keeps(self, name: str) -> bool:
        """Whether a member goes into the token."""
        return (self._include is None or name in self._include) and name not in self._exclude

    def write(self, reply: Mapping[str, Any], text: bytes) -> tuple[bytes, bytes]:
        return self._start, select(reply, text, [name for name in reply if self.keeps(name)])


class TopLevel(Selected):
    """Writes the reply's members as claims, without registered claims. The first drop is reported."""

    __slots__ = ("_is_reported", "_on_drop")

    def __init__(
        self, include: tuple[str, ...] | None, exclude: tuple[str, ...], on_drop: Callable[[str], object]
    ) -> None:
        super().__init__("", include, exclude)
        self._on_drop = on_drop
        self._is_reported = False

    def keeps(self, name: str) -> bool:
        return name not in RESERVED and super().keeps(name)

    def write(self, reply: Mapping[str, Any], text: bytes) -> tuple[bytes, bytes]:
        kept = [name for name in reply if self.keeps(name)]
        if not self._is_reported and not RESERVED.isdisjoint(reply):
            self._is_reported = True
            self._on_drop(", ".join(sorted(RESERVED.intersection(reply))))
        members = text if len(kept) == len(reply) else select(reply, text, kept)
        return b"{", members[1:-1] if kept else b""


def select(reply: Mapping[str, Any], text: bytes, names: list[str]) -> bytes:
    """Write some members of a reply, with exact numbers. `text` is the whole reply as compact JSON."""
    if len(names) == len(reply):
        return text
    if write_json(reply) == text:  # reading has rounded nothing
        return write_json({name: reply[name] for name in names})
    exact = json.loads(text, parse_int=Fragment, parse_float=Fragment)
    return write_json({name: exact[name] for name in names})


def data_of(settings: IssueSettings, on_drop: Callable[[str], object]) -> Data:
    """Choose how replies become claims. `on_drop` is called once, with the names of members that cannot be claims."""
    include, exclude = settings.data_include, settings.data_exclude
    if not settings.data_claim:
        return TopLevel(include, exclude, on_drop)
    if include is not None or exclude:
        return Selected(settings.data_claim, include, exclude)
    return Data(settings.data_claim)


class Subject:
    """The claim `sub` (RFC 7519 §4.1.2), from a place in the reply."""

    __slots__ = ("pointer",)

    def __init__(self, pointer: str) -> None:
        self.pointer = Pointer(pointer)

    def write(self, reply: Mapping[str, Any], text: bytes) -> bytes:
        """Write the member, with the comma before it.

        Raises:
            ClaimsUnbuildable: there is no text, number or boolean there.
        """
        found = self.pointer.find(reply)
        if isinstance(found, str):
            subject = found
        elif isinstance(found, bool):
            subject = "true" if found else "false"
        elif isinstance(found, int):
            subject = str(found)
        elif isinstance(found, float):  # or an integer of more than 64 bits: keep its text
            subject = self.pointer.find(json.loads(text, parse_int=str, parse_float=str))
        else:
            subject = ""
        if not subject:
            raise ClaimsUnbuildable(f"claims.sub: the reply has no text or number at {self.pointer.text or 'the top'}")
        return b',"sub":' + write_json(subject)


class TokenIds:
    """The claim `jti` (RFC 7519 §4.1.7): unique, without a system call for each token. A process has a random prefix, and
    counts.
    """

    __slots__ = ("_count", "_start")

    def __init__(self) -> None:
        self._start = b',"jti":"%b-' % secrets.token_urlsafe(JTI_PREFIX_BYTES).encode("ascii")
        self._count = 0

    def write(self) -> bytes:
        """Write the member, with the comma before it."""
        self._count += 1
        return b'%b%d"' % (self._start, self._count)


def constant_members(settings: IssueSettings) -> bytes:
    """Write the members that are the same in every token: `iss`, `aud`, each with the comma before it."""
    members = b""
    if settings.issuer is not None:
        members += b',"iss":' + write_json(settings.issuer)
    if settings.audience:
        # A single audience is a text, the common form (RFC 7519 §4.1.3).
        members += b',"aud":' + write_json(settings.audience if len(settings.audience) > 1 else settings.audience[0])
    return members


def times_of(settings: IssueSettings, now: int) -> bytes:
    """Write the members that are the same in every token of a second, without `exp`: `iat` and `nbf`."""
    members = b',"iat":%d' % now if settings.has_iat else b""
    return members + b',"nbf":%d' % now if settings.has_nbf else members
