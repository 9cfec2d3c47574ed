"""Settings of keys (contract §5). Builds each key once, to check that it can be used."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from codecs import BOM_UTF8
from collections.abc import Mapping
from itertools import pairwise
from math import floor, inf, sqrt
from typing import Any, Final

from txtoken import timestamp
from txtoken.config import signing_secret
from txtoken.config.keyset import KID
from txtoken.config.reader import Reader, Section
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.build import build_derived, build_key, build_ring
from txtoken.service.keys.derived import FIELD_BYTES_MAX, KEYS_MAX, Schedule
from txtoken.service.keys.hmac import SECRET_BYTES_MIN, is_other_key
from txtoken.service.keys.key import HMAC_ALGORITHMS, Key
from txtoken.service.tokens.segments import encode_segment
from txtoken.settings import KeyEntry, KeySettings, RotationSettings, Secret

ROOT_BYTES_MIN: Final = 32
DAY_S: Final = 24 * 3600
HOUR_S: Final = 3600
DIFFERENT_BYTES_MIN: Final = 16  # of 32 random bytes 30 are different
# For the base64 text of random bytes: how many characters are followed by one of another kind (upper, lower, digit, other) and
# the variance of that, both for each character. Then: how many standard deviations away text no longer counts as random. Words
# have fewer changes, and more letters of one case. One of 100 000 secrets of `openssl rand -base64 32` is as far away.
CHANGES: Final = 0.645
CHANGES_VARIANCE: Final = 0.229
MADE_UP_MIN: Final = 7.5
# Tried first: a short hexadecimal secret is also valid base64.
_HEXADECIMAL: Final = re.compile(rb"(?:[0-9a-fA-F]{2})+")
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_GENERATE: Final = "`openssl rand -base64 32` makes one"


def key_settings(reader: Reader, value: Mapping[str, Any], secret: Secret | None) -> KeySettings:
    """Make the settings of keys. `secret` is the value of `encKey`. Problems and warnings go to the reader."""
    given = value["keys"]
    if isinstance(given, Section):
        return KeySettings(secret, rotation=_rotation(reader, given, value))
    entries: list[KeyEntry] = []
    keys: list[Key] = []
    for section in given or []:
        entry = _entry(reader, section)
        key = None if entry is None else _built(reader, section, entry)
        if entry is None or key is None:
            continue
        if entry.material in [other.material for other in entries] or _is_same(key, keys):
            text = "is in this list already: a key has one name and one algorithm"
            reader.complain_in(section, "keys", _material_name(section), text)
        elif key.kid in {other.kid for other in keys}:
            reader.complain_in(section, "keys", "kid", f"is already the name of another key: {key.kid}")
        else:
            if not key.can_sign and entry.begins > -inf:
                reader.warnings.append(f"keys: {key.kid} is a public key and never signs: its `from` has no effect")
            entries.append(entry)
            keys.append(key)
    settings = KeySettings(secret, tuple(entries))
    if given is not None:
        if not given:
            reader.complain_of("keys", "contains no key: leave it out, or add one")
        elif len(keys) == len(given) and (secret is not None or not reader.given.keys() & {"encKey", "encKeyFile"}):
            _check_times(reader, settings, value["expHours"])
    return settings


def _entry(reader: Reader, section: Section) -> KeyEntry | None:
    """Make a key's settings. None: something is missing or wrong."""
    values = section.values
    if not values:
        return None  # it is not a section
    algorithm = values["alg"]
    if algorithm is None:
        if "alg" not in section.given and (section.given or section.is_whole):
            reader.complain_in(section, "keys", "alg", "is required, for example ES256")
        return None
    is_hmac = algorithm in HMAC_ALGORITHMS
    wanted = ("secret", "secretFile") if is_hmac else ("keyFile",)
    named = [name for name in ("secret", "secretFile", "keyFile") if name in section.given]
    for name in named:
        if name not in wanted:
            reader.complain_in(section, "keys", name, f"is not for {algorithm}: it needs {' or '.join(wanted)}")
            return None
    if len(named) != 1:
        text = "is set beside secretFile: keep one of them" if named else f"is required for {algorithm}"
        reader.complain_in(section, "keys", wanted[0], text)
        return None
    if is_hmac and not values["kid"] and "kid" not in section.given:
        reader.complain_in(section, "keys", "kid", f"is required for {algorithm}: a name for the key, like 2027-01")
        return None
    begins, until = values["from"], values["until"]
    if begins is not None and until is not None and until <= begins:
        reader.complain_in(section, "keys", "until", "has to be after `from`")
        return None
    if not section.is_whole:
        return None
    material = values[named[0]]
    data = material.encode() if isinstance(material, str) else material
    return KeyEntry(
        algorithm, Secret(data), values["kid"], -inf if begins is None else begins, inf if until is None else until
    )


def _built(reader: Reader, section: Section, entry: KeyEntry) -> Key | None:
    """Build a key, to check that it can be used. None: it cannot."""
    name = _material_name(section)
    data = entry.material.reveal()
    if entry.algorithm in HMAC_ALGORITHMS:
        wanted = SECRET_BYTES_MIN[entry.algorithm]
        if len(data) < wanted:
            text = f"has to be {wanted} bytes long at least for {entry.algorithm}; this one has {len(data)}"
            reader.complain_in(section, "keys", name, text)
            return None
        if weakness := signing_secret.weakness(data.decode("latin-1")):
            reader.complain_in(section, "keys", name, weakness)
            return None
        if entry.kid == _secret_thumbprint(data):
            text = "is the thumbprint of the secret, which lets anyone test guesses (RFC 7638 §7): choose another name"
            reader.complain_in(section, "keys", "kid", text)
            return None
    try:
        key = build_key(entry)
    except KeyMaterialError as error:
        reader.complain_in(section, "keys", name, str(error))
        return None
    if not re.fullmatch(KID, key.kid):
        text = "is a JWK whose name (kid) is not 1 to 64 letters, digits, _, . or -: set another with `kid`"
        reader.complain_in(section, "keys", name, text)
        return None
    return key


def _material_name(section: Section) -> str:
    (name,) = [name for name in ("secret", "secretFile", "keyFile") if name in section.given]
    return name


def _is_same(key: Key, others: list[Key]) -> bool:
    """Whether one of these keys has the same public key, in whatever form it was given."""
    members = key.public_members()
    return members is not None and any(other.public_members() == members for other in others)


def _secret_thumbprint(secret: bytes) -> str:
    members = b'{"k":"%b","kty":"oct"}' % encode_segment(secret)
    return encode_segment(hashlib.sha256(members).digest()).decode("ascii")


def _check_times(reader: Reader, settings: KeySettings, life_s: int) -> None:
    """Check that a key signs at every moment from now on, and outlives its tokens."""
    ring, now = build_ring(settings, life_s), time.time()
    moments = sorted({now, *(key.begins for key in ring.keys), *(key.until for key in ring.keys)})
    coming = [moment for moment in moments if now <= moment < inf]
    silent = [moment for moment in coming if ring.signer(moment) is None]
    last = max((key.until for key in ring.keys if key.can_sign), default=-inf)
    if last <= now:
        reader.complain_of("keys", "contains no key that signs now or later: add a private key or a secret")
    elif gaps := [moment for moment in silent if moment < last]:
        if gaps[0] > now:
            text = f"has a gap: no key signs from {_shown_time(gaps[0])} on"
        else:
            first = min(moment for moment in coming if moment not in silent)
            text = f"has no key that signs before {_shown_time(first)}: keep the old key or encKey, or remove a `from`"
        reader.complain_of("keys", text)
    elif last < inf:
        reader.warnings.append(
            f"keys ends at {_shown_time(last)}: no key signs from then on. Add the next key before that"
        )
    for moment in coming:
        key = ring.signer(moment, life_s)
        if key is not None and key.until < moment + life_s and moment < last:
            text = f"tokens of the key {key.kid or 'encKey'} expire with it, at {_shown_time(key.until)}, before expHours is over"
            reader.warnings.append(text)
            return


def _rotation(reader: Reader, section: Section, value: Mapping[str, Any]) -> RotationSettings | None:
    values = section.values
    for name, how in (
        ("secretFile", "a file of 32 random bytes. (To list your own keys, put `- ` before each)"),
        ("alg", "EdDSA, ES256 or HS256"),
        ("every", "for example 24h"),
    ):
        if name not in section.given:
            reader.complain_in(section, "keys", name, f"is required: {how}")
    issuer = values["iss"] or value["claims.iss"]
    if not issuer:
        reader.complain_in(section, "keys", "iss", "is required, here or as claims.iss: each issuer has its own keys")
    if not section.is_whole or not issuer or None in (values["secretFile"], values["alg"], values["every"]):
        return None
    if len(issuer.encode()) > FIELD_BYTES_MAX:
        reader.complain_in(section, "keys", "iss", f"is longer than {FIELD_BYTES_MAX} bytes")
        return None
    every_s = int(values["every"])
    lead_s = min(DAY_S, every_s) if values["lead"] is None else int(values["lead"])
    if every_s != values["every"]:
        reader.complain_in(section, "keys", "every", "has to be a whole number of seconds")
        return None
    secrets = [_root(reader, section, data) for data in values["secretFile"]]
    if None in secrets:
        return None
    roots = tuple(Secret(secret) for secret in secrets if secret is not None)
    if len(set(secrets)) < len(secrets):
        reader.complain_in(section, "keys", "secretFile", "lists the same secret twice")
        return None
    use_s = value["expHours"] + int(value["refresh.grace"])  # as `Config.token_use_s`
    schedule = Schedule(every_s, lead_s, use_s)
    count = (schedule.old + 1 + schedule.coming) * len(roots)
    if count > KEYS_MAX:
        text = f"would make {count} keys valid at a time, and many verifiers accept at most {KEYS_MAX}"
        reader.complain_in(section, "keys", "every", f"{text}: make `every` longer, or expHours or `lead` shorter")
        return None
    if len(roots) == 1 and 2 * count > KEYS_MAX:
        text = (
            f"{count} keys are valid at a time: a second secret, to replace this one, would make more than {KEYS_MAX}"
        )
        reader.warnings.append(f"keys.every: {text}")
    if every_s < HOUR_S:
        reader.warnings.append(f"keys.every is {every_s} s, but verifiers fetch keys only every few minutes or hours")
    if lead_s == 0:
        text = "verifiers do not know keys before they sign, so tokens are rejected for as long as clocks differ"
        reader.warnings.append(f"keys.lead is 0: {text}")
    rotation = RotationSettings(roots, values["alg"], issuer, every_s, lead_s)
    try:
        build_derived(rotation, use_s)
    except KeyMaterialError as error:
        reader.complain_in(section, "keys", "alg", str(error))
        return None
    return rotation


def _root(reader: Reader, section: Section, data: bytes) -> bytes | None:
    """Read the secret that keys are derived from: random bytes, raw or as base64 or hexadecimal text. None: it is not random, or
    too short.
    """
    secret = _decoded(data)
    how = "" if secret in data else ", decoded"
    if data.startswith(BOM_UTF8) and data.removeprefix(BOM_UTF8).isascii():
        text = "begins with a byte order mark, which would change the keys: save it without one"
    elif is_other_key(data):
        text = f"contains a PEM, SSH or JWK key, not a secret. {_GENERATE}"
    elif len(secret) < ROOT_BYTES_MIN:
        text = f"contains a secret of {len(secret)} bytes{how}: it has to be at least {ROOT_BYTES_MIN} random bytes. {_GENERATE}"
    elif len(set(secret)) < DIFFERENT_BYTES_MIN or _looks_made_up(data):
        text = f"contains a secret that looks made by a person: a published key lets anyone test guesses. {_GENERATE}"
    else:
        return secret
    reader.complain_in(section, "keys", "secretFile", text)
    return None


def _decoded(data: bytes) -> bytes:
    """Decode hexadecimal text, or base64 of either alphabet, with or without padding. Other text is used as it is, without a
    trailing line end, and so are bytes that are not text.
    """
    text = b"".join(data.split())
    if _HEXADECIMAL.fullmatch(text):
        return bytes.fromhex(text.decode("ascii"))
    stripped = text.rstrip(b"=")
    if _BASE64.fullmatch(text) and len(stripped) % 4 != 1:  # base64 never has such a length
        return base64.urlsafe_b64decode(stripped.translate(_TO_URL) + b"=" * (-len(stripped) % 4))
    return data.removesuffix(b"\n").removesuffix(b"\r") if data.isascii() else data


def _looks_made_up(data: bytes) -> bool:
    """Whether this text is unlike base64 of random bytes, as words are."""
    if _HEXADECIMAL.fullmatch(b"".join(data.split())):
        return False
    try:
        text = "".join(data.decode().split())
    except UnicodeDecodeError:
        return False
    if not text.isprintable():
        return False
    kinds = [_kind_of(character) for character in text]
    changes = sum(one != other for one, other in pairwise(kinds))
    missing = (CHANGES * len(text) - changes) / sqrt(CHANGES_VARIANCE * len(text))
    lower, upper = kinds.count("lower"), kinds.count("upper")
    return missing + abs(lower - upper) / sqrt(max(lower + upper, 1)) > MADE_UP_MIN


def _kind_of(character: str) -> str:
    if character.isdigit():
        return "digit"
    return ("upper" if character.isupper() else "lower") if character.isalpha() else "other"


def _shown_time(moment: float) -> str:
    return timestamp.written(floor(moment))
