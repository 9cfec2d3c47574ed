"""The stub's replies, the tokens that are sent, and who may take part."""

from __future__ import annotations

import json

import jwt
import pytest

from bench.load.answers import Keys, distinct_tokens
from bench.load.replies import REPLY_BYTES, compact, reply_object
from bench.measure.scenarios import FLOOR, SCENARIOS, SUBJECT
from bench.measure.services import known_services


@pytest.mark.parametrize("size", [REPLY_BYTES, 1024, 8 * 1024, 32 * 1024, 64 * 1024])
def test_replies_have_the_size_that_is_asked_for(size: int) -> None:
    """A reply of N bytes is N bytes of JSON on the wire."""
    text = compact(reply_object(size))
    assert len(text) == size
    assert json.loads(text) == reply_object(size)


def test_tokens_are_valid_and_distinct() -> None:
    """Tokens are HS256, carry the data and an expiry, differ from each other and are equally long."""
    keys = Keys.make()
    tokens = distinct_tokens(keys, 50)
    assert len(set(tokens)) == 50
    assert len({len(token) for token in tokens}) == 1
    claims = jwt.decode(keys.sign({"id": 1}), keys.secret, ["HS256"], options={"require": ["exp"]})
    assert claims["data"] == {"id": 1}
    of_keyset = keys.sign({"id": 1}, has_keyset=True)
    assert jwt.get_unverified_header(of_keyset)["alg"] == "EdDSA"
    assert keys.read(of_keyset) == claims


def test_peers_are_the_folders_with_a_run() -> None:
    """The service and every peer of the repository are known, and each peer's `run` can be started."""
    known = known_services()
    assert next(iter(known)) == SUBJECT
    assert {FLOOR, "aiohttp_plain", "fastapi_httpx", "node_fastify", "nginx_lua"} <= known.keys()


def test_scenarios_are_named_once_and_by_their_name() -> None:
    """A scenario is found under the name that it calls itself."""
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())
    assert len({scenario.title for scenario in SCENARIOS.values()}) == len(SCENARIOS)
