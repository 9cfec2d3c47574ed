"""Versions as they are typed, and as git, Helm and registries want them."""

from __future__ import annotations

import pytest

from scripts.releasing.refusal import Refusal
from scripts.releasing.version import ReleaseVersion


@pytest.mark.parametrize(
    ("text", "tag", "of_chart", "image_tags"),
    [
        ("1.0.0", "v1.0.0", "1.0.0", ("1.0.0", "1.0", "1", "latest")),
        ("2.10.3", "v2.10.3", "2.10.3", ("2.10.3", "2.10", "2", "latest")),
        ("1.0.0rc1", "v1.0.0rc1", "1.0.0-rc.1", ("1.0.0rc1",)),
    ],
)
def test_forms(text: str, tag: str, of_chart: str, image_tags: tuple[str, ...]) -> None:
    """A final version moves the tags that people follow, a candidate moves none; the chart's is by Semantic Versioning."""
    version = ReleaseVersion.parse(text)
    assert (version.tag, version.of_chart, version.image_tags) == (tag, of_chart, image_tags)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("one", "'one' is no version. Write three numbers"),
        ("", "'' is no version"),
        ("1.0", "1.0 is neither"),
        ("1.0.0.1", "1.0.0.1 is neither"),
        ("1.0.0a1", "1.0.0a1 is neither"),
        ("1.0.0.dev1", "1.0.0.dev1 is neither"),
        ("1.0.0.post1", "1.0.0.post1 is neither"),
        ("1.0.0rc1.post1", "1.0.0rc1.post1 is neither"),
        ("1.0.0+debian", "1.0.0+debian is neither"),
        ("1!1.0.0", "1!1.0.0 is neither"),
        ("v1.0.0", "Write 1.0.0."),
        ("1.0.0-rc.1", "Write 1.0.0rc1."),
        ("1.00.0", "Write 1.0.0."),
    ],
)
def test_what_is_refused(text: str, remedy: str) -> None:
    """Anything else is refused, with what to write instead."""
    with pytest.raises(Refusal) as refusal:
        ReleaseVersion.parse(text)
    assert remedy in str(refusal.value)


def test_order() -> None:
    """A candidate comes before its version, and 1.10 after 1.9."""
    assert ReleaseVersion.parse("1.0.0").is_after(ReleaseVersion.parse("1.0.0rc2"))
    assert ReleaseVersion.parse("1.10.0").is_after(ReleaseVersion.parse("1.9.0"))
    assert not ReleaseVersion.parse("1.0.0").is_after(ReleaseVersion.parse("1.0.0"))
