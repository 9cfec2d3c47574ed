"""`txtoken demo`: runs the service in front of a login API of its own or another one, or that login API alone. Reads no
configuration.
"""

from __future__ import annotations

import argparse
import ipaddress
from typing import Final, NoReturn

from txtoken.cli import early_signals
from txtoken.cli.options import SERVICE_OPTIONS, add_service_options, read_port
from txtoken.cli.terminal import complain, painted, say
from txtoken.demo.configuration import ALGORITHMS, DEFAULT_ALGORITHM
from txtoken.demo.login_api import serve_login_api
from txtoken.demo.proxy import COMMANDS
from txtoken.demo.service import Demo, serve_demo
from txtoken.demo.speech import Speech
from txtoken.errors import ConfigError

LOOPBACK: Final = "127.0.0.1"
LOGIN_PORT: Final = 8889
DEFAULTS: Final = {"port": 8888, "host": LOOPBACK, "workers": "1"}


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--once", action="store_true", help="make some requests, show them, and end")
    shape.add_argument(
        "--login-only",
        metavar="ADDRESS",
        type=_address,
        nargs="?",
        const=LOOPBACK,
        help="run the login API alone, as the remote of a service elsewhere (default address: %(const)s)",
    )
    add_service_options(parser, DEFAULTS)
    parser.add_argument(
        "--algorithm",
        choices=ALGORITHMS,
        default=DEFAULT_ALGORITHM,
        help="algorithm of the signatures (default: %(default)s)",
    )
    parser.add_argument(
        "--login-port",
        metavar="PORT",
        type=read_port,
        help=f"port of the demo's login API; 0: any (default: {LOGIN_PORT})",
    )
    parser.add_argument(
        "--behind", choices=COMMANDS, help="protect a page by this proxy, which asks txtoken; it has to be installed"
    )
    parser.add_argument(
        "--proxy-port",
        metavar="PORT",
        type=read_port,
        default=8080,
        help="port of that proxy; 0: any (default: %(default)s)",
    )
    parser.set_defaults(command=run, handles_signals=True, refuse=parser.error)


def run(options: argparse.Namespace) -> int:
    """Run the demo until Ctrl-C, or with `--once` for some requests."""
    early_signals.leave_starter()
    login_port = LOGIN_PORT if options.login_port is None else options.login_port
    with early_signals.handled():
        if options.login_only is None:
            _serve(options, login_port)
        return serve_login_api(options.login_only, login_port, say)


def _serve(options: argparse.Namespace, login_port: int) -> NoReturn:
    try:
        host = LOOPBACK if options.host == "localhost" else _address(options.host)
    except argparse.ArgumentTypeError as error:
        options.refuse(f"argument --host: {error}")
        raise  # it has ended the process
    if options.remote is not None and options.once:
        options.refuse("argument --once: not allowed with --remote, because it knows no user of another login API")
    if options.remote is not None and options.login_port is not None:
        options.refuse("argument --login-port: not allowed with --remote, because the demo has no login API then")
    ports = (0, 0, 0) if options.once else (options.port, login_port, options.proxy_port)  # another demo may run
    demo = Demo(
        port=ports[0],
        host=host,
        workers=options.workers,
        algorithm=options.algorithm,
        remote=options.remote,
        login_port=ports[1],
        behind=options.behind,
        proxy_port=ports[2],
        once=options.once,
    )
    try:
        serve_demo(demo, Speech(say, complain, painted))
    except ConfigError as error:
        problem = error.problems[0]
        names = {key: f"--{name}" for name, key in SERVICE_OPTIONS.items()}
        options.refuse(f"argument {names.get(problem.key, problem.key)}: {problem.text}")
        raise  # it has ended the process


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError("wants an IP address, for example 0.0.0.0") from None
