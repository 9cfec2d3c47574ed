"""Every console block of README.md and docs/ runs as it is written, page by page, and prints what the page shows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import ROOT, Block, blocks, commands, pages, prose, read
from tests.docs.terminal import Terminal, fits
from tests.running import KEY

LANGUAGES: Final = {"console", "yaml", "json", "text", "python", "ini", "nginx", "caddyfile", "haproxy", "lua", "toml"}
NOT_RUN: Final = "not run: "
NOT_RUN_MAX: Final = 17  # blocks that no test runs: may fall, not rise
PROGRAM_WORDS: Final = ("curl", "openssl")


def run_blocks(page: Path) -> list[Block]:
    """Return the page's console blocks that are to run."""
    return [block for block in blocks(read(page)) if block.language == "console" and NOT_RUN not in block.said]


RUN: Final = [page for page in pages() if run_blocks(page)]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A shell of the page's own."""
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_console_blocks(page: Path, terminal: Terminal) -> None:
    """The commands of the page, one after the other, print what stands below them."""
    for program in needed(page):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here")
    for block in blocks(read(page)):
        if name := re.search(r"file: (\S+)", block.said):
            terminal.write(name[1], block.text)
        elif block.said == "serve":
            serve(terminal, block.text)
        elif block.language == "console" and NOT_RUN not in block.said:
            play(terminal, block)


def needed(page: Path) -> set[str]:
    """Name the programs that a page needs and that not every machine has."""
    named = {word for word in PROGRAM_WORDS for block in run_blocks(page) if word in block.text}
    return named | set(re.findall(r"<!-- needs (\S+) -->", read(page)))


def play(terminal: Terminal, block: Block) -> None:
    """Run a block."""
    wanted = re.search(r"ends with (\d+)", block.said)
    todo = commands(block)
    for number, command in enumerate(todo, 1):
        if "runs on" in block.said:
            terminal.run_on(command.text, command.output)
            continue
        printed, code = terminal.run(command.text)
        assert code == (int(wanted[1]) if wanted and number == len(todo) else 0), (command.text, printed)
        if command.output:
            assert fits(terminal.placed(command.output), printed), (command.text, printed)


def serve(terminal: Terminal, text: str) -> None:
    """Run the service with a piece of configuration, in front of the demo's login API, in place of what ran before."""
    if not (terminal.folder / "served.yml").exists():
        terminal.run_on("txtoken demo --login-only", "login API")
    terminal.end_running(1)  # the service, not the login API
    (terminal.folder / "etc").mkdir(exist_ok=True)
    placed = text.replace("/etc/txtoken/", f"{terminal.folder}/etc/").replace(
        "/run/secrets/", f"{terminal.folder}/etc/"
    )
    terminal.write("served.yml", completed(placed))
    terminal.run_on("txtoken serve -c served.yml", '"listening"')


def completed(text: str) -> str:
    """Add what a piece of configuration lacks."""
    rest = {
        "port": "8888",
        "listen": "127.0.0.1",
        "encKey": KEY,
        "requestKey": KEY[::-1],
        "remote": "http://127.0.0.1:8889/login",
    }
    return text + "".join(
        f"{name}: {value}\n" for name, value in rest.items() if not re.search(f"^{name}:", text, re.MULTILINE)
    )


def test_blocks_that_do_not_run() -> None:
    """Each says why, and there are no more of them than there were."""
    said = [block.said for page in pages() for block in blocks(read(page)) if block.language == "console"]
    reasons = [text.removeprefix(NOT_RUN) for text in said if text.startswith(NOT_RUN)]
    print(f"{len(reasons)} of {len(said)} console blocks do not run")
    assert all(len(reason) > 5 for reason in reasons)
    assert len(reasons) <= NOT_RUN_MAX


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_one_form_of_blocks(page: Path) -> None:
    """Blocks are fenced and say their language; a command for a shell stands in a console block, after `$ `."""
    text = read(page)
    for block in blocks(text):
        assert block.language in LANGUAGES, block.line
        if block.language == "console":
            assert commands(block)
    if page.name != "contract.md":
        assert not re.findall(r"^\n {4,}\S.*$", prose(text), re.MULTILINE)
