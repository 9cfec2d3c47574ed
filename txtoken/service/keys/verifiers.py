"""Well-known verifiers, and the algorithms that they cannot use. Verifies nothing; docs/verify.md has the whole table."""

from __future__ import annotations

from typing import Final

_RS256_ALONE: Final = ("AWS ALB", "AWS API Gateway (HTTP APIs)", "APISIX openid-connect", "Oracle API Gateway")
_WITHOUT: Final[dict[str, tuple[str, ...]]] = {
    "ES256": _RS256_ALONE,
    "PS256": (*_RS256_ALONE, "AWS API Gateway (REST APIs)", "auth0 java-jwt", "Hasura", "nginx before 1.29.0"),
    "EdDSA": (
        *(*_RS256_ALONE, "AWS API Gateway (REST APIs)", "auth0 java-jwt", "node jsonwebtoken", "passport-jwt"),
        *(".NET", "Spring", "Kubernetes", "mod_auth_openidc"),
    ),
}


def verifiers_without(algorithm: str) -> tuple[str, ...]:
    """Name the well-known verifiers of public keys that cannot use an algorithm. None for HMAC, which has no public keys."""
    return _WITHOUT.get(algorithm, ())
