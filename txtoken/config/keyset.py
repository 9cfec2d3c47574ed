"""The values of the key `keys`: one key of a keyset (contract §5). Signs nothing."""

from __future__ import annotations

import re
from math import inf
from typing import Final

import yaml

from txtoken import timestamp
from txtoken.config.values import Kind, Wrong, choice, kind, read_text
from txtoken.service.keys.key import ALGORITHMS, HMAC_ALGORITHMS
from txtoken.settings import HIDDEN, KeyEntry, RotationSettings

KID: Final = "[A-Za-z0-9_.-]{1,64}"

read_algorithm: Final = choice(*ALGORITHMS)


def _as_written(listed: tuple[tuple[KeyEntry, ...], RotationSettings | None]) -> object:
    """Write a keyset as in the file, with secrets hidden."""
    entries, rotation = listed
    if rotation is not None:
        times = {"every": rotation.every_s, "lead": rotation.lead_s, "iss": rotation.issuer}
        return {"alg": rotation.algorithm, "secretFile": [HIDDEN for _ in rotation.secrets], **times}
    return [
        {
            "alg": entry.algorithm,
            **({"kid": entry.kid} if entry.kid else {}),
            ("secret" if entry.algorithm in HMAC_ALGORITHMS else "keyFile"): HIDDEN,
            **({"from": timestamp.written(entry.begins)} if entry.begins > -inf else {}),
            **({"until": timestamp.written(entry.until)} if entry.until < inf else {}),
        }
        for entry in entries
    ] or None


def _never(_: yaml.Node) -> None:
    raise AssertionError("a list of sections is read key by key")


KEYSET: Final[Kind[None]] = Kind(_never, {}, _as_written)


@kind("string number boolean", pattern=KID)
def read_kid(node: yaml.Node) -> str:
    """A key's name, as it stands in tokens (RFC 7515 §4.1.4)."""
    text = read_text(node)
    if not re.fullmatch(KID, text):
        raise Wrong("has to be 1 to 64 letters, digits, _, . or -")
    return text
