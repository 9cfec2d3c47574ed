"""bench/results/index.html: it has everything, loads nothing, and is what was measured. `test_browser` opens it in a browser."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from bench.count.fingerprint import Fingerprint
from bench.count.history import Count, Line, history_of, write_history
from bench.measure import results
from bench.measure.figures import PERCENTILES
from bench.measure.results import FOLDER, Result
from bench.report import curves, page, site, trends
from bench.report.guide import EMULATED, SMOKE
from bench.report.histories import histories
from bench.report.sources import Source
from tests.bench.report.histories import series
from tests.bench.report.results import CURVE, EVERYONE, everything, write_again
from tests.bench.report.test_page import emulated, three_hosts
from tests.bench.samples import measured, result


class Outline(HTMLParser):
    """What a page refers to, how it is named, and what it says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        self.tags[tag] += 1
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.links.append(value)
            elif name == "id" and value is not None:
                self.names[value] += 1

    def handle_data(self, data: str) -> None:
        """Take note of text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text, with single spaces."""
        return " ".join("".join(self.words).split())


def written(folder: Path, *made: Result) -> str:
    """Write results, and return the page that is made of them."""
    for one in made:
        results.write(one, folder / one.machine.arch / f"{one.label}.json")
    page.make([], folder, folder / "history")
    return (folder / site.FILE).read_text()


def test_the_page_is_what_was_measured(tmp_path: Path) -> None:
    """The page in the repository is the one that its JSON files give: nobody edited it, or forgot to write it."""
    write_again(tmp_path)
    assert (tmp_path / site.FILE).read_text() == (FOLDER / site.FILE).read_text()


def test_it_loads_nothing(tmp_path: Path) -> None:
    """Its links are places on the page and its JSON files; pictures are inside of it."""
    one = everything()
    outline = Outline(written(tmp_path, one, three_hosts(one), emulated(one)))
    for link in outline.links:
        if link.startswith("#"):
            assert outline.names[link[1:]] == 1, link
        elif not link.startswith("data:image/svg+xml;base64,"):
            assert (tmp_path / link).is_file(), link
    assert set(outline.tags) & {"link", "iframe", "object", "embed", "base"} == set()
    assert outline.tags["script"] == outline.tags["style"] == 1
    assert not re.search(
        r"@import|url\(|https?:|fetch|XMLHttpRequest", site.STYLE.read_text() + site.SCRIPT.read_text()
    )


def test_it_has_everything(tmp_path: Path) -> None:
    """Every scenario, service and part is there once; each part says what it is of; no name is given twice."""
    one = everything()
    text = written(tmp_path, one, three_hosts(one), emulated(one))
    outline = Outline(text)
    assert set(outline.names.values()) == {1}
    for part in ("x86_64", "x86_64-hosts", "aarch64"):
        assert {f"{part}-{name}" for name in one.scenarios} <= set(outline.names)
    assert {"x86_64-goals", "x86_64-cost", "x86_64-internal", "x86_64-hosts-hosts", "guide"} <= set(outline.names)
    assert not {"aarch64-goals", "aarch64-cost"} & set(outline.names)
    assert outline.text.count(EMULATED) == 1
    assert outline.tags["img"] == 6
    assert "p99.9 ms" in outline.text
    assert "Not measured: " in outline.text


def test_text_is_escaped(tmp_path: Path) -> None:
    """What a peer said when it failed is text, and no part of the page."""
    text = written(tmp_path, result(skipped=(("go", "", "<script>alert(1)</script> & so on"),)))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on" in text
    assert Outline(text).tags["script"] == 1


@pytest.mark.parametrize(
    "made",
    [
        result(),
        result(measured("txtoken", "get_token", {"void": True})),
        result(measured("hello", "get_token"), measured("own", "an_unknown_scenario")),
        replace(everything((1.0,)), settings={"smoke": True}),
    ],
)
def test_whatever_was_measured_is_a_page(made: Result, tmp_path: Path) -> None:
    """Nothing at all, only void rounds, services and scenarios of one's own, one round."""
    path = tmp_path / "x86_64" / "sample.json"
    text = site.text_of([Source(path, made)], [[]], tmp_path)
    assert "x86_64: Some CPU" in text
    assert (SMOKE in text) is made.is_smoke


def test_a_curve_is_that_of_hdrhistogram() -> None:
    """The axis is logarithmic in 1 / (1 - p): each nine is as wide as the one before; lines rise from left to right."""
    plot = curves.plot([replace(measured(name, "get_token"), curve=CURVE) for name in EVERYONE])
    assert plot is not None
    lines = [one for one in plot.iter("path") if "line" in (one.get("class") or "")]
    drawn = [one for one in lines if (one.get("d") or "") != "M0 5H24"]  # the rest is the legend
    assert len(drawn) == len(EVERYONE)
    points = [tuple(map(int, point)) for point in re.findall(r"(\d+) (\d+)", drawn[0].get("d") or "")]
    places = dict(zip(PERCENTILES, points, strict=False))
    assert len(points) == len(PERCENTILES) - 1  # 100 % is infinitely far away
    assert [places[one][0] for one in (90.0, 99.0, 99.9, 99.99)] == [250, 500, 750, 1000]
    assert all(one[0] < other[0] and one[1] >= other[1] for one, other in pairwise(points))
    assert len({one.get("class") for one in drawn}) == len(EVERYONE)
    assert all(0 <= y <= curves.HEIGHT for _, y in points)


def test_without_a_curve_there_is_no_plot() -> None:
    """An old result, or one of starts, has none. A latency of 0 has no place on the axis."""
    assert curves.plot([replace(measured("txtoken", "start"), curve=())]) is None
    assert curves.plot([replace(measured("txtoken", "start"), curve=((50.0, 0.0), (99.0, 0.0)))]) is None


@pytest.mark.parametrize("ends", [(0.004, 0.005), (1.0, 1.0), (0.11, 964.0), (5.0, 5.0001)])
def test_the_axis_of_latencies_ends_at_marks(ends: tuple[float, float]) -> None:
    """Every latency is between two marks, and there are few of them."""
    curve = ((50.0, ends[0]), (99.0, ends[1]))
    plot = curves.plot([replace(measured("txtoken", "get_token"), curve=curve)])
    assert plot is not None
    marks = [float(one.text or "nan") for one in plot.iter("span") if one.get("class") == "tick y"]
    assert 1 <= len(marks) <= curves.TICKS_MAX
    assert min(marks) <= ends[1]


def test_a_trend_marks_what_grew() -> None:
    """A point a revision, from left to right; a regression is marked in the picture and in words."""
    made = series(50_000, 50_100, 55_000, 40_000)
    plot = trends.plot(made)
    dots = [one.get("class") for one in plot.iter("i")]
    assert dots == ["dot", "dot", "dot bad", "dot"]
    assert [trends.change(point) for point in made.points] == ["", "+0.2%", "+9.8% regression", "-27.3%"]


@pytest.mark.parametrize("costs", [(50_000.0,), (50_000.0, 50_000.0)])
def test_a_flat_trend_is_drawn(costs: tuple[float, ...]) -> None:
    """One revision, or several that cost the same, have a height."""
    assert "nan" not in str([one.get("style") for one in trends.plot(series(*costs)).iter()])


def test_a_history_is_a_part_of_the_page(tmp_path: Path) -> None:
    """Each architecture has one, with every revision in a table; one without lines has none."""
    counted = {"x86_64": [(series(50_000, 60_000), "counted so"), (series(50_000), "counted else")], "armv7l": []}
    text = site.text_of([], [], tmp_path, counted)
    assert {"history-x86_64", "guide"} <= set(Outline(text).names)
    assert "armv7l" not in text
    assert "+20.0% regression" in text
    assert re.search(r'<details open="open"><summary><h3>counted so', text)
    assert "<details><summary><h3>counted else" in text


def test_histories_are_read_from_their_folder(tmp_path: Path) -> None:
    """What was counted is shown as `bench.count` compares it: a series for each kind of request and each set of conditions."""
    conditions = Fingerprint(
        arch="x86_64",
        cpu="max",
        qemu="7.2",
        addresses="fixed",
        counting="3 starts",
        python="3.11.2",
        build="compiled",
        compiler="GCC",
        libc="2.36",
        openssl="3.0",
        wheels={},
    )
    counts = [Count("a login", cost, cost, 0.0, 0.0, {"read": 2.0}) for cost in (50_000.0, 60_000.0)]
    lines = [
        Line(f"{number:012x}", f"2026-11-0{number}T00:00:00+00:00", conditions, {"login": count})
        for number, count in enumerate(counts, 1)
    ]
    write_history(history_of("x86_64", tmp_path), lines)
    (found,) = histories(tmp_path)["x86_64"]
    assert found[1] == conditions.summary
    assert [point.is_regression for point in found[0].points] == [False, True]
    assert histories(tmp_path / "none") == {}
