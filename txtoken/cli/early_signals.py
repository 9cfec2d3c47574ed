"""Signals that come before a command can handle them: they are blocked while the program is loaded. Knows no command.

Loading what a command needs takes a tenth of a second, and more on small machines. A signal that comes meanwhile would end the
process without a word, or with a traceback. This module is loaded first, so it loads nothing that takes long.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from txtoken.cli.exit_codes import OK

_ENDING = (signal.SIGTERM, signal.SIGINT)
EARLY_SIGNALS = (signal.SIGHUP, *_ENDING)


def block() -> None:
    """Block them until `unblock` or `handled`. To be called before anything else is loaded."""
    signal.pthread_sigmask(signal.SIG_BLOCK, EARLY_SIGNALS)


def unblock() -> None:
    """Let them do what they do to any program, those included that came meanwhile."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, EARLY_SIGNALS)


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Handle them until the service does: SIGTERM and SIGINT end the process with 0, because nothing has begun yet; SIGHUP stays
    blocked, because the configuration that was read may be old by then.
    """
    handlers = {number: signal.signal(number, _end) for number in _ENDING}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,)) - {*EARLY_SIGNALS}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(OK)


def leave_starter() -> None:
    """In the one binary, move to a process group of its own. PyInstaller's starter waits for this process and passes signals on.

    A terminal sends Ctrl-C to every process of a group. It would come twice, and a second signal ends the service at once.
    """
    if getattr(sys, "frozen", False):
        os.setpgid(0, 0)
