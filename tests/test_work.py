"""What a request may cost, counted and not timed: writes, tasks, timers and futures (docs/explanation/design.md, “Time”)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.configuring import changed, revealed
from tests.exchange import LOGIN, REPLY, REPLY_BODY, House, check_request
from tests.running import run
from txtoken.demo.configuration import demo_config
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.upstream.remote import CROWD
from txtoken.settings import Config, CorsSettings, IssueSettings, LogSettings

COUNTED: Final = ("create_task", "create_future", "call_later", "call_at", "call_soon", "call_soon_threadsafe")
ROUNDS: Final = 50

pytestmark = pytest.mark.usefixtures("stopwatch")


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that counts what it is asked to make."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[str] = Counter()

    def __getattribute__(self, name: str) -> Any:
        if name in COUNTED:
            self.made[name] += 1
        return super().__getattribute__(name)


EVERYTHING: Final[dict[str, Any]] = {
    "process__admin_port": 0,
    "login__status_map": "gateway",
    "login__pass_remote_errors": True,
    "trusted_proxies": ("127.0.0.0/8",),
    "login__forwarded_for": True,
    "cors": CorsSettings(("https://app.example.com",)),
}


@pytest.fixture(params=["access log", "no access log", "metrics", "all that can be switched on"])
def config(request: pytest.FixtureRequest) -> Config:
    """The service as it is configured without a word, with and without its access log, with metrics, and with everything."""
    log = LogSettings(access=request.param != "no access log")
    config = demo_config(0, "http://127.0.0.1:9/login", log)
    if request.param == "metrics":
        return changed(config, process__admin_port=0)
    return changed(config, **EVERYTHING) if request.param.startswith("all") else config


def count(config: Config, work: Callable[[House], None]) -> tuple[Counter[str], int, int]:
    """Return what the loop was asked for, writes to the client and writes to the remote, for `ROUNDS` rounds of `work`."""

    async def main() -> tuple[Counter[str], int, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        house = House(config)
        for _ in range(3):
            work(house)  # the first times find nothing known
        house.to_client.written.clear()
        house.to_remote.written.clear()
        loop.made.clear()
        for _ in range(ROUNDS):
            work(house)
        made = loop.made.copy()
        assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in house.to_client.written)
        assert house.to_client.pauses == 0
        writes = len(house.to_client.written), len(house.to_remote.written)
        await house.close()
        return made, *writes

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        return runner.run(main())


def token(config: Config, number: int = 0) -> bytes:
    """Make a token that the service finds valid."""
    issuer = TokenIssuer(KeyRing([HmacKey(revealed(config.keys.secret))]), IssueSettings(3600))
    return issuer.issue(b'{"n":%d}' % number, int(time.time()))


def test_the_counter_counts(config: Config) -> None:
    """The loop that counts does count, or the tests below would show nothing."""

    def work(_: House) -> None:
        asyncio.get_running_loop().call_later(60, print).cancel()

    assert count(config, work)[0]["call_later"] == ROUNDS


def test_get_token(config: Config) -> None:
    """A login on a warm connection takes one write to the remote and one to the client, and nothing from the loop."""
    made, to_client, to_remote = count(config, House.log_in)
    assert (to_client, to_remote) == (ROUNDS, ROUNDS)
    assert not made


def test_get_token_in_a_crowd(config: Config) -> None:
    """Many logins that begin in one turn of the loop are written to the remote in a row: one call for all, one write each."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        house = House(config)
        house.log_in()
        clients = [(house.client, house.to_client), *(house.connect() for _ in range(4 * CROWD - 1))]
        remotes = [(house.remote, house.to_remote), *(house.dial() for _ in clients[1:])]

        def writes() -> tuple[list[int], list[int]]:
            found = [len(one.written) for _, one in clients], [len(one.written) for _, one in remotes]
            for _, transport in (*clients, *remotes):
                transport.written.clear()
            return found

        none, one = [0] * len(clients), [1] * len(clients)
        writes()
        for _ in range(2):
            loop.made.clear()
            for client, _ in clients:
                client.data_received(LOGIN)
            assert dict(loop.made) == {"call_soon": 1}
            to_clients, to_remotes = writes()
            assert to_clients == none
            assert sum(to_remotes) == CROWD - 1  # those that came before there was a crowd
            await asyncio.sleep(0)
            assert [sum(pair) for pair in zip(to_remotes, writes()[1], strict=True)] == one
            loop.made.clear()
            for connection, _ in reversed(remotes):  # the last is taken first again
                connection.data_received(REPLY)
            assert not loop.made
            assert writes() == (one, none)
        await house.close()

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(main())


def test_check_token(config: Config) -> None:
    """A check takes one write, and nothing from the loop."""
    request = check_request(token(config))
    made, to_client, to_remote = count(config, lambda house: house.check(request))
    assert (to_client, to_remote) == (ROUNDS, 0)
    assert not made


def test_check_of_different_tokens(config: Config) -> None:
    """The same holds for tokens that were never seen before."""
    requests = iter([check_request(token(config, number)) for number in range(ROUNDS + 3)])
    made, to_client, _ = count(config, lambda house: house.check(next(requests)))
    assert to_client == ROUNDS
    assert not made


def test_pipelined_checks(config: Config) -> None:
    """Answers that are ready together leave in one write, and ten requests cost the loop one call."""

    async def main() -> tuple[Counter[str], int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        house = House(config)
        loop.made.clear()
        for _ in range(ROUNDS):
            house.check(check_request(token(config)) * 10)
            await asyncio.sleep(0)
        written = house.to_client.written
        made, writes = loop.made.copy(), len(written)
        assert b"".join(written).count(b"HTTP/1.1 200 OK\r\n") == 10 * ROUNDS
        await house.close()
        return made, writes

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        made, writes = runner.run(main())
    assert writes == ROUNDS
    assert made == {"call_soon": 2 * ROUNDS}  # one of the two is the turn of the loop that this test waits for


def test_the_answers_are_real(config: Config) -> None:
    """What is counted is the whole work: the token holds what the remote said."""

    async def main() -> bytes:
        house = House(config)
        house.log_in()
        answer = house.to_client.written[0]
        house.check(check_request(answer.partition(b'{"token":"')[2].removesuffix(b'"}')))
        checked = house.to_client.written[1]
        await house.close()
        return checked

    assert b'"Claims":{"data":%b,"exp":' % REPLY_BODY in run(main())
