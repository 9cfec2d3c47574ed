"""`txtoken token`: issues, verifies and explains tokens with the configuration's key, or verifies them by published keys. Asks no
service but the one that publishes these.
"""

from __future__ import annotations

import argparse
import importlib
import time
from dataclasses import replace

import orjson

from txtoken.cli.configuration import read_config
from txtoken.cli.current_keys import read_revocations, ring_at
from txtoken.cli.exit_codes import FAILED, OK, USAGE
from txtoken.cli.given_text import read_argument, read_token
from txtoken.cli.json_output import print_json
from txtoken.cli.options import add_config_options, add_output_option
from txtoken.cli.terminal import complain, say
from txtoken.config.values import Wrong, read_hours, scalar
from txtoken.errors import TokenError
from txtoken.service.explanation import explain as explain_token
from txtoken.service.tokens.compact import NESTING_MAX, UnusableJson, read_object
from txtoken.service.tokens.issue import new_issuer
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.segments import decode_segment
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import Config


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the three commands and their arguments."""
    commands = parser.add_subparsers(title="commands", required=True)
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
            added.add_argument(
                "--hours", type=_ttl_s, help="how long it is valid: hours, or 30m, 7d (default: expHours)"
            )
        else:
            added.add_argument(
                "token", nargs="?", default="-", help="the token, as it was copied; - reads standard input"
            )
        if command is verify:
            added.add_argument(
                "--jwks",
                metavar="URL|FILE",
                help="verify by these public keys, without a configuration, as others would",
            )
            added.add_argument("--iss", help="with --jwks: the issuer that it has to have")
            added.add_argument("--aud", help="with --jwks: the audience that it has to name")
            about = "with --jwks: the algorithm that its key has to be for; may be given several times"
            added.add_argument("--alg", action="append", default=[], help=about)
        added.set_defaults(command=command)


def issue(options: argparse.Namespace) -> int:
    """`txtoken token issue`: a token as the service would sign it, without asking the remote."""
    config = read_config(options)
    try:
        reply, data = read_object(read_argument(options.data), NESTING_MAX)
    except UnusableJson as error:
        complain(f"txtoken: DATA is {error}. It has to be a JSON object, as the remote would reply.")
        return USAGE
    settings = config.issue if options.hours is None else replace(config.issue, ttl_s=options.hours)
    now = int(time.time())
    token = new_issuer(ring_at(config, now, read_revocations(config)), settings).issue(data, now, reply)
    if options.output == "json":
        claims = orjson.loads(decode_segment(token.split(b".")[1]) or b"")
        print_json({"token": token.decode("ascii"), "exp": claims["exp"]})
    else:
        say(token.decode("ascii"))
    return OK


def verify(options: argparse.Namespace) -> int:
    """`txtoken token verify`: the claims of a valid token, or why it is not valid."""
    if options.jwks is not None:
        if options.config is not None or options.set:
            complain("txtoken: --jwks needs no configuration: leave out --config and --set")
            return USAGE
        code: int = importlib.import_module("txtoken.cli.jwks_verification").verify(options)
        return code
    if options.iss is not None or options.aud is not None or options.alg:
        complain("txtoken: --iss, --aud and --alg are for --jwks: the configuration has verify.iss and verify.aud")
        return USAGE
    verifier = _verifier(read_config(options))
    try:
        verdict = verifier.verify(read_token(options.token), time.time())
    except TokenError as error:
        if options.output == "json":
            print_json({"valid": False, "error": error.public})
        else:
            complain(f"not valid: {error.public}")
        return FAILED
    if options.output == "json":
        print_json({"valid": True, "claims": orjson.Fragment(verdict.claims)})
    else:
        say(verdict.claims.decode())
    return OK


def explain(options: argparse.Namespace) -> int:
    """`txtoken token explain`: why is this token valid, or why not?"""
    verifier = _verifier(read_config(options))
    explanation = explain_token(verifier, read_token(options.token), time.time())
    readable = {"header": explanation.header, "claims": explanation.claims}
    if options.output == "json":
        parts = {name: None if text is None else orjson.Fragment(text) for name, text in readable.items()}
        print_json({"valid": explanation.valid, "error": explanation.error, "reason": explanation.reason, **parts})
    else:
        say(f"{'Valid' if explanation.valid else 'Not valid'}: {explanation.reason}.")
        if explanation.error is not None:
            say(f"  answer:  {explanation.error}")
        for name, text in readable.items():
            say(f"  {name}:  {'cannot be read' if text is None else text.decode()}")
    return OK if explanation.valid else FAILED


def _verifier(config: Config) -> TokenVerifier:
    revocations = read_revocations(config)
    return TokenVerifier(ring_at(config, time.time(), revocations), config.check, Memory(0), revocations)


def _ttl_s(text: str) -> int:
    try:
        return read_hours(scalar(text))
    except Wrong as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None
