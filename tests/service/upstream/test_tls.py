"""TLS to the remote as the section `remoteTls` sets it up: whom to trust, who to be, and what is reported when it fails."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.certifying import CA, OTHER_CA, YESTERDAY, server_context, write_authority, write_certificate
from tests.configuring import load_text, whole
from tests.running import run
from tests.service.faulty_remote import GOOD_BODY, FaultyRemote, Peer, calling, good, post, turning
from txtoken.service.upstream.remote import CROWD
from txtoken.settings import RemoteTls

VERIFY_FAILED = ("RemoteUnreachable", "tls_verify")


def section(folder: Path, text: str) -> RemoteTls:
    """Read a section `remoteTls`. FOLDER stands for where the certificates are."""
    write_authority(folder)
    write_authority(folder, OTHER_CA, "other-ca.crt")
    text = text.replace("FOLDER", str(folder))
    return load_text(folder, whole(f"remote: https://h/\nremoteTls: {text}")).remote.tls


def outcome_of(tls: RemoteTls, remote_context: ssl.SSLContext) -> bytes | tuple[str, str]:
    """Return what one login at a remote comes to. Nothing of it may be shown to a remote that is not trusted."""

    async def main() -> bytes | tuple[str, str]:
        async with FaultyRemote(good).listening(remote_context) as faulty, calling(faulty.url, tls=tls) as remote:
            outcome = await post(remote).outcome()
            assert bool(faulty.requests) == (outcome == GOOD_BODY)
            return outcome

    return run(main())


@pytest.mark.parametrize(
    ("text", "names", "outcome"),
    [
        pytest.param("{caFile: FOLDER/ca.crt}", ["localhost"], GOOD_BODY, id="its-ca"),
        pytest.param("{caFile: FOLDER/other-ca.crt}", ["localhost"], VERIFY_FAILED, id="another-ca"),
        pytest.param("{serverName: localhost}", ["localhost"], VERIFY_FAILED, id="a-ca-that-the-machine-does-not-know"),
        pytest.param("{caFile: FOLDER/ca.crt}", ["login.example"], VERIFY_FAILED, id="wrong-name"),
        pytest.param("{caFile: FOLDER/ca.crt, serverName: login.example}", ["login.example"], GOOD_BODY, id="its-name"),
        pytest.param("{caFile: FOLDER/ca.crt, serverName: 10.1.2.3}", ["10.1.2.3"], GOOD_BODY, id="its-address"),
        pytest.param("{caFile: FOLDER/ca.crt, serverName: login.example}", ["localhost"], VERIFY_FAILED, id="not-its-name"),
        pytest.param("{verify: false}", ["login.example"], GOOD_BODY, id="not-verified"),
    ],
)  # fmt: skip # a case a line
def test_whom_to_trust(tmp_path: Path, text: str, names: list[str], outcome: object) -> None:
    """A remote is spoken to if its certificate is of an authority that is trusted, and made out to the right name."""
    assert outcome_of(section(tmp_path, text), server_context(*names)) == outcome


def test_expired(tmp_path: Path) -> None:
    """A certificate whose time is over is refused."""
    tls = section(tmp_path, "{caFile: FOLDER/ca.crt}")
    assert outcome_of(tls, server_context("localhost", not_after=YESTERDAY)) == VERIFY_FAILED


def asking_context(version: ssl.TLSVersion) -> ssl.SSLContext:
    """Make the side of a remote that speaks no newer TLS than this, and asks for a certificate."""
    context = server_context("localhost")
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(context)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_for_the_remote(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """A remote that asks who is there gets the certificate, and serves nobody else."""
    write_certificate(tmp_path, "txtoken.example")
    tls = section(tmp_path, "{caFile: FOLDER/ca.crt, certFile: FOLDER/tls.crt, keyFile: FOLDER/tls.key}")
    assert outcome_of(tls, asking_context(version)) == GOOD_BODY
    assert outcome_of(section(tmp_path, "{caFile: FOLDER/ca.crt}"), asking_context(version)) != GOOD_BODY


async def more(peer: Peer) -> bytes:
    """Wait for bytes, and take them."""
    await turning(lambda: peer.unread != b"")
    data, peer._buffer = peer._buffer, b""
    return data


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("certificate", ["", ", certFile: FOLDER/other.crt, keyFile: FOLDER/other.key"])
def test_a_remote_that_refuses_us(tmp_path: Path, version: ssl.TLSVersion, certificate: str) -> None:
    """A remote that does not take the certificate, or misses one, is a fault of TLS: with TLS 1.3 too, where the remote says
    so when the handshake is over for the client.
    """
    write_certificate(tmp_path, "txtoken.example", ca=OTHER_CA, name="other")
    tls = section(tmp_path, f"{{caFile: FOLDER/ca.crt{certificate}}}")
    has_dialled = asyncio.Event()

    async def refuses(peer: Peer) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        handshake = asking_context(version).wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                handshake.do_handshake()
            except ssl.SSLWantReadError:
                peer.send(outgoing.read())
                incoming.write(await more(peer))
            except ssl.SSLError:
                break
        if version is ssl.TLSVersion.TLSv1_3:
            await has_dialled.wait()
        peer.send(outgoing.read())  # the alert
        peer.fin()

    async def main() -> None:
        async with FaultyRemote(refuses).listening() as faulty:
            url = faulty.url.replace("http://127.0.0.1", "https://localhost")
            async with calling(url, tls=tls) as remote:
                call = post(remote)
                await turning(lambda: remote.dialling_count == 0)
                has_dialled.set()
                assert await call.outcome() == ("RemoteUnreachable", "tls")

    run(main())


def test_the_name_that_is_asked_for(tmp_path: Path) -> None:
    """`serverName` is what the remote hears too (SNI): one that serves several names gives the right certificate."""
    heard: list[str | None] = []
    context = server_context("login.example")
    context.sni_callback = lambda _, name, __: heard.append(name)
    tls = section(tmp_path, "{caFile: FOLDER/ca.crt, serverName: login.example}")
    assert outcome_of(tls, context) == GOOD_BODY
    assert heard == ["login.example"]


def test_many_at_once(tmp_path: Path) -> None:
    """Requests that are written together: over TLS a transport's limits mean something else, and some would never leave."""
    tls = section(tmp_path, "{caFile: FOLDER/ca.crt}")

    async def main() -> None:
        context = server_context("localhost")
        async with FaultyRemote(good).listening(context) as faulty, calling(faulty.url, tls=tls) as remote:
            for _ in range(3):
                calls = [post(remote) for _ in range(3 * CROWD)]
                assert [await call.outcome() for call in calls] == [GOOD_BODY] * len(calls)
            assert len(faulty.requests) == 9 * CROWD
            assert len(faulty.peers) <= 3 * CROWD

    run(main())
