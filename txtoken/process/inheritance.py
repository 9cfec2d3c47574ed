"""What all processes of a service have in common beside the sockets of `listen`, made before the workers are forked. Does
nothing with it.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from txtoken.http1.messages import Handler
from txtoken.process.admin import AdminPort
from txtoken.process.doors import Door
from txtoken.process.revoked import Loaded
from txtoken.service.throttle.table import Table


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a worker has from its parent, or the only process from itself."""

    admin_port: AdminPort | None = None
    revocations: Loaded | None = None  # read once: the workers share the memory
    doors: Sequence[Door] = ()
    throttle_table: Table | None = None  # what workers count in, those that replace others too
    pages: Mapping[str, Mapping[str, Handler]] = field(default_factory=dict)  # of the demo, by path and method

    @property
    def sockets(self) -> list[socket.socket]:
        """All that are bound."""
        at_doors = [sock for door in self.doors for sock in door.sockets]
        return [*(() if self.admin_port is None else self.admin_port.sockets), *at_doors]

    def close(self) -> None:
        """Close the sockets."""
        for sock in self.sockets:
            sock.close()


NOTHING: Final = Inheritance()
