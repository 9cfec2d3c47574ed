"""Latencies by percentile, as HdrHistogram's own plot shows them: the nearer to 100 %, the wider the axis.

Lines are SVG that stretches with the page; letters are HTML, so they keep their size on a phone. Knows no tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Final
from xml.etree import ElementTree as ET

from bench.measure.figures import Curve, Measurement
from bench.measure.scenarios import FLOOR, INTERPRETED, NAMES, SUBJECT
from bench.report.html import element
from bench.report.tables import name_of

WIDTH: Final = 1000  # units
HEIGHT: Final = 400
PERCENTILES: Final = (0.0, 90.0, 99.0, 99.9, 99.99)  # that are marked
LAST: Final = 99.99  # 100 % has no place on this axis: it is the table's "max"
STEPS: Final = (1, 2, 5)  # of the other axis, times powers of ten
TICKS_MAX: Final = 9
COLOURS: Final = 10  # of peers, in page.css
_OWN: Final = (SUBJECT, INTERPRETED, FLOOR)
_PEERS: Final = [name for name in NAMES if name not in _OWN]


def plot(measured: Sequence[Measurement]) -> ET.Element | None:
    """Draw the curves of one scenario; None if there are none."""
    curves = {one.service: shown for one in measured if len(shown := _shown(one.curve)) > 1}
    if not curves:
        return None
    values = [ms for curve in curves.values() for _, ms in curve]
    low, high = _bounds(min(values), max(values))
    svg = element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none", aria_hidden="true")
    labels = []
    for tick in _ticks(low, high):
        share = _share(tick, low, high)
        svg.append(_line(f"M0 {_y(share)}H{WIDTH}", "grid"))
        labels.append(element("span", f"{tick:g}", class_="tick y", style=f"bottom:{share:.2%}"))
    for percentile in PERCENTILES:
        svg.append(_line(f"M{_x(percentile)} 0V{HEIGHT}", "grid"))
        labels.append(element("span", f"{percentile:g} %", class_="tick x", style=f"left:{_x(percentile) / WIDTH:.2%}"))
    for service, curve in curves.items():
        points = " ".join(f"{_x(percentile)} {_y(_share(ms, low, high))}" for percentile, ms in curve)
        svg.append(_line(f"M{points}", f"line {look_of(service)}"))
    best_last = sorted(curves, key=lambda service: -curves[service][-1][1])
    label = f"Latencies of {len(curves)} services from 0 to {LAST:g} %. The table has the figures."
    return element(
        "figure",
        element("figcaption", "Latency in ms (logarithmic) by percentile"),
        element("div", element("div", svg, *labels, class_="plot", role="img", aria_label=label), class_="frame"),
        element(
            "ul",
            element("li", element("b", f"at {LAST:g} %"), class_="head"),
            *(_entry(service, curves[service]) for service in best_last),
            class_="legend",
        ),
        class_="curve",
    )


def look_of(service: str) -> str:
    """Return the class of a service's line. Each has the same one in every plot."""
    if service in _OWN:
        return {SUBJECT: "subject", INTERPRETED: "own", FLOOR: "floor"}[service]
    place = _PEERS.index(service) if service in _PEERS else len(_PEERS) + sum(service.encode())
    return f"peer{place % COLOURS}"


def swatch(look: str) -> ET.Element:
    """Draw a piece of a line, for a legend."""
    return element("svg", _line("M0 5H24", f"line {look}"), viewBox="0 0 24 10", class_="swatch", aria_hidden="true")


def _entry(service: str, curve: Curve) -> ET.Element:
    look = look_of(service)
    last = f"{curve[-1][1]:.3g} ms" if curve[-1][0] == LAST else ""
    return element("li", swatch(look), element("span", name_of(service)), element("b", last), class_=look)


def _shown(curve: Curve) -> Curve:
    return tuple((percentile, ms) for percentile, ms in curve if percentile <= LAST and ms > 0)


def _line(path: str, look: str) -> ET.Element:
    return element("path", d=path, class_=look)


def _x(percentile: float) -> int:
    """Place a percentile: the axis is logarithmic in 1 / (1 - p)."""
    decades = -log10(1 - percentile / 100)
    return round(WIDTH * decades / -log10(1 - LAST / 100))


def _y(share: float) -> int:
    return round(HEIGHT * (1 - share))


def _share(value: float, low: float, high: float) -> float:
    return log10(value / low) / log10(high / low)


def _bounds(least: float, most: float) -> tuple[float, float]:
    """Return the ends of the axis: marks at or beyond the values."""
    marks = _marks(least / 10, most * 10)
    return max(mark for mark in marks if mark <= least), min(mark for mark in marks if mark > most)


def _ticks(low: float, high: float) -> list[float]:
    """Return what is marked: every step where there is room, else powers of ten."""
    marks = [mark for mark in _marks(low, high) if low <= mark <= high]
    return marks if len(marks) <= TICKS_MAX else [mark for mark in marks if f"{mark:e}"[0] == "1"]


def _marks(low: float, high: float) -> list[float]:
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    return [float(f"{step}e{power}") for power in powers for step in STEPS]
