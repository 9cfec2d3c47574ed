"""A terminal for tests: it runs commands in this process, and reads what they print."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.running import KEY
from txtoken.cli.main import main

CONFIG: Final = f"encKey: {KEY}\nremote: http://127.0.0.1:9/login\nport: 0\nlisten: 127.0.0.1\n"
COMMANDS: Final = (
    "serve",
    "init",
    "check",
    "schema",
    "export",
    "demo",
    "keygen",
    "keys generate",
    "keys list",
    "keys jwks",
    "health",
    "completion",
    "token issue",
    "token verify",
    "token explain",
)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Read stdout as JSON."""
        return json.loads(self.out)


class Terminal:
    """Runs commands in this process, in a folder with a good `example_cfg.yml`."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        for name in [name for name in os.environ if name.startswith(("TXTOKEN_", "CFG_FILE"))]:
            monkeypatch.delenv(name)
        self.write(CONFIG)

    def write(self, text: str, name: str = "example_cfg.yml") -> None:
        """Write a file in the folder."""
        (self.folder / name).write_text(text)

    def run(self, *arguments: str, stdin: bytes = b"", shows_key: bool = False) -> Ran:
        """Run a command. Whatever it says, it never says the key."""
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse ends so
            code = int(str(ended.code))
        out, err = self._capsys.readouterr()
        assert shows_key or KEY not in out + err
        assert "Traceback" not in err
        return Ran(code, out, err)
