"""The memory of tokens that were found valid: what it forgets, and how large it becomes."""

from __future__ import annotations

import pytest

from tests.service.tokens.plain import GOOD, KEY, ring, sealed, verifier
from tests.service.tokens.signing import NOW
from txtoken.errors import TokenError
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.settings import IssueSettings


def test_a_remembered_token_still_expires() -> None:
    """Having been found valid once does not outlive `exp`."""
    judge = verifier(cache=10)
    for now in (NOW, NOW + 1, NOW + 59):
        judge.verify(GOOD, now)
    assert GOOD in judge.memory._young
    with pytest.raises(TokenError) as caught:
        judge.verify(GOOD, NOW + 60)
    assert caught.value.code == "expired"


def test_a_remembered_token_is_not_valid_before_its_time() -> None:
    """A clock that is set back makes a remembered token as early as any other."""
    judge = verifier(cache=10)
    token = sealed({"exp": NOW + 60, "nbf": NOW})
    judge.verify(token, NOW)
    judge.verify(token, NOW)
    assert token in judge.memory._young
    with pytest.raises(TokenError) as caught:
        judge.verify(token, NOW - 1)
    assert caught.value.code == "not_yet"


def test_a_wrong_token_is_not_remembered() -> None:
    """A token that was refused once is judged anew, and becomes valid when its time comes."""
    judge = verifier(cache=10)
    token = sealed({"exp": NOW + 60, "nbf": NOW + 1})
    with pytest.raises(TokenError):
        judge.verify(token, NOW)
    assert judge.verify(token, NOW + 1).claims


def test_the_memory_is_bounded() -> None:
    """However many tokens are checked, at most twice `cache_entries` are remembered, and all are judged right."""
    judge = verifier(cache=5)
    tokens = [sealed({"exp": NOW + 60, "n": n}) for n in range(50)]
    for token in tokens:
        for _ in range(3):
            assert judge.verify(token, NOW).claims
    for token in tokens:
        assert judge.verify(token, NOW).claims
    assert 5 <= len(judge.memory._young) + len(judge.memory._old) <= 10
    assert len(judge.memory._seen_once) <= 10


def test_tokens_that_come_once_take_no_place() -> None:
    """A token is remembered from its second check on."""
    judge = verifier(cache=5)
    judge.verify(GOOD, NOW)
    assert not judge.memory._young
    second = judge.verify(GOOD, NOW)
    assert judge.verify(GOOD, NOW) is second


def test_a_huge_token_is_not_remembered() -> None:
    """The memory's size in bytes is bounded too."""
    judge = verifier(cache=5)
    for _ in range(3):
        assert judge.verify(sealed({"exp": NOW + 60, "data": "x" * 3000}), NOW).claims
    assert not judge.memory._young


def test_the_memory_of_tokens_is_bounded_in_bytes() -> None:
    """However long its tokens are, each generation remembers not much more than 8 MiB of them."""
    judge = verifier(cache=100_000)
    issuer = TokenIssuer(ring(KEY), IssueSettings(60))
    for number in range(6_000):
        token = issuer.issue(b'{"n":%d,"x":"%b"}' % (number, b"x" * 1_400), NOW)
        judge.verify(token, NOW)
        judge.verify(token, NOW)
    held = [*judge.memory._young.items(), *judge.memory._old.items()]
    # An answer holds both once more.
    assert 8 << 20 < 2 * sum(len(token) + len(verdict.claims) for token, verdict in held) < 17 << 20
