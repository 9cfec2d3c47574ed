"""Two workers with the same keys, each with a clock that the test moves: what one issues is valid at the other, while keys rotate
or are added. No process and no socket, so that hours pass in a second; `test_rotation` has the same with processes. PyJWT is the
judge.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b64encode
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from tests.configuring import load_text
from tests.exchange import LOGIN, House, check_request
from txtoken.settings import Config

ISSUER: Final = "https://login.example"
EVERY_S: Final = 3600
LIFE_S: Final = 7200
START: Final = 2_000_000_000 // EVERY_S * EVERY_S  # where a period begins
MAX_AGE_S: Final = 900
SECRET: Final = b64encode(bytes(range(1, 33))).decode()  # of nobody
JWKS: Final = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: 127.0.0.1:8888\r\n\r\n"
VALID: Final = (200, "")
UNKNOWN_KEY: Final = (401, "signing key is unknown")
EXPIRED: Final = (401, "Token is expired")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test on a loop that has nothing else to do."""
    with asyncio.Runner() as runner:
        runner.run(main)


class Replica(House):
    """One worker, whose clock is `behind_s` behind the test's."""

    def __init__(self, config: Config, monkeypatch: pytest.MonkeyPatch, behind_s: int = 0) -> None:
        self._monkeypatch = monkeypatch
        self.behind_s = behind_s
        self.now = 0
        super().__init__(config)

    def set(self, now: int) -> None:
        """Let it be this second, by the test's clock, and one beat of the worker."""
        self.now = now - self.behind_s
        self._monkeypatch.setattr(time, "time", lambda: float(self.now))
        self.worker._surroundings.clock.tick()
        self.worker._sweep(0.0)

    def answer(self) -> tuple[int, str, bytes]:
        """Return status, head and body of the one answer that the client got."""
        (written,) = self.to_client.written
        self.to_client.written.clear()
        head, _, body = written.partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode(), body

    def new_token(self) -> str:
        """Log in."""
        self.log_in()
        status, _, body = self.answer()
        assert status == 200, body
        return str(json.loads(body)["token"])

    def verdict(self, token: str) -> tuple[int, str]:
        """Have a token checked. Returns the status, and what is wrong with it."""
        self.check(check_request(token.encode()))
        status, _, body = self.answer()
        return status, "" if status == 200 else json.loads(body)["error"]

    def jwks(self) -> bytes:
        """Return the keys that are published. Every cache may keep them for `MAX_AGE_S`."""
        self.client.data_received(JWKS)
        status, head, body = self.answer()
        assert status == 200, body
        assert re.search(rf"^Cache-Control: public, max-age={MAX_AGE_S}\r$", head, re.MULTILINE)
        return body


def rotating(folder: Path, algorithm: str) -> Config:
    """Read a configuration with self-rotating keys."""
    (folder / "root").write_text(SECRET)
    return load_text(
        folder,
        f"port: 0\nlisten: 127.0.0.1\nremote: http://127.0.0.1:9/\nrequestKey: a-key-for-the-remote-0123456789-abc\n"
        f"expHours: {LIFE_S // 3600}\nkeys: {{alg: {algorithm}, secretFile: {folder}/root, every: {EVERY_S}s}}\n"
        f"claims: {{iss: '{ISSUER}'}}\nreload: off\n",
    )


def kid_of(token: str) -> str:
    """Return the `kid` in a token's header."""
    return str(jwt.get_unverified_header(token)["kid"])


def end_of(token: str) -> int:
    """Return a token's `exp`."""
    return int(jwt.decode(token, options={"verify_signature": False})["exp"])


def kids_in(jwks: bytes) -> set[str]:
    """Return the names of the keys that are published."""
    return {str(key["kid"]) for key in json.loads(jwks)["keys"]}


def assert_signed(token: str, jwks: bytes) -> None:
    """See that PyJWT finds the signature right by the key that the token names."""
    (key,) = [key for key in jwt.PyJWKSet.from_json(jwks.decode()).keys if key.key_id == kid_of(token)]
    jwt.decode(token, key, [key.algorithm_name], options={"verify_exp": False}, issuer=ISSUER)


@pytest.mark.parametrize("behind_s", [0, 120])
@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "HS256"])
def test_every_token_is_valid_everywhere_until_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str, behind_s: int
) -> None:
    """Tokens that are issued during three periods are valid at both workers until their end and not from then on; the same second
    has the same JWKS at both; and anyone who keeps the JWKS of either for its `max-age` knows the key of each token that is
    valid.
    """
    is_public = algorithm != "HS256"

    async def main() -> None:
        replicas = [
            Replica(rotating(tmp_path, algorithm), monkeypatch, behind_s=0),
            Replica(rotating(tmp_path, algorithm), monkeypatch, behind_s=behind_s),
        ]
        tokens: dict[str, int] = {}  # and their ends
        published: dict[int, bytes] = {}  # by the second of the worker that it came from
        kept: list[tuple[int, bytes]] = []  # since when, by the test's clock
        last = START + 3 * EVERY_S
        for turn in range(START, last + LIFE_S + 1201, 600):
            for now in (turn - 1, turn, turn + 1):
                for replica in replicas:
                    replica.set(now)
                    if now < last:
                        token = replica.new_token()
                        tokens[token] = end_of(token)
                        assert tokens[token] == replica.now + LIFE_S
                        assert int(kid_of(token).partition("-")[0]) == replica.now // EVERY_S
                    if is_public:
                        jwks = replica.jwks()
                        assert published.setdefault(replica.now, jwks) == jwks
                        kept.append((now, jwks))
                        if now < last:
                            assert_signed(token, jwks)
                for replica in replicas:
                    replica.set(now)
                    for token, end in tokens.items():
                        if replica.now < end:
                            assert replica.verdict(token) == VALID
                        else:
                            assert replica.verdict(token) in (EXPIRED, UNKNOWN_KEY)
                kept = [(since, jwks) for since, jwks in kept if now - since <= MAX_AGE_S]
                alive = {kid_of(token) for token, end in tokens.items() if now - behind_s < end}  # by the slower clock
                assert all(alive <= kids_in(jwks) for _, jwks in kept)
        assert len({kid_of(token) for token in tokens}) == 4  # one second of the period before counts too
        for replica in replicas:
            await replica.close()

    run(main())


@pytest.mark.parametrize("algorithm", ["EdDSA", "HS256"])
def test_a_clock_that_is_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    """A clock that is set back over the end of a period finds the same keys as before, refuses no token of the next period, and
    its own tokens are valid at the worker whose clock went on. Set back by ten hours it knows none of these, and set back before
    2020 it signs nothing and knows nothing; afterwards all is as it was.
    """

    async def main() -> None:
        config = rotating(tmp_path, algorithm)
        one, other = Replica(config, monkeypatch), Replica(config, monkeypatch)
        seen: dict[int, tuple[str, bytes]] = {}

        def keys_at(now: int) -> None:
            one.set(now)
            found = kid_of(one.new_token()), one.worker._app.ring.jwks
            assert seen.setdefault(now, found) == found

        end = START + EVERY_S
        for now in (end - 1, end, end - 1, end + 10, end - 500, end, end - 500, end + 10):
            keys_at(now)
        other.set(end + 600)
        ahead = other.new_token()
        one.set(end - 500)
        assert one.verdict(ahead) == VALID
        behind = one.new_token()
        assert kid_of(behind) != kid_of(ahead)
        assert other.verdict(behind) == VALID
        other.set(end + 11 * EVERY_S)
        unseen = other.new_token()
        assert one.verdict(unseen) == UNKNOWN_KEY
        keys_at(end - 10 * EVERY_S)
        assert other.verdict(one.new_token()) == UNKNOWN_KEY
        one.set(86_400)
        assert one.verdict(unseen) == UNKNOWN_KEY
        assert one.worker._app.ring.jwks == b""
        assert not one.worker._app.can_sign()
        one.client.data_received(LOGIN)
        assert one.answer()[0] == 503
        keys_at(end + 10)
        assert one.verdict(ahead) == VALID
        one.set(other.now)
        assert one.verdict(unseen) == VALID
        for replica in (one, other):
            await replica.close()

    run(main())


# Keysets


NOW: Final = START + 1234


def entry(kid: str, begins: int | None = None) -> str:
    """Write a key of a keyset."""
    begin = "" if begins is None else f", from: '{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(begins))}'"
    return f"  - {{alg: HS256, kid: {kid}, secret: 'of-key-{kid}-5R8w2kQz7Lm4Xv9TbN3c-HjP6sD1f'{begin}}}\n"


def keyset(folder: Path, *entries: str) -> Config:
    """Read a configuration with these keys."""
    return load_text(
        folder,
        f"port: 0\nlisten: 127.0.0.1\nremote: http://127.0.0.1:9/\nrequestKey: a-key-for-the-remote-0123456789-abc\n"
        f"reload: off\nkeys:\n{''.join(entries)}",
    )


def test_a_key_that_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reload that adds a key old tokens are valid, the new key signs from its `from` on and not a second before, and the
    worker that reloads last refuses nothing that the first one issued before then.
    """

    async def main() -> None:
        before = keyset(tmp_path, entry("one"))
        after = keyset(tmp_path, entry("one"), entry("two", NOW + 100))
        first, last = Replica(before, monkeypatch), Replica(before, monkeypatch)
        first.set(NOW)
        last.set(NOW)
        tokens = [first.new_token()]
        first.worker.take_over(after)
        tokens.append(first.new_token())
        assert [last.verdict(token) for token in tokens] == [VALID] * 2
        last.worker.take_over(after)
        for now, kid in ((NOW + 99, "one"), (NOW + 100, "two"), (NOW + 99, "one"), (NOW + 101, "two")):
            for replica in (first, last):
                replica.set(now)
                tokens.append(replica.new_token())
                assert kid_of(tokens[-1]) == kid
        assert {replica.verdict(token) for replica in (first, last) for token in tokens} == {VALID}
        for replica in (first, last):
            await replica.close()

    run(main())
