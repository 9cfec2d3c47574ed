"""What each trick of the service takes, beside what it stands for. Run by `scripts/bench micro`; in process, without a kernel.

The figures in comments and in docs/explanation/design.md come from here. Knows nothing of load: see bench/scenarios for that.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import jwt
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.configuring import revealed
from tests.exchange import LOGIN, REPLY_BODY, House, check_request
from txtoken.demo.configuration import demo_config
from txtoken.http1.heads import KnownHead, KnownHeads
from txtoken.http1.messages import Response, render, response_head
from txtoken.http1.parser import RequestParser
from txtoken.process.loop import new_event_loop
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.throttle.counts import LoginCounts
from txtoken.service.throttle.guard import LoginThrottle
from txtoken.service.throttle.identities import blake2b_key, siphash_key
from txtoken.service.throttle.table import Table
from txtoken.service.tokens.compact import compact_object
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, Config, IssueSettings, Limits, LogSettings, ThrottleSettings

SECRET: Final = b"a-key-for-benches-0123456789-abcdefghijk"
DISTINCT: Final = 5000


@pytest.fixture(scope="module")
def config() -> Config:
    """The service as it is configured without a word, without access log."""
    return demo_config(0, "http://127.0.0.1:9/login", LogSettings(access=False))


@pytest.fixture
def house(config: Config) -> Iterator[House]:
    """The service between two transports that are lists."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:

        async def build() -> House:
            return House(config)

        built = runner.run(build())
        yield built
        runner.run(built.close())


def tokens(secret: bytes) -> list[bytes]:
    """Make tokens that all differ."""
    issuer, now = TokenIssuer(KeyRing([HmacKey(secret)]), IssueSettings(10**6)), int(time.time())
    return [issuer.issue(b'{"n":%d,"reply":%b}' % (number, REPLY_BODY), now) for number in range(DISTINCT)]


def in_turn(values: list[Any], work: Callable[[Any], object]) -> Callable[[], object]:
    """Do the work with one value after the other."""
    turn = itertools.cycle(values)
    return lambda: work(next(turn))


# Signing


def test_sign_ours(benchmark: BenchmarkFixture) -> None:
    """A token, from the remote's reply on."""
    issuer = TokenIssuer(KeyRing([HmacKey(SECRET)]), IssueSettings(3600))
    assert benchmark(lambda: issuer.issue(compact_object(REPLY_BODY), 1_700_000_000))


def test_sign_pyjwt(benchmark: BenchmarkFixture) -> None:
    """The same by PyJWT."""
    assert benchmark(lambda: jwt.encode({"data": orjson.loads(REPLY_BODY), "exp": 1_700_003_600}, SECRET, "HS256"))


def test_hmac_ours(benchmark: BenchmarkFixture) -> None:
    """A signature with halves that were hashed beforehand."""
    key = HmacKey(SECRET)
    assert benchmark(lambda: key.sign(b"x" * 250))


def test_hmac_digest(benchmark: BenchmarkFixture) -> None:
    """The same in one call of the standard library."""
    assert benchmark(lambda: hmac.digest(SECRET, b"x" * 250, "sha256"))


# Verifying


@pytest.mark.parametrize("cache_entries", [0, 4096], ids=["judged", "remembered"])
def test_verify_ours(benchmark: BenchmarkFixture, cache_entries: int) -> None:
    """A valid token, judged anew or found among those that were."""
    verifier = TokenVerifier(KeyRing([HmacKey(SECRET)]), CheckSettings("/checkToken"), Memory(cache_entries))
    token, now = tokens(SECRET)[0], time.time()
    assert benchmark(lambda: verifier.verify(token, now))


def test_verify_pyjwt(benchmark: BenchmarkFixture) -> None:
    """The same by PyJWT."""
    token = tokens(SECRET)[0]
    assert benchmark(lambda: jwt.decode(token, SECRET, ["HS256"]))


# Reading requests


def expected_behind(request: bytes) -> KnownHead:
    """Return the head that a connection expects when it has sent this request."""
    parser = RequestParser(Limits(), KnownHeads())
    parser.feed(request)
    parser.next_request()
    known = parser.expected
    parser.close()
    assert known is not None
    return known


def test_parse_known_head(benchmark: BenchmarkFixture) -> None:
    """A request whose head is the last one's."""
    known = expected_behind(LOGIN)
    assert benchmark(lambda: known.read(LOGIN))


def test_parse_another_token(benchmark: BenchmarkFixture) -> None:
    """A request whose head differs from the last one's by its token alone."""
    requests = [check_request(token) for token in tokens(SECRET)]
    assert benchmark(in_turn(requests, expected_behind(requests[0]).read))


def test_parse_another_head(benchmark: BenchmarkFixture) -> None:
    """A request whose head has to be read from its first byte to its last."""
    parser = RequestParser(Limits(), KnownHeads())
    heads = [LOGIN.replace(b"Content-Type", b"X-Request-Id: %d\r\nContent-Type" % number) for number in range(DISTINCT)]
    assert benchmark(in_turn(heads, parser.feed))
    parser.close()


# Writing responses


def test_render(benchmark: BenchmarkFixture) -> None:
    """A response of a token's size."""
    response = Response(200, response_head(200, b"Cache-Control: no-store"), b"x" * 300)
    assert benchmark(lambda: render(response, b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"))


# The throttle


def login_throttle() -> LoginThrottle:
    """A throttle by the default rules."""
    return LoginThrottle(ThrottleSettings("/user"), Table(), LoginCounts(), lambda peer, _: peer)


LOGIN_BODY: Final = b'{"user":"ada","password":"engine"}'


def test_throttle_success(benchmark: BenchmarkFixture) -> None:
    """What the throttle adds to a login that succeeds: the name found and counted, and taken back."""
    door, document = login_throttle(), orjson.loads(LOGIN_BODY)
    benchmark(lambda: door.throttle.succeed(door.begin("192.0.2.7", {}, LOGIN_BODY, document)))


def test_throttle_distinct(benchmark: BenchmarkFixture) -> None:
    """The same for 5 000 people at 500 addresses, in a table in which 100 000 entries stand."""
    door = login_throttle()
    for number in range(50_000):
        body = orjson.dumps({"user": f"user{number}"})
        door.throttle.fail(door.begin(f"10.{number & 255}.{number >> 8}.1", {}, body, orjson.loads(body)))
    bodies = [LOGIN_BODY.replace(b"ada", b"somebody%d" % number) for number in range(DISTINCT)]
    logins = [(f"192.0.2.{n % 250}", body, orjson.loads(body)) for n, body in enumerate(bodies)]
    benchmark(in_turn(logins, lambda login: door.throttle.succeed(door.begin(login[0], {}, login[1], login[2]))))


def test_throttle_refusal(benchmark: BenchmarkFixture) -> None:
    """An attempt of a name that is locked."""
    door, document = login_throttle(), orjson.loads(LOGIN_BODY)
    for _ in range(10):
        door.throttle.fail(door.begin("192.0.2.7", {}, LOGIN_BODY, document))
    assert benchmark(lambda: door.begin("192.0.2.7", {}, LOGIN_BODY, document)).wait_s > 0


def test_throttle_duplicates(benchmark: BenchmarkFixture) -> None:
    """A login whose name has to be looked for among duplicate members."""
    door, body = login_throttle(), LOGIN_BODY.replace(b"engine", b"\\u00e9")
    benchmark(lambda: door.throttle.succeed(door.begin("192.0.2.7", {}, body, orjson.loads(body))))


@pytest.mark.parametrize("make", [siphash_key, blake2b_key])
def test_throttle_hash(benchmark: BenchmarkFixture, make: Callable[[bytes], int]) -> None:
    """The key of an entry, by CPython's hash and by blake2b."""
    benchmark(lambda: make(b"0123456789abcdefN\4\xc0\0\2ada@example.org"))


# Whole exchanges


def test_whole_get_token(benchmark: BenchmarkFixture, house: House) -> None:
    """A login, from the client's bytes to the answer, on warm connections."""
    benchmark(house.log_in)
    assert house.to_client.written[-1].startswith(b"HTTP/1.1 200")


def test_whole_get_token_throttled(benchmark: BenchmarkFixture, config: Config) -> None:
    """The same with a throttle."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:

        async def build() -> House:
            return House(replace(config, throttle=ThrottleSettings("/user")))

        built = runner.run(build())
        benchmark(built.log_in)
        assert built.to_client.written[-1].startswith(b"HTTP/1.1 200")
        runner.run(built.close())


def test_whole_check_remembered(benchmark: BenchmarkFixture, house: House, config: Config) -> None:
    """A check of a token that was checked before."""
    request = check_request(tokens(revealed(config.keys.secret))[0])
    benchmark(lambda: house.check(request))
    assert house.to_client.written[-1].startswith(b"HTTP/1.1 200")


def test_whole_check_distinct(benchmark: BenchmarkFixture, house: House, config: Config) -> None:
    """A check of a token that was never seen."""
    benchmark(in_turn([check_request(token) for token in tokens(revealed(config.keys.secret))], house.check))
    assert house.to_client.written[-1].startswith(b"HTTP/1.1 200")
