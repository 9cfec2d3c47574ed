"""Many logins at once at a remote that does all it can to have one of them get another's reply. Each has a number that must come
back to it, and to it alone.
"""

from __future__ import annotations

import asyncio
import random
import select
from typing import Any, Final

import pytest

from tests.certifying import client_context, server_context
from tests.running import run
from tests.service.faulty_remote import Call, FaultyRemote, Peer, answer, calling, post
from txtoken.errors import RemoteError
from txtoken.settings import RemoteTls

ROUNDS: Final = 25
STOLEN: Final = answer(b'{"n":"STOLEN"}')


class Attacker:
    """A remote. What it does with a request is chance; `answered` are the requests that have one whole reply of their own."""

    def __init__(self, chance: random.Random, *, is_plain: bool) -> None:
        self._chance = chance
        self._is_plain = is_plain
        self.answered: set[bytes] = set()
        self._last = STOLEN

    async def script(self, peer: Peer) -> None:
        """Play one connection."""
        chance = self._chance
        if self._is_plain and chance.random() < 0.05 and not is_asked(peer):
            peer.send(STOLEN)  # before anything was asked
        while not peer.gone:
            body = (await peer.request()).partition(b"\r\n\r\n")[2]
            reply = answer(b'{"n":%b}' % body, *chance.choice([(), (b"X: y",), (b"Keep-Alive: timeout=9",)]))
            for _ in range(chance.choice([0, 0, 0, 1, 5])):
                await asyncio.sleep(0)
            if peer.gone:
                return
            await self._answer(peer, body, reply)

    async def _answer(self, peer: Peer, body: bytes, reply: bytes) -> None:
        chance = self._chance
        way = chance.choice(["whole"] * 8 + ["pieces", "chunked", "interim", "surplus", "late", "late", "end", "fail"])
        if way == "fail":
            self._fail(peer, reply)
            return
        self.answered.add(body)
        if way == "pieces":
            cuts = sorted(chance.sample(range(1, len(reply)), chance.randrange(1, 5)))
            for start, end in zip([0, *cuts], [*cuts, len(reply)], strict=True):
                if peer.gone:
                    return  # its client has left
                peer.send(reply[start:end])
                await asyncio.sleep(0)
        elif way == "chunked":
            content = reply.partition(b"\r\n\r\n")[2]
            chunks = b"".join(b"1 \r\n%c\r\n" % byte for byte in content)
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        elif way == "interim":
            peer.send(b"HTTP/1.1 103 Early\r\nX: y\r\n\r\n" * chance.randrange(1, 4) + reply)
        elif way == "surplus":
            peer.send(reply + chance.choice([reply, STOLEN, self._last, b"H", b"\r\n"]))
        else:
            peer.send(reply)
        if way in ("late", "end"):
            for _ in range(chance.choice([0, 0, 1, 2, 3])):
                await asyncio.sleep(0)
            # Where the next request is there already, nobody could tell what comes from its reply.
            if not peer.gone and not is_asked(peer):
                if way == "end" and self._is_plain:
                    peer.end_now()
                else:
                    peer.send(chance.choice([reply, STOLEN, self._last, b"HTTP/1.1 408 X\r\n\r\n", STOLEN[:20]]))
        self._last = reply

    def _fail(self, peer: Peer, reply: bytes) -> None:
        way = self._chance.choice(["fin", "reset", "cut", "rubbish", "status"])
        if way == "reset":
            peer.reset()
        elif way == "status":
            peer.send(answer(b'{"n":0}', status=b"401 X"))
        else:
            peer.send({"fin": b"", "cut": reply[:-1], "rubbish": b"rubbish\r\n\r\n"}[way])
            peer.fin()


def is_asked(peer: Peer) -> bool:
    """Whether something has come to a peer that it has not answered, be it an end."""
    return (
        peer.transport.is_closing()
        or peer.unread != b""
        or bool(select.select([peer.transport.get_extra_info("socket").fileno()], [], [], 0)[0])
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tls", [False, True])
def test_each_gets_its_own(seed: int, *, tls: bool) -> None:
    """Every login gets the reply to itself, or a failure where the remote gave none; and none is sent twice."""
    chance = random.Random(seed)
    attacker = Attacker(chance, is_plain=not tls)
    settings: dict[str, Any] = {"connections": chance.choice([3, 12, 60])}
    # Over TLS a request may be on its way inside a layer when something comes: then the plain cases are enough.
    context, client = (server_context("localhost"), RemoteTls(context=client_context())) if tls else (None, None)

    async def main() -> None:
        async with (
            FaultyRemote(attacker.script).listening(context) as faulty,
            calling(faulty.url, **settings, tls=client) as remote,
        ):
            number = 0
            for _ in range(ROUNDS if not tls else ROUNDS // 5):
                calls: list[Call] = []
                for _ in range(chance.randrange(1, 50)):
                    number += 1
                    calls.append(post(remote, b"%d" % number))
                    if chance.random() < 0.1:
                        await asyncio.sleep(0)
                gone = [call for call in calls if not call.has_outcome and chance.random() < 0.03]
                for call in gone:
                    call.cancel()
                for call in calls:
                    if call not in gone:
                        check(call.body, await call.told)
                assert remote.open_count <= settings["connections"]
            sent = [body for _, body in faulty.bodies]
            assert len(sent) == len(set(sent))

    def check(body: bytes, outcome: bytes | RemoteError) -> None:
        if body in attacker.answered:
            assert outcome == b'{"n":%b}' % body
        else:
            assert isinstance(outcome, RemoteError)

    run(main())
