"""Tokens of each algorithm: the cases of tests/data/jwt_cases.jsonl, the holes that other libraries had, and PyJWT as the judge.

The environment variable MUTATIONS says how many broken tokens are tried of each algorithm.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.service.keys.material import jwk_text, pair, public_pem
from tests.service.tokens.garbling import ALPHABET, garbled
from tests.service.tokens.signing import ALGORITHMS, NOW, SECRET, key_of, sealed, segment, verdict, verifier
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import Key
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.tokens.segments import decode_segment, encode_segment
from txtoken.settings import IssueSettings, VerifyRules

MUTATIONS: Final = int(os.environ.get("MUTATIONS", "2000"))
CASES: Final = [
    json.loads(line) for line in (Path(__file__).parents[2] / "data/jwt_cases.jsonl").read_text().splitlines()
]
ASYMMETRIC: Final = ALGORITHMS[3:]
BAD_ALGORITHM: Final = "signing method (alg) is unavailable."
MALFORMED: Final = "token is malformed"


# The cases


def translated(token: bytes, secret: bytes, key: Key) -> bytes:
    """Turn a case's token into one of another key: `alg` HS256 becomes the key's, and the key's HS256. What was signed by the
    case's secret is signed by the key; every other signature stays.
    """
    segments = token.split(b".")
    if len(segments) < 2:
        return token
    text = decode_segment(segments[0])
    if text is not None and key.algorithm != "HS256":
        ours, theirs = b'"%b"' % key.algorithm.encode(), b'"HS256"'
        segments[0] = encode_segment(ours.join(part.replace(ours, theirs) for part in text.split(theirs)))
    signed = b".".join(token.split(b".")[:2])
    right = encode_segment(hmac.digest(secret, signed, "sha256"))
    if len(segments) > 2 and right in segments[2]:
        segments[2] = segments[2].replace(right, key.sign(b".".join(segments[:2])))
    return b".".join(segments)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_cases(case: dict[str, Any], algorithm: str) -> None:
    """Every collected token is judged as its case says, whatever the algorithm."""
    token = zlib.decompress(base64.b64decode(case["token_z"])) if "token_z" in case else case["token"].encode()
    key = key_of(algorithm, "")
    judge = verifier(key, rules=VerifyRules(leeway_s=case["leeway"]))
    outcome = verdict(judge, translated(token, base64.b64decode(case["key_b64"]), key), case["now"])
    if case["firm"]:
        assert ("valid" if outcome == "valid" else "invalid") == case["expect"], (case["why"], outcome)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_cases_are_told_alike(case: dict[str, Any]) -> None:
    """The same fault under any algorithm is answered with the same text."""
    token = zlib.decompress(base64.b64decode(case["token_z"])) if "token_z" in case else case["token"].encode()
    told = {}
    for algorithm in ALGORITHMS:
        key = key_of(algorithm, "")
        judge = verifier(key, rules=VerifyRules(leeway_s=case["leeway"]))
        told[algorithm] = verdict(judge, translated(token, base64.b64decode(case["key_b64"]), key), case["now"])
    assert len(set(told.values())) == 1, told


def test_cases_are_translated() -> None:
    """As many cases are valid under every algorithm: the test above does not refuse all of them for a wrong signature."""
    counts = set()
    for algorithm in ALGORITHMS:
        key = key_of(algorithm, "")
        tokens = [
            translated(case["token"].encode(), base64.b64decode(case["key_b64"]), key)
            for case in CASES
            if "token" in case
        ]
        counts.add(sum(verdict(verifier(key), token) == "valid" for token in tokens))
    assert len(counts) == 1
    assert counts.pop() > 30


# Holes


NAMES: Final = [*ALGORITHMS, "none", "Ed25519", "ES256K", "es256", "", None]


@pytest.mark.parametrize(("own", "named"), [(own, named) for own in ALGORITHMS for named in NAMES if own != named])
def test_the_header_names_another_algorithm(own: str, named: str | None) -> None:
    """A token well signed by the key that it names, under the name of another algorithm, is refused (RFC 8725 §3.1)."""
    key = key_of(own)
    others = [key_of(named, "other")] if named in ALGORITHMS and named is not None else []
    judge = verifier(key, *others)
    for header in (
        {"alg": named, "kid": "k1"},
        {"kid": "k1"},
        {"alg": [own], "kid": "k1"},
        {"alg": {own: 1}, "kid": "k1"},
    ):
        assert verdict(judge, sealed(key, {"exp": NOW + 60}, header)) == BAD_ALGORITHM
    if others:
        # By one key, in the name of the other.
        assert verdict(judge, sealed(key, {"exp": NOW + 60}, {"alg": named, "kid": "other"})) == "signature is invalid"
        assert verdict(judge, sealed(others[0], {"exp": NOW + 60}, {"alg": own, "kid": "k1"})) == "signature is invalid"


def public_forms(algorithm: str) -> list[bytes]:
    """Write a public key in every way that a library could take for an HMAC secret."""
    public = pair(algorithm).public_key()
    members = dict(key_of(algorithm).public_members() or {})
    texts = [
        public_pem(pair(algorithm)),
        public_pem(pair(algorithm)).strip(),
        jwk_text(public),
        b"\xef\xbb\xbf" + jwk_text(public),
    ]
    texts += [json.dumps(members).encode(), json.dumps(members, separators=(",", ":")).encode()]
    texts += [KeyRing([key_of(algorithm)]).jwks, public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)]
    texts += [decode_segment(members[name].encode()) or b"" for name in ("x", "y", "n", "e") if name in members]
    return [*texts, *(members[name].encode() for name in ("x", "n") if name in members), b"", b"\0", b"null", b"k1"]


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("hashed", ["sha256", "sha384", "sha512"])
def test_a_public_key_is_no_secret(algorithm: str, hashed: str) -> None:
    """An HMAC made with the public key, or with nothing, is no signature, whatever the header says."""
    judge = verifier(key_of(algorithm), HmacKey(SECRET))
    for name in (hashed.replace("sha", "HS"), algorithm):
        for kid in ({"kid": "k1"}, {}, {"kid": ""}, {"kid": None}):
            text = segment({"alg": name, **kid}) + b"." + segment({"exp": NOW + 60})
            for secret in public_forms(algorithm):
                signature = encode_segment(hmac.digest(secret, text, hashed))
                assert verdict(judge, text + b"." + signature) != "valid"
                assert verdict(judge, text + b"." + encode_segment(bytes(64))) != "valid"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "member",
    [{"crit": ["x"]}, {"crit": []}, {"crit": "b64"}, {"crit": ["b64"]}, {"crit": None}, {"b64": False}, {"b64": True}],
    ids=str,
)
def test_extensions(member: dict[str, Any], algorithm: str) -> None:
    """`crit` and `b64` make a well-signed token malformed."""
    key = key_of(algorithm)
    token = sealed(key, {"exp": NOW + 60}, {"alg": algorithm, "kid": "k1", **member})
    assert verdict(verifier(key), token) == MALFORMED
    text = segment({"alg": algorithm, "kid": "k1", "b64": False, "crit": ["b64"]}) + b"." + b'{"exp":1}'
    assert verdict(verifier(key), text + b"." + key.sign(text)) == MALFORMED


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_wrong_types_of_exp(algorithm: str) -> None:
    """A time of another type is not an absent one."""
    key = key_of(algorithm)
    lenient = verifier(key, rules=VerifyRules(require_exp=False))
    for text in (b'"1800000000"', b"null", b"true", b"[1800000000]", b"{}", b'""'):
        assert verdict(verifier(key), sealed(key, b'{"exp":%b}' % text)) == "token has no expiry"
        assert verdict(lenient, sealed(key, b'{"exp":%b}' % text)) == MALFORMED
        for name in (b"nbf", b"iat"):
            for judge in (verifier(key), lenient):
                assert verdict(judge, sealed(key, b'{"exp":1800000000,"%b":%b}' % (name, text))) == MALFORMED
    for text in (b"NaN", b"1e400", b"Infinity", b"-Infinity", b"01", b"1800000000.", b"0x7fffffff"):
        for judge in (verifier(key), lenient):
            assert verdict(judge, sealed(key, b'{"exp":%b}' % text)) == MALFORMED
            assert verdict(judge, sealed(key, b'{"exp":1800000000,"nbf":%b}' % text)) == MALFORMED
            assert verdict(judge, sealed(key, b'{"exp":1800000000,"iat":%b}' % text)) == MALFORMED
    assert verdict(verifier(key), sealed(key, b'{"exp":-1e308}')) == "Token is expired"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_issuer_and_audience(algorithm: str) -> None:
    """`iss` is one text, equal in every letter; `aud` one text or a list that holds it."""
    key = key_of(algorithm)
    judge = verifier(key, rules=VerifyRules(issuer="https://ours", audience=("api",)))
    good = {"exp": NOW + 60, "iss": "https://ours", "aud": "api"}
    assert verdict(judge, sealed(key, good)) == "valid"
    wrong: list[Any] = [
        ["https://ours"],
        ["https://ours", "x"],
        "https://ours/",
        "https",
        "",
        None,
        {"https://ours": 1},
        True,
    ]
    for issuer in wrong:
        assert verdict(judge, sealed(key, {**good, "iss": issuer})) == "token issuer is invalid"
    for audience in ("ap", "api ", "API", "apis", [["api"]], [], {"api": 1}, None, "", ["ap", "i"]):
        assert verdict(judge, sealed(key, {**good, "aud": audience})) == "token audience is invalid"


def cheap(count: int = 32 * 1024) -> Iterator[bytes]:
    """Make tokens that nobody signed and that were slow to judge elsewhere."""
    yield b"." * count
    yield b"a." * (count // 2)
    yield b"." * 2 + b"a" * (count - 2)
    nested = [opening * 20_000 for opening in (b"[", b'{"a":')]
    nested += [opening * 5_000 for opening in (b"[", b'{"k":')]
    nested += [b"[" * 3000 + b"]" * 3000, b'{"a":' * 900 + b"1" + b"}" * 900]
    for text in nested:
        for algorithm in ALGORITHMS:
            header = segment({"alg": algorithm, "kid": "k1"})
            signature = {"HS256": b"A" * 43, "HS384": b"A" * 64, "RS256": b"A" * 342, "PS256": b"A" * 342}.get(
                algorithm, b"A" * 86
            )
            yield (header + b"." + segment(text))[: count - 400] + b"." + signature
            yield segment(text)[:8188] + b".e30." + signature
            yield (
                segment(b'{"alg":"%b","x":' % algorithm.encode() + text[:5000])
                + b"."
                + segment(text)[:20_000]
                + b"."
                + signature
            )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_not_ours_costs_little(algorithm: str) -> None:
    """Dots, deep nesting and long payloads cost 0.3 ms at most (contract §4.1), and break nothing."""
    key = key_of(algorithm)
    judge = verifier(key)
    judge.verify(sealed(key, {"exp": NOW + 60}), NOW)
    for token in cheap():
        costs = []
        for _ in range(5):
            began = time.process_time()
            assert verdict(judge, token) != "valid"
            costs.append(time.process_time() - began)
            if costs[-1] < 0.0003:
                break
        assert min(costs) < 0.0005, token[:100]  # with some room for a busy machine


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_deep_nesting_that_is_ours(algorithm: str) -> None:
    """Claims and header that are nested too deep are refused though they are well signed."""
    key = key_of(algorithm)
    for text in (b"[" * 6000 + b"]" * 6000, b'{"a":' * 300 + b"1" + b"}" * 300):
        assert verdict(verifier(key), sealed(key, b'{"exp":1800000000,"a":%b}' % text)) == MALFORMED
        header = b'{"alg":"%b","kid":"k1","a":%b}' % (algorithm.encode(), text[:0] + b"[" * 300 + b"]" * 300)
        assert verdict(verifier(key), sealed(key, {"exp": NOW + 60}, header)) == MALFORMED


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_remembered_header_ends_with_its_key(algorithm: str) -> None:
    """A header that was found good, and a token that is remembered, are no good when the key's `until` has come."""
    key = key_of(algorithm, "k1", 0, 0, NOW + 10)
    judge = verifier(key, cache=10)
    first, second = (sealed(key, {"exp": NOW + 60, "n": n}) for n in range(2))
    for _ in range(3):
        assert verdict(judge, first, NOW + 9.999) == "valid"
    assert first in judge.memory._young
    for token in (first, second):
        assert verdict(judge, token, NOW + 10) == "signing key is unknown"
        assert verdict(judge, token, NOW + 9) == "valid"  # a clock set back


# PyJWT with the public keys


def public_key(key: Key) -> Any:
    """Return what PyJWT verifies with: the key as published, or the secret."""
    if key.algorithm[:2] == "HS":
        return SECRET + b"0"
    (found,) = jwt.PyJWKSet.from_json(KeyRing([key]).jwks.decode()).keys
    assert found.algorithm_name == key.algorithm
    assert found.key_id == key.kid
    return found.key


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pyjwt_takes_our_tokens(algorithm: str) -> None:
    """Every token that we issue PyJWT takes, with the key that our JWKS publishes under the token's `kid`."""
    key = key_of(algorithm)
    issuer = TokenIssuer(
        KeyRing([key]), IssueSettings(60, issuer="https://ours", audience=("api",), has_iat=True, has_nbf=True)
    )
    theirs = public_key(key)
    for number in range(100):
        now = int(time.time())
        token = issuer.issue(b'{"n":%d}' % number, now)
        claims = jwt.decode(token, theirs, [algorithm], audience="api", issuer="https://ours")
        assert claims["data"] == {"n": number}
        assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "JWT", "kid": "k1"}
        assert verdict(verifier(key), token, now) == "valid"


def mutated(good: bytes, random: Random) -> bytes:
    """Change a token: some bytes of it, or what its header or claims say."""
    header, payload, signature = good.split(b".")
    kind = random.randrange(8)
    if kind == 0:
        members = json.loads(decode_segment(header) or b"")
        members[random.choice(("alg", "kid", "typ", "x", "jwk", "b64", "crit"))] = random.choice(
            (*ALGORITHMS, "none", "", None, 1, [], {}, ["exp"], "k2", True)
        )
        return segment(members) + b"." + payload + b"." + signature
    if kind == 1:
        claims = json.loads(decode_segment(payload) or b"")
        claims[random.choice(("exp", "nbf", "data", "x"))] = random.choice((0, None, "", NOW * 2, [], True))
        return header + b"." + segment(claims) + b"." + signature
    return garbled(good, random)


def lenient(text: bytes) -> bytes:
    """Read base64url as PyJWT does: foreign characters are nothing, unused bits too."""
    kept = bytes(byte for byte in text if byte in ALPHABET[:64])
    return base64.urlsafe_b64decode(kept + b"=" * (-len(kept) % 4)) if len(kept) % 4 != 1 else b""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_broken_tokens(algorithm: str) -> None:
    """Of tokens that were tampered with none is valid. PyJWT takes those alone whose signature is written in another way."""
    random = Random(f"broken {algorithm}")
    key = key_of(algorithm)
    judge, theirs = verifier(key, cache=100), public_key(key)
    good = TokenIssuer(KeyRing([key]), IssueSettings(60)).issue(b'{"user":"ann"}', NOW)
    assert verdict(judge, good) == "valid"
    signed, _, signature = good.rpartition(b".")
    taken = 0
    for _ in range(MUTATIONS):
        token = mutated(good, random)
        assert (verdict(judge, token) == "valid") == (token == good), token
        try:
            jwt.decode(token, theirs, [algorithm], options={"verify_exp": False, "verify_nbf": False})
        except jwt.PyJWTError:
            assert token != good
            continue
        if token != good:
            taken += 1
            text, _, written = token.rpartition(b".")
            assert text == signed, token
            assert lenient(written) == lenient(signature), token
    print(f"{algorithm}: {MUTATIONS} broken tokens, {taken} of them taken by PyJWT")


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_keys_in_the_header(name: str) -> None:
    """A key, or the address of one, in a token's header is neither fetched nor believed."""
    own, foreign = key_of("ES256"), key_of("ES256", number=1)
    value = dict(foreign.public_members() or {}) if name == "jwk" else "http://127.0.0.1:9/jwks.json"
    header = {"alg": "ES256", "kid": "k1", name: value}
    assert verdict(verifier(own), sealed(foreign, {"exp": NOW + 60}, header)) == "signature is invalid"
    assert verdict(verifier(own), sealed(own, {"exp": NOW + 60}, header)) == "valid"


@pytest.mark.parametrize("number", [b"1e400", b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_are_none(number: bytes) -> None:
    """An `exp` that is no JSON number, or that no binary64 holds, is refused."""
    assert verdict(verifier(key_of("ES256")), sealed(key_of("ES256"), b'{"exp":%b}' % number)) != "valid"
