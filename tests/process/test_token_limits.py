"""Tokens and a worker: what of them outlives a reload, and what is said of large ones."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import pytest

from tests.configuring import changed
from tests.running import run
from tests.service.faulty_remote import FaultyRemote, Peer, answer
from tests.serving import Served, configuration, serving
from txtoken.observe.notices import LARGE_TOKENS_S
from txtoken.process import heap
from txtoken.settings import Secret, VerifyRules

CHANGES: Final[dict[str, dict[str, object]]] = {
    "encKey": {"keys__secret": Secret(b"another-key-for-tests-0123456789-abcdefgh")},
    "verify": {"check__rules": VerifyRules(leeway_s=7)},
    "checkResponse": {"check__response": "claims"},
    "limits.tokenBytes": {"check__token_bytes_max": 1_024},
}


def saying(size: int) -> FaultyRemote:
    """Make a remote whose replies all have so many bytes or so."""

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.send(answer(b'{"a":"%b"}' % (b"x" * size)))

    return FaultyRemote(play)


async def log_in(served: Served) -> tuple[int, str]:
    """Log in, and return the status and the token."""
    told = await served.ask("POST", "/getToken", body=b"{}")
    return told.status, told.body.decode().partition('{"token":"')[2].removesuffix('"}')


async def check(served: Served, token: str) -> int:
    """Have a token checked by POST, and return the status."""
    return (await served.ask("POST", "/checkToken", body=b'{"token":"%b"}' % token.encode())).status


def test_verified_tokens_outlive_a_reload(tmp_path: Path) -> None:
    """A reload that changes nothing of how tokens are judged forgets none of those that are remembered."""

    async def main() -> None:
        async with saying(10).listening() as remote:
            config = configuration(tmp_path, "", remote.url)
            async with serving(config) as served:
                _, token = await log_in(served)
                for _ in range(2):
                    assert await check(served, token) == 200
                served.worker.take_over(changed(config, issue__ttl_s=77, login__validate_body=False))
                assert served.worker._app.verifier.memory.hits == 0
                assert await check(served, token) == 200
                assert served.worker._app.verifier.memory.hits == 1

    run(main())


@pytest.mark.parametrize("change", CHANGES)
def test_verified_tokens_are_judged_anew(tmp_path: Path, change: str) -> None:
    """A reload that changes how tokens are judged forgets those that are remembered, and goes on with the new rules."""

    async def main() -> None:
        async with saying(1_000).listening() as remote:
            config = configuration(tmp_path, "", remote.url)
            async with serving(config) as served:
                _, token = await log_in(served)
                for _ in range(2):
                    assert await check(served, token) == 200
                served.worker.take_over(changed(config, **CHANGES[change]))
                status = 401 if change in ("encKey", "limits.tokenBytes") else 200
                assert await check(served, token) == status
                assert served.worker._app.verifier.memory.hits == 0

    run(main())


def test_the_limit_is_that_of_issuing_and_checking(tmp_path: Path) -> None:
    """Every token that is issued can be checked, whatever `limits.tokenBytes` is: longer ones are not issued."""

    async def main() -> None:
        for limit, size, status in (
            ("1KiB", 500, 200),
            ("1KiB", 800, 500),
            ("64KiB", 40_000, 200),
            ("64KiB", 50_000, 500),
        ):
            async with saying(size).listening() as remote:
                config = configuration(tmp_path, f"limits: {{tokenBytes: {limit}}}", remote.url)
                async with serving(config) as served:
                    issued, token = await log_in(served)
                    assert issued == status
                    assert issued == 500 or await check(served, token) == 200

    run(main())


def test_large_tokens_are_a_warning(
    tmp_path: Path, service_log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens of more than 8 KiB are a warning with their size, once a minute and not once each; shorter ones are none.
    They change how much free memory the C library keeps.
    """
    log = logging.getLogger("txtoken")
    kept: list[bool] = []
    monkeypatch.setattr(heap, "keep_for_large_tokens", lambda: kept.append(True))

    async def main() -> None:
        for size, count in ((5_000, 0), (7_000, 1)):
            async with saying(size).listening() as remote, serving(configuration(tmp_path, "", remote.url)) as served:
                log.setLevel(logging.WARNING)
                service_log.clear()
                for _ in range(3):
                    status, token = await log_in(served)
                    assert status == 200
                said = [(record.levelname, vars(record)["fields"]) for record in service_log.records]
                assert said == [("WARNING", {"bytes": len(token)})] * count
                assert bool(kept) is bool(count)

    run(main())
    assert LARGE_TOKENS_S == 60
