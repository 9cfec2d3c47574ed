"""Counts in memory that all processes of the service share. Knows no Prometheus and no names of metrics.

Each worker counts in its own block, so none waits for a lock, and the worker that is scraped adds up all blocks. A block is made
before the fork and outlives its worker: the replacement continues to count. `observe/exposition` renders the metrics.

A request costs one addition in shared memory, a login two, and a failure one more. Sums of seconds, and the current state
(connections, dropped lines), are copied into the block at every beat.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from txtoken.http1.messages import Client, Head, Observer, Response

# Upper ends of a histogram's buckets, in seconds: from a check (some 10 µs) to a login at `timeouts.remote` and above.
FIRST_BOUND_S: Final = 0.0001
BOUNDS_S: Final[list[float]] = [
    *(FIRST_BOUND_S, 0.00025, 0.0005, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0),
]
# `preflight` is OPTIONS on any path, the last one is everything else.
ROUTES: Final[list[str]] = [
    *("get_token", "check_token", "forward_auth", "refresh", "refresh_end"),
    *("jwks", "discovery", "preflight", "other"),
]
FORWARD_AUTH: Final = 2
PREFLIGHT: Final = 7
OTHER: Final = 8
# A `statusMap` can contain other statuses than these: they are counted by their class.
STATUSES: Final[list[str]] = [*(str(int(status)) for status in HTTPStatus if status >= HTTPStatus.OK), "4xx", "5xx"]

# Errors of requests: the codes of `errors` and `handlers`, which the access log shows too. A test ensures that none is missing.
LIMITS: Final[list[str]] = [  # on what clients send
    *("uri_too_long", "head_too_large", "too_many_fields", "body_too_large", "chunk_overhead"),
    *("head_timeout", "body_timeout", "buffered_bytes"),
]
REFUSALS: Final[list[str]] = [
    *("bad_body", "bad_framing", "bad_host", "bad_request", "bad_target", "expectation_failed", "foreign_site"),
    *("host_missing", "incomplete_request", "method_not_allowed", "not_found", "not_implemented", "proxy_protocol"),
    *("tls_on_plain_port", "version_not_supported"),
]
INTERNAL: Final = "internal"
THROTTLED_BY: Final[list[str]] = ["name", "address"]  # the subjects of failures (`service/throttle`)
TOKEN_REASONS: Final[list[str]] = [
    *("no_token", "segments", "malformed", "key", "algorithm", "signature"),
    *("no_expiry", "expired", "not_yet", "issuer", "audience", "revoked"),
    *("session_over", "no_auth_time"),
]
# Rejections of valid tokens by a forward-auth route.
DENIALS: Final[list[str]] = ["forbidden", "identity_too_large"]
REMOTE_REASONS: Final[dict[str, str]] = {  # with the kind of each failure (see `errors`)
    **dict.fromkeys(
        (
            *("refused", "reset", "closed", "dns", "tls", "tls_verify", "proxy"),
            *("unreachable", "bad_response", "early"),
        ),
        "unreachable",
    ),
    **dict.fromkeys(("timeout", "connect_timeout"), "timeout"),
    **dict.fromkeys(("overloaded", "exhausted", "no_key"), "overloaded"),
    **dict.fromkeys(("truncated", "too_large", "surplus"), "truncated"),
    **dict.fromkeys(("bad_encoding", "bad_json", "token_too_large", "no_claim"), "invalid"),
    "status": "status",
}
# Some of these are counted by the use of the key that the token names (`keys/ring`): uses are known before the fork, a `kid` is
# not.
KEY_REASONS: Final[list[str]] = ["signature", "algorithm", "expired"]
KEY_USES: Final[list[str]] = ["signing", "old", "next"]
ERRORS: Final[list[str]] = [*LIMITS, *REFUSALS, INTERNAL, *TOKEN_REASONS, *DENIALS, *REMOTE_REASONS]

# Counts of other modules, which a worker copies.
REFUSED: Final[list[str]] = [f"refused_{reason}_{use}" for reason in KEY_REASONS for use in KEY_USES]
TOTALS: Final[list[str]] = [
    *("cache_hits", "given_up", "log_lines_dropped"),
    *("connections_deferred", "tls_handshakes_failed", "tokens_cut", "renewed_by_remote"),
    *("login_failures", "throttled_name", "throttled_address", "lockouts_name", "lockouts_address"),
    *REFUSED,
]
# The current state, which is void after the worker has died.
GAUGES: Final[list[str]] = [
    *("pid", "is_ready", "connections", "active", "waiting"),
    *("remote_idle", "remote_busy", "remote_dialling", "connections_max", "remote_connections_max", "waiting_max"),
    *("key_signs", "keys_verifying", "keys_published", "revocations", "revocations_failed"),
]
# Events of the whole service.
EVENTS: Final[list[str]] = ["reloads", "reloads_failed", "workers_replaced"]
# Times of events: `beat` by time.monotonic, the others in Unix time. Those of keys belong to a worker: the signing key began at
# `key_began` (0: unspecified), ends at `key_ends`, and is replaced at `key_switches`.
MOMENTS: Final[list[str]] = [
    *("beat", "reloaded", "reload_failed", "key_loaded"),
    *("key_began", "key_ends", "key_switches", "keys_end"),
]

# A block has counts, then seconds. A route has a histogram for each status, so that one addition counts both.
BUCKETS: Final[int] = len(BOUNDS_S) + 1
ROUTE_CELLS: Final[int] = len(STATUSES) * BUCKETS
REMOTE: Final[int] = len(ROUTES) * ROUTE_CELLS
LOOP: Final[int] = REMOTE + BUCKETS
FIRST_ERROR: Final[int] = LOOP + BUCKETS
FIRST_TOTAL: Final[int] = FIRST_ERROR + len(ERRORS)
FIRST_EVENT: Final[int] = FIRST_TOTAL + len(TOTALS)
FIRST_GAUGE: Final[int] = FIRST_EVENT + len(EVENTS)
COUNTS: Final[int] = FIRST_GAUGE + len(GAUGES)
REMOTE_S: Final[int] = len(ROUTES)  # after the sums of the routes
LOOP_S: Final[int] = REMOTE_S + 1
FIRST_MOMENT: Final[int] = LOOP_S + 1
SECONDS: Final[int] = FIRST_MOMENT + len(MOMENTS)
CELL_BYTES: Final = 8

BEAT_LATE_S: Final = 5.0  # a worker without a beat for this long hangs


class Block:
    """The numbers of one process. `counts` are integers, `seconds` floating-point numbers; the names above are their indexes."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        memory = memoryview(mmap.mmap(-1, (COUNTS + SECONDS) * CELL_BYTES))  # anonymous and shared: children inherit it
        self.counts = memory[: COUNTS * CELL_BYTES].cast("Q")
        self.seconds = memory[COUNTS * CELL_BYTES :].cast("d")

    def event(self, name: str) -> None:
        """Count one of `EVENTS`."""
        self.counts[FIRST_EVENT + EVENTS.index(name)] += 1

    def gauge(self, name: str) -> int:
        """Return one of `GAUGES`."""
        return int(self.counts[FIRST_GAUGE + GAUGES.index(name)])

    def set_gauge(self, name: str, value: int) -> None:
        """Set one of `GAUGES`."""
        self.counts[FIRST_GAUGE + GAUGES.index(name)] = value

    def moment(self, name: str) -> float:
        """Return one of `MOMENTS`."""
        return float(self.seconds[FIRST_MOMENT + MOMENTS.index(name)])

    def set_moment(self, name: str, value: float) -> None:
        """Set one of `MOMENTS`."""
        self.seconds[FIRST_MOMENT + MOMENTS.index(name)] = value

    def clear_gauges(self) -> None:
        """Its process has died: clear the state, and keep the counts."""
        for index in range(FIRST_GAUGE, COUNTS):
            self.counts[index] = 0


class Board:
    """All blocks of a service: `service` for it as a whole, and one for each worker. Make it before the workers are forked."""

    __slots__ = ("service", "workers")

    def __init__(self, workers: int) -> None:
        self.service = Block()
        self.workers = [Block() for _ in range(workers)]

    @property
    def blocks(self) -> list[Block]:
        """Every block, the service's first."""
        return [self.service, *self.workers]

    def is_ready(self) -> bool:
        """Whether every worker serves, with a beat within `BEAT_LATE_S`."""
        early = time.monotonic() - BEAT_LATE_S
        return all(block.gauge("is_ready") and block.moment("beat") > early for block in self.workers)

    def note_start(self) -> None:
        """Record the start: configuration and key are in use from now on."""
        now = time.time()
        self.service.set_moment("reloaded", now)
        self.service.set_moment("key_loaded", now)

    def note_reload(self, *, has_new_key: bool) -> None:
        """Record a successful reload."""
        now = time.time()
        self.service.event("reloads")
        self.service.set_moment("reloaded", now)
        if has_new_key:
            self.service.set_moment("key_loaded", now)

    def note_failed_reload(self, block: Block) -> None:
        """Record a failed reload, in the process of `block`."""
        block.event("reloads_failed")
        self.service.set_moment("reload_failed", time.time())


class Sum:
    """Sum of seconds since the last publication. Here an addition takes 2 ns, in shared memory 45 ns."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0


class Meter(Observer):
    """Counts one worker's responses in its block. `paths` maps paths to `ROUTES`; paths at or below one of `asked` are forward
    authentication.
    """

    __slots__ = ("_below", "_counts", "_error_cells", "_route_of", "_status_cells", "_sums", "block")

    def __init__(self, block: Block, paths: Mapping[bytes, str], asked: Sequence[bytes] = ()) -> None:
        self.block = block
        self._counts = block.counts
        self._sums = [Sum() for _ in range(LOOP_S + 1)]
        self._route_of: dict[bytes, int] = {}
        self._status_cells: list[int] = []
        for status in range(600):
            name = str(status) if str(status) in STATUSES else "4xx" if status < 500 else "5xx"
            self._status_cells.append(STATUSES.index(name) * BUCKETS)
        self._error_cells = {error: FIRST_ERROR + place for place, error in enumerate(ERRORS)}
        self._below: tuple[bytes, ...] = ()
        self.use(paths, asked)

    def use(self, paths: Mapping[bytes, str], asked: Sequence[bytes] = ()) -> None:
        """Use other paths."""
        self._route_of = {path: ROUTES.index(route) for path, route in paths.items()}
        self._route_of.update(dict.fromkeys(asked, FORWARD_AUTH))
        self._below = tuple(path + b"/" for path in asked)

    def note(self, head: Head | None, response: Response, elapsed_s: float, client: Client) -> None:
        route = OTHER if head is None else self._route(head)
        self.note_of(route, response, elapsed_s)

    def _route(self, head: Head) -> int:
        route = self._route_of.get(head.path, OTHER)
        if route == OTHER and self._below and head.path.startswith(self._below):
            return FORWARD_AUTH
        return PREFLIGHT if head.method == b"OPTIONS" and route != FORWARD_AUTH else route

    def note_of(self, route: int, response: Response, elapsed_s: float) -> None:
        """Count a response of one of `ROUTES`."""
        counts = self._counts
        counts[route * ROUTE_CELLS + self._status_cells[response.status] + _bucket(elapsed_s)] += 1
        self._sums[route].seconds += elapsed_s
        remote_s = response.remote_s
        if remote_s is not None:
            counts[REMOTE + _bucket(remote_s)] += 1
            self._sums[REMOTE_S].seconds += remote_s
        if response.error is not None:
            self._count(response.error)

    def note_unanswered(self, head: Head | None, outcome: Response, elapsed_s: float, client: Client) -> None:
        if outcome.error is not None:
            self._count(outcome.error)

    def _count(self, code: str) -> None:
        """Count an error, if it is one of `ERRORS`."""
        cell = self._error_cells.get(code)
        if cell is not None:
            self._counts[cell] += 1

    def note_beat(self, delay_s: float) -> None:
        """Count a beat of the worker by its delay: data that arrived meanwhile waited as long."""
        self._counts[LOOP + _bucket(delay_s)] += 1
        self._sums[LOOP_S].seconds += delay_s

    def publish(self, more: list[int], gauges: list[int]) -> None:
        """Add the sums to the block, copy the service's state, and show that this worker is alive.

        `more` is the increase of each of `TOTALS` since the last time, `gauges` are in the order of `GAUGES`.
        """
        counts = self._counts
        for place, total in enumerate(self._sums):
            self.block.seconds[place] += total.seconds
            total.seconds = 0.0
        for place, count in enumerate(more):
            counts[FIRST_TOTAL + place] += count
        for place, gauge in enumerate(gauges):
            counts[FIRST_GAUGE + place] = gauge
        self.block.set_moment("beat", time.monotonic())


class AuthMeter(Observer):
    """Counts the responses on a dedicated address of forward authentication, with the worker's meter."""

    __slots__ = ("_meter",)

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def note(self, head: Head | None, response: Response, elapsed_s: float, client: Client) -> None:
        self._meter.note_of(FORWARD_AUTH, response, elapsed_s)

    def note_unanswered(self, head: Head | None, outcome: Response, elapsed_s: float, client: Client) -> None:
        self._meter.note_unanswered(head, outcome, elapsed_s, client)


def _bucket(seconds: float) -> int:
    """Find a duration's bucket in a histogram. Most are in one of the first, so a linear search beats bisection."""
    if seconds <= FIRST_BOUND_S:  # a check: this comparison takes nothing, one in the list 30 ns
        return 0
    place = 0
    for bound in BOUNDS_S:
        if seconds <= bound:
            return place
        place += 1
    return place
