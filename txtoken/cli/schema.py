"""`txtoken schema`: what editors need to complete and check a configuration file. Reads no configuration."""

from __future__ import annotations

import argparse

from txtoken.cli.exit_codes import OK
from txtoken.cli.json_output import print_json
from txtoken.config.schema import schema


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command. It has no arguments."""
    parser.set_defaults(command=run)


def run(_: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    print_json(schema())
    return OK
