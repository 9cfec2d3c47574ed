"""A keyset that changes while it is in use: nothing fails, and what is no longer a key is none at once. PyJWT is the judge."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import jwt
import pytest
import yaml

from tests.configuring import load_text
from tests.exchange import House, check_request
from tests.login_api import LoginApi
from tests.process.moved_clock import MovedClock, lines_to
from tests.running import PATIENCE_S, ServiceProcess, run, service_process
from txtoken.settings import Config

NOW: Final = 2_000_000_000
SECRETS: Final = {"one": "the-first-secret-0123456789-abcdefghij", "two": "another-secret-9876543210-jihgfedcba-"}
UNKNOWN_KEY: Final = "signing key is unknown"
CLIENTS: Final = 4


def keyset(*kids: str, begins: Mapping[str, int] | None = None) -> list[dict[str, str]]:
    """Write the entries of keys."""
    entries = [{"alg": "HS256", "kid": kid, "secret": SECRETS[kid]} for kid in kids]
    for entry in entries:
        if begins is not None and entry["kid"] in begins:
            entry["from"] = datetime.fromtimestamp(begins[entry["kid"]], UTC).isoformat()
    return entries


def text_of(remote: str, keys: Sequence[object], **more: object) -> str:
    """Write a configuration."""
    return yaml.safe_dump(
        {
            "port": 0,
            "listen": "127.0.0.1",
            "remote": remote,
            "keys": keys,
            "reload": "off",
            "log": {"level": "debug", "access": False},
            "timeouts": {"remoteIdle": "200ms"},
            **more,
        }
    )


@pytest.fixture
def api() -> Iterator[LoginApi]:
    """A remote."""
    api = LoginApi({"id": 42})
    yield api
    api.close()


class Load:
    """Clients that log in and have their token checked, one after the other, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = False
        self.answers: Counter[tuple[str, int]] = Counter()
        self.tokens: list[str] = []
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            while not self._is_over:
                client.request("POST", "/getToken", "{}")
                response = client.getresponse()
                body = response.read()
                self.answers["login", response.status] += 1
                if response.status != 200:
                    continue
                self.tokens.append(json.loads(body)["token"])
                for token in (self.tokens[-1], self.tokens[0]):
                    client.request("GET", "/checkToken", headers={"Authorization": token})
                    response = client.getresponse()
                    response.read()
                    self.answers["check", response.status] += 1
        except (OSError, http.client.HTTPException) as error:
            self.faults.append(repr(error))
        finally:
            client.close()

    def goes_on(self) -> None:
        """Wait until each client has sent something that it had not begun yet."""
        wanted = len(self.tokens) + 2 * CLIENTS
        deadline = time.monotonic() + PATIENCE_S
        while len(self.tokens) < wanted and not self.faults:
            assert time.monotonic() < deadline, self.answers
            time.sleep(0.01)

    def end(self) -> None:
        """End it. Nothing may have failed."""
        self._is_over = True
        for thread in self._threads:
            thread.join()
        assert not self.faults
        assert {status for _, status in self.answers} == {200}, self.answers


def reload(service: ServiceProcess, folder: Path, text: str, workers: int) -> None:
    """Have a service take another configuration over, and wait until all its workers have."""
    new = folder / "new.yml"
    new.write_text(text)
    new.rename(folder / "example_cfg.yml")
    service.send(signal.SIGHUP)
    if workers == 1:
        service.line_with("the configuration is reloaded")
    for _ in range(workers if workers > 1 else 0):
        service.line_with('"another configuration is in use"')


def kid_of(token: str) -> str:
    """Return the `kid` in a token's header."""
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_key_that_is_added_under_load(tmp_path: Path, api: LoginApi, workers: int) -> None:
    """While clients log in and have tokens checked, a key is added and begins to sign: no request fails, the new key signs from
    its `from` on and not before, and tokens of both are valid. When the old one is removed, its tokens are refused at once.
    """
    clock = MovedClock(tmp_path, NOW + 0.5)
    config = text_of(api.url, keyset("one"), workers=workers)
    with service_process(tmp_path, config=config, environment=clock.environment) as service:
        lines = lines_to(service, workers)
        port = int(
            json.loads(next(line for line in service.lines if '"listening"' in line))["addresses"][0].split(":")[1]
        )
        load = Load(port)
        try:
            load.goes_on()
            both = text_of(api.url, keyset("one", "two", begins={"two": NOW + 5}), workers=workers)
            reload(service, tmp_path, both, workers)
            load.goes_on()
            for second, kid in ((NOW + 4, "one"), (NOW + 5, "two")):
                clock.set(second + 0.5)
                for line in lines:
                    line.wait_for(second)
                new = [line.log_in() for line in lines]
                assert {kid_of(token) for token in new} == {kid}
                assert {line.check(token) for line in lines for token in (*new, load.tokens[0])} == {(200, "")}
                load.goes_on()
        finally:
            load.end()
        for token in load.tokens:
            jwt.decode(token, SECRETS[kid_of(token)], ["HS256"])
        assert {kid_of(token) for token in load.tokens} == {"one", "two"}
        # Its last token would be valid for a day: removed is removed.
        reload(service, tmp_path, text_of(api.url, keyset("two"), workers=workers), workers)
        old = [token for token in load.tokens if kid_of(token) == "one"]
        assert {line.check(token) for line in lines for token in old[-20:]} == {(401, UNKNOWN_KEY)}
        assert {line.check(load.tokens[-1]) for line in lines} == {(200, "")}
        for line in lines:
            line.close()


def configured(folder: Path, keys: Sequence[object], **more: object) -> Config:
    """Read a configuration."""
    return load_text(folder, text_of(str(more.pop("remote", "http://127.0.0.1:9/login")), keys, **more))


def signed(kid: str) -> bytes:
    """Make a token of a key."""
    return jwt.encode({"exp": int(time.time()) + 600}, SECRETS[kid], "HS256", headers={"kid": kid}).encode()


def answer(house: House, token: bytes) -> tuple[int, str]:
    """Have a token checked. Returns the status, and what is wrong with it."""
    house.to_client.written.clear()
    house.check(check_request(token))
    head, _, body = house.to_client.written[0].partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body).get("error", "")


REMEMBERED: Final = 3  # checks of a token, after which it is found in the memory


@pytest.mark.parametrize(
    ("more", "stays"),
    [
        ({}, True),
        ({"expHours": 1}, True),
        ({"claims": {"iat": True}}, True),
        ({"remote": "http://127.0.0.1:9/other"}, True),
        ({"checkTokenRoute": "/look"}, True),
        ({"verify": {"leeway": "1s"}}, False),
        ({"checkResponse": "claims"}, False),
    ],
    ids=str,
)
def test_remembered_tokens_stay(tmp_path: Path, more: Mapping[str, object], stays: bool) -> None:
    """Tokens that were found valid are remembered after a reload that changes neither keys nor rules, and after no other."""

    async def main() -> None:
        house = House(configured(tmp_path, keyset("one")))
        token = signed("one")
        for _ in range(REMEMBERED):
            assert answer(house, token) == (200, "")
        memory = house.worker._app.verifier.memory
        assert (memory.hits, memory.find(token) is not None) == (REMEMBERED - 2, True)
        house.worker.take_over(configured(tmp_path, keyset("one"), limits={"bodyBytes": 4096}, **more))
        assert (house.worker._app.verifier.memory.find(token) is not None) == stays
        await house.close()

    run(main())


def test_a_removed_key_is_none_at_once(tmp_path: Path) -> None:
    """With the reload that removes a key its tokens are refused, those that were remembered and those that were not, on kept
    connections too; and they are valid again when it is back.
    """

    async def main() -> None:
        both, alone = configured(tmp_path, keyset("one", "two")), configured(tmp_path, keyset("two"))
        house = House(both)
        remembered, other = signed("one"), signed("two")
        seldom = jwt.encode(
            {"exp": int(time.time()) + 60, "n": 1}, SECRETS["one"], "HS256", headers={"kid": "one"}
        ).encode()
        for _ in range(REMEMBERED):
            assert answer(house, remembered) == answer(house, other) == (200, "")
        for config, expected in ((alone, (401, UNKNOWN_KEY)), (both, (200, ""))):
            house.worker.take_over(config)
            assert answer(house, remembered) == answer(house, seldom) == expected
            assert answer(house, other) == (200, "")
        await house.close()

    run(main())


def test_a_secret_that_is_exchanged(tmp_path: Path) -> None:
    """A key with the name of another one is another key: tokens of the first are refused at once, remembered or not."""

    async def main() -> None:
        house = House(configured(tmp_path, keyset("one")))
        token = signed("one")
        for _ in range(REMEMBERED):
            assert answer(house, token) == (200, "")
        exchanged = [{"alg": "HS256", "kid": "one", "secret": SECRETS["two"]}]
        house.worker.take_over(configured(tmp_path, exchanged))
        assert answer(house, token) == (401, "signature is invalid")
        await house.close()

    run(main())
