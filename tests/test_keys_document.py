"""docs/keys.md beside the code: its derivation, its vectors, its commands. The program in it shares no line with the package."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.configuring import EXAMPLE_FILE, REMOTE, load_text
from tests.running import KEY, clean_environment
from tests.service.keys.material import pair, pem, public_pem
from txtoken.service.keys.asymmetric import digest, jwk_members, pair_of
from txtoken.service.keys.derived import SALT, Schedule, derive, expand
from txtoken.service.tokens.segments import encode_segment

DOCUMENT: Final = (EXAMPLE_FILE.parent / "docs" / "keys.md").read_text()
ISSUER: Final = "https://login.example"
SECRET: Final = bytes(range(32))
EVERY_S: Final = 86_400
PERIOD: Final = 20_000

Derive = Callable[[bytes, str, str, int, int], tuple[bytes, str]]


def program() -> Derive:
    """Run the document's program."""
    (text,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - it is our own
    found: Derive = names["derive"]
    return found


def vectors() -> list[str]:
    """Read the values of the table of vectors, from the top."""
    table = DOCUMENT[DOCUMENT.index("Test vectors:") :]
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


COMMANDS: Final = re.findall(r"^ {4,}((?:txtoken|openssl pkey) .*)$", DOCUMENT, re.MULTILINE)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_commands(tmp_path: Path) -> None:
    """The commands work as they stand there, one after the other."""
    assert len(COMMANDS) == 4
    (tmp_path / "example_cfg.yml").write_text(
        f"encKey: {KEY}\nremote: http://h/\nkeys: [{{alg: ES256, keyFile: 2027-01.pem}}]\n"
    )
    script = f'set -euo pipefail\ntxtoken() {{ {shlex.quote(sys.executable)} -P -m txtoken "$@"; }}\n'
    for command in COMMANDS:
        script += f"{command}\n"
        if "generate" in command:
            script += "cp 2027-01.pem eu.pem\n"
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert '"data":{"user":"ada"}' in ran.stdout
    assert (tmp_path / "eu-public.pem").read_text().startswith("-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize("heading", re.findall(r"\]\(#([^)]+)\)", DOCUMENT))
def test_links_within_it(heading: str) -> None:
    """Each link to a heading leads to one."""
    headings = {
        re.sub(r"[^\w -]", "", line).lower().replace(" ", "-")
        for line in re.findall(r"^##+ (.*)$", DOCUMENT, re.MULTILINE)
    }
    assert heading in headings


def fragments() -> list[str]:
    """Read what the document shows of configuration files."""
    blocks = re.findall(r"(?:^ {4,}.*\n)+", DOCUMENT, re.MULTILINE)
    texts = [textwrap.dedent(block).strip("\n") + "\n" for block in blocks]
    return [text for text in texts if re.match(r"(?:encKey|keys|claims|revocations):", text)]


@pytest.mark.parametrize("text", fragments())
def test_fragments(tmp_path: Path, text: str) -> None:
    """What the document shows of configuration files is taken as it stands, by its own files, and nothing is warned of."""
    for number, name in enumerate(("2027-01", "2027-02", "us", "eu")):
        (tmp_path / f"{name}.pem").write_bytes(pem(pair("ES256", number)))
    (tmp_path / "eu-public.pem").write_bytes(public_pem(pair("ES256", 3)))
    for number, name in enumerate(("root", "new", "old")):
        (tmp_path / name).write_bytes(base64.b64encode(Random(number).randbytes(32)))
    (tmp_path / "revoked.txt").write_text("")
    text = re.sub(r"/run/secrets/|/etc/txtoken/", f"{tmp_path}/", text).replace("encKey: …", f"encKey: {KEY}")
    if not re.search("^(encKey|keys):", text, re.MULTILINE):
        text += f"encKey: {KEY}\n"
    config = load_text(tmp_path, f"remote: {REMOTE}\n{text}")
    assert config.warnings == ()
    assert len(fragments()) == 6


def test_a_verifier_between_the_two() -> None:
    """The function for verifiers that have both takes each kind of token by its own key alone."""
    (text,) = re.findall(r"^       def claims_of\(token\):\n(?: {8,}.*\n)+", DOCUMENT, re.MULTILINE)
    signer, secret = pair("ES256"), "s" * 32
    keys = SimpleNamespace(get_signing_key_from_jwt=lambda _: signer.public_key())
    names: dict[str, Any] = {"jwt": jwt, "SECRET": secret, "keys": keys, "ISSUER": ISSUER}
    exec(textwrap.dedent(text), names)  # noqa: S102 - it is our own
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
