"""The key `keys` (contract §5): good forms, and every wrong one with its file and line. No message holds anything of a secret."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import datetime
from math import inf
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from tests.config.key_files import LONG, ROOT
from tests.configuring import KEY, OTHER_KEY, REMOTE, dump, failure, load_text, told
from tests.service.keys.material import jwk_text, other_keys, pair, pem
from txtoken.config import key_settings
from txtoken.config.keyset import KEYSET
from txtoken.service.keys.build import build_key, build_ring
from txtoken.settings import HIDDEN, Config, KeyEntry, RotationSettings, Secret

PAST: Final = "2020-01-01T00:00:00Z"
ROTATING: Final = "keys: {secretFile: @root, alg: EdDSA, every: 24h, iss: 'https://a'}"


def file_of(folder: Path, text: str) -> str:
    """Write a configuration with `keys` and without `encKey`, from line 2 on."""
    return f"remote: {REMOTE}\n{text}".replace("@", f"{folder}/")


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    """Load it."""
    return load_text(folder, file_of(folder, text), environ)


def problems(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    """Return what is wrong with it, and see that no secret is in it."""
    error = failure(folder, file_of(folder, text), environ)
    for secret in (
        LONG,
        KEY,
        OTHER_KEY,
        base64.b64encode(ROOT).decode(),
        "MIG",
        json.loads(jwk_text(pair("ES256")))["d"],
    ):
        assert secret not in dump(error)
    return told(folder, error)


# Good forms


@pytest.mark.parametrize(
    ("text", "algorithms"),
    [
        ("keys: [{alg: ES256, keyFile: @ec.pem}]", ["ES256"]),
        ("keys:\n- alg: ES256\n  keyFile: @ec.jwk", ["ES256"]),
        ("keys: [{alg: RS256, keyFile: @rsa.pem, kid: a}, {alg: EdDSA, keyFile: @ed.pem}]", ["RS256", "EdDSA"]),
        ("keys: [{alg: PS256, keyFile: @rsa.jwk}]", ["PS256"]),
        (
            f"keys: [{{alg: HS256, kid: a, secret: {LONG}}}, {{alg: HS384, kid: b, secret: {LONG}b}}]",
            ["HS256", "HS384"],
        ),
        ("keys: [{alg: HS512, kid: 2027-01, secretFile: @secret}]", ["HS512"]),
        ("keys: [{alg: ES256, keyFile: @ec.pub}, {alg: ES256, keyFile: @ec2.pem}]", ["ES256", "ES256"]),
        (f"encKey: {KEY}\nkeys: [{{alg: ES256, keyFile: @ec.pub}}]", ["ES256"]),
        (f"encKey: {KEY}\nkeys: [{{alg: ES256, keyFile: @ec.pem, from: 2099-01-01T00:00:00+01:00}}]", ["ES256"]),
    ],
)
def test_lists(folder: Path, text: str, algorithms: list[str]) -> None:
    """Lists of keys are read as they stand, and nothing is warned of."""
    config = loaded(folder, text)
    assert [entry.algorithm for entry in config.keys.entries] == algorithms
    assert config.keys.rotation is None
    assert not config.warnings
    ring = build_ring(config.keys, 60)
    assert ring.signer(time.time()) is not None
    assert bool(ring.jwks) is any(algorithm[:2] != "HS" for algorithm in algorithms)
    assert (config.jwks.route == "/.well-known/jwks.json") is bool(ring.jwks)


def test_times(folder: Path) -> None:
    """`from` and `until` are moments with their zone."""
    text = "keys: [{alg: ES256, keyFile: @ec.pem, from: 2020-01-01T01:00:00+01:00, until: '2099-12-31T23:59:59.5z'}]"
    config = loaded(folder, text)
    (entry,) = config.keys.entries
    assert (entry.begins, entry.until) == (1577836800, 4102444799.5)
    (warning,) = config.warnings
    assert "2099-12-31T23:59:59Z" in warning


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2027-01-31t00:00:00.123456+05:30"])
def test_any_moment_can_be_written_again(folder: Path, moment: str) -> None:
    """What was read of a keyset can be shown, whenever its keys begin and end; no secret is in it."""
    other = "from" if moment.startswith("0001") else "until"
    listed = loaded(folder, f"keys: [{{alg: ES256, keyFile: @ec.pem, {other}: {moment}}}]").keys.listed
    shown: Any = KEYSET.write(listed)
    assert shown[0]["keyFile"] == HIDDEN
    assert datetime.fromisoformat(shown[0][other]) == datetime.fromisoformat(moment.upper())


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "10000-01-01T00:00:00Z"])
def test_moments_of_other_ages(folder: Path, moment: str) -> None:
    """What is outside of the years 1 to 9999 in UTC is no moment."""
    (said,) = problems(folder, f"keys: [{{alg: ES256, keyFile: @ec.pem, until: '{moment}'}}]")
    assert "keys.until: has to be a date and time" in said


def test_a_secret_from_a_file_loses_its_line_end(folder: Path) -> None:
    """One line end at the end of the file is no part of the secret."""
    (entry,) = loaded(folder, "keys: [{alg: HS256, kid: a, secretFile: @secret}]").keys.entries
    assert entry.material.reveal() == LONG.encode()


@pytest.mark.parametrize(
    "content",
    [
        ROOT,
        base64.b64encode(ROOT),
        base64.b64encode(ROOT) + b"\n",
        base64.urlsafe_b64encode(ROOT).rstrip(b"="),
        ROOT.hex().encode(),
        ROOT.hex().upper().encode() + b"\r\n",
        b"\n".join((base64.b64encode(ROOT)[:20], base64.b64encode(ROOT)[20:])),
    ],
    ids=["raw", "base64", "base64 with line end", "base64url", "hexadecimal", "upper hexadecimal", "two lines"],
)
def test_forms_of_a_root(folder: Path, content: bytes) -> None:
    """Bytes, base64 and hexadecimal of the same secret are the same secret."""
    (folder / "root").write_bytes(content)
    config = loaded(folder, ROTATING)
    assert config.keys.rotation == RotationSettings((Secret(ROOT),), "EdDSA", "https://a", 86400, 86400)
    assert not config.warnings


def test_rotation(folder: Path) -> None:
    """Defaults: `iss` is `claims.iss`, `lead` the smaller of a day and `every`. Several secrets keep their order."""
    text = "claims: {iss: 'https://b'}\nkeys: {secretFile: [@root2, @root], alg: ES256, every: 7d}"
    assert loaded(folder, text).keys.rotation == RotationSettings(
        (Secret(ROOT[::-1]), Secret(ROOT)), "ES256", "https://b", 7 * 86400, 86400
    )
    text = "expHours: 1\nkeys: {secretFile: @root, alg: HS256, every: 12h, lead: 0s, iss: a}"
    assert loaded(folder, text).keys.rotation == RotationSettings((Secret(ROOT),), "HS256", "a", 43200, 0)


def test_random_secrets_are_taken(folder: Path) -> None:
    """Of 3000 secrets that `openssl rand -base64 32` could have made each is taken."""
    random = Random(4648)
    for _ in range(3000):
        raw = random.randbytes(32)
        assert not key_settings._looks_made_up(raw)
        assert not key_settings._looks_made_up(raw.hex().encode())
        assert key_settings._decoded(base64.b64encode(raw)) == raw
        assert key_settings._decoded(raw.hex().encode()) == raw
    refused = sum(key_settings._looks_made_up(base64.b64encode(random.randbytes(32))) for _ in range(3000))
    assert refused == 0  # one of 100 000 is


# From the environment


def test_from_the_environment(folder: Path) -> None:
    """TXTOKEN_KEYS holds JSON, or YAML in one text."""
    listed: list[dict[str, Any]] = [{"alg": "ES256", "keyFile": f"{folder}/ec.pem", "kid": "a", "from": PAST}]
    config = loaded(folder, "port: 1", {"TXTOKEN_KEYS": json.dumps(listed)})
    assert [entry.kid for entry in config.keys.entries] == ["a"]
    assert f"{folder}/ec.pem" in config.files
    rotating = {"alg": "EdDSA", "secretFile": f"{folder}/root", "every": "24h", "iss": "a"}
    assert loaded(folder, "port: 1", {"TXTOKEN_KEYS": json.dumps(rotating)}).keys.rotation is not None
    over = loaded(folder, "keys: [{alg: EdDSA, keyFile: @ed.pem}]", {"TXTOKEN_KEYS": json.dumps(listed)})
    assert [entry.algorithm for entry in over.keys.entries] == ["ES256"]


@pytest.mark.parametrize(
    "text", ["x", "5", '"x"', "[", "{", "[1]", "[[]]", "{]", "\ufeff[]", "[" * 3000, "[{alg: ES256}", "null", "&a [*a]"]
)
def test_a_bad_environment(folder: Path, text: str) -> None:
    """What is no keyset in the environment is named by its variable, and not quoted."""
    for problem in problems(folder, "port: 1", {"TXTOKEN_KEYS": text}):
        assert problem.startswith(("environment TXTOKEN_KEYS: keys", "configuration: ")), problem
        assert "[[[" not in problem
    secret = json.dumps([{"alg": "HS256", "secret": LONG}])
    assert problems(folder, "port: 1", {"TXTOKEN_KEYS": secret}) == [
        "environment TXTOKEN_KEYS: keys.kid: is required for HS256: a name for the key, like 2027-01"
    ]


# Wrong entries


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{keyFile: @ec.pem}", "keys.alg: is required, for example ES256"),
        ("{alg: , keyFile: @ec.pem}", "keys.alg: is required, for example ES256"),
        ("{alg: ES512, keyFile: @ec.pem}", "keys.alg: has to be HS256 or"),
        ("{alg: none, keyFile: @ec.pem}", "keys.alg: has to be HS256 or"),
        ("{alg: [ES256], keyFile: @ec.pem}", "keys.alg: has to be"),
        ("{alg: ES256}", "keys.keyFile: is required for ES256"),
        ("{alg: ES256, keyFile: }", "keys.keyFile: is required for ES256"),
        ("{alg: HS256, kid: a}", "keys.secret: is required for HS256"),
        (f"{{alg: HS256, secret: {LONG}}}", "keys.kid: is required for HS256"),
        ("{alg: HS256, secretFile: @secret}", "keys.kid: is required for HS256"),
        (f"{{alg: HS256, kid: a, secret: {LONG}, secretFile: @secret}}", "keys.secret: is set beside secretFile"),
        (f"{{alg: ES256, secret: {LONG}}}", "keys.secret: is not for ES256: it needs keyFile"),
        (f"{{alg: ES256, keyFile: @ec.pem, secret: {LONG}}}", "keys.secret: is not for ES256"),
        ("{alg: EdDSA, secretFile: @secret}", "keys.secretFile: is not for EdDSA"),
        ("{alg: HS256, kid: a, keyFile: @ec.pem}", "keys.keyFile: is not for HS256"),
        (
            f"{{alg: HS256, kid: a, secret: {LONG[:31]}}}",
            "keys.secret: has to be 32 bytes long at least for HS256; this one has 31",
        ),
        (
            f"{{alg: HS384, kid: a, secret: {LONG[:47]}}}",
            "keys.secret: has to be 48 bytes long at least for HS384; this one has 47",
        ),
        (
            f"{{alg: HS512, kid: a, secret: {LONG[:63]}}}",
            "keys.secret: has to be 64 bytes long at least for HS512; this one has 63",
        ),
        ("{alg: HS256, kid: a, secretFile: @empty}", "is empty"),
        ("{alg: HS256, kid: a, secretFile: @line}", "is empty"),
        ("{alg: HS256, kid: a, secret: ''}", "keys.secret: has to be 32 bytes long at least for HS256; this one has 0"),
        (f"{{alg: HS256, kid: a, secret: {'x' * 40}}}", "keys.secret: is one character repeated"),
        (
            "{alg: HS256, kid: a, secret: replace-this-key-before-anyone-uses-it}",
            "keys.secret: is the example file's key",
        ),
        ("{alg: HS256, kid: a, secretFile: @ec.pem}", "keys.secretFile: is a PEM, SSH or JWK key"),
        ("{alg: HS256, kid: a, secretFile: @ec.jwk}", "keys.secretFile: is a PEM, SSH or JWK key"),
        ("{alg: HS256, kid: a, secretFile: @ec.pub}", "keys.secretFile: is a PEM, SSH or JWK key"),
        ("{alg: ES256, keyFile: @secret}", "keys.keyFile: is not a key in PEM"),
        ("{alg: ES256, keyFile: @empty}", "keys.keyFile: "),
        ("{alg: ES256, keyFile: @gone}", "keys.keyFile: names a file that does not exist"),
        ("{alg: ES256, keyFile: @}", "is not a file"),
        (f"{{alg: ES256, keyFile: {LONG}}}", "keys.keyFile: names a file that does not exist"),
        ("{alg: ES256, keyFile: @rsa.pem}", "keys.keyFile: is not an EC key"),
        ("{alg: ES256, keyFile: @ec.pem, kid: a b}", "keys.kid: has to be 1 to 64 letters"),
        ("{alg: ES256, keyFile: @ec.pem, kid: ''}", "keys.kid: has to be 1 to 64 letters"),
        (f"{{alg: ES256, keyFile: @ec.pem, kid: {'k' * 65}}}", "keys.kid: has to be 1 to 64 letters"),
        ('{alg: ES256, keyFile: @ec.pem, kid: "a\\n"}', "keys.kid: has to be 1 to 64 letters"),
        ("{alg: ES256, keyFile: @ec.pem, kid: é}", "keys.kid: has to be 1 to 64 letters"),
        ("{alg: ES256, keyFile: @ec.pem, from: 2027-01-01}", "keys.from: has to be a date and time with its zone"),
        (
            "{alg: ES256, keyFile: @ec.pem, from: 2027-01-01T00:00:00}",
            "keys.from: has to be a date and time with its zone",
        ),
        ("{alg: ES256, keyFile: @ec.pem, until: 1800000000}", "keys.until: has to be a date and time"),
        ("{alg: ES256, keyFile: @ec.pem, until: 2027-02-30T00:00:00Z}", "keys.until: has to be a date and time"),
        (
            "{alg: ES256, keyFile: @ec.pem, from: 2027-01-01T00:00:00Z, until: 2026-01-01T00:00:00Z}",
            "keys.until: has to be after",
        ),
        (
            "{alg: ES256, keyFile: @ec.pem, from: 2027-01-01T00:00:00Z, until: 2027-01-01T01:00:00+01:00}",
            "keys.until: has to be after",
        ),
        ("{alg: ES256, keyFile: @ec.pem, keyFil: x}", "is not a known key"),
        (f"{{alg: ES256, keyFile: @ec.pem, {LONG}: x}}", "is not a known key"),
        ("{alg: ES256, keyFile: @ec.pem, alg: ES256}", "is already set in this section"),
        ("{alg: ES256, keyFile: [@ec.pem]}", "keys.keyFile: "),
        ("5", "keys: has to be a section"),
        ("[]", "keys: has to be a section"),
        ("", "keys: has to be a section"),
        (LONG, "keys: has to be a section"),
    ],
)
def test_a_wrong_entry(folder: Path, entry: str, problem: str) -> None:
    """A wrong entry is one problem, with its line, and the good one beside it is none."""
    (said,) = problems(folder, f"keys:\n- {{alg: ES256, keyFile: @ec2.pem, kid: good}}\n- {entry}")
    assert said.startswith("cfg.yml, line 4: ")
    assert problem in said


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_a_key_of_another_kind_is_no_secret(folder: Path, algorithm: str) -> None:
    """Wherever a secret is asked for, a public key in any form is refused with the place, and not quoted."""
    why = "is a PEM, SSH or JWK key"
    for form, content in other_keys(algorithm).items():
        (folder / "public").write_bytes(content + b"\n")
        is_text = not form.endswith("DER") and form != "PKCS #1"
        texts = {"keys: [{alg: HS256, kid: a, secretFile: @public}]": "keys.secretFile"}
        texts[ROTATING.replace("root", "public")] = "keys.secretFile"
        if is_text:
            quoted = json.dumps(content.decode())
            texts["encKeyFile: @public"] = "encKeyFile"
            texts[f"requestKeyFile: @public\nencKey: {KEY}"] = "requestKeyFile"
            texts[f"encKey: {quoted}"] = "encKey"
            texts[f"keys: [{{alg: HS512, kid: a, secret: {quoted}}}]"] = "keys.secret"
        for text, key in texts.items():
            if len(content) < 64 and "HS512" in text:
                continue  # is too short for that, which is told first
            (said,) = problems(folder, text)
            assert said.startswith(f"cfg.yml, line 2: {key}: "), form
            assert why in said or (text.startswith("keys: {") and "contains a PEM, SSH or JWK key" in said), form
            assert content.decode("latin-1").strip()[:16] not in said


def test_a_thumbprint_is_no_name_of_a_secret(folder: Path) -> None:
    """RFC 7638 §7: anyone who sees it could test guesses."""
    text = b'{"k":"%b","kty":"oct"}' % base64.urlsafe_b64encode(LONG.encode()).rstrip(b"=")
    kid = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
    (said,) = problems(folder, f"keys: [{{alg: HS256, kid: {kid}, secret: {LONG}}}]")
    assert "keys.kid: is the thumbprint of the secret" in said


@pytest.mark.parametrize("kid", ["a b", "a\n", "é", "k" * 65, "{}", "a\u2028"])
def test_a_bad_name_in_a_jwk(folder: Path, kid: str) -> None:
    """A JWK's own name is held to the same rule, and not quoted; another given beside it will do."""
    (folder / "own.jwk").write_bytes(jwk_text(pair("ES256"), kid=kid))
    (said,) = problems(folder, "keys: [{alg: ES256, keyFile: @own.jwk}]")
    assert "keys.keyFile: is a JWK whose name (kid) is not" in said
    assert loaded(folder, "keys: [{alg: ES256, keyFile: @own.jwk, kid: a}]").keys.entries


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (
            ["{alg: ES256, keyFile: @ec.pem, kid: a}", "{alg: EdDSA, keyFile: @ed.pem, kid: a}"],
            "is already the name of another key: a",
        ),
        (["{alg: ES256, keyFile: @ec.pem}", "{alg: ES256, keyFile: @ec.pem}"], "keys.keyFile: is in this list"),
        (["{alg: ES256, keyFile: @ec.pem}", "{alg: ES256, keyFile: @ec.jwk}"], "keys.keyFile: is in this list"),
        (
            [f"{{alg: HS256, kid: a, secret: {LONG}}}", f"{{alg: HS256, kid: a, secret: {LONG}}}"],
            "keys.secret: is in this list",
        ),
        (["{alg: ES256, keyFile: @ec.pem}", "{alg: ES256, keyFile: @ec.pem, kid: b}"], "in this list already"),
        (["{alg: ES256, keyFile: @ec.pem}", "{alg: ES256, keyFile: @ec.jwk, kid: b}"], "in this list already"),
        (["{alg: ES256, keyFile: @ec.pem}", "{alg: ES256, keyFile: @ec.pub, kid: b}"], "in this list already"),
        (
            ["{alg: RS256, keyFile: @rsa.pem, kid: a}", "{alg: PS256, keyFile: @rsa.pem, kid: b}"],
            "one algorithm",
        ),
        (
            ["{alg: RS256, keyFile: @rsa.pem, kid: a}", "{alg: PS256, keyFile: @rsa.jwk, kid: b}"],
            "one algorithm",
        ),
        (
            ["{alg: HS256, kid: a, secretFile: @secret}", f"{{alg: HS512, kid: b, secret: {LONG}}}"],
            "one algorithm",
        ),
    ],
)
def test_two_entries_that_clash(folder: Path, entries: list[str], problem: str) -> None:
    """Two keys of one name, and one key twice in whatever form, are refused at the second."""
    (said,) = problems(folder, "keys:\n" + "\n".join(f"- {entry}" for entry in entries))
    assert said.startswith("cfg.yml, line 4: keys.")
    assert problem in said


def test_names_differ_by_case(folder: Path) -> None:
    """RFC 7517 §4.5: case counts."""
    assert loaded(folder, "keys: [{alg: ES256, keyFile: @ec.pem, kid: a}, {alg: EdDSA, keyFile: @ed.pem, kid: A}]")


# Times

LATER: Final = "{alg: ES256, keyFile: @ec2.pem, from: 2098-01-01T00:00:01Z}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("keys: []", "contains no key"),
        ("keys: [{alg: ES256, keyFile: @ec.pub}]", "contains no key that signs now or later"),
        (f"keys: [{{alg: ES256, keyFile: @ec.pem, until: {PAST}}}]", "contains no key that signs now or later"),
        (
            "keys: [{alg: ES256, keyFile: @ec.pem, from: 2099-01-01T00:00:00Z}]",
            "has no key that signs before 2099-01-01T00:00:00Z: keep the",
        ),
        (
            "keys: [{alg: ES256, keyFile: @ec.pem, until: 2020-01-01T00:00:00Z}, *later]".replace("*later", LATER),
            "has no key that signs before 2098-01-01T00:00:01Z",
        ),
        (
            "keys: [{alg: ES256, keyFile: @ec.pem, until: 2098-01-01T00:00:00Z}, *later]".replace("*later", LATER),
            "has a gap: no key signs from 2098-01-01T00:00:00Z on",
        ),
    ],
)
def test_a_keyset_that_does_not_sign(folder: Path, text: str, problem: str) -> None:
    """No key, public halves alone, and a gap, now or later, are errors."""
    (said,) = problems(folder, text)
    assert said.startswith("cfg.yml, line 2: keys: ")
    assert problem in said


def test_warnings(folder: Path) -> None:
    """A keyset that ends, and keys that tokens would outlive, are warnings."""
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    warnings = loaded(folder, f"keys: [{{alg: ES256, keyFile: @ec.pem, kid: a, until: {soon}}}]").warnings
    assert any(warning.startswith(f"keys ends at {soon}") for warning in warnings)
    assert any("tokens of the key a expire with it" in warning for warning in warnings)
    text = f"keys: [{{alg: ES256, keyFile: @ec.pem, until: {soon}}}, {{alg: ES256, keyFile: @ec2.pem, from: {soon}}}]"
    assert not loaded(folder, text).warnings


def test_a_public_key_with_a_beginning(folder: Path) -> None:
    """It never signs, so that its `from` was meant for another file."""
    text = f"encKey: {KEY}\nkeys: [{{alg: ES256, kid: a, keyFile: @ec.pub, from: 2099-01-01T00:00:00Z}}]"
    assert loaded(folder, text).warnings == ("keys: a is a public key and never signs: its `from` has no effect",)


def test_a_gap_that_another_fault_leaves_is_not_told(folder: Path) -> None:
    """Where encKey is not right, that is what is reported."""
    (said,) = problems(folder, "encKey: short\nkeys: [{alg: ES256, keyFile: @ec.pem, from: 2099-01-01T00:00:00Z}]")
    assert said.startswith("cfg.yml, line 2: encKey: ")


# Keys that rotate by themselves


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{alg: EdDSA, every: 24h, iss: a}", "keys.secretFile: is required"),
        ("{secretFile: @root, every: 24h, iss: a}", "keys.alg: is required: EdDSA, ES256 or HS256"),
        ("{secretFile: @root, alg: EdDSA, iss: a}", "keys.every: is required"),
        ("{secretFile: @root, alg: EdDSA, every: 24h}", "keys.iss: is required"),
        ("{secretFile: @root, alg: EdDSA, every: 24h, iss: ''}", "keys.iss: is required"),
        ("{secretFile: @root, alg: RS256, every: 24h, iss: a}", "keys.alg: has to be EdDSA or ES256 or HS256"),
        ("{secretFile: @root, alg: EdDSA, every: 9s, iss: a}", "keys.every: has to be a time from 10"),
        ("{secretFile: @root, alg: EdDSA, every: 367d, iss: a}", "keys.every: has to be a time from 10"),
        ("{secretFile: @root, alg: EdDSA, every: 86400.5, iss: a}", "keys.every: has to be a whole number of seconds"),
        ("{secretFile: @root, alg: EdDSA, every: 24h, lead: -1s, iss: a}", "keys.lead: has to be a time"),
        ("{secretFile: @root, alg: EdDSA, every: 1h, iss: a}", "would make 27 keys valid at a time"),
        ("{secretFile: @root, alg: EdDSA, every: 1d, lead: 14d, iss: a}", "would make 17 keys valid at a time"),
        ("{secretFile: [], alg: EdDSA, every: 24h, iss: a}", "keys.secretFile: names no file"),
        (
            "{secretFile: [@root, @root], alg: EdDSA, every: 24h, iss: a}",
            "keys.secretFile: lists the same secret twice",
        ),
        (
            "{secretFile: [@root, @gone], alg: EdDSA, every: 24h, iss: a}",
            "keys.secretFile: names a file that does not exist",
        ),
        ("{secretFile: @empty, alg: EdDSA, every: 24h, iss: a}", "contains a secret of 0 bytes"),
        ("{secretFile: @ec.pem, alg: EdDSA, every: 24h, iss: a}", "keys.secretFile: contains a PEM, SSH or JWK key"),
        ("{secretFile: @ec.jwk, alg: EdDSA, every: 24h, iss: a}", "keys.secretFile: contains a PEM, SSH or JWK key"),
        ("{secretFile: @root, alg: EdDSA, every: 24h, iss: a, kid: b}", "is not a known key"),
        ("{secretFile: @root, alg: EdDSA, every: 24h, iss: a, secret: b}", "is not a known key"),
    ],
)
def test_a_wrong_rotation(folder: Path, text: str, problem: str) -> None:
    """What is wrong with keys that rotate is one problem."""
    (said,) = problems(folder, f"keys: {text}")
    assert said.startswith("cfg.yml, line 2: ")
    assert problem in said


def test_a_root_with_a_byte_order_mark(folder: Path) -> None:
    """An editor that adds one would make other keys; bytes that merely begin so are bytes."""
    (folder / "root").write_bytes(b"\xef\xbb\xbf" + base64.b64encode(ROOT))
    (said,) = problems(folder, ROTATING)
    assert "keys.secretFile: begins with a byte order mark" in said
    (folder / "root").write_bytes(b"\xef\xbb\xbf" + ROOT)
    assert loaded(folder, ROTATING).keys.rotation


def test_room_for_a_second_root(folder: Path) -> None:
    """With more than eight keys known at a time the secret cannot be replaced without a gap, and a warning says so before."""
    text = "keys: {secretFile: @root, alg: EdDSA, every: 1d, lead: 6d, iss: a}"
    assert loaded(folder, text.replace("6d", "5d")).warnings == ()
    (warning,) = loaded(folder, text).warnings
    assert warning.startswith("keys.every: 9 keys are valid at a time: a second secret")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (ROOT[:31], "contains a secret of 31 bytes"),
        (base64.b64encode(ROOT[:31]), "contains a secret of 31 bytes, decoded: it has"),
        (b"\xff" * 31, "contains a secret of 31 bytes: it has"),
        (ROOT[:31].hex().encode(), "contains a secret of 31 bytes"),
        (ROOT[:24].hex().encode(), "contains a secret of 24 bytes"),
        (bytes(32), "looks made by a person"),
        (bytes(range(8)) * 8, "looks made by a person"),
        (base64.b64encode(bytes(48)), "looks made by a person"),
        (b"correct horse battery staple and some more words", "looks made by a person"),
        ("Ein Gruß an alle Bären und Füchse über den Wäldern".encode(), "looks made by a person"),
        ("съешь же ещё этих мягких французских булок".encode(), "looks made by a person"),
        (b"thequickbrownfoxjumpsoverthelazydogandrunsawayagain", "looks made by a person"),
        (b"x" * 41 + b"Aq9", "looks made by a person"),
        (b"0123456789abcdefghijklmnopqrstuvwxyzABCDE", "looks made by a person"),
        (b"Correct-Horse-Battery-Staple-Production-Key", "looks made by a person"),
        (b"CorrectHorseBatteryStapleTroubadorAndThreeMore", "looks made by a person"),
        (b"THIS-IS-THE-SECRET-OF-ALL-THAT-WE-SELL-HERE", "looks made by a person"),
        (b"my-very-secret-passphrase-for-production-2027!", "looks made by a person"),
        (b"a" * 64, "looks made by a person"),
    ],
    ids=lambda value: value[:12].hex() if isinstance(value, bytes) else value[:12],
)
def test_a_weak_root(folder: Path, content: bytes, problem: str) -> None:
    """A published key lets anyone test guesses: short secrets and words are refused, and not quoted."""
    (folder / "root").write_bytes(content)
    (said,) = problems(folder, ROTATING)
    assert "keys.secretFile: contains a secret" in said
    assert problem in said
    assert content[:9].decode("latin-1") not in said


def test_a_huge_issuer(folder: Path) -> None:
    """An issuer whose length two bytes cannot say is refused, wherever it stands."""
    texts = (
        "keys: {{secretFile: @root, alg: EdDSA, every: 24h, iss: {}}}",
        "claims: {{iss: {}}}\nkeys: {{secretFile: @root, alg: EdDSA, every: 24h}}",
    )
    for text in texts:
        ring = build_ring(loaded(folder, text.format("i" * 65_535)).keys, 60)
        ring.refresh(time.time())
        assert len(ring.keys) == 3
        (said,) = problems(folder, text.format("i" * 65_536))
        assert "keys.iss: is longer than 65535 bytes" in said


def test_a_short_period_is_a_warning(folder: Path) -> None:
    """Verifiers fetch keys every few minutes, or hours."""
    text = "expHours: 1\nkeys: {secretFile: @root, alg: EdDSA, every: 30m, lead: 1h, iss: a}"
    (warning,) = loaded(folder, text).warnings
    assert warning.startswith("keys.every is 1800 s")


def test_no_lead_is_a_warning(folder: Path) -> None:
    """No verifier knows a key that is not published before it signs."""
    (warning,) = loaded(folder, "keys: {secretFile: @root, alg: EdDSA, every: 24h, lead: 0s, iss: a}").warnings
    assert warning.startswith("keys.lead is 0: verifiers do not know keys before they sign")


# Wholes


@pytest.mark.parametrize("text", ["5", "x", "true", LONG, "''"])
def test_no_keyset(folder: Path, text: str) -> None:
    """What is neither a list nor a section is refused, and not quoted."""
    said = problems(folder, f"keys: {text}")
    assert said[0] == "cfg.yml, line 2: keys: has to be a list of sections, or one section"


def test_all_problems_together(folder: Path) -> None:
    """Every problem of every entry is reported, in the order of the lines, with those of other keys."""
    said = problems(
        folder,
        "port: x\nkeys:\n- {alg: ES256}\n- {alg: HS256, kid: a, secret: short}\n- 5\n"
        "- {alg: ES256, keyFile: @gone, from: x, until: y, kid: a b, z: 1}\nexpHours: x",
    )
    assert [line.split(":")[0] for line in said] == [f"cfg.yml, line {line}" for line in (2, 4, 5, 6, 7, 7, 7, 7, 7, 8)]
    said = problems(folder, "keys: {secretFile: @gone, alg: x, every: x, lead: x, z: 1}\nport: x")
    assert len(said) == 7


def test_nothing_is_shown(folder: Path) -> None:
    """What prints the settings prints no secret."""
    keys = loaded(
        folder, f"encKey: {KEY}\nkeys: [{{alg: HS256, kid: a, secret: {LONG}}}, {{alg: ES256, keyFile: @ec.pem}}]"
    ).keys
    assert LONG not in repr(keys)
    assert KEY not in repr(keys)
    assert "MIG" not in repr(keys)
    assert repr(ROOT) not in repr(loaded(folder, ROTATING).keys)


def test_a_built_key_is_the_entry(folder: Path) -> None:
    """Name, algorithm and times of an entry are those of its key."""
    entry = KeyEntry("ES256", Secret(pem(pair("ES256"))), "a", 5, 6)
    key = build_key(entry)
    assert (key.kid, key.algorithm, key.begins, key.until, key.can_sign) == ("a", "ES256", 5, 6, True)
    assert build_key(KeyEntry("HS256", Secret(LONG.encode()), "b")).until == inf


def test_enc_key_beside_keys(folder: Path) -> None:
    """`encKey` may stand beside a keyset, and then signs what is shown to the remote."""
    config = loaded(folder, f"keys: [{{alg: ES256, keyFile: @ec.pem, from: 2099-01-01T00:00:00Z}}]\nencKey: {KEY}")
    assert config.keys.secret is not None
    assert config.remote.request_key == config.keys.secret
