"""The values of the keys `successStatus` and `successWhen`: which replies are a login (contract §1.2). Reads no reply."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson
import yaml

from txtoken.config.pointers import check_pointer
from txtoken.config.trees import compact, plain
from txtoken.config.values import TEXT, Wrong, kind, list_of, pairs, read_text

STATUSES: Final = frozenset(range(200, 300))  # statuses that can be a success
ALL: Final = "2xx"
POINTERS_MAX: Final = 64  # each is looked up in every reply

_STATUS: Final = "2xx|2[0-9][0-9]"
_TEXT_OF_OBJECT: Final = r"\s*\{[\s\S]*"


@kind("integer string", minimum=200, maximum=299, pattern=_STATUS)
def _read_status(node: yaml.Node) -> str:
    text = read_text(node)
    if not re.fullmatch(_STATUS, text):
        raise Wrong("has to be a list of statuses from 200 to 299, or 2xx for all of them", node)
    return text


_read_list: Final = list_of(_read_status)


@kind(
    f"array {TEXT}",
    items=_read_status.schema,
    minItems=1,
    minimum=200,
    maximum=299,
    write=lambda statuses: ALL if statuses == STATUSES else sorted(statuses),
)
def read_statuses(node: yaml.Node) -> frozenset[int]:
    """Statuses from 200 to 299, one or a list; `2xx` is all of them."""
    texts = _read_list(node)
    if not texts:
        raise Wrong("lists no status: leave it out to accept 200 alone")
    return STATUSES if ALL in texts else frozenset(map(int, texts))


@kind(
    "object string",
    pattern=_TEXT_OF_OBJECT,
    maxProperties=POINTERS_MAX,
    write=lambda members: {pointer: orjson.Fragment(value) for pointer, value in members},
)
def read_members(node: yaml.Node) -> tuple[tuple[str, bytes], ...]:
    """JSON Pointers, each with the expected value as compact JSON: a section, or a text with a JSON object."""
    if isinstance(node, yaml.MappingNode):
        members = []
        for key, value in pairs(node):
            try:
                members.append((check_pointer(read_text(key)), compact(plain(value))))
            except Wrong as wrong:
                raise Wrong(str(wrong), wrong.node or key) from None
    else:
        members = [(check_pointer(name), compact(value)) for name, value in _object(read_text(node))]
    if len(members) > POINTERS_MAX:
        raise Wrong(f"contains more than {POINTERS_MAX} pointers")
    return tuple(members)


def _object(text: str) -> list[tuple[str, Any]]:
    """Read a text with a JSON object, as pairs, so that duplicate members are found."""
    wanted = 'has to be a section, or text like {"/success": true, "/errors": null}'
    try:
        if not isinstance(orjson.loads(text), dict):
            raise Wrong(wanted)
        found = json.loads(text, object_pairs_hook=_members)  # again, for integers of any size
    except (ValueError, UnicodeEncodeError, RecursionError):
        raise Wrong(wanted) from None
    return list(found.items())


def _members(found: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(found)
    if len(members) < len(found):
        raise Wrong("contains a member twice")
    return members
