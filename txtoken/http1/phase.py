"""What a connection is doing, as a name. Knows nothing else."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class Phase(Enum):
    """What the connection is doing, which decides what its deadline means."""

    HELD = auto()  # accepted beyond `limits.connections`: nothing is answered until another one ends
    IDLE = auto()  # between requests
    RESTING = auto()  # the same, for a while already: nothing is kept for a next request
    HEAD = auto()  # a head has begun to arrive
    BODY = auto()  # a body has begun to arrive
    ANSWERING = auto()  # a handler works on an answer; whatever it waits for has a deadline of its own
    QUEUED = auto()  # more of its requests are here, and wait for the connection's turn
    WRITING = auto()  # the client does not read what it was sent
    LINGERING = auto()  # the last answer was sent; what still arrives is dropped
    CLOSING = auto()  # the transport closes, which may take a while: both sides have to end TLS
    CLOSED = auto()


# Each found once: finding a member through its class takes longer than what is done with it.
HELD: Final = Phase.HELD
IDLE: Final = Phase.IDLE
RESTING: Final = Phase.RESTING
HEAD: Final = Phase.HEAD
BODY: Final = Phase.BODY
ANSWERING: Final = Phase.ANSWERING
QUEUED: Final = Phase.QUEUED
WRITING: Final = Phase.WRITING
LINGERING: Final = Phase.LINGERING
CLOSING: Final = Phase.CLOSING
CLOSED: Final = Phase.CLOSED
