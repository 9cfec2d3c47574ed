"""The demo's service: a worker in front of the login API, in one process with it. Knows no client but the demo's own."""

from __future__ import annotations

import contextlib
import logging
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from txtoken.demo.client import make_requests, make_requests_behind
from txtoken.demo.configuration import demo_config
from txtoken.demo.greeting import greeting, greeting_behind
from txtoken.demo.login_api import start_login_api
from txtoken.demo.page import start_page
from txtoken.demo.proxy import find, free_port, running
from txtoken.export.proxies import WRITERS
from txtoken.export.site import Address, Site
from txtoken.observe.logs import LineWriter, open_log
from txtoken.process.loop import run
from txtoken.process.running import STDOUT_FD, announce
from txtoken.process.signals import Signals
from txtoken.process.sockets import address, bind
from txtoken.process.worker import Worker
from txtoken.settings import LOOPBACK, Config, LogSettings


@dataclass(frozen=True, slots=True)
class Ports:
    """Of the service, the login API and the proxy. 0: any."""

    service: int
    login: int
    proxy: int


ANY: Final = Ports(0, 0, 0)


def serve_demo(ports: Ports, behind: str | None, say: Callable[[str], None], *, once: bool) -> int:
    """Run the demo until Ctrl-C, or with `once` for some requests of its own. `behind` is a proxy's name, or None. Returns the
    process's exit code.

    Raises:
        StartError: a port is in use, or the proxy is not installed.
    """
    if behind is not None:
        find(behind)
    settings = LogSettings(level="error" if once else "info", format="text", access=not once)
    writer = LineWriter(STDOUT_FD)
    log = open_log(writer, level=settings.level, as_json=False)
    try:
        return run(_serve(ANY if once else ports, behind, settings, log, writer, say, once=once))
    finally:
        writer.close()


async def _serve(
    ports: Ports,
    behind: str | None,
    settings: LogSettings,
    log: logging.Logger,
    writer: LineWriter,
    say: Callable[[str], None],
    *,
    once: bool,
) -> int:
    signals = Signals()
    login_api, login_url = await start_login_api(LOOPBACK, ports.login)
    config = demo_config(ports.service, login_url, settings, is_asked=behind is not None)
    sockets: list[socket.socket] = []
    try:
        sockets = bind(config.process.addresses, config.process.port)
        service_url = f"http://{address(sockets[0])}"
        worker = Worker(config, log, writer)
        async with _proxy(behind, config, sockets[0].getsockname()[1], ports.proxy) as proxy_url:
            if once:
                await worker.start(sockets)
                good = await make_requests(service_url, say)
                if proxy_url is not None:
                    good = await make_requests_behind(proxy_url, service_url, say) and good
                await worker.stop()
                return 0 if good else 1
            text = greeting(service_url, login_url)
            say(text if proxy_url is None else text + greeting_behind(str(behind), proxy_url, service_url))
            await worker.start(sockets)
            announce(log, config, sockets)
            await signals.first.wait()
            await worker.stop()
            return 0
    finally:
        for sock in sockets:
            sock.close()
        await login_api.cleanup()


@contextlib.asynccontextmanager
async def _proxy(behind: str | None, config: Config, service_port: int, port: int) -> AsyncIterator[str | None]:
    """Run a proxy in front of a page, by the configuration that is exported. Gives its URL."""
    if behind is None:
        yield None
        return
    listen = Address(LOOPBACK, port or free_port())
    page, page_port = await start_page()
    try:
        service = Address(LOOPBACK, service_port)
        site = Site(config.forward_auth[0], config.cookie, service, Address(LOOPBACK, page_port), listen)
        with (
            tempfile.TemporaryDirectory(prefix="txtoken-demo-") as folder,
            running(behind, Path(folder), WRITERS[behind](site), listen.host, listen.port),
        ):
            yield f"http://{listen}"
    finally:
        await page.cleanup()
