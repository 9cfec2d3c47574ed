"""A remote that fails in every way for others while the honest client's logins continue, and logs that are not read.

Where each login costs a new connection to the remote there are few attackers: what a crowd of them has to wait for is the
kernel's and the remote's accepting. All stay below `limits.remoteConnections`: connections to the remote are not shared out
by client, so that with more of them the honest client would wait as well. Where the remote stalls for all, only the honest
client's checks count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from bench.withstand.attack import Attack, Scale
from bench.withstand.floods import CHECK, asking
from bench.withstand.stage import Stage
from bench.withstand.swarm import Plan

CLIENTS: Final = 150  # of the 256 connections to the remote
DIALLING: Final = 16  # where the connection is gone after each login
TURN_S: Final = 0.5


def _doing(what: str, clients: int = CLIENTS) -> Callable[[Stage, Scale], Plan]:
    def plan(stage: Stage, scale: Scale) -> Plan:
        return Plan(stage.subject.port, clients, scale.seconds, again=(asking(what),), batch=1)

    return plan


def _greeting(stage: Stage, scale: Scale) -> Plan:
    """Every fourth connection starts with an unrequested reply, and each login ends its connection."""
    stage.remote.ask("greet")
    return Plan(stage.subject.port, 8, scale.seconds, again=(asking("empty"),), batch=1)


def _stalling(stage: Stage, seconds: float) -> Mapping[str, int]:
    """Let the whole remote come and go."""
    ends = time.monotonic() + seconds
    turns = 0
    while time.monotonic() < ends:
        stage.remote.ask("stall" if turns % 2 == 0 else "behave")
        turns += 1
        time.sleep(TURN_S)
    stage.remote.ask("behave")
    return {"turns": turns}


def _checks(stage: Stage, scale: Scale) -> Plan:
    return Plan(stage.subject.port, 20, scale.seconds, again=(CHECK * 20,), batch=20)


REMOTES: Final = (
    Attack("remote stalls", "150 logins that are never answered", _doing("stall"), is_quick=True),
    Attack("remote stalls for all", "1,500 logins; the remote alternates: half a second silent, then all answers",
           _doing("ok", 1500), _stalling, lanes="check"),
    Attack("remote drips", "150 logins, one byte of the reply every 100 ms", _doing("drip")),
    Attack("remote resets", "connections reset instead of a reply", _doing("reset", DIALLING)),
    Attack("remote answers twice", "an unrequested reply directly after each reply", _doing("twice", DIALLING), is_quick=True),
    Attack("remote answers late", "an unrequested reply 5 ms after each reply", _doing("late", DIALLING), is_quick=True),
    Attack("remote answers early", "connections that begin with an unrequested reply", _greeting),
    Attack("remote never ends", "replies that never end", _doing("endless", DIALLING)),
    Attack("remote flaps", "all of these at random", _doing("flap", DIALLING), is_quick=True),
    Attack("log disk full", "stdout is a full device", _checks, log="full", is_quick=True),
    Attack("log pipe full", "stdout is a pipe without a reader", _checks, log="stuck", is_quick=True),
)  # fmt: skip
