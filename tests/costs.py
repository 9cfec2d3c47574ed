"""CPU time of one piece of work, with the garbage collector set as the service sets it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from txtoken.process.worker import GARBAGE_OBJECTS


def cost_s(work: Callable[[], object], *, enough_s: float = 0.0) -> float:
    """Return the least CPU time of 80 runs in seconds, or the first of at most `enough_s`: others use the machine too.

    Without the service's settings the collector would look at all objects of the test's process, many times. They are frozen
    as they are: a collection before would take 0.16 s of every test.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)
    least = float("inf")
    try:
        for _ in range(80):
            began = time.process_time()
            work()
            least = min(least, time.process_time() - began)
            if least <= enough_s:
                break
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    return least
