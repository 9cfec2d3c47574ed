"""The exit codes (contract §4.3). Knows nothing of what ends with them."""

from __future__ import annotations

from typing import Final

OK: Final = 0  # ended as asked
FAILED: Final = 1
USAGE: Final = 2  # as argparse
BAD_CONFIG: Final = 78  # EX_CONFIG of sysexits.h
