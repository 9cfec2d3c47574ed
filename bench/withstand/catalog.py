"""All rows by name, in the order in which they are played. Knows nothing of how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.withstand.answers import ANSWERS
from bench.withstand.attack import Attack, Trial
from bench.withstand.floods import FLOODS
from bench.withstand.life import LIFE
from bench.withstand.meddling import MEDDLING
from bench.withstand.remotes import REMOTES

_ROWS: Final[tuple[Attack | Trial, ...]] = (*FLOODS, *REMOTES, *MEDDLING, *LIFE, *ANSWERS)
CATALOG: Final[Mapping[str, Attack | Trial]] = {row.name: row for row in _ROWS}
