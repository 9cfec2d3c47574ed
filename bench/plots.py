"""Pictures of a result: the peers as bars, latencies as percentile curves. SVG and PNG, by matplotlib.

Knows how figures are drawn, not what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.figures import Measurement
from bench.results import Result
from bench.scenarios import FLOOR, SCENARIOS, SUBJECT

BARS: Final = ("get_token", "check_token", "check_token_distinct")
CURVES: Final = ("get_token", "check_token", "open_loop")
SUBJECT_COLOUR: Final = "#d1495b"
FLOOR_COLOUR: Final = "#a7b0ba"
PEER_COLOURS: Final = ("#30638e", "#66a182", "#edae49", "#8d6a9f", "#5f6c7b", "#00798c", "#a98467")
LINEAR_RANGE_MAX: Final = 60  # times: past it the short bars could not be told apart
PICTURE_DPI: Final = 110
# Pictures that do not change when nothing has changed: no random ids, no date.
mpl.rcParams["svg.hashsalt"] = "bench"
mpl.rcParams["svg.fonttype"] = "none"
METADATA: Final[dict[str, dict[str, Any]]] = {"svg": {"Date": None}, "png": {"Software": None}}


def draw(result: Result, folder: Path) -> list[Path]:
    """Draw everything there is to draw of a result. Returns the files."""
    made = []
    bars = [name for name in BARS if name in result.scenarios]
    if bars:
        made += _save(_peers(result, bars), folder, f"{result.label}-peers")
    curves = [name for name in CURVES if any(one.curve for one in _of(result, name))]
    if curves:
        made += _save(_latencies(result, curves), folder, f"{result.label}-latency")
    return made


def _peers(result: Result, scenarios: Sequence[str]) -> Figure:
    """Draw a row a scenario: requests/s to the left, CPU a request to the right; the bars' ends show the rounds' range."""
    figure = Figure(figsize=(11, 0.9 + 2.6 * len(scenarios)), layout="constrained")
    axes = figure.subplots(len(scenarios), 2, squeeze=False)
    for row, name in enumerate(scenarios):
        measured = [one for one in _of(result, name) if not one.is_void]
        for column, (field, title) in enumerate((("requests_per_s", "requests/s"), ("cpu_us", "CPU µs per request"))):
            ordered = sorted(measured, key=lambda one: one.median(field) or 0.0, reverse=column == 1)
            _bars(axes[row][column], ordered, field)
            if ordered and _range(ordered, field) > LINEAR_RANGE_MAX:
                axes[row][column].set_xscale("log")
            axes[row][column].set_title(f"{SCENARIOS[name].title}: {title}" if name in SCENARIOS else name, fontsize=10)
    figure.suptitle(_heading(result), fontsize=11)
    return figure


def _bars(axis: Any, measured: Sequence[Measurement], field: str) -> None:
    medians = [one.median(field) or 0.0 for one in measured]
    reach = [
        [middle - min(one.values(field)) for middle, one in zip(medians, measured, strict=True)],
        [max(one.values(field)) - middle for middle, one in zip(medians, measured, strict=True)],
    ]
    colours = [{SUBJECT: SUBJECT_COLOUR, FLOOR: FLOOR_COLOUR}.get(one.service, PEER_COLOURS[0]) for one in measured]
    bars = axis.barh([one.service for one in measured], medians, xerr=reach, color=colours, ecolor="#333333", capsize=2)
    axis.bar_label(bars, [f" {value:,.0f}" if value >= 100 else f" {value:.1f}" for value in medians], fontsize=8)
    axis.margins(x=0.18)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)


def _range(measured: Sequence[Measurement], field: str) -> float:
    """Return how many times the largest median is as large as the smallest."""
    medians = [one.median(field) or 0.0 for one in measured]
    return max(medians) / min(medians) if min(medians) else 1.0


def _latencies(result: Result, scenarios: Sequence[str]) -> Figure:
    """Draw the percentile curves: to the right the few slow requests, each step ten times fewer."""
    figure = Figure(figsize=(5.2 * len(scenarios), 4.6), layout="constrained")
    axes = figure.subplots(1, len(scenarios), squeeze=False)[0]
    colours = _colours(result)
    for axis, name in zip(axes, scenarios, strict=True):
        for one in _of(result, name):
            # 100 % has no place on this scale; it stands in the table.
            points = [(1 / (1 - percentile / 100), ms) for percentile, ms in one.curve if percentile < 100]
            if points:
                axis.plot(*zip(*points, strict=True), label=one.service, color=colours[one.service], marker=".", lw=1.5)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.set_xticks([2, 10, 100, 1000, 10_000], ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"])
        axis.set_xticks([], minor=True)
        axis.set_ylabel("latency, ms")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
        rates = {one.settings["rate_per_s"] for one in _of(result, name) if "rate_per_s" in one.settings}
        at = f" ({rates.pop():,.0f}/s)" if len(rates) == 1 else ""
        axis.set_title(f"{SCENARIOS[name].title}{at}" if name in SCENARIOS else name, fontsize=10)
    figure.suptitle(_heading(result), fontsize=11)
    return figure


def _save(figure: Figure, folder: Path, name: str) -> list[Path]:
    made = []
    for kind, metadata in METADATA.items():
        path = folder / f"{name}.{kind}"
        figure.savefig(path, dpi=PICTURE_DPI, metadata=metadata)
        made.append(path)
    return made


def _of(result: Result, scenario: str) -> list[Measurement]:
    return [one for one in result.measurements if one.scenario == scenario]


def _colours(result: Result) -> dict[str, str]:
    peers = [name for name in result.services if name not in (SUBJECT, FLOOR)]
    return {SUBJECT: SUBJECT_COLOUR, FLOOR: FLOOR_COLOUR} | {
        name: PEER_COLOURS[number % len(PEER_COLOURS)] for number, name in enumerate(peers)
    }


def _heading(result: Result) -> str:
    machine = result.machine
    kind = ", EMULATED CPU" if machine.emulated else ""
    return f"{machine.cpu}, {machine.cores} cores, {machine.arch}{kind}, revision {result.revision}"
