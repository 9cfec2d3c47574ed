"""What large replies and large tokens take, step by step. Run by `scripts/bench micro`, as test_micro.py.

The replies are access lists: nested objects, numbers, names in UTF-8, and nothing repeated to fill them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.compact import NESTING_MAX, compact_object, read_members
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.plain import plain_members
from txtoken.service.tokens.segments import decode_segment, encode_segment
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, IssueSettings

SECRET: Final = b"a-key-for-benches-0123456789-abcdefghijk"
KINDS: Final = ("document", "project", "data set", "invoice", "ticket")
NAMES: Final = ("Zoë Müller", "Łukasz Żak", "Ada Lovelace", "小林さくら", "Иван Петров")
NOTHING: Final[dict[bytes, str]] = {}


def entry(number: int) -> dict[str, Any]:
    """Return one entry of an access list."""
    return {
        "id": 100_000 + number * 37,
        "kind": KINDS[number % 5],
        "path": f"/org/{number % 7}/unit-{number % 13}/item-{number}",
        "owner": {"id": number * 11 % 977, "name": NAMES[number % 5]},
        "rights": ["read", "write", "share", "delete"][: 1 + number % 4],
        "quota": {"used": round(number * 1.37, 2), "max": 1000, "exceeded": number % 9 == 0},
        "until": None if number % 3 else 1_790_000_000 + number * 3600,
    }


def access_list(size: int) -> bytes:
    """Return a reply of at least so many bytes."""
    count = size // 230
    while True:
        reply = {"id": 4211, "login": "ada", "roles": ["admin", "author"], "access": [entry(n) for n in range(count)]}
        text = orjson.dumps(reply)
        if len(text) >= size:
            return text
        count += 1


REPLIES: Final = {
    "130B": b'{"id":4211,"login":"ada","name":"Ada Lovelace","roles":["admin","author"],"org":{"id":7,"level":3.5}}',
    **{f"{kib}KiB": access_list(kib * 1024) for kib in (1, 8, 64)},
}
sizes: Final = pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())


@sizes
def test_plain_object(benchmark: BenchmarkFixture, reply: bytes) -> None:
    """A reply that can go into a token as it stands is recognised."""
    assert benchmark(lambda: plain_members(reply, NESTING_MAX, {}) is not None)


@sizes
def test_parsed_and_written(benchmark: BenchmarkFixture, reply: bytes) -> None:
    """What is done with any other reply, and in the interpreted build."""
    assert benchmark(lambda: compact_object(reply))


@sizes
@pytest.mark.parametrize(
    "work", [encode_segment, lambda reply: decode_segment(encode_segment(reply))], ids=["", "and back"]
)
def test_segment(benchmark: BenchmarkFixture, work: Callable[[bytes], object], reply: bytes) -> None:
    """A reply as base64url, and back."""
    assert benchmark(lambda: work(reply))


@sizes
def test_issue(benchmark: BenchmarkFixture, reply: bytes) -> None:
    """A token, from the remote's reply on."""
    issuer = TokenIssuer(KeyRing([HmacKey(SECRET)]), IssueSettings(3600))
    assert benchmark(lambda: issuer.issue(read_members(reply, NESTING_MAX, NOTHING)[1], 1_700_000_000))


@sizes
def test_check(benchmark: BenchmarkFixture, reply: bytes) -> None:
    """A token that was never seen."""
    ring, now = KeyRing([HmacKey(SECRET)]), int(time.time())
    token = TokenIssuer(ring, IssueSettings(10**6)).issue(reply, now)
    verifier = TokenVerifier(ring, CheckSettings("/checkToken", token_bytes_max=128 * 1024), Memory(0))
    assert benchmark(lambda: verifier.verify(token, now))
