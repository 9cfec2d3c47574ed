"""`txtoken health`: is the service ready that a URL or the configuration names? Loads nothing of the service itself."""

from __future__ import annotations

import argparse
import os
from typing import Any

from txtoken.cli.configuration import read_config
from txtoken.cli.exit_codes import FAILED, OK
from txtoken.cli.json_output import print_json
from txtoken.cli.options import add_config_options, add_output_option, overrides_of
from txtoken.cli.readiness import URL_EXAMPLE, Place, ask, configured_place, place_of_url, tell, unverified_tls
from txtoken.config.place import asked_at
from txtoken.settings import UNIX_PREFIX, Config


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    parser.add_argument("--url", type=_url, help=f"ask here, and read no file: {URL_EXAMPLE}")
    add_config_options(parser)
    add_output_option(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Ask for /readyz, and say what came back."""
    place = options.url or _configured(options)
    answer = ask(place)
    if options.output == "json":
        print_json({"ready": answer.is_ready, "status": answer.status, "ms": answer.ms})
        return OK if answer.is_ready else FAILED
    return tell(place, answer)


def _configured(options: argparse.Namespace) -> Place:
    """Find where the service of the configuration is asked. What has nothing to do with that is not looked at: a running service
    is not to be restarted because its file has become wrong meanwhile.

    Raises:
        ConfigError: where it listens cannot be said, because the configuration cannot be used.
    """
    overrides = {name: text for name, (_, text) in overrides_of(options).items()}
    return configured_place(options.config or "", os.environ, overrides) or _place(read_config(options))


def _place(config: Config) -> Place:
    """Return where a service is asked whose whole configuration is known. The admin port never speaks TLS."""
    process = config.process
    host, port = asked_at(process.addresses, process.port, process.admin_port)
    if config.tls.context is None or (port == process.admin_port and not host.startswith(UNIX_PREFIX)):
        return Place(host, port)
    context: Any = unverified_tls()
    if config.tls.client_ca_file and config.tls.cert_file and config.tls.key_file:
        # The service wants a client certificate. It accepts its own if the same authority has issued it.
        context.load_cert_chain(config.tls.cert_file.path, config.tls.key_file.path)
    return Place(host, port, context)


def _url(text: str) -> Place:
    place = place_of_url(text)
    if place is None:
        raise argparse.ArgumentTypeError(f"wants the address of a service, for example {URL_EXAMPLE}")
    return place
