"""CHANGELOG.md in the form of Keep a Changelog: its sections, and how "Unreleased" becomes a version's."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Final

from scripts.releasing.refusal import Refusal

UNRELEASED: Final = "Unreleased"
_HEADING: Final = re.compile(r"^## \[(?P<name>[^\]\n]+)\](?: - (?P<date>\S+))?[ \t]*$", re.MULTILINE)
_ENTRY: Final = re.compile(r"^\s*[-*] |^[^#\s]", re.MULTILINE)  # a heading alone says nothing


@dataclass(frozen=True)
class Section:
    """What stands between one `## [Name]` and the next."""

    name: str
    date: str | None
    text: str

    @property
    def says_something(self) -> bool:
        return _ENTRY.search(self.text) is not None


@dataclass(frozen=True)
class Changelog:
    """The whole file."""

    text: str

    def section(self, name: str) -> Section | None:
        """Find one by its name: a version, or `UNRELEASED`."""
        headings = list(_HEADING.finditer(self.text))
        ends = [heading.start() for heading in headings[1:]] + [len(self.text)]
        for heading, end in zip(headings, ends, strict=False):  # of no heading there is one end, too
            if heading["name"] == name:
                return Section(name, heading["date"], self.text[heading.end() : end].strip())
        return None

    def released(self, version: str, today: datetime.date) -> Changelog:
        """Return it with a dated section for this version: as it stands, or made of what is unreleased.

        Raises:
            Refusal: nothing is written about this version, its date is none, or entries would be left behind.
        """
        section, unreleased = self.section(version), self.section(UNRELEASED)
        waiting = unreleased is not None and unreleased.says_something
        if section is None:
            if not waiting:
                raise Refusal(
                    f"CHANGELOG.md says nothing about {version}: write what changed under ## [{UNRELEASED}], and commit it."
                )
            heading = f"## [{UNRELEASED}]"
            return Changelog(self.text.replace(heading, f"{heading}\n\n## [{version}] - {today.isoformat()}", 1))
        if waiting:
            raise Refusal(
                f"CHANGELOG.md has a section {version}, and entries under ## [{UNRELEASED}] beside it: "
                f"move them into {version} if they belong to it, or release the next version."
            )
        if not section.says_something:
            raise Refusal(f"CHANGELOG.md has an empty section {version}: write what changed.")
        self.date_of(version)
        return self

    def date_of(self, version: str) -> datetime.date:
        """Say when a version was released.

        Raises:
            Refusal: its section has no date.
        """
        section = self.section(version)
        try:
            return datetime.date.fromisoformat((section and section.date) or "")
        except ValueError:
            raise Refusal(
                f"CHANGELOG.md gives {version} no date: its heading is ## [{version}] - YYYY-MM-DD."
            ) from None
