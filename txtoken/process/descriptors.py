"""How many files this process may open, and what it can take on with them. Knows no sockets."""

from __future__ import annotations

import contextlib
import logging
import resource
from dataclasses import replace
from typing import Final

from txtoken.errors import StartError
from txtoken.settings import Config

# That a process has open beside clients and the remote: listeners, the loop's own, the log, the admin port's clients.
OTHER_FILES: Final = 80
FEW_FILES: Final = 256  # with fewer, a part of them is for what is not clients or the remote
FILES_MIN: Final = 64  # with fewer nobody could be served in earnest


def require_files() -> None:
    """Refuse to start with too few files.

    Raises:
        StartError: this process may open fewer than `FILES_MIN`.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_MIN:
        raise StartError(f"this process may open {hard} files (ulimit -n): at least {FILES_MIN} are needed")


def with_room(config: Config, log: logging.Logger) -> Config:
    """Let this process open as many files as `limits` ask for. Where it may not, clients and connections to the remote shrink
    in proportion, so that both are there.
    """
    limits, remote = config.limits, config.remote
    wanted = limits.connections + remote.connections
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
    connections = max(1, min(limits.connections, room - remote_connections))
    fields = {"files": soft, "connections": connections, "remote_connections": remote_connections}
    log.warning(
        "this process may open too few files (ulimit -n): limits.connections and limits.remoteConnections are lowered",
        extra={"fields": fields},
    )
    return replace(
        config,
        limits=replace(limits, connections=connections),
        remote=replace(remote, connections=remote_connections),
    )
