"""What `txtoken keys` makes and shows. PyJWT and cryptography judge the keys."""

from __future__ import annotations

import json
import stat
import sys
from base64 import urlsafe_b64decode
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tests.cli.terminal import CONFIG, Ran, Terminal
from txtoken.cli.exit_codes import BAD_CONFIG, FAILED, OK, USAGE

NOON: Final = 1_800_014_400  # 2027-01-15T12:00:00Z
RSA: Final = ("RS256", "PS256")
KEYSET: Final = """
keys:
- {alg: ES256, keyFile: jan.pem, kid: jan, until: 2027-03-01T00:00:00Z}
- {alg: EdDSA, keyFile: feb.pem, kid: feb, from: 2027-02-01T00:00:00Z}
- {alg: HS256, secretFile: old, kid: old, from: 2026-01-01T00:00:00Z, until: 2027-01-15T11:00:00Z}
"""
ROTATING: Final = """
remote: http://h/
keys: {secretFile: root, every: 24h, alg: EdDSA, iss: https://login.example}
"""


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon."""
    monkeypatch.setattr("time.time", lambda: NOON + 0.5)


@pytest.fixture
def keyset(terminal: Terminal, at_noon: None) -> Terminal:
    """A terminal with a keyset beside `encKey`: one key signs, one comes, one has ended."""
    generated(terminal, "ES256", "--out", "jan.pem")
    generated(terminal, "EdDSA", "--out", "feb.pem")
    generated(terminal, "HS256", "--out", "old")
    terminal.write(CONFIG + KEYSET)
    return terminal


@pytest.fixture
def rotating(terminal: Terminal, at_noon: None) -> Terminal:
    """A terminal with keys that rotate by themselves."""
    terminal.write("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", "root")
    terminal.write(ROTATING)
    return terminal


def generated(terminal: Terminal, algorithm: str, *arguments: str) -> str:
    """Make a key of this algorithm. The shortest RSA key will do."""
    bits = ("--bits", "2048") if algorithm in RSA and "--bits" not in arguments else ()
    ran = terminal.run("keys", "generate", "--alg", algorithm, *bits, *arguments)
    assert (ran.code, ran.err) == (OK, "")
    return ran.out


def octets(text: str) -> bytes:
    """Decode base64url without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


# generate


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_secrets(terminal: Terminal, algorithm: str, size: int) -> None:
    """A new secret is base64url of as many random bytes as its hash has, and the configuration takes it as it is printed."""
    secrets = {generated(terminal, algorithm) for _ in range(20)}
    assert len(secrets) == 20
    assert min(len(octets(secret.strip())) for secret in secrets) >= size
    terminal.write(secrets.pop(), "secret")
    terminal.write(f"remote: http://h/\nkeys: [{{alg: {algorithm}, secretFile: secret, kid: a}}]\n")
    token = terminal.run("token", "issue", "{}").out.strip()
    secret = (terminal.folder / "secret").read_text().strip()
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "JWT", "kid": "a"}
    assert jwt.decode(token, secret, [algorithm])["data"] == {}


def test_a_secret_is_one_for_keys_that_rotate_by_themselves(rotating: Terminal) -> None:
    """A new secret of HS256 is random enough to derive keys from."""
    rotating.write(generated(rotating, "HS256"), "root")
    assert rotating.run("keys", "list").code == OK


@pytest.mark.parametrize("form", ["pem", "jwk"])
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", *RSA])
def test_key_pairs(terminal: Terminal, algorithm: str, form: str) -> None:
    """A new key signs for the independent library, the configuration takes it, and its public half verifies its tokens."""
    text = generated(terminal, algorithm, "--format", form)
    assert text != generated(terminal, algorithm, "--format", form)
    terminal.write(text, "key")
    terminal.write(f"remote: http://h/\nkeys: [{{alg: {algorithm}, keyFile: key}}]\n")
    token = terminal.run("token", "issue", "{}").out.strip()
    public = terminal.run("keys", "public", "--alg", algorithm, "key")
    assert (public.code, public.err) == (OK, "")
    assert public.out.startswith("-----BEGIN PUBLIC KEY-----\n")
    key: Any = load_pem_public_key(public.out.encode())
    assert jwt.decode(token, key, [algorithm])["data"] == {}
    known = terminal.run("keys", "public", "--alg", algorithm, "--format", "jwk", "key").json
    assert jwt.decode(token, jwt.PyJWK(known))["data"] == {}
    assert known["kid"] == jwt.get_unverified_header(token)["kid"]
    private: Any = load_pem_private_key(text.encode(), None) if form == "pem" else jwt.PyJWK(json.loads(text)).key
    assert jwt.decode(jwt.encode({"a": 1}, private, algorithm), key, [algorithm]) == {"a": 1}


@pytest.mark.parametrize(
    ("algorithm", "own"),
    [
        ("ES256", {"crv", "x", "y", "d"}),
        ("EdDSA", {"crv", "x", "d"}),
        *((algorithm, {"n", "e", "d", "p", "q", "dp", "dq", "qi"}) for algorithm in RSA),
    ],
)
def test_jwks_of_new_keys(terminal: Terminal, algorithm: str, own: set[str]) -> None:
    """A private JWK says what it is for, with the thumbprint or the given name as its `kid`; its public half has no secret."""
    members = json.loads(generated(terminal, algorithm, "--format", "jwk"))
    assert set(members) == {"kty", "use", "alg", "kid"} | own
    assert (members["use"], members["alg"], len(members["kid"])) == ("sig", algorithm, 43)
    assert "=" not in "".join(members.values())
    named = generated(terminal, algorithm, "--format", "jwk", "--kid", "2027-01")
    assert json.loads(named)["kid"] == "2027-01"
    public = terminal.run("keys", "public", "--format", "jwk", "-", stdin=named.encode()).json
    assert set(public) == {"kty", "use", "alg", "kid"} | own - {"d", "p", "q", "dp", "dq", "qi"}
    assert (public["kid"], public["alg"]) == ("2027-01", algorithm)


@pytest.mark.parametrize(("bits", "length"), [((), 3072), (("--bits", "2048"), 2048), (("--bits", "4096"), 4096)])
def test_bits_of_rsa(terminal: Terminal, bits: tuple[str, ...], length: int) -> None:
    """An RSA key has 3072 bits, or as many as were asked for, and the exponent that every verifier takes."""
    key: Any = load_pem_private_key(terminal.run("keys", "generate", "--alg", "RS256", *bits).out.encode(), None)
    assert key.key_size == length
    assert key.public_key().public_numbers().e == 65537


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_out(terminal: Terminal, algorithm: str) -> None:
    """With `--out` the key is in a new file that only its owner can read, and not on the terminal; nothing is overwritten."""
    out = generated(terminal, algorithm, "--out", "new")
    file = terminal.folder / "new"
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert text.strip() not in out
    for name in ("new", "link"):
        ran = terminal.run("keys", "generate", "--alg", algorithm, "--out", name)
        if name == "new":
            assert ran == Ran(FAILED, "", "txtoken: new exists already, and a key is never overwritten\n")
            (terminal.folder / "link").symlink_to("new")
        else:
            assert ran.code == FAILED
    assert file.read_text() == text


def test_out_says_the_name(terminal: Terminal) -> None:
    """With `--out` the key's name is printed, under which its tokens go out."""
    out = generated(terminal, "ES256", "--out", "new.pem")
    kid = terminal.run("keys", "public", "--format", "jwk", "new.pem").json["kid"]
    assert out == f"new.pem: ES256, kid {kid}\n"


@pytest.mark.parametrize("path", ["none/new", ".", "x" * 300, "a\0b"])
def test_out_that_cannot_be_written(terminal: Terminal, path: str) -> None:
    """What cannot be written is said to be so, and no key is shown."""
    ran = terminal.run("keys", "generate", "--out", path)
    assert (ran.code, ran.out) == (FAILED, "")
    assert ran.err.startswith(f"txtoken: {path} ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--alg", "none"],
        ["--alg", "ES256", "--bits", "2048"],
        ["--alg", "RS256", "--bits", "2047"],
        ["--alg", "RS256", "--bits", "8193"],
        ["--alg", "RS256", "--bits", "-3072"],
        ["--alg", "RS256", "--bits", "²"],
        ["--alg", "HS256", "--format", "jwk"],
        ["--alg", "HS256", "--kid", "a"],
        ["--kid", "a"],
        ["--format", "jwk", "--kid", "a b"],
        ["--format", "jwk", "--kid", "x" * 65],
        ["--format", "jwk", "--kid", ""],
    ],
    ids=" ".join,
)
def test_wrong_usage_of_generate(terminal: Terminal, arguments: list[str]) -> None:
    """An option that does not fit the algorithm or the form is wrong usage, and makes no key."""
    ran = terminal.run("keys", "generate", "--out", "new", *arguments)
    assert (ran.code, ran.out) == (USAGE, "")
    assert not (terminal.folder / "new").exists()


# public


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_public_half_of_a_public_key(terminal: Terminal, algorithm: str) -> None:
    """The public half of a public key is that key, in either form, and its algorithm is found by its kind."""
    pem = terminal.run("keys", "public", "-", stdin=generated(terminal, algorithm).encode()).out
    jwk = terminal.run("keys", "public", "--format", "jwk", "-", stdin=pem.encode())
    assert jwk.json["alg"] == algorithm
    assert terminal.run("keys", "public", "-", stdin=jwk.out.encode()).out == pem


@pytest.mark.parametrize(
    ("text", "arguments", "error"),
    [
        ("nothing", [], "the key is no key in PEM (-----BEGIN PRIVATE KEY-----) or JWK form"),
        ("{}", [], "the key is a JWK that is damaged, or of a kind that is not supported"),
        ("{", [], "the key is no JWK: it is not JSON"),
        ("-----BEGIN CERTIFICATE-----", [], "the key is a certificate, and not the key in it"),
        ("EdDSA", ["--alg", "ES256"], "the key is not an EC key of curve P-256, which ES256 needs"),
    ],
)
def test_public_half_of_what_is_no_key(terminal: Terminal, text: str, arguments: list[str], error: str) -> None:
    """What is no key, or none for the algorithm, is said to be so."""
    data = generated(terminal, text) if text == "EdDSA" else text
    ran = terminal.run("keys", "public", "-", *arguments, stdin=data.encode())
    assert (ran.code, ran.out) == (FAILED, "")
    assert ran.err.startswith(f"txtoken: {error}")


def test_keys_as_openssl_writes_them(terminal: Terminal) -> None:
    """The parameters of the curve, which `openssl ecparam -genkey` writes before the key, are no obstacle."""
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    pem = generated(terminal, "ES256")
    ran = terminal.run("keys", "public", "-", stdin=(parameters + pem).encode())
    assert ran == terminal.run("keys", "public", "-", stdin=pem.encode())
    assert ran.code == OK


@pytest.mark.parametrize("kid", ["a b", "\x1b[2J", "x" * 65, "é"])
def test_names_that_a_jwk_brings(terminal: Terminal, kid: str) -> None:
    """A JWK's own name is one that the configuration would take, or gives way to one that is."""
    members = json.loads(generated(terminal, "ES256", "--format", "jwk")) | {"kid": kid}
    terminal.write(json.dumps(members), "key")
    terminal.write("remote: http://h/\nkeys: [{alg: ES256, keyFile: key}]\n")
    ran = terminal.run("keys", "list")
    assert (ran.code, ran.out) == (BAD_CONFIG, "")
    assert "keys.keyFile: is a JWK whose kid is not 1 to 64 letters, digits, _, . or -" in ran.err
    terminal.write("remote: http://h/\nkeys: [{alg: ES256, keyFile: key, kid: a}]\n")
    assert terminal.run("keys", "list").code == OK


def test_public_half_of_a_short_rsa_key(terminal: Terminal) -> None:
    """Of an RSA key that is too short its length is what is wrong."""
    short = {"kty": "RSA", "e": "AQAB", "n": "_" * 172}
    ran = terminal.run("keys", "public", "-", stdin=json.dumps(short).encode())
    assert "is an RSA key of 1032 bits" in ran.err


def test_public_half_of_files_that_are_none(terminal: Terminal) -> None:
    """A file that is not there, or far too large, is named."""
    terminal.write("x" * 70_000, "large")
    for name, error in (("none.pem", "does not exist"), ("large", "is larger than"), (".", "is not a file")):
        ran = terminal.run("keys", "public", name)
        assert (ran.code, ran.out) == (FAILED, "")
        assert ran.err.startswith(f"txtoken: {name} {error}")


# list


def test_list_of_a_keyset(keyset: Terminal) -> None:
    """Each key stands there with what it does now and when it changes, and below them what comes."""
    ran = keyset.run("keys", "list")
    assert (ran.code, ran.err) == (OK, "")
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[:5] == [
        ["KID", "ALG", "NOW", "FROM", "UNTIL", "SIGNS", "IN"],
        ["jan", "ES256", "signs", "–", "2027-03-01T00:00:00Z", "–"],
        ["–", "HS256", "verifies", "–", "–", "–"],
        ["old", "HS256", "ended", "2026-01-01T00:00:00Z", "2027-01-15T11:00:00Z", "–"],
        ["feb", "EdDSA", "comes", "2027-02-01T00:00:00Z", "–", "16", "d", "11", "h"],
    ]
    assert ran.out.splitlines()[6:9] == [
        "Signs now: jan (ES256).",
        "Next: feb (EdDSA), from 2027-02-01T00:00:00Z on, in 16 d 11 h.",
        "The keys do not end.",
    ]
    assert "HS256 is verified by this service, and by those that have the secret.\n" in ran.out
    assert "ES256 cannot be verified by: AWS ALB, " in ran.out


def test_list_as_json(keyset: Terminal) -> None:
    """With `--output json` the same is data."""
    listed = keyset.run("keys", "list", "--output", "json").json
    assert [(key["kid"], key["now"]) for key in listed["keys"]] == [
        ("jan", "signs"),
        (None, "verifies"),
        ("old", "ended"),
        ("feb", "comes"),
    ]
    comes = listed["keys"][3]
    assert (comes["from"], comes["until"]) == ("2027-02-01T00:00:00Z", None)
    assert comes["signsInSeconds"] == 16 * 86_400 + 12 * 3600 - 1
    assert "Kubernetes" in comes["notVerifiedBy"]
    assert listed["signs"] == {"kid": "jan", "alg": "ES256"}
    assert listed["next"] == {"kid": "feb", "from": "2027-02-01T00:00:00Z"}
    assert listed["ends"] is None


def test_list_of_enc_key_alone(terminal: Terminal) -> None:
    """`encKey` alone is one line without a name, and nothing comes."""
    ran = terminal.run("keys", "list")
    assert [line.split() for line in ran.out.splitlines()[1:3]] == [["–", "HS256", "signs", "–", "–", "–"], []]
    assert ran.out.splitlines()[3:5] == ["Signs now: encKey (HS256).", "Next: nothing comes."]
    listed = terminal.run("keys", "list", "--output", "json").json
    assert (listed["signs"], listed["next"], listed["ends"]) == ({"kid": None, "alg": "HS256"}, None, None)


def test_list_of_keys_that_rotate_by_themselves(rotating: Terminal) -> None:
    """The keys of the known periods stand there, and how long each is known; the next one signs in the next period."""
    ran = rotating.run("keys", "list")
    period = NOON // 86_400
    rows = [line.split() for line in ran.out.splitlines()[1:5]]
    assert [row[0].partition("-")[0] for row in rows] == [str(period + n) for n in (-2, -1, 0, 1)]
    assert [row[2] for row in rows] == ["verifies", "verifies", "signs", "comes"]
    assert rows[3][3:] == ["2027-01-16T00:00:00Z", "2027-01-19T00:00:00Z", "11", "h", "59", "min"]
    assert f"Next: {rows[3][0]} (EdDSA), from 2027-01-16T00:00:00Z on, in 11 h 59 min.\n" in ran.out
    assert "Each key signs for 1 d, and is known for 1 d before that and 2 d after it.\n" in ran.out


def test_list_names_a_key_that_is_not_known_yet(rotating: Terminal) -> None:
    """Without a lead the next key is named, though nobody knows it yet."""
    rotating.write(ROTATING.replace("every: 24h", "every: 24h, lead: 0s"))
    following = rotating.run("keys", "list", "--output", "json").json["next"]
    assert following["kid"].startswith(f"{NOON // 86_400 + 1}-")
    assert following["from"] == "2027-01-16T00:00:00Z"


def test_list_of_keys_that_end(keyset: Terminal) -> None:
    """A keyset that ends says when, and that nothing signs then."""
    keyset.write(f"remote: http://h/{KEYSET}".replace("- {alg: EdDSA", "# "))
    out = keyset.run("keys", "list").out
    assert "Next: no key, from 2027-03-01T00:00:00Z on, in 44 d 11 h.\n" in out
    assert "No key signs from 2027-03-01T00:00:00Z on.\n" in out


def test_list_of_a_key_that_stops_before_it_ends(keyset: Terminal) -> None:
    """Where the next key outlives a token and the current one does not, the next one signs from then on."""
    keyset.write(CONFIG + KEYSET.replace("from: 2027-02-01", "from: 2027-03-01"))
    listed = keyset.run("keys", "list", "--output", "json").json
    assert listed["next"] == {"kid": "feb", "from": "2027-02-28T00:00:01Z"}  # expHours before the end


# jwks


@pytest.mark.parametrize("config", ["keyset", "rotating"])
def test_jwks(request: pytest.FixtureRequest, config: str) -> None:
    """The public keys are printed as one JWK Set, those that come among them, and nothing secret."""
    terminal: Terminal = request.getfixturevalue(config)
    ran = terminal.run("keys", "jwks")
    assert (ran.code, ran.err) == (OK, "")
    keys = ran.json["keys"]
    assert len(jwt.PyJWKSet.from_dict(ran.json).keys) == len(keys) == (2 if config == "keyset" else 4)
    assert {name for key in keys for name in key} <= {"kty", "use", "alg", "kid", "crv", "x", "y"}
    token = terminal.run("token", "issue", "{}").out.strip()
    terminal.write(ran.out, "jwks.json")
    assert terminal.run("token", "verify", "--jwks", "jwks.json", token).code == OK


def test_jwks_of_secrets(terminal: Terminal) -> None:
    """Secrets are never published: without a public key the command fails, and prints nothing that a program could take."""
    ran = terminal.run("keys", "jwks")
    assert (ran.code, ran.out) == (FAILED, "")
    assert ran.err == "txtoken: there are no public keys: all keys are secrets (HMAC), which are never published\n"


# Without cryptography


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(["generate"], "ES256 needs"), (["public", "-"], "an asymmetric key needs"), (["generate", "--alg", "HS256"], "")],
)
def test_without_cryptography(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: str
) -> None:
    """Where the package is missing it is named, and secrets can be made all the same."""
    monkeypatch.setitem(sys.modules, "txtoken.service.keys.pairs", None)
    ran = terminal.run("keys", *arguments)
    assert ran.code == (FAILED if error else OK)
    assert ran.err.startswith(f"txtoken: {error} the package cryptography, which is not installed" if error else "")


def test_bad_keys_of_a_configuration(terminal: Terminal) -> None:
    """Keys that the configuration cannot use are a bad configuration."""
    terminal.write("remote: http://h/\nkeys: [{alg: ES256, keyFile: none.pem}]\n")
    for command in ("list", "jwks"):
        assert terminal.run("keys", command).code == BAD_CONFIG


@pytest.mark.parametrize("length", range(44, 49))
def test_roots_of_any_length(rotating: Terminal, length: int) -> None:
    """Text that only looks like base64 is a secret as it stands."""
    rotating.write("Xq0ZtP4wBv9LhC2nKs7MfR1yDg8JeT5aUo3VxIb6QmWzE7kHc"[:length], "root")
    assert rotating.run("keys", "list").code == OK
