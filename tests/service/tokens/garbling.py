"""Tokens that somebody changed, byte by byte."""

from __future__ import annotations

from random import Random
from typing import Final

ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\x00\xff"


def garbled(good: bytes, random: Random) -> bytes:
    """Change some bytes of a token."""
    token = bytearray(good)
    # Half of them are in the signature, where other libraries are lenient.
    first = good.rindex(b".") + 1 if random.random() < 0.5 else 0
    for _ in range(random.randint(1, 3)):
        at = random.randrange(min(first, len(token) - 1), len(token))
        match random.randrange(5):
            case 0:
                token[at] = random.choice(ALPHABET)
            case 1:
                del token[at : at + random.randint(1, 4)]
            case 2:
                token[at:at] = bytes(random.choices(ALPHABET, k=random.randint(1, 3)))
            case 3:
                other = random.randrange(len(token))
                token[at], token[other] = token[other], token[at]
            case _:
                token[-1] = random.choice(ALPHABET)
        if len(token) < 2:
            break
    return bytes(token)
