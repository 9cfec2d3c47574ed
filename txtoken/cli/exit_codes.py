"""The exit codes (contract §4.3). Knows nothing of what ends with them."""

from __future__ import annotations

OK = 0  # ended as asked
FAILED = 1
USAGE = 2  # as argparse
BAD_CONFIG = 78  # EX_CONFIG of sysexits.h
