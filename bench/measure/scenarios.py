"""What is measured, by name: which load on which route, with what settings of the service and its remote.

Knows no rounds and no seconds, which belong to a run, and only the names of services.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from bench.load.stub_remote import REPLY_BYTES

CONNECTIONS: Final = 64
KIB: Final = 1024
SUBJECT: Final = "txtoken"  # the service that this suite is about, compiled; the others are its peers
INTERPRETED: Final = "txtoken_interpreted"  # the same, run from its sources
FLOOR: Final = "hello"  # the peer that does nothing but answer
# What people call the services. The keys are what the command line takes.
NAMES: Final = {
    SUBJECT: "txtoken",
    INTERPRETED: "txtoken, not compiled",
    FLOOR: "hello (does nothing but answer)",
    "go": "the Go original",
    "nginx_lua": "nginx + LuaJIT",
    "node_fastify": "Node.js + Fastify",
    "aiohttp_plain": "aiohttp",
    "fastapi_httpx": "FastAPI + httpx",
}
CLAIMS: Final = (
    "{headers: {X-Auth-Request-User: /data/user, X-Auth-Request-Id: /data/id, X-Auth-Request-Email: /data/email, "
    "X-Auth-Request-Groups: /data/roles}}"
)


class Tool(Enum):
    """What makes the load."""

    WRK = "wrk"
    OPEN_LOOP = "open_loop"
    LOCUST = "locust"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of them. `title` completes "requests/s of …"."""

    name: str
    title: str
    script: str  # of wrk/*.lua
    tool: Tool = Tool.WRK
    connections: int = CONNECTIONS
    delay_ms: float = 0.0  # of the remote
    reply_bytes: int = REPLY_BYTES
    tokens: int = 1  # that differ
    idle: int = 0  # connections beside the load
    logins: float = 1.0  # share of the requests: the others are checks
    of_peers: bool = True  # whether the peers take part, too
    of_floor: bool = False  # whether the floor takes part
    logs: bool = False  # whether the service writes its access log
    processes: int = 1  # of the service: several are not pinned to one core
    settings: dict[str, str] = field(default_factory=dict)  # of the subject: config keys


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("get_token", "logins, the remote answers at once", "get_token", of_floor=True),
        Scenario("get_token_5ms", "logins, the remote takes 5 ms", "get_token", delay_ms=5),
        Scenario("get_token_50ms", "logins, the remote takes 50 ms", "get_token", delay_ms=50),
        Scenario("check_token", "checks of one token", "check_token", logins=0.0, of_floor=True),
        Scenario(
            "check_token_distinct",
            "checks of 10 000 different tokens in turn",
            "check_token_distinct",
            tokens=10_000,
            logins=0.0,
        ),
        Scenario(
            # The cache has no switch: so many tokens make any cache of some thousands useless.
            "check_token_uncached",
            "checks of 40 000 different tokens in turn",
            "check_token_distinct",
            tokens=40_000,
            logins=0.0,
        ),
        Scenario(
            "forward_auth",
            "forward authentications by one token",
            "forward_auth",
            logins=0.0,
            of_peers=False,
            settings={"forwardAuth": "{}"},
        ),
        Scenario(
            "forward_auth_claims",
            "forward authentications by one token, with four claims as headers",
            "forward_auth_claims",
            logins=0.0,
            of_peers=False,
            settings={"forwardAuth": CLAIMS},
        ),
        Scenario("mixed", "one login to 20 checks", "mixed", logins=1 / 21),
        Scenario("new_connections", "checks, each on a new connection", "new_connections", logins=0.0, of_floor=True),
        Scenario(
            "idle_10k",
            "checks beside 10 000 idle connections",
            "check_token",
            idle=10_000,
            logins=0.0,
            of_floor=True,
            settings={"limits.connections": "12000"},  # the default is 10 000, and the load needs some too
        ),
        Scenario("big_reply_1k", "logins with a reply of 1 KiB", "get_token", reply_bytes=KIB),
        Scenario("big_reply_8k", "logins with a reply of 8 KiB", "get_token", reply_bytes=8 * KIB),
        Scenario("big_reply_64k", "logins with a reply of 64 KiB", "get_token", reply_bytes=64 * KIB),
        Scenario("connections_1000", "logins on 1 000 connections", "get_token", connections=1000, of_floor=True),
        Scenario(
            "connections_1000_check",
            "checks of one token on 1 000 connections",
            "check_token",
            connections=1000,
            logins=0.0,
            of_floor=True,
        ),
        Scenario("access_log", "logins with the access log on", "get_token", of_peers=False, logs=True),
        Scenario(
            "access_log_check",
            "checks of one token with the access log on",
            "check_token",
            logins=0.0,
            of_peers=False,
            logs=True,
        ),
        Scenario(
            "workers_2", "logins, two workers", "get_token", of_peers=False, processes=2, settings={"workers": "2"}
        ),
        Scenario("open_loop", "logins at a fixed rate", "get_token", tool=Tool.OPEN_LOOP, of_floor=True),
        Scenario(
            "locust", "users who log in and then check their token", "get_token", tool=Tool.LOCUST, of_peers=False
        ),
    )
}
