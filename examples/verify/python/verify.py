"""Verifies tokens of a JWKS: reads one a line, prints `valid SUB` or `invalid REASON`. PyJWT's PyJWKClient holds the keys.

JWKS_URL (https, but on your own machine), ISSUER and AUDIENCE are required. ALGORITHMS names what your issuer signs with.
"""

import os
import sys
from typing import Any

import jwt

ASYMMETRIC = {"ES256", "RS256", "PS256", "EdDSA"}  # never HS256: its secret would have to be published
ALGORITHMS = os.environ.get("ALGORITHMS", "ES256").split(",")
ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
CLOCK_SKEW_S = 60

# One for the whole process. It keeps the set for 5 minutes; an unknown kid fetches it again, 30 s after the last fetch at
# the earliest.
keys = jwt.PyJWKClient(os.environ["JWKS_URL"], timeout=5)


def verify(token: bytes) -> dict[str, Any]:
    """Give back the claims of a valid token.

    Raises: jwt.PyJWTError, which says why the token is not valid.
    """
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=ALGORITHMS,
        issuer=ISSUER,
        audience=AUDIENCE,
        leeway=CLOCK_SKEW_S,
        options={"require": ["iss", "aud", "sub", "exp"]},
    )


def main() -> None:
    """Verify the tokens of standard input."""
    if not ASYMMETRIC.issuperset(ALGORITHMS):
        sys.exit(f"ALGORITHMS may name {', '.join(sorted(ASYMMETRIC))}.")
    for line in sys.stdin.buffer:
        try:
            answer = f"valid {verify(line.strip())['sub']}"
        except jwt.PyJWTError as error:
            # Not the error's text: it may quote the token's header, which anyone can write.
            answer = f"invalid {type(error).__name__}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
