"""Converts YAML trees, which tokens will carry, to compact JSON. Knows no meaning of a value.

Depth and size are bounded. Values that JSON cannot express are errors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Final

import orjson
import yaml

from txtoken.config.values import TEXT_TAGS, Wrong, kind, pairs, read_text

TREE_DEPTH_MAX: Final = 100
TREE_NODES_MAX: Final = 10_000  # aliases count every time, so that a small file cannot become a huge token
TREE_TEXT_PER_VALUE: Final = 100  # characters; a longer text counts as several values, for the same reason
MERGE_TAG: Final = "tag:yaml.org,2002:merge"  # the key `<<`


@kind("object array string number boolean", write=orjson.Fragment)
def read_tree(node: yaml.Node) -> bytes:
    """Any YAML tree, or a string with JSON, as compact JSON."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
        try:
            value = orjson.loads(node.value)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            raise Wrong("is text that is not JSON: write a YAML section, or JSON in quotes") from None
        if _depth(value) > TREE_DEPTH_MAX:
            raise Wrong(f"is nested deeper than {TREE_DEPTH_MAX} levels")
        value = json.loads(node.value)  # again, for integers of any size
    else:
        value = plain(node)
    return compact(value)


def plain(node: yaml.Node) -> object:
    """Any YAML tree as Python values. Text stays text.

    Raises:
        Wrong: it is too deep or too large, or JSON cannot express something in it.
    """
    return _plain(node, 0, iter(range(TREE_NODES_MAX)))


def compact(value: object) -> bytes:
    """Write a tree as compact JSON.

    Raises:
        Wrong: it is too deep, or JSON cannot express something in it.
    """
    if _depth(value) > TREE_DEPTH_MAX:
        raise Wrong(f"is nested deeper than {TREE_DEPTH_MAX} levels")
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, UnicodeEncodeError):
        raise Wrong("contains something that JSON cannot express") from None


def _depth(value: object, limit: int = TREE_DEPTH_MAX + 1) -> int:
    if limit == 0 or not isinstance(value, dict | list):
        return 0
    items = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(item, limit - 1) for item in items), default=0)


def _plain(node: yaml.Node, depth: int, nodes_left: Iterator[int]) -> object:
    if depth > TREE_DEPTH_MAX:
        raise Wrong(f"is nested deeper than {TREE_DEPTH_MAX} levels")
    _spend(1, nodes_left)
    if node.tag not in TEXT_TAGS and node.tag not in ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"):
        raise Wrong("has a YAML tag that JSON cannot express", node)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth + 1, nodes_left) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _plain_members(node, depth, nodes_left)
    assert isinstance(node, yaml.ScalarNode)
    _spend(len(node.value) // TREE_TEXT_PER_VALUE, nodes_left)
    construct = yaml.constructor.SafeConstructor()
    try:
        match node.tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return construct.construct_yaml_bool(node)
            case "int":
                return construct.construct_yaml_int(node)
            case "float":
                number = construct.construct_yaml_float(node)
                if not math.isfinite(number):
                    raise Wrong("contains a number that JSON cannot express", node)
                return number
            case _:
                return read_text(node)
    except (ValueError, KeyError, IndexError, OverflowError):
        raise Wrong("contains a malformed value", node) from None


def _plain_members(node: yaml.MappingNode, depth: int, nodes_left: Iterator[int]) -> dict[str, object]:
    """Read a section's members, and those that `<<` merges into it. Own members win, then the first merged one."""
    merged: dict[str, object] = {}
    own: dict[str, object] = {}
    for key, value in pairs(node):
        if key.tag == MERGE_TAG:
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                members = _plain(source, depth + 1, nodes_left)
                if not isinstance(members, dict):
                    raise Wrong("merges (<<) something that is not a section", key)
                merged = members | merged
        else:
            name = read_text(key)
            _spend(len(name) // TREE_TEXT_PER_VALUE, nodes_left)
            own[name] = _plain(value, depth + 1, nodes_left)
    return merged | own


def _spend(count: int, nodes_left: Iterator[int]) -> None:
    if len(list(islice(nodes_left, count))) < count:
        raise Wrong(f"contains more than {TREE_NODES_MAX} values, or too much text")
