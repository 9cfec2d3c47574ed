"""One value takes the public address; while it is empty there is none, and nothing is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.releasing import address
from scripts.releasing.refusal import Refusal
from tests.releasing.conftest import ROOT


def given(folder: Path, text: str) -> Path:
    """Write a pyproject.toml."""
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_this_repository_can_be_read() -> None:
    """Its own value is an address or empty, never a malformed one."""
    found = address.read(ROOT)
    assert found is None or found.repository.endswith(f"/{found.owner}/{found.name}")


def test_what_derives_from_it(tmp_path: Path) -> None:
    """Image and charts are in GitHub's registry, in lower case; the site is on its pages; files are those of a tag."""
    found = address.read(given(tmp_path, '[tool.txtoken]\naddress = "https://github.com/Example-Org/txtoken"\n'))
    assert found is not None
    assert found.image == "ghcr.io/example-org/txtoken"
    assert found.charts == "oci://ghcr.io/example-org/charts"
    assert found.site == "https://example-org.github.io/txtoken/"
    assert found.file("docs/a.md", "v1.0.0") == "https://github.com/Example-Org/txtoken/blob/v1.0.0/docs/a.md"


@pytest.mark.parametrize("text", ['[tool.txtoken]\naddress = ""\n', "[tool.other]\n"])
def test_none(tmp_path: Path, text: str) -> None:
    """Empty or absent: there is no address."""
    assert address.read(given(tmp_path, text)) is None


@pytest.mark.parametrize(
    "text", ["example", "http://github.com/a/b", "https://github.com/a", "https://github.com/a/b/"]
)
def test_malformed(tmp_path: Path, text: str) -> None:
    """Anything else is refused, with the form that it has to have."""
    with pytest.raises(Refusal, match=r"write https://github\.com/OWNER/NAME, or nothing"):
        address.read(given(tmp_path, f'[tool.txtoken]\naddress = "{text}"\n'))


def test_what_a_workflow_is_told() -> None:
    """The project's own repository publishes; a fork, and a project without an address, do not."""
    own = address.Address("https://github.com/Example/txtoken", "Example", "txtoken")
    told = address.outputs(own, "https://github.com", "example/txtoken")
    assert told == "published=true\nimage=ghcr.io/example/txtoken\ncharts=oci://ghcr.io/example/charts\n"
    assert address.outputs(own, "https://github.com", "somebody/txtoken") == "published=false\n"
    assert address.outputs(None, "https://github.com", "example/txtoken") == "published=false\n"
