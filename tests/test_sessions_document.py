"""docs/sessions.md beside the service: its configurations work, and its commands print what stands below them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.configuring import EXAMPLE_FILE, OTHER_KEY, load_text, whole
from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, clean_environment, service_process

DOCUMENT: Final = (EXAMPLE_FILE.parent / "docs" / "sessions.md").read_text()
SECTIONS: Final = {part.partition("\n")[0]: part for part in DOCUMENT.split("\n## ")[1:]}
CONFIGURATIONS: Final = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
COMMAND: Final = re.compile(r"^ {4}\$ (.*)$", re.MULTILINE)
TRIED: Final = [name for name, text in SECTIONS.items() if "    $ " in text]


@pytest.fixture
def api() -> Iterator[LoginApi]:
    """A remote."""
    api = LoginApi({"id": 1815})
    yield api
    api.close()


def test_its_configurations(tmp_path: Path) -> None:
    """Each is a good one, without a warning, as soon as it has a remote and keys."""
    assert len(CONFIGURATIONS) == 4
    (tmp_path / "revoked.txt").write_text("")
    for text in CONFIGURATIONS:
        config = load_text(tmp_path, whole(f"{placed(text, tmp_path)}requestKey: {OTHER_KEY}\n"))
        assert config.warnings == ()
        assert config.refresh.route == "/refreshToken"


def placed(text: str, folder: Path) -> str:
    """Have a piece of the document speak of a folder of ours."""
    return text.replace("/etc/txtoken", str(folder))


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
@pytest.mark.parametrize("name", TRIED)
def test_its_commands(tmp_path: Path, api: LoginApi, name: str) -> None:
    """With the section's first configuration each command prints what the document says, where `…` is anything."""
    section = SECTIONS[name]
    (text,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)[:1]
    lines = re.findall(r"^ {4}((?:sid|sub|all) .*)$", section, re.MULTILINE)
    # Whoever logs in has an `id` of 1815, and does it later than the document says.
    (tmp_path / "revoked.txt").write_text("\n".join(lines).replace("2026-11-28", "2999-01-01"))
    config = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nrequestKey: {KEY[::-1]}\nremote: {api.url}\n{placed(text, tmp_path)}"
    with service_process(tmp_path, config=config) as service:
        shell = "\n".join(COMMAND.findall(section)).replace("127.0.0.1:8888", f"127.0.0.1:{service.port}")
        ran = subprocess.run(
            ["bash", "-c", shell],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env=clean_environment(),
            check=True,
        )
    said = re.findall(r"^ {4}(?!\$ )(.*)$", section[section.index("    $ ") :], re.MULTILINE)
    assert len(said) >= 1
    pattern = r"\s*".join(re.escape(line).replace("…", ".*") for line in said)
    assert re.fullmatch(pattern + r"\s*", ran.stdout.replace("\r", "")), ran.stdout
