"""What a request costs from revision to revision: a line for each kind of request, and marks where it grew too much.

Knows series of points and how they are drawn. Counts nothing, reads nothing, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol
from xml.etree import ElementTree as ET

from bench.report.html import element

WIDTH: Final = 1000  # units
HEIGHT: Final = 200
ROOM: Final = 0.1  # above and below, of what lies between the extremes
LEAST: Final = 0.02  # of the largest value: a smaller difference is not stretched over the whole height


class Point(Protocol):
    """One revision."""

    @property
    def revision(self) -> str: ...
    @property
    def committed(self) -> str: ...
    @property
    def instructions(self) -> float: ...
    @property
    def system_calls(self) -> float: ...
    @property
    def time_us(self) -> float | None: ...
    @property
    def growth(self) -> float | None: ...
    @property
    def is_regression(self) -> bool: ...


class Series(Protocol):
    """One kind of request under conditions that can be compared, the oldest revision first."""

    @property
    def case(self) -> str: ...
    @property
    def parameters(self) -> str: ...
    @property
    def points(self) -> Sequence[Point]: ...


Histories = Mapping[str, Sequence[tuple[Series, str]]]  # by architecture: series, and the conditions of each


def plot(series: Series) -> ET.Element:
    """Draw one series."""
    points = series.points
    low, high = _bounds([point.instructions for point in points])
    svg = element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none", aria_hidden="true")
    places = [
        (_x(number, len(points)), round(HEIGHT * (1 - (point.instructions - low) / (high - low))))
        for number, point in enumerate(points)
    ]
    svg.append(element("path", d="M" + " ".join(f"{x} {y}" for x, y in places), class_="line subject"))
    marks = [
        element(
            "i",
            class_="dot bad" if point.is_regression else "dot",
            style=f"left:{x / WIDTH:.2%};top:{y / HEIGHT:.2%}",
        )
        for point, (x, y) in zip(points, places, strict=True)
    ]
    ticks = [
        element("span", f"{value:,.0f}", class_="tick y", style=f"bottom:{(value - low) / (high - low):.2%}")
        for value in sorted({min(point.instructions for point in points), max(point.instructions for point in points)})
    ]
    label = f"Instructions of {series.case} in {len(points)} revisions. The table has the figures."
    return element(
        "figure",
        element(
            "figcaption",
            element("b", series.case),
            f": instructions of {series.parameters}. The axis does not begin at 0.",
        ),
        element(
            "div", element("div", svg, *marks, *ticks, class_="plot", role="img", aria_label=label), class_="frame"
        ),
        class_="trend",
    )


def change(point: Point) -> str:
    """Write how a revision changed the cost."""
    if point.growth is None:
        return ""
    return f"{point.growth:+.1%}{' regression' if point.is_regression else ''}"


def _x(number: int, count: int) -> int:
    return round(WIDTH * (number + 0.5) / count)


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    least, most = min(values), max(values)
    height = max(most - least, LEAST * most, 1.0)
    middle = (least + most) / 2
    return middle - height * (0.5 + ROOM), middle + height * (0.5 + ROOM)
