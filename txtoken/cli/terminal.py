"""What verbs share: the options that several of them take, what they read, and what they print. Knows no verb."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from typing import Final, TextIO

import orjson

from txtoken.config import read as configuration
from txtoken.settings import Config

_JSON_OPTIONS: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_QUOTES: Final = b" \t\r\n\"'`"
# What precedes a token where it is copied from: quotes, a field's name, and the authentication scheme.
_BEFORE_TOKEN: Final = re.compile(rb"[\s\"'`]*(?:authorization\s*:[\s\"'`]*)?(?:bearer\s+[\s\"'`]*)?", re.IGNORECASE)


def prepare_streams() -> None:
    """Make the standard streams safe to use.

    Where one was closed, /dev/null takes its place, so that no socket gets its number and then the log's lines.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - it lasts as long as the process, and so do the next two
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - see above
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - see above
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # claims and paths may hold characters that the locale cannot encode
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the configuration: `--config` and `--set`."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="configuration file (default: $CFG_FILE, else ./example_cfg.yml)"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        type=_pair,
        action="append",
        default=[],
        help="override one key, e.g. limits.bodyBytes=4096",
    )


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("wants KEY=VALUE, for example --set port=9000")
    return key, value


def add_output_option(parser: argparse.ArgumentParser) -> None:
    """Add `--output`."""
    parser.add_argument("--output", choices=("text", "json"), default="text", help="for people or for programs")


def read_config(options: argparse.Namespace) -> Config:
    """Read the configuration that the options and this process's environment name.

    Raises:
        ConfigError: it cannot be used.
    """
    return configuration.load(options.config, os.environ, dict(options.set))


def read_argument(value: str) -> bytes:
    """Read an argument, or standard input for `-`: others on the machine can read what stands in a command line."""
    if value != "-":
        return os.fsencode(value).strip()
    return sys.stdin.buffer.read().strip() if sys.stdin is not None else b""


def read_token(value: str) -> bytes:
    """Read a token as people copy it: in an answer's JSON, in a header field, in quotes, on lines that were wrapped."""
    text = read_argument(value)
    member = re.search(rb'"(?:access_token|token)"\s*:\s*"([^"]*)"', text) if text[:1] == b"{" else None
    if member is not None:
        text = member[1]
    before = _BEFORE_TOKEN.match(text)
    assert before is not None  # it matches nothing, too
    text = text[before.end() :]
    return b"".join(text.rstrip(_QUOTES).split())


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a text for people, to standard output unless another stream is given."""
    print(text, file=stream or sys.stdout, flush=True)


def print_json(value: object) -> None:
    """Print a value for programs."""
    sys.stdout.write(orjson.dumps(value, option=_JSON_OPTIONS).decode())
    sys.stdout.flush()
