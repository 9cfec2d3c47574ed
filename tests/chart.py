"""The Helm chart: its files, and what it repeats of the service and of its own values.

`scripts/chart` writes both anew: run as a program this does so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from txtoken.config.schema import schema

ROOT: Final = Path(__file__).parents[1]
CHART: Final = ROOT / "deploy" / "helm" / "txtoken"
VALUES: Final = CHART / "values.yaml"
SCHEMA: Final = CHART / "values.schema.json"
README: Final = CHART / "README.md"
_TABLE: Final = re.compile(
    r"(<!-- the table below is made by scripts/chart -->\n).*?(?=^<!-- its end -->$)", re.DOTALL | re.MULTILINE
)


def config_schema() -> dict[str, Any]:
    """Return the schema of the values' `config`: the service's own, without what the chart's templates do not look at.

    Those are keys with a dot in their name (`tls.certFile`): the templates read sections. Helm's regular expressions (Go's)
    count to 1 000 at most, so a longer text is left to the service to refuse.
    """
    text = orjson.dumps(schema()).decode()
    whole = json.loads(re.sub(r"\{(\d+),\d{4,}\}", r"{\1,}", text))
    kept = {name: whole[name] for name in ("properties", "additionalProperties")}
    properties = kept["properties"]
    not_yet = {"maxLength": 0}  # the templates ask for the remote, in words
    remote = {"description": properties["remote"]["description"], "anyOf": [not_yet, properties["remote"]]}
    described = {"type": "object", "description": "Configuration of the service, by its own schema."}
    return {**described, "required": ["remote"], **kept, "properties": {**properties, "remote": remote}}


def values_schema(text: str) -> str:
    """Put the service's schema into the chart's."""
    whole = json.loads(text)
    whole["properties"]["config"] = config_schema()
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Give each value that is explained: its name, its default, and its comment, which stands above it.

    A section with explained members has no default of its own.

    Raises:
        ValueError: a value has no comment, nor has what it stands in.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    yield from _rows(root, text.splitlines(), "", is_explained=False)


def _rows(
    node: yaml.MappingNode, lines: list[str], prefix: str, *, is_explained: bool
) -> Iterator[tuple[str, str, str]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        meaning = _comment_above(lines, key.start_mark.line)
        members: list[tuple[str, str, str]] = []
        if isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
            members = list(_rows(value, lines, f"{name}.", is_explained=is_explained or bool(meaning)))
        elif not meaning and not is_explained:
            raise ValueError(f"values.yaml, line {key.start_mark.line + 1}: {name} has no comment above it")
        if meaning:
            default = "" if members else json.dumps(yaml.safe_load(yaml.serialize(value)), ensure_ascii=False)
            yield name, default, meaning
        yield from members


def _comment_above(lines: list[str], line: int) -> str:
    said: list[str] = []
    while line and (comment := lines[line - 1].strip()).startswith("#"):
        said.insert(0, comment.removeprefix("#").strip())
        line -= 1
    return " ".join(said)


def table(text: str) -> str:
    """Write the values as a table."""
    made = ["| value | default | meaning |", "|---|---|---|"]
    for name, default, meaning in rows(text):
        shown = f"`{default}`" if default else ""
        made.append(f"| `{name}` | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(made) + "\n"


def readme(text: str) -> str:
    """Put the table of values into the README."""
    made, count = _TABLE.subn(lambda found: f"{found[1]}\n{table(VALUES.read_text())}\n", text)
    assert count == 1
    return made


def main() -> None:
    """Write both."""
    SCHEMA.write_text(values_schema(SCHEMA.read_text()))
    README.write_text(readme(README.read_text()))


if __name__ == "__main__":
    main()
