"""All of the demo that is not the service, in a process beside it: the login API, what is shown of the log, the proxy, and the
requests of `--once`. Knows the service by its URL, and by the lines that it logs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from txtoken.demo.client import make_requests, make_requests_behind
from txtoken.demo.events import EVENTS_PATH, Ring
from txtoken.demo.login_api import Login, start_login_api
from txtoken.demo.login_view import view
from txtoken.demo.page import start_page
from txtoken.demo.proxy import running
from txtoken.demo.speech import Speech
from txtoken.errors import TxtokenError
from txtoken.export.proxies import WRITERS
from txtoken.export.site import Address, Site
from txtoken.observe.logs import LineWriter
from txtoken.process.companion import STDOUT_FD, discard_stdout
from txtoken.process.loop import run
from txtoken.settings import LOOPBACK

FAILED: Final = 1
READ_BYTES: Final = 64 * 1024
SHOWN_LINES: Final = 50  # in the page, of those that come within
GATHER_S: Final = 0.1
_GIVEN_UP: Final = f" GET {EVENTS_PATH} 499 ".encode()
_GONE: Final = select.POLLERR | select.POLLHUP


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that protects a page: its name, and what it has to know but for where that page is."""

    name: str
    site: Site

    @property
    def url(self) -> str:
        """Where the protected page is."""
        return f"http://{self.site.listen}"


@dataclass(frozen=True, slots=True)
class Beside:
    """What there is beside the service. `greeting` is said once all of it runs; with `once` requests are made in its place."""

    service_url: str
    login_socket: socket.socket | None  # None: the login API is somebody else's
    proxy: Proxy | None
    ring: Ring
    greeting: str
    once: bool
    speech: Speech

    def run(self, log_fd: int) -> int:
        """Run it all until the service has ended, which closes the log that is read from `log_fd`. Returns the exit code."""
        try:
            return run(self._run(log_fd))
        except TxtokenError as error:
            self.speech.complain(f"txtoken: {error}")
        except OSError as error:  # a reader who has seen enough needs no word, a full disk does
            discard_stdout()
            if not isinstance(error, BrokenPipeError):
                self.speech.complain(f"txtoken: {error.strerror or error}")
        return FAILED

    async def _run(self, log_fd: int) -> int:
        async with self._login_api(), _running(self.proxy):
            if not self.once:
                self.speech.say(self.greeting)
                await _show_log(log_fd, self.ring)
                return 0
            good = await make_requests(self.service_url, self.speech)
            if self.proxy is not None:
                good = await make_requests_behind(self.proxy.url, self.service_url, self.speech) and good
            return 0 if good else FAILED

    @contextlib.asynccontextmanager
    async def _login_api(self) -> AsyncIterator[None]:
        if self.login_socket is None:
            yield
            return

        def note(login: Login) -> None:
            self.ring.add(view(login))

        login_api = await start_login_api(self.login_socket, note)
        try:
            yield
        finally:
            await login_api.cleanup()


@contextlib.asynccontextmanager
async def _running(proxy: Proxy | None) -> AsyncIterator[None]:
    """Run a proxy in front of a page, by the configuration that is exported."""
    if proxy is None:
        yield
        return
    page, page_port = await start_page()
    try:
        site = replace(proxy.site, upstream=Address(LOOPBACK, page_port))
        with (
            tempfile.TemporaryDirectory(prefix="txtoken-demo-") as folder,
            running(proxy.name, Path(folder), WRITERS[proxy.name](site), site.listen.host, site.listen.port),
        ):
            yield
    finally:
        await page.cleanup()


async def _show_log(log_fd: int, ring: Ring) -> None:
    """Show the service's log on stdout and in the page, until it ends or nobody reads stdout."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    writer = LineWriter(STDOUT_FD)
    whole = _WholeLines()
    shown = _ShownLines(ring, loop)

    def read() -> None:
        data = os.read(log_fd, READ_BYTES)
        if lines := whole.take(data):
            writer.write(lines)
            shown.take(lines)
        if not data or _is_gone(STDOUT_FD):
            loop.remove_reader(log_fd)
            ended.set()

    loop.add_reader(log_fd, read)
    try:
        await ended.wait()
    finally:
        writer.close()


def _is_gone(fd: int) -> bool:
    """Whether nobody can read what is written here: `| head` has seen enough, a terminal was closed."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(found & _GONE for _, found in poll.poll(0))


class _WholeLines:
    """Puts lines together of what is read, but for those of pages that were closed while they waited for events."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> bytes:
        """Take the next bytes. Returns the lines that are complete."""
        lines, end, self._rest = (self._rest + data).rpartition(b"\n")
        if _GIVEN_UP in lines:
            return b"".join(line + end for line in lines.split(end) if _GIVEN_UP not in line)
        return lines + end


class _ShownLines:
    """The lines of the log that the page gets: the last ones, where too many come at once."""

    def __init__(self, ring: Ring, loop: asyncio.AbstractEventLoop) -> None:
        self._ring = ring
        self._loop = loop
        self._lines: deque[bytes] = deque(maxlen=SHOWN_LINES)
        self._count = 0

    def take(self, lines: bytes) -> None:
        """Take the next lines, with their ends."""
        if not self._count:
            self._loop.call_later(GATHER_S, self._publish)
        self._count += lines.count(b"\n")
        self._lines.extend(lines.splitlines()[-SHOWN_LINES:])

    def _publish(self) -> None:
        if left_out := self._count - len(self._lines):
            self._ring.add({"kind": "left out", "lines": left_out})
        for line in self._lines:
            self._ring.add({"kind": "log", "line": line.decode("utf-8", "replace")})
        self._lines.clear()
        self._count = 0
