"""`txtoken completion`: what makes a shell complete the commands and options of txtoken. Reads no configuration."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any, Final

import shtab

from txtoken.cli.exit_codes import OK

SHELLS: Final = ("bash", "zsh", "fish")
# Arguments that are files, by their name.
_FILES: Final = ("config", "out", "jwks")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its argument."""
    parser.add_argument("shell", choices=SHELLS, help="which shell it is for")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the shell's script."""
    parser = importlib.import_module("txtoken.cli.commands").all_verbs(is_complete=True)
    _mark_files(parser, shtab.FILE)
    script: str = shtab.complete(parser, options.shell)
    sys.stdout.write(script if script.endswith("\n") else f"{script}\n")
    sys.stdout.flush()
    return OK


def _mark_files(parser: argparse.ArgumentParser, file: Any) -> None:
    """Have names of files completed where an argument is one."""
    for action in parser._actions:  # noqa: SLF001 - as shtab does: argparse has no other way to look at a parser
        if action.dest in _FILES:
            action.complete = file  # type: ignore[attr-defined] # which is what shtab looks for
        for below in (action.choices or {}).values() if isinstance(action, argparse._SubParsersAction) else ():  # noqa: SLF001
            _mark_files(below, file)
