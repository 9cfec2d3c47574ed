"""Asymmetric keys: read from PEM and JWK, written as JWK, and held against PyJWT."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.certifying import CA
from tests.service.keys.making import ASYMMETRIC, PrivateKey, private_key, private_pem, public_pem
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.asymmetric import AsymmetricKey, check_closely, jwk_members, load, thumbprint

TEXT: Final = b"eyJhbGciOiJub25lIn0.e30"
OTHER: Final = {"ES256": "EdDSA", "EdDSA": "ES256", "RS256": "ES256", "PS256": "EdDSA"}


def pem(key: Any, encryption: Any = None) -> bytes:
    """Write a private key as PEM."""
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))


def jwk_of(key: PrivateKey, algorithm: str) -> dict[str, Any]:
    """Write a private key as JWK, by PyJWT."""
    name = algorithm
    found = jwt.get_algorithm_by_name(name).to_jwk(key, as_dict=True)
    assert isinstance(found, dict)
    return {name: value for name, value in found.items() if name != "key_ops"}


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_pair(algorithm: str, form: str) -> None:
    """A private key signs what PyJWT verifies by its public half, and verifies what PyJWT signs."""
    private = private_key(algorithm)
    data = private_pem(algorithm) if form == "pem" else json.dumps(jwk_of(private, algorithm)).encode()
    key = load(data, algorithm)
    assert key.can_sign
    token = jwt.encode({"a": 1}, private, algorithm)
    signing_input, _, signature = token.encode().rpartition(b".")
    assert key.verify(signing_input, signature)
    ours = signing_input + b"." + key.sign(signing_input)
    assert jwt.decode(ours, private.public_key(), [algorithm]) == {"a": 1}
    assert not key.verify(signing_input + b"x", signature)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_public_key(algorithm: str, form: str) -> None:
    """A public key verifies alone."""
    members = jwk_members(private_key(algorithm).public_key())
    key = load(public_pem(algorithm) if form == "pem" else json.dumps(members).encode(), algorithm)
    assert not key.can_sign
    assert key.verify(TEXT, load(private_pem(algorithm), algorithm).sign(TEXT))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("change", [b"", b"A", b"AA", b"====", b"A" * 86, b"A" * 342, b"\xff" * 86, b"_" * 86])
def test_what_is_no_signature(algorithm: str, change: bytes) -> None:
    """Anything else than a signature is none, and no error."""
    assert not load(private_pem(algorithm), algorithm).verify(TEXT, change)


def test_es256_is_deterministic() -> None:
    """An ES256 signature hangs on no random number (RFC 6979, A.2.5: its key and its message "sample")."""
    d = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    private = ec.derive_private_key(d, ec.SECP256R1())
    key = AsymmetricKey(private, private.public_key(), "ES256")
    raw = base64.urlsafe_b64decode(key.sign(b"sample") + b"==")
    assert raw.hex().upper() == (
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    )


def test_coordinates_keep_their_length() -> None:
    """A coordinate with leading zeros has 32 bytes all the same (RFC 7518 §6.2.1.2)."""
    found = {"x": 0, "y": 0}
    number = 1
    while not all(found.values()):
        point = ec.derive_private_key(number, ec.SECP256R1()).public_key()
        members = jwk_members(point)
        for name in found:
            raw = base64.urlsafe_b64decode(members[name] + "=")
            assert len(raw) == 32
            found[name] += raw[0] == 0
        assert len(jwt.PyJWK({**members, "alg": "ES256"}).key.public_numbers().curve.name) > 0
        number += 1


def test_rsa_numbers_have_no_leading_zeros() -> None:
    """`n` and `e` are as short as they can be (RFC 7518 §2)."""
    members = jwk_members(private_key("RS256").public_key())
    assert members["e"] == "AQAB"
    assert base64.urlsafe_b64decode(members["n"] + "==")[0] != 0
    assert list(members) == sorted(members)


def test_thumbprints() -> None:
    """Thumbprints are those of RFC 7638 §3.1 and RFC 8037 A.3."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst"
        "n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn"
        "1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = load(json.dumps({"kty": "RSA", "n": n, "e": "AQAB"}).encode(), "RS256")
    assert key.kid == thumbprint(key._public) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    okp = load(json.dumps({"kty": "OKP", "crv": "Ed25519", "x": x}).encode(), "EdDSA")
    assert okp.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_names() -> None:
    """A name is what is given, else the JWK's own, else the thumbprint."""
    members = jwk_of(private_key("ES256"), "ES256")
    named = json.dumps({**members, "kid": "its-own"}).encode()
    assert [load(named, "ES256", "given").kid, load(named, "ES256").kid] == ["given", "its-own"]
    assert len(load(json.dumps(members).encode(), "ES256").kid) == 43


def text_of(caught: pytest.ExceptionInfo[KeyMaterialError]) -> str:
    """Return all that a log could show of an error."""
    return f"{caught.value!r} {caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_keys_of_another_kind(algorithm: str) -> None:
    """A key of another kind than the algorithm's is refused."""
    with pytest.raises(KeyMaterialError, match=f"which {algorithm} needs"):
        load(private_pem(OTHER[algorithm]), algorithm)


@pytest.mark.parametrize(
    ("data", "algorithm", "why"),
    [
        (pem(ec.generate_private_key(ec.SECP384R1())), "ES256", "another curve"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "ES256", "another curve"),
        (pem(ed448.Ed448PrivateKey.generate()), "EdDSA", "is not an Ed25519 key"),
        (
            pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - that is what is refused
            "RS256",
            "of 1024 bits: it has to have 2048 to 8192",
        ),
        (pem(rsa.generate_private_key(3, 2048)), "PS256", "another exponent than 65537"),
        (pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x")), "ES256", "is encrypted"),
        (CA.cert_pem.bytes(), "ES256", "is a certificate"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "EdDSA", "ssh-keygen"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "ES256", "is damaged"),
        (private_pem("ES256")[:-40], "ES256", "is damaged"),
        (b"secret text", "ES256", "is no key in PEM"),
        (b"", "ES256", "is no key in PEM"),
        (b"{", "ES256", "is not JSON"),
        (b'{"keys":[]}', "ES256", "is a set of keys"),
        (b'{"kty":"oct","k":"AAAA"}', "ES256", "is damaged, or of a kind"),
        (b'{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}', "ES256", "is damaged"),
        (b'{"kty":"EC"}', "ES256", "is damaged"),
        (b'{"kty":1}', "ES256", "is damaged"),
    ],
)
def test_what_is_refused(data: bytes, algorithm: str, why: str) -> None:
    """What is no key for an algorithm is refused with the reason, and nothing of it is shown."""
    with pytest.raises(KeyMaterialError, match=why) as caught:
        load(data, algorithm)
    shown = text_of(caught)
    assert "secret" not in shown
    assert "AAAA" not in shown
    assert len(shown) < 400


@pytest.mark.parametrize("changed", [{"use": "enc"}, {"alg": "ES384"}, {"alg": "none"}])
def test_a_jwk_for_something_else(changed: dict[str, str]) -> None:
    """A JWK that says that it is for something else is refused."""
    members = jwk_of(private_key("ES256"), "ES256") | changed
    with pytest.raises(KeyMaterialError, match="JWK"):
        load(json.dumps(members).encode(), "ES256")


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256", "PS256"])
def test_the_public_half_of_another_key(algorithm: str) -> None:
    """A private JWK whose public half is another's is refused (CVE-2026-102275)."""
    members = jwk_of(private_key(algorithm), algorithm)
    members |= jwk_members(private_key(algorithm, 2).public_key())
    with pytest.raises(KeyMaterialError):
        load(json.dumps(members).encode(), algorithm)


def test_an_ec_pem_with_another_public_half() -> None:
    """A private key in PEM that carries another's public half is refused."""
    one, other = private_key("ES256"), private_key("ES256", 2)
    form = (Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    points = [key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for key in (one, other)]
    data = one.private_bytes(*form).replace(points[0], points[1])
    mixed = b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(data) + b"-----END PRIVATE KEY-----\n"
    with pytest.raises(KeyMaterialError):
        load(mixed, "ES256")


def test_rsa_numbers_are_checked_closely() -> None:
    """What a signature does not show of an RSA key, the close look does."""
    members = jwk_of(private_key("RS256"), "RS256")
    check_closely(private_pem("RS256"))
    members["d"] = jwk_of(private_key("RS256", 2), "RS256")["d"]
    with pytest.raises(KeyMaterialError, match="do not belong together"):
        check_closely(json.dumps(members).encode())


def test_openssl_keys(tmp_path: Path) -> None:
    """What OpenSSL's commands write is read: the traditional forms, too."""
    file = tmp_path / "key.pem"
    for command, algorithm in (
        (["ecparam", "-name", "prime256v1", "-genkey", "-noout"], "ES256"),
        (["genpkey", "-algorithm", "ed25519"], "EdDSA"),
        (["genrsa", "2048"], "RS256"),
    ):
        done = subprocess.run(["openssl", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        file.write_bytes(done.stdout)
        key = load(b"\xef\xbb\xbf" + file.read_bytes(), algorithm)
        assert key.verify(TEXT, key.sign(TEXT))


def test_slow_keys() -> None:
    """RSA keys of more than 2048 bits are slow, all others are not."""
    assert [load(private_pem(algorithm), algorithm).is_slow for algorithm in ASYMMETRIC] == [False] * 4
    assert AsymmetricKey(None, rsa.RSAPublicNumbers(65537, 1 << 2100 | 1).public_key(), "RS256").is_slow
    assert isinstance(private_key("EdDSA"), ed25519.Ed25519PrivateKey)
