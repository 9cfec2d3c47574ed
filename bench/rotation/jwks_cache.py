"""The JWKS of one service, kept for as long as its Cache-Control allows (RFC 9111 §4.2), and not fetched again before that.

An unknown `kid` is no reason to fetch: whether one comes is what is measured. Knows no tokens but what PyJWT says of them.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Final

import aiohttp
import jwt

JWKS_ROUTE: Final = "/.well-known/jwks.json"
_MAX_AGE: Final = re.compile(r"\bmax-age=(\d+)")


class JwksCache:
    """Verifies tokens as a service would that knows only the address of the JWKS."""

    def __init__(self, session: aiohttp.ClientSession, url: str, algorithm: str, issuer: str) -> None:
        self._session = session
        self._url = url + JWKS_ROUTE
        self._algorithm = algorithm
        self._issuer = issuer
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fresh_until = 0.0  # by time.monotonic
        self._fetching = asyncio.Lock()
        self.fetches = 0
        self.max_age_s = 0

    async def verify(self, token: str) -> str:
        """Verify a token. Returns "" or what is wrong with it; `unknown kid` is one of these."""
        async with self._fetching:
            if time.monotonic() >= self._fresh_until:
                await self._fetch()
        key = self._keys.get(jwt.get_unverified_header(token)["kid"])
        if key is None:
            return "unknown kid"
        try:
            jwt.decode(token, key, [self._algorithm], issuer=self._issuer, options={"require": ["exp", "iss", "iat"]})
        except jwt.InvalidTokenError as error:
            return type(error).__name__
        return ""

    async def _fetch(self) -> None:
        async with self._session.get(self._url) as response:
            begun = time.monotonic()
            text = await response.text()
            found = _MAX_AGE.search(response.headers["Cache-Control"])
        self.max_age_s = int(found[1]) if found else 0
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(text).keys}
        self._fresh_until = begun + self.max_age_s
        self.fetches += 1
