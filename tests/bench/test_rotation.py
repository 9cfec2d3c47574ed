"""The verifiers of rotation under load: what they keep, and what they report."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import jwt
import pytest

from bench.rotation.checker import check
from bench.rotation.findings import Findings, percentile, report
from bench.rotation.jwks_cache import JwksCache
from tests.verifying.issuer import ISSUER, Kind, LocalIssuer


class Published:
    """Stands in for a client session: answers with a JWKS, and counts who fetched it."""

    def __init__(self, issuer: LocalIssuer, max_age: str) -> None:
        self._issuer = issuer
        self.headers: Final = {"Cache-Control": f"public, {max_age}"}
        self.fetches = 0

    def get(self, _: str) -> Published:
        """Answer."""
        self.fetches += 1
        return self

    async def text(self) -> str:
        """Return the JWKS as it is now."""
        return self._issuer.jwks().decode()

    async def __aenter__(self) -> Published:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""


def test_a_jwks_is_kept_as_long_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verifier fetches when what it has is no longer fresh, never for an unknown `kid`, and says what is wrong with a token."""
    issuer = LocalIssuer("ES256")
    published: Any = Published(issuer, "max-age=2")
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    async def main() -> None:
        nonlocal now
        cache = JwksCache(published, "", "ES256", ISSUER)
        monkeypatch.setattr(jwt, "decode", lambda *_, **__: {})  # whose `aud` is another matter
        assert await cache.verify(issuer.issue(Kind.GOOD)) == ""
        issuer.rotate()
        now += 1.9
        assert await cache.verify(issuer.issue(Kind.NEXT)) == "unknown kid"
        assert published.fetches == 1
        now += 0.1
        assert await cache.verify(issuer.issue(Kind.NEXT)) == ""
        assert published.fetches == cache.fetches == 2

    asyncio.run(main())


def test_a_fault_is_in_the_report() -> None:
    """Each kind of fault is named with how often it was seen."""
    findings = Findings()
    assert [*report(findings)][-1].split() == ["faults", "0"]
    for _ in range(3):
        findings.fault("a login: status 503")
    lines = [*report(findings)]
    assert "FAULT, 3 x: a login: status 503" in lines
    assert lines[-1].split() == ["faults", "3"]


def test_nobody_answers() -> None:
    """A service that does not answer is a fault, and the run comes to its end."""
    findings = asyncio.run(check([9], "ES256", ISSUER, 10, 0.1))
    assert findings.faults["no answer: ClientConnectorError"] == 2


@pytest.mark.parametrize(("share", "found"), [(0.5, 51), (0.99, 100), (1.0, 100)])
def test_percentiles(share: float, found: float) -> None:
    """A percentile is one of the latencies."""
    assert percentile([*range(100, 0, -1)], share) == found
    assert percentile([], share) == 0
