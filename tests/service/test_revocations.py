"""Revocations: which lines there are, what they revoke, and what a million of them costs."""

from __future__ import annotations

import secrets
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs import cost_s
from txtoken.service.revocations import MOMENTS, BadLine, Carried, Identity, Revocations

ALL = Carried(jti=True, sid=True, kid=True, sub=True, time=True)
NOW = 1_800_000_000.0
THEN = "2027-01-15T08:00:00Z"  # is NOW


def revocations(*lines: str, carried: Carried = ALL) -> Revocations:
    """Make a list."""
    made = Revocations(carried)
    for line in lines:
        made.add(line)
    for _ in made.put_in_order():
        pass
    return made


def is_revoked(line: str, claims: dict[str, Any], kid: str = "k", now: float = NOW) -> bool:
    """Whether this line revokes a token of these claims."""
    return revocations(line).revokes(Identity(claims), kid, now)


@pytest.mark.parametrize(
    ("line", "claims", "revoked"),
    [
        ("jti a", {"jti": "a"}, True),
        ("jti a", {"jti": "b"}, False),
        ("jti a", {"jti": "A"}, False),
        ("jti a", {"sub": "a", "sid": "a"}, False),
        ("jti a", {}, False),
        ("jti 1", {"jti": 1}, False),
        ("  jti\ta  ", {"jti": "a"}, True),
        ('jti "a b"', {"jti": "a b"}, True),
        ('jti "\\u00e4"', {"jti": "ä"}, True),
        ("jti ä", {"jti": "ä"}, True),
        ("sid s", {"sid": "s"}, True),
        ("sid s", {"jti": "s"}, False),
        ("kid k", {}, True),
        ("kid other", {}, False),
        (f"sub ada before {THEN}", {"sub": "ada", "iat": NOW - 1}, True),
        (f"sub ada before {THEN}", {"sub": "ada", "iat": NOW - 0.5}, True),
        (f"sub ada before {THEN}", {"sub": "ada", "iat": NOW}, False),
        (f"sub ada before {THEN}", {"sub": "ada", "iat": NOW + 1}, False),
        (f"sub ada before {THEN}", {"sub": "bob", "iat": 1}, False),
        (f"sub ada before {THEN}", {"sub": "ada"}, True),
        (f"sub ada before {THEN}", {"sub": "ada", "iat": True}, True),
        (f"sub ada before {THEN}", {"sub": "ada", "auth_time": NOW - 1, "iat": NOW + 5}, True),
        (f"sub ada before {THEN}", {"sub": "ada", "auth_time": NOW, "iat": NOW - 5}, False),
        (f"all before {THEN}", {"iat": NOW - 1}, True),
        (f"all before {THEN}", {"iat": NOW}, False),
        (f"all before {THEN}", {}, True),
        ("all before 2027-01-15T09:00:00+01:00", {"iat": NOW}, False),
        ("all before 2027-01-15T09:00:00+01:00", {"iat": NOW - 1}, True),
        ("# jti a", {"jti": "a"}, False),
        ("jti a # and why", {"jti": "a"}, True),
        ("jti a #and why", {"jti": "a"}, True),
        (f'all before {THEN} # it\'s "all"', {"iat": NOW - 1}, True),
        ("jti a#b", {"jti": "a#b"}, True),
        ("jti a#b", {"jti": "a"}, False),
        ('jti "#a b" # "c"', {"jti": "#a b"}, True),
        ("", {"jti": "a"}, False),
    ],
)
def test_what_a_line_revokes(line: str, claims: dict[str, Any], revoked: bool) -> None:
    """A line revokes the tokens that it names and no others; `before` compares the token's own time."""
    assert is_revoked(line, claims) == revoked


@pytest.mark.parametrize("kind", ["jti", "sid"])
def test_until(kind: str) -> None:
    """A revocation with an end ends then."""
    line = f"{kind} a until {THEN}"
    assert is_revoked(line, {kind: "a"}, now=NOW - 1)
    assert not is_revoked(line, {kind: "a"}, now=NOW)
    assert not is_revoked(line, {kind: "b"}, now=NOW - 1)


def test_the_latest_of_two_times_counts() -> None:
    """Of two lines for one subject, or for all, the later time revokes."""
    for one, other in (
        ("2027-01-15T08:00:00Z", "2026-01-15T08:00:00Z"),
        ("2026-01-15T08:00:00Z", "2027-01-15T08:00:00Z"),
    ):
        for what in ("sub ada", "all"):
            made = revocations(f"{what} before {one}", f"{what} before {other}")
            assert made.revokes(Identity({"sub": "ada", "iat": NOW - 1}), "", NOW)
            assert not made.revokes(Identity({"sub": "ada", "iat": NOW}), "", NOW)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("id a", "has to be one of: jti ID"),
        ("JTI a", "has to be one of"),
        ("jti", "has to be: jti ID, or jti ID until TIME"),
        ("jti # a", "has to be: jti ID, or jti ID until TIME"),
        ("jti a b", "has to be: jti ID"),
        ("jti a until", "has to be: jti ID"),
        ("jti a before 2027-01-15T08:00:00Z", "has to be: jti ID"),
        ("jti a until 2027-01-15T08:00:00Z more", "has to be: jti ID"),
        ("sub ada", "has to be: sub SUBJECT before TIME"),
        ("sub ada until 2027-01-15T08:00:00Z", "has to be: sub SUBJECT before TIME"),
        ("all", "has to be: all before TIME"),
        ("all of it before 2027-01-15T08:00:00Z", "has to be: all before TIME"),
        ("kid", "has to be: kid NAME"),
        ("kid a until 2027-01-15T08:00:00Z", "has to be: kid NAME"),
        ("jti a until tomorrow", "needs a time like"),
        ("jti a until 2027-01-15", "needs a time like"),
        ("jti a until 2027-01-15T08:00:00", "needs a time like"),
        ("jti a until 2027-02-30T08:00:00Z", "needs a time like"),
        ("all before 1800000000", "needs a time like"),
        ("jti 'a b'", "has to be: jti ID"),
        ("jti 'a'", "has a name after ': quotes are \""),
        ('jti "a', "that is not JSON text"),
        ('jti "\\x"', "that is not JSON text"),
    ],
)
def test_bad_lines(line: str, why: str) -> None:
    """A line that says nothing that can be revoked is refused, and what is in it is not repeated."""
    with pytest.raises(BadLine) as caught:
        revocations(line.replace(" a", " secret-id"))
    assert why in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "carried", "why"),
    [
        ("jti a", Carried(time=True), "names `jti`, which the tokens of this service do not carry (claims.jti)"),
        ("sid a", Carried(jti=True), "names `sid`, which the tokens of this service do not carry (refresh)"),
        ("kid a", Carried(jti=True), "names `kid`, which the tokens of this service do not carry (keys)"),
        (f"sub a before {THEN}", Carried(time=True), "names `sub`"),
        (f"sub a before {THEN}", Carried(sub=True), "do not carry their time of issue (claims.iat, refresh)"),
        (f"all before {THEN}", Carried(), "do not carry their time of issue (claims.iat, refresh)"),
    ],
)
def test_lines_that_could_never_apply(line: str, carried: Carried, why: str) -> None:
    """A line about a claim that no token of the service carries is a mistake, and says so."""
    with pytest.raises(BadLine) as caught:
        revocations(line, carried=carried)
    assert why in str(caught.value)


@given(st.text())
def test_any_line(line: str) -> None:
    """Any text is a line that counts, a comment, or a `BadLine`."""
    made = Revocations(ALL)
    try:
        made.add(line)
    except BadLine:
        assert made.count == 0
    else:
        assert made.count == (bool(line.split()) and not line.split()[0].startswith("#"))


def test_the_documentation() -> None:
    """The list in docs/reference/keys.md can be used as it stands."""
    section = (Path(__file__).parents[2] / "docs/reference/keys.md").read_text().split("\n## Revocations\n")[1]
    examples = section.partition("```text\n")[2].partition("```")[0].splitlines()
    made = revocations(*examples)
    assert made.count == len(examples) == 5
    assert made.revokes(Identity({"jti": "WZ-EEjTxD5kV-17", "sub": "1", "iat": NOW * 2}), "", NOW)


@pytest.mark.parametrize("line", ["jti {}", "sid {}", "jti {} until {}", "sub {} before {}"])
def test_each_of_many(line: str) -> None:
    """Of many lines each revokes its own token, with its own time, whatever their order; and they take 24 bytes each."""
    kind = line[:3]
    ends = {secrets.token_hex(8): NOW + number for number in range(20_000)}
    lines = [line.format(name, datetime.fromtimestamp(end, UTC).isoformat()) for name, end in ends.items()]
    tracemalloc.start()
    made = revocations(*lines)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 250_000 + 24 * len(ends) + MOMENTS * 300
    for name, end in ends.items():
        assert made.revokes(Identity({kind: name, "iat": end - 1}), "", end - 1)
        assert made.revokes(Identity({kind: name, "iat": end}), "", end) == (line in {"jti {}", "sid {}"})
        assert not made.revokes(Identity({kind: name[1:], "iat": 5}), "", end - 1)


def test_many_lines() -> None:
    """A hundred thousand lines take a tenth of what a million may (2 s), and a check of a token takes no more than 1 µs."""
    lines = [f"jti 8c7f{number:028x}" for number in range(100_000)]
    # With room for a busy machine. Measured: 0.15 s, compiled 0.12 s.
    assert cost_s(lambda: revocations(*lines), enough_s=0.2) < 0.4
    made, identity = revocations(*lines), Identity({"jti": "8c7f", "iat": NOW})
    each = cost_s(lambda: [made.revokes(identity, "k", NOW) for _ in range(10_000)], enough_s=0.01) / 10_000
    assert each < 2e-6  # Measured: 0.5 µs


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], []),
        (["kid k", "jti a", f"all before {THEN}", f"sub a before {THEN}"], []),
        (["kid x"], ["a line with `kid` names no known key"]),
        (["kid x", "kid y", "kid k"], ["2 lines with `kid` name no known key"]),
        (["all before 2027-01-15T08:00:01Z"], ["a time after `before` is in the future"]),
        (["sub a before 2027-01-15T08:00:01Z", f"sub b before {THEN}"], ["a time after `before` is in the future"]),
        (["jti a until 2099-01-15T08:00:01Z"], []),
    ],
)
def test_doubts(lines: list[str], said: list[str]) -> None:
    """What is hardly meant is reported, and no name of it."""
    found = revocations(*lines).doubts(["k", "l"], NOW, signs=True)
    assert len(found) == len(said)
    for text, wanted in zip(found, said, strict=True):
        assert text.startswith(wanted)


@pytest.mark.parametrize(
    ("line", "signs", "is_told"), [("kid k", False, True), ("kid k", True, False), ("jti a", False, False)]
)
def test_all_keys_revoked(line: str, signs: bool, is_told: bool) -> None:
    """Where a list leaves no key that signs, that is reported; where none signs for another reason, it is not the list's
    fault.
    """
    found = revocations(line).doubts(["k"], NOW, signs=signs)
    assert [text[:12] for text in found] == ["no key signs"] * is_told
