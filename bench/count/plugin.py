"""The plugin that counts inside qemu-user: compiled when it is first needed, and kept.

Knows the C compiler; what the plugin counts stands in plugin.c.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from bench.errors import BenchError, Unavailable

SOURCE: Final = Path(__file__).with_name("plugin.c")
CACHE: Final = Path(__file__).with_name(".plugin")  # ignored by git
FLAGS: Final = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
COMPILE_S: Final = 60.0


def built(api: int) -> Path:
    """Return the plugin for this version of QEMU's plugin interface, compiled if it is not there yet.

    Raises:
        Unavailable: there is no C compiler.
        BenchError: the compiler does not accept the plugin.
    """
    source = SOURCE.read_bytes()
    name = hashlib.sha256(source + repr((api, FLAGS)).encode()).hexdigest()[:16]
    path = CACHE / f"{name}.so"
    if path.exists():
        return path
    if shutil.which("cc") is None:
        raise Unavailable("a C compiler is missing, for the plugin that counts: apt-get install gcc libc6-dev")
    CACHE.mkdir(exist_ok=True)
    # Compiled beside its place and moved there: two counts that begin at once never see half of it.
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        made = Path(folder) / path.name
        command = ["cc", *FLAGS, f"-DAPI={api}", "-o", str(made), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=False)
        if done.returncode:
            raise BenchError(f"the plugin that counts does not compile: {done.stderr.strip()}")
        os.replace(made, path)
    return path
