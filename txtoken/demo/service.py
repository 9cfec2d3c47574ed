"""The demo's service: a worker in front of the login API, in one process with it. Knows no client but the demo's own."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

from txtoken.demo.client import make_requests
from txtoken.demo.configuration import demo_config
from txtoken.demo.login_api import PASSWORD, USER, start_login_api
from txtoken.observe.logs import LineWriter, open_log
from txtoken.process.loop import run
from txtoken.process.running import STDOUT_FD, announce
from txtoken.process.signals import Signals
from txtoken.process.sockets import address, bind
from txtoken.process.worker import Worker
from txtoken.settings import LOOPBACK, LogSettings


def serve_demo(*, port: int, login_port: int, once: bool, say: Callable[[str], None]) -> int:
    """Run the demo until Ctrl-C, or with `once` for three requests of its own. Returns the process's exit code.

    Raises:
        StartError: a port is in use.
    """
    if once:
        port = login_port = 0
    settings = LogSettings(level="error" if once else "info", format="text", access=not once)
    writer = LineWriter(STDOUT_FD)
    log = open_log(writer, level=settings.level, as_json=False)
    try:
        return run(_serve(port, login_port, settings, log, writer, say, once=once))
    finally:
        writer.close()


async def _serve(
    port: int,
    login_port: int,
    settings: LogSettings,
    log: logging.Logger,
    writer: LineWriter,
    say: Callable[[str], None],
    *,
    once: bool,
) -> int:
    signals = Signals()
    login_api, login_url = await start_login_api(LOOPBACK, login_port)
    config = demo_config(port, login_url, settings)
    sockets: list[socket.socket] = []
    try:
        sockets = bind(config.process.addresses, config.process.port)
        service_url = f"http://{address(sockets[0])}"
        worker = Worker(config, log, writer)
        if once:
            await worker.start(sockets)
            good = await make_requests(service_url, say)
            await worker.stop()
            return 0 if good else 1
        say(_greeting(service_url, login_url))
        await worker.start(sockets)
        announce(log, config, sockets)
        await signals.first.wait()
        await worker.stop()
        return 0
    finally:
        for sock in sockets:
            sock.close()
        await login_api.cleanup()


def _greeting(service_url: str, login_url: str) -> str:
    log_in = f"""curl -s -d '{{"user":"{USER}","password":"{PASSWORD}"}}' {service_url}/getToken"""
    return f"""
txtoken's demo: a login API at {login_url}, and txtoken in front of it at {service_url}

  1. Turn a login into a signed token:

     {log_in}

  2. Log in and have the token checked:

     curl -s -H "Authorization: Bearer $({log_in} | cut -d'"' -f4)" {service_url}/checkToken

  Try a wrong password too. What happens is logged below; Ctrl-C ends the demo.
"""
