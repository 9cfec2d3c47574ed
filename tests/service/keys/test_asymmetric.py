"""Asymmetric keys: their forms, signatures, names, and what is refused. The judges are PyJWT and the examples of the RFCs."""

from __future__ import annotations

import base64
import datetime
import json
from random import Random
from typing import Any, Final

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.configuring import dump
from tests.service.keys.material import (
    ASYMMETRIC,
    PASSWORD,
    PrivateKey,
    jwk,
    jwk_text,
    pair,
    pem,
    public_pem,
    rsa_pair,
)
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.asymmetric import AsymmetricKey, check_closely, load, pair_of
from txtoken.service.tokens.segments import decode_segment, encode_segment

TEXT: Final = b"header.payload"
RFC_7638_N: Final = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
    "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr"
    "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)
RFC_8037: Final = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}


def octets(text: str) -> bytes:
    """Read base64url without padding, by the standard library."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def forms(algorithm: str) -> dict[str, bytes]:
    """Write one private key in every form that is taken."""
    private = pair(algorithm)
    found = {
        "PKCS8": pem(private),
        "JWK": jwk_text(private),
        "JWK with alg": jwk_text(private, alg=algorithm, use="sig"),
    }
    if algorithm != "EdDSA":
        found["traditional"] = pem(private, PrivateFormat.TraditionalOpenSSL)
    found["byte order mark"] = b"\xef\xbb\xbf" + found["PKCS8"]
    found["blanks around JWK"] = b"\n \t" + found["JWK"] + b"\r\n"
    found["CRLF"] = found["PKCS8"].replace(b"\n", b"\r\n")
    return found


# Forms, signatures


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_every_form_loads_signs_and_verifies(algorithm: str) -> None:
    """A private key is the same one in every form, with the same name."""
    keys = {form: load(text, algorithm) for form, text in forms(algorithm).items()}
    assert len({key.kid for key in keys.values()}) == 1
    for signer in keys.values():
        assert signer.can_sign
        assert not signer.is_slow
        signature = signer.sign(TEXT)
        for other in keys.values():
            assert other.verify(TEXT, signature)
            assert not other.verify(TEXT + b"x", signature)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_public_half_only_verifies(algorithm: str) -> None:
    """The public half, as PEM or JWK, verifies, cannot sign, and has the same name and members."""
    private = pair(algorithm)
    whole = load(pem(private), algorithm)
    for text in (public_pem(private), jwk_text(private.public_key())):
        public = load(text, algorithm)
        assert not public.can_sign
        assert public.kid == whole.kid
        assert public.public_members() == whole.public_members()
        assert public.verify(TEXT, whole.sign(TEXT))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_pyjwt_agrees(algorithm: str) -> None:
    """PyJWT verifies what we sign, and we verify what PyJWT signs."""
    private = pair(algorithm)
    key = load(pem(private), algorithm)
    header = encode_segment(json.dumps({"alg": algorithm}).encode())
    for number in range(30):
        text = header + b"." + encode_segment(b'{"n":%d}' % number)
        token = text + b"." + key.sign(text)
        assert jwt.decode(token, private.public_key(), [algorithm]) == {"n": number}
        theirs = jwt.encode({"n": number}, private, algorithm).encode()
        signing_input, _, signature = theirs.rpartition(b".")
        assert key.verify(signing_input, signature)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_damaged_signatures(algorithm: str) -> None:
    """A signature with any byte changed, cut, lengthened, or that is no signature is refused and breaks nothing."""
    key = load(pem(pair(algorithm)), algorithm)
    signature = key.sign(TEXT)
    raw = decode_segment(signature)
    assert raw is not None
    wrong = [raw[:-1], raw + b"\0", b"\0" + raw, raw * 2, b"", bytes(len(raw)), b"\xff" * len(raw), raw[::-1]]
    wrong += [raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :] for at in range(len(raw))]
    for text in wrong:
        assert not key.verify(TEXT, encode_segment(text))
    for segment in (
        signature + b"=",
        signature + b"A",
        signature[:-1],
        b"!" * len(signature),
        b" " + signature,
        b"\xff",
    ):
        assert not key.verify(TEXT, segment)


def test_numbers_of_an_ecdsa_signature() -> None:
    """r and s outside of 1 to n-1 are refused (FIPS 186-5 §6.4.2), a DER signature too (RFC 7518 §3.4)."""
    private = pair("ES256")
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    key = load(pem(private), "ES256")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for r in (0, 1, order, order + 1, 2**256 - 1):
        for s in (0, 1, order, order + 1, 2**256 - 1):
            assert not key.verify(TEXT, encode_segment(r.to_bytes(32) + s.to_bytes(32)))
    assert not key.verify(TEXT, encode_segment(private.sign(TEXT, ec.ECDSA(hashes.SHA256()))))


def test_another_form_of_an_eddsa_signature() -> None:
    """S is below the group's order (RFC 8032 §5.1.7): S plus the order, which solves the same equation, is refused, and so are
    points of small order.
    """
    key = load(pem(pair("EdDSA")), "EdDSA")
    raw = decode_segment(key.sign(TEXT))
    assert raw is not None
    order = 2**252 + 27742317777372353535851937790883648493
    for times in (1, 2, 8):
        number = int.from_bytes(raw[32:], "little") + times * order
        assert not key.verify(TEXT, encode_segment(raw[:32] + number.to_bytes(32, "little")))
    for point in (bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"):
        assert not key.verify(TEXT, encode_segment(point + bytes(32)))


def test_the_twin_of_an_ecdsa_signature() -> None:
    """Of (r, s) everybody can make (r, n-s), which is as good (RFC 7518 §3.4 forbids neither, and PyJWT takes both): nothing may
    take two texts of a token for two tokens. There is no third one.
    """
    key = load(pem(pair("ES256")), "ES256")
    raw = decode_segment(key.sign(TEXT))
    assert raw is not None
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    assert key.verify(TEXT, encode_segment(raw[:32] + (order - s).to_bytes(32)))
    for other in ((order - r, s), (order - r, order - s), (s, r), (r, s ^ 1), ((r + order) % 2**256, s)):
        assert not key.verify(TEXT, encode_segment(other[0].to_bytes(32) + other[1].to_bytes(32)))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_another_form_of_an_rsa_signature(algorithm: str) -> None:
    """A signature is as long as the modulus and below it (RFC 8017 §8): plus the modulus, cut or longer by zeros it is none."""
    private = rsa_pair(0)
    key = load(pem(private), algorithm)
    modulus = private.public_key().public_numbers().n
    tried = set()
    for number in range(5000):
        text = TEXT + b"%d" % number
        raw = decode_segment(key.sign(text))
        assert raw is not None
        assert len(raw) == 256
        plus = int.from_bytes(raw) + modulus
        if plus < 2**2048:
            tried.add("plus")
            assert not key.verify(text, encode_segment(plus.to_bytes(256)))
        if raw[0] == 0:
            tried.add("cut")
            assert not key.verify(text, encode_segment(raw.lstrip(b"\0")))
        assert not key.verify(text, encode_segment(b"\0" + raw))
        if "cut" in tried and number > 100:
            break
    assert "cut" in tried


def test_rs256_and_ps256_are_two_algorithms() -> None:
    """One RSA key with two algorithms: neither takes the other's signatures (RFC 8725 §3.1)."""
    rs256, ps256 = load(pem(rsa_pair(0)), "RS256"), load(pem(rsa_pair(0)), "PS256")
    assert not ps256.verify(TEXT, rs256.sign(TEXT))
    assert not rs256.verify(TEXT, ps256.sign(TEXT))


def test_es256_is_deterministic() -> None:
    """RFC 6979 appendix A.2.5: P-256, SHA-256, `sample` and `test`."""
    private = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
    key = load(pem(private), "ES256")
    expected = {
        b"sample": "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        b"test": "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367"
        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
    }
    for text, signature in expected.items():
        assert decode_segment(key.sign(text)) == bytes.fromhex(signature)
        assert key.sign(text) == key.sign(text)


def test_signatures_with_leading_zeros_keep_their_length() -> None:
    """r and s are 32 bytes each, always (RFC 7518 §3.4)."""
    private = pair("ES256")
    key = load(pem(private), "ES256")
    short = 0
    for number in range(1500):
        text = b"e30." + encode_segment(b"%d" % number)
        raw = decode_segment(key.sign(text))
        assert raw is not None
        assert len(raw) == 64
        if 0 in (raw[0], raw[32]):
            short += 1
            assert key.verify(text, encode_segment(raw))
    assert short


# Members and names


def short_coordinate(name: str) -> ec.EllipticCurvePrivateKey:
    """Find a P-256 key one of whose coordinates begins with a zero byte: one key of 256."""
    random = Random(f"a short {name}")
    while True:
        private = ec.derive_private_key(random.randrange(1, 2**255), ec.SECP256R1())
        if getattr(private.public_key().public_numbers(), name) < 2**248:
            return private


@pytest.mark.parametrize("name", ["x", "y"])
def test_ec_coordinates_keep_leading_zeros(name: str) -> None:
    """A coordinate is 32 bytes, leading zeros included (RFC 7518 §6.2.1.2), and the key loads again from its members."""
    private = short_coordinate(name)
    key = load(pem(private), "ES256")
    members = key.public_members()
    assert list(members) == ["crv", "kty", "x", "y"]
    assert octets(members[name])[0] == 0
    assert [len(octets(members[coordinate])) for coordinate in "xy"] == [32, 32]
    assert jwt.PyJWK({**members, "alg": "ES256"}).key.public_numbers() == private.public_key().public_numbers()
    assert load(json.dumps(dict(members)).encode(), "ES256").kid == key.kid
    assert load(jwk_text(private), "ES256").kid == key.kid
    cut = encode_segment(octets(members[name]).lstrip(b"\0")).decode()
    refused(json.dumps({**members, name: cut}).encode(), "ES256")


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_rsa_members_have_no_leading_zero(algorithm: str) -> None:
    """n and e are written without leading zero bytes (RFC 7518 §2)."""
    private = rsa_pair(0)
    members = load(pem(private), algorithm).public_members()
    assert list(members) == ["e", "kty", "n"]
    assert members["e"] == "AQAB"
    modulus = octets(members["n"])
    assert len(modulus) == 256
    assert int.from_bytes(modulus) == private.public_key().public_numbers().n
    assert jwt.PyJWK({**members, "alg": algorithm}).key.public_numbers() == private.public_key().public_numbers()


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_members_are_as_pyjwt_writes_them(algorithm: str) -> None:
    """The members are those of the public half alone, as PyJWT writes them."""
    expected = jwk(pair(algorithm).public_key())
    expected.pop("key_ops", None)
    for text in (pem(pair(algorithm)), jwk_text(pair(algorithm), kid="k", x5c=["AA"], key_ops=["sign"])):
        assert dict(load(text, algorithm).public_members()) == expected


def test_thumbprint_of_rfc_7638() -> None:
    """RFC 7638 §3.1, members that do not count included."""
    members = {"kty": "RSA", "n": RFC_7638_N, "e": "AQAB", "alg": "RS256"}
    assert load(json.dumps(members).encode(), "RS256").kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("members", [RFC_8037, {name: RFC_8037[name] for name in ("x", "crv", "kty")}])
def test_thumbprint_of_rfc_8037(members: dict[str, str]) -> None:
    """RFC 8037 appendix A.3, private and public."""
    assert load(json.dumps(members).encode(), "EdDSA").kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_signature_of_rfc_8037() -> None:
    """RFC 8037 appendix A.4."""
    key = load(json.dumps(RFC_8037).encode(), "EdDSA")
    text = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    assert key.sign(text) == (b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")


def test_names() -> None:
    """The configured name comes first, then the JWK's own, then the thumbprint."""
    text = jwk_text(pair("EdDSA"), kid="its-own")
    assert load(text, "EdDSA", "given").kid == "given"
    assert load(text, "EdDSA").kid == "its-own"
    assert load(jwk_text(pair("EdDSA"), kid=5), "EdDSA").kid == load(pem(pair("EdDSA")), "EdDSA").kid


@pytest.mark.parametrize(("bits", "slow"), [(2048, False), (3072, True)])
def test_long_rsa_keys_are_slow(bits: int, slow: bool) -> None:
    """A signature by an RSA key of more than 2048 bits is not made in the loop."""
    assert load(pem(rsa.generate_private_key(65537, bits)), "RS256").is_slow is slow


@pytest.mark.parametrize(
    "number", [0, 1, 2**384 - 1, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632550]
)
def test_any_bytes_make_a_pair(number: int) -> None:
    """The bytes that a P-256 key is derived from may be any, those that are 0 modulo n-1 too."""
    private, public = pair_of(number.to_bytes(48), "ES256")
    key = AsymmetricKey(private, public, "ES256")
    assert key.verify(TEXT, key.sign(TEXT))


# Refusals


def refused(data: bytes, algorithm: str) -> str:
    """Return why a key is refused. Nothing of the key stands in it, nor in the error's whole text."""
    with pytest.raises(KeyMaterialError) as caught:
        load(data, algorithm)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    shown = dump(caught.value)
    body = b"".join(line for line in data.splitlines() if not line.startswith(b"-----"))
    pieces = {body[at : at + 12] for at in range(len(body) - 11)}
    assert not [piece for piece in pieces if piece.decode("latin-1") in str(caught.value)]
    assert not [piece for piece in pieces if len(set(piece)) > 6 and piece.decode("latin-1") in shown.split("\n")[0]]
    return str(caught.value)


def refused_or_works(data: bytes, algorithm: str) -> None:
    """See that an RSA key with a wrong number is refused, or signs right, as it does where the library does without that number.
    The close look refuses it always.
    """
    try:
        key = load(data, algorithm)
    except KeyMaterialError:
        return
    assert key.verify(TEXT, key.sign(TEXT))
    with pytest.raises(KeyMaterialError):
        check_closely(data, algorithm)


def certificate() -> bytes:
    """Make a certificate."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "login.example")])
    private = pair("ES256")
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, private.public_key(), 1, day, day + datetime.timedelta(days=9))
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)


def rsa_with(**foreign: int) -> bytes:
    """Write an RSA key in which some numbers are replaced by others, as PEM: it is written by hand, for the library refuses."""
    private = rsa_pair(0)
    numbers = private.private_numbers()
    own = {name: getattr(numbers, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    own["n"] = numbers.public_numbers.n
    values = [0, *({**own, "e": 65537, **foreign}[name] for name in ("n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp"))]
    content = b"".join(_der(2, value.to_bytes(value.bit_length() // 8 + 1)) for value in values)
    return _armour(b"RSA PRIVATE KEY", _der(0x30, content))


P384: Final = ec.derive_private_key(12345, ec.SECP384R1())
K256: Final = ec.derive_private_key(12345, ec.SECP256K1())


@pytest.mark.parametrize(
    ("algorithm", "data", "why"),
    [
        ("ES256", pem(P384), "another curve"),
        ("ES256", public_pem(P384), "another curve"),
        ("ES256", pem(K256), "another curve"),
        ("ES256", jwk_text(P384), "not supported"),
        ("ES256", jwk_text(K256), "not supported"),
        ("ES256", pem(pair("EdDSA")), "is not an EC key"),
        ("ES256", pem(rsa_pair(0)), "is not an EC key"),
        ("EdDSA", pem(pair("ES256")), "is not an Ed25519 key"),
        ("EdDSA", pem(ed448.Ed448PrivateKey.generate()), "is not an Ed25519 key"),
        ("EdDSA", pem(x25519.X25519PrivateKey.generate()), "is not an Ed25519 key"),
        ("EdDSA", public_pem(x25519.X25519PrivateKey.generate()), "is not an Ed25519 key"),
        ("EdDSA", jwk_text(pair("EdDSA"), crv="Ed448"), "not supported"),
        ("EdDSA", jwk_text(pair("EdDSA"), crv="X25519"), "not supported"),
        ("RS256", pem(pair("ES256")), "is not an RSA key"),
        ("PS256", pem(pair("EdDSA")), "is not an RSA key"),
        ("RS256", b'{"kty":"oct","k":"c2VzYW1lc2VzYW1lc2VzYW1l"}', "not supported"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # the keys differ from run to run
)
def test_a_key_of_another_kind(algorithm: str, data: bytes, why: str) -> None:
    """A key of another kind or curve than the algorithm's is refused."""
    assert why in refused(data, algorithm)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_weak_rsa_keys(algorithm: str) -> None:
    """RSA below 2048 bits (RFC 7518 §3.3), and exponents other than 65537, are refused: private and public, PEM and JWK."""
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    cubic = rsa.generate_private_key(3, 2048)
    for private, why in ((short, "1024 bits"), (cubic, "exponent")):
        for data in (pem(private), public_pem(private), jwk_text(private), jwk_text(private.public_key())):
            assert why in refused(data, algorithm)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (certificate(), "certificate"),
        (b"\xef\xbb\xbf\n" + certificate(), "certificate"),
        (pem(pair("ES256"), PrivateFormat.OpenSSH), "OpenSSH"),
        (pem(pair("ES256"), PrivateFormat.PKCS8, PASSWORD), "encrypted"),
        (pem(pair("ES256"), PrivateFormat.TraditionalOpenSSL, PASSWORD), "encrypted"),
        (b'{"keys":[%b]}' % jwk_text(pair("ES256")), "JWKS"),
        (jwk_text(pair("ES256"), use="enc"), "(use)"),
        (jwk_text(pair("ES256"), use=["sig"]), "(use)"),
        (jwk_text(pair("ES256"), alg="ES384"), "(alg)"),
        (jwk_text(pair("ES256"), alg="HS256"), "(alg)"),
        (jwk_text(pair("ES256"), alg=["ES256"]), "(alg)"),
        (b"", "is not a key"),
        (b"\xef\xbb\xbf", "is not a key"),
        (b"sesame-sesame-sesame-sesame-sesame", "is not a key"),
        (b"-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----", "damaged"),
        (pem(pair("ES256"))[:-40], "damaged"),
        (pem(pair("ES256")).replace(b"\n", b"\nA", 3), "damaged"),
        (public_pem(pair("ES256")).replace(b"M", b"N"), "damaged"),
        (b"{", "not JSON"),
        (b"{}", "damaged"),
        (jwk_text(pair("ES256")) + b"{}", "not JSON"),
        (b'{"kty":"EC","crv":"P-256"}', "damaged"),
        (jwk_text(pair("ES256"), x=None), "public half|damaged"),
        (jwk_text(pair("ES256"), d="AA"), "damaged"),
        (jwk_text(pair("ES256").public_key(), y="A" * 43), "damaged"),
        (jwk_text(pair("ES256"), kty="RSA"), "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_usable_key(data: bytes, why: str) -> None:
    """Each refusal says what was given in place of a key."""
    said = refused(data, "ES256")
    assert any(part in said for part in why.split("|")), said


def test_parameters_before_the_key() -> None:
    """What `openssl ecparam -genkey` writes loads: the curve's name stands before the key, as a block of its own."""
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    key = load(parameters + pem(pair("ES256"), PrivateFormat.TraditionalOpenSSL), "ES256")
    assert key.can_sign


def test_text_before_the_key() -> None:
    """What `openssl pkcs12` writes loads: lines of text stand before the key."""
    assert load(b"Bag Attributes\n    localKeyID: 01\nKey Attributes: <none>\n" + pem(rsa_pair(0)), "RS256").can_sign


def test_another_public_half_in_pem() -> None:
    """A private key that brings the public half of another one is refused, and signs nothing."""
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        one, other = (pair("ES256", number) for number in (0, 1))
        points = [key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for key in (one, other)]
        der = one.private_bytes(Encoding.DER, form, NoEncryption()).replace(points[0], points[1])
        label = b"PRIVATE KEY" if form is PrivateFormat.PKCS8 else b"EC PRIVATE KEY"
        refused(_armour(label, der), "ES256")
    foreign = rsa_pair(1).private_numbers()
    refused(rsa_with(n=foreign.public_numbers.n), "RS256")
    refused(rsa_with(n=foreign.public_numbers.n), "PS256")


def test_another_public_half_in_jwk() -> None:
    """The same in JWK, x and y and n each."""
    for algorithm, names in (("ES256", "x"), ("ES256", "y"), ("ES256", "xy"), ("EdDSA", "x")):
        other = jwk(pair(algorithm, 1))
        assert "another one" in refused(jwk_text(pair(algorithm), **{name: other[name] for name in names}), algorithm)
    other = jwk(rsa_pair(1))
    for several in (["n"], ["d"], ["p"], ["q"], ["dp"], ["dq"], ["qi"], ["p", "q"], ["d", "dp", "dq"]):
        changed = jwk_text(rsa_pair(0), **{name: other[name] for name in several})
        if several == ["n"]:
            refused(changed, "RS256")
        refused_or_works(changed, "RS256")


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("public", [False, True])
def test_wrong_members_of_a_jwk(algorithm: str, public: bool) -> None:
    """A member of another type or value is a refusal, and never another error."""
    private = pair(algorithm)
    key: Any = private.public_key() if public else private
    for name in jwk(key):
        if name == "key_ops":
            continue
        values: list[Any] = [
            5,
            1.5,
            True,
            [],
            {},
            ["a"],
            "",
            "A",
            "AA",
            "=",
            "é",
            "\u2028",
            "AAAA" * 30,
            "a b",
            "A" * 100_000,
        ]
        for value in values:
            text = jwk_text(key, **{name: value})
            if (
                name not in ("d", "p", "q", "dp", "dq", "qi")
                or not isinstance(value, str)
                or algorithm in ("ES256", "EdDSA")
            ):
                refused(text, algorithm)
            else:
                refused_or_works(text, algorithm)


@given(st.binary(max_size=200), st.sampled_from(ASYMMETRIC))
def test_any_bytes(data: bytes, algorithm: str) -> None:
    """Whatever a key file holds, it loads or is refused."""
    for text in (data, b"{" + data, b"-----BEGIN PRIVATE KEY-----\n" + data, pem(pair("ES256"))[:60] + data):
        with pytest.raises(KeyMaterialError):
            load(text, algorithm)


def test_closely() -> None:
    """`check_closely` takes whole keys of any kind, and refuses an RSA key with a number of another one."""
    for algorithm in ASYMMETRIC:
        check_closely(pem(pair(algorithm)), algorithm)
        check_closely(public_pem(pair(algorithm)), algorithm)
    foreign = rsa_pair(1).private_numbers()
    for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp"):
        with pytest.raises(KeyMaterialError) as caught:
            check_closely(rsa_with(**{name: getattr(foreign, name)}), "PS256")
        assert "do not belong together" in str(caught.value) or "damaged" in str(caught.value)


def test_a_key_shows_nothing() -> None:
    """What prints a key does not print its private half."""
    private: PrivateKey = pair("EdDSA")
    shown = repr(load(pem(private), "EdDSA"))
    assert jwk(private)["d"] not in shown
    assert "AQEB" not in shown


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 128 + size)) + length.to_bytes(size) + content


def _armour(label: bytes, der: bytes) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, base64.encodebytes(der), label)
