"""A process beside the service, which reads what the service writes to stdout. Knows nothing of what either does.

The end of what it reads, however the service ended, is the companion's end. A companion that ends by itself asks the service to
end; without one that is killed the service goes on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

STDOUT_FD: Final = 1
FAILED: Final = 1
# A terminal sends them to both processes. They are for the service: the companion ends after it.
_FOR_THE_SERVICE: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def discard_stdout() -> None:
    """Close stdout: what is written there from now on is nobody's."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, STDOUT_FD)
    os.close(null)


class Companion:
    """The companion, as the service's process knows it. Make it by `begin`, and `wait` for its end."""

    __slots__ = ("_pid", "_result_fd")

    def __init__(self, pid: int, result_fd: int) -> None:
        self._pid = pid
        self._result_fd = result_fd

    def wait(self) -> int:
        """Close stdout, and wait until the companion has ended. Returns its exit code."""
        discard_stdout()
        with open(self._result_fd, "rb") as results:
            result = results.read()
        with contextlib.suppress(ChildProcessError):  # the supervisor has waited for it
            os.waitpid(self._pid, 0)
        return result[0] if result else FAILED  # it was killed


def begin(run: Callable[[int], int]) -> Companion:
    """Start the companion: a process that calls `run` with the descriptor to read from, and ends with the exit code that it
    returns. To be called before there is a loop or a thread. From then on stdout is what the companion reads.
    """
    reading_fd, writing_fd = os.pipe()
    # The supervisor waits for all its children and would take the exit code as that of a worker, so it comes by a pipe.
    result_fd, told_fd = os.pipe()
    service = os.getpid()
    sys.stdout.flush()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_SERVICE)
    pid = os.fork()
    if pid == 0:
        for number in _FOR_THE_SERVICE:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked - {*_FOR_THE_SERVICE})
        os.close(writing_fd)
        os.close(result_fd)
        _accompany(service, run, reading_fd, told_fd)
    os.dup2(writing_fd, STDOUT_FD)
    for fd in (writing_fd, reading_fd, told_fd):
        os.close(fd)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return Companion(pid, result_fd)


def _accompany(service: int, run: Callable[[int], int], reading_fd: int, told_fd: int) -> NoReturn:
    code = FAILED
    try:
        code = run(reading_fd)
    except BaseException:  # noqa: BLE001 - whatever it is: this process must not return into the service's code
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            os.write(told_fd, bytes([code]))
        if not _has_ended(reading_fd) and os.getppid() == service:  # else the number may be another process's by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(service, signal.SIGTERM)
        os._exit(code)


def _has_ended(reading_fd: int) -> bool:
    """Whether nobody can write any more what is read here: the service has drained."""
    poll = select.poll()
    poll.register(reading_fd, 0)
    return any(found & select.POLLHUP for _, found in poll.poll(0))
