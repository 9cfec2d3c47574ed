"""The attackers: one process that keeps thousands of connections, each doing the same wrong thing. By epoll, without copies.

Knows sockets and bytes; what they mean is the catalog's. Reads its plan as JSON on stdin, writes a line when all connections
are open for the first time and one with what it did at the end. SIGTERM ends it early.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Final

NICE: Final = 19
CONNECTING_MAX: Final = 256  # below the backlog of who listens
READ_BYTES: Final = 256 * 1024
TAIL_BYTES: Final = 11  # of a status line that may be cut: HTTP/1.1 20
POLL_S: Final = 0.05
EVENTS_MAX: Final = 512
WRITES_MAX: Final = 4  # of one client before the others have their turn
SOURCES: Final = 200  # loopback addresses of ours: one alone runs out of ports
BIND_ADDRESS_NO_PORT: Final = 24  # IP_BIND_ADDRESS_NO_PORT of ip(7): the port is chosen with the peer's in mind
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST
SMALL_BUFFER: Final = 4096
LISTENING: Final = "0A"  # TCP_LISTEN of proc/net/tcp: its queue is of connections
STILL_S: Final = 1.0
LOOK_S: Final = 0.2
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3})")


@dataclass(frozen=True, slots=True)
class Plan:
    """What each of the attackers does. Bytes travel as Latin-1 text."""

    port: int
    clients: int  # connections that are kept open
    seconds: float  # until the end, at the latest
    first: bytes = b""  # sent on each connection
    again: tuple[bytes, ...] = ()  # sent after that, one after the other and from the start again
    batch: int = 0  # of answers to wait for before the next of `again`; 0: as fast as it is taken
    drip_s: float = 0.0  # between single bytes of `first`; 0: all at once
    reads: bool = True
    reopens: bool = True  # a closed connection is opened anew
    drops: bool = False  # the connection is reset as soon as `first` is sent
    answers: int = 0  # the end comes after so many
    opens: int = 0  # the end comes after so many connections
    until_still: bool = False  # the end comes when all have been open and no byte has moved for a second
    opens_per_s: float = 2000.0  # at most

    def to_json(self) -> str:
        """Write it as one line."""
        fields = asdict(self)
        fields["first"] = self.first.decode("latin-1")
        fields["again"] = [one.decode("latin-1") for one in self.again]
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        fields["first"] = fields["first"].encode("latin-1")
        fields["again"] = tuple(one.encode("latin-1") for one in fields["again"])
        return cls(**fields)


@dataclass(slots=True)
class Client:
    """One connection."""

    socket: socket.socket
    out: memoryview  # still to be sent
    is_open: bool = False
    is_writing: bool = True  # epoll watches for room
    rest: bytes = b""  # that is dripped
    tail: bytes = b""
    due: int = 0  # answers that are waited for
    answered: int = 0
    began: float = field(default_factory=time.monotonic)


class Swarm:
    """All connections of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.counts: Counter[str] = Counter()
        self._plan = plan
        self._clients: dict[int, Client] = {}
        self._connecting = 0
        self._poll = select.epoll()
        self._numbers = count()
        self._turns = count()
        self._is_ended = False
        self._was_full = False
        self._state: tuple[int, int, int] | None = None
        self._looked_at = 0.0
        self._moved_at = time.monotonic()
        self._allowance = 0.0

    def end(self, *_: object) -> None:
        """End it soon."""
        self._is_ended = True

    def run(self) -> Mapping[str, int]:
        """Attack until the plan is done. Returns what was counted."""
        plan = self._plan
        began = last = dripped = time.monotonic()
        while not self._is_done() and (now := time.monotonic()) < began + plan.seconds:
            self._allowance = min(self._allowance + (now - last) * plan.opens_per_s, CONNECTING_MAX)
            last = now
            self._open_more()
            if plan.drip_s and now - dripped >= plan.drip_s:
                dripped = now
                for client in list(self._clients.values()):
                    self._drip(client)
            for descriptor, events in self._poll.poll(POLL_S, EVENTS_MAX):
                client = self._clients[descriptor]
                self._act(client, events)
        for client in list(self._clients.values()):
            if client.is_open:
                self.counts["open at the end"] += 1
            client.socket.close()
        self._poll.close()
        return self.counts

    def _is_done(self) -> bool:
        plan, counts = self._plan, self.counts
        if plan.answers and counts["answers"] >= plan.answers:
            return True
        if plan.opens and counts["opened"] >= plan.opens:
            return True
        return self._is_ended or (plan.until_still and self._was_full and self._is_still())

    def _is_still(self) -> bool:
        """Whether neither these clients have sent nor the service has read a byte for a second."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            state = (self.counts["bytes sent"], self.counts["bytes read"], unread_bytes(self._plan.port))
            if state != self._state:
                self._state, self._moved_at = state, now
        return now - self._moved_at >= STILL_S

    def _open_more(self) -> None:
        plan = self._plan
        while len(self._clients) < plan.clients and self._connecting < CONNECTING_MAX and self._allowance >= 1:
            if not plan.reopens and self.counts["tried"] >= plan.clients:
                return
            self._allowance -= 1
            self.counts["tried"] += 1
            try:
                self._open()
            except OSError as error:
                self.counts[f"failed: {errno.errorcode.get(error.errno or 0, 'unknown')}"] += 1
                return

    def _open(self) -> None:
        plan = self._plan
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
        if not plan.reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.bind((f"127.0.1.{1 + next(self._numbers) % SOURCES}", 0))
        code = sock.connect_ex(("127.0.0.1", plan.port))
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            raise OSError(code, os.strerror(code))
        first, rest = (b"", plan.first) if plan.drip_s else (plan.first, b"")
        client = Client(sock, memoryview(first), rest=rest, due=1 if plan.first else 0)
        if not plan.first and plan.again:
            self._next(client)
        self._clients[sock.fileno()] = client
        self._connecting += 1
        self._poll.register(sock.fileno(), self._interest(client))

    def _interest(self, client: Client) -> int:
        interest = select.EPOLLRDHUP | (select.EPOLLOUT if client.is_writing else 0)
        return interest | (select.EPOLLIN if self._plan.reads else 0)

    def _act(self, client: Client, events: int) -> None:
        if not client.is_open:
            code = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code or not events & select.EPOLLOUT:
                self.counts[f"failed: {errno.errorcode.get(code, 'unknown')}"] += 1
                self._close(client)
                return
            client.is_open = True
            self._connecting -= 1
            self.counts["opened"] += 1
            if not self._was_full and self.counts["opened"] >= self._plan.clients:
                self._was_full = True
                print(json.dumps({"open": self._plan.clients}), flush=True)
        try:
            if events & select.EPOLLIN and self._plan.reads:
                self._read(client)
            elif events & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
                raise ConnectionResetError
            if events & select.EPOLLOUT:
                self._write(client)
        except BlockingIOError:
            pass
        except OSError:
            self._lose(client)

    def _read(self, client: Client) -> None:
        data = client.socket.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError
        self.counts["bytes read"] += len(data)
        statuses, client.tail = read_statuses(client.tail + data)
        found = len(statuses)
        for status in statuses:
            self.counts[f"status {status}"] += 1
        client.answered += found
        self.counts["answers"] += found
        client.due -= found
        if self._plan.batch and client.due <= 0 and not client.out and self._plan.again:
            self._next(client)
            self._write(client)

    def _next(self, client: Client) -> None:
        again = self._plan.again
        client.out = memoryview(again[next(self._turns) % len(again)])
        client.due += self._plan.batch

    def _write(self, client: Client) -> None:
        plan = self._plan
        floods = bool(plan.again) and not plan.batch and not client.rest
        for _ in range(WRITES_MAX):
            if not client.out:
                if not floods:
                    break
                self._next(client)
            sent = client.socket.send(client.out)
            self.counts["bytes sent"] += sent
            client.out = client.out[sent:]
            if client.out:
                break
        if plan.drops and not client.out and not client.rest:
            self._drop(client)
            return
        is_writing = bool(client.out) or floods
        if is_writing != client.is_writing:
            client.is_writing = is_writing
            self._poll.modify(client.socket.fileno(), self._interest(client))

    def _drip(self, client: Client) -> None:
        if not client.is_open or not client.rest:
            return
        try:
            client.socket.send(client.rest[:1])
        except BlockingIOError:
            return
        except OSError:
            self._lose(client)
            return
        self.counts["bytes sent"] += 1
        client.rest = client.rest[1:]

    def _drop(self, client: Client) -> None:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.counts["dropped"] += 1
        self._close(client)

    def _lose(self, client: Client) -> None:
        self.counts["closed by the service"] += 1
        if self._plan.reads and not client.answered and not client.out and not client.rest:
            self.counts["closed without an answer"] += 1
        self._close(client)

    def _close(self, client: Client) -> None:
        if not client.is_open:
            self._connecting -= 1
        del self._clients[client.socket.fileno()]
        client.socket.close()


def unread_bytes(port: int) -> int:
    """Add up what the kernel holds for the process that has this local port and has not read it (proc/net/tcp, rx_queue)."""
    mine = f":{port:04X}"
    total = 0
    with open("/proc/net/tcp") as table:
        for line in table:
            fields = line.split()
            if fields[1].endswith(mine) and fields[3] != LISTENING:
                total += int(fields[4].partition(":")[2], 16)
    return total


def read_statuses(data: bytes) -> tuple[list[str], bytes]:
    """Find the statuses of all answers in what was read. Returns them, and what may be the beginning of the next."""
    found = []
    end = 0
    for match in _STATUS.finditer(data):
        found.append(match[1].decode())
        end = match.end()
    return found, data[max(end, len(data) - TAIL_BYTES) :]


def main() -> None:
    """Read the plan, attack, say what was done."""
    os.nice(NICE)
    swarm = Swarm(Plan.from_json(sys.stdin.readline()))
    signal.signal(signal.SIGTERM, swarm.end)
    counts = swarm.run()
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"counts": counts}), flush=True)


if __name__ == "__main__":
    main()
