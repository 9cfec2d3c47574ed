"""The remote through an HTTP proxy (`remoteProxy`), and through a Unix socket."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from pathlib import Path
from typing import Any, Final

import pytest

from tests.certifying import OTHER_CA, client_context, server_context
from tests.running import run
from tests.service.faulty_remote import (
    AGENT,
    GOOD_BODY,
    FaultyRemote,
    Peer,
    calling,
    good,
    post,
    remote_settings,
    says,
    turning,
)
from tests.service.upstream.forward_proxy import ForwardProxy
from txtoken.errors import RemoteError
from txtoken.service.upstream import dial
from txtoken.service.upstream.remote import CROWD
from txtoken.service.upstream.request_head import request_head
from txtoken.settings import RemoteProxy, RemoteTls, Secret

CREDENTIALS: Final = b"Basic " + base64.b64encode(b"us:er%:pass")
PROXY_FAILED: Final = ("RemoteUnreachable", "proxy")


def through(proxy: ForwardProxy, *, scheme: str = "http", authorization: bytes | None = CREDENTIALS) -> RemoteProxy:
    """Say that this proxy is to be used."""
    host = "localhost" if scheme == "https" else "127.0.0.1"
    return RemoteProxy(f"{scheme}://{host}:{proxy.port}", None if authorization is None else Secret(authorization))


@pytest.fixture(autouse=True)
def _trusted_by_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system trusts the tests' own authority: that is what a proxy's certificate is checked by."""
    monkeypatch.setattr(dial, "system_context", client_context)


TLS: Final = RemoteTls(context=client_context())


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("authorization", [None, CREDENTIALS])
@pytest.mark.parametrize("loop", ["service", "asyncio"])
def test_a_tunnel(scheme: str, authorization: bytes | None, loop: str) -> None:
    """An https remote is reached through a tunnel, by proxies that speak TLS too. The proxy sees who we are and nothing else."""

    async def main() -> None:
        proxy_tls = server_context("localhost") if scheme == "https" else None
        async with (
            FaultyRemote(good).listening(server_context("localhost")) as faulty,
            ForwardProxy().listening(proxy_tls) as proxy,
            calling(faulty.url, tls=TLS, proxy=through(proxy, scheme=scheme, authorization=authorization)) as remote,
        ):
            for body in (b"1", b'"%b"' % (b"x" * 300_000), b"3"):
                assert await post(remote, body).outcome() == GOOD_BODY
            place = faulty.url.split("/")[2].encode()
            lines = [b"CONNECT " + place + b" HTTP/1.1", b"Host: " + place, b"User-Agent: " + AGENT.encode()]
            if authorization is not None:
                lines.append(b"Proxy-Authorization: " + authorization)
            assert proxy.heads == [b"\r\n".join(lines) + b"\r\n\r\n"]
            assert not any(b"Proxy-Authorization" in request for _, request in faulty.requests)
            assert all(request.startswith(b"POST /login HTTP/1.1\r\n") for _, request in faulty.requests)

    run(main(), loop=loop)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_whole_url(scheme: str) -> None:
    """An http remote is asked with the whole URL, and each request says who we are to the proxy."""

    async def main() -> None:
        proxy_tls = server_context("localhost") if scheme == "https" else None
        async with (
            FaultyRemote(good).listening() as faulty,
            ForwardProxy().listening(proxy_tls) as proxy,
            calling(faulty.url + "?a=b", proxy=through(proxy, scheme=scheme)) as remote,
        ):
            for _ in range(3):
                assert await post(remote).outcome() == GOOD_BODY
            assert len(proxy.heads) == 1
            for _, request in faulty.requests:
                assert request.startswith(b"POST " + faulty.url.encode() + b"?a=b HTTP/1.1\r\n")
                assert b"\r\nHost: " + faulty.url.split("/")[2].encode() + b"\r\n" in request
                assert request.count(b"\r\nProxy-Authorization: " + CREDENTIALS + b"\r\n") == 1

    run(main())


def test_without_a_port() -> None:
    """A target says the port of its scheme to a proxy only where that is not known from the scheme."""
    proxy = RemoteProxy("http://proxy.internal")
    assert request_head(remote_settings("http://login.example", proxy=proxy), AGENT).startswith(
        b"POST http://login.example/ HTTP/1.1\r\nHost: login.example\r\n"
    )
    assert request_head(remote_settings("HTTP://login.example", proxy=proxy), AGENT).startswith(
        b"POST http://login.example/ HTTP/1.1\r\nHost: login.example\r\n"
    )
    settings = remote_settings("https://login.example/x", proxy=proxy)
    assert request_head(settings, AGENT).startswith(b"POST /x HTTP/1.1\r\nHost: login.example\r\n")


def test_many_through_a_tunnel() -> None:
    """A crowd of requests through tunnels in TLS: each is written, and answered."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening(server_context("localhost")) as faulty,
            ForwardProxy().listening(server_context("localhost")) as proxy,
            calling(faulty.url, tls=TLS, proxy=through(proxy, scheme="https")) as remote,
        ):
            for _ in range(3):
                calls = [post(remote) for _ in range(2 * CROWD)]
                assert [await call.outcome() for call in calls] == [GOOD_BODY] * len(calls)

    run(main())


async def failure_of(url: str, proxy: RemoteProxy, **settings: Any) -> tuple[object, str, str]:
    """Return what a login comes to, what a client sees of it, and what the log does."""
    async with calling(url, tls=TLS, proxy=proxy, **settings) as remote:
        call = post(remote)
        outcome = await call.outcome()
        error = await call.told
        assert isinstance(error, RemoteError)
        assert "pass" not in str(error.__cause__)
        assert remote.open_count == 0
        return outcome, error.public, str(error.__cause__)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", "502"),
        (b"HTTP/1.0 403\r\n\r\n", "403"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", "302"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (b"x" * 20_000, "too long"),
    ],
)
def test_a_proxy_that_opens_no_tunnel(answer: bytes, cause: str) -> None:
    """A proxy that refuses is code `proxy`: the log says with which status, a client sees no address."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, ForwardProxy(answer).listening() as proxy:
            url = faulty.url.replace("http://127.0.0.1", "https://localhost")
            outcome, public, logged = await failure_of(url, through(proxy))
            assert outcome == PROXY_FAILED
            assert public == "the proxy opened no tunnel to the remote"
            assert cause in logged
            await turning(lambda: proxy.ended == 1)

    run(main())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\nsurplus", b"HTTP/1.1 200 OK\r\n"])
def test_a_tunnel_that_speaks_first(answer: bytes) -> None:
    """What comes through a tunnel before anything was sent, or an answer that never ends, is no tunnel."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, ForwardProxy(answer).listening() as proxy:
            url = faulty.url.replace("http://127.0.0.1", "https://localhost")
            outcome, _, _ = await failure_of(url, through(proxy), connect_s=0.3)
            surplus = answer.endswith(b"surplus")
            assert outcome == (PROXY_FAILED if surplus else ("RemoteTimeout", "connect_timeout"))

    run(main())


def test_an_interim_answer_to_connect() -> None:
    """A 1xx before the proxy's answer is skipped, and any 2xx opens the tunnel."""

    async def main() -> None:
        answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 99\r\n\r\n"
        async with (
            FaultyRemote(good).listening(server_context("localhost")) as faulty,
            ForwardProxy(answer).listening() as proxy,
            calling(faulty.url, tls=TLS, proxy=through(proxy)) as remote,
        ):
            assert await post(remote).outcome() == GOOD_BODY

    run(main())


def test_a_proxy_that_is_not_there() -> None:
    """A proxy that refuses connections, or closes them, is code `proxy`, for either way to use one."""

    async def closes(peer: Peer) -> None:
        peer.fin()

    async def main() -> None:
        async with ForwardProxy().listening() as proxy:
            gone = through(proxy)
        async with FaultyRemote(closes).listening() as rude:
            closing = RemoteProxy(rude.url.removesuffix("/login"))
            for url in ("https://localhost:9/login", "http://127.0.0.1:9/login"):
                outcome, public, _ = await failure_of(url, gone)
                assert (outcome, public) == (PROXY_FAILED, "the proxy could not be reached")
            outcome, _, _ = await failure_of("https://localhost:9/login", closing)
            assert outcome == PROXY_FAILED

    run(main())


def test_a_proxy_that_wants_credentials() -> None:
    """407 for a request with a whole URL is the proxy's, and never an answer of the remote."""

    async def main() -> None:
        reply = b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
        async with FaultyRemote(says(reply), good).listening() as proxy:
            settings = RemoteProxy(proxy.url.removesuffix("/login"))
            async with calling("http://login.internal/login", proxy=settings) as remote:
                assert await post(remote).outcome() == PROXY_FAILED
                assert await post(remote).outcome() == GOOD_BODY
            assert proxy.requests[0][1].startswith(b"POST http://login.internal/login HTTP/1.1\r\n")

    run(main())


@pytest.mark.parametrize("who", ["proxy", "remote"])
def test_certificates(who: str) -> None:
    """Both certificates are checked, each by its own name: the proxy's by what the system trusts, the remote's as configured."""

    async def main() -> None:
        contexts: dict[str, ssl.SSLContext] = {name: server_context("localhost") for name in ("proxy", "remote")}
        contexts[who] = server_context("localhost", ca=OTHER_CA)
        async with (
            FaultyRemote(good).listening(contexts["remote"]) as faulty,
            ForwardProxy().listening(contexts["proxy"]) as proxy,
        ):
            outcome, _, _ = await failure_of(faulty.url, through(proxy, scheme="https"))
            assert outcome == (PROXY_FAILED if who == "proxy" else ("RemoteUnreachable", "tls_verify"))
            assert not faulty.requests

    run(main())


def test_a_tunnel_that_ends_while_idle() -> None:
    """A tunnel that the proxy closes is dropped, and the next request goes through another one."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening(server_context("localhost")) as faulty,
            ForwardProxy().listening() as proxy,
            calling(faulty.url, tls=TLS, proxy=through(proxy)) as remote,
        ):
            assert await post(remote).outcome() == GOOD_BODY
            proxy.end()
            await turning(lambda: remote.open_count == 0)
            assert await post(remote).outcome() == GOOD_BODY
            assert len(proxy.heads) == 2

    run(main())


# Through a Unix socket


@pytest.mark.parametrize(
    ("scheme", "name", "encoded", "rest", "target"),
    [
        ("http+unix", b"login.sock", "login.sock", "/login?x=y", b"/login?x=y"),
        ("HTTP+UNIX", b"login.sock", "login.sock", "?x=y/z", b"/?x=y/z"),
        ("http+unix", b"l\xff%.sock", "l%FF%25.sock", "", b"/"),
    ],
)
def test_a_unix_socket(tmp_path: Path, scheme: str, name: bytes, encoded: str, rest: str, target: bytes) -> None:
    """A remote with a Unix socket in place of its host is reached through that, as `localhost`, whatever its path holds."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        path = os.path.join(os.fsencode(tmp_path), name)
        faulty = FaultyRemote(good)
        url = f"{scheme}://{str(tmp_path).replace('/', '%2F')}%2F{encoded}{rest}"
        async with calling(url) as remote:
            assert await post(remote).outcome() == ("RemoteUnreachable", "unreachable")
            server = await loop.create_unix_server(lambda: Peer(faulty), os.fsdecode(path))
            for _ in range(3):
                assert await post(remote).outcome() == GOOD_BODY
            calls = [post(remote) for _ in range(3 * CROWD)]
            assert [await call.outcome() for call in calls] == [GOOD_BODY] * len(calls)
            server.close()
            for peer in faulty.peers:
                peer.fin()
            await turning(lambda: remote.open_count == 0)
            assert (await post(remote).outcome())[0] == "RemoteUnreachable"
        request = faulty.requests[0][1]
        assert request.startswith(b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % target)
        for play in faulty._plays:
            play.cancel()

    run(main())
