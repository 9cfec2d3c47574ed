"""`txtoken check`: is the configuration good, and what would run? Starts nothing."""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Mapping

import orjson

from txtoken.cli.configuration import read_config
from txtoken.cli.exit_codes import OK
from txtoken.cli.json_output import print_json
from txtoken.cli.options import add_config_options, add_output_option, add_service_options
from txtoken.cli.terminal import painted, say
from txtoken.config.table import describe
from txtoken.errors import ConfigError, KeyMaterialError, Problem
from txtoken.service.keys.build import asymmetric
from txtoken.service.keys.key import RSA_ALGORITHMS
from txtoken.settings import Config


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    add_config_options(parser)
    add_service_options(parser)
    add_output_option(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Show the configuration and its warnings."""
    config = read_config(options)
    warnings = [*config.warnings, *_check_closely(config)]
    described = describe(config)
    if options.output == "json":
        sources = dict(config.origins)
        print_json({"valid": True, "warnings": warnings, "configuration": described, "sources": sources})
        return OK
    head = painted("The configuration is good", "green")
    say(f"{head}{f' ({config.source})' if config.source else ''}. This would run:\n")
    say("\n".join(_outline(described, config.origins)))
    for warning in warnings:
        say(f"\n{painted('Warning', 'yellow')}: {warning}")
    return OK


def _check_closely(config: Config) -> list[str]:
    """Look at what the service looks at only in part, or later: numbers of RSA keys, and every line of the revocations. Returns
    warnings.

    Raises:
        ConfigError: something of it cannot be used.
    """
    for entry in config.keys.entries:
        if entry.algorithm in RSA_ALGORITHMS:
            try:
                asymmetric().check_closely(entry.material.reveal(), entry.algorithm)
            except KeyMaterialError as error:
                raise ConfigError((Problem("keys", config.source or "configuration", str(error)),)) from None
    if config.revocations is None:
        return []
    current_keys = importlib.import_module("txtoken.cli.current_keys")
    revocations = current_keys.read_revocations(config)
    now = time.time()
    ring = current_keys.ring_at(config, now, revocations)
    doubts = revocations.doubts([key.kid for key in ring.keys], now, signs=ring.signer(now) is not None)
    return [f"revocations: {doubt}" for doubt in doubts]


def _outline(section: Mapping[str, object], origins: Mapping[str, str], within: str = "") -> list[str]:
    """Write each value, and where it came from."""
    lines = []
    for key, value in section.items():
        if isinstance(value, Mapping) and value and f"{within}{key}" not in origins:
            lines += [f"{key}:", *_outline(value, origins, f"{key}.")]
        else:
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            origin = origins.get(f"{within}{key}", "default")
            is_default = origin == "default"
            lines.append(
                f"{'  ' * bool(within)}{key}: {text}  {painted(f'# {origin}', 'dim' if is_default else 'cyan')}"
            )
    return lines
