"""A server with routes of its own, and clients on real sockets, in one loop. What came back is read by h11."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, cast

import h11

from txtoken.clock import Clock
from txtoken.errors import ProtocolError
from txtoken.http1 import messages
from txtoken.http1.connection import Connection
from txtoken.http1.messages import (
    Handler,
    Head,
    Observer,
    Pending,
    Request,
    Response,
    Router,
    UnloggedResponse,
    response_head,
)
from txtoken.http1.phase import Phase
from txtoken.http1.server import Server
from txtoken.settings import Limits, Timeouts

HOST: Final = b"Host: a.example\r\n"
SWEEP_S: Final = 0.01  # as the worker's beat, only faster
SILENCE_S: Final = 0.15  # how long nothing may happen where nothing must

Go = Callable[[Coroutine[Any, Any, None]], None]


def get(target: bytes, *lines: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    """Write a GET."""
    return b"GET %b %b\r\n%b%b\r\n" % (target, version, HOST, b"".join(line + b"\r\n" for line in lines))


def post(body: bytes, *lines: bytes, target: bytes = b"/now", length: int | None = None) -> bytes:
    """Write a POST, or with `length` the beginning of one."""
    size = len(body) if length is None else length
    return get(target, b"Content-Length: %d" % size, *lines).replace(b"GET", b"POST") + body


class Answer(NamedTuple):
    """One final response as h11 read it."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes


def read_answers(data: bytes, methods: Sequence[str] = ()) -> tuple[list[Answer], list[int], bytes]:
    """Let h11 read responses to these methods (GET beyond them): the final ones, the interim statuses, what is left.

    Raises:
        h11.RemoteProtocolError: it is not HTTP.
    """
    finals: list[Answer] = []
    interims: list[int] = []
    while data:
        reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        method = "HEAD" if len(finals) < len(methods) and methods[len(finals)] == "HEAD" else "GET"
        reader.send(h11.Request(method=method, target="/", headers=[("Host", "reader.example")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(data)
        status, fields, body = 0, dict[bytes, bytes](), bytearray()
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.InformationalResponse):
                interims.append(event.status_code)
                data = reader.trailing_data[0]
            elif isinstance(event, h11.Response):
                status, fields = event.status_code, dict(event.headers)
                assert len(fields) == len(event.headers.raw_items()), f"a repeated field in {event.headers}"
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                assert event is h11.NEED_DATA
                return finals, interims, data
        finals.append(Answer(status, fields, bytes(body)))
        data = reader.trailing_data[0]
    return finals, interims, b""


def text(body: bytes, status: int = 200) -> Response:
    """Make a response."""
    return Response(status, response_head(status, content_type=b"text/plain"), body)


class Later(Pending):
    """An answer that a test gives when it likes. Stricter than real ones: it does not answer once it was given up."""

    def __init__(self, request: Request, client: messages.Client) -> None:
        self.request = request
        self.cancelled = asyncio.Event()
        self._client = client

    def finish(self, body: bytes | None = None) -> None:
        """Answer, by default with the request's query."""
        assert not self.cancelled.is_set(), "it was given up"
        self._client.respond(text(self.request.head.query if body is None else body))

    def cancel(self) -> None:
        """Be given up, once at most."""
        assert not self.cancelled.is_set(), "it was given up before"
        self.cancelled.set()


class Place(Router):
    """The routes. /now answers with its query, /big with a lot, /later when the test says so, /raise and /both fail."""

    def __init__(self, big_bytes: int = 0) -> None:
        self.seen: list[bytes] = []  # queries, as they were handled
        self.arrivals: asyncio.Queue[Later] = asyncio.Queue()
        self.failures: list[str] = []
        self.lines: list[tuple[bytes | None, int, str]] = []  # of the access log: path, status, client
        self.log = Lines(self.lines)
        self._big = text(big_bytes * b"x")
        self._handler = Handling(self)

    def find(self, head: Head) -> Handler:
        """Give the one handler there is."""
        return self._handler

    def waits(self, head: Head) -> bool:
        """Say of /later that it waits."""
        return head.path == b"/later"

    def handle(self, request: Request, client: messages.Client) -> Pending | None:
        """Answer by path."""
        head = request.head
        self.seen.append(head.query)
        match head.path:
            case b"/now":
                client.respond(text(head.query + request.body))
            case b"/big":
                client.respond(self._big)
            case b"/unlogged":
                client.respond(UnloggedResponse(200, self._big.head, b""))
            case b"/later":
                later = Later(request, client)
                self.arrivals.put_nowait(later)
                return later
            case b"/both":
                client.respond(text(head.query))
                raise RuntimeError("after the answer")
            case _:
                raise RuntimeError("before the answer")
        return None

    def refusal(self, error: ProtocolError, head: Head | None = None) -> Response:
        """Say why."""
        return text(error.code.encode(), error.status)

    def failure(self, error: Exception) -> Response:
        """Say what failed."""
        self.failures.append(str(error))
        return text(str(error).encode(), 500)


class Handling(Handler):
    """Hands requests to a place. Compiled classes have one base each."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def handle(self, request: Request, client: messages.Client) -> Pending | None:
        """Let the place answer."""
        return self._place.handle(request, client)


class Lines(Observer):
    """Keeps what an access log would write."""

    def __init__(self, lines: list[tuple[bytes | None, int, str]]) -> None:
        self._lines = lines

    def note(self, head: Head | None, response: Response, elapsed_s: float, client: messages.Client) -> None:
        """Keep what is to be logged."""
        if response.is_logged:
            self.note_unanswered(head, response, elapsed_s, client)

    def note_unanswered(self, head: Head | None, outcome: Response, elapsed_s: float, client: messages.Client) -> None:
        """Keep what was not answered."""
        self._lines.append((None if head is None else head.path, outcome.status, client.address()))


class Client:
    """The other end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.received = b""
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self.sock, data)

    async def more(self) -> bool:
        """Wait for more bytes. False: the other side has said all it will."""
        data = await self._loop.sock_recv(self.sock, 1 << 20)
        self.received += data
        return bool(data)

    async def answers(self, count: int, *methods: str) -> list[Answer]:
        """Wait for so many answers, and take them. Nothing may be behind them yet."""
        finals: list[Answer] = []
        while len(finals) < count:
            assert await self.more(), f"the connection ended behind {finals}"
            finals, _, rest = read_answers(self.received, methods)
        assert (len(finals), rest) == (count, b"")
        self.received = b""
        return finals

    async def bodies(self, count: int) -> list[bytes]:
        """Wait for so many answers, and take their bodies."""
        return [answer.body for answer in await self.answers(count)]

    async def to_the_end(self, *methods: str) -> list[Answer]:
        """Wait for the end in good order, and take all answers before it."""
        while await self.more():
            pass
        finals, _, rest = read_answers(self.received, methods)
        assert rest == b""
        return finals

    async def hears_nothing(self) -> bool:
        """Whether nothing comes for a while, the end included."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.more(), SILENCE_S)
            return False
        return True


class Recorder(asyncio.Transport):
    """A transport that notes what is asked of the real one, and refuses to write behind the end."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self.calls: list[str] = []
        self._transport = transport
        self._ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write."""
        assert not self._ended, "a write behind write_eof or close"
        self.calls.append("write")
        self._transport.write(data)

    def pause_reading(self) -> None:
        """Read no more."""
        self.calls.append("pause_reading")
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self.calls.append("resume_reading")
        self._transport.resume_reading()

    def write_eof(self) -> None:
        """Say that no more is written."""
        self._ended = True
        self.calls.append("write_eof")
        self._transport.write_eof()

    def close(self) -> None:
        """End in order."""
        self._ended = True
        self.calls.append("close")
        self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._ended = True
        self.calls.append("abort")
        self._transport.abort()

    def can_write_eof(self) -> bool:
        """Ask the real one."""
        return self._transport.can_write_eof()

    def is_closing(self) -> bool:
        """Ask the real one."""
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        """Ask the real one."""
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Ask the real one."""
        return self._transport.get_extra_info(name, default)


class House:
    """A server, its place, and a way in."""

    def __init__(self, server: Server, place: Place) -> None:
        self.server = server
        self.place = place
        self.ports: list[int] = []
        self._clients: list[Client] = []

    async def client(self, listener: int = 0, *, receive_bytes: int | None = None) -> Client:
        """Connect over TCP."""
        sock = socket.socket()
        self._clients.append(client := Client(sock))
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.ports[listener]))
        return client

    async def pair(self) -> tuple[Client, Connection, Recorder]:
        """Connect over a socketpair, with a look at the service's side of it."""
        near, far = socket.socketpair()
        self._clients.append(client := Client(near))
        connection = Connection(self.server)
        make: Callable[[], asyncio.Protocol] = lambda: cast("asyncio.Protocol", connection)  # noqa: E731 - the type names what is made
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(make, far)
        connection._transport = recorder = Recorder(transport)
        return client, connection, recorder

    def close(self) -> None:
        """Close what clients did not."""
        for client in self._clients:
            client.sock.close()


@contextlib.asynccontextmanager
async def house(
    *,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    place: Place | None = None,
    listeners: int = 1,
    sweeping: bool = True,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[House]:
    """Serve on loopback ports until the end. No exception may have been left to the loop."""
    loop = asyncio.get_running_loop()
    place = place or Place()
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    server = Server(place, limits or Limits(), timeouts or Timeouts(), Clock(), place.log)
    home = House(server, place)
    sockets = [socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(listeners)]
    home.ports = [sock.getsockname()[1] for sock in sockets]
    timer: asyncio.TimerHandle | None = None

    def beat() -> None:
        nonlocal timer
        server.sweep(loop.time())
        timer = loop.call_later(SWEEP_S, beat)

    try:
        server.secure(tls)
        await server.listen(sockets)
        if sweeping:
            beat()
        yield home
    finally:
        if timer is not None:
            timer.cancel()
        home.close()
        server.abort()
        while server.connection_count:
            await turn()
        for sock in sockets:
            sock.close()
        await turn()
    assert not unhandled, unhandled


async def turn() -> None:
    """Let the loop go round once: whatever it has to do already is done."""
    await asyncio.sleep(0)


async def until(connection: Connection, phase: Phase) -> None:
    """Let the loop run until the connection is that far."""
    while connection.phase is not phase:
        await turn()
