"""The conditions under which something was counted. Figures are compared only where they are equal.

Asks the interpreter that will run the service, in the same emulator. Knows no paths: a fingerprint is published.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from bench.count.build import Build
from bench.count.counters import Counters
from bench.count.emulator import Emulator
from bench.errors import BenchError

# What a request runs through, or that decides what it runs through. Those that are not installed are not listed.
WHEELS: Final = ("uvloop", "httptools", "orjson", "aiohttp", "PyJWT", "cryptography", "pybase64", "yarl")
_ANSWER_S: Final = 120.0
_ID_LETTERS: Final = 8
_SAID_MAX: Final = 300
# Runs in the interpreter that is asked. Whoever compiled a module has left its name in it; the C library has its own.
_QUESTION: Final = r"""
import glob, importlib.metadata, importlib.util, json, os, re, ssl, sys
def found(pattern, path):
    with open(path, "rb") as file:
        named = re.search(pattern, file.read())
    return named[0].decode() if named else "unknown"
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
origin = importlib.util.find_spec("txtoken.http1.parser").origin
compiled = not origin.endswith(".py")
libc = re.search(r"\S*/libc\.so\.6\b|\S*/ld-musl\S*", open("/proc/self/maps").read())
print(json.dumps({
    "python": sys.version,
    "build": "compiled" if compiled else "source",
    "compiler": found(rb"GCC: \([^\0]*|clang version [^\0]*", origin) if compiled else "none",
    "libc": found(rb"GNU C Library[^\n]*(?= stable release)", libc[0]) if libc else "unknown",
    "openssl": ssl.OPENSSL_VERSION,
    "wheels": {name: text for name in sys.argv[1:] if (text := version(name))},
}))
"""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What has to be equal before two counts are compared."""

    arch: str
    cpu: str  # the model that is emulated
    qemu: str
    addresses: str  # fixed, or random where the machine does not permit that
    counting: str  # how many starts and requests
    python: str
    build: str  # compiled, or source
    compiler: str  # of the compiled modules
    libc: str
    openssl: str
    wheels: Mapping[str, str]

    @property
    def id(self) -> str:
        """Name it: equal fingerprints have equal names."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_ID_LETTERS]

    @property
    def summary(self) -> str:
        """Describe it in few words, for a heading."""
        version = self.python.partition(" ")[0]
        return f"{self.arch} ({self.cpu}), {self.build}, Python {version}, {self.counting}; fingerprint {self.id}"

    def differences(self, other: Fingerprint) -> list[str]:
        """Say what is different in another one, from its value to this one's."""
        found = []
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine == theirs:
                continue
            if field.name != "wheels":
                found.append(f"{field.name}: {theirs} → {mine}")
                continue
            found += [
                f"{name}: {theirs.get(name, 'none')} → {mine.get(name, 'none')}"
                for name in sorted({*mine, *theirs})
                if mine.get(name) != theirs.get(name)
            ]
        return found


def fingerprint(emulator: Emulator, build: Build, environment: Mapping[str, str], counting: str) -> Fingerprint:
    """Ask the interpreter.

    Raises:
        BenchError: it does not run, has no txtoken, or the plugin does not count.
    """
    with (
        tempfile.TemporaryDirectory(prefix="txtoken-count-") as folder,
        Counters(Path(folder) / "counters") as counters,
    ):
        command = emulator.command(
            counters.path, {**environment, **build.environment}, [build.python, "-P", "-c", _QUESTION, *WHEELS]
        )
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_ANSWER_S,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"{build.python} does not answer within {_ANSWER_S:g} s in {emulator.program}") from None
        if done.returncode:
            said = done.stderr.strip().rpartition("\n")[2][-_SAID_MAX:]
            raise BenchError(f"{build.python} has no txtoken that runs in {emulator.program}: {said}")
        if not counters.read().instructions:
            raise BenchError(f"the plugin counts nothing in {emulator.program}, version {emulator.version}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return Fingerprint(
        arch=emulator.arch,
        cpu=emulator.model,
        qemu=emulator.version,
        addresses="fixed" if emulator.fixes_addresses else "random",
        counting=counting,
        **answer,
    )
