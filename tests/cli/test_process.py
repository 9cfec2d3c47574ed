"""The command line as a process of its own: streams that are closed or full, exit codes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Final

import jwt

from tests.running import KEY, PATIENCE_S, PROGRAM, run_command, service_process
from txtoken.cli.exit_codes import BAD_CONFIG, FAILED, OK

CONFIG: Final = f"encKey: {KEY}\nremote: http://127.0.0.1:9/login\nport: 0\nlisten: 127.0.0.1\n"
GOOD: Final = jwt.encode({"data": {"name": "Ünal"}, "exp": 4_000_000_000}, KEY, "HS256")


def test_a_reader_who_leaves_early_gets_no_traceback(tmp_path: Path) -> None:
    """When stdout is closed before all is said, the command ends with 1 and without a word."""
    (tmp_path / "example_cfg.yml").write_text(CONFIG)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with (tmp_path / "stderr").open("wb") as err:
            code = run_command(tmp_path, "check", stdout=writing, stderr=err).returncode
    finally:
        os.close(writing)
    assert (code, (tmp_path / "stderr").read_text()) == (FAILED, "")


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """When stdout cannot take what is said, the command ends with 1 and one line that says why."""
    with open("/dev/full", "wb") as full, (tmp_path / "stderr").open("wb") as err:
        code = run_command(tmp_path, "keygen", stdout=full, stderr=err).returncode
    assert (code, (tmp_path / "stderr").read_text()) == (FAILED, "txtoken: No space left on device\n")


def test_closed_streams_do_no_harm(tmp_path: Path) -> None:
    """A command that is started with its streams closed does its work without a traceback."""
    command = f"exec {shlex.join(PROGRAM)} keygen --output json <&- >&- 2>{tmp_path}/stderr"
    code = subprocess.run(["bash", "-c", command], timeout=PATIENCE_S, check=False).returncode
    assert (code, (tmp_path / "stderr").read_text()) == (OK, "")


def test_a_terminal_without_letters(tmp_path: Path) -> None:
    """Claims that the locale cannot write are printed as UTF-8: they are JSON, and no reason to fail."""
    (tmp_path / "example_cfg.yml").write_text(CONFIG)
    with (tmp_path / "out").open("wb") as out:
        environment = {"PYTHONIOENCODING": "ascii"}
        code = run_command(tmp_path, "token", "verify", GOOD, environment=environment, stdout=out).returncode
    assert code == OK
    assert json.loads((tmp_path / "out").read_bytes())["data"]["name"] == "Ünal"


def test_service_without_a_verb(tmp_path: Path) -> None:
    """`CFG_FILE=… python -m txtoken` serves, as the original did, and shows no key."""
    (tmp_path / "mine.yml").write_text(CONFIG)
    with service_process(tmp_path, environment={"CFG_FILE": "mine.yml"}) as service:
        assert service.port
        service.send(signal.SIGTERM)
        code, out, err = service.ended()
    assert (code, err) == (OK, "")
    assert KEY not in out


def test_bad_configuration_of_a_process(tmp_path: Path) -> None:
    """The process itself ends with 78 for a bad configuration."""
    with service_process(tmp_path, config="port: x\n") as service:
        code, out, err = service.ended()
    assert (code, out) == (BAD_CONFIG, "")
    assert "has 3 problems" in err
