"""What the remote answers to a login: a profile, or an access list as login APIs send them. Knows no HTTP.

A reply of repeated letters would hide what JSON costs. These have nested objects and lists, numbers, booleans, nulls, and
letters that are not ASCII.
"""

from __future__ import annotations

import json
from typing import Final

REPLY_BYTES: Final = 130
PROFILE: Final = {"id": 1815, "user": "ada", "name": "Ada Lovelace", "email": "ada@example.com", "roles": ["member"]}

_PLACES: Final = ("Zürich", "Kraków", "東京", "São Paulo", "Aarhus", "Αθήνα", "Lyon", "Reykjavík")
_ACTIONS: Final = ("read", "write", "delete", "share", "approve")
_KINDS: Final = ("project", "folder", "invoice", "device")


def reply_object(size: int) -> dict[str, object]:
    """Make the object that logins are answered with: the profile, and from 1 KiB on an access list beside it.

    Returns:
        An object whose compact JSON has `size` bytes in UTF-8, or a few more where that is too small.
    """
    plain: dict[str, object] = dict(PROFILE)
    grants: list[dict[str, object]] = []
    if size >= 2 * len(_grant_text(0)) + _bytes_of(plain):
        plain["access"] = grants
        used = _bytes_of(plain)
        # What is left for the note is filled with words.
        while used + len(text := _grant_text(len(grants))) + 1 + len(',"note":""') <= size:
            used += len(text) + bool(grants)
            grants.append(_grant(len(grants)))
    plain["note"] = ""
    missing = size - _bytes_of(plain)
    words = "member since the first day " * (missing // 27 + 1)
    plain["note"] = words[: max(0, missing)]
    return plain


def compact(plain: object) -> bytes:
    """Write JSON without white space, in UTF-8."""
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode()


def _grant(number: int) -> dict[str, object]:
    """One entry: who gave the right to do what, where, and until when. Every entry is different."""
    kind = _KINDS[number % len(_KINDS)]
    return {
        "resource": f"/{kind}s/{number * 7919 % 100_003}",
        "actions": [action for bit, action in enumerate(_ACTIONS) if (number * 2654435761 >> bit) & 1] or ["read"],
        "scope": {
            "site": _PLACES[number % len(_PLACES)],
            "depth": number % 5,
            "share": round((number * 37 % 100) / 100, 2),
            "inherited": number % 3 == 0,
        },
        "granted": {"by": 1000 + number * 31 % 977, "at": 1_700_000_000 + number * 86_413, "until": None},
    }


def _grant_text(number: int) -> bytes:
    return compact(_grant(number))


def _bytes_of(plain: object) -> int:
    return len(compact(plain))
