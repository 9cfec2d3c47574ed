"""Counting and showing: what the numbers are, that nothing is left uncounted, and that all who use their names know them."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.scrape import Scrape
from txtoken.http1.messages import Client, Head, Response, response_head
from txtoken.observe.exposition import CONTENT_TYPE, Exposition
from txtoken.observe.metrics import (
    BEAT_LATE_S,
    BOUNDS_S,
    ERRORS,
    GAUGES,
    INTERNAL,
    KEY_REASONS,
    KEY_USES,
    LIMITS,
    REFUSALS,
    REMOTE_REASONS,
    STATUSES,
    TOKEN_REASONS,
    TOTALS,
    Board,
    Meter,
)
from txtoken.service.keys.ring import USES

ROOT: Final = Path(__file__).parents[2]
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "txtoken.json"
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
BUILD: Final = {"version": "1.2.3", "python": "3.11", "loop": "uvloop", "build": "compiled"}
NOTHING: Final = [0] * len(TOTALS)
PATHS: Final = {b"/in": "get_token", b"/check": "check_token"}
CLIENT: Final = Client()  # whoever it is

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def head(path: bytes, method: bytes = b"GET") -> Head:
    """Make a request's head."""
    return Head(method, path, b"", {}, minor_version=1, keep_alive=True, content_length=0, expects_continue=False)


def response(status: int = 200, error: str | None = None, remote_s: float | None = None) -> Response:
    """Make a response."""
    return Response(status, response_head(status), b"{}", error=error, remote_s=remote_s)


def shown(board: Board) -> Scrape:
    """Render what is on the board and read it again."""
    return Scrape(Exposition(board, BUILD).render().decode())


def gauges(**values: int) -> list[int]:
    """Return all gauges, 0 where nothing is said."""
    return [values.get(name, 0) for name in GAUGES]


@pytest.fixture
def board() -> Board:
    """Two workers' blocks."""
    return Board(2)


@pytest.fixture
def everything(board: Board) -> Scrape:
    """A scrape that has every metric there is: those of processes want one that lives."""
    for block in board.blocks:
        block.set_gauge("pid", os.getpid())
        block.set_gauge("key_signs", 1)
    return shown(board)


def test_a_gauge_is_one_number(board: Board) -> None:
    """Each gauge is read as it was set, and none is another's."""
    block = board.workers[0]
    for value, name in enumerate(GAUGES, 1):
        block.set_gauge(name, value)
    assert [block.gauge(name) for name in GAUGES] == [*range(1, len(GAUGES) + 1)]
    assert [board.workers[1].gauge(name) for name in GAUGES] == [0] * len(GAUGES)
    block.clear_gauges()
    assert not any(block.gauge(name) for name in GAUGES)


# Counting


@pytest.mark.parametrize(
    ("elapsed_s", "bucket"),
    [
        (0.0, "0.0001"),
        (0.0001, "0.0001"),
        (0.00011, "0.00025"),
        (0.3, "0.5"),
        (10.0, "10.0"),
        (10.1, "+Inf"),
        (1e9, "+Inf"),
    ],
)
def test_a_duration_is_in_its_bucket(board: Board, elapsed_s: float, bucket: str) -> None:
    """A duration is counted in the first bucket that is not too small for it and in all above, and in no other."""
    meter = Meter(board.workers[0], PATHS)
    meter.note(head(b"/in"), response(), elapsed_s, CLIENT)
    meter.publish(NOTHING, gauges())
    labels = [*map(str, BOUNDS_S), "+Inf"]
    counted = shown(board).by("le", "txtoken_request_duration_seconds_bucket", route="get_token")
    assert counted == dict.fromkeys(labels[labels.index(bucket) :], 1)
    assert shown(board).value("txtoken_request_duration_seconds_sum", route="get_token") == elapsed_s


def test_responses_of_all_workers_are_added_up(board: Board) -> None:
    """A response is counted once, by its route and status, whichever worker gave it; the routes' sums are their own."""
    meters = [Meter(block, PATHS) for block in board.workers]
    for meter in (*meters, meters[0]):
        meter.note(head(b"/in"), response(remote_s=0.02), 0.03, CLIENT)
        meter.note(head(b"/check"), response(401, "signature"), 0.001, CLIENT)
    meters[1].note(head(b"/check"), response(), 0.001, CLIENT)
    meters[1].note(head(b"/nowhere"), response(404, "not_found"), 0.0, CLIENT)
    meters[1].note(None, response(431, "head_too_large"), 0.0, CLIENT)
    meters[0].note_beat(0.002)
    for meter in meters:
        meter.publish(NOTHING, gauges())
    found = shown(board)
    assert found.by("status", "txtoken_requests_total", route="get_token") == {"200": 3}
    assert found.by("status", "txtoken_requests_total", route="check_token") == {"200": 1, "401": 3}
    assert found.by("status", "txtoken_requests_total", route="other") == {"404": 1, "431": 1}
    assert found.value("txtoken_request_duration_seconds_count", route="check_token") == 4
    assert found.value("txtoken_request_duration_seconds_sum", route="get_token") == pytest.approx(0.09)
    assert found.value("txtoken_tokens_issued_total") == 3
    assert found.by("result", "txtoken_tokens_checked_total") == {"valid": 1, "signature": 3}
    assert found.value("txtoken_remote_duration_seconds_count") == 3
    assert found.value("txtoken_remote_duration_seconds_sum") == pytest.approx(0.06)
    assert found.value("txtoken_loop_delay_seconds_count") == 1
    assert found.value("txtoken_loop_delay_seconds_sum") == 0.002
    assert found.by("reason", "txtoken_requests_refused_total") == {"not_found": 1}
    assert found.by("kind", "txtoken_limits_hit_total") == {"head_too_large": 1}


@pytest.mark.parametrize("code", REMOTE_REASONS)
def test_failures_of_the_remote(board: Board, code: str) -> None:
    """A failure of the remote is counted by its kind and by its reason, beside the logins that succeeded."""
    meter = Meter(board.workers[0], PATHS)
    meter.note(head(b"/in"), response(500, code), 0.1, CLIENT)
    meter.note(head(b"/in"), response(), 0.1, CLIENT)
    outcome = REMOTE_REASONS[code]
    found = shown(board)
    assert found.by("outcome", "txtoken_remote_requests_total") == {"ok": 1, outcome: 1}
    assert found.by("reason", "txtoken_remote_failures_total", outcome=outcome) == {code: 1}


@pytest.mark.parametrize(
    ("status", "counted"),
    [*((int(name), name) for name in STATUSES if name.isdigit()), (499, "4xx"), (520, "5xx"), (599, "5xx")],
)
def test_any_status_is_counted(board: Board, status: int, counted: str) -> None:
    """Whatever status a response has, it is counted as that and nothing else; one without a name by its class."""
    Meter(board.workers[0], PATHS).note(head(b"/in"), response(status), 0.1, CLIENT)
    assert shown(board).by("status", "txtoken_requests_total", route="get_token") == {counted: 1}


def test_preflights_are_no_logins(board: Board) -> None:
    """What a browser asks before a login or a check is neither of them, though the answer is 200."""
    meter = Meter(board.workers[0], PATHS)
    for path in PATHS:
        meter.note(head(path, b"OPTIONS"), response(), 0.0, CLIENT)
    found = shown(board)
    assert found.by("route", "txtoken_requests_total", status="200") == {"preflight": 2}
    assert found.value("txtoken_tokens_issued_total") == 0
    assert found.by("result", "txtoken_tokens_checked_total") == {}


def test_other_paths(board: Board) -> None:
    """After a reload the new paths are counted as the routes that they are, the old ones are nothing special."""
    meter = Meter(board.workers[0], PATHS)
    meter.use({b"/new": "get_token"})
    for path in (b"/in", b"/new"):
        meter.note(head(path), response(), 0.1, CLIENT)
    assert shown(board).by("route", "txtoken_requests_total", status="200") == {"get_token": 1, "other": 1}


def test_an_error_without_a_name(board: Board) -> None:
    """A code that nobody knows is no fault: its response is counted by its status."""
    Meter(board.workers[0], PATHS).note(head(b"/in"), response(500, "brand_new"), 0.1, CLIENT)
    assert shown(board).by("status", "txtoken_requests_total", route="get_token") == {"500": 1}


def test_what_is_not_answered(board: Board) -> None:
    """A client that gets no response is counted by the limit that it met, where it met one, and never as a response."""
    meter = Meter(board.workers[0], PATHS)
    for code in ("buffered_bytes", "given_up"):
        meter.note_unanswered(head(b"/in"), Response(499, b"", b"", error=code), 0.1, CLIENT)
    meter.publish(NOTHING, gauges())
    found = shown(board)
    assert found.by("kind", "txtoken_limits_hit_total") == {"buffered_bytes": 1}
    assert found.by("status", "txtoken_requests_total", route="get_token") == {}
    assert found.by("outcome", "txtoken_remote_requests_total") == {}


def test_what_is_published(board: Board) -> None:
    """What is so at a moment is added up over the workers, and what has come since the last time over all times."""
    first, second = (Meter(block, PATHS) for block in board.workers)
    first.publish([1, 2, 3, 4, 5], gauges(connections=5, active=2, waiting=1, remote_busy=1, connections_max=10))
    first.publish([1, 0, 0, 1, 1], gauges(connections=7, remote_idle=3, connections_max=10))
    second.publish(NOTHING, gauges(connections=1, active=1, connections_max=10, waiting_max=4))
    found = shown(board)
    assert found.value("txtoken_token_cache_hits_total") == 2
    assert found.value("txtoken_remote_requests_total", outcome="given_up") == 2
    assert found.value("txtoken_log_lines_dropped_total") == 3
    assert found.value("txtoken_limits_hit_total", kind="connections") == 5
    assert found.value("txtoken_tls_handshake_failures_total") == 6
    assert found.value("txtoken_connections_open") == 8
    assert found.value("txtoken_requests_in_flight") == 1
    assert found.value("txtoken_requests_waiting") == 0
    assert found.by("state", "txtoken_remote_connections") == {"idle": 3}
    assert found.by("kind", "txtoken_limit") == {"connections": 20, "waiting": 4}


def test_the_death_of_a_worker(board: Board) -> None:
    """What a worker counted outlives it, what was so in it does not, and the next one in its place counts on."""
    Meter(board.workers[0], PATHS).note(head(b"/in"), response(), 0.1, CLIENT)
    Meter(board.workers[0], PATHS).publish([1, 0, 0, 0], gauges(pid=os.getpid(), connections=5, is_ready=1))
    board.workers[0].clear_gauges()
    found = shown(board)
    assert found.value("txtoken_connections_open") == 0
    assert found.value("txtoken_workers_ready") == 0
    assert "process_open_fds" not in found.types
    following = Meter(board.workers[0], PATHS)
    following.note(head(b"/in"), response(), 0.1, CLIENT)
    following.publish([1, 0, 0, 0], gauges(connections=1))
    found = shown(board)
    assert found.value("txtoken_tokens_issued_total") == 2
    assert found.value("txtoken_token_cache_hits_total") == 2
    assert found.value("txtoken_connections_open") == 1


def test_ready_means_all_workers(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is ready while every worker is and beats: not before, not while one drains, is dead or hangs."""
    assert not board.is_ready()
    meters = [Meter(block, PATHS) for block in board.workers]
    meters[0].publish(NOTHING, gauges(is_ready=1))
    assert not board.is_ready()
    meters[1].publish(NOTHING, gauges(is_ready=1))
    assert board.is_ready()
    meters[1].publish(NOTHING, gauges(is_ready=0))
    assert not board.is_ready()
    meters[1].publish(NOTHING, gauges(is_ready=1))
    assert board.is_ready()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + BEAT_LATE_S + 1)
    assert not board.is_ready()
    meters[0].publish(NOTHING, gauges(is_ready=1))
    assert not board.is_ready()
    meters[1].publish(NOTHING, gauges(is_ready=1))
    assert board.is_ready()


def test_reloads(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload is counted by its result, and one that failed is known by that until one succeeds."""
    now = 1_000.0
    monkeypatch.setattr(time, "time", lambda: now)

    def seen() -> tuple[float, ...]:
        found = shown(board)
        return (
            found.value("txtoken_config_reloads_total", result="success"),
            found.value("txtoken_config_reloads_total", result="failure"),
            found.value("txtoken_config_last_reload_successful"),
            found.value("txtoken_config_last_reload_success_timestamp_seconds"),
            found.value("txtoken_signing_key_loaded_timestamp_seconds"),
        )

    board.note_start()
    assert seen() == (0, 0, 1, 1000, 1000)
    now = 1_001.0
    board.note_failed_reload(board.workers[1])
    assert seen() == (0, 1, 0, 1000, 1000)
    now = 1_002.0
    board.note_failed_reload(board.service)
    assert seen() == (0, 2, 0, 1000, 1000)
    now = 1_003.0
    board.note_reload(has_new_key=False)
    assert seen() == (1, 2, 1, 1003, 1000)
    now = 1_004.0
    board.note_reload(has_new_key=True)
    assert seen() == (2, 2, 1, 1004, 1004)


# Keys


def keys_of(board: Board, *, began: float = 0.0, ends: float = inf, switches: float = inf, end: float = inf) -> None:
    """Have every worker sign by a key with these moments."""
    for block in board.workers:
        for name, count in (("pid", 1), ("key_signs", 1), ("keys_verifying", 3), ("keys_published", 2)):
            block.set_gauge(name, count)
        moments = {"key_began": began, "key_ends": ends, "key_switches": switches, "keys_end": end}
        for name, moment in moments.items():
            block.set_moment(name, moment)


KEY_METRICS: Final = (
    "txtoken_signing_key_present",
    "txtoken_signing_key_age_seconds",
    "txtoken_signing_key_end_timestamp_seconds",
    "txtoken_signing_key_next_switch_seconds",
    "txtoken_keys_end_timestamp_seconds",
    "txtoken_keys_verifying",
    "txtoken_keys_published",
)


@pytest.mark.parametrize(
    ("moments", "found"),
    [
        # One key without times: as old as its loading, and nothing ever changes.
        ({}, (1, 200, inf, inf, inf, 3, 2)),
        ({"began": 700.0, "ends": 5000.0, "switches": 1300.0, "end": 9000.0}, (1, 300, 5000, 300, 9000, 3, 2)),
        # The moment has come, and the worker has not looked yet; or it began in the future, by a clock that was set back.
        ({"began": 1200.0, "switches": 900.0}, (1, 0, inf, 0, inf, 3, 2)),
    ],
)
def test_keys(
    board: Board, monkeypatch: pytest.MonkeyPatch, moments: dict[str, float], found: tuple[float, ...]
) -> None:
    """The age of the signing key, its end, the next switch and the end of all keys are shown, infinity where there is none."""
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    board.service.set_moment("key_loaded", 800.0)
    keys_of(board, **moments)
    now = shown(board)
    assert tuple(now.value(name) for name in KEY_METRICS) == found


def test_keys_of_workers_that_differ(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a reload the worker counts that is worse off; one that is dead does not."""
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    keys_of(board, began=900.0, ends=5000.0, switches=1500.0, end=6000.0)
    other = board.workers[1]
    for name, moment in (("key_began", 500.0), ("key_ends", 4000.0), ("key_switches", 1200.0), ("keys_end", 4000.0)):
        other.set_moment(name, moment)
    other.set_gauge("keys_verifying", 1)
    for block, lines in zip(board.workers, (9, 7), strict=True):
        block.set_gauge("revocations", lines)
    assert shown(board).value("txtoken_revocations_last_read_successful") == 1
    other.set_gauge("revocations_failed", 1)
    assert tuple(shown(board).value(name) for name in KEY_METRICS) == (1, 500, 4000, 200, 4000, 1, 2)
    assert shown(board).value("txtoken_revocations") == 7
    assert shown(board).value("txtoken_revocations_last_read_successful") == 0
    other.clear_gauges()
    assert shown(board).value("txtoken_revocations") == 9
    assert shown(board).value("txtoken_revocations_last_read_successful") == 1
    assert tuple(shown(board).value(name) for name in KEY_METRICS) == (1, 100, 5000, 500, 6000, 3, 2)


def test_no_key_signs(board: Board) -> None:
    """While one of the workers has no key that signs, that is shown; where none has one, there is no age and no end of it."""
    keys_of(board)
    board.workers[0].set_gauge("key_signs", 0)
    found = shown(board)
    assert found.value("txtoken_signing_key_present") == 0
    assert found.value("txtoken_signing_key_end_timestamp_seconds") == inf
    board.workers[1].set_gauge("key_signs", 0)
    found = shown(board)
    assert found.value("txtoken_signing_key_present") == 0
    assert "txtoken_signing_key_end_timestamp_seconds" not in found.types
    assert "txtoken_signing_key_age_seconds" not in found.types


def test_tokens_that_are_refused_or_cut(board: Board) -> None:
    """Each reason and each use of a key has a number of its own, and all workers' are added up."""
    counts = dict.fromkeys(TOTALS, 0) | {"refused_expired_old": 2, "refused_signature_signing": 3, "tokens_cut": 4}
    for block in board.workers:
        Meter(block, PATHS).publish([*counts.values()], gauges())
    found = shown(board)
    assert found.by("key", "txtoken_tokens_refused_total", reason="expired") == {"old": 4}
    assert found.by("key", "txtoken_tokens_refused_total", reason="signature") == {"signing": 6}
    assert found.by("key", "txtoken_tokens_refused_total", reason="algorithm") == {}
    assert found.value("txtoken_tokens_cut_total") == 8


def test_uses_of_keys() -> None:
    """What counts and what shows speak of the same uses and reasons."""
    assert list(USES) == KEY_USES
    assert set(KEY_REASONS) <= set(TOKEN_REASONS)


# Codes


def codes_of(*makers: str, place: int = 0) -> Iterator[str]:
    """Find the codes that the sources hand to these functions, as literals."""
    for path in (ROOT / "txtoken").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and len(node.args) > place:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                code = node.args[place]
                if name in makers and isinstance(code, ast.Constant) and isinstance(code.value, str):
                    yield code.value


def test_every_code_is_counted() -> None:
    """Every code that a response can have is one that is counted, and none is counted that cannot come."""
    remote = set(codes_of("RemoteUnreachable", "RemoteTimeout", "RemoteOverloaded", "RemoteTruncated", "RemoteInvalid"))
    assert remote | {"status", "token_too_large", "no_claim", "no_key"} == set(REMOTE_REASONS)
    protocol = set(codes_of("ProtocolError", "Refusal", "_fail", "error_response", place=1)) | {"bad_body"}
    assert protocol == {*LIMITS, *REFUSALS, INTERNAL}
    folder = ROOT / "txtoken" / "service" / "tokens"
    tokens = (folder / "verify.py").read_text() + (folder / "sessions.py").read_text()
    reasons = re.findall(r'^_?[A-Z_]+: Final = \("(\w+)", "', tokens, re.MULTILINE)
    assert sorted(reasons) == sorted(TOKEN_REASONS)
    assert len(set(ERRORS)) == len(ERRORS)


# Showing


def test_the_text(everything: Scrape) -> None:
    """The text is what Prometheus reads: it ends with a line end, and every metric has a help text, a type and a sound name."""
    assert everything.text.endswith("\n")
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
    for name, kind in everything.types.items():
        assert re.search(f"^# HELP {name} [A-Z].*[.]$", everything.text, re.MULTILINE), name
        assert re.fullmatch(r"(txtoken|process)_[a-z]+(_[a-z]+)*", name)
        assert kind in ("counter", "gauge", "histogram")
        assert name.endswith("_total") == (kind == "counter")
    assert everything.value("txtoken_build_info", **BUILD) == 1
    assert everything.value("txtoken_workers_configured") == 2


@pytest.mark.parametrize("process", ["supervisor", "worker_0", "worker_1"])
def test_processes(everything: Scrape, process: str) -> None:
    """Each process is shown by itself."""
    assert everything.value("process_resident_memory_bytes", process=process) > 1e6
    assert everything.value("process_open_fds", process=process) > 2


@needs_promtool
def test_promtool_has_nothing_to_say(everything: Scrape) -> None:
    """Prometheus's own linter is content."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=everything.text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Who uses the names


def metrics_in(expression: str) -> set[str]:
    """Return the metrics that a PromQL expression names, histograms by the name of their family."""
    names = re.findall(r"\b(?:txtoken|process)_\w+", expression)
    return {re.sub(r"(_seconds)_(?:bucket|sum|count)$", r"\1", name) for name in names}


def expressions(node: Any) -> Iterator[str]:
    """Return every expression of a dashboard or of rules, wherever it stands."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(node, list):
        for item in node:
            yield from expressions(item)


@pytest.mark.parametrize("file", [DASHBOARD, PROMETHEUS / "alerts.yml"], ids=lambda file: file.name)
def test_only_metrics_that_exist(everything: Scrape, file: Path) -> None:
    """Dashboard and alerts ask for metrics that there are, with labels that these have."""
    found = [*expressions(yaml.safe_load(file.read_text()))]
    named = set().union(*map(metrics_in, found))
    assert len(named) > 10
    assert named <= set(everything.types)
    for name, matchers in (
        match for text in found for match in re.findall(r"\b((?:txtoken|process)_\w+)\{([^}]*)\}", text)
    ):
        for label, wanted in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', matchers):
            if label in ("job", "instance"):
                continue  # Prometheus's own
            for value in wanted.split("|"):
                assert re.search(rf'^{name}\{{.*\b{label}="{value}"', everything.text, re.MULTILINE), (
                    name,
                    label,
                    value,
                )


def test_the_dashboard_is_one() -> None:
    """Every panel of the dashboard has a title, a question and a place of its own."""
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
    assert all(panel["title"] and [*expressions(panel)] for panel in panels)
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids) > 10


def test_every_metric_is_documented(everything: Scrape) -> None:
    """The table in docs/reference/metrics.md has one row for each metric, with the labels it has, and no other."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|(.*?)\| .+ \| .+ \|$", page, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert len(documented) == len(rows)
    assert sorted(documented) == sorted(everything.types)
    for name, labels in documented.items():
        samples = re.findall(rf"^{name}(?:_bucket|_sum|_count)?(?:\{{(.*)\}})? ", everything.text, re.MULTILINE)
        assert samples, name
        assert set(re.findall(r'(\w+)="', " ".join(samples))) - {"le"} == labels, name


def test_every_alert_says_what_to_do() -> None:
    """An alert has a severity, a summary, and a description that says what to look at."""
    (group,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule
        assert {"summary", "description"} == set(rule["annotations"]), rule
        assert re.fullmatch(r"Txtoken([A-Z][a-z]+)+", rule["alert"]), rule


@needs_promtool
@pytest.mark.parametrize(("command", "file"), [("check", "alerts.yml"), ("test", "alerts_test.yml")])
def test_promtool_takes_the_rules(command: str, file: str) -> None:
    """The alerts are valid, and fire when they should and not when they should not."""
    done = subprocess.run(
        ["promtool", command, "rules", file], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
