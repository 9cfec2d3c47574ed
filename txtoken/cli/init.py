"""`txtoken init`: a configuration file to begin with, with a fresh key. Asks nothing, and overwrites nothing."""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import textwrap
from typing import Final

from txtoken.cli.exit_codes import FAILED, OK
from txtoken.cli.keygen import KEY_BYTES
from txtoken.cli.new_file import NotWritten, ThereAlready, write_new
from txtoken.cli.options import read_port
from txtoken.cli.terminal import complain, painted, say
from txtoken.config.place import DEFAULT_PORT
from txtoken.config.read import INIT_PATH
from txtoken.config.table import BY_NAME, SECTIONS
from txtoken.config.urls import read_url
from txtoken.config.values import Wrong, scalar

DEMO_REMOTE: Final = "http://127.0.0.1:8889/login"  # of `txtoken demo --login-only`
STDOUT: Final = "-"
_COLUMNS: Final = 100
_TITLE: Final = (
    "The configuration of txtoken, written by `txtoken init`. It holds a secret key: keep it to yourself.\n"
    "What is commented out shows a default, or an example. `txtoken check` says what would run, `txtoken schema` prints all keys "
    "for an editor. Every key can also come from the environment: encKey as TXTOKEN_ENC_KEY."
)
# Keys that many change, as they would stand in the file.
_OPTIONAL: Final = (
    ("listen", "listen: 127.0.0.1"),
    ("workers", "workers: auto"),
    ("expHours", "expHours: 24h"),
    ("statusMap", "statusMap: gateway"),
    ("adminPort", "adminPort: 9090"),
    ("claims", "claims:\n  iss: https://login.example\n  sub: /id\n  iat: true"),
    ("throttle", "throttle:\n  field: /user"),
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    parser.add_argument(
        "--remote", metavar="URL", type=_url, help=f"the URL that logins are POSTed to (default: {DEMO_REMOTE})"
    )
    parser.add_argument("--port", type=read_port, default=DEFAULT_PORT, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help=f"a new file that only you can read (default: $CFG_FILE, else {INIT_PATH}); -: print it",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Write the file, and say what comes next."""
    named = os.environ.get("CFG_FILE")
    path = options.out or named or INIT_PATH
    text = configuration(options.remote or DEMO_REMOTE, options.port, secrets.token_urlsafe(KEY_BYTES))
    if path == STDOUT:
        say(text.rstrip("\n"))
        return OK
    serve = "txtoken serve" if path == named else f"txtoken serve -c {shlex.quote(path)}"
    try:
        write_new(path, text)
    except ThereAlready as error:
        or_run = f", or run it: {serve}" if os.path.isfile(path) else ""
        complain(f"txtoken: {path} {error} with --out{or_run}")
        return FAILED
    except NotWritten as error:
        complain(f"txtoken: {path} {error}. Choose another place with --out")
        return FAILED
    say(f"Written to {path}, with a fresh key. Only you can read it.\n\nNext:")
    if options.remote is None:
        say(
            f"  {painted('txtoken demo --login-only &', 'bold')}\n      run the login API that it names, which knows one user"
        )
    say(f"  {painted(serve, 'bold')}\n      run the service")
    return OK


def configuration(remote: str, port: int, key: str) -> str:
    """Write a configuration file."""
    given = {"port": str(port), "encKey": key, "remote": f'"{remote}"'}  # in quotes, because a URL may end with a colon
    parts = [_comment(_TITLE)]
    parts += [f"{_comment(BY_NAME[name].meaning)}{name}: {value}\n" for name, value in given.items()]
    for name, example in _OPTIONAL:
        meaning = BY_NAME[name].meaning if name in BY_NAME else SECTIONS[name]
        parts.append(_comment(meaning) + textwrap.indent(example, "# ") + "\n")
    return "\n".join(parts)


def _comment(text: str) -> str:
    lines = [
        line for paragraph in text.split("\n") for line in textwrap.wrap(paragraph, _COLUMNS, break_on_hyphens=False)
    ]
    return textwrap.indent("\n".join(lines), "# ") + "\n"


def _url(text: str) -> str:
    try:
        return read_url(scalar(text))
    except Wrong as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None
