"""A drawing as one SVG file: text, bars and lines, in light and in dark, with a title and a description for screen readers.

Knows colours and sizes, not what they stand for. By `xml.etree`, because a plotting library's SVG has one colour scheme, no
description, and letters that shrink with the picture; this one is as wide as a phone's column and is only ever enlarged.
"""

from __future__ import annotations

from textwrap import wrap
from typing import Final
from xml.etree import ElementTree as ET

WIDTH: Final = 360  # units: pixels on a phone
SHOWN_WIDTH: Final = 440  # pixels, where there is room: names are as large as a page's text then
MARGIN: Final = 14
INNER: Final = WIDTH - 2 * MARGIN
NAMESPACE: Final = "http://www.w3.org/2000/svg"
FONTS: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
# Kind of text: its size in units, and the width of its average letter as a share of that: that of DejaVu, the widest of the
# usual fonts, and a little more. Values and ticks are digits, which are wider than letters.
SIZES: Final = {
    "title": (17.0, 0.64),
    "name": (13.5, 0.58),
    "value": (13.5, 0.7),
    "range": (12.5, 0.56),
    "note": (12.0, 0.56),
    "tick": (12.0, 0.64),
}
LINE: Final = 1.35  # height of a line, in sizes
# Role: its colour in light and in dark.
COLOURS: Final = {
    "card": ("#ffffff", "#0d1117"),
    "edge": ("#d1d9e0", "#3d444d"),
    "text": ("#1f2328", "#f0f6fc"),
    "muted": ("#59636e", "#9198a1"),
    "subject": ("#cf3a50", "#ff7b8a"),
    "own": ("#b8808a", "#a8747d"),
    "peer": ("#3d6f9e", "#6ea8dc"),
    "floor": ("#818b96", "#7d868f"),
}
FILLED: Final = ("subject", "own", "peer", "floor")


class Drawing:
    """One of them, drawn from the top: `y` is where the next part begins."""

    def __init__(self, title: str, description: str) -> None:
        self._root = ET.Element("svg", {"xmlns": NAMESPACE, "role": "img", "aria-labelledby": "title description"})
        ET.SubElement(self._root, "title", {"id": "title"}).text = title
        ET.SubElement(self._root, "desc", {"id": "description"}).text = description
        ET.SubElement(self._root, "style").text = _style()
        self._patterns = ET.SubElement(self._root, "defs")
        self._card = ET.SubElement(self._root, "rect", {"class": "card", "x": "0.5", "y": "0.5", "rx": "8"})
        self.y = float(MARGIN)

    def paragraph(self, text: str, kind: str) -> None:
        """Write a text over the whole width, in as many lines as it needs."""
        for line in lines(text, kind):
            self.y += SIZES[kind][0] * LINE
            self.text(MARGIN, line, kind)

    def text(self, x: float, text: str, kind: str, anchor: str = "start") -> None:
        """Write one line that stands on `y`."""
        attributes = {"class": kind, "x": _number(x), "y": _number(self.y)}
        ET.SubElement(
            self._root, "text", attributes | ({} if anchor == "start" else {"text-anchor": anchor})
        ).text = text

    def bar(self, width: float, height: float, role: str, *, hatched: bool) -> None:
        """Draw a bar from the left margin, its top at `y`."""
        box = {"x": _number(MARGIN), "y": _number(self.y), "width": _number(width), "height": _number(height)}
        look = {"class": f"hatched {role}-line", "fill": self._hatch(role)} if hatched else {"class": role}
        ET.SubElement(self._root, "rect", box | look)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a line."""
        ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        ET.SubElement(self._root, "line", {"class": kind} | {name: _number(value) for name, value in ends.items()})

    def render(self) -> str:
        """Return the file's text."""
        height = round(self.y + MARGIN)
        self._card.attrib |= {"width": _number(WIDTH - 1), "height": _number(height - 1)}
        self._root.attrib |= {
            "viewBox": f"0 0 {WIDTH} {height}",
            "width": str(SHOWN_WIDTH),
            "height": str(round(height * SHOWN_WIDTH / WIDTH)),
        }
        ET.indent(self._root)
        return ET.tostring(self._root, encoding="unicode") + "\n"

    def _hatch(self, role: str) -> str:
        name = f"hatch-{role}"
        if not any(one.get("id") == name for one in self._patterns):
            size = {"width": "6", "height": "6", "patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)"}
            pattern = ET.SubElement(self._patterns, "pattern", {"id": name} | size)
            ET.SubElement(pattern, "rect", {"class": role, "width": "2", "height": "6"})
        return f"url(#{name})"


def lines(text: str, kind: str) -> list[str]:
    """Break a text into lines of the inner width. No-break spaces hold."""
    size, letter = SIZES[kind]
    return wrap(text, int(INNER / (size * letter)), break_long_words=False, break_on_hyphens=False)


def width_of(text: str, kind: str) -> float:
    """Return how wide a line is at most, in units."""
    size, letter = SIZES[kind]
    return len(text) * size * letter


def _style() -> str:
    sizes = "".join(f".{kind}{{font-size:{size:g}px}}" for kind, (size, _) in SIZES.items())
    schemes = [_colours(dark=False), f"@media (prefers-color-scheme:dark){{{_colours(dark=True)}}}"]
    fixed = (
        f"text{{font-family:{FONTS};font-variant-numeric:tabular-nums}}"
        ".title,.value{font-weight:600}.whisker{stroke-width:1.5}"
    )
    return fixed + sizes + "".join(schemes)


def _colours(*, dark: bool) -> str:
    colour = {role: pair[dark] for role, pair in COLOURS.items()}
    rules = [
        f".card{{fill:{colour['card']};stroke:{colour['edge']}}}",
        f".title,.name,.value{{fill:{colour['text']}}}.note,.tick,.range{{fill:{colour['muted']}}}",
        f".whisker{{stroke:{colour['text']}}}.grid{{stroke:{colour['edge']}}}",
        *(f".{role}{{fill:{colour[role]}}}.{role}-line{{stroke:{colour[role]}}}" for role in FILLED),
    ]
    return "".join(rules)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
