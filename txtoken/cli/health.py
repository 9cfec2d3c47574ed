"""`txtoken health`: does the service that the configuration describes answer? Loads nothing of the service itself."""

from __future__ import annotations

import argparse
import http.client
import socket
import ssl
import time
from typing import Final

from txtoken.cli.configuration import read_config
from txtoken.cli.exit_codes import FAILED, OK
from txtoken.cli.json_output import print_json
from txtoken.cli.options import add_config_options, add_output_option
from txtoken.cli.terminal import say
from txtoken.settings import ALL_ADDRESSES, ALL_IPV4, LOOPBACK, UNIX_PREFIX, Config

TIMEOUT_S: Final = 2.0


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    add_config_options(parser)
    add_output_option(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Ask for /readyz, and say what came back."""
    config = read_config(options)
    place, port = config.process.addresses[0], config.process.port
    internet = [place for place in config.process.addresses if not place.startswith(UNIX_PREFIX)]
    if config.process.admin_port is not None:
        place, port = internet[0] if internet else LOOPBACK, config.process.admin_port
    # A service that listens on all addresses is asked by IPv4, which works without IPv6 too, unless it has IPv6 alone.
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
        print_json({"ready": status == 200, "status": status, "ms": ms})
    else:
        say(f"{name}: {reason} ({ms} ms)")
    return OK if status == 200 else FAILED


def _connect(config: Config, host: str, port: int) -> socket.socket:
    """Open a connection to the service, as it listens. The admin port never speaks TLS."""
    if host.startswith(UNIX_PREFIX):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(host.removeprefix(UNIX_PREFIX))
        except OSError:
            sock.close()
            raise
    else:
        sock = socket.create_connection((host, port), timeout=TIMEOUT_S)
    if config.tls.context is None or port == config.process.admin_port:
        return sock
    # The certificate is not verified: it does not name the address that is asked here, and the request holds no secret.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if config.tls.client_ca_file and config.tls.cert_file and config.tls.key_file:
        # The service wants a client certificate. It accepts its own if the same authority has issued it.
        context.load_cert_chain(config.tls.cert_file.path, config.tls.key_file.path)
    return context.wrap_socket(sock)
