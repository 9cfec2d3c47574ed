"""Arguments become one command, a command becomes an exit code. Loads what that takes, and no more."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence

from txtoken.cli import deferred, early_signals
from txtoken.cli.exit_codes import FAILED, OK
from txtoken.cli.terminal import complain, prepare_streams, say
from txtoken.cli.verbs import DEFAULT_VERB, SERVING, verb_of
from txtoken.version import VERSION

VERSION_WORDS = (["version"], ["-V"], ["--version"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the process's exit code.

    Raises:
        SystemExit: the usage was wrong, or help was asked for. Either was printed.
    """
    prepare_streams()
    try:
        return _run([*(sys.argv[1:] if argv is None else argv)])
    except OSError as error:
        # A reader who has seen enough needs no word, a full disk does. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            complain(f"txtoken: {error.strerror or error}")
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def _run(words: list[str]) -> int:
    """Run what needs neither argparse nor the configuration at once: they take longer to load than it takes to run."""
    if words in VERSION_WORDS:
        say(f"txtoken {VERSION}")
        return OK
    if words[:1] == ["health"]:
        readiness = importlib.import_module("txtoken.cli.readiness")
        early_signals.unblock()
        code: int | None = readiness.run_quickly(words[1:], os.environ)
        if code is not None:
            return code
    verb = verb_of(words)
    if verb not in SERVING:
        deferred.defer()
    elif verb != DEFAULT_VERB:
        gc.enable()  # `serve` does it after its start
    return int(importlib.import_module("txtoken.cli.commands").run(words))
