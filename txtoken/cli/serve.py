"""`txtoken serve`: runs the service. Knows which sockets systemd passes; what serves is `process`."""

from __future__ import annotations

import argparse
import os
from typing import Final

from txtoken.cli import early_signals
from txtoken.cli.configuration import read_config
from txtoken.cli.options import add_config_options, add_service_options
from txtoken.errors import StartError
from txtoken.process import supervisor

FIRST_PASSED_FD: Final = 3  # SD_LISTEN_FDS_START


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    add_config_options(parser)
    add_service_options(parser)
    parser.set_defaults(command=run, handles_signals=True)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    early_signals.leave_starter()
    with early_signals.handled():
        config = read_config(options)
        return supervisor.serve(config, lambda: read_config(options), _passed_sockets())


def _passed_sockets() -> range:
    """Name the file descriptors of sockets that systemd has opened for this process, if it did (sd_listen_fds(3)).

    Raises:
        StartError: there are some, but LISTEN_FDS does not say how many.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return range(0)  # meant for another process, from which this one has inherited its environment
    count = os.environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdigit() and len(count) <= 4):
        raise StartError("LISTEN_PID names this process, but LISTEN_FDS is no number of sockets")
    return range(FIRST_PASSED_FD, FIRST_PASSED_FD + int(count))
