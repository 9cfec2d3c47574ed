"""What a result permits to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.judge.claims import Claim, claims, written
from bench.measure.figures import Measurement
from tests.bench.samples import MACHINE, measured, result

STEADY = (1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01)
WILD = (1.0, 3.0, 0.4, 1.5, 0.7, 2.2, 0.9)


def rounds(service: str, cpu_us: float, pattern: Sequence[float] = STEADY, scenario: str = "get_token") -> Measurement:
    """Make rounds of one service: `cpu_us` times each of the pattern."""
    return measured(service, scenario, *({"cpu_us": cpu_us * factor} for factor in pattern))


def claim(*measurements: Measurement, **others: Any) -> Claim:
    """Make the only claim of a result."""
    (only,) = claims(result(*measurements, **others))
    return only


def plain(text: str) -> str:
    """Return it with ordinary spaces."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("mine", "theirs", "title"),
    [
        (20.0, 32.0, "Logins: 1.6 × nginx + LuaJIT per core"),
        (20.0, 24.0, "Logins: 1.2 × nginx + LuaJIT per core"),
        (20.0, 22.0, "Logins: 1.10 × nginx + LuaJIT per core"),
        (20.0, 10.0, "Logins: 0.50 × nginx + LuaJIT per core"),
        (20.0, 20.0, "Logins: level with nginx + LuaJIT per core"),
    ],
)
def test_the_title_follows_the_figures(mine: float, theirs: float, title: str) -> None:
    """Steady rounds publish their ratio, be it a lead, a lag or none."""
    made = claim(rounds("txtoken", mine), rounds("nginx_lua", theirs, STEADY[::-1]))
    assert plain(made.title) == title
    assert made.is_decided


def test_the_best_peer_is_the_rival() -> None:
    """Neither the floor nor the uncompiled service is a rival, and of the peers the best one is."""
    made = claim(
        rounds("txtoken", 20.0),
        rounds("hello", 8.0),
        rounds("txtoken_interpreted", 25.0),
        rounds("nginx_lua", 40.0),
        rounds("node_fastify", 30.0),
    )
    assert plain(made.title) == "Logins: 1.5 × Node.js + Fastify per core"
    assert [bar.service for bar in made.bars] == [
        "hello",
        "txtoken",
        "txtoken_interpreted",
        "node_fastify",
        "nginx_lua",
    ]


def test_rounds_that_contradict_each_other_are_undecided() -> None:
    """A lead of the medians that single rounds deny is not published."""
    made = claim(rounds("txtoken", 20.0, WILD), rounds("nginx_lua", 24.0))
    assert plain(made.title) == "Logins: undecided between txtoken and nginx + LuaJIT"
    assert not made.is_decided
    assert "95 % interval 0." in plain(made.reason)


def test_a_small_lead_within_the_noise_is_undecided() -> None:
    """An interval on both sides of 1 decides nothing, however near its ends are, except that the two are level."""
    noise = (1.0, 0.86, 1.12, 0.98, 1.1, 0.9, 1.02)
    made = claim(rounds("txtoken", 20.0, noise), rounds("nginx_lua", 21.0))
    assert plain(made.title) == "Logins: undecided between txtoken and nginx + LuaJIT"


def test_a_lead_of_unknown_size_is_undecided() -> None:
    """An interval that excludes 1 and is wide does not carry a number either."""
    made = claim(rounds("txtoken", 5.0, WILD), rounds("nginx_lua", 50.0))
    assert not made.is_decided
    assert "undecided" in made.title


def test_what_slowed_both_cancels_out() -> None:
    """A busy minute that hit both in the same round leaves their ratio as it was, and each figure undecided."""
    made = claim(rounds("txtoken", 20.0, WILD), rounds("nginx_lua", 32.0, WILD))
    assert plain(made.title) == "Logins: 1.6 × nginx + LuaJIT per core"
    assert not any(bar.is_decided for bar in made.bars)
    assert all(bar.text.startswith("undecided: ") for bar in made.bars)


def test_five_rounds_decide_nothing() -> None:
    """However steady they are."""
    made = claim(rounds("txtoken", 20.0, STEADY[:5]), rounds("nginx_lua", 32.0, STEADY[:5]))
    assert not made.is_decided
    assert made.reason == "Too few rounds for an interval: 5."
    assert {bar.text for bar in made.bars} == {"undecided: too few rounds"}


@pytest.mark.parametrize("change", [{"machine": replace(MACHINE, emulated=True)}, {"smoke": True}])
def test_no_speed_without_a_measurement_of_speed(change: dict[str, Any]) -> None:
    """An emulated CPU and a smoke run publish no ratio."""
    whole = result(rounds("txtoken", 20.0), rounds("nginx_lua", 32.0))
    changed = replace(whole, settings=change) if "smoke" in change else replace(whole, **change)
    (made,) = claims(changed)
    assert (made.title, made.is_decided) == ("Logins: undecided", False)
    assert made.short.startswith("Logins: undecided (")
    assert "50,000" not in made.short


def test_alone_it_says_its_own_figure() -> None:
    """Without a peer, or with one of which every round is void, there is nothing to compare with."""
    void = measured("nginx_lua", "get_token", *({"void": True},) * 7)
    for others in ((), (void,)):
        made = claim(rounds("txtoken", 20.0), *others)
        assert plain(made.title) == "Logins: 50,000 logins/s per core"
    assert claim(rounds("txtoken", 20.0, WILD)).title == "Logins: undecided"


def test_without_the_subject_there_is_no_claim() -> None:
    """The pictures are about the service."""
    assert list(claims(result(rounds("nginx_lua", 32.0)))) == []


def test_void_rounds_do_not_count() -> None:
    """A round with errors is left out of the pairs."""
    mine = rounds("txtoken", 20.0, (*STEADY, 9.0))
    mine = replace(mine, rounds=(*mine.rounds[:-1], replace(mine.rounds[-1], void=True)))
    made = claim(mine, rounds("nginx_lua", 32.0, (*STEADY, 0.1)))
    assert plain(made.title) == "Logins: 1.6 × nginx + LuaJIT per core"
    assert "7 rounds" in made.reason


def test_less_is_better_where_it_is() -> None:
    """Memory is compared with the peer that needs least, and the open loop's title has its rate."""
    kept = [
        measured(name, "idle_10k", *({"memory_kib": kib},) * 7)
        for name, kib in (("txtoken", 2048), ("nginx_lua", 1024))
    ]
    made = claim(*kept, measured("node_fastify", "idle_10k", *({"memory_kib": 9999},) * 7))
    assert plain(made.title) == "Memory with 10,000 idle connections: 2.0 × nginx + LuaJIT"
    assert plain(made.measure) == "MiB, less is better"
    assert plain(made.short) == (
        "Memory with 10,000 idle connections: 2.0 × nginx + LuaJIT "
        "(txtoken 2, nginx + LuaJIT 1 MiB; 95 % interval 2.00 to 2.00 ×, 7 rounds)"
    )
    assert plain(made.prose) == "2 MiB; with nginx + LuaJIT 1 (the ratio's 95 % interval: 2.00 to 2.00)."
    fixed = [
        replace(measured(name, "open_loop", *({"p99_ms": ms},) * 7), settings={"rate_per_s": 1234.0})
        for name, ms in (("txtoken", 1.0), ("nginx_lua", 2.0))
    ]
    assert plain(claim(*fixed).title) == "p99 latency of logins at 1,234/s: 0.50 × nginx + LuaJIT"


@pytest.mark.parametrize(("value", "text"), [(56_321.0, "56,300"), (123.4, "123"), (7.512, "7.51"), (0.5, "0.5")])
def test_three_digits_are_written(value: float, text: str) -> None:
    """More would pretend to a precision that no run has."""
    assert written(value) == text


@pytest.mark.parametrize(
    ("theirs", "pattern", "prose"),
    [
        (32.0, STEADY, "; with nginx + LuaJIT for 31,200 (the ratio's 95 % interval: 1.60 to 1.60)."),
        (20.0, STEADY, ", as with nginx + LuaJIT (the ratio's 95 % interval: 1.00 to 1.00)."),
        (21.0, WILD, ". How nginx + LuaJIT compares is undecided: the ratio's 95 % interval is 0.5"),
        (21.0, STEADY[:3], ". How nginx + LuaJIT compares is undecided: too few rounds."),
    ],
)
def test_prose_says_no_more_than_the_interval(theirs: float, pattern: Sequence[float], prose: str) -> None:
    """A ratio, a level and what is undecided are three sentences."""
    made = claim(rounds("txtoken", 20.0), rounds("nginx_lua", theirs, pattern))
    assert plain(made.prose).startswith(f"A second of one core is enough for 50,000 logins{prose}")
    assert plain(claim(rounds("txtoken", 20.0)).prose).endswith("50,000 logins. No other service was measured.")
