"""What `txtoken token` issues, verifies and explains. PyJWT judges it."""

from __future__ import annotations

import json
import time
from typing import Final

import jwt
import pytest

from tests.cli.terminal import Ran, Terminal
from tests.running import KEY
from txtoken.cli.exit_codes import FAILED, OK, USAGE

NOON: Final = 1_700_000_000


def token(claims: dict[str, object], key: str = KEY) -> str:
    """Sign a token with the independent library."""
    return jwt.encode(claims, key, algorithm="HS256")


GOOD: Final = token({"data": {"id": 7, "name": "Ünal"}, "exp": 4_000_000_000})
EXPIRED: Final = token({"data": {}, "exp": 1})
FOREIGN: Final = token({"data": {}, "exp": 4_000_000_000}, "another-key-for-tests-0123456789-abcdefgh")


@pytest.mark.parametrize("by", ["argument", "stdin", "stdin without -"])
def test_token_issue(terminal: Terminal, by: str) -> None:
    """A token carries the object, lives expHours, and is one for the independent library; the object may come on stdin."""
    data = '{"id": 7, "name": "Ünal", "big": 123456789012345678901234567890}'
    arguments = {"argument": [data], "stdin": ["-"], "stdin without -": []}[by]
    stdin = b"" if by == "argument" else f" {data}\n".encode()
    before = int(time.time())
    ran = terminal.run("token", "issue", *arguments, stdin=stdin)
    assert (ran.code, ran.err) == (OK, "")
    claims = jwt.decode(ran.out.strip(), KEY, algorithms=["HS256"])
    assert claims["data"] == json.loads(data)
    assert before <= claims["exp"] - 24 * 3600 <= time.time()


@pytest.mark.parametrize(("hours", "seconds"), [("2", 7200), ("0.5", 1800), ("1e-9", 1), ("878400", 878_400 * 3600)])
def test_token_issue_as_json(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, hours: str, seconds: int) -> None:
    """With `--output json` the token comes with its end, and `--hours` counts more than expHours."""
    monkeypatch.setattr("time.time", lambda: NOON + 0.9)
    ran = terminal.run("token", "issue", "{}", "--output", "json", "--hours", hours)
    assert (ran.code, set(ran.json)) == (OK, {"token", "exp"})
    assert ran.json["exp"] == NOON + seconds
    assert jwt.decode(ran.json["token"], options={"verify_signature": False}) == {"data": {}, "exp": NOON + seconds}


@pytest.mark.parametrize(
    "data", ["[1]", "5", "", "{", '{"a":}', "null", "\udcff", '{"a":"\udcff"}', "[" * 300, '{"a":' * 250]
)
def test_token_issue_wants_an_object(terminal: Terminal, data: str) -> None:
    """What is no JSON object is wrong usage, with a reason that quotes nothing, and no token."""
    for arguments, stdin in (([data], b""), (["-"], data.encode(errors="surrogateescape"))):
        ran = terminal.run("token", "issue", "--", *arguments, stdin=stdin)
        assert (ran.code, ran.out) == (USAGE, "")
        assert ran.err.startswith("txtoken: DATA is n")
        assert "It has to be a JSON object, as the remote would reply." in ran.err


@pytest.mark.parametrize(
    "pasted",
    [
        "{}",
        " {}\r\n",
        '"{}"',
        "'{}'",
        "`{}`",
        "Bearer {}",
        "bearer   {}",
        "Authorization: Bearer {}",
        "authorization:Bearer\t{}",
        "'Authorization: Bearer {}'",
        'Authorization: "Bearer {}"',
        '{{"token":"{}"}}',
        '{{ "token" : "{}" }}\n',
        '{{"exp": 4000000000, "access_token":"{}", "token_type":"Bearer"}}',
        '{{"token":"Bearer {}"}}',
    ],
)
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_tokens_are_taken_as_they_are_copied(terminal: Terminal, pasted: str, is_wrapped: bool) -> None:
    """In an answer's JSON, a header field, quotes, or lines that a terminal or a mail wrapped, it is the token that is judged."""
    token = GOOD if not is_wrapped else "\n  ".join(GOOD[start : start + 40] for start in range(0, len(GOOD), 40))
    text = pasted.format(token)
    for command in ("verify", "explain"):
        assert terminal.run("token", command, "--", text).code == OK
        assert terminal.run("token", command, stdin=text.encode()).code == OK


@pytest.mark.parametrize(
    "text", ["{}", '{"token":5}', '{"token":""}', "Bearer", "Authorization:", '""', "{", "bearertoken.a.b"]
)
def test_what_holds_no_token_is_not_valid(terminal: Terminal, text: str) -> None:
    """What looks like a copy but holds no token is judged as it stands."""
    assert terminal.run("token", "explain", "--", text).code == FAILED


@pytest.mark.parametrize("by", ["argument", "header", "stdin", "stdin without -"])
def test_token_verify(terminal: Terminal, by: str) -> None:
    """A valid token's claims are printed, whichever way it came."""
    arguments = {"argument": [f" {GOOD} "], "header": [f"Bearer {GOOD}"], "stdin": ["-"], "stdin without -": []}[by]
    stdin = b"" if by in ("argument", "header") else f"{GOOD}\n".encode()
    ran = terminal.run("token", "verify", *arguments, stdin=stdin)
    assert (ran.code, ran.err) == (OK, "")
    assert ran.json == {"data": {"id": 7, "name": "Ünal"}, "exp": 4_000_000_000}
    ran = terminal.run("token", "verify", "--output", "json", *arguments, stdin=stdin)
    assert ran.code == OK
    assert ran.json == {"valid": True, "claims": {"data": {"id": 7, "name": "Ünal"}, "exp": 4_000_000_000}}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (EXPIRED, "Token is expired"),
        (FOREIGN, "signature is invalid"),
        ("a.b", "token contains an invalid number of segments"),
        ("", "token contains an invalid number of segments"),
        (GOOD + "=", "token is malformed"),
        ("\udcff", "token contains an invalid number of segments"),
        ("\udcff.\udcff.\udcff", "token is malformed"),
        (token({"data": {}}), "token has no expiry"),
    ],
)
def test_token_verify_says_what_the_service_would(terminal: Terminal, text: str, error: str) -> None:
    """A token that is not valid ends with 1 and the very text that the check route answers with."""
    assert terminal.run("token", "verify", "--", text) == Ran(FAILED, "", f"not valid: {error}\n")
    stdin = text.encode(errors="surrogateescape")
    ran = terminal.run("token", "verify", "--output", "json", stdin=stdin)
    assert (ran.code, ran.err, ran.json) == (FAILED, "", {"valid": False, "error": error})


def test_token_verify_follows_the_rules(terminal: Terminal) -> None:
    """The rules of `verify` hold for tokens on the command line as for those at the check route."""
    assert terminal.run("token", "verify", GOOD, "--set", "verify.iss=me").code == FAILED
    assert terminal.run("token", "verify", token({"data": {}}), "--set", "verify.requireExp=false").code == OK


def test_token_explain(terminal: Terminal) -> None:
    """A valid token is explained with its time left, a foreign one with the reason; both with what can be read of them."""
    ran = terminal.run("token", "explain", GOOD)
    assert (ran.code, ran.err) == (OK, "")
    assert ran.out.startswith("Valid: it is valid for another ")
    assert '  header:  {"alg":"HS256","typ":"JWT"}\n' in ran.out
    assert '"name":"Ünal"' in ran.out
    ran = terminal.run("token", "explain", "-", stdin=FOREIGN.encode())
    assert (ran.code, ran.err) == (FAILED, "")
    assert ran.out.startswith("Not valid: it was signed with another key")
    assert "\n  answer:  signature is invalid\n" in ran.out


def test_token_explain_of_anything(terminal: Terminal) -> None:
    """What cannot be read is said to be unreadable."""
    for text in ("", "x", "\udcff", "a.b.c", "é.é.é"):
        ran = terminal.run("token", "explain", "--", text)
        assert ran.code == FAILED
        assert "cannot be read" in ran.out


@pytest.mark.parametrize(("text", "code"), [(GOOD, OK), (EXPIRED, FAILED), (FOREIGN, FAILED), ("x", FAILED)])
def test_token_explain_as_json(terminal: Terminal, text: str, code: int) -> None:
    """With `--output json` the explanation has five members, null where there is nothing to say."""
    ran = terminal.run("token", "explain", "--output", "json", text)
    assert ran.code == code
    assert set(ran.json) == {"valid", "error", "reason", "header", "claims"}
    assert ran.json["valid"] is (code == OK)
    assert (ran.json["error"] is None) is (code == OK)
    assert ran.json["reason"]
    assert ran.json["header"] == (None if text == "x" else {"alg": "HS256", "typ": "JWT"})
    assert (ran.json["claims"] is None) is (text == "x")


def test_revocations_count(terminal: Terminal) -> None:
    """A revoked token is not valid on the command line either, and a revoked key signs nothing."""
    secrets = (
        "keys: [{alg: HS256, kid: a, secretFile: a}, {alg: HS256, kid: b, secretFile: b, from: 2026-01-01T00:00:00Z}]"
    )
    terminal.write(KEY, "a")
    terminal.write(KEY[::-1], "b")
    terminal.write("", "revoked")
    terminal.write(f"{secrets}\nremote: http://h/\nrevocations: revoked\n")
    issued = terminal.run("token", "issue", "{}").out
    assert jwt.get_unverified_header(issued.strip())["kid"] == "b"
    assert terminal.run("token", "verify", stdin=issued.encode()).code == OK
    terminal.write("kid b\n", "revoked")
    assert terminal.run("token", "verify", stdin=issued.encode()) == Ran(FAILED, "", "not valid: token is revoked\n")
    assert "it was revoked" in terminal.run("token", "explain", stdin=issued.encode()).out
    assert jwt.get_unverified_header(terminal.run("token", "issue", "{}").out.strip())["kid"] == "a"
