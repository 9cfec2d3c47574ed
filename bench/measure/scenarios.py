"""What is measured, by name: which load on which route, with what settings of the service and its remote.

Knows no turns and no seconds, which belong to a run, and only the names of services.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from bench.load.replies import REPLY_BYTES

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
    "rust_axum": "Rust, axum",
    "rust_hyper": "Rust, bare hyper",
    "go_fasthttp": "Go, fasthttp",
    "go_nethttp": "Go, net/http",
    "go": "the Go original",
    "nginx_lua": "nginx + LuaJIT",
    "node_fastify": "Node.js + Fastify",
    "aiohttp_plain": "aiohttp",
    "fastapi_aiohttp": "FastAPI + aiohttp",
    "fastapi_httpx": "FastAPI + httpx",
}
CLAIMS: Final = (
    "{headers: {X-Auth-Request-User: /data/user, X-Auth-Request-Id: /data/id, X-Auth-Request-Email: /data/email, "
    "X-Auth-Request-Groups: /data/roles}}"
)
BIG_TOKENS: Final = ("limits.tokenBytes", "128KiB")  # a reply of 64 KiB makes a token of 88 KiB
MILLION: Final = 1_000_000


class Tool(Enum):
    """What makes the load."""

    WRK = "wrk"
    OPEN_LOOP = "open_loop"
    LOCUST = "locust"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Setup:
    """How a service and its remote are set up. Scenarios with the same one share the running services."""

    delay_ms: float = 0.0  # of the remote
    reply_bytes: int = REPLY_BYTES
    settings: tuple[tuple[str, str], ...] = ()  # of the subject: config keys
    logs: bool = False  # whether the service writes its access log
    processes: int = 1  # of the service: several are not pinned to one core
    has_tls: bool = False
    has_keyset: bool = False  # an EdDSA key in place of the secret
    has_unix_remote: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of them. `title` completes "requests/s of …"."""

    name: str
    title: str
    script: str = "get_token"  # of load/scripts/*.lua
    setup: Setup = Setup()
    group: str = "small"  # services of one group are up together, and are measured in the same turns
    tool: Tool = Tool.WRK
    connections: int = CONNECTIONS
    tokens: int = 1  # that differ
    idle: int = 0  # connections beside the load
    logins: float = 1.0  # share of the requests: the others are checks
    requests: int = 0  # at least so many, however long they take
    of_peers: bool = True  # whether the peers take part, too
    of_floor: bool = False  # whether the floor takes part
    is_fresh: bool = False  # whether each turn starts a service for it alone
    slices: float = 1.0  # how many seconds it needs where others take one: opening connections has to be a small part
    turns_max: int = 0  # 0: as many as the run has


def _lists() -> tuple[Scenario, ...]:
    sizes = (1, 8, 32, 64)
    return tuple(
        Scenario(
            f"list_{size}k",
            f"logins, the reply is an access list of {size} KiB",
            setup=Setup(reply_bytes=size * KIB, settings=(BIG_TOKENS,)),
            group=f"list_{size}k",
        )
        for size in sizes
    )


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("get_token", "logins, the remote answers at once", of_floor=True),
        Scenario("few_1", "logins on one connection", connections=1, of_floor=True),
        Scenario("few_8", "logins on 8 connections", connections=8, of_floor=True),
        Scenario("connections_1000", "logins on 1,000 connections", connections=1000, slices=2, of_floor=True),
        Scenario("check_token", "checks of one token", "check_token", logins=0.0, of_floor=True),
        Scenario(
            "check_token_distinct",
            "checks of 10,000 different tokens in turn",
            "check_token_distinct",
            tokens=10_000,
            logins=0.0,
        ),
        Scenario(
            # The cache has no switch: so many tokens make any cache of some thousands useless.
            "check_token_uncached",
            "checks of 40,000 different tokens in turn",
            "check_token_distinct",
            tokens=40_000,
            logins=0.0,
        ),
        Scenario(
            "connections_1000_check",
            "checks of one token on 1,000 connections",
            "check_token",
            connections=1000,
            slices=2,
            logins=0.0,
            of_floor=True,
        ),
        Scenario("mixed", "one login to 20 checks", "mixed", logins=1 / 21),
        Scenario("new_connections", "checks, each on a new connection", "new_connections", logins=0.0, of_floor=True),
        Scenario(
            "forward_auth",
            "forward authentications by one token",
            "forward_auth",
            setup=Setup(settings=(("forwardAuth", "{}"),)),
            logins=0.0,
            of_peers=False,
        ),
        Scenario(
            "forward_auth_claims",
            "forward authentications by one token, with four claims as headers",
            "forward_auth_claims",
            setup=Setup(settings=(("forwardAuth", CLAIMS),)),
            logins=0.0,
            of_peers=False,
        ),
        Scenario(
            "access_log",
            "logins with the access log on",
            setup=Setup(logs=True),
            of_peers=False,
            is_fresh=True,
        ),
        Scenario(
            "access_log_check",
            "checks of one token with the access log on",
            "check_token",
            setup=Setup(logs=True),
            logins=0.0,
            of_peers=False,
            is_fresh=True,
        ),
        Scenario("keyset_issue", "logins with an EdDSA key", setup=Setup(has_keyset=True), of_peers=False),
        Scenario(
            "keyset_check",
            "checks of one token of an EdDSA key",
            "check_token",
            setup=Setup(has_keyset=True),
            logins=0.0,
            of_peers=False,
        ),
        Scenario(
            "tls_kept",
            "checks of one token over TLS",
            "check_token",
            setup=Setup(has_tls=True),
            logins=0.0,
            of_peers=False,
        ),
        Scenario(
            "tls_new",
            "checks over TLS, each on a new connection",
            "new_connections",
            setup=Setup(has_tls=True),
            logins=0.0,
            of_peers=False,
        ),
        Scenario(
            "unix_remote", "logins, the remote is a Unix socket", setup=Setup(has_unix_remote=True), of_peers=False
        ),
        Scenario("open_loop", "logins at a fixed rate", tool=Tool.OPEN_LOOP, of_floor=True, slices=3),
        *_lists(),
        Scenario("get_token_5ms", "logins, the remote takes 5 ms", setup=Setup(delay_ms=5), group="delay_5ms"),
        Scenario("get_token_50ms", "logins, the remote takes 50 ms", setup=Setup(delay_ms=50), group="delay_50ms"),
        Scenario(
            "idle_10k",
            "checks beside 10,000 idle connections",
            "check_token",
            # The default is 10 000, and the load needs some too.
            setup=Setup(settings=(("limits.connections", "12000"),)),
            group="idle",
            idle=10_000,
            logins=0.0,
            of_floor=True,
            is_fresh=True,
            turns_max=7,
        ),
        Scenario(
            "workers_2",
            "logins, two workers",
            setup=Setup(processes=2, settings=(("workers", "2"),)),
            group="workers",
            of_peers=False,
        ),
        Scenario(
            "million",
            "a million requests, one login to 20 checks",
            "mixed",
            group="million",
            logins=1 / 21,
            requests=MILLION,
            of_peers=False,
            is_fresh=True,
            turns_max=7,
        ),
        Scenario(
            "start",
            "the first answer after a start",
            group="start",
            tool=Tool.NONE,
            logins=0.0,
            of_floor=True,
            is_fresh=True,
        ),
        Scenario(
            "locust",
            "users who log in and then check their token",
            group="locust",
            tool=Tool.LOCUST,
            of_peers=False,
            slices=5,
            turns_max=7,
        ),
    )
}
# Names for several at once.
SEVERAL: Final = {
    "few": ("few_1", "few_8"),
    "lists": ("list_1k", "list_8k", "list_32k", "list_64k"),
    "keyset": ("keyset_issue", "keyset_check"),
    "tls": ("tls_kept", "tls_new"),
}
