"""nginx that remembers verdicts, by the exported file with `cache`: each is one token's alone, and ends when it has to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from tests.forward_auth.stage import CACHE_S, CONFIG, COOKIE, FRONTS, USER, Front, Stage, bearer, of, signed
from tests.running import PATIENCE_S

CACHED: Final = [front for front in FRONTS if front.section == "/cached"]
POLL_S: Final = 0.02


def until(holds: Callable[[], bool]) -> float:
    """Wait until something holds. Returns how many seconds that took."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < PATIENCE_S
        time.sleep(POLL_S)
    return time.monotonic() - begun


@of(*CACHED)
def test_a_verdict_is_one_tokens_alone(stage: Stage, front: Front) -> None:
    """Tokens in the header, in the cookie and in both are never taken for one another, however often they come."""
    ada, bob, eve = (signed({"user": user}) for user in ("ada", "bob", "eve"))
    bad = bearer(user="mal")[:-6] + "AAAAAA"
    questions = [
        ((f"Authorization: Bearer {ada}",), "ada"),
        ((f"Authorization: Bearer {bob}",), "bob"),
        ((f"Cookie: {COOKIE}={ada}",), "ada"),
        ((f"Cookie: {COOKIE}={bob}",), "bob"),
        ((f"Cookie: {COOKIE}={ada}", f"Authorization: Bearer {eve}"), "eve"),
        ((f"Cookie: {COOKIE}={ada}", bad), None),
        ((bad,), None),
        ((f"Cookie: {COOKIE}={ada}; {COOKIE}={bob}",), None),
        (("X-None: 1",), None),
    ]
    for _ in range(4):
        for lines, user in questions:
            answer = stage.ask(front, "GET", "/", *lines)
            if user is None:
                assert answer.status == 401
            else:
                assert answer.seen.values(USER) == [user]


@of(*CACHED)
def test_no_method_and_no_header_gets_another_verdict(stage: Stage, front: Front) -> None:
    """A remembered verdict serves every method, and what a client says of caches and ranges changes nothing."""
    line = bearer(user="ada")
    for _ in range(2):
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
            body = b"x" if method == "POST" else None
            for other in ("Range: bytes=0-0", "If-None-Match: *", "Cache-Control: no-store", "Vary: Authorization"):
                assert stage.ask(front, method, f"/{method}", line, other, body=body).status == 200
                assert stage.protected.seen[-1].values(USER) == ["ada"]
                assert stage.ask(front, method, f"/{method}", other, body=body).status == 401


@of(*CACHED)
def test_a_revoked_token_passes_no_longer(stage: Stage, front: Front) -> None:
    """A token that is revoked is refused everywhere at once, and by this nginx when its verdict has ended."""
    kept = stage.revoked.read_text()
    line, plain = bearer(user="gone"), Front(front.program, "/plain")
    assert stage.ask(front, "GET", "/", line).status == 200
    stage.revoked.write_text("jti gone\n")
    stage.reload()
    try:
        until(lambda: stage.ask(plain, "GET", "/", line).status == 401)
        took_s = until(lambda: stage.ask(front, "GET", "/", line).status == 401)
        assert took_s < CACHE_S + 1  # nginx counts whole seconds
    finally:
        stage.revoked.write_text(kept)
        stage.reload()
    until(lambda: stage.ask(plain, "GET", "/", line).status == 200)


@of(*CACHED)
def test_a_verdict_is_remembered_no_longer_than_it_may(stage: Stage, front: Front) -> None:
    """While txtoken is down a remembered token passes for `cache`, another one never, and afterwards none."""
    assert f"cache: {CACHE_S}s" in CONFIG
    line = bearer(user="ada")
    assert stage.ask(front, "GET", "/", line).status == 200
    stage.stop_service()
    try:
        assert stage.ask(front, "GET", "/", bearer(user="bob")).status == 500
        assert stage.ask(front, "GET", "/").status == 500
        took_s = until(lambda: stage.ask(front, "GET", "/", line).status == 500)
        assert took_s < CACHE_S + 1
    finally:
        stage.restart_service()
    assert stage.ask(front, "GET", "/", line).status == 200


@of(*CACHED)
def test_txtoken_is_asked_once(stage: Stage, front: Front) -> None:
    """Within its time a verdict serves without a question: it does while txtoken is down."""
    line = bearer(user="ada")
    for attempt in range(5):  # the second may turn in between
        assert stage.ask(front, "GET", "/", line).status == 200
        stage.stop_service()
        try:
            if stage.ask(front, "GET", "/", line).status == 200:
                return
        finally:
            stage.restart_service()
        assert attempt < 4, "nothing is remembered"
