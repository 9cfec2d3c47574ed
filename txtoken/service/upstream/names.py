"""Resolves names with the system's resolver (nsswitch: files, DNS, …). Knows no remote and opens no connection.

`getaddrinfo` blocks, for 30 s and more if name servers are silent, and cannot be cancelled. The thread pools of asyncio and
uvloop delay the exit until it returns, and two hanging look-ups delay all later ones. So each look-up has its own daemon thread
here, and the process exits without waiting for hanging ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from time import monotonic
from typing import Final, NamedTuple

from txtoken.memo import Memo

CACHE_S: Final = 10.0  # how long addresses are used, and how soon a change of them is noticed
NAMES_MAX: Final = 16  # in the cache; there is one remote or proxy
THREADS_MAX: Final = 16  # hanging look-ups of one `Names` at the same time
# A second look-up begins when the youngest is older than this share of `patience_s`. Its query may have been lost, and the
# system's resolver repeats a query only after 5 s.
RENEWAL: Final = 0.5


class NoAddressError(OSError):
    """A name has no address, or could not be looked up."""


class Address(NamedTuple):
    """One address of a name."""

    host: str
    family: int
    proto: int


class LookUp:
    """One call of `getaddrinfo`, and the callers of `resolve` that fail when it fails."""

    __slots__ = ("begun_at", "host", "waiting")

    def __init__(self, host: str, begun_at: float) -> None:
        self.host = host
        self.begun_at = begun_at  # by `monotonic`
        self.waiting: set[asyncio.Future[list[Address]]] = set()


class Names:
    """The resolver of one remote. Make it inside a running loop.

    Concurrent callers for a name share a look-up. If it hangs, a second one begins after half of `patience_s`, for new and for
    waiting callers: the first that finds addresses serves all. If one fails, only the callers that joined it fail.
    """

    def __init__(self, patience_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._renewal_s = patience_s * RENEWAL
        self._found: Memo[str, tuple[list[Address], float]] = Memo(NAMES_MAX)  # with the end of their use
        self._running: dict[str, list[LookUp]] = {}  # by name, oldest first
        self._thread_count = 0

    async def resolve(self, host: str) -> list[Address]:
        """Return the addresses of a name, in rotation.

        Raises:
            OSError: it has none, or the look-up failed.
        """
        addresses = self._known(host)
        if addresses is None:
            return await self._look_up(host)
        addresses.append(addresses.pop(0))
        return list(addresses)

    async def find(self, host: str) -> list[Address]:
        """Return the addresses of a name from the cache, or look them up. Raises as `resolve`."""
        addresses = self._known(host)
        return await self._look_up(host) if addresses is None else addresses

    def _known(self, host: str) -> list[Address] | None:
        found = self._found.get(host)
        return None if found is None or found[1] <= monotonic() else found[0]

    async def _look_up(self, host: str) -> list[Address]:
        waiting: asyncio.Future[list[Address]] = self._loop.create_future()
        joined: LookUp | None = None
        try:
            while True:
                youngest = self._youngest(host)
                if joined is not None:
                    joined.waiting.discard(waiting)
                youngest.waiting.add(waiting)
                joined = youngest
                left_s = max(0.0, youngest.begun_at + self._renewal_s - monotonic()) or self._renewal_s
                done, _ = await asyncio.wait((waiting,), timeout=left_s)
                if done:
                    return waiting.result()
        finally:
            if joined is not None:
                joined.waiting.discard(waiting)
            if not waiting.cancel():
                waiting.exception()  # retrieved, else asyncio logs that it never was

    def _youngest(self, host: str) -> LookUp:
        """Return the look-up to join: the youngest, or a new one if that is too old."""
        running = self._running.setdefault(host, [])
        now = monotonic()
        is_due = not running or running[-1].begun_at + self._renewal_s <= now
        if is_due and self._thread_count < THREADS_MAX:
            look_up = LookUp(host, now)
            with contextlib.suppress(RuntimeError):  # no thread can be started: the running look-ups may still answer
                threading.Thread(target=self._run, args=(look_up,), name="names", daemon=True).start()
                self._thread_count += 1
                running.append(look_up)
        if not running:
            del self._running[host]
            raise OSError(errno.EAGAIN, "no thread for a name look-up: too many hang, or the machine has no resources")
        return running[-1]

    def _run(self, look_up: LookUp) -> None:
        """Look up a name, in its own thread."""
        addresses: list[Address] = []
        failure: Exception | None = None
        try:
            addresses = _addresses(look_up.host)
        except Exception as error:  # noqa: BLE001 - a caller waits for the result, whatever it is
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._note, look_up, addresses, failure)

    def _note(self, look_up: LookUp, addresses: list[Address], failure: Exception | None) -> None:
        """Receive the result of a look-up, however late."""
        self._thread_count -= 1
        host = look_up.host
        running = self._running[host]
        running.remove(look_up)
        if not addresses:
            cause = str(failure) or type(failure).__name__ if failure is not None else "it has no address"
            for waiting in look_up.waiting:
                if not waiting.done():
                    # A separate one for each: an exception keeps the frames that raised it.
                    waiting.set_exception(OSError(cause))
        else:
            self._found.put(host, (addresses, monotonic() + CACHE_S))
            for other in (look_up, *running):
                for waiting in other.waiting:
                    if not waiting.done():
                        waiting.set_result(list(addresses))
        if not running:
            del self._running[host]


def _addresses(host: str) -> list[Address]:
    """Ask the system.

    Raises:
        OSError: there is no answer. (`socket.gaierror` is an OSError.)
    """
    found: list[Address] = []
    for family, _, proto, _, address in socket.getaddrinfo(
        host, 0, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    ):
        # Link-local: the address needs its interface.
        if family == socket.AF_INET6 and len(address) == 4 and address[3]:
            numeric, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        elif family in (socket.AF_INET, socket.AF_INET6):
            numeric = str(address[0])
        else:
            continue
        found.append(Address(numeric, family, proto))
    return found
