"""One worker's process: opens its log, serves until a signal, reloads, exits. Knows no request.

The exit waits for no thread: a hanging name look-up, or a stuck reader of the log, must not delay it. So the loop is not closed,
because that would wait for its thread pools. The process exits by `leave`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any, Final, NoReturn

from txtoken.errors import StartError
from txtoken.observe.logs import LineWriter, open_log
from txtoken.process.admin import AdminPort, make_admin_port
from txtoken.process.descriptors import with_room
from txtoken.process.inheritance import NOTHING, Inheritance
from txtoken.process.loop import LOOP_NAME, new_event_loop
from txtoken.process.reload import RETRY_S, Reload
from txtoken.process.signals import Signals, WorkerContext, end_at_next_signal
from txtoken.process.sockets import Passed, address, bind
from txtoken.process.worker import BUILD, Worker
from txtoken.settings import LOOPBACK, UNIX_PREFIX, Config
from txtoken.version import VERSION

STDOUT_FD: Final = 1


def serve(
    config: Config, load: Callable[[], Config], sockets: Sequence[socket.socket], inheritance: Inheritance
) -> int:
    """Run the service in this process until a signal ends it. `load` reads its configuration again. Returns the exit code.

    Raises:
        StartError: `adminPort` is not available.
    """
    try:
        admin_port = open_admin(config)
    except StartError:
        for sock in sockets:
            sock.close()
        raise
    return serve_as(None, config, load, sockets, replace(inheritance, admin_port=admin_port))


def open_admin(config: Config) -> AdminPort | None:
    """Bind `adminPort`, if configured, and prepare its metrics. It has the addresses of `listen`; if these are only Unix sockets,
    it listens on loopback.

    Raises:
        StartError: an address cannot be bound.
    """
    if config.process.admin_port is None:
        return None
    hosts = [place for place in config.process.addresses if not place.startswith(UNIX_PREFIX)] or [LOOPBACK]
    sockets = bind(hosts, config.process.admin_port, key="adminPort")
    return make_admin_port(sockets, config.process.workers, loop=LOOP_NAME, build=BUILD)


def serve_as(
    context: WorkerContext | None,
    config: Config,
    load: Callable[[], Config],
    sockets: Sequence[socket.socket],
    inheritance: Inheritance,
) -> int:
    """Run one of several workers, or without `context` the only one, until a signal. Returns the process's exit code."""
    # Several processes that write to one pipe would mix their lines, except in pieces that the kernel accepts whole.
    writer = LineWriter(STDOUT_FD, piece_bytes_max=select.PIPE_BUF if context else None)
    log = open_log(writer, level=config.log.level, as_json=config.log.format == "json")
    try:
        agreement = None if context is None else context.agreement
        reload = Reload(load, config, log, logs_changes=context is None, agreement=agreement)
        return run_to_the_end(_serve(with_room(config, log), reload, sockets, log, writer, context, inheritance))
    finally:
        end_at_next_signal(context)
        for sock in sockets:
            sock.close()
        inheritance.close()
        writer.close()


def announce(
    log: logging.Logger,
    config: Config,
    sockets: Sequence[socket.socket],
    inheritance: Inheritance = NOTHING,
) -> None:
    """Log that the service listens, its addresses, and the warnings of its configuration."""
    for warning in config.warnings:
        log.warning(warning)
    if LOOP_NAME != "uvloop":
        log.warning("uvloop is not installed: the service uses asyncio's own loop, which is slower")
    if any(isinstance(sock, Passed) for sock in sockets):
        log.info("sockets passed to this process (LISTEN_FDS) replace listen and port")
    fields = {
        "addresses": [address(sock) for sock in sockets],
        "version": VERSION,
        "workers": config.process.workers,
        "loop": LOOP_NAME,
        "build": BUILD,
        "get_token": config.login.route,
        "check_token": config.check.route,
        "token_hours": round(config.issue.life_s / 3600, 4),
    }
    if inheritance.admin_port is not None:
        fields["admin_addresses"] = [address(sock) for sock in inheritance.admin_port.sockets]
    if config.forward_auth:
        fields["forward_auth"] = [settings.route for settings in config.forward_auth]
    if inheritance.auth_listeners:
        fields["forward_auth_addresses"] = [
            address(sock) for listener in inheritance.auth_listeners for sock in listener.sockets
        ]
    log.info("listening", extra={"fields": fields})


def run_to_the_end(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine as this process's last use of a loop: the loop is not closed."""
    try:
        loop = new_event_loop()
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        if getcoroutinestate(main) == CORO_CREATED:
            main.close()  # a signal came before the loop ran: without this, Python warns of a coroutine that was never awaited


def leave(code: int) -> NoReturn:
    """Exit now, whatever threads still wait for. Everything has been written and removed before."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or without a reader
            stream.flush()
    os._exit(code)


async def _serve(
    config: Config,
    reload: Reload,
    sockets: Sequence[socket.socket],
    log: logging.Logger,
    writer: LineWriter,
    context: WorkerContext | None,
    inheritance: Inheritance,
) -> int:
    signals = Signals(context)
    level, number, on_beat = logging.INFO, 0, None
    if context is not None:  # its supervisor logs for all
        level, number, on_beat = logging.DEBUG, context.number, context.on_beat
    worker = Worker(
        config,
        log,
        writer,
        life_level=level,
        number=number,
        on_beat=on_beat,
        inheritance=inheritance,
    )
    await worker.start(sockets)
    if context is None:
        announce(log, config, sockets, inheritance)
    else:
        context.on_ready()
    # One of several workers does not watch files: the supervisor does, and sends a SIGHUP.
    watching = asyncio.ensure_future(_watch(worker, reload, signals, log, looks=context is None))
    await signals.first.wait()
    watching.cancel()
    stopping = asyncio.ensure_future(worker.stop())
    forced = asyncio.ensure_future(signals.second.wait())
    await asyncio.wait((stopping, forced), return_when=asyncio.FIRST_COMPLETED)
    forced.cancel()
    if stopping.done():
        stopping.result()
        return 0
    stopping.cancel()
    log.warning("stopped at once by a second signal")
    await worker.abandon()
    return 1


async def _watch(worker: Worker, reload: Reload, signals: Signals, log: logging.Logger, *, looks: bool) -> None:
    """Reload a changed configuration, forever. Without `looks`, only after a signal, or if the last reload failed."""

    def apply(config: Config) -> None:
        worker.take_over(with_room(config, log))

    while True:
        wait_s = reload.wait_s if looks or reload.is_pending else None
        if wait_s is None and reload.has_failed and not looks:
            wait_s = RETRY_S  # the others already use it
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(signals.reload.wait(), wait_s)
        asked = signals.reload.is_set()
        signals.reload.clear()
        if not asked and not reload.has_changed():
            continue
        if asked:
            worker.read_revocations_again()
        before = reload.config
        # In a thread: a long file, or the first key that needs cryptography, would block the loop for 50 ms.
        config = reload.take(await asyncio.to_thread(reload.read, at_once=asked), apply)
        if worker.admin is not None:
            if config is not None:
                if looks:
                    worker.admin.note_reload(has_new_key=config.keys != before.keys)
            elif reload.has_failed:
                worker.admin.note_failed_reload()
