"""Tokens of every algorithm: the cases of tests/data/jwt_cases.jsonl made with each key, and the holes that others had."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
import zlib
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.service.keys.making import ASYMMETRIC, private_key, private_pem, public_pem
from txtoken.errors import TokenError
from txtoken.service.keys.asymmetric import jwk_members, load
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import Key
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.issue import new_issuer
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.segments import encode_segment
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, IssueSettings, VerifyRules

NOW: Final = 1_700_000_000
SECRET: Final = b"a-secret-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789"
ALGORITHMS: Final = ("HS256", "HS384", "HS512", *ASYMMETRIC)
CASES: Final = [
    json.loads(line) for line in (Path(__file__).parents[2] / "data/jwt_cases.jsonl").read_text().splitlines()
]
MUTATIONS: Final = int(os.environ.get("MUTATIONS", "1500"))  # 100 000 take a minute an algorithm


def key_of(algorithm: str, kid: str = "k") -> Key:
    """Make a key."""
    return HmacKey(SECRET, algorithm, kid) if algorithm[0] == "H" else load(private_pem(algorithm), algorithm, kid)


def verifier(*keys: Key, rules: VerifyRules | None = None, cache: int = 0) -> TokenVerifier:
    """Make a verifier."""
    return TokenVerifier(KeyRing(keys), CheckSettings("/c", rules=rules or VerifyRules()), Memory(cache))


def verdict(judge: TokenVerifier, token: bytes, now: float = NOW) -> str:
    """Return the contract's text for why a token is not valid, or "valid"."""
    try:
        judge.verify(token, now)
    except TokenError as error:
        return error.public
    return "valid"


def encode(text: bytes) -> bytes:
    """Encode a segment, whatever it holds."""
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def decoded(segment: bytes) -> bytes | None:
    """Decode a segment as leniently as it gets."""
    try:
        return base64.urlsafe_b64decode(segment.rstrip(b"=") + b"=" * (-len(segment.rstrip(b"=")) % 4))
    except ValueError:
        return None


def translated(case: dict[str, Any], key: Key) -> tuple[bytes, bool]:
    """Make a case's token with another key. Returns it, and whether it was signed anew: else its signature was wrong before."""
    token = (case["token"] if "token" in case else zlib.decompress(base64.b64decode(case["token_z"])).decode()).encode()
    parts = token.split(b".")
    secret = base64.b64decode(case["key_b64"])
    header = decoded(parts[0])
    if len(parts) != 3 or header is None:
        return token, False
    head = encode(header.replace(b'"HS256"', b'"%b"' % key.algorithm.encode())) + b"=" * parts[0].count(b"=")
    signing_input = head + b"." + parts[1]
    good = encode(hmac.digest(secret, b".".join(parts[:2]), "sha256"))
    if not parts[2].startswith(good):
        return signing_input + b"." + parts[2], False
    return signing_input + b"." + key.sign(signing_input) + parts[2].removeprefix(good), True


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_cases(algorithm: str) -> None:
    """The same faults are found in tokens of every algorithm, for the same reason as in those of HS256."""
    key, signed = key_of(algorithm, ""), 0
    key.kid = ""  # the cases know no `kid`, or one that means nothing
    for case in CASES:
        if case["id"] == f"alg-{algorithm.lower()}":
            continue  # what is wrong with it is that its key is of HS256
        rules = VerifyRules(leeway_s=case["leeway"])
        token, is_signed = translated(case, key)
        text = verdict(verifier(key, rules=rules), token, case["now"])
        secret = base64.b64decode(case["key_b64"])
        original = translated(case, HmacKey(secret))[0]
        assert (text == "valid") <= is_signed, case["id"]
        if is_signed and len(token) < 32_000:
            assert text == verdict(verifier(HmacKey(secret), rules=rules), original, case["now"]), case["id"]
            signed += 1
        elif case["firm"] and not is_signed:
            assert text != "valid", case["id"]
    assert signed > 100


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_pyjwt_takes_our_tokens(algorithm: str) -> None:
    """PyJWT verifies a token of ours, with all claims, by our JWKS alone."""
    ring = KeyRing([key_of(algorithm, ""), HmacKey(SECRET, "HS256", "hmac")])
    settings = IssueSettings(
        3600, issuer="https://login.example", audience=("api",), subject="/id", has_iat=True, has_nbf=True, has_jti=True
    )
    now = int(time.time())
    token = new_issuer(ring, settings).issue(b'{"id":7}', now, {"id": 7}).decode()
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(json.loads(ring.jwks)).keys}
    assert len(keys) == 1
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(
        token, keys[header["kid"]], [algorithm], audience="api", issuer="https://login.example", subject="7"
    )
    assert claims["data"] == {"id": 7}
    assert (header["alg"], header["typ"]) == (algorithm, "JWT")


def mutated(token: bytes, chance: Random) -> bytes:
    """Change a token somewhere."""
    place = chance.randrange(len(token))
    what = chance.randrange(6)
    character = bytes([chance.choice(b"ABCabc019-_.=+/ \0\xff")])
    if what == 0:
        return token[:place] + character + token[place + 1 :]
    if what == 1:
        return token[:place] + token[place + 1 :]
    if what == 2:
        return token[:place] + character + token[place:]
    if what == 3:
        return token[:place]
    if what == 4:
        head, payload, signature = token.split(b".")
        claims = json.loads(decoded(payload) or b"")
        claims["exp"] += chance.choice([1, -1, 10**6])
        return b".".join((head, encode(json.dumps(claims).encode()), signature))
    head, payload, signature = token.split(b".")
    header = json.loads(decoded(head) or b"") | chance.choice(
        [
            {"alg": "none"},
            {"alg": "HS256"},
            {"alg": "ES256"},
            {"kid": "x"},
            {"crit": ["x"]},
            {"b64": False},
            {"typ": "x"},
        ]
    )
    return b".".join((encode(json.dumps(header).encode()), payload, signature))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_mutated_tokens(algorithm: str) -> None:
    """A token that was changed anywhere is refused; where PyJWT refuses, we do."""
    ring = KeyRing([key_of(algorithm)])
    now = int(time.time())
    token = new_issuer(ring, IssueSettings(3600)).issue(b'{"id":7}', now)
    judge, public, chance = verifier(*ring.keys), private_key(algorithm).public_key(), Random(7)
    found: Counter[str] = Counter()
    for _ in range(MUTATIONS):
        changed = mutated(token, chance)
        text = verdict(judge, changed, now)
        try:
            jwt.decode(changed, public, [algorithm])
            theirs = True
        except (jwt.PyJWTError, ValueError):
            theirs = False
        assert (text == "valid") <= theirs, changed
        assert (text == "valid") == (changed == token), changed
        found[text] += 1
    assert found.keys() >= {
        "signature is invalid",
        "token is malformed",
        "token contains an invalid number of segments",
    }


def sealed(key: Key, claims: object, **header: object) -> bytes:
    """Sign a token of any content."""
    head = {"alg": key.algorithm, "kid": key.kid, **header}
    text = encode(json.dumps(head).encode()) + b"." + encode(json.dumps(claims).encode())
    return text + b"." + key.sign(text)


GOOD: Final = {"exp": NOW + 60}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_header_does_not_choose(algorithm: str) -> None:
    """A true signature under the name of another algorithm is refused, of a key that is known or not (CVE-2026-48523)."""
    keys = [key_of(each, each) for each in ALGORITHMS]
    key, judge = key_of(algorithm, algorithm), verifier(*keys)
    assert verdict(judge, sealed(key, GOOD)) == "valid"
    for other in {*ALGORITHMS, "none", "None", "ES384", "EdDSA2", "", "hs256"} - {algorithm}:
        assert verdict(judge, sealed(key, GOOD, alg=other)) == "signing method (alg) is unavailable."
        if other in ALGORITHMS:
            assert verdict(judge, sealed(key, GOOD, alg=other, kid=other)) == "signature is invalid"


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_public_key_is_no_secret(algorithm: str) -> None:
    """A token that was made with the public key as an HMAC secret, in any form, or with the empty one, is refused."""
    public = private_key(algorithm).public_key()
    members = jwk_members(public)
    ring = KeyRing([key_of(algorithm)])
    forms = [
        *(public_pem(algorithm), public_pem(algorithm).strip(), ring.jwks, json.dumps(members).encode(), b""),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        *(value.encode() for value in members.values()),
        *(json.dumps({**members, "alg": "HS256"}).encode(), b"k"),
    ]
    for secret in forms:
        for name in ("HS256", algorithm):
            text = encode(json.dumps({"alg": name, "kid": "k"}).encode()) + b"." + encode(json.dumps(GOOD).encode())
            token = text + b"." + encode(hmac.digest(secret, text, "sha256"))
            assert verdict(verifier(*ring.keys), token) in (
                "signing method (alg) is unavailable.",
                "signature is invalid",
            )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "header",
    [{"crit": ["x"]}, {"crit": []}, {"crit": "b64"}, {"crit": ["b64"]}, {"b64": False}, {"b64": True}, {"crit": None}],
)
def test_extensions(algorithm: str, header: dict[str, object]) -> None:
    """A header that asks for an extension is malformed, well signed as it is (CVE-2026-32597, CVE-2025-59420)."""
    key = key_of(algorithm)
    assert verdict(verifier(key), sealed(key, GOOD, **header)) == "token is malformed"


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "x5t"])
def test_keys_in_the_header(name: str) -> None:
    """A key, or the address of one, in a token's header is neither fetched nor believed."""
    foreign = load(private_pem("ES256", 9), "ES256", "k")
    value = {"jwk": jwk_members(private_key("ES256", 9).public_key())}.get(name, "http://127.0.0.1:9/jwks.json")
    assert verdict(verifier(key_of("ES256")), sealed(foreign, GOOD, **{name: value})) == "signature is invalid"
    assert verdict(verifier(key_of("ES256")), sealed(key_of("ES256"), GOOD, **{name: value})) == "valid"


@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["1", None, True, [NOW + 60], {"a": 1}, "1e400"])
def test_times_that_are_none(algorithm: str, name: str, value: object) -> None:
    """A time that is no number is never taken for one that is absent (CVE-2026-25537)."""
    key = key_of(algorithm)
    assert verdict(verifier(key), sealed(key, GOOD | {name: value})) != "valid"


@pytest.mark.parametrize("number", [b"1e400", b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_are_none(number: bytes) -> None:
    """An `exp` that is no JSON number, or that no binary64 holds, is refused."""
    key = key_of("ES256")
    text = encode(b'{"alg":"ES256","kid":"k"}') + b"." + encode(b'{"exp":%b}' % number)
    assert verdict(verifier(key), text + b"." + key.sign(text)) != "valid"


@pytest.mark.parametrize(
    "issuer", [["https://a", "x"], ["https://a"], "https://a/", "ttps://a", "https://A", None, {}, 1]
)
def test_issuers(issuer: object) -> None:
    """`iss` is one text, and compared as it stands (CVE-2026-75509, GHSA-75c5-xw7c-p5pm)."""
    key = key_of("ES256")
    judge = verifier(key, rules=VerifyRules(issuer="https://a"))
    assert verdict(judge, sealed(key, GOOD | {"iss": issuer})) == "token issuer is invalid"
    assert verdict(judge, sealed(key, GOOD | {"iss": "https://a"})) == "valid"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_it_costs_to_refuse(algorithm: str) -> None:
    """Dots, deep nesting and large headers of a token that is not ours cost 0.3 ms at most, and one verification."""
    key = key_of(algorithm)
    judge = verifier(key)
    head = encode(json.dumps({"alg": algorithm, "kid": "k"}).encode())
    signature = key_of(algorithm).sign(b"something else")
    for token in (
        b"." * 32_768,
        head + b"." + encode(b"[" * 20_000) + b"." + signature,
        encode(b'{"a":' * 1_200 + b"1" + b"}" * 1_200) + b".e30." + signature,
        head + b"." + encode(b'{"exp":' + b"9" * 20_000 + b"}") + b"." + signature,
        encode(json.dumps({"alg": algorithm, "kid": "k" * 6_000}).encode()) + b".e30." + signature,
    ):
        costs, verifications = [], []
        for _ in range(7):
            began = time.process_time()
            assert verdict(judge, token) != "valid"
            costs.append(time.process_time() - began)
            began = time.process_time()
            key.verify(token, signature)
            verifications.append(time.process_time() - began)
        assert min(costs) < 0.0003 + (min(verifications) if algorithm in ASYMMETRIC else 0)


def test_the_bearer_is_no_login() -> None:
    """The token that is shown to the remote is refused, whatever rules there are."""
    key = key_of("ES256")
    for typ, text in (("remote+jwt", "token audience is invalid"), ("JWT", "valid"), ("at+jwt", "valid")):
        assert verdict(verifier(key), sealed(key, GOOD, typ=typ)) == text
        assert verdict(verifier(key, cache=10), sealed(key, GOOD, typ=typ)) == text


def test_a_key_that_ends() -> None:
    """A remembered token is valid until its key ends, and unknown from then on."""
    key = key_of("ES256")
    key.until = NOW + 30
    judge = verifier(key, cache=10)
    token = sealed(key, {"exp": NOW + 60})
    for now in (NOW, NOW + 1, NOW + 29.9, NOW, NOW + 29):
        assert verdict(judge, token, now) == "valid"
    assert judge.memory.hits > 0
    for now in (NOW + 30, NOW + 59, NOW + 60):
        assert verdict(judge, token, now) == "signing key is unknown"
    assert encode_segment(b"") == b""
