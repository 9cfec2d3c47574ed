"""`txtoken export`: the configuration of a proxy that asks this service's forward-auth route. Writes no file."""

from __future__ import annotations

import argparse
import sys

from txtoken.cli.configuration import read_config
from txtoken.cli.exit_codes import OK
from txtoken.cli.options import add_config_options
from txtoken.cli.terminal import complain
from txtoken.export.proxies import WRITERS
from txtoken.export.site import LISTEN, UPSTREAM, Address, Site, choose_section, place_of, read_address


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    parser.add_argument("proxy", choices=tuple(WRITERS), help="which proxy it is for")
    add_config_options(parser)
    parser.add_argument(
        "--section",
        metavar="ROUTE",
        help="which section of forwardAuth, by its route or listen, where there are several",
    )
    parser.add_argument(
        "--upstream",
        metavar="HOST:PORT",
        type=_address,
        default=UPSTREAM,
        help="what is protected (default: %(default)s)",
    )
    parser.add_argument(
        "--listen", metavar="HOST:PORT", type=_address, default=LISTEN, help="of the proxy (default: %(default)s)"
    )
    parser.add_argument(
        "--service", metavar="HOST:PORT", type=_address, help="where the proxy reaches txtoken (default: as configured)"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the configuration."""
    config = read_config(options)
    section = choose_section(config.forward_auth, options.section)
    service = options.service or place_of(section, config)
    site = Site(section, config.cookie, service, options.upstream, options.listen)
    sys.stdout.write(WRITERS[options.proxy](site))
    sys.stdout.flush()
    if section.cache_s and options.proxy != "nginx":
        complain(f"Note: cache is for nginx; {options.proxy} remembers no verdicts.")
    return OK


def _address(text: str) -> Address:
    try:
        return read_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError("wants HOST:PORT, as 127.0.0.1:8000") from None
