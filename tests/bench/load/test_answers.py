"""The stub's replies, the tokens that are sent, and who may take part."""

from __future__ import annotations

import json

import jwt
import pytest

from bench.load.answers import distinct_tokens, sign
from bench.load.stub_remote import REPLY_BYTES, reply_object
from bench.measure.scenarios import FLOOR, SCENARIOS, SUBJECT
from bench.measure.services import known_services
from tests.running import KEY


@pytest.mark.parametrize("size", [REPLY_BYTES, 1024, 8 * 1024, 64 * 1024])
def test_replies_have_the_size_that_is_asked_for(size: int) -> None:
    """A reply of N bytes is N bytes of JSON on the wire."""
    assert len(json.dumps(reply_object(size), separators=(",", ":"))) == size


def test_tokens_are_valid_and_distinct() -> None:
    """Tokens are HS256, carry the data and an expiry, differ from each other and are equally long."""
    tokens = distinct_tokens(KEY, {"id": 1}, 50)
    assert len(set(tokens)) == 50
    assert len({len(token) for token in tokens}) == 1
    claims = jwt.decode(sign(KEY, {"id": 1}), KEY, ["HS256"], options={"require": ["exp"]})
    assert claims["data"] == {"id": 1}


def test_peers_are_the_folders_with_a_run() -> None:
    """The service and every peer of the repository are known, and each peer's `run` can be started."""
    known = known_services({})
    assert next(iter(known)) == SUBJECT
    assert {FLOOR, "aiohttp_plain", "fastapi_httpx", "node_fastify", "nginx_lua"} <= known.keys()


def test_scenarios_are_named_once_and_by_their_name() -> None:
    """A scenario is found under the name that it calls itself."""
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())
    assert len({scenario.title for scenario in SCENARIOS.values()}) == len(SCENARIOS)
