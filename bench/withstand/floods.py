"""Clients that hold, drip, drop, never read or never stop. Knows requests; who sends them is the swarm's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.withstand.attack import Attack, Scale
from bench.withstand.nonces import encode, good_token
from bench.withstand.stage import Stage
from bench.withstand.swarm import Plan

KIB: Final = 1024
MANY: Final = 3000
GREEDY: Final = 3900  # of the 4 000 connections of `deploy/`
HEAD_BYTES: Final = 63 * KIB  # one less than headBytes
HEAD_S: Final = 14.0  # longer than timeouts.head: what is over it is answered with 408
UNLIMITED: Final = 1e9
CHECK: Final = b"GET /checkToken HTTP/1.1\r\nHost: attacker\r\n\r\n"  # the cheapest answer: 401


def check(token: str) -> bytes:
    """Ask for a check of this token."""
    return f"GET /checkToken HTTP/1.1\r\nHost: attacker\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def login(body: bytes) -> bytes:
    """Log in with this body."""
    head = b"POST /getToken HTTP/1.1\r\nHost: attacker\r\nContent-Type: application/json\r\n"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def asking(what: str) -> bytes:
    """Log in and have the remote do something."""
    return login(b'{"do":"%b"}' % what.encode())


def endless_head(size: int = HEAD_BYTES) -> bytes:
    """Make a head of so many bytes without an end."""
    line = b"X-Padding: " + b"x" * 1000 + b"\r\n"
    head = b"GET /checkToken HTTP/1.1\r\nHost: attacker\r\n"
    return (head + line * (size // len(line) + 1))[:size]


def unfinished_body(limit: int) -> bytes:
    """Make a login that announces the longest body and stops one byte before its end."""
    return login(b'{"a":"%b"}' % (b"x" * (limit - 8)))[:-1]


def body_limit(stage: Stage) -> int:
    """How long bodies may be."""
    return int(str(stage.subject.settings["limits"]["bodyBytes"]).removesuffix("KiB")) * KIB


def unsigned_token(size: int) -> str:
    """Make a token of another issuer: long runs of digits, which are expensive to read."""
    payload = (b"9" * 299 + b"x") * (size * 3 // 4 // 300 - 1)
    return b".".join(encode(part) for part in (b'{"alg":"HS256"}', payload, b"s" * 32)).decode()


def _drip(stage: Stage, scale: Scale) -> Plan:
    seconds = max(HEAD_S, scale.seconds) if scale.share == 1 else scale.seconds
    return Plan(stage.subject.port, scale.count(MANY), seconds, endless_head(200), drip_s=min(3.0, seconds / 2))


def _unread(stage: Stage, scale: Scale) -> Plan:
    request = check(good_token(stage.key.encode(), "nonce-of-a-flood")) * 64
    return Plan(stage.subject.port, scale.count(MANY), scale.seconds, again=(request,), reads=False)


def _idle(stage: Stage, scale: Scale) -> Plan:
    return Plan(stage.subject.port, scale.count(MANY), scale.seconds, CHECK)


def _silent(stage: Stage, scale: Scale) -> Plan:
    """One more than the limit, so that one connection has to be closed."""
    return Plan(stage.subject.port, stage.subject.settings["limits"]["connections"] + 200, scale.seconds)


def _silent_admin(stage: Stage, scale: Scale) -> Plan:
    return Plan(stage.subject.admin_port, 200, scale.seconds)


def _churn(first: bytes) -> Callable[[Stage, Scale], Plan]:
    def plan(stage: Stage, scale: Scale) -> Plan:
        opens = scale.count(50_000)
        return Plan(stage.subject.port, 200, 120.0, first, drops=True, opens=opens, opens_per_s=UNLIMITED)

    return plan


def _heads(stage: Stage, scale: Scale) -> Plan:
    return Plan(stage.subject.port, scale.count(GREEDY), scale.seconds, endless_head())


def _bodies(stage: Stage, scale: Scale) -> Plan:
    return Plan(stage.subject.port, scale.count(GREEDY), scale.seconds, unfinished_body(body_limit(stage)))


def _chunks(stage: Stage, scale: Scale) -> Plan:
    head = b"POST /getToken HTTP/1.1\r\nHost: attacker\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Plan(stage.subject.port, scale.count(GREEDY), scale.seconds, head + b"1\r\n[\r\n" * (body_limit(stage) - 1))


def _behind(stage: Stage, scale: Scale) -> Plan:
    first = asking("stall") + CHECK * (HEAD_BYTES // len(CHECK))
    return Plan(stage.subject.port, scale.count(GREEDY), scale.seconds, first, reads=False)


def _pipelining(clients: int, requests: tuple[bytes, ...]) -> Callable[[Stage, Scale], Plan]:
    def plan(stage: Stage, scale: Scale) -> Plan:
        return Plan(stage.subject.port, clients, scale.seconds, again=requests)

    return plan


def _unsigned(stage: Stage, scale: Scale) -> Plan:
    requests = tuple(check(unsigned_token(size * KIB)) for size in (30, 31))
    return Plan(stage.subject.port, 16, scale.seconds, again=requests, batch=1)


def _dense(stage: Stage, scale: Scale) -> Plan:
    size = 1000 * KIB
    bodies = [
        b'{"a":[%b[]]}' % (b"[]," * (size // 3)),
        b"[%b{}]" % (b'{"k":{}},' * (size // 9)),
        b"[%b0]" % (b"1," * (size // 2)),
    ]
    return Plan(stage.subject.port, 16, scale.seconds, again=tuple(login(body) for body in bodies), batch=1)


FLOODS: Final = (
    Attack("drip", "3,000 connections that send one byte every three seconds", _drip, is_quick=True),
    Attack("unread", "3,000 connections that pipeline checks and never read an answer", _unread, is_quick=True),
    Attack("idle", "3,000 connections that send one request and stay open", _idle, is_quick=True),
    Attack("silent", "200 connections more than the limit, which send nothing", _silent),
    Attack("silent admin", "200 connections to the admin port, which send nothing", _silent_admin),
    Attack("churn", "50,000 connections opened and reset", _churn(b""), first_share=0.5, is_quick=True),
    Attack(
        "churn half", "50,000 connections opened and reset in the middle of a head", _churn(CHECK[:-9]), first_share=0.5
    ),
    Attack(
        "churn login",
        "50,000 clients that log in and disconnect before the answer",
        _churn(asking("ok")),
        first_share=0.5,
    ),
    Attack("heads", "3,900 heads of 63 KiB that never end", _heads, is_quick=True),
    Attack("bodies", "3,900 bodies that stop one byte before their end", _bodies),
    Attack("chunks", "3,900 bodies of the smallest chunks that never end", _chunks),
    Attack(
        "behind",
        "3,900 logins that stall, 63 KiB of requests after each, no answer is read",
        _behind,
        lanes="check",
        is_quick=True,
    ),
    Attack(
        "pipeline 300",
        "300 clients that pipeline checks without a pause",
        _pipelining(300, (CHECK * 650,)),
        is_quick=True,
    ),
    Attack("pipeline 3000", "3,000 clients that pipeline checks without a pause", _pipelining(3000, (CHECK * 650,))),
    Attack(
        "pipeline logins", "100 clients that pipeline logins without a pause", _pipelining(100, (asking("ok") * 100,))
    ),
    Attack(
        "unsigned tokens",
        "16 clients with unsigned tokens of 30 KiB",
        _unsigned,
        expected=frozenset((401,)),
        is_quick=True,
    ),
    Attack(
        "dense bodies",
        "16 clients with logins of 1 MiB of the densest JSON",
        _dense,
        settings={"limits": {"bodyBytes": "1MiB"}},
    ),
)
