"""The version of a release, and the form that each place wants of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from packaging.version import InvalidVersion, Version

from scripts.releasing.refusal import Refusal

FORM: Final = "Write three numbers, 1.2.3, or a release candidate of them, 1.2.3rc1."


@dataclass(frozen=True)
class ReleaseVersion:
    """A final version or a release candidate, as PEP 440 writes it."""

    text: str

    @classmethod
    def parse(cls, text: str) -> ReleaseVersion:
        """Read what was typed.

        Raises:
            Refusal: it is no version, none of the two kinds, or not in its canonical form.
        """
        try:
            version = Version(text)
        except InvalidVersion:
            raise Refusal(f"{text!r} is no version. {FORM}") from None
        candidate = version.pre is not None and version.pre[0] == "rc"
        other = version.is_devrelease or version.is_postrelease or version.local or version.epoch
        if other or len(version.release) != 3 or not (version.pre is None or candidate):
            raise Refusal(f"{text} is neither a final version nor a release candidate. {FORM}")
        if str(version) != text:
            raise Refusal(f"{text} is not in its canonical form. Write {version}.")
        return cls(text)

    @property
    def is_candidate(self) -> bool:
        return Version(self.text).is_prerelease

    @property
    def tag(self) -> str:
        """Of git."""
        return f"v{self.text}"

    @property
    def of_chart(self) -> str:
        """Helm demands Semantic Versioning: 1.2.3-rc.1."""
        return self.text.replace("rc", "-rc.")

    @property
    def image_tags(self) -> tuple[str, ...]:
        """A candidate moves no tag that people follow."""
        if self.is_candidate:
            return (self.text,)
        major, minor, _ = self.text.split(".")
        return (self.text, f"{major}.{minor}", major, "latest")

    def is_after(self, other: ReleaseVersion) -> bool:
        return Version(self.text) > Version(other.text)
