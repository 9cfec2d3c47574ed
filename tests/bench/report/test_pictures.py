"""The pictures of a result."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.judge.claims import TOPICS
from bench.measure.results import Result
from bench.report import plots
from bench.report.sources import Source
from bench.report.svg import COLOURS, FILLED, SIZES, WIDTH, width_of
from tests.bench.judge.test_claims import STEADY, WILD, rounds
from tests.bench.report.results import SHOWN, everything
from tests.bench.samples import result

SVG = "{http://www.w3.org/2000/svg}"


def drawn(made: Result, folder: Path) -> list[tuple[str, ET.Element]]:
    """Draw a result. Returns each picture's title as claimed, and what its file has."""
    return [(claim.title, ET.fromstring(path.read_text())) for claim, path in plots.draw(made, folder)]  # noqa: S314


@pytest.fixture(params=[STEADY, WILD, STEADY[:1]], ids=["steady", "wild", "one round"])
def pictures(request: pytest.FixtureRequest, tmp_path: Path) -> list[tuple[str, ET.Element]]:
    """The pictures of results of three kinds."""
    return drawn(everything(request.param), tmp_path)


def test_the_message_is_the_title(pictures: list[tuple[str, ET.Element]]) -> None:
    """Each picture begins with its claim, has it as its title, and describes every bar for screen readers."""
    assert len(pictures) == sum(topic.is_drawn for topic in TOPICS)
    for title, root in pictures:
        assert root.get("role") == "img"
        named = (root.get("aria-labelledby") or "").split()
        assert [root.find(f"*[@id='{one}']") is not None for one in named] == [True, True]
        assert root.findtext(f"{SVG}title") == title
        assert " ".join(texts(root, "title")) == title
        described = root.findtext(f"{SVG}desc") or ""
        for name, value in zip(texts(root, "name"), texts(root, "value", "range"), strict=True):
            assert f"{name} {value}" in described


def test_nothing_is_outside_of_a_phone(pictures: list[tuple[str, ET.Element]]) -> None:
    """At 360 px every text and bar is inside, texts of one line do not meet, and no letter is below 12 px."""
    assert min(size for size, _ in SIZES.values()) >= 12
    for _, root in pictures:
        left, top, width, height = (float(one) for one in (root.get("viewBox") or "").split())
        assert (left, top, width) == (0, 0, WIDTH)
        assert WIDTH == 360
        on_line: dict[str, list[tuple[float, float]]] = {}
        for one in root.iter(f"{SVG}text"):
            x, y = float(one.get("x") or "nan"), one.get("y") or "nan"
            wide = width_of(one.text or "", one.get("class") or "")
            begin = x - wide * {None: 0.0, "middle": 0.5, "end": 1.0}[one.get("text-anchor")]
            assert begin >= 0, one.text
            assert begin + wide <= width, one.text
            assert SIZES[one.get("class") or ""][0] <= float(y) <= height - 4
            on_line.setdefault(y, []).append((begin, begin + wide))
        for spans in on_line.values():
            spans.sort()
            assert all(one[1] <= other[0] for one, other in pairwise(spans))
        for one in root.findall(f"{SVG}rect"):
            right, bottom = (
                float(one.get(a) or 0) + float(one.get(b) or 0) for a, b in (("x", "width"), ("y", "height"))
            )
            assert right <= width
            assert bottom <= height
        for one in root.iter(f"{SVG}line"):
            assert all(0 <= float(one.get(end) or "nan") <= width for end in ("x1", "x2"))
            assert all(0 <= float(one.get(end) or "nan") <= height for end in ("y1", "y2"))


def test_axes_are_linear_from_zero(tmp_path: Path) -> None:
    """A bar is as long as its figure: all bars of a picture have one length for a unit, and begin where the axis says 0."""
    for (claim, _), (_, root) in zip(plots.draw(everything(), tmp_path), drawn(everything(), tmp_path), strict=True):
        bars = [one for one in root.findall(f"{SVG}rect") if one.get("class") != "card"]
        ticks = [one for one in root.iter(f"{SVG}text") if one.get("class") == "tick"]
        assert (ticks[0].text, ticks[0].get("x")) == ("0", bars[0].get("x"))
        assert {one.get("x") for one in bars} == {ticks[0].get("x")}
        begin, end = (float(ticks[place].get("x") or "nan") for place in (0, -1))
        unit = (end - begin) / float((ticks[-1].text or "nan").replace(",", ""))
        for bar, one in zip(claim.bars, bars, strict=True):
            assert float(one.get("width") or "nan") == pytest.approx(bar.value * unit, abs=0.06)
        between = [float((one.text or "nan").replace(",", "")) for one in ticks]
        assert between == pytest.approx([between[1] * number for number in range(len(between))])


@pytest.mark.parametrize("values", [[0.004], [1.0, 4.0], [99.0], [56_000.0, 133_000.0], [4.0000001]])
def test_an_axis_has_few_even_steps_and_room(values: list[float]) -> None:
    """It ends at a step, at or past the largest value, and not far past it."""
    step, end = plots.axis(values)
    assert 1 <= round(end / step) <= plots.STEPS_MAX
    assert max(values) <= end <= max(values) + step
    assert f"{step:e}"[0] in "125"


def test_undecided_figures_are_hatched_and_say_so(tmp_path: Path) -> None:
    """A figure whose rounds lie apart is no filled bar and no number; the others are both."""
    made = result(rounds("txtoken", 20.0), rounds("nginx_lua", 30.0), rounds("node_fastify", 90.0, WILD))
    ((_, root),) = drawn(made, tmp_path)
    bars = [one for one in root.findall(f"{SVG}rect") if one.get("class") != "card"]
    assert ["url(#hatch" in (one.get("fill") or "") for one in bars] == [False, False, True]
    assert root.find(f"{SVG}defs/{SVG}pattern[@id='hatch-peer']") is not None
    assert [one.startswith("undecided") for one in texts(root, "value", "range")] == [False, False, True]
    assert plots.ABOUT_HATCHED in " ".join(texts(root, "note"))
    ((_, steady),) = drawn(result(rounds("txtoken", 20.0), rounds("nginx_lua", 30.0)), tmp_path)
    assert "Hatched" not in " ".join(texts(steady, "note"))


def test_hello_is_explained_where_it_is_shown(tmp_path: Path) -> None:
    """A reader who has never seen the suite learns what it is; where it is not shown, nothing is said of it."""
    for services, is_said in (("txtoken", "hello"), True), (("txtoken", "nginx_lua"), False):
        ((_, root),) = drawn(result(*(rounds(name, 20.0) for name in services)), tmp_path)
        assert (plots.ABOUT_FLOOR in " ".join(texts(root, "note"))) is is_said
        assert ("hello (does nothing but answer)" in texts(root, "name")) is is_said


def test_light_and_dark_are_legible() -> None:
    """Text has a contrast of 4.5 with the card, a bar of 3 (WCAG 2.2), in both schemes."""
    for scheme in (0, 1):
        card = luminance(COLOURS["card"][scheme])
        for role, least in (("text", 4.5), ("muted", 4.5), *((one, 3.0) for one in FILLED)):
            lighter, darker = sorted((luminance(COLOURS[role][scheme]), card), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= least, (role, scheme)


def test_the_dark_scheme_has_every_colour(pictures: list[tuple[str, ET.Element]]) -> None:
    """What light sets, dark sets too, inside the one media query; and there is nothing from elsewhere."""
    for _, root in pictures:
        style = root.findtext(f"{SVG}style") or ""
        light, dark = style.split("@media (prefers-color-scheme:dark)")
        for role, (in_light, in_dark) in COLOURS.items():
            assert (in_light in light, in_dark in dark) == (True, True), role
        assert not re.search(r"url\(|@import|href", style)
        assert not any("href" in name for one in root.iter() for name in one.attrib)


def test_a_picture_is_small(tmp_path: Path) -> None:
    """Eight bars take less than 10 kB."""
    assert all(path.stat().st_size < 10_000 for _, path in plots.draw(everything(), tmp_path))


@pytest.mark.parametrize("source", [one for one in SHOWN if one.is_claimed], ids=lambda source: source.path.stem)
def test_what_is_shown_is_what_was_measured(source: Source, tmp_path: Path) -> None:
    """The pictures in the repository are those that its JSON files give: nobody edited them, or forgot to draw them."""
    for claim, path in plots.draw(source.result, tmp_path):
        assert (source.path.parent / path.name).read_text() == path.read_text(), claim.title


def texts(root: ET.Element, *kinds: str) -> list[str]:
    """Return the texts of some kinds, from the top."""
    return [one.text or "" for one in root.iter(f"{SVG}text") if one.get("class") in kinds]


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
