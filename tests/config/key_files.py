"""Keys in files, right ones and wrong ones, for configurations that name them."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

from tests.service.keys.material import jwk_text, pair, pem, public_pem

LONG: Final = "sesame-0123456789-abcdefghijklmnop-ABCDEFGHIJKLMNOP-and-still-longer"  # for every HMAC
ROOT: Final = Random(32).randbytes(32)


def write_key_files(folder: Path) -> None:
    """Write all of them into a folder."""
    files = {
        "ec.pem": pem(pair("ES256")),
        "ec2.pem": pem(pair("ES256", 1)),
        "ec.pub": public_pem(pair("ES256")),
        "ec.jwk": jwk_text(pair("ES256")),
        "rsa.pem": pem(pair("RS256")),
        "rsa.jwk": jwk_text(pair("RS256")),
        "ed.pem": pem(pair("EdDSA")),
        "ed.pub": public_pem(pair("EdDSA")),
        "secret": LONG.encode() + b"\n",
        "root": ROOT,
        "root2": ROOT[::-1],
        "empty": b"",
        "line": b"\n",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
