"""The probe of a txtoken, as Kubernetes would ask it: `/readyz`. Starts nothing."""

from __future__ import annotations

import http.client
import time
from typing import Final

from bench.errors import BenchError
from bench.load.stub_remote import LOOPBACK
from bench.measure.processes import Process

READY_S: Final = 20.0
POLL_S: Final = 0.02
ANSWER_S: Final = 5.0


def is_ready(port: int) -> bool:
    """Ask the probe at this port once."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until_ready(process: Process, port: int) -> None:
    """Wait until a service says at this port that it is ready.

    Raises:
        BenchError: it ends, or is not ready in time.
    """
    deadline = time.monotonic() + READY_S
    while not is_ready(port):
        process.check_alive()
        if time.monotonic() > deadline:
            raise BenchError(f"the service is not ready after {READY_S:g} s: {process.said()}")
        time.sleep(POLL_S)
