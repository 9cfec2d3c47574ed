"""What `txtoken serve` runs, and with which configuration. The service itself is replaced."""

from __future__ import annotations

import sys

import pytest

from tests.cli.terminal import CONFIG, Terminal
from txtoken.cli.exit_codes import OK
from txtoken.settings import Config


@pytest.mark.parametrize(
    ("arguments", "port"),
    [
        ([], 1),
        (["serve"], 1),
        (["-c", "b.yml"], 2),
        (["--config", "b.yml"], 2),
        (["--config=b.yml", "--set", "port=3"], 3),
        (["serve", "--set", "port=3", "--set", "port=4"], 4),
        (["--set=port=3"], 3),
    ],
)
def test_serve_is_what_no_command_means(
    terminal: Terminal, served: list[Config], arguments: list[str], port: int
) -> None:
    """Without a command it serves, as the original did, and takes the options of `serve`."""
    terminal.write(CONFIG.replace("port: 0", "port: 1"))
    terminal.write(CONFIG.replace("port: 0", "port: 2"), "b.yml")
    assert terminal.run(*arguments).code == OK
    assert [config.process.port for config in served] == [port]


def test_serve_reads_cfg_file_and_environment(
    terminal: Terminal, served: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CFG_FILE names the file and TXTOKEN_… variables count more than it, for the process as for `load`."""
    terminal.write(CONFIG.replace("port: 0", "port: 2"), "b.yml")
    monkeypatch.setenv("CFG_FILE", "b.yml")
    assert terminal.run().code == OK
    monkeypatch.setenv("TXTOKEN_PORT", "3")
    assert terminal.run("serve").code == OK
    assert [config.process.port for config in served] == [2, 3]


@pytest.mark.parametrize("frozen", [True, False])
def test_serve_as_one_binary_has_a_process_group_of_its_own(
    terminal: Terminal, served: list[Config], monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    """What a terminal sends to its group does not reach the binary twice; elsewhere the group stays the caller's."""
    groups: list[tuple[int, int]] = []
    monkeypatch.setattr("os.setpgid", lambda pid, group: groups.append((pid, group)))
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    assert terminal.run("serve").code == OK
    assert (groups, len(served)) == ([(0, 0)] if frozen else [], 1)
