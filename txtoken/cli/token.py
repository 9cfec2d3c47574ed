"""`txtoken token`: issues, verifies and explains tokens with the configuration's keys. Asks no service."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from dataclasses import replace
from typing import Any, Final

import orjson

from txtoken.cli.exit_codes import FAILED, OK, USAGE
from txtoken.cli.terminal import (
    add_config_options,
    add_output_option,
    print_json,
    read_argument,
    read_config,
    read_token,
    say,
)
from txtoken.errors import TokenError
from txtoken.service.explanation import explain as explain_token
from txtoken.service.keys.build import build_ring
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.compact import NESTING_MAX, UnusableJson, read_object
from txtoken.service.tokens.issue import new_issuer
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.segments import decode_segment
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import Config

HOURS_MAX: Final = 100 * 366 * 24  # as expHours


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the three commands and their arguments."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command, about in (
        ("issue", issue, "sign a token for a JSON object"),
        ("verify", verify, "print a valid token's claims"),
        ("explain", explain, "say in plain words why a token is or is not valid"),
    ):
        added = commands.add_parser(name, help=about, description=about)
        add_config_options(added)
        add_output_option(added)
        if command is issue:
            added.add_argument(
                "data", nargs="?", default="-", help="the object, as the remote would reply; - reads standard input"
            )
            added.add_argument("--hours", type=_ttl_s, help="how long it is valid (default: expHours)")
        else:
            added.add_argument(
                "token", nargs="?", default="-", help="the token, as it was copied; - reads standard input"
            )
        if command is verify:
            _add_jwks_options(added)
        added.set_defaults(command=command)


def _add_jwks_options(parser: argparse.ArgumentParser) -> None:
    about = "verify with this JWK Set, as other services do, in place of the configuration"
    parser.add_argument("--jwks", metavar="URL|FILE", help=about)
    for name, metavar, about in (
        ("iss", "ISS", "with --jwks: who has to have issued it"),
        ("aud", "AUD", "with --jwks: whom it has to be for; the service compares it, so should this"),
        ("alg", "ALG", "with --jwks: the algorithm that is accepted (default: whatever the key's own is)"),
    ):
        parser.add_argument(f"--{name}", metavar=metavar, action="append", default=[], help=f"{about}; may be repeated")
    parser.set_defaults(refuse=parser.error)


def issue(options: argparse.Namespace) -> int:
    """`txtoken token issue`: a token as the service would sign it, without asking the remote."""
    config = read_config(options)
    try:
        reply, data = read_object(read_argument(options.data), NESTING_MAX)
    except UnusableJson as error:
        say(f"txtoken: DATA is {error}. It has to be a JSON object, as the remote would reply.", sys.stderr)
        return USAGE
    settings = config.issue if options.hours is None else replace(config.issue, ttl_s=options.hours)
    now = int(time.time())
    token = new_issuer(_ring(config), settings).issue(data, now, reply)
    if options.output == "json":
        claims = orjson.loads(decode_segment(token.split(b".")[1]) or b"")
        print_json({"token": token.decode("ascii"), "exp": claims["exp"]})
    else:
        say(token.decode("ascii"))
    return OK


def verify(options: argparse.Namespace) -> int:
    """`txtoken token verify`: the claims of a valid token, or why it is not valid."""
    if options.jwks is None and (options.iss or options.aud or options.alg):
        options.refuse("--iss, --aud and --alg go with --jwks; the configuration's are verify.iss and verify.aud")
    if options.jwks is not None and (options.config is not None or options.set):
        options.refuse("--jwks takes the place of the configuration: leave --config and --set out")
    try:
        claims = _claims(options)
    except TokenError as error:
        if options.output == "json":
            print_json({"valid": False, "error": error.public})
        else:
            say(f"not valid: {error.public}", sys.stderr)
        return FAILED
    if options.output == "json":
        print_json({"valid": True, "claims": orjson.Fragment(claims)})
    else:
        say(claims.decode())
    return OK


def explain(options: argparse.Namespace) -> int:
    """`txtoken token explain`: why is this token valid, or why not?"""
    config = read_config(options)
    ring = _ring(config)
    explanation = explain_token(_verifier(config, ring), ring, read_token(options.token), time.time())
    readable = {"header": explanation.header, "claims": explanation.claims}
    if options.output == "json":
        parts = {name: None if text is None else orjson.Fragment(text) for name, text in readable.items()}
        print_json(
            {
                "valid": explanation.valid,
                "error": explanation.error,
                "reason": explanation.reason,
                **parts,
                "notVerifiedBy": explanation.not_verified_by,
            }
        )
    else:
        say(f"{'Valid' if explanation.valid else 'Not valid'}: {explanation.reason}.")
        if explanation.error is not None:
            say(f"  answer:  {explanation.error}")
        for name, text in readable.items():
            say(f"  {name}:  {'cannot be read' if text is None else text.decode()}")
        if explanation.not_verified_by:
            say(f"  cannot be verified by:  {', '.join(explanation.not_verified_by)}")
    return OK if explanation.valid else FAILED


def _claims(options: argparse.Namespace) -> bytes:
    if options.jwks is None:
        config = read_config(options)
        return _verifier(config, _ring(config)).verify(read_token(options.token), time.time()).claims
    foreign: Any = importlib.import_module("txtoken.cli.jwks")  # with PyJWT, which nothing else has a use for
    claims: bytes = foreign.verify(
        options.jwks, read_token(options.token), foreign.Demands(options.iss, options.aud, options.alg)
    )
    return claims


def _ring(config: Config) -> KeyRing:
    ring = build_ring(config.keys, config.issue.ttl_s)
    ring.refresh(time.time())
    return ring


def _verifier(config: Config, ring: KeyRing) -> TokenVerifier:
    return TokenVerifier(ring, config.check, Memory(0))


def _ttl_s(text: str) -> int:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= HOURS_MAX:
        raise argparse.ArgumentTypeError(f"wants a number of hours above 0 and at most {HOURS_MAX}")
    return max(1, round(hours * 3600))
