"""The phases of a connection. Knows nothing else."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class Phase(Enum):
    """The phase of a connection. It decides the meaning of the deadline."""

    DEFERRED = auto()  # accepted above `limits.connections`: waits, without answers, until another one ends
    IDLE = auto()  # between requests
    RESTING = auto()  # idle for a while: nothing is kept for the next request
    HEAD = auto()  # a head has begun to arrive
    BODY = auto()  # a body has begun to arrive
    ANSWERING = auto()  # a handler works on an answer, which has its own deadline
    QUEUED = auto()  # more requests have arrived, and wait for the connection's turn
    WRITING = auto()  # the client does not read its answers
    LINGERING = auto()  # the last answer was sent; further bytes are dropped
    CLOSING = auto()  # the transport closes, which may take a while: both sides have to close TLS
    CLOSED = auto()


# Looked up once: access through the class takes longer than the use.
DEFERRED: Final = Phase.DEFERRED
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
