"""An open loop: requests leave at a fixed rate, whether or not earlier ones were answered. Raw sockets, one epoll.

A latency counts from the moment its request was to be sent, so a service that stalls is charged for all who had to wait
(no coordinated omission). Knows one request and how to see that its answer is complete; knows no services.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import time
from array import array
from collections import deque
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Final

import httptools

from bench.load.stub_remote import LOOPBACK
from bench.measure.figures import PERCENTILES

READ_BYTES: Final = 256 * 1024
AFTER_S: Final = 5.0  # for the last answers: a request without one by then is an error, with the time that it waited
EVENTS_MAX: Final = 256


class Connection:
    """One connection with at most one request on it."""

    __slots__ = ("complete", "intended", "parser", "sock", "status")

    def __init__(self, host: str, port: int) -> None:
        self.sock = socket.create_connection((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.parser = httptools.HttpResponseParser(self)
        self.intended = 0.0  # when its request was to be sent, by perf_counter
        self.complete = False

    def on_message_complete(self) -> None:
        self.complete = True


class Loop:
    """One run of the schedule. Times are perf_counter's."""

    def __init__(self, host: str, port: int, request: bytes, rate: float, connections: int) -> None:
        self._request = request
        self._interval_s = 1 / rate
        self._epoll = select.epoll()
        self._connections = {one.sock.fileno(): one for one in (Connection(host, port) for _ in range(connections))}
        for number in self._connections:
            self._epoll.register(number, select.EPOLLIN)
        self._free = deque(self._connections.values())
        self._held: deque[float] = deque()  # intended times of requests that no connection was free for
        self.latencies_us = array("Q")
        self.late_us = array("Q")  # how late requests left though a connection was free: our own fault
        self.errors = 0
        self.answered = 0

    def run(self, warm_up_s: float, seconds: float) -> None:
        """Send what is due, take what arrives. Answers to the warm-up's requests are not recorded."""
        now = time.perf_counter
        start = now()
        counts_from, ends = start + warm_up_s, start + warm_up_s + seconds
        number, due = 0, start
        select_ready, epoll_ready = select.select, self._epoll.poll
        watched = [self._epoll]
        while True:
            moment = now()
            while due <= moment and due < ends:
                if self._free:
                    self._send(self._free.popleft(), due)
                    if due >= counts_from:
                        self.late_us.append(int((now() - due) * 1e6))
                else:
                    self._held.append(due)
                number += 1
                due = start + number * self._interval_s
            if due >= ends:
                waiting = len(self._connections) - len(self._free)
                if not waiting or moment > ends + AFTER_S:
                    break
                due = max(due, moment + 0.001)
            # epoll_wait sleeps for whole milliseconds; select wakes to the microsecond, and an epoll can be selected.
            if select_ready(watched, (), (), max(0.0, due - now()))[0]:
                for number_of_file, _ in epoll_ready(0, EVENTS_MAX):
                    self._receive(self._connections[number_of_file], counts_from)
        self._give_up(counts_from)

    def _send(self, connection: Connection, intended: float) -> None:
        connection.intended = intended
        connection.complete = False
        connection.sock.send(self._request)  # some hundred bytes into an empty buffer: never in part

    def _receive(self, connection: Connection, counts_from: float) -> None:
        data = connection.sock.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the service closed a connection")
        connection.parser.feed_data(data)
        if not connection.complete:
            return
        self.answered += 1
        if connection.intended >= counts_from:
            self.latencies_us.append(int((time.perf_counter() - connection.intended) * 1e6))
            if connection.parser.get_status_code() // 100 != 2:
                self.errors += 1
        if self._held:
            self._send(connection, self._held.popleft())
        else:
            self._free.append(connection)

    def _give_up(self, counts_from: float) -> None:
        """Count those that are not answered yet, with the time they have waited."""
        moment = time.perf_counter()
        free = set(map(id, self._free))
        left = [one.intended for one in self._connections.values() if id(one) not in free]
        for intended in (*left, *self._held):
            if intended >= counts_from:
                self.latencies_us.append(int((moment - intended) * 1e6))
                self.errors += 1
        for connection in self._connections.values():
            connection.sock.close()


def percentile_of(ordered: Sequence[int], percentile: float) -> int:
    """Return the value that this share of sorted values does not exceed; 0 if there are none."""
    return ordered[max(0, ceil(len(ordered) * percentile / 100) - 1)] if ordered else 0


def main() -> None:
    """Run it and write its report."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.open_loop", description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--request", type=Path, required=True, metavar="FILE", help="one whole HTTP request")
    parser.add_argument("--rate", type=float, required=True, help="requests/s")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds at the same rate before")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="of the report (JSON)")
    options = parser.parse_args()
    loop = Loop(options.host, options.port, options.request.read_bytes(), options.rate, options.connections)
    gc.disable()  # a collection in the middle would be charged to the service
    began = time.process_time()
    loop.run(options.warm_up, options.seconds)
    cpu_s = time.process_time() - began
    latencies, late = sorted(loop.latencies_us), sorted(loop.late_us)
    report = {
        "answered": loop.answered,
        "recorded": len(loop.latencies_us),
        "errors": loop.errors,
        "seconds": options.warm_up + options.seconds,
        "percentiles_us": [[percentile, percentile_of(latencies, percentile)] for percentile in PERCENTILES],
        "late_p99_us": percentile_of(late, 99),
        "cpu_s": cpu_s,
    }
    options.out.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
