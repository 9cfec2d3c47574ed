"""The values of the key `statusMap`: which status a client gets for the remote's failure (contract §3.3). Answers no request."""

from __future__ import annotations

import re
from typing import Final

import orjson
import yaml

from txtoken.config.values import Wrong, kind, pairs, read_text

FAILURE: Final = "[2-5]xx|[2-5][0-9][0-9]|timeout|unreachable|invalid"
TOLD_STATUS: Final = "[45][0-9][0-9]"
TOLD_STATUS_SCHEMA: Final = {
    "type": ["integer", "string"],
    "minimum": 400,
    "maximum": 599,
    "pattern": f"^(?:pass|{TOLD_STATUS})$",
}


@kind(
    "string object",
    pattern=r"original|gateway|\s*\{[\s\S]*",
    patternProperties={f"^(?:{FAILURE})$": TOLD_STATUS_SCHEMA},
    additionalProperties=False,
)
def read_status_map(node: yaml.Node) -> str | dict[str, str]:
    """`original`, `gateway`, or a map: a section, or a text with JSON."""
    if not isinstance(node, yaml.MappingNode):
        text = read_text(node)
        if text in ("original", "gateway"):
            return text
        try:
            members = orjson.loads(text)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            members = None
        if not isinstance(members, dict):
            raise Wrong('has to be original, gateway, or a map like {"401": "pass", "4xx": 400, "timeout": 504}')
        return {_failure(name): _client_status(name, str(status)) for name, status in members.items()}
    status_map = {}
    for key, value in pairs(node):
        try:
            name = _failure(read_text(key))
            status_map[name] = _client_status(name, read_text(value))
        except Wrong as wrong:
            raise Wrong(str(wrong), key) from None
    return status_map


def _failure(name: str) -> str:
    if not re.fullmatch(FAILURE, name):
        raise Wrong("contains a key that is not a status (401), class (4xx), timeout, unreachable or invalid")
    return name


def _client_status(name: str, told: str) -> str:
    if told == "pass":
        if name[0] not in "45":
            raise Wrong(f"{name} cannot be pass: set the status that clients get, from 400 to 599")
    elif not re.fullmatch(TOLD_STATUS, told):
        raise Wrong(f"{name} needs a status from 400 to 599, or pass")
    return told
