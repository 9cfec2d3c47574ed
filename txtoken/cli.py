"""Arguments become one command, a command becomes an exit code. Knows what people type and read; does none of the work.

Exit codes (contract §4.3): 0 ended as asked, 1 failure, 2 wrong usage, 78 bad configuration (EX_CONFIG of sysexits.h).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib
import io
import ipaddress
import os
import re
import secrets
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Final, TextIO

import orjson

from txtoken import config as configuration
from txtoken.errors import ConfigError, StartError, TokenError, TxtokenError
from txtoken.settings import Config
from txtoken.values import ALL_ADDRESSES, ALL_IPV4, LOOPBACK, UNIX_PREFIX
from txtoken.version import VERSION

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
BAD_CONFIG: Final = 78

KEY_BYTES: Final = 36  # make 48 characters of base64url, where encKey wants 32 bytes at least
HEALTH_TIMEOUT_S: Final = 2.0
FIRST_PASSED_FD: Final = 3  # SD_LISTEN_FDS_START
HOURS_MAX: Final = 100 * 366 * 24  # as expHours
_EARLY: Final = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)  # held back while the program is loaded: see __main__
_QUOTES: Final = b" \t\r\n\"'`"
# What stands before a token where it is copied from: quotes, a field's name, and the word that says of what kind it is.
_BEFORE_TOKEN: Final = re.compile(rb"[\s\"'`]*(?:authorization\s*:[\s\"'`]*)?(?:bearer\s+[\s\"'`]*)?", re.IGNORECASE)
JSON_OPTIONS: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the process's exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # claims and paths may hold what the locale has no letters for
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments.insert(0, "serve")  # as the original, which had no verbs
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        if command is not serve:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _EARLY)
        return command(options)
    except ConfigError as error:
        if getattr(options, "output", "text") == "json":
            problems = [{"key": p.key, "where": p.where, "text": p.text} for p in error.problems]
            _print_json({"valid": False, "problems": problems})
        else:
            _say(str(error), sys.stderr)
        return BAD_CONFIG
    except TxtokenError as error:
        _say(f"txtoken: {error}", sys.stderr)
        return FAILED
    except OSError as error:
        # A reader who has seen enough needs no word, a full disk does. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _say(f"txtoken: {error.strerror or error}", sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def serve(options: argparse.Namespace) -> int:
    """`txtoken serve`."""
    _leave_starter()
    with _signals_remembered():
        config = _config(options)
        return int(_load("txtoken.process.supervisor", "serve")(config, lambda: _config(options), _passed_sockets()))


def check(options: argparse.Namespace) -> int:
    """`txtoken check`: is the configuration good, and what would run?"""
    config = _config(options)
    described = configuration.describe(config)
    if options.output == "json":
        _print_json({"valid": True, "warnings": list(config.warnings), "configuration": described})
        return OK
    _say(f"The configuration is good{f' ({config.source})' if config.source else ''}. This would run:\n")
    for line in _outline(described):
        _say(line)
    for warning in config.warnings:
        _say(f"\nWarning: {warning}")
    return OK


def schema(options: argparse.Namespace) -> int:
    """`txtoken schema`: what editors need to complete and check a configuration file."""
    _print_json(_load("txtoken.schema", "schema")())
    return OK


def demo(options: argparse.Namespace) -> int:
    """`txtoken demo`."""
    _leave_starter()
    if options.login_only is not None:
        return int(_load("txtoken.demo.login_api", "serve_login_api")(options.login_only, options.login_port, _say))
    serve_demo = _load("txtoken.demo.service", "serve_demo")
    return int(serve_demo(port=options.port, login_port=options.login_port, once=options.once, say=_say))


def keygen(options: argparse.Namespace) -> int:
    """`txtoken keygen`: a key for encKey."""
    key = secrets.token_urlsafe(KEY_BYTES)
    if options.output == "json":
        _print_json({"encKey": key})
    else:
        _say(key)
    return OK


def health(options: argparse.Namespace) -> int:
    """`txtoken health`: does the service that this configuration describes answer?"""
    config = _config(options)
    place, port = config.listen[0], config.port
    internet = [place for place in config.listen if not place.startswith(UNIX_PREFIX)]
    if config.admin_port is not None:
        place, port = internet[0] if internet else LOOPBACK, config.admin_port
    # What listens on all addresses is asked by IPv4, which is there without IPv6 too, unless it has IPv6 alone.
    is_ipv6_alone = any(":" not in place for place in internet)
    host = {ALL_IPV4: LOOPBACK, ALL_ADDRESSES: "::1" if is_ipv6_alone else LOOPBACK}.get(place, place)
    is_unix = place.startswith(UNIX_PREFIX)
    name = place if is_unix else f"{host}:{port}"
    connection = http.client.HTTPConnection("localhost" if is_unix else host, port)
    started = time.perf_counter()
    try:
        connection.sock = _connect(config, host, port)
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        status, reason = None, f"no answer: {error}"
    else:
        reason = "ready" if status == 200 else f"status {status}"
    finally:
        connection.close()
    ms = round((time.perf_counter() - started) * 1000, 1)
    if options.output == "json":
        _print_json({"ready": status == 200, "status": status, "ms": ms})
    else:
        _say(f"{name}: {reason} ({ms} ms)")
    return OK if status == 200 else FAILED


def _connect(config: Config, host: str, port: int) -> socket.socket:
    """Open a connection to the service itself, as it listens. The admin port is always in the clear."""
    if host.startswith(UNIX_PREFIX):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(HEALTH_TIMEOUT_S)
        try:
            sock.connect(host.removeprefix(UNIX_PREFIX))
        except OSError:
            sock.close()
            raise
    else:
        sock = socket.create_connection((host, port), timeout=HEALTH_TIMEOUT_S)
    if config.tls.context is None or port == config.admin_port:
        return sock
    # Nothing is verified: whose certificate it is does not matter to who asks his own service, by an address that no
    # certificate names, whether it is ready, and tells it nothing.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if config.tls.client_ca_file and config.tls.cert_file and config.tls.key_file:
        # A certificate is asked for, and there is one at hand. The service takes it if the same authority has made it.
        context.load_cert_chain(config.tls.cert_file.path, config.tls.key_file.path)
    return context.wrap_socket(sock)


def token_issue(options: argparse.Namespace) -> int:
    """`txtoken token issue`: a token as the service would sign it, without asking the remote."""
    config = _config(options)
    compact, unusable = _load("txtoken.service.json_text", "compact_object", "UnusableJson")
    issuer_type = _load("txtoken.service.tokens", "TokenIssuer")
    try:
        data = compact(_argument(options.data))
    except unusable as error:
        _say(f"txtoken: DATA is {error}. It has to be a JSON object, as the remote would reply.", sys.stderr)
        return USAGE
    ttl_s = config.token_ttl_s if options.hours is None else options.hours
    now = int(time.time())
    token = issuer_type(_key(config), ttl_s).issue(data, now).decode("ascii")
    if options.output == "json":
        _print_json({"token": token, "exp": now + ttl_s})
    else:
        _say(token)
    return OK


def token_verify(options: argparse.Namespace) -> int:
    """`txtoken token verify`: the claims of a valid token, or why it is not valid."""
    config = _config(options)
    verifier = _verifier(config)
    try:
        verdict = verifier.verify(_token(options.token), time.time())
    except TokenError as error:
        if options.output == "json":
            _print_json({"valid": False, "error": error.public})
        else:
            _say(f"not valid: {error.public}", sys.stderr)
        return FAILED
    claims = orjson.Fragment(verdict.body)
    if options.output == "json":
        _print_json({"valid": True, "claims": claims})
    else:
        _say(verdict.body.decode())
    return OK


def token_explain(options: argparse.Namespace) -> int:
    """`txtoken token explain`: why is this token valid, or why not?"""
    config = _config(options)
    explain = _load("txtoken.service.explanation", "explain")
    verifier = _verifier(config)
    told = explain(verifier, _token(options.token), time.time())
    if options.output == "json":
        parts = {name: None if text is None else orjson.Fragment(text) for name, text in
                 (("header", told.header), ("claims", told.claims))}  # fmt: skip # the pairs belong together
        _print_json({"valid": told.valid, "error": told.error, "reason": told.reason, **parts})
    else:
        _say(f"{'Valid' if told.valid else 'Not valid'}: {told.reason}.")
        if told.error is not None:
            _say(f"  answer:  {told.error}")
        for name, text in (("header", told.header), ("claims", told.claims)):
            _say(f"  {name}:  {'cannot be read' if text is None else text.decode()}")
    return OK if told.valid else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="txtoken",
        description="Turns any JSON API into one that hands out signed tokens.",
        epilog="Without a command it serves, as the original did. Exit codes: 0 ended as asked, 1 failure, "
        "2 wrong usage, 78 bad configuration.",
    )
    parser.add_argument("--version", action="version", version=f"txtoken {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    configured = argparse.ArgumentParser(add_help=False)
    configured.add_argument(
        "-c", "--config", metavar="FILE", help="configuration file (default: $CFG_FILE, else ./example_cfg.yml)"
    )
    configured.add_argument(
        "--set",
        metavar="KEY=VALUE",
        type=_pair,
        action="append",
        default=[],
        help="override one key, e.g. limits.bodyBytes=4096",
    )
    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("--output", choices=("text", "json"), default="text", help="for people or for programs")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str, *parents: argparse.ArgumentParser,
            to: Any = commands) -> argparse.ArgumentParser:  # fmt: skip # one call a line reads as a table
        added: argparse.ArgumentParser = to.add_parser(name, help=text, description=text, parents=parents)
        added.set_defaults(command=command)
        return added

    add("serve", serve, "run the service", configured)
    add("check", check, "validate the configuration and show what would run", configured, output)
    add("schema", schema, "print a JSON Schema of the configuration, by which editors complete and check it")
    shown = add("demo", demo, "run the service in front of a login API of its own")
    shape = shown.add_mutually_exclusive_group()
    shape.add_argument("--once", action="store_true", help="make three requests, show them, and end")
    shape.add_argument(
        "--login-only",
        metavar="ADDRESS",
        type=_address,
        nargs="?",
        const="127.0.0.1",
        help="run the login API alone, as the remote of a service elsewhere (default address: %(const)s)",
    )
    shown.add_argument("--port", type=_port, default=8888, help="of the service (default: %(default)s, 0: any)")
    shown.add_argument("--login-port", type=_port, default=8889, help="of the login API (default: %(default)s, 0: any)")
    add("keygen", keygen, "print a new random key for encKey", output)
    add(
        "health",
        health,
        "ask a running service whether it is ready (for a container's health check)",
        configured,
        output,
    )

    about = "issue, verify and explain tokens offline, with the configuration's key"
    tokens = commands.add_parser("token", help=about, description=about)
    verbs = tokens.add_subparsers(title="commands", metavar="COMMAND", required=True)
    issue = add("issue", token_issue, "sign a token for a JSON object", configured, output, to=verbs)
    issue.add_argument(
        "data", nargs="?", default="-", help="the object, as the remote would reply; - reads standard input"
    )
    issue.add_argument("--hours", type=_ttl_s, help="how long it is valid (default: expHours)")
    verify = add("verify", token_verify, "print a valid token's claims", configured, output, to=verbs)
    explain = add(
        "explain", token_explain, "say in plain words why a token is or is not valid", configured, output, to=verbs
    )
    for command in (verify, explain):
        command.add_argument(
            "token", nargs="?", default="-", help="the token, as it was copied; - reads standard input"
        )
    return parser


def _config(options: argparse.Namespace) -> Config:
    return configuration.load(options.config, os.environ, dict(options.set))


def _passed_sockets() -> range:
    """Name the file descriptors of sockets that systemd has opened for this process, if it did (sd_listen_fds(3)).

    Raises:
        StartError: there are some, but nobody can tell how many.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return range(0)  # meant for another process, from which this one has inherited its environment
    count = os.environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdigit() and len(count) <= 4):
        raise StartError("LISTEN_PID names this process, but LISTEN_FDS is no number of sockets")
    return range(FIRST_PASSED_FD, FIRST_PASSED_FD + int(count))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("wants KEY=VALUE, for example --set port=9000")
    return key, value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise argparse.ArgumentTypeError("wants a whole number from 0 to 65535")
    return int(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError("wants an IP address, for example 0.0.0.0") from None


def _ttl_s(text: str) -> int:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= HOURS_MAX:
        raise argparse.ArgumentTypeError(f"wants a number of hours above 0 and at most {HOURS_MAX}")
    return max(1, round(hours * 3600))


def _key(config: Config) -> Any:
    return _load("txtoken.service.keys", "HmacKey")(config.enc_key.reveal())


def _verifier(config: Config) -> Any:
    verifier_type = _load("txtoken.service.tokens", "TokenVerifier")
    return verifier_type(
        _key(config),
        config.verify,
        check_response="claims",
        cache_entries=0,
        token_bytes_max=config.limits.token_bytes,
    )


def _load(module: str, *names: str) -> Any:
    """Load what a command needs when it is run: `health` runs every few seconds and has no use for aiohttp's 0.3 s."""
    loaded = importlib.import_module(module)
    found = tuple(getattr(loaded, name) for name in names)
    return found if len(found) > 1 else found[0]


def _leave_starter() -> None:
    """As the one binary: be a process group of its own. PyInstaller's starter waits for this process and passes signals on.

    A terminal sends Ctrl-C to both, so it would come twice, and a second signal ends the service at once.
    """
    if getattr(sys, "frozen", False):
        os.setpgid(0, 0)


@contextlib.contextmanager
def _signals_remembered() -> Iterator[None]:
    """Until the service handles signals itself: who asks it to end has asked before anything began, so it ends with 0, and a
    reload waits, because what was read may be old by then.
    """
    handled = {number: signal.signal(number, _end_early) for number in (signal.SIGTERM, signal.SIGINT)}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,)) - {*_EARLY}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*handled,))  # which were held back from the start: see __main__
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _end_early(number: int, frame: FrameType | None) -> None:
    raise SystemExit(OK)


def _open_closed_streams() -> None:
    """Put /dev/null where a standard stream was closed, so that no socket gets its number and then the log's lines."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - it lasts as long as the process, and so do the next two
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - see above
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - see above


def _token(value: str) -> bytes:
    """Take a token as people copy it: an answer's JSON, a header field, quotes, lines that were wrapped."""
    text = _argument(value)
    member = re.search(rb'"(?:access_token|token)"\s*:\s*"([^"]*)"', text) if text[:1] == b"{" else None
    if member is not None:
        text = member[1]
    before = _BEFORE_TOKEN.match(text)
    assert before is not None  # it matches nothing, too
    text = text[before.end() :]
    return b"".join(text.rstrip(_QUOTES).split())


def _argument(value: str) -> bytes:
    """Take an argument, or standard input for `-`: what stands in a command line can be read by others on the machine."""
    if value != "-":
        return os.fsencode(value).strip()
    return sys.stdin.buffer.read().strip() if sys.stdin is not None else b""


def _outline(section: Mapping[str, object], depth: int = 0) -> list[str]:
    lines = []
    for key, value in section.items():
        if isinstance(value, Mapping) and value and depth == 0:
            lines += [f"{key}:", *_outline(value, depth + 1)]
        else:
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            lines.append(f"{'  ' * depth}{key}: {text}")
    return lines


def _print_json(value: object) -> None:
    sys.stdout.write(orjson.dumps(value, option=JSON_OPTIONS).decode())
    sys.stdout.flush()


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout, flush=True)
