"""Public keys and discovery documents for verifiers (contract §5 `jwksRoute`). Knows no private key.

Web pages of every origin may read them, whatever `cors` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from orjson import dumps as write_json

from txtoken.http1.messages import Client, Handler, Request, Response, response_head
from txtoken.service.answers import error_response
from txtoken.service.keys.ring import NO_PUBLIC_KEY, KeyRing

# Several verifiers reject `application/jwk-set+json` (RFC 7517 §8.5). None rejects `application/json`.
_TYPE: Final = b"application/json"
_ANY_ORIGIN: Final = b"Access-Control-Allow-Origin: *"
_NO_PUBLIC_KEYS: Final = error_response(
    404,
    "not_found",
    NO_PUBLIC_KEY,
    _ANY_ORIGIN,
)


def _head(max_age_s: int) -> bytes:
    return response_head(200, b"Cache-Control: public, max-age=%d" % max_age_s, _ANY_ORIGIN, content_type=_TYPE)


class Jwks(Handler):
    """The current public keys as a JWK Set (RFC 7517 §5): written when they change, and served from memory."""

    __slots__ = ("_head", "_response", "_ring")

    def __init__(self, ring: KeyRing, max_age_s: int) -> None:
        self._ring = ring
        self._head = _head(max_age_s)
        self._response = _NO_PUBLIC_KEYS

    def handle(self, request: Request, client: Client) -> None:
        body = self._ring.jwks
        if body is not self._response.body:
            self._response = Response(200, self._head, body) if body else _NO_PUBLIC_KEYS
        client.respond(self._response)

    def is_for_pages(self) -> bool:
        return False


class Discovery(Handler):
    """Points verifiers that know only the issuer to the keys (OpenID Connect Discovery 1.0 §3, RFC 8414 §2)."""

    __slots__ = ("_response",)

    def __init__(self, issuer: str, jwks_route: str, algorithms: Sequence[str], max_age_s: int) -> None:
        document = {
            "issuer": issuer,
            "jwks_uri": origin(issuer) + jwks_route,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted(set(algorithms)),
        }
        self._response = Response(200, _head(max_age_s), write_json(document))

    def handle(self, request: Request, client: Client) -> None:
        client.respond(self._response)

    def is_for_pages(self) -> bool:
        return False


def origin(issuer: str) -> str:
    """Return scheme, host and port of an issuer's URL."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}"
