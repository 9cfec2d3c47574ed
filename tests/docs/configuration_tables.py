"""The tables of docs/reference/configuration.md, from the table of keys. `scripts/docs --write` writes them to the page."""

from __future__ import annotations

import re
from typing import Final

import orjson

from tests.docs.pages import ROOT
from txtoken.config.table import KEYS, SECTIONS, SWITCHES, Key

PAGE: Final = ROOT / "docs" / "reference" / "configuration.md"
ORIGINAL_KEYS: Final = 8  # the first ones of the table
BEGIN: Final = "<!-- from the table of keys: begin -->\n"
END: Final = "<!-- from the table of keys: end -->\n"
UNITS: Final = ((2**20, "MiB"), (2**10, "KiB"))


def default_of(key: Key) -> str:
    """Write a key's default as a file would."""
    if key.default is None or key.default == "" or (key.default == () and not key.items):
        return "–"
    text = orjson.dumps(key.read.write(key.default)).decode()
    value = re.sub(r'"(\w[\w /.-]*|/\w*)"', r"\1", text).replace(",", ", ").removesuffix(".0")
    if key.name.startswith("limits.") and key.name.endswith("Bytes"):
        size, unit = next((size, unit) for size, unit in UNITS if int(value) % size == 0)
        value = f"{int(value) // size}{unit}"
    elif key.name.startswith("timeouts."):
        value += "s"
    return f"`{value}`"


def meaning_of(key: Key) -> str:
    """Say what a key means, and what is special about it."""
    kinds = (("secret", key.is_secret), ("a file, watched", key.is_file), ("restart", key.wants_restart))
    special = ", ".join(text for text, holds in kinds if holds)
    text = re.sub(r"(\{[^{}]*\}|'[^' ]*')", r"`\1`", key.meaning.replace("|", "\\|"))
    text = re.sub(r"docs/reference/(\S+)\.md", r"[\1](\1.md)", text)
    text = re.sub(r"docs/(how-to)/(\S+)\.md", r"[\2](../\1/\2.md)", text)
    text = text.replace("[keys](keys.md)", "[Keys](keys.md)")
    return text + (f" ({special})" if special else "")


def table(keys: tuple[Key, ...]) -> str:
    """Write the rows of some keys."""
    rows = [f"| `{key.name.rpartition('.')[2]}` | {default_of(key)} | {meaning_of(key)} |\n" for key in keys]
    return "| key | default | meaning |\n|---|---|---|\n" + "".join(rows)


def tables() -> str:
    """Write all keys: the original's, all others of the top level, then section by section."""
    top = tuple(key for key in KEYS if not key.section)
    text = f"\n## The original's keys\n\n{table(top[:ORIGINAL_KEYS])}\n## New keys\n\n{table(top[ORIGINAL_KEYS:])}"
    for section, about in SECTIONS.items():
        linked = re.sub(r" See docs/how-to/(\S+)\.md\.", r" See [\1](../how-to/\1.md).", about)
        linked = linked.replace("{}", "`{}`") if section in SWITCHES else re.sub(r"(\{[^{}]+\})", r"`\1`", linked)
        text += f"\n## {section}\n\n{linked}\n\n{table(tuple(key for key in KEYS if key.section == section))}"
    for key in KEYS:
        if key.items:
            text += f"\n## {key.name}\n\nOf one item of the list:\n\n{table(key.items)}"
        if key.alone and key.alone != key.items:
            text += f"\nOf one section in place of a list:\n\n{table(key.alone)}"
    return text


def page(text: str) -> str:
    """Put the tables of a page right."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
