"""The configuration as a JSON Schema (draft 2020-12), so that editors can complete and check the file. Knows no key: meanings,
types and defaults come from `table`.

The schema accepts everything that the service accepts. It cannot express everything: bounds apply to `8888` but not to `"8888"`,
and required keys may come from the environment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from txtoken.config.table import KEYS, SECTIONS, Key


def schema() -> dict[str, object]:
    """Return the schema of a whole file, for orjson to write."""
    properties: dict[str, Any] = {}
    dotted = {}
    for key in KEYS:
        section, _, name = key.name.rpartition(".")
        if section:
            place = properties.setdefault(section, _section(section))["properties"]
            reference = f"#/properties/{section}/properties/{name}"
            dotted[f"^{re.escape(key.name)}$"] = {"$ref": reference}  # accepted too, but an editor should not offer it
        else:
            place = properties
        place[name] = _property(key)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of txtoken",
        "type": ["object", "null"],
        "properties": properties,
        "patternProperties": dotted,
        "additionalProperties": False,
    }


def _section(name: str) -> dict[str, object]:
    return {"description": SECTIONS[name], "type": ["object", "null"], "properties": {}, "additionalProperties": False}


def _sections(key: Key) -> dict[str, Any]:
    """Describe a list of sections, or one section in its place."""
    listed = {"type": "array", "minItems": 1, "items": {"type": "object", **_members(key.items)}}
    return {"type": ["array", "object"], "anyOf": [{"type": "null"}, listed, {"type": "object", **_members(key.alone)}]}


def _members(keys: Sequence[Key]) -> dict[str, object]:
    return {"properties": {key.name.rpartition(".")[2]: _property(key) for key in keys}, "additionalProperties": False}


def _property(key: Key) -> dict[str, object]:
    said = {"description": key.meaning, **(_sections(key) if key.items else key.read.schema)}
    said["type"] = [*said["type"], "null"]  # a key without a value counts as absent
    if "enum" in said:
        said["enum"] = [*said["enum"], None]
    if key.default is not None:
        said["default"] = key.read.write(key.default)
    return said
