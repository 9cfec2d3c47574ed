"""What one key of a keyset may be, and how a keyset is shown."""

from __future__ import annotations

from math import inf
from typing import Any, Final

import jsonschema
import orjson
import pytest

from txtoken.config.keyset import KEYSET, read_algorithm, read_kid
from txtoken.config.schema import schema
from txtoken.config.values import Wrong, scalar
from txtoken.service.keys.key import ALGORITHMS
from txtoken.settings import HIDDEN, KeyEntry, RotationSettings, Secret

SECRET: Final = Secret(b"a-secret-that-nobody-may-see-0123456789")


@pytest.mark.parametrize("kid", ["a", "A", "0", "2027-01", "a.b_c-d", "-", ".", "_", "k" * 64])
def test_names(kid: str) -> None:
    """Letters, digits, `_`, `.` and `-`, 1 to 64 of them, are a name."""
    assert read_kid(scalar(kid)) == kid


@pytest.mark.parametrize(
    "kid", ["", "k" * 65, "a b", " a", "a ", "a\n", "a/b", "a+b", "a=", "\u00e9", "\u0661", "a\0", "a:b", '"']
)
def test_what_is_no_name(kid: str) -> None:
    """Nothing else is, and it is not quoted."""
    with pytest.raises(Wrong) as caught:
        read_kid(scalar(kid))
    assert str(caught.value) == "has to be 1 to 64 letters, digits, _, . or -"


def test_algorithms() -> None:
    """The seven are known by the names that verifiers have for them, and no other name."""
    assert [read_algorithm(scalar(name)) for name in ALGORITHMS] == [*ALGORITHMS]
    for name in (
        "none",
        "es256",
        "Ed25519",
        "ES384",
        "ES512",
        "RS384",
        "RS512",
        "PS512",
        "ES256K",
        "HS128",
        "",
        "ES256 ",
    ):
        with pytest.raises(Wrong):
            read_algorithm(scalar(name))


ENTRIES: Final = (
    KeyEntry("HS256", SECRET, "h"),
    KeyEntry("ES256", SECRET, "", -inf, 1_800_000_000),
    KeyEntry("RS256", SECRET, "r", 1_700_000_000.5, inf),
)


def test_a_list_is_shown_as_the_file_has_it() -> None:
    """Names, algorithms and times are shown as the file would have them, and of each key nothing else."""
    assert KEYSET.write((ENTRIES, None)) == [
        {"alg": "HS256", "kid": "h", "secret": HIDDEN},
        {"alg": "ES256", "keyFile": HIDDEN, "until": "2027-01-15T08:00:00Z"},
        {"alg": "RS256", "kid": "r", "keyFile": HIDDEN, "from": "2023-11-14T22:13:20.500000Z"},
    ]
    assert KEYSET.write(((), None)) is None


def test_a_section_is_shown_as_the_file_has_it() -> None:
    """Of keys that rotate the secrets are counted and hidden."""
    shown = KEYSET.write(((), RotationSettings((SECRET, SECRET), "EdDSA", "https://a", 86_400, 3600)))
    assert shown == {"alg": "EdDSA", "secretFile": [HIDDEN, HIDDEN], "every": 86_400, "lead": 3600, "iss": "https://a"}


@pytest.mark.parametrize(
    ("keys", "good"),
    [
        ([{"alg": "ES256", "keyFile": "k.pem"}], True),
        ([{"alg": "HS256", "kid": "a", "secret": "x" * 32}], True),
        ([{"alg": "HS256", "kid": "a", "secretFile": "x", "from": "2027-01-31T00:00:00Z"}], True),
        ({"alg": "EdDSA", "secretFile": ["a", "b"], "every": "24h", "lead": "3h", "iss": "i"}, True),
        ([{"alg": "ES384", "keyFile": "k.pem"}], False),
        ([{"alg": "ES256", "keyFile": "k.pem", "x": 1}], False),
        ([{"alg": "ES256", "kid": "a b"}], False),
        ([{"alg": "ES256", "from": "tomorrow"}], False),
        ({"alg": "RS256", "secretFile": "a", "every": "24h"}, False),
        ("text", False),
    ],
)
def test_the_schema_knows_keysets(keys: Any, good: bool) -> None:
    """An editor that has the schema says the same of a keyset's form."""
    validator = jsonschema.Draft202012Validator(orjson.loads(orjson.dumps(schema())))
    assert validator.is_valid({"remote": "http://h/", "keys": keys}) is good
