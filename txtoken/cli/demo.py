"""`txtoken demo`: runs the service in front of a login API of its own, or that login API alone. Reads no configuration."""

from __future__ import annotations

import argparse
import ipaddress

from txtoken.cli import early_signals
from txtoken.cli.terminal import say
from txtoken.demo.login_api import serve_login_api
from txtoken.demo.proxy import COMMANDS
from txtoken.demo.service import Ports, serve_demo


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--once", action="store_true", help="make some requests, show them, and end")
    shape.add_argument(
        "--login-only",
        metavar="ADDRESS",
        type=_address,
        nargs="?",
        const="127.0.0.1",
        help="run the login API alone, as the remote of a service elsewhere (default address: %(const)s)",
    )
    parser.add_argument("--port", type=_port, default=8888, help="of the service (default: %(default)s, 0: any)")
    parser.add_argument(
        "--login-port", type=_port, default=8889, help="of the login API (default: %(default)s, 0: any)"
    )
    parser.add_argument(
        "--behind", choices=COMMANDS, help="protect a page by this proxy, which asks txtoken; it has to be installed"
    )
    parser.add_argument("--proxy-port", type=_port, default=8080, help="of that proxy (default: %(default)s, 0: any)")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo until Ctrl-C, or with `--once` for three requests."""
    early_signals.leave_starter()
    if options.login_only is not None:
        return serve_login_api(options.login_only, options.login_port, say)
    ports = Ports(options.port, options.login_port, options.proxy_port)
    return serve_demo(ports, options.behind, say, once=options.once)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise argparse.ArgumentTypeError("wants a whole number from 0 to 65535")
    return int(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError("wants an IP address, for example 0.0.0.0") from None
