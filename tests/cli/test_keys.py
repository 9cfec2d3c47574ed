"""The keys that `txtoken keys` makes, read by PyJWT, and what it shows of a configuration's keys."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from jwt.algorithms import get_default_algorithms

from tests.cli.terminal import CONFIG, Ran, Terminal
from tests.configuring import EXAMPLE_FILE
from tests.running import KEY
from txtoken.cli.exit_codes import FAILED, OK, USAGE
from txtoken.cli.key_table import UNUSABLE
from txtoken.config.read import load
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.build import CRYPTO_MISSING
from txtoken.service.keys.hmac import SECRET_BYTES_MIN
from txtoken.service.keys.ring import NO_PUBLIC_KEY

ASYMMETRIC: Final = ("ES256", "EdDSA", "RS256", "PS256")
NOON: Final = 1_800_000_000  # 2027-01-15T08:00:00Z
REMOTE: Final = "remote: http://h/\n"


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is always the same."""
    monkeypatch.setattr("time.time", lambda: NOON + 0.25)


def made(terminal: Terminal, *arguments: str) -> str:
    """Generate a key."""
    ran = terminal.run("keys", "generate", *arguments)
    assert (ran.code, ran.err) == (OK, "")
    return ran.out


def quick(algorithm: str) -> list[str]:
    """Choose an algorithm, and for RSA the size that is made fastest."""
    return ["--alg", algorithm, *(["--bits", "2048"] if algorithm[1:] == "S256" and algorithm[0] in "RP" else [])]


# keys generate


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_pem_signs_for_the_service_and_for_pyjwt(terminal: Terminal, algorithm: str) -> None:
    """A key in PEM is PKCS8, PyJWT signs with it, and a service with the same key finds its token good."""
    pem = made(terminal, *quick(algorithm))
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert pem.endswith("-----END PRIVATE KEY-----\n")
    terminal.write(pem, "key.pem")
    terminal.write(f"keys: [{{alg: {algorithm}, kid: a, keyFile: key.pem}}]\n{REMOTE}")
    token = jwt.encode({"exp": NOON + 60}, pem, algorithm, headers={"kid": "a"})
    assert terminal.run("token", "verify", token).code == OK


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("kid", ["", "2027-01"])
def test_jwk_is_complete(terminal: Terminal, algorithm: str, kid: str) -> None:
    """A JWK names its kind, use, algorithm and kid; PyJWT signs with it, and the service takes it with its name."""
    text = made(terminal, *quick(algorithm), "--format", "jwk", *(["--kid", kid] if kid else []))
    jwk = json.loads(text)
    assert (jwk["use"], jwk["alg"], "d" in jwk) == ("sig", algorithm, True)
    expected = {"ES256": {"kty": "EC", "crv": "P-256"}, "EdDSA": {"kty": "OKP", "crv": "Ed25519"}}
    assert jwk.items() >= expected.get(algorithm, {"kty": "RSA"}).items()
    assert jwk["kid"] == (kid or thumbprint(jwk))
    terminal.write(text, "key.json")
    terminal.write(f"keys: [{{alg: {algorithm}, keyFile: key.json}}]\n{REMOTE}")
    assert terminal.run("check").code == OK
    token = jwt.encode({"exp": NOON + 60}, jwt.PyJWK(jwk), algorithm, headers={"kid": jwk["kid"]})
    assert terminal.run("token", "verify", token).code == OK
    published = json.loads(terminal.run("keys", "jwks").out)["keys"]
    assert published == [{name: value for name, value in jwk.items() if name not in ("d", "p", "q", "dp", "dq", "qi")}]


def thumbprint(jwk: dict[str, str]) -> str:
    """Return a key's thumbprint as another implementation computes it (RFC 7638)."""
    digest = jwt.utils.base64url_encode
    names = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}[jwk["kty"]]
    text = json.dumps({name: jwk[name] for name in names}, separators=(",", ":"))
    return digest(get_default_algorithms()["HS256"].compute_hash_digest(text.encode())).decode()


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_secrets_are_long_enough(terminal: Terminal, algorithm: str) -> None:
    """An HMAC secret is text that the service takes and PyJWT finds long enough, and no two are the same."""
    secrets = {made(terminal, "--alg", algorithm) for _ in range(20)}
    assert len(secrets) == 20
    for secret in secrets:
        assert len(secret.strip()) >= SECRET_BYTES_MIN[algorithm]
        terminal.write(secret, "secret")
        terminal.write(f"keys: [{{alg: {algorithm}, kid: a, secretFile: secret}}]\n{REMOTE}")
        token = jwt.encode({"exp": NOON + 60}, secret.strip(), algorithm, headers={"kid": "a"})
        assert terminal.run("token", "verify", token).code == OK


def test_default_rsa_key(terminal: Terminal) -> None:
    """An RSA key has 3072 bits unless others are asked for, and the default algorithm is ES256."""
    jwk: Any = json.loads(made(terminal, "--alg", "RS256", "--format", "jwk"))
    assert len(jwt.utils.base64url_decode(jwk["n"])) == 3072 // 8
    assert json.loads(made(terminal, "--format", "jwk"))["alg"] == "ES256"


@pytest.mark.parametrize("arguments", [["--alg", "HS256"], ["--alg", "ES256"], ["--format", "jwk"]])
def test_out_makes_a_file_of_its_own(terminal: Terminal, arguments: list[str]) -> None:
    """`--out` makes a file that only its owner reads, whatever the umask says; what is printed holds nothing secret."""
    before = os.umask(0)
    try:
        out = made(terminal, *arguments, "--out", "new.key")
    finally:
        os.umask(before)
    path = terminal.folder / "new.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert out.startswith("Written to new.key: ")
    assert out.count("\n") == 1
    if "jwk" in arguments:
        assert json.loads(path.read_text())["kid"] in out
    if "ES256" in arguments:
        terminal.write(f"keys: [{{alg: ES256, keyFile: new.key}}]\n{REMOTE}")
        assert json.loads(terminal.run("keys", "jwks").out)["keys"][0]["kid"] in out


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_out_overwrites_nothing(terminal: Terminal, kind: str) -> None:
    """Where something is already, be it a link to nowhere, it stays as it was."""
    there, target = terminal.folder / "there", terminal.folder / "target"
    if kind == "file":
        there.write_text("kept")
    else:
        there.symlink_to(target)
        if kind == "link":
            target.write_text("kept")
    ran = terminal.run("keys", "generate", "--out", "there")
    said = "txtoken: there: is there already, and is not overwritten: choose another name\n"
    assert ran == Ran(FAILED, "", said)
    assert not target.exists() if kind == "dangling link" else there.read_text() == "kept"


@pytest.mark.parametrize("path", ["none/key", "", "."])
def test_out_that_cannot_be_written(terminal: Terminal, path: str) -> None:
    """A path where no file can be is one line, and no key is shown."""
    ran = terminal.run("keys", "generate", "--out", path)
    assert (ran.code, ran.out) == (FAILED, "")
    assert ran.err.startswith(f"txtoken: {path}: ")
    assert ran.err.count("\n") == 1


def test_a_file_that_is_half_written_is_removed(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk no half of a key is left."""
    real = os.fdopen

    def full(descriptor: int, *arguments: Any, **options: Any) -> Any:
        os.dup2(os.open("/dev/full", os.O_WRONLY), descriptor)
        return real(descriptor, *arguments, **options)

    monkeypatch.setattr("txtoken.cli.new_file.os.fdopen", full)
    ran = terminal.run("keys", "generate", "--out", "new.key")
    assert ran == Ran(FAILED, "", "txtoken: new.key: cannot be written: No space left on device\n")
    assert [path.name for path in terminal.folder.iterdir()] == ["example_cfg.yml"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--alg", "HS256", "--format", "jwk"],
        ["--alg", "HS256", "--kid", "a"],
        ["--kid", "a"],
        ["--bits", "4096"],
        ["--alg", "HS512", "--bits", "4096"],
    ],
)
def test_options_that_mean_nothing(terminal: Terminal, arguments: list[str]) -> None:
    """An option that would be ignored is wrong usage, and makes no file."""
    ran = terminal.run("keys", "generate", *arguments, "--out", "new.key")
    assert (ran.code, ran.out) == (USAGE, "")
    assert ran.err.startswith("txtoken: --")
    assert [path.name for path in terminal.folder.iterdir()] == ["example_cfg.yml"]


def test_without_cryptography(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is missing, that is said, no file is made, and secrets can still be."""

    def missing() -> None:
        raise KeyMaterialError(CRYPTO_MISSING)

    monkeypatch.setattr("txtoken.cli.keys.asymmetric", missing)
    ran = terminal.run("keys", "generate", "--out", "new.key")
    assert ran == Ran(FAILED, "", f"txtoken: ES256 {CRYPTO_MISSING}\n")
    assert [path.name for path in terminal.folder.iterdir()] == ["example_cfg.yml"]
    made(terminal, "--alg", "HS256")


# keys list


def keyset(terminal: Terminal, *entries: str, more: str = "") -> None:
    """Write a configuration of ES256 keys, each with a new key file, and what else is said of it."""
    lines = ""
    for number, entry in enumerate(entries):
        Path(f"{number}.pem").unlink(missing_ok=True)
        made(terminal, "--out", f"{number}.pem")
        lines += f"- {{alg: ES256, keyFile: {number}.pem, kid: k{number}{entry and ', '}{entry}}}\n"
    terminal.write(f"keys:\n{lines}{more}{REMOTE}")


def listed(terminal: Terminal) -> Any:
    """Run `keys list` for programs."""
    ran = terminal.run("keys", "list", "--output", "json")
    assert (ran.code, ran.err) == (OK, "")
    return ran.json


def test_list_of_enc_key(terminal: Terminal) -> None:
    """One secret signs for ever, and everyone who verifies with it can sign."""
    assert listed(terminal) == {
        "keys": [{"kid": None, "alg": "HS256", "now": "signs", "from": None, "until": None, "leadSeconds": None}],
        "signs": {"kid": None, "alg": "HS256"},
        "next": None,
        "ends": None,
        "unusable": {"HS256": None},
    }
    assert terminal.run("keys", "list").out.splitlines() == [
        "kid       alg    now    from  until  lead left",
        "(encKey)  HS256  signs  -     -      -",
        "",
        "Now: (encKey) (HS256) signs.",
        "Next: no other key comes.",
        "End: the keyset does not end.",
        "",
        "HS256: everyone who verifies tokens can also sign them; the key is never published.",
    ]


def test_list_of_a_rotation(terminal: Terminal) -> None:
    """Of four keys one has ended, one signed before, one signs, and one comes: with its lead."""
    keyset(
        terminal,
        "until: 2027-01-14T08:00:00Z",
        "from: 2027-01-10T00:00:00Z",
        "from: 2027-01-15T07:00:00Z",
        "from: 2027-01-15T20:00:00Z",
    )
    found = listed(terminal)
    assert [(row["kid"], row["now"]) for row in found["keys"]] == [
        ("k0", "ended"),
        ("k1", "verifies"),
        ("k2", "signs"),
        ("k3", "comes"),
    ]
    assert found["keys"][3]["leadSeconds"] == 12 * 3600 - 1
    assert found["signs"] == {"kid": "k2", "alg": "ES256"}
    assert found["next"] == {"from": "2027-01-15T20:00:00Z", "kid": "k3", "alg": "ES256"}
    assert found["ends"] is None
    assert "AWS ALB" in found["unusable"]["ES256"]
    text = terminal.run("keys", "list").out
    assert "Now: k2 (ES256) signs.\nNext: k3 (ES256) signs from 2027-01-15T20:00:00Z on, in 11 h 59 min.\n" in text
    assert "ES256: not for APISIX openid-connect, AWS API Gateway (HTTP), AWS ALB, Oracle API Gateway." in text


def test_list_of_a_keyset_that_ends(terminal: Terminal) -> None:
    """The last key's end is the keyset's, and is said with the time that is left."""
    keyset(terminal, "until: 2027-01-16T08:00:00Z", "from: 2027-01-15T10:00:00Z, until: 2027-01-18T08:00:00Z")
    assert listed(terminal)["ends"] == "2027-01-18T08:00:00Z"
    text = terminal.run("keys", "list").out
    assert "End: no key signs from 2027-01-18T08:00:00Z on, in 2 d 23 h. Add the next one before.\n" in text


def test_list_of_a_key_that_ends_before_its_tokens(terminal: Terminal) -> None:
    """The next key signs as soon as a token would outlive the one before: that moment is said, not the one of its `from`."""
    more = "expHours: 1\n"
    keyset(
        terminal, "from: 2027-01-15T00:00:00Z, until: 2027-01-15T10:00:00Z", "until: 2027-01-20T00:00:00Z", more=more
    )
    assert listed(terminal)["signs"]["kid"] == "k0"
    assert listed(terminal)["next"] == {"from": "2027-01-15T09:00:01Z", "kid": "k1", "alg": "ES256"}
    terminal.write(Path("example_cfg.yml").read_text() + "refresh: {maxSession: 30m}\n")
    assert listed(terminal)["next"]["from"] == "2027-01-15T09:30:01Z"  # no token lives longer than its session


def test_list_of_a_public_key(terminal: Terminal) -> None:
    """A public half verifies, and never comes."""
    keyset(terminal, "", "from: 2027-02-01T00:00:00Z")
    public = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
    jwk = public.to_jwk(public.prepare_key(Path("1.pem").read_text()), as_dict=True)
    terminal.write(json.dumps({name: value for name, value in jwk.items() if name != "d"}), "1.pem")
    found = listed(terminal)
    assert [row["now"] for row in found["keys"]] == ["signs", "verifies"]
    assert found["next"] is None


def test_list_of_a_revoked_key(terminal: Terminal) -> None:
    """A revoked key is shown as such, and signs no more; the route does not publish it."""
    keyset(terminal, "", "from: 2027-01-10T00:00:00Z", more="revocations: revoked\n")
    terminal.write("kid k1\n", "revoked")
    found = listed(terminal)
    assert [row["now"] for row in found["keys"]] == ["signs", "revoked"]
    assert [jwk["kid"] for jwk in json.loads(terminal.run("keys", "jwks").out)["keys"]] == ["k0"]


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "HS256"])
@pytest.mark.parametrize("lead", ["0", "24h"])
def test_list_of_keys_that_rotate_by_themselves(terminal: Terminal, algorithm: str, lead: str) -> None:
    """The next period's key is the next to sign, be it known already or not, and there is no end."""
    terminal.write("3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs=", "root")
    rotation = f"{{secretFile: root, every: 24h, alg: {algorithm}, iss: 'https://l.example', lead: {lead}}}"
    terminal.write(f"keys: {rotation}\n{REMOTE}")
    found = listed(terminal)
    period = NOON // 86400
    assert found["signs"]["kid"].startswith(f"{period}-")
    assert found["next"]["kid"].startswith(f"{period + 1}-")
    assert (found["next"]["from"], found["ends"]) == ("2027-01-16T00:00:00Z", None)
    states = [row["now"] for row in found["keys"]]
    assert (
        states == ["verifies"] * (len(states) - (2 if lead == "24h" else 1)) + ["signs", "comes"][: 1 + (lead == "24h")]
    )
    ran = terminal.run("keys", "jwks")
    assert (ran.code == OK) is (algorithm != "HS256")


# keys jwks


def test_jwks_where_there_is_none(terminal: Terminal) -> None:
    """With secrets alone there is no JWK Set, and that is a failure with a reason."""
    said = f"txtoken: {NO_PUBLIC_KEY}\n"
    assert terminal.run("keys", "jwks") == Ran(FAILED, "", said)


def test_jwks_holds_no_secret(terminal: Terminal) -> None:
    """Beside encKey the public halves alone are printed, as PyJWT reads them."""
    keyset(terminal, "", "from: 2027-02-01T00:00:00Z", more=f"encKey: {KEY}\n")
    out = terminal.run("keys", "jwks").out
    assert {key.key_id for key in jwt.PyJWKSet.from_json(out).keys} == {"k0", "k1"}
    assert '"d"' not in out
    assert load("example_cfg.yml", {}).jwks.route is not None
    terminal.write(CONFIG)


@pytest.mark.parametrize(("algorithm", "column"), [("ES256", 1), ("RS256", 2), ("PS256", 3), ("EdDSA", 4)])
def test_who_cannot_use_an_algorithm(algorithm: str, column: int) -> None:
    """The list names the verifiers that have a "no" in the table of docs/reference/verifiers.md, and no other."""
    text = (EXAMPLE_FILE.parent / "docs" / "reference" / "verifiers.md").read_text()
    rows = [
        line.strip("| ").split(" | ")
        for line in re.findall(r"^\| .*", text[text.index("| verifier |") :], re.MULTILINE)
    ]
    unable = [row[0].replace("`", "") for row in rows if len(row) > column and re.match(r"no\b", row[column])]
    named = UNUSABLE[algorithm]
    assert all(any(name in row for name in named) for row in unable), unable
    assert all(any(name in row for row in unable) for name in named), named
