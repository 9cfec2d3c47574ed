"""What workers inherit from the supervisor, except the sockets of `listen`. It is made before the fork. Does nothing with it."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from txtoken.http1.messages import Handler
from txtoken.process.admin import AdminPort
from txtoken.process.auth_listeners import AuthListener
from txtoken.process.revoked import Loaded
from txtoken.service.throttle.table import Table


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a worker inherits from its parent. A single process makes it for itself."""

    admin_port: AdminPort | None = None
    revocations: Loaded | None = None  # read once: the workers share the memory
    auth_listeners: Sequence[AuthListener] = ()
    throttle_table: Table | None = None  # shared by all workers, replacements included
    pages: Mapping[str, Mapping[str, Handler]] = field(default_factory=dict)  # of the demo, by path and method

    @property
    def sockets(self) -> list[socket.socket]:
        """All bound sockets."""
        at_listeners = [sock for listener in self.auth_listeners for sock in listener.sockets]
        return [*(() if self.admin_port is None else self.admin_port.sockets), *at_listeners]

    def close(self) -> None:
        """Close the sockets."""
        for sock in self.sockets:
            sock.close()


NOTHING: Final = Inheritance()
