"""The commands: what they print of a comparison, and their exit codes."""

from __future__ import annotations

import argparse
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from bench.count import command
from bench.count.counting import Figure
from bench.count.history import history_of, write_history
from bench.errors import BenchError
from tests.bench.count.samples import CONDITIONS, a_line


def parsed(*arguments: str) -> argparse.Namespace:
    """Parse a command line as `bench.cli` does."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command.add_count(commands)
    command.add_track(commands)
    return parser.parse_args(arguments)


def figures(login: float, check: float) -> list[Figure]:
    """Make figures of two cases."""
    return [
        Figure(case, f"a {case}", cost, cost, 0.001, 0.002, 1.0, {"read": 1.0})
        for case, cost in (("login", login), ("check", check))
    ]


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a history with two lines, which the commands read."""
    path = history_of("x86_64", tmp_path)
    write_history(
        path,
        [
            a_line(1, {"login": 50_000.0, "check": 8_000.0}),
            a_line(2, {"login": 60_000.0, "check": 9_000.0}, build="source"),
        ],
    )
    monkeypatch.setattr(command, "history_of", lambda _arch: path)
    return path


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("login", "check", "code"), [(51_450, 8_232, 0), (51_550, 8_000, 1), (50_000, 8_248, 1), (10_000, 10, 0)]
)
def test_check(login: float, check: float, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A login or a check of 2.9 % more passes, one of 3.1 % more fails, and what fails is named."""
    assert command._check(CONDITIONS, figures(login, check)) == code
    out, err = capsys.readouterr()
    assert "login: " in out
    assert "since 000000000001" in out
    assert ("costs more than 3 % more" in err) is (code == 1)


@pytest.mark.usefixtures("history")
def test_check_of_other_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a line of the same conditions nothing fails, and what differs is said."""
    assert command._check(replace(CONDITIONS, qemu="9.2.0"), figures(90_000, 90_000)) == 0
    out, _ = capsys.readouterr()
    assert "login: nothing to compare with: 000000000001 had other conditions (qemu: 7.2.22 → 9.2.0)" in out


def test_check_of_a_broken_history(history: Path) -> None:
    """A broken history is an error, never a pass."""
    history.write_text("{\n")
    with pytest.raises(BenchError, match="line 1: it is not JSON"):
        command._check(CONDITIONS, figures(1, 1))


def test_show(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A history can be shown without anything that counts."""
    before = history.read_bytes()
    options = parsed("track", "--show")
    assert options.command(options) == 0
    out, _ = capsys.readouterr()
    assert "000000000001  2026-11-01 12:00        50,000" in out
    assert history.read_bytes() == before


@pytest.mark.parametrize("arguments", [("count",), ("track",), ("track", "--since", "HEAD")])
def test_cannot_count(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the emulator the exit code is one of its own, so that CI can say so and continue."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "usr").mkdir()
    options = parsed(*arguments, "--arch", "armv7l", "--root", str(tmp_path))
    assert options.command(options) == command.CANNOT
    _, err = capsys.readouterr()
    assert err == "bench: nothing was counted: qemu-arm is missing: apt-get install qemu-user\n"


def test_ended_by_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM, which a time limit sends, ends what was started as Ctrl-C does; afterwards it means what it meant before."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(command, "run_count", lambda _options: signal.raise_signal(signal.SIGTERM))
    options = parsed("count")
    with pytest.raises(KeyboardInterrupt):
        options.command(options)
    assert signal.getsignal(signal.SIGTERM) == before


def test_reply_that_is_not_there(tmp_path: Path) -> None:
    """A reply that cannot be read is an error with its name."""
    options = parsed("count", "--reply-file", str(tmp_path / "reply.json"))
    with pytest.raises(BenchError, match=r"reply\.json cannot be read"):
        options.command(options)


@pytest.mark.parametrize("starts", ["0", "-1", "many"])
def test_no_starts(starts: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number of starts that is none is wrong usage."""
    with pytest.raises(SystemExit):
        parsed("count", "--starts", starts)
    assert "--starts" in capsys.readouterr().err
