"""Renders the counts as metrics for Prometheus: names, labels and help texts. Counts nothing.

Loaded only if there is an `adminPort`: prometheus_client takes 1.4 MB and 20 to 50 ms.
docs/reference/metrics.md explains each metric.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from txtoken.observe import metrics
from txtoken.observe.metrics import (
    BOUNDS_S,
    BUCKETS,
    DENIALS,
    ERRORS,
    INTERNAL,
    KEY_REASONS,
    KEY_USES,
    LIMITS,
    REFUSALS,
    REMOTE_REASONS,
    ROUTES,
    STATUSES,
    THROTTLED_BY,
    TOKEN_REASONS,
    Board,
)

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
OK: Final = "200"
# Statuses that are shown from the start, so that rates are correct from the first response on.
_USUAL: Final[dict[str, tuple[str, ...]]] = {
    "get_token": ("200", "500", "503"),
    "check_token": ("200", "401"),
    "forward_auth": ("200", "401", "403"),
    "refresh": ("200", "401"),
    "refresh_end": ("204",),
    "jwks": ("200",),
    "discovery": ("200",),
    "preflight": (),
    "other": ("404",),
}
_BOUND_LABELS: Final = [*map(str, BOUNDS_S), "+Inf"]


class Exposition(Collector):
    """All metrics of a service, from any of its processes. `build` are the labels of `txtoken_build_info`."""

    def __init__(self, board: Board, build: Mapping[str, str]) -> None:
        self._board = board
        self._build = build
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """Write all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Return no metric, so that registration, which is too early, collects none."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Add all blocks up."""
        sums = _Sums(self._board)
        yield _info("txtoken_build", "The version and build of the service.", self._build)
        yield from _service(self._board)
        yield from _keys(self._board, time.time())
        yield from _requests(sums)
        yield from _tokens(sums)
        yield from _remote(sums)
        yield from _throttle(sums)
        yield from _saturation(sums)
        yield _total(
            "txtoken_tls_handshake_failures",
            "TLS handshakes of clients that failed.",
            sums.total("tls_handshakes_failed"),
        )
        yield _total(
            "txtoken_log_lines_dropped",
            "Log lines that were dropped because their reader is too slow.",
            sums.total("log_lines_dropped"),
        )
        yield from _processes(self._board)


class _Sums:
    """The numbers of all blocks, added up."""

    def __init__(self, board: Board) -> None:
        blocks = board.blocks
        self.counts: list[int] = [
            sum(cells) for cells in zip(*(block.counts.tolist() for block in blocks), strict=True)
        ]
        self.seconds: list[float] = [
            sum(cells) for cells in zip(*(block.seconds.tolist() for block in blocks), strict=True)
        ]

    def histogram(self, first: int) -> list[int]:
        return self.counts[first : first + BUCKETS]

    def error(self, code: str) -> int:
        return self.counts[metrics.FIRST_ERROR + ERRORS.index(code)]

    def total(self, name: str) -> int:
        return self.counts[metrics.FIRST_TOTAL + metrics.TOTALS.index(name)]

    def gauge(self, name: str) -> int:
        return self.counts[metrics.FIRST_GAUGE + metrics.GAUGES.index(name)]

    def responses(self, route: str, status: str) -> list[int]:
        """Return the histogram of a route's responses of one status."""
        return self.histogram(ROUTES.index(route) * metrics.ROUTE_CELLS + STATUSES.index(status) * BUCKETS)


def _service(board: Board) -> Iterator[Metric]:
    service = board.service
    events = {
        name: sum(block.counts[metrics.FIRST_EVENT + place] for block in board.blocks)
        for place, name in enumerate(metrics.EVENTS)
    }
    reloaded, failed = service.moment("reloaded"), service.moment("reload_failed")
    yield _gauge("txtoken_workers_configured", "Workers that should run.", len(board.workers))
    ready = sum(block.gauge("is_ready") for block in board.workers)
    yield _gauge("txtoken_workers_ready", "Workers that serve and do not drain.", ready)
    yield _total("txtoken_workers_replaced", "Workers that died and were replaced.", events["workers_replaced"])
    yield _labelled_total(
        "txtoken_config_reloads",
        "Hot reloads of the configuration, by result.",
        ["result"],
        [(["success"], events["reloads"]), (["failure"], events["reloads_failed"])],
    )
    yield _gauge(
        "txtoken_config_last_reload_successful",
        "Whether the last read configuration is in use (1) or was rejected (0).",
        int(reloaded >= failed),
    )
    yield _gauge(
        "txtoken_config_last_reload_success_timestamp_seconds",
        "When a valid configuration was last read, at start or reload.",
        reloaded,
    )


def _keys(board: Board, now: float) -> Iterator[Metric]:
    """Metrics of keys. If workers differ, during a reload, the worst value is shown."""
    loaded = board.service.moment("key_loaded")
    yield _gauge(
        "txtoken_signing_key_loaded_timestamp_seconds",
        "When the keys in use were loaded, at start or reload.",
        loaded,
    )
    alive = [block for block in board.workers if block.gauge("pid")]
    if not alive:
        return
    signing = [block for block in alive if block.gauge("key_signs")]
    has_all = len(signing) == len(alive)
    yield _gauge("txtoken_signing_key_present", "Whether a key signs now (1), or none does (0).", int(has_all))
    if signing:
        began = min(block.moment("key_began") or loaded for block in signing)
        yield _gauge(
            "txtoken_signing_key_age_seconds",
            "How long the signing key has been signing, or how long it has been loaded if it has no `from`.",
            max(0.0, now - began),
        )
        yield _gauge(
            "txtoken_signing_key_end_timestamp_seconds",
            "When the signing key ends. +Inf: never.",
            min(block.moment("key_ends") for block in signing),
        )
    yield _gauge(
        "txtoken_signing_key_next_switch_seconds",
        "Seconds until another key, or none, signs. +Inf: never.",
        max(0.0, min(block.moment("key_switches") for block in alive) - now),
    )
    yield _gauge(
        "txtoken_keys_end_timestamp_seconds",
        "When no key signs any more, including later keys. +Inf: never.",
        min(block.moment("keys_end") for block in alive),
    )
    for name, what in (("verifying", "Keys that verify."), ("published", "Public keys in the JWKS.")):
        yield _gauge(f"txtoken_keys_{name}", what, min(block.gauge(f"keys_{name}") for block in alive))
    yield _gauge(
        "txtoken_revocations",
        "Lines of the list of revocations in use.",
        min(block.gauge("revocations") for block in alive),  # the minimum shows a worker without the latest list
    )
    yield _gauge(
        "txtoken_revocations_last_read_successful",
        "Whether the last read list of revocations is in use (1) or was rejected (0).",
        int(not any(block.gauge("revocations_failed") for block in alive)),
    )


def _requests(sums: _Sums) -> Iterator[Metric]:
    answered = []
    durations = HistogramMetricFamily(
        "txtoken_request_duration_seconds",
        "From a complete request to its response, by route.",
        labels=["route"],
    )
    for place, route in enumerate(ROUTES):
        histogram = [0] * BUCKETS
        for status in STATUSES:
            of_status = sums.responses(route, status)
            count = sum(of_status)
            histogram = [sum(pair) for pair in zip(histogram, of_status, strict=True)]
            if count or status in _USUAL[route]:
                answered.append(([route, status], count))
        durations.add_metric([route], _cumulated(histogram), sums.seconds[place])
    yield _labelled_total("txtoken_requests", "Responses, by route and status.", ["route", "status"], answered)
    yield durations
    yield _gauge("txtoken_requests_in_flight", "Logins without an answer so far.", sums.gauge("active"))
    yield _labelled_total(
        "txtoken_requests_refused",
        "Requests that were rejected as malformed or over a limit, by reason.",
        ["reason"],
        [([code], sums.error(code)) for code in REFUSALS],
    )
    yield _total("txtoken_internal_errors", "Requests that made the service fail.", sums.error(INTERNAL))
    limits = [([code], sums.error(code)) for code in (*LIMITS, "overloaded", "token_too_large")]
    yield _labelled_total(
        "txtoken_limits_hit",
        "How often a limit was reached, by kind.",
        ["kind"],
        [*limits, (["connections"], sums.total("connections_deferred"))],
    )


def _tokens(sums: _Sums) -> Iterator[Metric]:
    issued = sum(sum(sums.responses(route, OK)) for route in ("get_token", "refresh"))
    yield _total("txtoken_tokens_issued", "Tokens that were issued, by logins and renewals.", issued)
    denied = [([code], sums.error(code)) for code in DENIALS]
    passed = sum(sum(sums.responses(route, OK)) for route in ("check_token", "forward_auth"))
    checked = [(["valid"], passed), *denied, *(([code], sums.error(code)) for code in TOKEN_REASONS)]
    yield _labelled_total("txtoken_tokens_checked", "Tokens that were checked, by result.", ["result"], checked)
    yield _labelled_total(
        "txtoken_tokens_refused",
        "Tokens that name a key of this service and were rejected, by reason and by the use of that key.",
        ["reason", "key"],
        [([reason, use], sums.total(f"refused_{reason}_{use}")) for reason in KEY_REASONS for use in KEY_USES],
    )
    yield _total(
        "txtoken_tokens_cut", "Tokens that expire with their key, before expHours is over.", sums.total("tokens_cut")
    )
    yield _total(
        "txtoken_token_cache_hits",
        "Checks whose token was remembered as valid.",
        sums.total("cache_hits"),
    )


def _remote(sums: _Sums) -> Iterator[Metric]:
    answered = sum(sums.responses("get_token", OK)) + sums.total("renewed_by_remote")
    outcomes = {"ok": answered, **dict.fromkeys(REMOTE_REASONS.values(), 0)}
    for code, outcome in REMOTE_REASONS.items():
        outcomes[outcome] += sums.error(code)
    outcomes["given_up"] = sums.total("given_up")
    yield _labelled_total(
        "txtoken_remote_requests",
        "Logins and renewals sent to the remote, by outcome; given_up: the client went away before.",
        ["outcome"],
        [([outcome], count) for outcome, count in outcomes.items()],
    )
    yield _labelled_total(
        "txtoken_remote_failures",
        "Logins and renewals that failed at the remote, by outcome and reason.",
        ["outcome", "reason"],
        [([outcome, code], sums.error(code)) for code, outcome in REMOTE_REASONS.items()],
    )
    yield _histogram(
        "txtoken_remote_duration_seconds",
        "From the request for a login to the remote's reply or failure, waiting for a connection included.",
        sums.histogram(metrics.REMOTE),
        sums.seconds[metrics.REMOTE_S],
    )


def _throttle(sums: _Sums) -> Iterator[Metric]:
    yield _total("txtoken_login_failures", "Logins that the remote rejected.", sums.total("login_failures"))
    yield _labelled_total(
        "txtoken_logins_throttled",
        "Logins that were rejected during a lockout, by its kind: a name in a network, or an address.",
        ["by"],
        [([by], sums.total(f"throttled_{by}")) for by in THROTTLED_BY],
    )
    yield _labelled_total(
        "txtoken_throttle_lockouts",
        "Lockouts after too many failures, by kind: a name in a network, or an address.",
        ["by"],
        [([by], sums.total(f"lockouts_{by}")) for by in THROTTLED_BY],
    )


def _saturation(sums: _Sums) -> Iterator[Metric]:
    yield _gauge("txtoken_connections_open", "Client connections.", sums.gauge("connections"))
    connections = GaugeMetricFamily(
        "txtoken_remote_connections", "Connections to the remote, by state.", labels=["state"]
    )
    for state in ("idle", "busy", "dialling"):
        connections.add_metric([state], sums.gauge(f"remote_{state}"))
    yield connections
    yield _gauge("txtoken_requests_waiting", "Logins that wait for a connection to the remote.", sums.gauge("waiting"))
    limits = GaugeMetricFamily("txtoken_limit", "Limits of all workers together, by kind.", labels=["kind"])
    for kind in ("connections", "remote_connections", "waiting"):
        limits.add_metric([kind], sums.gauge(f"{kind}_max"))
    yield limits
    yield _histogram(
        "txtoken_loop_delay_seconds",
        "How late a worker's heartbeat was: arriving requests wait as long before they are read.",
        sums.histogram(metrics.LOOP),
        sums.seconds[metrics.LOOP_S],
    )


def _processes(board: Board) -> Iterator[Metric]:
    """The usual process metrics, for each process separately.

    A sum would be wrong: it falls when a worker dies, which looks like a restart of all, and it counts shared memory several
    times.
    """
    families: dict[str, Metric] = {}
    named = [("supervisor", board.service)]
    named += [(f"worker_{number}", block) for number, block in enumerate(board.workers)]
    for name, block in named:
        if not block.gauge("pid"):
            continue
        for found in ProcessCollector(pid=partial(block.gauge, "pid"), registry=None).collect():
            family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            for sample in found.samples:
                family.add_sample(sample.name, {"process": name}, sample.value)
    yield from families.values()


def _cumulated(histogram: Sequence[int]) -> list[tuple[str, float]]:
    """Return a histogram's buckets as in Prometheus: each includes all below it."""
    reached = 0
    buckets: list[tuple[str, float]] = []
    for label, count in zip(_BOUND_LABELS, histogram, strict=True):
        reached += count
        buckets.append((label, reached))
    return buckets


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)


def _histogram(name: str, documentation: str, counts: Sequence[int], seconds: float) -> Metric:
    return HistogramMetricFamily(name, documentation, buckets=_cumulated(counts), sum_value=seconds)


def _total(name: str, documentation: str, value: float) -> Metric:
    return CounterMetricFamily(name, documentation, value=value)


def _labelled_total(
    name: str, documentation: str, labels: list[str], values: Iterable[tuple[list[str], float]]
) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def _info(name: str, documentation: str, labels: Mapping[str, str]) -> Metric:
    family = GaugeMetricFamily(f"{name}_info", documentation, labels=[*labels])
    family.add_metric([*labels.values()], 1)
    return family
