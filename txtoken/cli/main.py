"""Arguments become one command, a command becomes an exit code. Knows which verbs there are; each is a module of this package."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from txtoken.cli import early_signals
from txtoken.cli.exit_codes import BAD_CONFIG, FAILED
from txtoken.cli.json_output import print_json
from txtoken.cli.terminal import complain, prepare_streams
from txtoken.errors import ConfigError, TxtokenError
from txtoken.version import VERSION

DEFAULT_VERB: Final = "serve"  # the original had no verbs
# A verb's module declares its arguments and its command. Only the module of the verb that was typed is loaded: `health` runs
# every few seconds, and has no use for aiohttp, which takes 0.3 s.
VERBS: Final = {
    "serve": "run the service",
    "check": "validate the configuration and show what would run",
    "schema": "print a JSON Schema of the configuration, by which editors complete and check it",
    "export": "print the configuration of a proxy that asks whether a request may pass (forwardAuth)",
    "demo": "run the service in front of a login API of its own",
    "keygen": "print a new random key for encKey",
    "keys": "make keys, and show those of the configuration",
    "health": "ask a running service whether it is ready (for a container's health check)",
    "token": "issue, verify and explain tokens, with the configuration's keys or a JWKS",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the process's exit code."""
    prepare_streams()
    options = parse(sys.argv[1:] if argv is None else argv)
    try:
        if not options.handles_signals:
            early_signals.unblock()
        code: int = options.command(options)
        return code
    except ConfigError as error:
        if options.output == "json":
            problems = [{"key": p.key, "where": p.where, "text": p.text} for p in error.problems]
            print_json({"valid": False, "problems": problems})
        else:
            complain(str(error))
        return BAD_CONFIG
    except TxtokenError as error:
        complain(f"txtoken: {error}")
        return FAILED
    except OSError as error:
        # A reader who has seen enough needs no word, a full disk does. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            complain(f"txtoken: {error.strerror or error}")
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Find the command that the arguments ask for, and load it. It is called with what is returned, as its `command`.

    Raises:
        SystemExit: the usage was wrong, or help was asked for. Either was printed.
    """
    words = list(arguments)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, DEFAULT_VERB)
    parser = argparse.ArgumentParser(
        prog="txtoken",
        description="Turns any JSON API into one that hands out signed tokens.",
        epilog="Without a command it serves, as the original did. Exit codes: 0 ended as asked, 1 failure, "
        "2 wrong usage, 78 bad configuration.",
    )
    parser.set_defaults(output="text", handles_signals=False)
    parser.add_argument("--version", action="version", version=f"txtoken {VERSION}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for verb, about in VERBS.items():
        added = verbs.add_parser(verb, help=about, description=about)
        if verb == words[0]:
            importlib.import_module(f"txtoken.cli.{verb}").declare(added)
    return parser.parse_args(words)
