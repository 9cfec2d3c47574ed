"""What the page shows of a login as the login API sees it: no token, and no password. Knows no page."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from txtoken.demo.decoding import decoded
from txtoken.demo.login_api import LOGIN_PATH, Login

CHARACTERS_MAX: Final = 2000  # of a body, and of what a token says
FIELD_CHARACTERS_MAX: Final = 200
FIELDS_MAX: Final = 30
HIDDEN: Final = "…"
_SECRET: Final = "password"  # noqa: S105 - the name of a member


def view(login: Login) -> dict[str, Any]:
    """Make the event of a login."""
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in login.fields]
    by_name = {name.lower(): value for name, value in fields}
    authorization = by_name.get("authorization", "")
    return {
        "kind": "login",
        "id": by_name.get("x-request-id", ""),
        "request": f"POST {LOGIN_PATH} HTTP/1.1",
        "fields": [
            [name, _shortened(value) if name.lower() == "authorization" else value[:FIELD_CHARACTERS_MAX]]
            for name, value in fields[:FIELDS_MAX]
        ],
        "body": _body(login.body),
        "bearer": _decoded(authorization.partition(" ")[2]),
        "status": login.status,
        "reply": json.dumps(login.reply),
    }


def _shortened(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return f"{scheme} {token[:10]}{HIDDEN}"


def _decoded(token: str) -> dict[str, Any] | None:
    """Return what a token says, without its signature: what is left of it is worth nothing."""
    try:
        header, claims = decoded(token)
        said = {"header": header, "claims": claims}
        return said if len(orjson.dumps(said)) <= CHARACTERS_MAX else None
    except (ValueError, TypeError):  # no token, or one that is nested too deeply
        return None


def _body(body: bytes) -> str:
    """Return a body as it came, with no password in it."""
    try:
        members = orjson.loads(body)
        if isinstance(members, dict) and _SECRET in members:
            members[_SECRET] = HIDDEN
        text = orjson.dumps(members).decode()
    except (ValueError, TypeError):  # no JSON, or nested too deeply
        return f"{len(body)} bytes"
    return text if len(text) <= CHARACTERS_MAX else f"{text[:CHARACTERS_MAX]}{HIDDEN}"
