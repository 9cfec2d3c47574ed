"""Names into addresses, by the system's resolver (nsswitch: files, DNS, …). Knows no remote and opens no connection.

`getaddrinfo` blocks, for 30 s and more when name servers are silent, and cannot be cancelled. The pools of threads that
asyncio and uvloop have for it are waited for at exit, and two look-ups that hang delay all later ones. So each look-up has
a daemon thread of its own here, and the process ends without waiting for those that hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from time import monotonic
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

from txtoken.memo import Memo

CACHE_S: Final = 10.0  # how long addresses are used, and how soon a change of them is noticed
NAMES_MAX: Final = 16  # in the cache; there is one remote, or one proxy
THREADS_MAX: Final = 16  # look-ups of one `Names` that may hang at the same time
# Another look-up is begun when the youngest is older than this share of the patience. Its query may have been lost, and the
# system's resolver repeats one after 5 s only.
RENEWAL: Final = 0.5

_FLAGS: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class LookUp:
    """One call of `getaddrinfo`, and the callers of `resolve` that fail when it fails."""

    __slots__ = ("begun_at", "host", "waiting")

    def __init__(self, host: str, begun_at: float) -> None:
        self.host = host
        self.begun_at = begun_at  # by `monotonic`
        self.waiting: set[asyncio.Future[list[ResolveResult]]] = set()


class Names(AbstractResolver):
    """The resolver of one remote. Make it inside a running loop.

    Callers that ask for a name at the same time share a look-up. While it hangs, a second one is begun after half of
    `patience_s`, for those that come then and for those that wait already: the first that finds addresses serves all. When one
    fails, only the callers that joined it fail.
    """

    def __init__(self, patience_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._renewal_s = patience_s * RENEWAL
        self._found: Memo[str, tuple[list[ResolveResult], float]] = Memo(NAMES_MAX)  # and until when they are used
        self._running: dict[str, list[LookUp]] = {}  # by name, the oldest first
        self._thread_count = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name, each time beginning with the next one.

        Raises:
            OSError: it has none, or they could not be looked up.
        """
        addresses = self._known(host)
        if addresses is None:
            addresses = await self._look_up(host)
        else:
            addresses.append(addresses.pop(0))
        return [
            ResolveResult(
                hostname=address["hostname"],
                host=address["host"],
                port=port,
                family=address["family"],
                proto=address["proto"],
                flags=address["flags"],
            )
            for address in addresses
            if family in (socket.AF_UNSPEC, address["family"])
        ]

    async def find(self, host: str) -> list[ResolveResult]:
        """Return what is known of a name, looked up where nothing is. Raises as `resolve` does."""
        addresses = self._known(host)
        return await self._look_up(host) if addresses is None else addresses

    def _known(self, host: str) -> list[ResolveResult] | None:
        found = self._found.get(host)
        return None if found is None or found[1] <= monotonic() else found[0]

    async def close(self) -> None:
        """Nothing is waited for."""

    async def _look_up(self, host: str) -> list[ResolveResult]:
        waiting: asyncio.Future[list[ResolveResult]] = self._loop.create_future()
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
        """Return the look-up to join: the youngest, or a new one where the youngest is old."""
        running = self._running.setdefault(host, [])
        now = monotonic()
        is_due = not running or running[-1].begun_at + self._renewal_s <= now
        if is_due and self._thread_count < THREADS_MAX:
            look_up = LookUp(host, now)
            with contextlib.suppress(RuntimeError):  # no thread can be started: the look-ups that run may still answer
                threading.Thread(target=self._run, args=(look_up,), name="names", daemon=True).start()
                self._thread_count += 1
                running.append(look_up)
        if not running:
            del self._running[host]
            raise OSError(errno.EAGAIN, "no thread to look a name up: too many hang, or the machine has none to spare")
        return running[-1]

    def _run(self, look_up: LookUp) -> None:
        """Look a name up, in a thread of its own."""
        addresses: list[ResolveResult] = []
        failure: Exception | None = None
        try:
            addresses = _addresses(look_up.host)
        except Exception as error:  # noqa: BLE001 - whatever it is, a caller waits for it
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._note, look_up, addresses, failure)

    def _note(self, look_up: LookUp, addresses: list[ResolveResult], failure: Exception | None) -> None:
        """Take the result of a look-up, however late it comes."""
        self._thread_count -= 1
        host = look_up.host
        running = self._running[host]
        running.remove(look_up)
        if not addresses:
            cause = str(failure) or type(failure).__name__ if failure is not None else "it has no address"
            for waiting in look_up.waiting:
                if not waiting.done():
                    waiting.set_exception(OSError(cause))  # one for each: an exception keeps the frames that raised it
        else:
            self._found.put(host, (addresses, monotonic() + CACHE_S))
            for other in (look_up, *running):
                for waiting in other.waiting:
                    if not waiting.done():
                        waiting.set_result(list(addresses))
        if not running:
            del self._running[host]


def _addresses(host: str) -> list[ResolveResult]:
    """Ask the system.

    Raises:
        OSError: it has no answer. (`socket.gaierror` is one.)
    """
    found: list[ResolveResult] = []
    for family, _, proto, _, address in socket.getaddrinfo(
        host, 0, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    ):
        if family == socket.AF_INET6 and len(address) == 4 and address[3]:  # link-local: the interface belongs to it
            numeric, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        elif family in (socket.AF_INET, socket.AF_INET6):
            numeric = str(address[0])
        else:
            continue
        found.append(ResolveResult(hostname=host, host=numeric, port=0, family=family, proto=proto, flags=int(_FLAGS)))
    return found
