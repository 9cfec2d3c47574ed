"""The limit of open files, and the number of connections that it allows. Knows no sockets."""

from __future__ import annotations

import contextlib
import logging
import resource
from dataclasses import replace
from typing import Final

from txtoken.errors import StartError
from txtoken.process.auth_listeners import auth_limits
from txtoken.settings import Config

# Files other than connections to clients or the remote: listening sockets, the loop's own, the log, the admin port's clients.
OTHER_FILES: Final = 80
FEW_FILES: Final = 256  # with fewer, half of them are reserved for these other files
FILES_MIN: Final = 64  # with fewer, the service does not start


def require_files() -> None:
    """Refuse to start if this process may open too few files.

    Raises:
        StartError: it may open fewer than `FILES_MIN`.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_MIN:
        raise StartError(f"this process may open {hard} files (ulimit -n): at least {FILES_MIN} are needed")


def with_room(config: Config, log: logging.Logger) -> Config:
    """Raise the limit of open files to what `limits` need. If that is not permitted, return a configuration with fewer
    connections: those of clients and those to the remote shrink in proportion, to at least 1.
    """
    limits, remote = config.limits, config.remote
    addresses = len(config.process.auth_addresses)
    remotes = 1 if config.refresh.url is None else 2  # each with this many connections
    wanted = limits.connections + remotes * remote.connections + addresses * auth_limits(limits).connections
    needed = wanted + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return config
    room = soft - (OTHER_FILES if soft >= FEW_FILES else soft // 2)
    remote_connections = max(1, room * remote.connections // wanted)
    connections = max(1, min(limits.connections, room * limits.connections // wanted))
    if not addresses:
        connections = max(1, min(limits.connections, room - remotes * remote_connections))
    fields = {"files": soft, "connections": connections, "remote_connections": remote_connections}
    log.warning(
        "the limit of open files is too low (ulimit -n): limits.connections and limits.remoteConnections are reduced",
        extra={"fields": fields},
    )
    return replace(
        config,
        limits=replace(limits, connections=connections),
        remote=replace(remote, connections=remote_connections),
    )
