"""examples/verify: the Python verifier at work, and what the folders hold. `scripts/examples` runs all, with a rotation."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from pathlib import Path
from typing import Final

import jwt
import pytest
import yaml

from tests.verifying.__main__ import BEFORE, Candidate, Report, ask, is_right
from tests.verifying.issuer import ALGORITHMS, AUDIENCE, ISSUER, SUBJECT, Kind, LocalIssuer
from tests.verifying.programs import EXAMPLES, PROGRAMS, Program, Verifier
from tests.verifying.publisher import publishing
from tests.verifying.service import ServiceIssuer

ROOT: Final = Path(__file__).parent.parent
TEXT: Final = (ROOT / "docs" / "how-to" / "verify.md").read_text()
ASKED: Final = (*BEFORE, Kind.UNKNOWN_KID, Kind.LINE_BREAK)
PYTHON: Final = next(program for program in PROGRAMS if program.name == "python")


def examined(
    program: Program, command: tuple[str, ...], algorithm: str, issuer: LocalIssuer | ServiceIssuer | None = None
) -> Report:
    """Have a program verify all that can be asked without a rotation."""
    report = Report((program.name,))
    issuer = issuer or LocalIssuer(algorithm)
    with publishing() as publisher:
        verifier = Verifier(command, program.folder, publisher.publish("here", issuer.jwks), algorithm)
        try:
            ask(report, (Candidate(program, algorithm, issuer, verifier, "here"),), ASKED)
        finally:
            assert verifier.close() == "exit code 0"
    return report


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_python_verifier(algorithm: str) -> None:
    """It takes good tokens and refuses each bad one for what is bad about it."""
    report = examined(PYTHON, (sys.executable, "verify.py"), algorithm)
    assert len(report.rows) == len(ASKED)
    assert report.wrong() == []


def test_the_service_as_issuer() -> None:
    """What a running service signs and publishes is what a verifier takes and refuses, and after a reload the next key signs."""
    with contextlib.closing(ServiceIssuer("ES256", switch_s=1)) as issuer:
        assert examined(PYTHON, (sys.executable, "verify.py"), "ES256", issuer).wrong() == []
        issuer.rotate()
        keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(issuer.jwks().decode()).keys}
        for kind, own in ((Kind.GOOD, issuer.keys[0]), (Kind.NEXT, issuer.keys[1])):
            token = issuer.issue(kind)
            assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT", "kid": own.kid}
            assert jwt.decode(token, keys[own.kid], ["ES256"], issuer=ISSUER, audience=AUDIENCE)["sub"] == SUBJECT


def test_a_verifier_that_takes_all_is_found_out() -> None:
    """Each bad token that a program calls valid is named."""
    code = f"import sys\nfor line in sys.stdin: print('valid {SUBJECT}', flush=True)"
    wrong = examined(PYTHON, (sys.executable, "-c", code), "ES256").wrong()
    assert len(wrong) == len(ASKED) - len({Kind.GOOD, Kind.AUDIENCES})


def test_a_line_too_much_is_found_out() -> None:
    """A program that a token can make print a second line gives no right answer after that."""
    verifier = Verifier((sys.executable, "-c", "input(); print('invalid a\\nvalid 42')"), ROOT, "", "ES256")
    assert verifier.answer("a.b.c") == "invalid a"
    verifier.process.wait()
    assert verifier.close() == "a line too much: valid 42"


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (Kind.GOOD, "valid 43"),
        (Kind.GOOD, "invalid expired"),
        (Kind.EXPIRED, "invalid signature"),
        (Kind.EXPIRED, "expired"),
        (Kind.EMPTY, "valid 42"),
        (Kind.EMPTY, "ended: Traceback"),
    ],
)
def test_wrong_answers(kind: Kind, answer: str) -> None:
    """An answer is right only with the right subject, or the right reason."""
    assert not is_right(kind, answer)


def test_a_verifier_of_hmac_does_not_start() -> None:
    """An algorithm with a shared secret can not be configured."""
    verifier = Verifier((sys.executable, "verify.py"), PYTHON.folder, "http://127.0.0.1:1/", "HS256")
    assert verifier.answer("a.b.c").startswith("ended: ALGORITHMS may name")
    assert verifier.close() == "exit code 1"


def test_lock_files_hold_no_address() -> None:
    """Where a package was downloaded from is not part of a lock file, but for the name of the registry of crates."""
    packages = json.loads((EXAMPLES / "node" / "package-lock.json").read_text())["packages"]
    assert not [name for name, package in packages.items() if "resolved" in package]
    sources = set(re.findall('^source = "(.*)"$', (EXAMPLES / "rust" / "Cargo.lock").read_text(), re.MULTILINE))
    assert sources == {"registry+https://github.com/rust-lang/crates.io-index"}


def test_each_program_is_in_the_text() -> None:
    """docs/how-to/verify.md names each folder of examples/verify, and there is a program for each folder."""
    assert {program.name for program in PROGRAMS} == {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert all(f"examples/verify/{program.name}" in TEXT for program in PROGRAMS)


def test_the_configurations_are_well_formed() -> None:
    """Each block of YAML or JSON in docs/how-to/verify.md is that."""
    blocks = re.findall(r"^```(yaml|json)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert {kind for kind, _ in blocks} == {"yaml", "json"}
    for kind, block in blocks:
        assert list(yaml.safe_load_all(block)) if kind == "yaml" else json.loads(block)
