"""`txtoken keys`: makes keys, shows what those of the configuration do and when, and prints the public ones. Asks no service."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import secrets
import sys
import time
from collections.abc import Sequence
from math import inf
from typing import Any, Final

import orjson

from txtoken.cli.exit_codes import FAILED, OK
from txtoken.cli.terminal import (
    add_config_options,
    add_output_option,
    print_json,
    read_config,
    read_file_argument,
    say,
)
from txtoken.config.files import KEY_FILE_BYTES_MAX
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.build import CRYPTO_MISSING, build_ring
from txtoken.service.keys.derived import Schedule
from txtoken.service.keys.key import ALGORITHMS, HMAC_ALGORITHMS, KID, Key
from txtoken.service.keys.timeline import KeyState, Timeline, timeline
from txtoken.service.keys.verifiers import verifiers_without
from txtoken.service.times import date_time, duration

RSA_BITS: Final = 3072  # as strong as P-256 and Ed25519 (NIST SP 800-57 part 1, table 2)
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192
# Random bytes of a secret. Its text, a third longer, has no padding; both are as long as the hash at least (RFC 7518 §3.2).
SECRET_BYTES: Final = {"HS256": 36, "HS384": 48, "HS512": 66}
ASYMMETRIC: Final = tuple(name for name in ALGORITHMS if name not in HMAC_ALGORITHMS)
NOTHING: Final = "–"
ENC_KEY: Final = "encKey"


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the four commands and their arguments."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about)

    new = add("generate", "print a new random key, or write it to a file that only you can read")
    new.add_argument("--alg", choices=tuple(ALGORITHMS), default="ES256", help="what it is for (default: ES256)")
    new.add_argument("--format", choices=("pem", "jwk"), help="of an asymmetric key (default: pem, PKCS #8)")
    new.add_argument("--kid", type=_kid_argument, help="the name in a JWK (default: the thumbprint, RFC 7638)")
    new.add_argument("--bits", type=_rsa_bits, help=f"of an RSA key (default: {RSA_BITS})")
    new.add_argument("--out", metavar="FILE", help="a new file, with mode 0600 (default: standard output)")
    new.set_defaults(command=generate, refuse=new.error)

    half = add("public", "print the public half of a key")
    half.add_argument("file", metavar="FILE", help="the key, as PEM or JWK; - reads standard input")
    half.add_argument("--alg", choices=ASYMMETRIC, help="what it is for (default: what it says; RS256 for RSA)")
    half.add_argument("--format", choices=("pem", "jwk"), default="pem", help="default: pem")
    half.add_argument(
        "--kid",
        type=_kid_argument,
        help="the name in the JWK (default: its own, else the thumbprint, RFC 7638)",
    )
    half.set_defaults(command=public)

    known = add("list", "show the keys of the configuration: which one signs, which comes, and when")
    add_config_options(known)
    add_output_option(known)
    known.set_defaults(command=show)

    published = add("jwks", "print the public keys of the configuration, as jwksRoute serves them now")
    add_config_options(published)
    published.set_defaults(command=jwks)


def generate(options: argparse.Namespace) -> int:
    """`txtoken keys generate`: a new key."""
    is_rsa = options.alg in ("RS256", "PS256")
    if options.bits is not None and not is_rsa:
        options.refuse(f"--bits is for RS256 and PS256: keys of {options.alg} have one length")
    if options.alg in HMAC_ALGORITHMS:
        for name in ("format", "kid"):
            if getattr(options, name) is not None:
                options.refuse(f"--{name} is for asymmetric keys: a secret of {options.alg} is plain text")
        _write(options.out, secrets.token_urlsafe(SECRET_BYTES[options.alg]).encode("ascii") + b"\n")
        return OK
    if options.kid is not None and options.format != "jwk":
        options.refuse("--kid is for --format jwk: a PEM holds no name, so say `kid` in the configuration")
    pairs = _pairs(options.alg)
    private = pairs.generate(options.alg, options.bits or RSA_BITS)
    if options.format == "jwk":
        members = pairs.private_jwk(private, options.alg, options.kid or "")
        text = orjson.dumps(members, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    else:
        text = pairs.private_pem(private)
    _write(options.out, text)
    if options.out is not None:
        say(f"{options.out}: {options.alg}, kid {options.kid or pairs.kid_of(private)}")
    return OK


def public(options: argparse.Namespace) -> int:
    """`txtoken keys public`: the public half of a key."""
    data = read_file_argument(options.file, KEY_FILE_BYTES_MAX)
    pairs = _pairs(options.alg or "an asymmetric key")
    try:
        key = pairs.read(data, options.alg or "", options.kid or "")
    except KeyMaterialError as error:
        raise KeyMaterialError(f"{'the key' if options.file == '-' else options.file} {error}") from None
    if options.format == "jwk":
        print_json(pairs.public_jwk(key))
    else:
        say(key.public_pem().decode("ascii").removesuffix("\n"))
    return OK


def show(options: argparse.Namespace) -> int:
    """`txtoken keys list`: each key, what it does, and what comes."""
    config, now = read_config(options), time.time()
    found = timeline(config.keys, config.issue.ttl_s, now)
    if options.output == "json":
        print_json(_as_json(found))
        return OK
    for line in (*_table(found.keys), "", *_outlook(found, now)):
        say(line)
    if found.schedule is not None:
        say(_rhythm(found.schedule))
    for algorithm in dict.fromkeys(state.key.algorithm for state in found.keys):
        if algorithm in HMAC_ALGORITHMS:
            say(f"{algorithm} is verified by this service, and by those that have the secret.")
        elif without := verifiers_without(algorithm):
            say(f"{algorithm} cannot be verified by: {', '.join(without)}.")
    return OK


def jwks(options: argparse.Namespace) -> int:
    """`txtoken keys jwks`: the JWK Set as it is published now."""
    config = read_config(options)
    ring = build_ring(config.keys, config.issue.ttl_s)
    ring.refresh(time.time())
    if not ring.jwks:
        say("txtoken: there are no public keys: all keys are secrets (HMAC), which are never published", sys.stderr)
        return FAILED
    say(ring.jwks.decode())
    return OK


def _pairs(what: str) -> Any:
    """Load what knows asymmetric keys: `cryptography` is not installed everywhere."""
    try:
        return importlib.import_module("txtoken.service.keys.pairs")
    except ImportError:
        raise KeyMaterialError(f"{what} {CRYPTO_MISSING}") from None


def _write(path: str | None, text: bytes) -> None:
    """Write a key to a new file that nobody else could ever read, or to standard output."""
    if path is None:
        say(text.decode("ascii").removesuffix("\n"))
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise KeyMaterialError(f"{path} exists already, and a key is never overwritten") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise KeyMaterialError(f"{path} cannot be written: {reason}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
    except OSError as error:
        os.unlink(path)  # half a key
        raise KeyMaterialError(f"{path} cannot be written: {error.strerror}") from None


def _table(states: Sequence[KeyState]) -> list[str]:
    rows = [("KID", "ALG", "NOW", "FROM", "UNTIL", "SIGNS IN")]
    for state in states:
        key = state.key
        lead = NOTHING if state.lead_s is None else duration(state.lead_s)
        rows.append((key.kid or NOTHING, key.algorithm, state.does, _time(key.begins), _time(key.until), lead))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _outlook(found: Timeline, now: float) -> list[str]:
    signs = "Nothing signs now." if found.signer is None else f"Signs now: {_name(found.signer)}."
    if found.switches == inf:
        comes = "Next: nothing comes."
    else:
        what = "no key" if found.following is None else _name(found.following)
        comes = f"Next: {what}, from {date_time(found.switches)} on, in {duration(found.switches - now)}."
    ends = "The keys do not end." if found.ends == inf else f"No key signs from {date_time(found.ends)} on."
    return [signs, comes, ends]


def _rhythm(schedule: Schedule) -> str:
    lead, lag = (duration(count * schedule.every_s) for count in (schedule.coming, schedule.old))
    return f"Each key signs for {duration(schedule.every_s)}, and is known for {lead} before that and {lag} after it."


def _as_json(found: Timeline) -> dict[str, object]:
    following = None
    if found.switches < inf:
        following = {"kid": _kid(found.following), "from": date_time(found.switches)}
    return {
        "keys": [
            {
                "kid": _kid(state.key),
                "alg": state.key.algorithm,
                "now": state.does,
                "from": _json_time(state.key.begins),
                "until": _json_time(state.key.until),
                "signsInSeconds": None if state.lead_s is None else int(state.lead_s),
                "notVerifiedBy": verifiers_without(state.key.algorithm),
            }
            for state in found.keys
        ],
        "signs": None if found.signer is None else {"kid": _kid(found.signer), "alg": found.signer.algorithm},
        "next": following,
        "ends": _json_time(found.ends),
    }


def _name(key: Key) -> str:
    return f"{key.kid or ENC_KEY} ({key.algorithm})"


def _kid(key: Key | None) -> str | None:
    return None if key is None else key.kid or None


def _time(moment: float) -> str:
    return date_time(moment) if -inf < moment < inf else NOTHING


def _json_time(moment: float) -> str | None:
    return date_time(moment) if -inf < moment < inf else None


def _kid_argument(text: str) -> str:
    if not re.fullmatch(KID, text):
        raise argparse.ArgumentTypeError("wants 1 to 64 letters, digits, _, . or -")
    return text


def _rsa_bits(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not RSA_BITS_MIN <= int(text[:6]) <= RSA_BITS_MAX:
        raise argparse.ArgumentTypeError(f"wants a number from {RSA_BITS_MIN} to {RSA_BITS_MAX}")
    return int(text)
