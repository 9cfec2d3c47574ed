"""Every kind of answer that the service can give, 100 000 times each: the first tenth, then the rest, with memory watched.

Where an answer ends the connection, as many connections are opened. Where one takes a timeout, or milliseconds of CPU, there
are 10 000, and a run of the battery ends within half an hour; `--times 10` asks for 100 000 of those too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.withstand.attack import Attack, Scale
from bench.withstand.floods import CHECK, KIB, UNLIMITED, asking, check, login, unsigned_token
from bench.withstand.nonces import ISSUER, encode, good_token, token
from bench.withstand.stage import Stage
from bench.withstand.swarm import Plan

COUNT: Final = 100_000
SLOW_COUNT: Final = 10_000  # of what takes long
FIRST_SHARE: Final = 0.1
CLIENTS: Final = 32
PIPELINED: Final = 16  # requests of a client at once, where they do not wait for anybody
SECONDS: Final = 120.0  # in which they have to be answered
VARIANTS: Final = 500  # of a token, more than the service may have at hand as one object
HOST: Final = b"Host: attacker\r\n"
NEVER: Final = 2**33

Make = Callable[[bytes], list[bytes]]  # requests, by the key


def _piped(make: Make) -> Callable[[Stage, Scale], Plan]:
    def plan(stage: Stage, scale: Scale) -> Plan:
        requests = make(stage.key.encode())
        bursts = tuple(
            b"".join(requests[(n + k) % len(requests)] for k in range(PIPELINED)) for n in range(len(requests))
        )
        return Plan(
            stage.subject.port, CLIENTS, scale.time(SECONDS), again=bursts, batch=PIPELINED, answers=scale.count(COUNT)
        )

    return plan


def _single(request: bytes, count: int = COUNT, clients: int = CLIENTS) -> Callable[[Stage, Scale], Plan]:
    def plan(stage: Stage, scale: Scale) -> Plan:
        return Plan(
            stage.subject.port, clients, scale.time(SECONDS), again=(request,), batch=1, answers=scale.count(count)
        )

    return plan


def _batched(make: Make) -> Callable[[Stage, Scale], Plan]:
    """One request after the other: each waits for the remote."""

    def plan(stage: Stage, scale: Scale) -> Plan:
        requests = tuple(make(stage.key.encode()))
        return Plan(
            stage.subject.port, CLIENTS, scale.time(SECONDS), again=requests, batch=1, answers=scale.count(COUNT)
        )

    return plan


def _closing(first: bytes, count: int = COUNT, clients: int = CLIENTS) -> Callable[[Stage, Scale], Plan]:
    def plan(stage: Stage, scale: Scale) -> Plan:
        answers = scale.count(count)
        return Plan(stage.subject.port, clients, scale.time(SECONDS), first, answers=answers, opens_per_s=UNLIMITED)

    return plan


def _claims(**claims: object) -> dict[str, object]:
    now = int(time.time())
    made: dict[str, object] = {"data": {}, "exp": now + 3600, "iat": now, "iss": ISSUER, "aud": ISSUER}
    return {name: value for name, value in (made | claims).items() if value is not None}


def _signed(**claims: object) -> Make:
    return lambda key: [check(token(key, _claims(**claims, jti=str(number)))) for number in range(VARIANTS)]


def _renewals(**claims: object) -> Make:
    """Tokens of one session each, to be renewed."""

    def make(key: bytes) -> list[bytes]:
        begun = int(time.time())
        tokens = (token(key, _claims(auth_time=begun, sid=f"session-{number}", **claims)) for number in range(VARIANTS))
        return [_bearer("POST /refreshToken HTTP/1.1", one) for one in tokens]

    return make


def _bearer(line: str, token: str) -> bytes:
    return _request(line, f"Authorization: Bearer {token}".encode())


def _names(key: bytes) -> list[bytes]:
    """Wrong passwords of many names, and of one name more often than `throttle` takes them."""
    names = [f"name-{number}" if number % 2 else "everybody" for number in range(VARIANTS * 4)]
    return [login(b'{"do":"refused","user":"%b"}' % name.encode()) for name in names]


def _headed(header: dict[str, object]) -> Make:
    return lambda key: [check(token(key, _claims(jti=str(number)), header)) for number in range(VARIANTS)]


def _good(key: bytes) -> list[bytes]:
    return [check(good_token(key, "nonce-of-a-flood"))]


def _many_good(key: bytes) -> list[bytes]:
    return [check(good_token(key, f"nonce-of-a-flood-{number}")) for number in range(VARIANTS * 4)]


def _tampered(key: bytes) -> list[bytes]:
    return [check(good_token(key + b"!", f"nonce-{number}")) for number in range(VARIANTS)]


def _always(*requests: bytes) -> Make:
    return lambda _key: list(requests)


def _line(line: str, *fields: bytes) -> bytes:
    return b"".join((line.encode(), b"\r\n", *(field + b"\r\n" for field in fields), b"\r\n"))


def _kept(
    name: str, status: int, make: Make, settings: Mapping[str, Any] | None = None, *, quick: bool = False
) -> Attack:
    return Attack(
        f"answer: {name}",
        f"{COUNT:,} answers with {status}",
        _piped(make),
        first_share=FIRST_SHARE,
        expected=frozenset((status,)),
        settings=settings or {},
        is_quick=quick,
    )


def _ended(
    name: str, status: int, first: bytes, settings: Mapping[str, Any] | None = None, *, quick: bool = False
) -> Attack:
    return Attack(
        f"answer: {name}",
        f"{COUNT:,} connections answered with {status} and closed",
        _closing(first),
        first_share=FIRST_SHARE,
        expected=frozenset((status,)),
        settings=settings or {},
        is_quick=quick,
    )


def _asked(name: str, expected: frozenset[int], make: Make, settings: Mapping[str, Any]) -> Attack:
    return Attack(
        f"answer: {name}",
        f"{COUNT:,} answers with {' or '.join(map(str, sorted(expected)))}",
        _batched(make),
        first_share=FIRST_SHARE,
        expected=expected,
        settings=settings,
    )


def _failed(what: str, status: int = 500, count: int = COUNT, *, quick: bool = False) -> Attack:
    return Attack(
        f"remote: {what.replace('_', ' ')}",
        f"{count:,} logins with this reply of the remote",
        _single(asking(what), count),
        first_share=FIRST_SHARE,
        expected=frozenset((status,)),
        is_quick=quick,
    )


def _request(line: str, *fields: bytes) -> bytes:
    return _line(line, HOST.rstrip(), *fields)


POST: Final = "POST /getToken HTTP/1.1"
GET: Final = "GET /checkToken HTTP/1.1"
ANSWERS: Final = (
    _kept("a token seen before", 200, _good, quick=True),
    _kept("new tokens", 200, _many_good),
    _kept("no token", 401, _always(CHECK), quick=True),
    _kept(
        "no token, with a body",
        401,
        _always(_request("POST /checkToken HTTP/1.1", b"Content-Length: 1000") + b"x" * 1000),
    ),
    _kept("two segments", 401, _always(check("a.b"))),
    _kept("malformed", 401, _always(*(check(f"!{number}.b.c") for number in range(VARIANTS)))),
    _kept("header is no object", 401, lambda key: [check(f"{encode(b'[]').decode()}.e30.{encode(key).decode()}")]),
    _kept("crit", 401, _headed({"alg": "HS256", "crit": ["exp"]})),
    _kept("alg none", 401, _headed({"alg": "none"})),
    _kept("signature", 401, _tampered, quick=True),
    _kept("long and unsigned", 401, _always(check(unsigned_token(4 * KIB)))),
    _kept("claims are a list", 401, lambda key: [check(token(key, [])), check(token(key, [1]))]),
    _kept("claims too deep", 401, lambda key: [check(token(key, {"a": _nested(400)}))]),
    _kept("no expiry", 401, _signed(exp=None)),
    _kept("expired", 401, _signed(exp=1)),
    _kept("not valid yet", 401, _signed(nbf=NEVER)),
    _kept("issuer", 401, _signed(iss="other"), {"verify": {"iss": ISSUER}}),
    _kept("audience", 401, _signed(aud="other"), {"verify": {"aud": [ISSUER]}}),
    _kept(
        "forward auth",
        200,
        lambda key: [
            _bearer("PUT /forwardAuth/any HTTP/1.1", good_token(key, f"nonce-of-a-flood-{n}")) for n in range(VARIANTS)
        ],
        {"forwardAuth": {"headers": {"X-User": "/data/nonce"}}},
        quick=True,
    ),
    _kept("forward auth, none", 401, _always(_request("GET /forwardAuth HTTP/1.1")), {"forwardAuth": {}}),
    _kept(
        "forward auth, denied",
        403,
        lambda key: [_bearer("GET /forwardAuth HTTP/1.1", good_token(key, "nonce-of-a-flood"))],
        {"forwardAuth": {"require": {"/data/role": "admin"}}},
    ),
    _kept("a renewed token", 200, _renewals(), {"refresh": {}}, quick=True),
    _kept("an ended session", 401, _renewals(iat=1, exp=2), {"refresh": {}}),
    _asked("throttle", frozenset((500, 429)), _names, {"throttle": {"field": "/user"}}),
    _kept("unknown path", 404, _always(*(_request(f"GET /{number} HTTP/1.1") for number in range(VARIANTS)))),
    _kept("method not allowed", 405, _always(_request("PUT /getToken HTTP/1.1"))),
    _kept("body is not JSON", 400, _always(login(b"{"), login(b"hello"), login(b'"\xff"'))),
    _ended("no Host", 400, _line(GET), quick=True),
    _ended("two lengths", 400, _request(POST, b"Content-Length: 1", b"Content-Length: 2")),
    _ended("length and coding", 400, _request(POST, b"Content-Length: 1", b"Transfer-Encoding: chunked")),
    _ended("TLS to a plain port", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 600),
    _ended("body too long", 413, _request(POST, b"Content-Length: 99999999")),
    _ended("chunks too long", 413, _request(POST, b"Transfer-Encoding: chunked") + b"5000\r\n" + b"x" * 20 * KIB),
    _ended("target too long", 414, b"GET /" + b"x" * 17 * KIB),
    _ended("too many fields", 431, _request(GET, *(b"X-%d: y" % number for number in range(101)))),
    _ended("head too long", 431, _request(GET, b"X-Padding: " + b"x" * 8 * KIB), {"limits": {"headBytes": "8KiB"}}),
    _ended("unknown expectation", 417, _request(GET, b"Expect: tea")),
    _ended("unknown coding", 501, _request(POST, b"Transfer-Encoding: br")),
    _ended("HTTP/2", 505, _request("GET / HTTP/2.0")),
    Attack(
        "answer: head timeout",
        f"{SLOW_COUNT:,} heads that stop halfway, 408",
        _closing(CHECK[:-2], SLOW_COUNT, 2000),
        first_share=FIRST_SHARE,
        expected=frozenset((408,)),
        settings={"timeouts": {"head": "1s"}},
    ),
    Attack(
        "answer: body timeout",
        f"{SLOW_COUNT:,} bodies that stop halfway, 408",
        _closing(login(b"{}")[:-1], SLOW_COUNT, 2000),
        first_share=FIRST_SHARE,
        expected=frozenset((408,)),
        settings={"timeouts": {"body": "1s"}},
    ),
    Attack(
        "answer: too many wait",
        f"{SLOW_COUNT:,} logins while the remote stalls and the queue is full, 503",
        _single(asking("stall"), SLOW_COUNT, 200),
        first_share=FIRST_SHARE,
        expected=frozenset((503, 500)),
        lanes="check",
        settings={"limits": {"remoteConnections": 1, "waiting": 1}},
    ),
    _failed("ok", 200, quick=True),
    _failed("large", 200),
    *(_failed(what) for what in ("refused", "failing", "elsewhere", "not_json", "list", "too_deep", "encoded")),
    *(_failed(what) for what in ("truncated", "garbage", "empty", "reset")),
    _failed("many_fields", count=SLOW_COUNT),
    *(_failed(what, count=SLOW_COUNT) for what in ("too_large", "token_too_long", "dense", "digits", "long_number")),
    _failed("interim", 200),
)


def _nested(levels: int) -> object:
    made: object = []
    for _ in range(levels):
        made = [made]
    return made
