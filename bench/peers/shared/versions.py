"""Prints the versions of Python and of the distributions that are named, a line each."""

from __future__ import annotations

import importlib.metadata
import sys

sys.stdout.write(f"Python {sys.version.partition(' ')[0]}\n")
for name in sys.argv[1:]:
    sys.stdout.write(f"{name} {importlib.metadata.version(name)}\n")
