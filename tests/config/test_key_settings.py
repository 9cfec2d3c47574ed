"""What is wrong with `keys`: told with file, line and key, all of it together, and nothing of a secret."""

from __future__ import annotations

import base64
import json
import secrets
import time
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.configuring import KEY, REMOTE, dump, failure, load_text, told
from tests.service.keys.making import private_pem, public_pem
from txtoken.config.key_settings import short_leads
from txtoken.settings import Config

SECRET: Final = "sesame-0123456789-abcdefghijklmnop"
LONG: Final = "sesame-0123456789-abcdefghijklmnop-qrstuvwxyz-9876543210-barley-sugar"


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """Write a key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with keys in it, where the configuration is."""
    monkeypatch.chdir(tmp_path)
    for name, data in {
        "ec.pem": private_pem("ES256"), "ec2.pem": private_pem("ES256", 2), "ec.pub": public_pem("ES256"),
        "ed.pem": private_pem("EdDSA"), "rsa.pem": private_pem("RS256"), "p384.pem": pem(ec.generate_private_key(ec.SECP384R1())),
        "small.pem": pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - that is what is refused
        "root": base64.b64encode(secrets.token_bytes(32)) + b"\n", "short": base64.b64encode(secrets.token_bytes(31)),
        "words": b"correct horse battery staple correct horse battery staple\n", "empty": b"",
        "phrase": b"Correct-Horse-Battery-Staple-Production-Key\n",
        "hex": secrets.token_hex(32).encode(), "raw": bytes(range(32)),
        "same": b"a" * 64, "jwk": b'{"kty":"oct","k":"c2VjcmV0"}', "secret": SECRET.encode() + b"\n",
    }.items():  # fmt: skip # a table
        (tmp_path / name).write_bytes(data)
    return tmp_path


def text_of(keys: str, more: str = "") -> str:
    """Write a configuration with these keys."""
    return f"remote: {REMOTE}\nkeys:\n{keys}\n{more}"


def loaded(folder: Path, keys: str, more: str = "") -> Config:
    """Load a configuration with these keys."""
    return load_text(folder, text_of(keys, more))


BAD: Final = [
    ("- {keyFile: ec.pem}", "cfg.yml, line 3: keys.alg: is required"),
    ("- {alg: ES512, keyFile: ec.pem}", "cfg.yml, line 3: keys.alg: has to be HS256 or HS384"),
    ("- {alg: ES256}", "cfg.yml, line 3: keys.keyFile: is required for ES256"),
    ("- {alg: ES256, secretFile: secret}", "cfg.yml, line 3: keys.secretFile: is not for ES256: it needs keyFile"),
    ("- {alg: HS256, kid: a, keyFile: ec.pem}", "cfg.yml, line 3: keys.keyFile: is not for HS256: it needs secret or secretFile"),
    (f"- {{alg: HS256, secret: {SECRET}}}", "cfg.yml, line 3: keys.kid: is required for HS256"),
    (f"- {{alg: HS256, kid: a b, secret: {SECRET}}}", "cfg.yml, line 3: keys.kid: has to be 1 to 64"),
    (f"- {{alg: HS384, kid: a, secret: {SECRET}}}", "cfg.yml, line 3: keys.secret: has to be 48 bytes long at least for HS384"),
    (f"- {{alg: HS512, kid: a, secret: {SECRET}}}", "keys.secret: has to be 64 bytes long at least for HS512; this one has 34"),
    ("- {alg: HS256, kid: a, secretFile: same}", "cfg.yml, line 3: keys.secretFile: is one character repeated"),
    ("- {alg: HS256, kid: a, secretFile: empty}", "keys.secretFile: empty is empty"),
    ("- {alg: HS256, kid: a, secretFile: ec.pub}", "keys.secretFile: is a PEM, SSH or JWK key, which HS256 must not use"),
    (f"- {{alg: HS256, kid: a, secret: {SECRET}, secretFile: secret}}", "keys.secret: is given beside secretFile"),
    ("- {alg: ES256, keyFile: none.pem}", "cfg.yml, line 3: keys.keyFile: names a file that does not exist"),
    ("- {alg: ES256, keyFile: rsa.pem}", "cfg.yml, line 3: keys.keyFile: is not an EC key of curve P-256, which ES256 needs"),
    ("- {alg: ES256, keyFile: p384.pem}", "keys.keyFile: is an EC key of another curve: ES256 needs P-256"),
    ("- {alg: RS256, keyFile: small.pem}", "keys.keyFile: is an RSA key of 1024 bits: it has to have 2048 to 8192"),
    ("- {alg: EdDSA, keyFile: secret}", "keys.keyFile: is no key in PEM"),
    ("- {alg: ES256, keyFile: ec.pub}", "cfg.yml, line 2: keys: holds no key that signs now or later"),
    ("- {alg: ES256, keyFile: ec.pem, kid: a}\n- {alg: EdDSA, keyFile: ed.pem, kid: a}",
     "line 4: keys.kid: is another key's name"),
    ("- {alg: ES256, keyFile: ec.pem}\n- {alg: ES256, keyFile: ec.pem, kid: b}",
     "line 4: keys.alg: is of a key that stands in this"),
    ("- {alg: ES256, keyFile: ec.pem, from: tomorrow}", "keys.from: has to be a date and time with its zone"),
    ("- {alg: ES256, keyFile: ec.pem, from: 2027-01-31}", "keys.from: has to be a date and time with its zone"),
    ("- {alg: ES256, keyFile: ec.pem, from: 2027-02-01T00:00:00Z, until: 2027-01-01T00:00:00Z}",
     "keys.until: has to be after `from`"),
    ("- {alg: ES256, keyFile: ec.pem, from: 2099-01-01T00:00:00Z}", "keys: leaves a gap, now, in which no key signs"),
    ("- {alg: ES256, keyFile: ec.pem, until: 2098-01-01T00:00:00Z}\n- {alg: ES256, keyFile: ec2.pem, from: 2099-01-01T00:00:00Z}",
     "keys: leaves a gap, from 2098-01-01T00:00:00Z on, in which no key signs"),
    ("- {alg: ES256, keyFile: ec.pem, until: 2001-01-01T00:00:00Z}", "keys: holds no key that signs now or later"),
    ("- {alg: ES256, keyFile: ec.pem, kdi: a}", "cfg.yml, line 3: ?: is not a known key: did you mean kid?"),
    ("- {alg: ES256, alg: ES256, keyFile: ec.pem}", "keys.alg: was given already in this section"),
    ("- text", "cfg.yml, line 3: keys: has to be a section of `key: value` lines"),
    ("  {secretFile: root, alg: EdDSA, iss: i}", "keys.every: is required: 24h, say"),
    ("  {secretFile: root, every: 24h, iss: i}", "keys.alg: is required: EdDSA, ES256 or HS256"),
    ("  {alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: is required: a file of 32 random bytes"),
    ("  {secretFile: root, alg: EdDSA, every: 24h}", "keys.iss: is required, here or as claims.iss"),
    ("  {secretFile: root, alg: RS256, every: 24h, iss: i}", "keys.alg: has to be EdDSA or ES256 or HS256"),
    ("  {secretFile: root, alg: EdDSA, every: 9s, iss: i}", "keys.every: has to be a time from 10"),
    ("  {secretFile: root, alg: EdDSA, every: 10.5s, iss: i}", "keys.every: has to be whole seconds"),
    ("  {secretFile: root, alg: EdDSA, every: 1h, iss: i}", "keys.every: would make 27 keys known at a time"),
    ("  {secretFile: short, alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: holds a secret of 31 bytes"),
    ("  {secretFile: words, alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: holds a secret that looks made by a person"),
    ("  {secretFile: phrase, alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: holds a secret"),
    ("  {secretFile: same, alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: holds a secret that looks made by a person"),
    ("  {secretFile: ec.pem, alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: holds a PEM, SSH or JWK key"),
    ("  {secretFile: jwk, alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: holds a PEM, SSH or JWK key"),
    ("  {secretFile: empty, alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: holds a secret of 0 bytes"),
    ("  {secretFile: [], alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: names no file"),
    ("  {secretFile: [root, none], alg: EdDSA, every: 24h, iss: i}", "keys.secretFile: names a file that does not exist"),
]  # fmt: skip # a table


@pytest.mark.parametrize(("keys", "problem"), BAD, ids=[row[0][:70] for row in BAD])
def test_what_is_refused(folder: Path, keys: str, problem: str) -> None:
    """Each mistake is told with its place and what to do, once, and without a word of a secret."""
    error = failure(folder, text_of(keys))
    found = [text for text in told(folder, error) if problem in text]
    assert len(found) == 1, told(folder, error)
    assert len(error.problems) == 1
    for secret in (
        "sesame",
        "horse",
        "Horse",
        "c2VjcmV0",
        (folder / "root").read_text().strip(),
        "MIG",
        "PRIVATE KEY-----\nM",
    ):
        assert secret not in dump(error)


def test_all_problems_together(folder: Path) -> None:
    """Problems of several keys, and of other keys of the file, are told together."""
    keys = "- {alg: ES256}\n- {alg: X, keyFile: ec.pem}\n- {alg: HS256, secret: short, kid: a}"
    problems = told(folder, failure(folder, text_of(keys, "port: many")))
    assert [text.partition(":")[0] for text in problems] == [f"cfg.yml, line {line}" for line in (3, 4, 5, 6)]


def test_good_ones(folder: Path) -> None:
    """Every form of a key is read: PEM and JWK, secrets from the file and from another one, times, names."""
    config = loaded(
        folder,
        f"- {{alg: ES256, keyFile: ec.pem, from: 2026-01-31T00:00:00+01:00}}\n- {{alg: RS256, keyFile: rsa.pem, kid: r}}\n"
        f"- {{alg: EdDSA, keyFile: ed.pem, kid: ed, until: 2099-01-01t00:00:00z}}\n"
        f"- {{alg: HS256, kid: 1, secretFile: secret}}\n- {{alg: HS512, kid: two, secret: {LONG}}}\n",
    )
    entries = config.keys.entries
    assert [(entry.algorithm, entry.kid) for entry in entries] == [
        *(("ES256", ""), ("RS256", "r"), ("EdDSA", "ed"), ("HS256", "1"), ("HS512", "two")),
    ]
    assert entries[0].begins == 1_769_814_000
    assert entries[2].until == 4_070_908_800
    assert entries[3].material.reveal() == SECRET.encode()
    assert config.keys.secret is None
    assert config.remote.request_key is None
    assert config.jwks.route == "/.well-known/jwks.json"
    names = {Path(name).name for name in config.files}
    assert names == {"cfg.yml", "ec.pem", "rsa.pem", "ed.pem", "secret"}
    assert config.warnings == ()


@pytest.mark.parametrize("name", ["root", "hex", "raw"])
def test_secrets_of_rotation(folder: Path, name: str) -> None:
    """A secret is read as base64, as hexadecimal digits, or as it is."""
    config = loaded(folder, f"  {{secretFile: {name}, alg: ES256, every: 24h}}", "claims: {iss: https://login.example}")
    rotation = config.keys.rotation
    assert rotation is not None
    text = (folder / name).read_bytes()
    expected = {
        "root": lambda: base64.b64decode(text),
        "hex": lambda: bytes.fromhex(text.decode()),
        "raw": lambda: text,
    }[name]()
    assert rotation.secrets[0].reveal() == expected
    assert (rotation.every_s, rotation.lead_s, rotation.issuer) == (86_400, 86_400, "https://login.example")
    assert (config.jwks.max_age_s, config.jwks.issuer) == (900, "https://login.example")


def test_random_secrets_are_never_refused(folder: Path) -> None:
    """A secret of random bytes is good, in base64 and as it is."""
    for _ in range(150):
        raw = secrets.token_bytes(32)
        for data in (raw, base64.b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"="), raw.hex().encode()):
            (folder / "root").write_bytes(data)
            config = loaded(folder, "  {secretFile: root, alg: HS256, every: 24h, iss: i}")
            assert config.keys.rotation is not None
            assert config.keys.rotation.secrets[0].reveal() == raw


def test_the_environment(folder: Path) -> None:
    """A keyset comes from the environment as JSON, or as YAML in one line."""
    entries: list[dict[str, Any]] = [
        {"alg": "ES256", "keyFile": "ec.pem"},
        {"alg": "HS256", "kid": "h", "secret": SECRET},
    ]
    for text in (json.dumps(entries), "[{alg: ES256, keyFile: ec.pem}, {alg: HS256, kid: h, secret: " + SECRET + "}]"):
        config = load_text(folder, f"remote: {REMOTE}\n", {"TXTOKEN_KEYS": text})
        assert [entry.algorithm for entry in config.keys.entries] == ["ES256", "HS256"]
    error = failure(folder, f"remote: {REMOTE}\n", {"TXTOKEN_KEYS": json.dumps([{"alg": "HS256", "secret": SECRET}])})
    assert told(folder, error) == [
        "environment TXTOKEN_KEYS: keys.kid: is required for HS256: a name for the key, like 2027-01"
    ]
    for text in ("text", "{", "[", '["a"]', f"[{SECRET}]"):
        error = failure(folder, f"remote: {REMOTE}\n", {"TXTOKEN_KEYS": text})
        assert "environment TXTOKEN_KEYS" in told(folder, error)[0]
        assert "sesame" not in dump(error)


def test_warnings(folder: Path) -> None:
    """What may not be what was meant is a warning: a keyset that ends, tokens that are cut, an issuer by http, short periods."""
    ends = loaded(folder, "- {alg: ES256, keyFile: ec.pem, until: 2099-01-01T00:00:00Z}").warnings
    assert ends == ("keys ends at 2099-01-01T00:00:00Z: no key signs from then on. Add the next one before",)
    http = loaded(folder, "- {alg: ES256, keyFile: ec.pem}", "claims: {iss: http://login.example}").warnings
    assert http == ("claims.iss is an http URL: many verifiers fetch keys by https alone",)
    short = loaded(folder, "  {secretFile: root, alg: HS256, every: 10s, iss: i}", "expHours: 0.01").warnings
    assert short == ("keys.every is 10 s: verifiers fetch keys every few minutes, or hours",)


def test_a_short_lead_is_a_warning(folder: Path) -> None:
    """A key that signs less than three hours after it appears, and one of another algorithm, are warnings of a reload."""
    before = loaded(folder, "- {alg: ES256, keyFile: ec.pem, kid: a}").keys
    now = time.time()

    def said(entry: str) -> list[str]:
        return short_leads(before, loaded(folder, f"- {{alg: ES256, keyFile: ec.pem, kid: a}}\n{entry}").keys, now)

    assert said("") == []
    assert said("- {alg: ES256, keyFile: ec2.pem, kid: b, from: 2099-01-01T00:00:00Z}") == []
    assert said("- {alg: ES256, keyFile: ec2.pem, kid: b}") == [
        "the key b signs less than 3 h after it was published: verifiers that cache keys may not know it"
    ]
    assert said(f"- {{alg: HS256, kid: b, secret: {SECRET}}}") == []
    assert said("- {alg: EdDSA, keyFile: ed.pem, kid: b, from: 2099-01-01T00:00:00Z}") == [
        "the key b has another algorithm: restart verifiers that learn it at start before it signs"
    ]


def test_enc_key_beside_keys(folder: Path) -> None:
    """`encKey` may stand beside a keyset, and then signs what is shown to the remote."""
    config = loaded(folder, "- {alg: ES256, keyFile: ec.pem, from: 2099-01-01T00:00:00Z}", f"encKey: {KEY}")
    assert config.keys.secret is not None
    assert config.remote.request_key == config.keys.secret
