"""Dedicated addresses for forward authentication (`forwardAuth.listen`): they serve no other route, so that a proxy which
requests its client's path never reaches one. Decides nothing about a token.

The sockets are bound once, and all workers accept from them.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from txtoken.process.sockets import bind, unix_sockets
from txtoken.settings import MIB, UNIX_PREFIX, Limits

# The share of the service's limits for each: proxies open few connections, keep them, and send no bodies.
CONNECTIONS_PART: Final = 10
CONNECTIONS_MIN: Final = 16
BUFFERED_PART: Final = 8


@dataclass(frozen=True, slots=True)
class AuthListener:
    """One dedicated address, as in the configuration, and its sockets."""

    address: str
    sockets: Sequence[socket.socket]


@contextlib.contextmanager
def open_auth_listeners(addresses: Sequence[str]) -> Iterator[list[AuthListener]]:
    """Bind every address. On exit the files of Unix sockets are removed.

    Raises:
        StartError: one cannot be bound.
    """
    auth_listeners: list[AuthListener] = []
    with contextlib.ExitStack() as stack:
        stack.callback(close_auth_listeners, auth_listeners)
        for address in addresses:
            if address.startswith(UNIX_PREFIX):
                auth_listeners.append(AuthListener(address, stack.enter_context(unix_sockets([address]))))
            else:
                host, _, port = address.rpartition(":")
                auth_listeners.append(
                    AuthListener(address, bind([host.strip("[]")], int(port), key="forwardAuth.listen"))
                )
        yield auth_listeners


def close_auth_listeners(auth_listeners: Sequence[AuthListener]) -> None:
    """Close all sockets."""
    for listener in auth_listeners:
        for sock in listener.sockets:
            sock.close()


def auth_limits(limits: Limits) -> Limits:
    """Return the limits of each of these addresses, from the limits of the service."""
    connections = min(limits.connections, max(CONNECTIONS_MIN, limits.connections // CONNECTIONS_PART))
    return replace(limits, connections=connections, buffered_bytes=max(MIB, limits.buffered_bytes // BUFFERED_PART))
