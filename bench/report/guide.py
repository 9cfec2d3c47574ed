"""What the figures of a report are: text for all pages that show them."""

from __future__ import annotations

from typing import Final

from bench.judge.claims import APART_MAX, LEVEL, PERCENT
from bench.measure.scenarios import FLOOR, INTERPRETED, SUBJECT

FIGURES: Final = (
    f"Each figure is the median of its rounds; ± is half of its {PERCENT} interval. Bold is the best of its kind, hello left "
    "aside. CPU is user and system time of the service's whole process tree, divided by the number of answered requests: it "
    "depends least on what else the machine does. Every service has one process and, where the machine has two cores or more, "
    "one core of its own. wrk sends as fast as answers come (closed loop), so its latencies are those of a service at its "
    "limit. Latencies of the open loop count from when a request was due."
)
RATIOS: Final = (
    "A ratio is that of the rounds of one turn, which were measured within seconds; its interval is that of the median of all "
    "turns, by the bootstrap, computed exactly. Fewer than six turns have none."
)
PARAGRAPHS: Final = (FIGURES, RATIOS)
POINTS: Final = (
    "A goal is reached, or not, if the whole interval is on one side of its bound. Otherwise it is undecided.",
    f"The ratio to the best peer is published if its interval excludes 1 and ends within {APART_MAX * 100:g} % of it.",
    f"Two services are level if the whole interval is within {LEVEL * 100:g} % of 1.",
    f"A figure whose own interval ends more than {APART_MAX * 100:g} % from its median is undecided; its interval is shown.",
    "The ratio beside a CPU time is what txtoken needs as a multiple of it. With a question mark it is undecided.",
)
ABOUT: Final = {
    SUBJECT: "this project, compiled",
    INTERPRETED: "this project, run from its sources",
    FLOOR: "a server that does nothing but answer, on the same event loop and parser: the floor",
}
A_PEER: Final = "a peer"
EMULATED: Final = "The CPU is emulated. These figures show that the suite works there, and nothing about speed."
SMOKE: Final = "A smoke run: too short for its figures to mean anything."
