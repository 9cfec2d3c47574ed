"""bench/results/README.md: what it says of a result, in which order, and of which results."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.judge.claims import TOPICS
from bench.measure import results
from bench.measure.results import FOLDER, Result
from bench.report import page
from bench.report.guide import SMOKE
from bench.report.sources import Source, chosen
from bench.report.tables import RATIO
from tests.bench.judge.test_claims import WILD, plain, rounds
from tests.bench.report.results import everything, write_again
from tests.bench.samples import MACHINE, measured, result


def written(folder: Path, *made: Result) -> str:
    """Write results, and return the page that is made of them."""
    for one in made:
        results.write(one, folder / one.machine.arch / f"{one.label}.json")
    page.make([], folder, folder / "history")
    return (folder / page.PAGE).read_text()


def three_hosts(one: Result) -> Result:
    """Return it as if it had been measured on three."""
    return replace(one, label="hosts", settings=one.settings | {"hosts": "three"})


def emulated(one: Result) -> Result:
    """Return it as if its CPU had been emulated."""
    return replace(one, label="emulated", machine=replace(MACHINE, arch="aarch64", emulated=True))


def headings(text: str) -> list[str]:
    """Return the headings of the page's parts and tables."""
    return [line for line in text.splitlines() if line.startswith(("## ", "### "))]


def test_the_page_is_what_was_measured(tmp_path: Path) -> None:
    """The page in the repository is the one that its JSON files give: nobody edited it, or forgot to write it."""
    write_again(tmp_path)
    assert (tmp_path / page.PAGE).read_text() == (FOLDER / page.PAGE).read_text()


def test_the_page_begins_with_six_lines(tmp_path: Path) -> None:
    """The first is the first picture's claim; they stand above every picture and table, and say something of every topic."""
    lines = written(tmp_path, everything()).splitlines()
    above = lines[: next(place for place, line in enumerate(lines) if line.startswith("!["))]
    summary = [line for line in above if line.startswith("- ")]
    assert len(summary) == 6
    assert plain(summary[0]).startswith(
        "- Logins: 4.0 × nginx + LuaJIT per core (txtoken 100,000, nginx + LuaJIT 25,000"
    )
    assert all(topic.what in "".join(summary) for topic in TOPICS)
    assert summary[-1].startswith("- Goals: ")


def test_the_order(tmp_path: Path) -> None:
    """Summary, pictures, goals, internal goals, what a request costs, the scenarios, how it was measured."""
    text = written(tmp_path, replace(everything(), skipped=(("go", "mixed", "no go here"),), notes=("interrupted",)))
    found = headings(text)
    assert found[:4] == ["## x86_64: Some CPU, 2 cores", "### Goals", "### Internal goals", "### CPU µs per request"]
    assert found[4] == "### `get_token`: logins, the remote answers at once"
    assert found[-3:] == ["### Not measured", "### How it was measured", "## How to read this page"]
    assert "- the Go original, `mixed`: no go here\n- interrupted\n" in text
    assert (
        "| CPU per login (against hello) | reached, with its aim | 0.33 × (0.33 to 0.33) | ≤ 4.3 × | ≤ 3.5 × |" in text
    )
    assert re.search(r"- Not measured: .*CPU per login, 8 connections against Rust", text)


def test_three_hosts_stand_beside_one(tmp_path: Path) -> None:
    """They have a part of their own, without pictures, with both ratios to each peer."""
    one = everything()
    three = three_hosts(one)
    text = written(tmp_path, one, three, replace(three, label="older", started="2020-01-01", revision="0000"))
    parts = text.split("\n## ")
    assert [part.partition("\n")[0] for part in parts[1:3]] == [
        "x86_64: Some CPU, 2 cores",
        "x86_64, three hosts: Some CPU, 2 cores",
    ]
    assert "![" not in parts[2]
    assert "0000" not in text
    assert "| get_token | nginx + LuaJIT | 0.25 × (0.25 to 0.25) | 0.25 × (0.25 to 0.25) |" in plain(parts[2])
    assert "on three" not in parts[1]


def test_an_emulated_cpu_is_labelled_and_compared_with_nothing(tmp_path: Path) -> None:
    """Its part comes last, begins with what it is, and has neither claims nor goals nor pictures."""
    text = written(tmp_path, emulated(everything()), everything())
    parts = text.split("\n## ")
    assert parts[2].startswith("aarch64, EMULATED: Some CPU, 2 cores\n\n**The CPU is emulated.")
    assert "![" not in parts[2]
    assert "Goals" not in parts[2]
    assert "### CPU µs per request" not in parts[2]
    assert RATIO not in parts[2]
    assert "**" not in parts[2].partition("### ")[2]
    assert "| txtoken | 1,000 ± 0% |" in parts[2]
    assert not list((tmp_path / "aarch64").glob("*.svg"))


def test_what_only_the_subject_was_measured_in_is_one_table(tmp_path: Path) -> None:
    """A table with one row compares nothing."""
    text = written(tmp_path, result(measured("txtoken", "tls_kept"), measured("txtoken", "unix_remote")))
    assert headings(text)[3] == "### txtoken alone"
    assert "| tls_kept (checks of one token over TLS) | 1,000 | 20 | 1 | 3 | 4 | 29.3 |" in text


def test_a_start_has_neither_a_rate_nor_percentiles(tmp_path: Path) -> None:
    """Its table has how long it takes and what it costs, and it is no row among requests."""
    made = result(*(measured(name, "start", {"start_ms": 150.0, "cpu_us": 9e4}) for name in ("txtoken", "hello")))
    text = written(tmp_path, made)
    assert "| service | CPU µs per request | CPU, txtoken to it | memory MiB | start ms |" in text
    assert "| hello | 90,000 | 1.00 × | 29.3 | 150 |" in plain(text)
    assert "### CPU µs per request" not in text


def test_goals_of_what_was_not_asked_for_are_one_note(tmp_path: Path) -> None:
    """Only what was asked for and failed has its reason."""
    made = result(measured("txtoken", "get_token"), skipped=(("go", "", "no go here"),))
    notes = [line for line in written(tmp_path, made).splitlines() if line.startswith("- Not measured: ")]
    assert len(notes) == 3
    (reason,) = [line for line in notes if "(" in line]
    assert reason == "- Not measured: logins/s against the Go original (the Go original: no go here)."


def test_a_result_with_nothing_in_it_is_a_page(tmp_path: Path) -> None:
    """One in which nothing could be measured says what was skipped, and why."""
    text = written(tmp_path, result(skipped=(("txtoken", "", "no compiler"),)))
    assert "- txtoken: no compiler" in text
    one = result(measured("txtoken", "get_token", {"void": True, "marks": ("3 errors",)}), measured("go", "get_token"))
    assert "| txtoken | void |" in written(tmp_path, one)
    assert "answers at once) | void | void |" in written(tmp_path, replace(one, measurements=one.measurements[:1]))
    assert "- 3 errors (txtoken)" in written(tmp_path, one)


def test_nothing_to_show_is_said(tmp_path: Path) -> None:
    """A smoke run is no result, and no result is an error in words."""
    results.write(replace(everything(), settings={"smoke": True}), tmp_path / "x86_64" / "smoke.json")
    with pytest.raises(BenchError, match="no full result"):
        page.make([], tmp_path)


def test_given_results_are_shown_whatever_they_are(tmp_path: Path) -> None:
    """A smoke run that is named is shown, and marked."""
    path = tmp_path / "else" / "smoke.json"
    results.write(replace(everything(), settings={"smoke": True}), path)
    page.make([path], tmp_path)
    assert f"**{SMOKE}**" in (tmp_path / page.PAGE).read_text()


def test_the_newest_of_each_kind_is_chosen(tmp_path: Path) -> None:
    """One of each architecture and number of hosts; real CPUs before emulated ones, x86_64 first."""
    one = result()
    arm = replace(one, label="arm", machine=replace(MACHINE, arch="aarch64"))
    for made in (emulated(one), arm, three_hosts(one), one, replace(one, label="new", started="2025")):
        results.write(made, tmp_path / made.machine.arch / f"{made.label}.json")
    assert [found.result.label for found in chosen([], tmp_path)] == ["new", "hosts", "arm", "emulated"]


def test_tables_show_unsteady_figures_as_undecided() -> None:
    """A figure whose rounds lie apart is neither a number nor the best of its column."""
    made = result(rounds("txtoken", 10.0, WILD), rounds("nginx_lua", 30.0), rounds("go", 40.0))
    text = "\n".join(page.part_of(Source(Path("x.json"), made), [], "x.json"))
    assert re.search(r"\| txtoken \| \**1,000\** ± 0% \| [\d.]+ to [\d.]+ \|", text)
    assert re.search(r"\| nginx \+ LuaJIT \|.*\*\*30\*\* ± \d%", text)
