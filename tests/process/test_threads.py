"""Tokens that a thread signs, because their keys are long: logins in a running service."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, get_ident
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.configuring import load_text
from tests.running import run
from tests.service.faulty_remote import FaultyRemote, good, turning
from tests.serving import NOBODY, Served, serving
from txtoken.service import issuance
from txtoken.service.keys.asymmetric import AsymmetricKey
from txtoken.settings import Config

LOGIN = b"POST /getToken HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def long_key() -> rsa.RSAPrivateKey:
    """An RSA key whose signatures take longer than the loop may be held."""
    return rsa.generate_private_key(65537, 3072)


def configured(folder: Path, key: rsa.RSAPrivateKey, remote: str = NOBODY) -> Config:
    """Read a configuration with this key."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "rsa.pem").write_bytes(pem)
    keys = f"keys: [{{alg: RS256, keyFile: {folder}/rsa.pem}}]"
    return load_text(folder, f"port: 0\nlisten: 127.0.0.1\nremote: {remote}\n{keys}\n")


async def log_in(served: Served) -> tuple[int, bytes]:
    """Log in once, and return status and body."""
    answer = await served.ask("POST", "/getToken", body=b"{}")
    return answer.status, answer.body


def test_a_thread_signs(tmp_path: Path, long_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of a long key is signed outside of the loop's thread, and is good."""
    threads = []
    sign = AsymmetricKey.sign

    def watched(key: AsymmetricKey, signing_input: bytes) -> bytes:
        threads.append(get_ident())
        return sign(key, signing_input)

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            config = configured(tmp_path, long_key, faulty.url)
            async with serving(config) as served:
                monkeypatch.setattr(AsymmetricKey, "sign", watched)
                status, body = await log_in(served)
                assert status == 200
                token = body.partition(b'{"token":"')[2].removesuffix(b'"}').decode()
                assert jwt.decode(token, long_key.public_key(), ["RS256"])["data"] == {"user": "ada"}
                assert get_ident() not in threads[-1:]
                checked = await served.ask("GET", "/checkToken", f"Authorization: Bearer {token}")
                assert checked.status == 200

    run(main())


class Gate:
    """Holds all signatures until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting = 0
        self._opened = Event()
        self._sign = AsymmetricKey.sign
        gate, loop_thread = self, get_ident()

        def held(key: AsymmetricKey, signing_input: bytes) -> bytes:
            if get_ident() != loop_thread:  # which signs what it shows to the remote
                gate.waiting += 1
                gate._opened.wait(30)
            return gate._sign(key, signing_input)

        monkeypatch.setattr(AsymmetricKey, "sign", held)

    def open(self) -> None:
        """Let all go on."""
        self._opened.set()


def test_a_client_that_leaves_meanwhile(
    tmp_path: Path, long_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that leaves while its token is signed gets no answer, and harms nobody."""

    async def main() -> None:
        async with (
            FaultyRemote(good, good).listening() as faulty,
            serving(configured(tmp_path, long_key, faulty.url)) as served,
        ):
            gate = Gate(monkeypatch)
            client = await served.client()
            await client.send(LOGIN)
            await turning(lambda: gate.waiting == 1)
            client.sock.close()
            await turning(lambda: served.worker._servers.main.connection_count == 0)
            gate.open()
            assert (await log_in(served))[0] == 200

    run(main())


@pytest.mark.interpreted("lowers a constant")
def test_too_many_wait(tmp_path: Path, long_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many tokens wait to be signed, logins are refused at once, and the remote is not asked."""
    monkeypatch.setattr(issuance, "SIGNING_MAX", 1)

    async def main() -> None:
        async with (
            FaultyRemote(good, good).listening() as faulty,
            serving(configured(tmp_path, long_key, faulty.url)) as served,
        ):
            gate = Gate(monkeypatch)
            first = asyncio.ensure_future(log_in(served))
            await turning(lambda: gate.waiting == 1)
            status, body = await log_in(served)
            assert (status, len(faulty.requests)) == (503, 1)
            assert b"too many tokens are waiting to be signed" in body
            gate.open()
            assert (await first)[0] == 200
            assert (await log_in(served))[0] == 200

    run(main())


def test_a_signature_that_fails(tmp_path: Path, long_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a thread cannot sign, the client gets 500 without the reason."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening() as faulty,
            serving(configured(tmp_path, long_key, faulty.url)) as served,
        ):
            with monkeypatch.context() as patched:

                def fail(pool: ThreadPoolExecutor, work: Any) -> Any:
                    def broken() -> bytes:
                        raise OSError("no")

                    return submit(pool, broken)

                submit = ThreadPoolExecutor.submit
                patched.setattr(ThreadPoolExecutor, "submit", fail)
                assert await log_in(served) == (500, b'{"error":"the service failed to answer"}')
            assert (await log_in(served))[0] == 200

    run(main())
