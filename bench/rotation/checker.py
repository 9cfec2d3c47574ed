"""The verifiers: each token of one service is checked at once by all, once more just before its end, and after it.

A verifier is another service, or a JWKS that is kept for as long as it may be. Logs in at a fixed rate and does not wait.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import jwt

from bench.load.routes import CONTRACT
from bench.load.stub_remote import LOOPBACK
from bench.rotation.findings import Findings
from bench.rotation.jwks_cache import JWKS_ROUTE, JwksCache

LOGINS_PER_S: Final = 20  # at each service
ANSWER_S: Final = 10.0
BEFORE_END_S: Final = 2.0  # for a busy machine: what is sent then arrives before the end
AFTER_END_S: Final = 0.5
TURN_S: Final = 0.25  # after the end of a period: until then one service may have other keys than the next
COMPARE_S: Final = 0.5
REFUSALS: Final = ("Token is expired", "signing key is unknown")


class Checker:
    """Runs until each of its tokens has expired. `ports` are those of the services."""

    def __init__(
        self, session: aiohttp.ClientSession, ports: Sequence[int], algorithm: str, issuer: str, every_s: int
    ) -> None:
        self._session = session
        self._urls = [f"http://{LOOPBACK}:{port}" for port in ports]
        self._caches = [JwksCache(session, url, algorithm, issuer) for url in self._urls]
        self._every_s = every_s
        self._tasks: set[asyncio.Task[None]] = set()
        self.findings = Findings()

    async def run(self, seconds: float) -> None:
        """Log in for so long, and follow each token to its expiry."""
        end = time.monotonic() + seconds
        comparing = asyncio.create_task(self._compare_for_ever())
        due = time.monotonic()
        while due < end:
            await asyncio.sleep(due - time.monotonic())
            for url in self._urls:
                task = asyncio.create_task(self._follow(url))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            due = max(due + 1 / LOGINS_PER_S, time.monotonic())
        while self._tasks:
            await asyncio.wait(self._tasks)
        comparing.cancel()
        await asyncio.gather(comparing, return_exceptions=True)
        findings = self.findings
        findings.counts["fetches of the JWKS by verifiers"] = sum(cache.fetches for cache in self._caches)
        findings.counts["max-age of the JWKS, s"] = max(cache.max_age_s for cache in self._caches)

    async def _follow(self, url: str) -> None:
        """Log in at one service, and have the token checked until it has expired."""
        try:
            token = await self._log_in(url)
            if token is None:
                return
            self.findings.kids.add(jwt.get_unverified_header(token)["kid"])
            expires = jwt.decode(token, options={"verify_signature": False})["exp"]
            await self._check_everywhere(token, "at once")
            await asyncio.sleep(expires - BEFORE_END_S - time.time())
            await self._check_everywhere(token, "before its end")
            await asyncio.sleep(expires + AFTER_END_S - time.time())
            await self._check_refused(token)
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError, KeyError) as error:
            self.findings.fault(f"no answer: {type(error).__name__}")

    async def _log_in(self, url: str) -> str | None:
        begun = time.perf_counter()
        status, answer = await self._ask("POST", url + CONTRACT.login_path, body=CONTRACT.login_body)
        self.findings.latencies_ms["login"].append((time.perf_counter() - begun) * 1000)
        self.findings.counts["logins"] += 1
        if status != 200:
            self.findings.fault(f"a login: status {status}, {answer.get('error')}")
            return None
        return str(answer["token"])

    async def _check_everywhere(self, token: str, when: str) -> None:
        for url in self._urls:
            begun = time.perf_counter()
            status, answer = await self._ask("GET", url + CONTRACT.check_path, token=token)
            self.findings.latencies_ms["check"].append((time.perf_counter() - begun) * 1000)
            self.findings.counts[f"checks of good tokens by a service, {when}"] += 1
            if status != 200:
                self.findings.fault(f"a good token, {when}: status {status}, {answer.get('error')}")
        for cache in self._caches:
            wrong = await cache.verify(token)
            self.findings.counts[f"checks of good tokens by a JWKS, {when}"] += 1
            self.findings.unknown_kids += wrong == "unknown kid"
            if wrong:
                self.findings.fault(f"a good token, {when}, by a JWKS: {wrong}")

    async def _check_refused(self, token: str) -> None:
        for url in self._urls:
            status, answer = await self._ask("GET", url + CONTRACT.check_path, token=token)
            self.findings.counts["checks of tokens that have ended"] += 1
            if status != 401 or answer.get("error") not in REFUSALS:
                self.findings.fault(f"an expired token: status {status}, {answer.get('error')}")

    async def _compare_for_ever(self) -> None:
        """Check that all services publish the same bytes, from every worker."""
        while True:
            await asyncio.sleep(COMPARE_S)
            begun = time.time()
            try:
                found = {await self._bytes_of(url + JWKS_ROUTE) for url in (*self._urls, *self._urls)}
            except (OSError, TimeoutError, aiohttp.ClientError) as error:
                self.findings.fault(f"no JWKS: {type(error).__name__}")
                continue
            if begun % self._every_s < TURN_S or int(begun // self._every_s) != int(time.time() // self._every_s):
                continue
            self.findings.counts["comparisons of the JWKS"] += 1
            if len(found) != 1:
                self.findings.fault("services publish different keys")

    async def _bytes_of(self, url: str) -> bytes:
        async with self._session.get(url) as response:
            return await response.read()

    async def _ask(
        self, method: str, url: str, *, token: str | None = None, body: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/json"} if token is None else {"Authorization": f"Bearer {token}"}
        async with self._session.request(method, url, data=body, headers=headers) as response:
            return response.status, json.loads(await response.read())


async def check(ports: Sequence[int], algorithm: str, issuer: str, every_s: int, seconds: float) -> Findings:
    """Verify what these services sign for so many seconds."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_S)) as session:
        checker = Checker(session, ports, algorithm, issuer, every_s)
        await checker.run(seconds)
        return checker.findings
