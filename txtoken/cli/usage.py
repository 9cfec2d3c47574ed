"""How commands are typed: a parser whose help has examples, and whose errors name what was meant. Knows no verb."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from txtoken.cli.examples import EXAMPLES
from txtoken.nearest import nearest

PROGRAM: Final = "txtoken"
_NARROW: Final = 60  # columns
_MARGIN: Final = 2  # columns that argparse leaves free at the right


class Parser(argparse.ArgumentParser):
    """A parser of one command, by its `prog`, or of all of them."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._columns = 80
        super().__init__(*arguments, **{"formatter_class": self._formatter, **settings})
        self.examples = EXAMPLES.get(self.prog.removeprefix(PROGRAM).strip(), ())

    def _formatter(self, prog: str) -> argparse.HelpFormatter:
        """Make what writes help. argparse does so for each argument, and looks at the terminal each time if it does not get its
        width, for which it loads shutil: 5 ms.
        """
        return argparse.HelpFormatter(prog, width=self._columns - _MARGIN)

    def format_usage(self) -> str:
        """Return the usage, in lines that fit the terminal."""
        self._fit()
        return super().format_usage()

    def format_help(self) -> str:
        """Return the help, in lines that fit the terminal, with examples at its end."""
        self._fit()
        return super().format_help() + "".join(_examples(self.examples, self._columns - _MARGIN))

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print a message. (argparse's own says nothing of a disk that is full.)"""
        if message:
            stream = file or sys.stderr
            stream.write(message)
            stream.flush()

    def _fit(self) -> None:
        """Look at the terminal. Where it is narrow the usage does not list the options, which the help explains below."""
        self._columns = _terminal_columns()
        if self._columns < _NARROW:
            named = [f" {action.metavar or action.dest}" for action in self._get_positional_actions()]
            usage = f"%(prog)s [options]{''.join(named)}"
            fits = len("usage: ") + len(usage % {"prog": self.prog}) <= self._columns - _MARGIN
            self.usage = usage if fits else usage.replace(" [", "\n  [", 1)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read the arguments. What is left over is an error that names the option that was meant."""
        options, surplus = self.parse_known_args(args, namespace)
        if surplus:
            known = [name for action in self._commands_and_self() for name in action]
            self.error(f"unknown argument: {surplus[0]}{_of_options(surplus[0], known)}")
        return options

    def _commands_and_self(self) -> Iterator[Iterable[str]]:
        """Name the options of this command, and of those below it."""
        yield self._option_string_actions
        for action in self._actions:
            for parser in action.choices.values() if isinstance(action.choices, dict) else ():
                if isinstance(parser, Parser):  # an option's choices may be the names of a dict, too
                    yield parser._option_string_actions  # noqa: SLF001 - it is one of this class

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse what is none of a few words, and name the one that was meant."""
        if action.choices is not None and value not in action.choices:
            words = [str(word) for word in action.choices]
            raise argparse.ArgumentError(action, f"{value!r} is none of {', '.join(words)}{_meant(str(value), words)}")


def _terminal_columns() -> int:
    columns: int = importlib.import_module("shutil").get_terminal_size().columns
    return columns


def _of_options(text: str, known: Iterable[str]) -> str:
    return _meant(text.partition("=")[0], [name for name in known if name.startswith("--")]) if text[:1] == "-" else ""


def _meant(text: str, known: Iterable[str]) -> str:
    return nearest(text, {word: word for word in known})


def _examples(examples: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """Write examples for a terminal of some width: a command that is longer goes on in the next line, as a shell reads it."""
    textwrap = importlib.import_module("textwrap")
    for number, (command, about) in enumerate(examples):
        if number == 0:
            yield "\nexamples:\n"
        lines = textwrap.wrap(
            command, max(width - len(" \\"), 20), break_long_words=False, break_on_hyphens=False, subsequent_indent="  "
        )
        yield textwrap.indent(" \\\n".join(lines), "  ") + "\n"
        yield textwrap.fill(about, max(width, 20), initial_indent="      ", subsequent_indent="      ") + "\n"
