"""One worker's process: opens its log, serves until a signal ends it, reloads, leaves. Knows no request.

The end waits for no thread: a name look-up that hangs, or a reader of the log who sleeps, must not keep the process. So the
loop is not closed, which would wait for both its pools of threads; the process ends by `leave`.
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
        StartError: `adminPort` cannot be had.
    """
    try:
        admin_port = open_admin(config)
    except StartError:
        for sock in sockets:
            sock.close()
        raise
    return serve_as(None, config, load, sockets, replace(inheritance, admin_port=admin_port))


def open_admin(config: Config) -> AdminPort | None:
    """Bind `adminPort`, if there is to be one, and make ready what is shown there. It has the addresses of `listen`; where
    these are Unix sockets alone it is for this machine alone.

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
    """Be one worker of several, or without `context` the only one, until a signal ends it. Returns the process's exit code."""
    # Several processes that write to one pipe mix their lines up, but for pieces that the kernel takes whole.
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
    """Say that the service listens, where, and what it does not like about its configuration."""
    for warning in config.warnings:
        log.warning(warning)
    if LOOP_NAME != "uvloop":
        log.warning("uvloop is not installed: serving on asyncio's own loop, which is slower")
    if any(isinstance(sock, Passed) for sock in sockets):
        log.info("sockets that were passed to this process (LISTEN_FDS) take the place of listen and port")
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
    if inheritance.doors:
        fields["forward_auth_addresses"] = [address(sock) for door in inheritance.doors for sock in door.sockets]
    log.info("listening", extra={"fields": fields})


def run_to_the_end(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine as the last thing that this process does with a loop: nothing of the loop is closed."""
    try:
        loop = new_event_loop()
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        if getcoroutinestate(main) == CORO_CREATED:
            main.close()  # a signal has ended the process before the loop ran: Python would complain of a coroutine not awaited


def leave(code: int) -> NoReturn:
    """End the process now, whatever its threads still wait for. What has to be written or removed was before."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it
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
    if context is not None:  # its supervisor speaks for all
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
    # Of several workers none looks at files by itself: the supervisor does, and sends a SIGHUP.
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
    log.warning("ended at once by a second signal")
    await worker.abandon()
    return 1


async def _watch(worker: Worker, reload: Reload, signals: Signals, log: logging.Logger, *, looks: bool) -> None:
    """Take a changed configuration over, for ever. Without `looks` only when a signal says so, or the last time failed."""

    def apply(config: Config) -> None:
        worker.take_over(with_room(config, log))

    while True:
        wait_s = reload.wait_s if looks or reload.is_pending else None
        if wait_s is None and reload.has_failed and not looks:
            wait_s = RETRY_S  # the others serve by it already
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(signals.reload.wait(), wait_s)
        asked = signals.reload.is_set()
        signals.reload.clear()
        if not asked and not reload.has_changed():
            continue
        if asked:
            worker.read_revocations_again()
        before = reload.config
        # In a thread: a long file, or the first key that needs cryptography, would hold the loop for 50 ms.
        config = reload.take(await asyncio.to_thread(reload.read, at_once=asked), apply)
        if worker.admin is not None:
            if config is not None:
                if looks:
                    worker.admin.note_reload(has_new_key=config.keys != before.keys)
            elif reload.has_failed:
                worker.admin.note_failed_reload()
