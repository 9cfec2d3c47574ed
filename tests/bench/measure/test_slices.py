"""Real slices: real services, wrk and the open loop, a second each."""

from __future__ import annotations

import contextlib
import math
import os
import select
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from bench.errors import BenchError, Ended, Unavailable
from bench.load.routes import Routes
from bench.measure.figures import Round
from bench.measure.hosts import ONE, Hosts, three_hosts
from bench.measure.scenarios import INTERPRETED, SCENARIOS, Scenario, Setup, Tool
from bench.measure.services import Service
from bench.measure.settings import Settings
from bench.measure.slices import Slice
from bench.measure.stage import Instance, Stage
from tests.bench.measure.test_hosts import needs_hosts

pytestmark = [
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is missing: apt-get install wrk"),
    pytest.mark.timeout(60),
]
# Other tests run beside these, and so their figures mean nothing.
SETTINGS: Final = Settings(
    turns=1,
    slice_s=1,
    warm_up_s=1,
    threads=1,
    service_cores=None,
    load_cores=None,
    open_loop_share=0.6,
    open_loop_reference="one",
    others_max=math.inf,
)
PROGRAM: Final = Path(__file__).with_name("bad_service.py")
OWN: Final = Routes(
    login_path="/oauth/token",
    login_body="user=ada",
    login_type="application/x-www-form-urlencoded",
    token_at="/access/0",
    check_path="/me",
    check_header="X-Token: {token}",
    check_status=204,
    refused_status=403,
    is_contract=False,
)


def bad(behaviour: str, routes: Routes = OWN) -> Service:
    """Make a service that behaves in some way."""
    return Service(behaviour, (sys.executable, str(PROGRAM), behaviour), routes)


@contextlib.contextmanager
def sliced(
    service: Service, scenario: Scenario, hosts: Hosts = ONE, rate: float = 0.0
) -> Iterator[tuple[Slice, Instance]]:
    """Start a service for one slice."""
    with Stage(SETTINGS, hosts) as stage, stage.instance(service, scenario.setup) as instance:
        yield Slice(instance, scenario, stage.tokens(instance, scenario), SETTINGS, turn=3, rate=rate), instance


def measured(service: Service, scenario: Scenario) -> Round:
    """Warm up and measure."""
    with sliced(service, scenario) as (one, _):
        one.warm_up()
        return one.measure()[0]


@pytest.mark.parametrize(
    "name",
    ["check_token_distinct", "list_64k", "keyset_check", "tls_new", "unix_remote"],
)
def test_the_service(name: str) -> None:
    """The service from its sources passes every check before load, and no answer under load is wrong."""
    made = measured(Service(INTERPRETED), replace(SCENARIOS[name], tokens=min(20, SCENARIOS[name].tokens)))
    assert (made.errors, made.void, made.turn) == (0, False, 3)
    assert made.requests > 50
    assert 0 < made.cpu_us < 1e6 / made.requests * made.seconds * 2
    assert made.memory_kib > 10_000


def test_a_service_closes_connections_that_were_idle_between_slices() -> None:
    """The judge's own connection is one of them when a turn takes minutes, and its next question would count as a fault."""
    scenario = replace(SCENARIOS["check_token"], setup=Setup(settings=(("timeouts.idle", "300ms"),)))
    with sliced(Service(INTERPRETED), scenario) as (one, instance):
        one.warm_up()
        held = instance.judge._connection.sock
        assert select.select([held], [], [], 20)[0], "the service closes it"
        made, _ = one.measure()
    assert (made.errors, made.void) == (0, False)


def test_the_access_log_is_counted() -> None:
    """A line of the log that is missing would be a mark."""
    made = measured(Service(INTERPRETED), SCENARIOS["access_log_check"])
    assert not [mark for mark in made.marks if "access log" in mark]


def test_a_start() -> None:
    """A start is the time to the first answer, and CPU time beside it."""
    with sliced(Service(INTERPRETED), SCENARIOS["start"]) as (one, _):
        made, _ = one.measure()
    assert made.start_ms is not None
    assert 0 < made.cpu_us < made.start_ms * 1000 * 2


def test_idle_connections_take_memory() -> None:
    """Idle connections are answered once and then counted."""
    made = measured(Service(INTERPRETED), replace(SCENARIOS["idle_10k"], idle=300))
    assert made.idle_connection_bytes is not None
    assert 100 < made.idle_connection_bytes < 100_000


def test_the_open_loop() -> None:
    """Requests leave at the rate."""
    with sliced(Service(INTERPRETED), replace(SCENARIOS["open_loop"], slices=1), rate=200) as (one, _):
        one.warm_up()
        made, curve = one.measure()
    assert made.requests == pytest.approx(400, abs=40)
    assert curve


@needs_hosts
def test_hosts_of_their_own() -> None:
    """Clients, service and remote on three hosts, for wrk and the open loop."""
    opened = replace(SCENARIOS["open_loop"], slices=1)
    with three_hosts() as hosts, sliced(Service(INTERPRETED), SCENARIOS["few_8"], hosts) as (one, instance):
        assert instance.target.host == hosts.service.address
        one.warm_up()
        for load in (one, replace(one, scenario=opened, rate=100)):
            made, _ = load.measure()
            assert (made.errors, made.requests > 50) == (0, True)


def test_a_service_with_routes_of_its_own() -> None:
    """Its tokens come from its logins, its statuses are those that it says, and its answers may have any form."""
    made = measured(bad("good"), replace(SCENARIOS["mixed"], connections=2))
    assert (made.errors, made.void) == (0, False)
    with pytest.raises(Unavailable, match="it signs tokens itself"):
        measured(bad("good"), SCENARIOS["check_token_distinct"])


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("no-token", "no token at /access/0 of a login's answer"),
        ("trusting", r"a token with a wrong signature is answered with 204 instead of 403"),
        ("strict", "a good token is answered with 403"),
    ],
)
def test_wrong_answers(behaviour: str, words: str) -> None:
    """A service that answers wrongly has no figure."""
    with pytest.raises(BenchError, match=words):
        measured(bad(behaviour), SCENARIOS["few_1"])


def test_logins_that_do_not_reach_the_remote() -> None:
    """A service that does not do the work has no figure either."""
    made = measured(bad("no-remote"), SCENARIOS["few_1"])
    assert made.void
    assert [mark for mark in made.marks if "faults under load, the first: only 0 of" in mark]


def test_a_service_that_ends_under_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code is the reason, and there is no figure."""
    with sliced(bad("good"), replace(SCENARIOS["few_1"], connections=2)) as (one, instance):

        def kill(*, logs_in: bool) -> None:
            assert logs_in
            os.kill(instance.process.pid, signal.SIGKILL)

        one.warm_up()
        monkeypatch.setattr(instance.judge, "check_once", kill)
        with pytest.raises(Ended, match="ended with -9"):
            one.measure()


def test_a_service_that_does_not_start() -> None:
    """So they are of one that never answers."""
    with pytest.raises(Ended, match="ended with 7: cannot"):
        measured(bad("does-not-start"), SCENARIOS["few_1"])
    missing = Service("none", ("./there-is-no-such-program",), OWN)
    with pytest.raises(Unavailable, match="is not a program that can be run"):
        missing.prepare()
    with pytest.raises(BenchError, match="cannot be run"):
        measured(missing, SCENARIOS["few_1"])


def test_setups_are_shared() -> None:
    """Scenarios that differ in their load alone use the same running services."""
    same = {one.setup for one in SCENARIOS.values() if one.group == "small" and one.of_peers}
    assert same == {Setup()}
    assert SCENARIOS["open_loop"].tool is Tool.OPEN_LOOP
