"""Our tokens before two other libraries, PyJWT and joserfc, which know no more of us than our JWKS: what they take, and where
they and we disagree.

The environment variable MUTATIONS says how many tokens are tried of each algorithm, 300 where it is not set.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Final

import jwt
import pytest
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError

from tests.service.keys.material import pair, pem
from tests.service.tokens.garbling import garbled
from tests.service.tokens.signing import ALGORITHMS, SECRET, key_of, verdict
from txtoken.service.keys.asymmetric import load
from txtoken.service.keys.key import Key
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.compact import read_object
from txtoken.service.tokens.issue import new_issuer
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.segments import decode_segment, encode_segment
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, IssueSettings, VerifyRules

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # of joserfc (RFC 9864)

MUTATIONS: Final = int(os.environ.get("MUTATIONS", "300"))
ISSUER: Final = "https://login.example"
AUDIENCE: Final = "api"
RULES: Final = VerifyRules(issuer=ISSUER, audience=(AUDIENCE,))
LEEWAY_S: Final = 1800  # that a mutated time is away from now, so that no clock decides
# An RSA key has one algorithm, so there are two of them.
KEYS: Final = {name: key_of(name, f"the-{name}", int(name == "PS256")) for name in ALGORITHMS}
RING: Final = KeyRing([*KEYS.values()])
JWKS: Final = RING.jwks.decode()
SECRETS: Final = {KEYS[name].kid: (name, SECRET + b"0") for name in ALGORITHMS if name.startswith("HS")}


def ours(token: bytes, now: float) -> str:
    """Return our verdict."""
    return verdict(TokenVerifier(RING, CheckSettings("/checkToken", rules=RULES), Memory(0)), token, now)


def pyjwt(token: bytes) -> str:
    """Return PyJWT's verdict by our JWKS (or our secrets, of which it holds none): a key has one algorithm."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        if kid in SECRETS:
            name, key = SECRETS[kid]
        else:
            found = jwt.PyJWKSet.from_json(JWKS)[kid or ""]
            name, key = found.algorithm_name, found.key
        jwt.decode(token, key, [name], audience=AUDIENCE, issuer=ISSUER, options={"require": ["exp"]})
    except (jwt.PyJWTError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        return f"failed with {type(error).__name__}: {error}"
    return "valid"


SET: Final = joserfc_jwk.KeySet.import_key_set(json.loads(JWKS))
OCTETS: Final = {kid: joserfc_jwk.OctKey.import_key(secret) for kid, (_, secret) in SECRETS.items()}
CLAIMS: Final[dict[str, Any]] = {
    "exp": {"essential": True},
    "iss": {"essential": True, "value": ISSUER},
    "aud": {"essential": True, "value": AUDIENCE},
}


def joserfc(token: bytes) -> str:
    """Return joserfc's verdict by the same."""
    try:
        kid = json.loads(decode_segment(token.split(b".")[0]) or b"null")["kid"]
        if kid in SECRETS:
            read = joserfc_jwt.decode(token, OCTETS[kid], [SECRETS[kid][0]])
        else:
            read = joserfc_jwt.decode(token, SET, [name for name in ALGORITHMS if not name.startswith("HS")])
        joserfc_jwt.JWTClaimsRegistry(**CLAIMS).validate(read.claims)
    except (JoseError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    except (ValueError, TypeError, OverflowError, RecursionError, AttributeError) as error:
        return f"failed with {type(error).__name__}: {error}"
    return "valid"


# What we issue


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "settings",
    [
        IssueSettings(600, issuer=ISSUER, audience=(AUDIENCE,)),
        IssueSettings(600, issuer=ISSUER, audience=("web", AUDIENCE), has_iat=True, has_nbf=True, has_jti=True),
        IssueSettings(600, issuer=ISSUER, audience=(AUDIENCE,), subject="/id", data_claim="", typ="at+jwt"),
    ],
    ids=["plain", "times", "subject"],
)
def test_both_take_what_we_issue(algorithm: str, settings: IssueSettings) -> None:
    """Every token of ours is good for both by the JWKS of all our keys, with the claims that we read in it ourselves."""
    issuer = new_issuer(KeyRing([KEYS[algorithm]]), settings)
    verifier = TokenVerifier(RING, CheckSettings("/checkToken", rules=RULES), Memory(0))
    for number in range(20):
        now = int(time.time())
        reply, text = read_object(b'{"id":%d,"name":"\xc3\xa9","n":12345678901234567890123,"f":0.1}' % number, 200)
        token = issuer.issue(text, now, reply)
        assert (ours(token, now), pyjwt(token), joserfc(token)) == ("valid", "valid", "valid")
        claims = json.loads(verifier.verify(token, now).claims)
        assert claims["exp"] == now + 600
        assert jwt.decode(token, options={"verify_signature": False}) == claims
        key: Any = OCTETS.get(KEYS[algorithm].kid, SET)
        read = joserfc_jwt.decode(token, key, [algorithm])
        assert read.claims == claims
        assert read.header == {"alg": algorithm, "typ": settings.typ, "kid": KEYS[algorithm].kid}


def test_both_read_every_published_key() -> None:
    """The set has a key for each asymmetric algorithm, by which both find it, under its name and algorithm."""
    published = {key.kid: key.algorithm for key in KEYS.values() if not key.algorithm.startswith("HS")}
    assert {key.key_id: key.algorithm_name for key in jwt.PyJWKSet.from_json(JWKS).keys} == published
    assert {key.kid: key.alg for key in SET.keys} == published
    assert not any(key.is_private for key in SET.keys)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
def test_both_find_our_thumbprint(algorithm: str) -> None:
    """The name that a key has when none is given is its thumbprint by joserfc too (RFC 7638)."""
    members = KEYS[algorithm].public_members()
    assert members is not None
    imported: Any = joserfc_jwk.import_key(dict(members))
    assert imported.thumbprint() == load(pem(pair(algorithm, int(algorithm == "PS256"))), algorithm).kid


# Tokens that somebody changed


def recomposed(good: bytes, other: bytes, random: Random) -> bytes:
    """Put the segments of two good tokens together."""
    segments = [random.choice(both) for both in zip(good.split(b"."), other.split(b"."), strict=True)]
    if random.random() < 0.2:
        random.shuffle(segments)
    return b".".join(segments)


# JSON texts, each of which a member may have in place of the right one; `@` is now.
TIMES: Final = (
    *(
        "@+1800",
        "@-1800",
        "@+1800.5",
        "@-1800.5",
        '"@+1800"',
        '"@-1800"',
        "null",
        "true",
        "false",
        "[@+1800]",
        "{}",
        '""',
    ),
    *("0", "-1", "1e300", "-1e300", "NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 30, "1" + "0" * 400, '"x"'),
)
CHANGES: Final[dict[str, tuple[str, ...]]] = {
    "exp": TIMES,
    "nbf": TIMES,
    "iat": TIMES,
    "iss": (
        f'"{ISSUER}"',
        f'["{ISSUER}"]',
        f'"{ISSUER}/"',
        f'"{ISSUER[:-1]}"',
        "null",
        "5",
        "true",
        '""',
        "{}",
        f'{{"{ISSUER}":1}}',
    ),
    "aud": (
        *(f'"{AUDIENCE}"', f'["x","{AUDIENCE}"]', '["x"]', "[]", "null", '"ap"', '["ap","i"]', f'{{"{AUDIENCE}":1}}'),
        *("5", f'[["{AUDIENCE}"]]', f'[5,"{AUDIENCE}"]', '""', '"API"', "true"),
    ),
    "sub": ('"ada"', "5", "null", '["ada"]', '""'),
    "jti": ('"1"', "5", "null"),
    "data": ("{}", "null", "[" * 300 + "]" * 300, '"\\ud800"', "1e400", "NaN", "[" * 900 + "]" * 900),
}
HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "alg": (
        *(f'"{name}"' for name in ALGORITHMS),
        '"none"',
        '"NONE"',
        '""',
        "null",
        "5",
        '["ES256"]',
        '"Ed25519"',
        '"es256"',
    ),
    "kid": (*(f'"{key.kid}"' for key in KEYS.values()), '""', "null", "5", '["the-ES256"]', '"x"', '"the-es256"'),
    "typ": ('"JWT"', '"at+jwt"', "5", "null", '""', "[]", '"remote+jwt"'),
    "crit": ('["exp"]', "[]", '"b64"', '["b64"]', "null", "{}", '["x"]'),
    "b64": ("false", "true", "null"),
    "cty": ('"JWT"', "5", '""'),
    "x": ("1", "null", "[]"),
    "jwk": ("{}", "5"),
    "jku": ('"http://127.0.0.1:9/"', "5"),
}


def resealed(key: Key, now: int, random: Random) -> bytes:
    """Make a token with one to three members changed, taken out or said twice, and sign it well."""
    header = [("alg", f'"{key.algorithm}"'), ("typ", '"JWT"'), ("kid", f'"{key.kid}"')]
    claims = [("exp", str(now + LEEWAY_S)), ("iss", f'"{ISSUER}"'), ("aud", f'"{AUDIENCE}"'), ("data", "{}")]
    for _ in range(random.randint(1, 3)):
        members, changes = (header, HEADERS) if random.random() < 0.3 else (claims, CHANGES)
        name = random.choice([*changes])
        value = random.choice(changes[name])
        for sign in "+-":
            for amount in ("1800.5", "1800"):
                value = value.replace(f"@{sign}{amount}", str(now + float(sign + amount)).removesuffix(".0"))
        at = next((at for at, member in enumerate(members) if member[0] == name), len(members))
        kind = random.randrange(8)
        if kind == 0:
            del members[at : at + 1]
        elif kind == 1:
            members.append((name, value))  # twice, where it was there
        else:
            members[at : at + 1] = [(name, value)]
    parts = ["{" + ",".join(f'"{name}":{value}' for name, value in members) + "}" for members in (header, claims)]
    text = b".".join(encode_segment(part.encode()) for part in parts)
    return text + b"." + key.sign(text)


Judge = Callable[[bytes], str]
PEERS: Final[dict[str, Judge]] = {"PyJWT": pyjwt, "joserfc": joserfc}


def disagreements(algorithm: str, count: int) -> Counter[tuple[str, str]]:
    """Try so many tokens, and count disagreements: by peer and reason."""
    random = Random(f"peers {algorithm}")
    now = int(time.time())
    key = KEYS[algorithm]
    settings = IssueSettings(LEEWAY_S, issuer=ISSUER, audience=(AUDIENCE,))
    good = new_issuer(KeyRing([key]), settings).issue(b'{"user":"ada"}', now)
    others = [new_issuer(KeyRing([other]), settings).issue(b'{"user":"bob"}', now) for other in KEYS.values()]
    found: Counter[tuple[str, str]] = Counter()
    for _ in range(count):
        kind = random.random()
        if kind < 0.3:
            token = garbled(good, random)
        elif kind < 0.4:
            token = recomposed(good, random.choice(others), random)
        else:
            token = resealed(key, now, random)
        our = ours(token, now)
        assert our != "valid" or kind >= 0.4 or token in (good, *others), token
        for name, judge in PEERS.items():
            their = judge(token)
            if (our == "valid") != (their == "valid"):
                found[name, reason_of(token, our, their)] += 1
    return found


# Where we refuse and a peer does not. We are right in each.
OURS: Final = {
    "base64url in another way": "RFC 7515 §2: no padding, white space or other characters; RFC 4648 §3.5: no unused bit set",
    "crit or b64": "RFC 7515 §4.1.11: we understand no extension, and `crit` is never empty; RFC 7797 §6: b64 needs crit",
    "NaN or Infinity": "RFC 8259 §6: they are no JSON",
    "a number that no binary64 holds": "what one reader takes for infinity another refuses: it is no time",
    "half a surrogate pair": "RFC 8259 §8.2: what it means is not foreseeable",
    "deep nesting": "contract §3.2",
    "a time that is no number": "RFC 7519 §2: a NumericDate is a number",
    "the type of the remote's token": "contract §5: it is nobody's login",
}
# And where we take a token that a peer refuses.
THEIRS: Final = {
    "(iat)": "we are right: RFC 7519 §4.1.6 has no such rule, and contract §3.2 says that it is not compared",
    "was issued in the future": "the same",
    "Invalid claim format in token": "they are right (RFC 7519 §4.1.3), and we do no harm: one of the audiences is ours",
    "Claim 'aud' must be": "the same",
    "JWT ID must be a string": "they are right (RFC 7519 §4.1.7); we do not look at it, and issue none",
    "Claim 'jti' must be": "the same",
    "Subject must be a string": "they are right (RFC 7519 §4.1.2); we do not look at it, and issue none",
    "Claim 'sub' must be": "the same",
    "'cty' in header must be": "they are right (RFC 7515 §4.1.10); we have no use for it",
    "'jku' in header must be": "they are right (RFC 7515 §4.1.2); we never fetch it",
    "'jwk' in header must be": "they are right (RFC 7515 §4.1.3); we never believe it",
    "'typ' in header must be": "they are right (RFC 7515 §4.1.9); we have no use for another one",
    "Unsupported {'x'} in header": "we are right: RFC 7515 §4: what is not understood is ignored",
}


def not_json(name: str) -> None:
    """Refuse what Python's reader takes for a number."""
    raise ValueError(name)


def why_not(token: bytes) -> set[str]:
    """Find out, by other means than ours, for which of `OURS` a token is none."""
    raw = [decode_segment(part) for part in token.split(b".")]
    if None in raw:
        return {"base64url in another way"}
    found = set()
    texts = [(text or b"").decode() for text in raw[:2]]
    for text in texts:
        try:
            json.loads(text, parse_constant=not_json)
        except ValueError:
            found.add("NaN or Infinity")
        if "1e400" in text:
            found.add("a number that no binary64 holds")
        if "\\ud800" in text:
            found.add("half a surrogate pair")
    header, claims = (json.loads(text) for text in texts)
    if any("[" * 251 in text for text in texts):
        found.add("deep nesting")
    if {"crit", "b64"} & set(header):
        found.add("crit or b64")
    if any(type(claims.get(name, 0)) not in (int, float) for name in ("exp", "nbf", "iat")):
        found.add("a time that is no number")
    if header.get("typ") == "remote+jwt":
        found.add("the type of the remote's token")
    return found


def reason_of(token: bytes, our: str, their: str) -> str:
    """Say why we and a peer disagree, as one of the words above."""
    if our != "valid":
        found = why_not(token) & set(OURS)
        assert found, f"we say {our}, and a peer takes {token!r}"
        return f"we refuse: {min(found)}"
    found = {word for word in THEIRS if word in their}
    assert found, f"we take {token!r}, and a peer says {their}"
    return f"they refuse: {min(found)}"


@pytest.mark.timeout(0)  # as many as are asked for
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_disagreements(algorithm: str) -> None:
    """Of tokens that were changed, by somebody without the key or by its owner, both say what we say, but for reasons that are
    known: those of `OURS` and `THEIRS`.
    """
    for (peer, reason), count in sorted(disagreements(algorithm, MUTATIONS).items()):
        print(f"{algorithm} {peer} {count} of {MUTATIONS}: {reason}")
