"""How a run measures: how often, how long, on which cores and hosts. Knows no service and no scenario."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one run."""

    turns: int
    slice_s: int  # seconds of load, of one service in one scenario, in one turn
    warm_up_s: int
    threads: int  # of wrk
    service_cores: frozenset[int] | None  # None: the kernel chooses
    load_cores: frozenset[int] | None
    open_loop_share: float  # of the saturation of
    open_loop_reference: str
    open_loop_rate: float | None = None  # requests/s, in place of a share
    others_max: float = 0.1  # cores that other programs may use before a slice is void
    has_hosts: bool = False  # clients, service and remote on hosts of their own
