"""The demo as people run it: its three requests, the commands that it prints, Ctrl-C."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.running import PATIENCE_S, service_process

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def test_the_demo(tmp_path: Path) -> None:
    """`demo --once` makes three requests, shows them, and ends with 0 because they went as they should."""
    with service_process(tmp_path, "demo", "--once") as process:
        code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert "POST /getToken" in output
    assert '"Valid": true' in output
    assert output.count("ok    ") == 3


@needs_curl
def test_the_demos_commands(tmp_path: Path) -> None:
    """The demo prints commands that work as they stand, and logs what happens."""
    with service_process(tmp_path, "demo", "--port", "0", "--login-port", "0") as process:
        log_in = process.line_with("curl -s -d").strip()
        verify = process.line_with("curl -s -H").strip()
        done = subprocess.run(["bash", "-c", log_in], capture_output=True, timeout=PATIENCE_S, check=True)
        assert "token" in json.loads(done.stdout)
        done = subprocess.run(["bash", "-c", verify], capture_output=True, timeout=PATIENCE_S, check=True)
        assert json.loads(done.stdout)["Valid"] is True
        process.line_with("GET /checkToken 200")


def test_the_demo_ends_by_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C ends the demo with 0 and without a traceback."""
    with service_process(tmp_path, "demo", "--port", "0", "--login-port", "0") as process:
        process.line_with("listening")
        process.send(signal.SIGINT)
        code, _, errors = process.ended()
    assert (code, errors) == (0, "")
