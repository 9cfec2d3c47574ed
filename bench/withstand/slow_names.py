"""Starts the service with a name service of its own: FLAG ARGUMENT… While the file FLAG exists, look-ups hang; else every name is
127.0.0.1. FLAG with `.hung` behind it is made when one did. Works for each build: Python's socket module alone is patched.
"""

from __future__ import annotations

import importlib
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final

POLL_S: Final = 0.05


def main() -> None:
    """Patch and start."""
    flag = Path(sys.argv[1])
    hung = Path(f"{flag}.hung")
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or not name.endswith(".test"):
            return resolve(host, *arguments, **options)
        while flag.exists():
            hung.touch()
            time.sleep(POLL_S)
        return resolve("127.0.0.1", *arguments, **options)

    socket.getaddrinfo = getaddrinfo
    sys.argv = ["txtoken", *sys.argv[2:]]
    # After the patch, so that no module has imported the old function.
    raise SystemExit(importlib.import_module("txtoken.cli.main").main())


if __name__ == "__main__":
    main()
