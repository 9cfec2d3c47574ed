"""The remote: a pool of connections, and the requests that wait for one. Knows neither HTTP nor tokens.

aiohttp opens connections, and httptools parses HTTP. `ClientSession.post` takes 80 µs of CPU for what takes 10 here, nearly all
of it for generality that a single URL does not need.

A request is never sent twice (contract §2): a login is not idempotent. A request that was written and got no answer has failed.
If its connection ended before it was written, it moves to another connection. A request fails with its own dial, and with no
other. If it gets another connection first, or is cancelled, the dial continues for the pool, and its failure is ignored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from txtoken.clock import Clock
from txtoken.errors import RemoteError, RemoteOverloaded, RemoteTimeout, RemoteUnreachable
from txtoken.service.upstream.connection import Pool, RemoteConnection, silent
from txtoken.service.upstream.dial import Dialler
from txtoken.service.upstream.dials import Dials
from txtoken.service.upstream.exchange import Exchange, Outcome
from txtoken.service.upstream.reply import lost_before_reply
from txtoken.service.upstream.request_head import RequestHead, request_head
from txtoken.settings import RemoteSettings

# With this many active requests or more, the requests of one turn of the loop are written together, after the answers to clients.
# Written one by one, they wake a remote and clients on the same machine in alternation, and interrupting another core takes
# longer than writing. One system call for all, and not one for each, finds connections with early data. With 64 clients a login
# takes 6 % less CPU time, on this machine and with clients and remote on other hosts; with 8 it would take 1 % more (network
# namespaces, interleaved, compiled).
CROWD: Final = 10
# A request fails after this many new connections ended before it was written. Otherwise a server that closes every connection, or
# sends data first, would be dialled forever.
LOST_MAX: Final = 8
# Turns of the loop before a dial begins: if a client has already left, the loop reads its end one turn after its request, and
# reports it in the next. So 50 000 such logins cost a third of what they did; they had made new clients wait for 1 s.
TURNS_BEFORE_A_DIAL: Final = 2
# Exchanges that time out in one turn of the loop: 1 500 at once, with a remote that hangs, blocked the loop for 30 ms.
EXPIRED_A_TURN_MAX: Final = 64


class Remote(Pool):
    """The remote, as a function from a body to its outcome.

    Call `sweep` a few times a second with the time by `monotonic`, and `close` at the end. `bearer` makes the token that txtoken
    presents, for a given second. `in_turn` calls a function that may take milliseconds, such as handling a long reply, after
    other clients had their turns.
    """

    __slots__ = (
        "_active",
        "_connections",
        "_dialler",
        "_dials",
        "_expired",
        "_head",
        "_idle",
        "_loop",
        "_timeout_s",
        "_to_write",
        "_waiting",
        "cancelled",
    )

    def __init__(
        self,
        settings: RemoteSettings,
        bearer: Callable[[int], bytes],
        clock: Clock,
        user_agent: str,
        in_turn: Callable[[Callable[[], object]], object],
    ) -> None:
        super().__init__(settings, in_turn)
        self._loop = asyncio.get_running_loop()
        self._timeout_s = settings.timeout_s  # of each request
        self._dialler = Dialler(settings, user_agent)
        self._dials = Dials(self._loop)
        self._head = RequestHead(request_head(settings, user_agent), bearer, clock)
        self._idle: list[RemoteConnection] = []  # youngest last: it is the least likely to be closed already
        self._waiting: deque[Exchange] = deque()
        self._to_write: list[RemoteConnection] = []  # those that write at the end of this turn of the loop
        self._expired: deque[Exchange] = deque()  # exchanges whose deadline has passed
        self._active = 0  # active requests: each waits, or is on a connection
        self._connections: dict[int, RemoteConnection] = {}  # open connections, by number
        self.cancelled = 0  # cancelled requests; the reader resets it to 0

    @property
    def open_count(self) -> int:
        """Connections that are open or being dialled."""
        return len(self._connections) + self._dials.count

    @property
    def idle_count(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle)

    @property
    def dialling_count(self) -> int:
        """Connections that are being opened."""
        return self._dials.count

    @property
    def waiting_count(self) -> int:
        """Requests that wait for a connection."""
        return len(self._waiting)

    @property
    def active_count(self) -> int:
        """Requests without an outcome so far, waiting ones included."""
        return self._active

    async def prepare(self) -> None:
        """Do ahead what the first connection needs, without connecting."""
        await self._dialler.prepare()

    def post(self, exchange: Exchange) -> None:
        """Begin an exchange. It is concluded later, never before `post` returns.

        Raises:
            RemoteOverloaded: too many requests wait for a connection already.
        """
        connection = self._next_idle()
        if connection is not None:
            self._begin(exchange)
            self._give(exchange, connection)
            return
        if self.open_count >= self.settings.connections:
            if len(self._waiting) - self._dials.count >= self.settings.waiting:
                raise RemoteOverloaded("overloaded", "too many requests are waiting for the remote")
            self._begin(exchange)
        else:
            self._begin(exchange)
            self._dial_for(exchange)
        self._waiting.append(exchange)

    def cancel(self, exchange: Exchange) -> None:
        """Cancel an exchange whose outcome is not needed any more, and close its connection. Does nothing if it is over."""
        if exchange.is_under_way:
            exchange.is_under_way = False
            self._active -= 1
            self.cancelled += 1
            self._take_out(exchange)

    def sweep(self, now: float) -> None:
        """Act on expired deadlines."""
        for connection in [connection for connection in self._idle if connection.idle_deadline <= now]:
            connection.abort()
        if not self._expired:
            self._expired.extend([exchange for exchange in self._under_way() if exchange.deadline <= now])
            self._expire()

    def _expire(self) -> None:
        """Act on some expired deadlines, and on the others in the next turns of the loop."""
        expired = self._expired
        try:
            for _ in range(min(len(expired), EXPIRED_A_TURN_MAX)):
                self._stop(expired.popleft(), RemoteTimeout("timeout", "the remote did not answer in time"))
        finally:  # if one raises, the others still time out
            if expired:
                self._loop.call_soon(self._expire)
        if not expired:
            # A request without its own dial may wait for a hanging one, whose request got another connection.
            self._dial_for_waiting(len(self._waiting))

    async def close(self) -> None:
        """Close every connection. Active exchanges fail as unreachable."""
        self._dials.close()
        for exchange in self._under_way():
            self._stop(exchange, RemoteUnreachable("closed", "the service is shutting down"))
        for connection in tuple(self._idle):
            connection.abort()
        await self._dialler.close()

    # Exchanges

    def _begin(self, exchange: Exchange) -> None:
        now = monotonic()
        exchange.begin(now, now + self._timeout_s)
        self._active += 1

    def conclude(self, exchange: Exchange, outcome: Outcome, now: float, free: RemoteConnection | None) -> None:
        if free is not None:
            self._take_in(free)
        if exchange.is_under_way:
            exchange.is_under_way = False
            self._active -= 1
            exchange.conclude(outcome, now - exchange.asked_at)

    def _stop(self, exchange: Exchange, failure: RemoteError) -> None:
        """Conclude an exchange with a failure, waiting or on a connection. Another one's outcome may have cancelled it."""
        if exchange.is_under_way:
            self._take_out(exchange)
            self.conclude(exchange, failure, monotonic(), None)

    def _take_out(self, exchange: Exchange) -> None:
        """Remove an exchange from the queue, or abort its connection."""
        if not exchange.connection_number:
            self._waiting.remove(exchange)
            return
        connection = self._connections.get(exchange.connection_number)
        if connection is not None:  # else it ended after a long reply, which still waits for its turn
            connection.abort()

    def _under_way(self) -> list[Exchange]:
        """List the active exchanges. Waiting ones come first: else the others' freed places would start dials for them."""
        exchanges = [connection.exchange or connection.unwritten for connection in self._connections.values()]
        return [*self._waiting, *[exchange for exchange in exchanges if exchange is not None]]

    # The pool

    def _next_idle(self) -> RemoteConnection | None:
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def _give(self, exchange: Exchange, connection: RemoteConnection) -> None:
        """Assign an exchange to a connection. It is written at once, or with others at the end of this turn of the loop."""
        exchange.dial_number = 0  # its own dial continues for the pool
        connection.take(exchange)
        if self._active >= CROWD or not connection.is_silent():
            self._write_later(connection)
        else:
            connection.write(self._head.text())

    def _write_later(self, connection: RemoteConnection) -> None:
        if not self._to_write:
            self._loop.call_soon(self._write_all)
        self._to_write.append(connection)

    def _write_all(self) -> None:
        """Write the requests of a turn of the loop, in which all pending data was read.

        More data may have arrived since. Such a connection waits until that is read too, and usually ends then.
        """
        taken = [connection for connection in self._to_write if connection.is_writable()]
        self._to_write = []
        ready = silent(taken)
        head = self._head.text()
        for connection in ready:
            connection.write(head)
        if len(ready) != len(taken):
            for connection in taken:
                if connection.is_writable():
                    self._write_later(connection)

    def admit(self, connection: RemoteConnection) -> None:
        """Accept an opened connection into the pool."""
        self._connections[connection.number] = connection
        self._take_in(connection)

    def _take_in(self, connection: RemoteConnection) -> None:
        """Give a free connection to the next waiting request, else to the pool."""
        if self._waiting:
            self._give(self._waiting.popleft(), connection)
        else:
            self._idle.append(connection)

    def forget(self, connection: RemoteConnection) -> None:
        unwritten, connection.unwritten = connection.unwritten, None
        if unwritten is not None:
            self._take_back(unwritten, connection)
        del self._connections[connection.number]
        if connection in self._idle:
            self._idle.remove(connection)
        self._dial_for_waiting(len(self._waiting) - self._dials.count)

    def _take_back(self, exchange: Exchange, connection: RemoteConnection) -> None:
        """Move an exchange whose connection ended before it was written to an idle connection, or to the front of the queue."""
        exchange.connection_number = 0
        self._waiting.appendleft(exchange)
        if connection.is_fresh and self._has_lost_enough(exchange):
            return
        other = self._next_idle()
        if other is not None:
            self._waiting.popleft()
            self._give(exchange, other)

    def _has_lost_enough(self, exchange: Exchange) -> bool:
        """Count a new connection that ended before its request was written. With the last one the request fails."""
        exchange.lost_count += 1
        if exchange.lost_count < LOST_MAX:
            return False
        self._waiting.remove(exchange)
        self.conclude(exchange, lost_before_reply(None), monotonic(), None)
        return True

    # Dialling

    def _dial_for_waiting(self, count: int) -> None:
        """Begin dials for so many waiting requests, in their order, as far as there is room.

        The others already have one, or get the connection of a dial that continues for the pool.
        """
        if count <= 0 or self._dials.is_closed:
            return
        for exchange in self._waiting:
            if count <= 0 or self.open_count >= self.settings.connections:
                return
            if not exchange.dial_number:
                count -= 1
                self._dial_for(exchange)

    def _dial_for(self, exchange: Exchange) -> None:
        exchange.dial_number = number = self._dials.next_number()
        self._dials.begin(number, self._dial(exchange, number))

    async def _dial(self, exchange: Exchange, number: int) -> None:
        connection: RemoteConnection | None = None
        failure: RemoteError | None = None
        for _ in range(TURNS_BEFORE_A_DIAL):
            await asyncio.sleep(0)
        if not exchange.is_under_way and len(self._waiting) < self._dials.count:
            # Its client left right after its request, and no other request needs the connection.
            self._dials.end(number)
            return
        try:
            opened = await self._dialler.open()
            if opened is not None:
                connection = RemoteConnection(self, number, opened)
        except RemoteError as error:
            failure = error
        self._dials.end(number)
        # If it has another connection by now, or is over, this dial was for the pool.
        waits = exchange.is_under_way and exchange.dial_number == number
        if waits:
            exchange.dial_number = 0
        if connection is not None:
            self.admit(connection)
            return
        if waits:
            if failure is None:
                self._has_lost_enough(exchange)
            else:
                self._waiting.remove(exchange)
                self.conclude(exchange, failure, monotonic(), None)
        self._dial_for_waiting(len(self._waiting) - self._dials.count)
