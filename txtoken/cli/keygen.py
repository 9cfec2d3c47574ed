"""`txtoken keygen`: a new random key for encKey. Keeps no key."""

from __future__ import annotations

import argparse
import secrets
from typing import Final

from txtoken.cli.exit_codes import OK
from txtoken.cli.json_output import print_json
from txtoken.cli.options import add_output_option
from txtoken.cli.terminal import say

KEY_BYTES: Final = 36  # make 48 characters of base64url, where encKey wants 32 bytes at least


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    add_output_option(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the key."""
    key = secrets.token_urlsafe(KEY_BYTES)
    if options.output == "json":
        print_json({"encKey": key})
    else:
        say(key)
    return OK
