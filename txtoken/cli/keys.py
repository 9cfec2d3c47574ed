"""`txtoken keys`: makes keys, and shows those of the configuration. Asks no service."""

from __future__ import annotations

import argparse
import re
import secrets
import time
from typing import Any, Final

import orjson

from txtoken.cli.configuration import read_config
from txtoken.cli.current_keys import read_revocations, ring_at
from txtoken.cli.exit_codes import FAILED, OK, USAGE
from txtoken.cli.json_output import print_json
from txtoken.cli.key_table import as_data, as_text, key_table
from txtoken.cli.new_file import NotWritten, write_new
from txtoken.cli.options import add_config_options, add_output_option
from txtoken.cli.terminal import complain, say
from txtoken.config.keyset import KID
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.build import asymmetric
from txtoken.service.keys.key import ALGORITHMS, HMAC_ALGORITHMS, RSA_ALGORITHMS, RSA_BITS_MAX, RSA_BITS_MIN
from txtoken.service.keys.ring import NO_PUBLIC_KEY

SECRET_BYTES: Final = {"HS256": 36, "HS384": 48, "HS512": 66}  # make 48, 64 and 88 characters of base64url
RSA_BITS: Final = 3072


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the three commands and their arguments."""
    commands = parser.add_subparsers(title="commands", required=True)
    about = "make a new random key for `keys`"
    added = commands.add_parser("generate", help=about, description=about)
    added.add_argument("--alg", choices=tuple(ALGORITHMS), default="ES256", help="its algorithm (default: ES256)")
    added.add_argument("--format", choices=("pem", "jwk"), help="how it is written (default: pem); HMAC is text")
    added.add_argument("--kid", type=_kid, help="its name, in a JWK (default: its thumbprint)")
    added.add_argument("--bits", type=_bits, help=f"the size of an RSA key (default: {RSA_BITS})")
    added.add_argument("--out", metavar="FILE", help="a new file that only you can read (default: standard output)")
    added.set_defaults(command=generate)
    for name, command, about in (
        ("list", show, "show all keys, what signs now, and what comes next"),
        ("jwks", jwks, "print the public keys as the service publishes them now"),
    ):
        added = commands.add_parser(name, help=about, description=about)
        add_config_options(added)
        add_output_option(added)
        added.set_defaults(command=command)


def generate(options: argparse.Namespace) -> int:
    """`txtoken keys generate`: a new key, to standard output or to a new file."""
    if wrong := _surplus(options):
        complain(f"txtoken: {wrong}")
        return USAGE
    try:
        text, kid = _generated(options)
        if options.out is None:
            say(text.rstrip("\n"))
            return OK
        write_new(options.out, text)
    except KeyMaterialError as error:
        complain(f"txtoken: {options.alg} {error}")
        return FAILED
    except NotWritten as error:
        complain(f"txtoken: {options.out}: {error}")
        return FAILED
    say(f"Written to {options.out}: {options.alg}{f', kid {kid}' if kid else ''}")
    return OK


def _surplus(options: argparse.Namespace) -> str:
    """Name an option that means nothing for this key. Empty: there is none."""
    if options.bits is not None and options.alg not in RSA_ALGORITHMS:
        return f"--bits is for {' and '.join(RSA_ALGORITHMS)} alone"
    if options.format is not None and options.alg in HMAC_ALGORITHMS:
        return f"--format is not for {options.alg}: its secret is text"
    if options.kid is not None and options.format != "jwk":
        return "--kid is for --format jwk alone: give other keys their name in the configuration (keys.kid)"
    return ""


def _generated(options: argparse.Namespace) -> tuple[str, str]:
    """Make a key. Returns its text and its name, which is empty for a secret.

    Raises:
        KeyMaterialError: a package that it needs is missing.
    """
    algorithm: str = options.alg
    if algorithm in HMAC_ALGORITHMS:
        return secrets.token_urlsafe(SECRET_BYTES[algorithm]) + "\n", ""
    kind: Any = asymmetric()
    private = kind.generate(algorithm, options.bits or RSA_BITS)
    jwk: dict[str, str] = kind.private_jwk(private, algorithm, options.kid or "")
    if options.format == "jwk":
        return orjson.dumps(jwk, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode(), jwk["kid"]
    pem: bytes = kind.private_pem(private)
    return pem.decode("ascii"), jwk["kid"]


def show(options: argparse.Namespace) -> int:
    """`txtoken keys list`: all keys, and what they do now."""
    config = read_config(options)
    revocations = read_revocations(config)
    table = key_table(lambda moment: ring_at(config, moment, revocations), time.time(), config.issue.life_s)
    if options.output == "json":
        print_json(as_data(table))
    else:
        say(as_text(table))
    return OK


def jwks(options: argparse.Namespace) -> int:
    """`txtoken keys jwks`: the JWK Set, in the bytes that the route serves."""
    config = read_config(options)
    published = ring_at(config, time.time(), read_revocations(config)).jwks
    if not published:
        complain(f"txtoken: {NO_PUBLIC_KEY}")
        return FAILED
    say(published.decode())
    return OK


def _kid(text: str) -> str:
    if not re.fullmatch(KID, text):
        raise argparse.ArgumentTypeError("wants 1 to 64 letters, digits, _, . or -")
    return text


def _bits(text: str) -> int:
    bits = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    if not RSA_BITS_MIN <= bits <= RSA_BITS_MAX or bits % 8:
        raise argparse.ArgumentTypeError(
            f"wants a number of bits from {RSA_BITS_MIN} to {RSA_BITS_MAX}, a multiple of 8"
        )
    return bits
