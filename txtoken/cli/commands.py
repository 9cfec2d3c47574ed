"""The command that was typed: its module is loaded, its arguments are read, its errors become exit codes."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from txtoken.cli import early_signals
from txtoken.cli.exit_codes import BAD_CONFIG, FAILED
from txtoken.cli.terminal import complain
from txtoken.cli.usage import PROGRAM, Parser
from txtoken.cli.verbs import OTHERS, VERBS, verb_of
from txtoken.errors import ConfigError, TxtokenError
from txtoken.nearest import nearest
from txtoken.version import VERSION


def run(words: Sequence[str]) -> int:
    """Run one command. Returns the process's exit code.

    Raises:
        SystemExit: the usage was wrong, or help was asked for. Either was printed.
        OSError: something could not be printed.
    """
    options = parse(words)
    if not options.handles_signals:
        early_signals.unblock()
    try:
        code: int = options.command(options)
        return code
    except ConfigError as error:
        if options.output == "json":
            problems = [{"key": p.key, "where": p.where, "text": p.text} for p in error.problems]
            importlib.import_module("txtoken.cli.json_output").print_json({"valid": False, "problems": problems})
        else:
            complain(str(error))
        return BAD_CONFIG
    except TxtokenError as error:
        complain(f"txtoken: {error}")
        return FAILED


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Find the command that the arguments ask for, and load it. It is called with what is returned, as its `command`.

    Raises:
        SystemExit: the usage was wrong, or help was asked for. Either was printed.
        OSError: something could not be printed.
    """
    arguments = [*words]
    if arguments[:1] == ["help"]:
        about = ["help"] if arguments[1:2] in (["-h"], ["--help"]) else arguments[1:]
        arguments = [*about, "--help"]
    verb = verb_of(arguments)
    if verb in VERBS and arguments[:1] == [verb]:
        del arguments[0]
    parser = parser_of(verb) if verb in VERBS else all_verbs()
    if verb not in VERBS | OTHERS and not verb.startswith("-"):
        known = nearest(verb, {word: word for word in (*VERBS, *OTHERS)}) or ". `txtoken help` lists them"
        parser.error(f"there is no command {verb!r}{known}")
    options: argparse.Namespace = parser.parse_args(arguments)
    if verb not in VERBS:
        parser.error(f"{verb} takes no arguments")
    return options


def parser_of(verb: str) -> Parser:
    """Make the parser of one verb, and load its module."""
    parser = Parser(prog=f"{PROGRAM} {verb}", description=_sentence(VERBS[verb]))
    _declare(verb, parser)
    return parser


def all_verbs(*, is_complete: bool = False) -> Parser:
    """Make the parser of all verbs, with each one's own arguments if `is_complete`."""
    parser = Parser(
        prog=PROGRAM,
        description="JSON Web Tokens in front of the login API that you already have.",
        epilog="Without a command it serves, as the original did. Exit codes: 0 ended as asked, 1 failure, "
        "2 wrong usage, 78 bad configuration.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"{PROGRAM} {VERSION}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for verb, about in (VERBS | OTHERS).items():
        added = verbs.add_parser(verb, help=about, description=_sentence(about))
        if is_complete and verb in VERBS:
            _declare(verb, added)
        elif is_complete and verb == "help":
            added.add_argument("about", metavar="COMMAND", nargs="?", choices=tuple(VERBS), help="which one")
    return parser


def _declare(verb: str, parser: Parser) -> None:
    parser.set_defaults(output="text", handles_signals=False)
    importlib.import_module(f"txtoken.cli.{verb}").declare(parser)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
