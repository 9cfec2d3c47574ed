"""The configuration that options and this process's environment name. Knows no verb."""

from __future__ import annotations

import argparse
import os

from txtoken.cli.options import overrides_of
from txtoken.config import read as configuration
from txtoken.settings import Config


def read_config(options: argparse.Namespace) -> Config:
    """Read the configuration.

    Raises:
        ConfigError: it cannot be used.
    """
    given = overrides_of(options)
    overrides = {name: text for name, (_, text) in given.items()}
    return configuration.load(
        options.config, os.environ, overrides, {name: typed for name, (typed, _) in given.items()}
    )
