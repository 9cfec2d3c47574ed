"""The text of a release."""

from __future__ import annotations

from scripts.releasing import notes
from scripts.releasing.address import Address
from scripts.releasing.changelog import Section
from scripts.releasing.version import ReleaseVersion

VERSION = ReleaseVersion.parse("1.0.0")
SECTION = Section(
    "1.0.0", "2026-11-29", "### Added\n\n- Keys: [docs/keys.md](docs/keys.md#claims), [why](https://a.example/b)."
)
UPGRADE = (
    "# From the original\n\n<!-- runs on -->\n## Files\n\nSee [the keys](../reference/keys.md) and [above](#files).\n"
)
FILES = [
    "images.txt",
    "txtoken-1.0.0-py3-none-any.whl",
    "txtoken-1.0.0.cdx.json",
    "txtoken-1.0.0.tar.gz",
    "txtoken-1.0.0.tgz",
]


def text(address: Address | None) -> str:
    """Write notes of two images."""
    return notes.write(SECTION, UPGRADE, FILES, ["txtoken:1.0.0", "txtoken:latest"], VERSION, address)


def test_all_parts_in_order() -> None:
    """The changes, the way from the original one heading deeper, and each file with what it is."""
    written = text(None)
    headings = [line for line in written.splitlines() if line.startswith("#")]
    assert headings == ["# txtoken 1.0.0", "### Added", "## From the original", "### Files", "## Files"]
    for name in FILES:
        assert written.count(f"| `{name}` | ") == 1
    assert "<!--" not in written
    assert "The image: `txtoken:1.0.0`, `txtoken:latest`." in written


def test_links_without_an_address_are_names() -> None:
    """Nothing leads to a place that does not exist; links to other sites and within the text stay."""
    written = text(None)
    assert "Keys: docs/keys.md, [why](https://a.example/b)." in written
    assert "See the keys (`docs/reference/keys.md`) and [above](#files)." in written


def test_links_with_an_address_lead_to_the_tag() -> None:
    """The files as they were released, wherever the text stood."""
    written = text(Address("https://github.com/example/txtoken", "example", "txtoken"))
    root = "https://github.com/example/txtoken/blob/v1.0.0"
    assert f"[docs/keys.md]({root}/docs/keys.md#claims)" in written
    assert f"[the keys]({root}/docs/reference/keys.md)" in written


def test_every_kind_of_file_is_described() -> None:
    """A wheel for all machines and one for some are told apart, and the chart from the sources."""
    assert len({notes.kind(name) for name in FILES}) == len(FILES)
    assert notes.kind("txtoken-1.0.0-cp311-cp311-musllinux_1_2_aarch64.whl").startswith("compiled")
