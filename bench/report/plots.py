"""Pictures of a result: a claim each, as bars one below the other on a linear axis from zero.

Knows how a claim is laid out, not how it was reached (`judge.claims`) and not how a drawing is written (`svg`).
"""

from __future__ import annotations

from math import ceil, floor, log10
from pathlib import Path
from typing import Final

from bench.judge.claims import NO_BREAK, PERCENT, Bar, Claim, claims
from bench.measure.results import Result
from bench.measure.scenarios import FLOOR, INTERPRETED, SUBJECT
from bench.report.svg import INNER, LINE, MARGIN, SIZES, Drawing, width_of

ROLES: Final = {SUBJECT: "subject", INTERPRETED: "own", FLOOR: "floor"}  # else a peer
BAR: Final = 13  # units
GAP: Final = 5
WHISKER: Final = 3  # half the height of an interval's ends
STEPS_MAX: Final = 4  # of an axis: more labels do not fit on a phone
ABOUT_FLOOR: Final = "hello is the floor: an answer without the work."
ABOUT_INTERVAL: Final = f"Thin line: the {PERCENT} interval of the figure."
ABOUT_HATCHED: Final = "Hatched: undecided, its interval is too wide."
ABOUT_TOO_FEW: Final = "Hatched: undecided, its rounds are too few."


def draw(result: Result, folder: Path) -> list[tuple[Claim, Path]]:
    """Draw everything there is to draw of a result. Returns the claims and their files."""
    made = []
    for claim in claims(result):
        if not claim.topic.is_drawn:
            continue
        path = folder / f"{result.label}-{claim.topic.name}.svg"
        path.write_text(picture(claim, _origin(result)))
        made.append((claim, path))
    return made


def picture(claim: Claim, origin: str) -> str:
    """Draw one claim. `origin` is where and when it was measured."""
    notes = _notes(claim)
    figures = "; ".join(f"{bar.name} {bar.text}" for bar in claim.bars)
    drawing = Drawing(claim.title, f"{claim.reason} {claim.measure}: {figures}. {' '.join(notes)} {origin}")
    drawing.paragraph(claim.title, "title")
    drawing.y += GAP
    drawing.paragraph(claim.reason, "note")
    drawing.paragraph(f"{claim.measure}:", "note")
    drawing.y += GAP
    step, end = axis([reach for bar in claim.bars for reach in (bar.value, *(bar.between or ()))])
    for bar in claim.bars:
        _row(drawing, bar, step, end)
    _ticks(drawing, step, end)
    for note in (*notes, origin):
        drawing.paragraph(note, "note")
    return drawing.render()


def axis(values: list[float]) -> tuple[float, float]:
    """Choose the step and the end of a linear axis that begins at 0: steps of 1, 2 or 5 times a power of ten."""
    largest = max(values)
    power = 10.0 ** floor(log10(largest / STEPS_MAX))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * STEPS_MAX >= largest)
    return step, ceil(largest / step) * step


def _row(drawing: Drawing, bar: Bar, step: float, end: float) -> None:
    def at(value: float) -> float:
        return MARGIN + INNER * value / end

    drawing.y += SIZES["name"][0] * LINE
    drawing.text(MARGIN, bar.name, "name")
    kind = "value" if bar.is_decided else "range"
    if width_of(bar.name, "name") + width_of(bar.text, kind) > INNER:
        drawing.y += SIZES[kind][0] * LINE
    drawing.text(MARGIN + INNER, bar.text, kind, "end")
    drawing.y += GAP
    for number in range(1, round(end / step) + 1):
        drawing.line(at(number * step), drawing.y, at(number * step), drawing.y + BAR, "grid")
    drawing.bar(at(bar.value) - MARGIN, BAR, ROLES.get(bar.service, "peer"), hatched=not bar.is_decided)
    if bar.between is not None:
        low, high, middle = at(bar.between[0]), at(bar.between[1]), drawing.y + BAR / 2
        drawing.line(low, middle, high, middle, "whisker")
        for x in (low, high):
            drawing.line(x, middle - WHISKER, x, middle + WHISKER, "whisker")
    drawing.line(MARGIN, drawing.y - 2, MARGIN, drawing.y + BAR + 2, "whisker")
    drawing.y += BAR + GAP


def _ticks(drawing: Drawing, step: float, end: float) -> None:
    drawing.y += SIZES["tick"][0] * LINE
    count = round(end / step)
    for number in range(count + 1):
        anchor = "start" if number == 0 else "end" if number == count else "middle"
        drawing.text(MARGIN + INNER * number / count, f"{number * step:,g}", "tick", anchor)
    drawing.y += GAP


def _notes(claim: Claim) -> list[str]:
    """Explain what this picture shows, and nothing that it does not."""
    notes = []
    if any(bar.between is not None for bar in claim.bars):
        notes.append(ABOUT_INTERVAL)
    if any(bar.between is None for bar in claim.bars):
        notes.append(ABOUT_TOO_FEW)
    if any(bar.between is not None and not bar.is_decided for bar in claim.bars):
        notes.append(ABOUT_HATCHED)
    if any(bar.service == FLOOR for bar in claim.bars):
        notes.append(ABOUT_FLOOR)
    return notes


def _origin(result: Result) -> str:
    machine = result.machine
    where = f"{machine.cpu}, {machine.cores} cores, {machine.arch}{', EMULATED CPU' if machine.emulated else ''}"
    return f"{where}, {result.started[:10]}, revision{NO_BREAK}{result.revision}."
