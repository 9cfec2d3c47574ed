"""What a reload says of other keys: which tokens are refused from now on, and what verifiers do not know yet."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest

from tests.config.key_files import LONG
from tests.configuring import KEY, OTHER_KEY, REMOTE, load_text
from txtoken.config.key_changes import key_changes
from txtoken.settings import Config

EC: Final = "{alg: ES256, keyFile: @ec.pem, kid: a}"
ROTATING: Final = "{secretFile: @root, alg: EdDSA, every: 24h, iss: a}"


def loaded(folder: Path, keys: str, more: str = "") -> Config:
    """Load a configuration with these keys."""
    text = f"remote: {REMOTE}\n{more}\n" + (f"keys: {keys}\n" if keys else "")
    return load_text(folder, text.replace("@", f"{folder}/"))


def at(seconds: float) -> str:
    """Write a time so long after now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_short_leads(folder: Path) -> None:
    """A key that is added by a reload and signs within 3 hours is reported; a changed algorithm too; HMAC and old keys
    are not.
    """
    before = loaded(folder, f"[{EC}]")

    def said(*entries: str) -> list[str]:
        return key_changes(before, loaded(folder, f"[{', '.join((EC, *entries))}]"), time.time())

    assert said() == []
    assert said(f"{{alg: HS256, kid: h, secret: {LONG}}}") == []
    assert said(f"{{alg: ES256, keyFile: @ec2.pem, from: {at(4 * 3600)}}}") == []
    (lead,) = said(f"{{alg: ES256, keyFile: @ec2.pem, kid: b, from: {at(2 * 3600)}}}")
    assert lead.startswith("the key b signs less than 3 h after")
    (changed,) = said(f"{{alg: EdDSA, keyFile: @ed.pem, kid: b, from: {at(4 * 3600)}}}")
    assert changed.startswith("the key b has a different algorithm")
    assert said("{alg: EdDSA, keyFile: @ed.pub, kid: b}") == []  # it signs never
    assert said("{alg: EdDSA, keyFile: @ed.pem, kid: b, until: 2020-01-01T00:00:00Z}") == []  # no more
    assert len(said("{alg: EdDSA, keyFile: @ed.pem, kid: b}")) == 2


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", "", []),
        (f"encKey: {KEY}", f"encKey: {KEY}", []),
        (
            f"encKey: {KEY}",
            f"encKey: {OTHER_KEY}",
            ["encKey changed: tokens that it signed are rejected from now on"],
        ),
        (
            f"encKey: {KEY}\nkeys: [{EC}]",
            f"keys: [{EC}]",
            ["encKey was removed: tokens that it signed are rejected from now on"],
        ),
        (f"encKey: {KEY}", f"encKey: {KEY}\nkeys: [{EC}]", ["lead"]),
        (f"keys: [{EC}]", f"encKey: {KEY}\nkeys: [{EC}]", []),
        (f"keys: [{EC}]", f"keys: [{EC.replace('pem', 'jwk')}]", []),
        (f"encKey: {KEY}\nkeys: [{EC}]", f"encKey: {KEY}\nkeys: [{EC.replace('pem', 'pub')}]", []),
        (f"encKey: {KEY}\nkeys: [{EC.replace('pem', 'pub')}]", f"encKey: {KEY}\nkeys: [{EC}]", []),
        (f"encKey: {KEY}\nkeys: [{EC}]", f"encKey: {KEY}\nkeys: [{EC.replace('kid: a', 'kid: b')}]", ["a", "lead"]),
        (f"encKey: {KEY}\nkeys: [{EC}]", f"encKey: {KEY}\nkeys: [{EC.replace('ec.', 'ec2.')}]", ["a", "lead"]),
        (
            f"encKey: {KEY}\nkeys: [{EC}]",
            f"encKey: {KEY}\nkeys: [{EC.replace('a}', 'a, until: 2020-01-01T00:00:00Z}')}]",
            ["a"],
        ),
        (f"encKey: {KEY}\nkeys: [{EC.replace('a}', 'a, until: 2020-01-01T00:00:00Z}')}]", f"encKey: {KEY}", []),
        (f"encKey: {KEY}\nkeys: [{EC.replace('a}', 'a, from: 2099-01-01T00:00:00Z}')}]", f"encKey: {KEY}", []),
        (f"encKey: {KEY}\nkeys: [{EC}]", f"encKey: {KEY}", ["a"]),
        (
            f"encKey: {KEY}\nkeys: [{{alg: HS256, kid: a, secret: {LONG}}}]",
            f"encKey: {KEY}\nkeys: [{{alg: HS256, kid: a, secret: {LONG}2}}]",
            ["a"],
        ),
        (
            f"encKey: {KEY}\nkeys: [{{alg: HS256, kid: a, secret: {LONG}}}]",
            f"encKey: {KEY}\nkeys: [{{alg: HS256, kid: a, secret: {LONG}}}]",
            [],
        ),
    ],
)
def test_keys_of_a_list(folder: Path, before: str, after: str, said: list[str]) -> None:
    """A key whose tokens may live and that verifies no more is reported, in whatever form it was given; others are not."""
    texts = {
        "a": "the key a no longer verifies: tokens that it signed are rejected from now on",
        "lead": "signs less than 3 h after",
    }
    if not before:
        before = after = f"encKey: {KEY}"
    found = key_changes(loaded(folder, "", before), loaded(folder, "", after), time.time())
    assert len(found) == len(said)
    for text, wanted in zip(found, said, strict=True):
        assert texts.get(wanted, wanted) in text


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (ROTATING, ROTATING, []),
        (ROTATING, ROTATING.replace("24h", "24h, lead: 12h"), []),
        (ROTATING, f"[{EC}]", ["were removed: ", "the key a signs less than 3 h", "a different algorithm"]),
        (
            f"[{EC}]",
            ROTATING,
            ["the key a no longer verifies", "the derived key signs less than 3 h", "a different algorithm"],
        ),
        (ROTATING, ROTATING.replace("24h", "12h"), ["derives other keys", "less than 3 h"]),
        (ROTATING, ROTATING.replace("iss: a", "iss: b"), ["derives other keys", "less than 3 h"]),
        (
            ROTATING,
            ROTATING.replace("EdDSA", "ES256"),
            ["derives other keys", "less than 3 h", "a different algorithm"],
        ),
        (ROTATING, ROTATING.replace("EdDSA", "HS256"), ["derives other keys"]),
        (ROTATING, ROTATING.replace("@root", "@root2"), ["a secret of the self-rotating keys", "less than 3 h"]),
        (ROTATING, ROTATING.replace("@root", "[@root2, @root]"), ["less than 3 h"]),
        (ROTATING, ROTATING.replace("@root", "[@root, @root2]"), []),
        (ROTATING.replace("@root", "[@root, @root2]"), ROTATING.replace("@root", "[@root2, @root]"), []),
        (
            ROTATING.replace("@root", "[@root, @root2]"),
            ROTATING.replace("@root", "@root2"),
            ["a secret of the self-rotating keys"],
        ),
    ],
)
def test_keys_that_rotate_by_themselves(folder: Path, before: str, after: str, said: list[str]) -> None:
    """Other keys than those that were derived before are reported, for tokens and for verifiers."""
    found = key_changes(loaded(folder, before), loaded(folder, after), time.time())
    assert len(found) == len(said)
    for text, wanted in zip(found, said, strict=True):
        assert wanted in text


@pytest.mark.parametrize(
    ("hours", "is_told"), [(48, False), (47.75, False), (23.76, False), (23.75, True), (72, False)]
)
def test_a_shorter_life(folder: Path, hours: float, is_told: bool) -> None:
    """Where so few old keys are known that tokens which were issued for longer lose theirs, that is reported."""
    before, after = (loaded(folder, ROTATING, f"expHours: {value}") for value in (48, hours))
    assert [text.partition(":")[0] for text in key_changes(before, after, time.time())] == [
        "expHours is shorter, so fewer old keys are kept"
    ] * is_told


@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        ("expHours: 30\nrefresh: {grace: 18h}", "expHours: 30", False),
        ("expHours: 30\nrefresh: {grace: 19h}", "expHours: 30", True),
        ("expHours: 49", "expHours: 30\nrefresh: {grace: 19h}", False),
    ],
)
def test_a_shorter_grace(folder: Path, before: str, after: str, is_told: bool) -> None:
    """The time for which expired tokens are renewed counts as their life does."""
    found = key_changes(loaded(folder, ROTATING, before), loaded(folder, ROTATING, after), time.time())
    assert len(list(found)) == is_told
