"""The whole service among others: proxies in front of it, tracing through it, a remote behind it that says no."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic
from typing import Final

import pytest

from tests.configuring import changed
from tests.http1.loopback import Answer
from tests.running import run
from tests.service.faulty_remote import FaultyRemote, Script, answer, good, says, silent
from tests.serving import configuration, serving

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT: Final = f"00-{TRACE}-00f067aa0ba902b7-01"
CHAIN: Final = "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.0.0.2"


def sent_lines(request: bytes) -> list[bytes]:
    """Return the header lines that a remote got, without those that every request has."""
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    end = next(index for index, line in enumerate(lines) if line.startswith(b"Authorization: "))
    assert lines[-1].startswith(b"Content-Length: ")
    return lines[end + 1 : -1]


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    ("trusted", "client"),
    [
        ("[]", "127.0.0.1"),
        ("[10.0.0.0/8]", "127.0.0.1"),
        ("[127.0.0.0/8]", "10.0.0.2"),
        ("[127.0.0.0/8, 10.0.0.0/8]", "203.0.113.9"),
    ],
)
def test_the_client_in_the_log(tmp_path: Path, form: str, trusted: str, client: str) -> None:
    """The access line names the first from the right that is no trusted proxy; a peer that is none is not believed."""

    async def main() -> None:
        config = configuration(tmp_path, f"trustedProxies: {trusted}\nlog: {{format: {form}}}")
        async with serving(config) as served:
            await served.ask("GET", "/checkToken", CHAIN)
            await served.ask("GET", "/checkToken", CHAIN)
            await served.ask("GET", "/checkToken")
            lines = served.access_lines()
        if form == "json":
            assert [json.loads(line)["client"] for line in lines] == [client, client, "127.0.0.1"]
        else:
            shown = [line.partition(" client=")[2].split(" ")[0] for line in lines]
            assert shown == [client, client, "127.0.0.1"]

    run(main())


@pytest.mark.parametrize(
    ("trusted", "lines"),
    [
        (
            "[]",
            [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: api.example"],
        ),
        (
            "[127.0.0.1]",
            [
                b"X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.0.0.2, 127.0.0.1",
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Host: www.example",
            ],
        ),
    ],
)
def test_what_the_remote_is_told(tmp_path: Path, trusted: str, lines: list[bytes]) -> None:
    """With `forwardedFor` the remote learns who the client is, and what the client claims only from a trusted proxy."""
    claims = (CHAIN, "X-Forwarded-Proto: https", "X-Forwarded-Host: www.example", "Forwarded: for=203.0.113.9")

    async def main() -> None:
        async with FaultyRemote(good).listening() as remote:
            text = f"forwardedFor: true\ntrustedProxies: {trusted}"
            async with serving(configuration(tmp_path, text, remote.url)) as served:
                await served.ask("POST", "/getToken", *claims, body=b"{}")
            async with serving(configuration(tmp_path, f"trustedProxies: {trusted}", remote.url)) as served:
                await served.ask("POST", "/getToken", *claims, body=b"{}")
            with_it, without = (sent_lines(request) for _, request in remote.requests)
            assert with_it == lines
            assert without == []

    run(main())


def test_tracing(tmp_path: Path) -> None:
    """Without a word of configuration a trace goes through to the remote, and the line in the log is part of it."""
    fields = (f"traceparent: {TRACEPARENT}", "tracestate: vendor=x,other=y", "X-Request-Id: r-7")

    async def main() -> None:
        async with FaultyRemote(good).listening() as remote, serving(configuration(tmp_path, "", remote.url)) as served:
            await served.ask("POST", "/getToken", *fields, body=b"{}")
            await served.ask("POST", "/getToken", "traceparent: 00-garbage", body=b"{}")
            traced, untraced = map(json.loads, served.access_lines())
            assert (traced["trace_id"], traced["request_id"]) == (TRACE, "r-7")
            assert "trace_id" not in untraced
            assert set(sent_lines(remote.requests[0][1])) == {
                b"traceparent: " + TRACEPARENT.encode(),
                b"tracestate: vendor=x,other=y",
                b"X-Request-Id: r-7",
            }

    run(main())


async def log_in(tmp_path: Path, text: str, script: Script) -> Answer:
    """Log in at a remote that does as its script says."""
    async with FaultyRemote(script).listening() as remote, serving(configuration(tmp_path, text, remote.url)) as served:
        return await served.ask("POST", "/getToken", body=b"{}")


LOCKED: Final = b'{"error":"locked"}'
OWN: Final = "statusMap: {401: pass, 4xx: 400, timeout: 503}"
PASSING: Final = "statusMap: gateway\npassRemoteErrors: true"
REPLIES: Final[list[tuple[str, bytes, int, bytes, bytes | None]]] = [
    ("", answer(LOCKED, status=b"401 X"), 500, b'{"message":"Remote post status failure.","status":401}', None),
    ("statusMap: gateway", answer(LOCKED, status=b"401 X"), 401, b'"status":401}', None),
    ("statusMap: gateway", answer(b"", b"Retry-After: 7", status=b"429 X"), 429, b'"status":429}', b"7"),
    ("statusMap: gateway", answer(b"", b"Retry-After: 99999", status=b"503 X"), 503, b'"status":503}', b"3600"),
    ("statusMap: gateway", answer(b"", b"Retry-After: 7", status=b"500 X"), 502, b'"status":500}', None),
    ("statusMap: gateway", answer(b"", b"Location: http://127.0.0.1:1/", status=b"302 X"), 502, b'"status":302}', None),
    ("statusMap: gateway", answer(b"[]"), 502, b"Can not unmarshal returned json.", None),
    ("statusMap: gateway", answer(b"x" * 2000), 502, b"Remote post failed to parse body.", None),
    ("statusMap: gateway", b"nonsense\r\n\r\n", 502, b"Remote post failure.", None),
    (OWN, answer(LOCKED, status=b"401 X"), 401, b'"status":401}', None),
    (OWN, answer(LOCKED, status=b"418 X"), 400, b'"status":418}', None),
    (OWN, answer(LOCKED, status=b"500 X"), 500, b'"status":500}', None),
    (OWN, answer(b"[]"), 500, b"Can not unmarshal returned json.", None),
    (PASSING, answer(LOCKED, status=b"423 X"), 423, LOCKED, None),
    (PASSING, answer(LOCKED, b"Content-Encoding: br", status=b"423 X"), 423, b'"status":423}', None),
    (PASSING, answer(LOCKED + b"<", status=b"423 X"), 423, b'"status":423}', None),
    (PASSING, answer(LOCKED, status=b"500 X"), 502, b'"status":500}', None),
]


@pytest.mark.parametrize(("text", "reply", "status", "body", "retry_after"), REPLIES)
def test_replies(tmp_path: Path, text: str, reply: bytes, status: int, body: bytes, retry_after: bytes | None) -> None:
    """What the remote says becomes what the map makes of it, with the remote's JSON and its Retry-After where they pass."""
    told = run(log_in(tmp_path, f"{text}\nlimits: {{replyBytes: 1KiB}}", says(reply)))
    assert told.status == status
    assert told.body.endswith(body) if body.startswith(b'"') or body == LOCKED else body in told.body
    assert told.fields.get(b"retry-after") == retry_after
    assert told.fields[b"cache-control"] == b"no-store"


def test_no_reply(tmp_path: Path) -> None:
    """A remote that is not there is 502 by `gateway`, one that is silent 504."""

    async def main() -> None:
        config = configuration(tmp_path, "statusMap: gateway")
        async with serving(config) as served, FaultyRemote(silent).listening() as remote:
            assert (await served.ask("POST", "/getToken", body=b"{}")).status == 502
            served.worker.take_over(changed(config, remote__url=remote.url))
            client = await served.client()
            await client.send(b"POST /getToken HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            await remote.requested(1)
            exchanges = served.worker._app.remote
            exchanges.sweep(monotonic() + config.remote.timeout_s + 1)
            (told,) = await client.answers(1)
            assert told.status == 504

    run(main())


def test_a_reload_takes_all_of_it_over(tmp_path: Path) -> None:
    """Maps, pages, proxies and what the remote gets change with the next request after a reload."""

    async def main() -> None:
        async with FaultyRemote(says(answer(status=b"401 X"))).listening() as remote:
            before = configuration(tmp_path, "", remote.url)
            after = configuration(
                tmp_path,
                "statusMap: gateway\ncors: {origins: '*'}\ntrustedProxies: [127.0.0.1]\nforwardedFor: true",
                remote.url,
            )
            async with serving(before) as served:
                served.worker.take_over(after)
                told = await served.ask("POST", "/getToken", CHAIN, body=b"{}")
                assert (told.status, told.fields[b"access-control-allow-origin"]) == (401, b"*")
                assert sent_lines(remote.requests[0][1])[0] == CHAIN.encode() + b", 127.0.0.1"
                (line,) = served.access_lines()
                assert json.loads(line)["client"] == "10.0.0.2"

    run(main())
