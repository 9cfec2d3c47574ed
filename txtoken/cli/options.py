"""Options that several verbs take. Knows no verb, and reads no configuration."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Final

PORT_MAX: Final = 65535
# Short forms of `--set`, and the keys that they set.
SERVICE_OPTIONS: Final = {"port": "port", "host": "listen", "remote": "remote", "workers": "workers"}


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the configuration: `--config` and `--set`."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="configuration file (default: $CFG_FILE, else ./example_cfg.yml)"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        type=_pair,
        action="append",
        default=[],
        help="override one key, for example limits.bodyBytes=1MB",
    )


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("wants KEY=VALUE, for example --set port=9000")
    return key, value


def add_output_option(parser: argparse.ArgumentParser) -> None:
    """Add `--output`."""
    parser.add_argument("--output", choices=("text", "json"), default="text", help="for people or for programs")


def add_service_options(parser: argparse.ArgumentParser, defaults: Mapping[str, object] | None = None) -> None:
    """Add `--port`, `--host`, `--remote` and `--workers`. Each is None where it is not given, or what `defaults` has for it
    (`{"port": 8888}`), which is then part of its help.
    """
    values = defaults or {}
    for name, metavar, read, about in (
        ("port", "PORT", read_port, "port of the service; 0: any"),
        ("host", "ADDRESS", str, "address to listen on, for example 127.0.0.1"),
        ("remote", "URL", str, "URL that logins are sent to"),
        ("workers", "N", _workers, "number of processes; auto: one for each CPU"),
    ):
        default = values.get(name)
        help_text = about if default is None else f"{about} (default: %(default)s)"
        parser.add_argument(f"--{name}", metavar=metavar, type=read, default=default, help=help_text)


def overrides_of(options: argparse.Namespace) -> dict[str, tuple[str, str]]:
    """Return what `--set` and its short forms set: by the names of keys, the option that was typed, and the value as text.
    A short form counts more than `--set`.
    """
    given = {key: ("--set", text) for key, text in options.set}
    for name, key in SERVICE_OPTIONS.items():
        value = getattr(options, name, None)
        if value is not None:
            given[key] = f"--{name}", str(value)
    return given


def read_port(text: str) -> int:
    """Read the number of a port.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"wants a whole number from 0 to {PORT_MAX}")
    return int(text)


def _workers(text: str) -> str:
    if text != "auto" and not re.fullmatch("[1-9][0-9]{0,2}", text):
        raise argparse.ArgumentTypeError("wants a number of processes, or auto")
    return text
