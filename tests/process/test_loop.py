"""The loop connects sockets to IP addresses without a name look-up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.running import PATIENCE_S
from txtoken.process.loop import LOOP_NAME

CONNECT = """
import asyncio, os, socket
from txtoken.process.loop import run

async def main():
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, listener.getsockname())
        assert client.getpeername() == listener.getsockname()
        return len(os.listdir("/proc/self/task"))

raise SystemExit(run(main()))
"""


@pytest.mark.skipif(LOOP_NAME != "uvloop" or sys.platform != "linux", reason="uvloop's threads are seen in /proc")
def test_an_address_is_not_looked_up() -> None:
    """Connecting a socket starts none of the threads in which uvloop resolves names."""
    done = subprocess.run([sys.executable, "-c", CONNECT], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (1, "")
