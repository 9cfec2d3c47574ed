"""docs/reference/key-derivation.md beside the code: its derivation and vectors. Its program shares no line with the package.

And the program of docs/how-to/keys.md for verifiers that have an old secret and new keys.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.docs.pages import ROOT, blocks, read
from tests.service.keys.material import pair, public_pem
from txtoken.service.keys.asymmetric import digest, jwk_members, pair_of
from txtoken.service.keys.derived import SALT, Schedule, derive, expand
from txtoken.service.tokens.segments import encode_segment

DOCUMENT: Final = read(ROOT / "docs" / "reference" / "key-derivation.md")
ISSUER: Final = "https://login.example"
SECRET: Final = bytes(range(32))
EVERY_S: Final = 86_400
PERIOD: Final = 20_000

Derive = Callable[[bytes, str, str, int, int], tuple[bytes, str]]


def python_blocks(page: str) -> list[str]:
    """Return what a page shows of Python."""
    return [block.text for block in blocks(read(ROOT / "docs" / page)) if block.language == "python"]


def program() -> Derive:
    """Run the document's program."""
    (text,) = python_blocks("reference/key-derivation.md")
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - it is our own
    found: Derive = names["derive"]
    return found


def vectors() -> list[str]:
    """Read the values of the table of vectors, from the top."""
    table = DOCUMENT[DOCUMENT.index("## Test vectors") :]
    return re.findall(r"^\|.*\| `(\S+)` \|$", table, re.MULTILINE)


DERIVE: Final = program()


@settings(deadline=None, max_examples=30)
@given(
    secret=st.binary(min_size=32, max_size=80),
    issuer=st.text(min_size=1, max_size=40),
    algorithm=st.sampled_from(["EdDSA", "ES256", "HS256"]),
    every_s=st.integers(10, 366 * 86_400),
    period=st.integers(0, 2**40),
)
def test_the_program_derives_the_same(secret: bytes, issuer: str, algorithm: str, every_s: int, period: int) -> None:
    """Whatever the secret, issuer, algorithm and period: key and name are those of the service."""
    root = hmac.digest(SALT, secret, "sha256")
    ours = derive(root, algorithm, issuer, Schedule(every_s, 0, 60), period)
    private, kid = DERIVE(secret, issuer, algorithm, every_s, period)
    assert kid == ours.kid
    if algorithm == "HS256":
        assert encode_segment(hmac.digest(private, b"text", "sha256")) == ours.sign(b"text")


def test_vectors() -> None:
    """The values of the table are those of the code, each at its place."""
    root = hmac.digest(SALT, SECRET, "sha256")

    def fields(use: bytes, algorithm: str) -> tuple[bytes, ...]:
        return use, ISSUER.encode(), algorithm.encode(), EVERY_S.to_bytes(8), PERIOD.to_bytes(8)

    def kid(algorithm: str) -> str:
        return derive(root, algorithm, ISSUER, Schedule(EVERY_S, 0, 60), PERIOD).kid

    info = b"".join(len(field).to_bytes(2) + field for field in fields(b"sign", "EdDSA"))
    seed, wide = expand(root, fields(b"sign", "EdDSA"), 32), expand(root, fields(b"sign", "ES256"), 48)
    (_, ed_public), (ec_private, ec_public) = pair_of(seed, "EdDSA"), pair_of(wide, "ES256")
    ec_members: dict[str, str] = jwk_members(ec_public)
    numbers: Any = ec_private
    assert vectors() == [
        root.hex(),
        info.hex(),
        seed.hex(),
        jwk_members(ed_public)["x"],
        encode_segment(digest(ed_public)).decode(),
        kid("EdDSA"),
        wide.hex(),
        numbers.private_numbers().private_value.to_bytes(32).hex(),
        ec_members["x"],
        ec_members["y"],
        encode_segment(hashlib.sha256(json.dumps(ec_members, separators=(",", ":")).encode()).digest()).decode(),
        kid("ES256"),
        expand(root, fields(b"sign", "HS256"), 32).hex(),
        expand(root, fields(b"kid", "HS256"), 8).hex(),
        kid("HS256"),
    ]


def test_a_verifier_between_the_two() -> None:
    """The function for verifiers that have both takes each kind of token by its own key alone."""
    (text,) = python_blocks("how-to/keys.md")
    signer, secret = pair("ES256"), "s" * 32
    keys = SimpleNamespace(get_signing_key_from_jwt=lambda _: signer.public_key())
    names: dict[str, Any] = {"jwt": jwt, "SECRET": secret, "keys": keys, "ISSUER": ISSUER}
    exec(text, names)  # noqa: S102 - it is our own
    claims_of = names["claims_of"]
    claims = {"iss": ISSUER, "aud": "api", "sub": "1", "exp": time.time() + 60}
    assert claims_of(jwt.encode(claims, secret, "HS256"))["sub"] == "1"
    assert claims_of(jwt.encode({"data": {}, "exp": claims["exp"]}, secret, "HS256"))  # of before `claims`
    assert claims_of(jwt.encode(claims, signer, "ES256", {"kid": "a"}))["sub"] == "1"
    public = public_pem(signer).decode()
    for token in (
        jwt.encode(claims, secret, "HS256", {"kid": "a"}),
        jwt.encode(claims, signer, "ES256"),
        jwt.encode({**claims, "aud": "b"}, signer, "ES256", {"kid": "a"}),
        jwt.encode({"sub": "1"}, secret, "HS256"),
        forged(public, {"alg": "HS256", "kid": "a"}, claims),
        forged(public, {"alg": "HS256"}, claims),
    ):
        with pytest.raises(jwt.PyJWTError):
            claims_of(token)


def forged(secret: str, header: dict[str, str], claims: dict[str, Any]) -> str:
    """Make a token by hand, with a secret that PyJWT does not take."""
    signing_input = ".".join(encode_segment(json.dumps(part).encode()).decode() for part in (header, claims))
    signature = encode_segment(hmac.digest(secret.encode(), signing_input.encode(), "sha256")).decode()
    return f"{signing_input}.{signature}"
