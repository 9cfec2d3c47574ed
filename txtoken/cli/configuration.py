"""The configuration that options and this process's environment name. Knows no verb."""

from __future__ import annotations

import argparse
import os

from txtoken.config import read as configuration
from txtoken.settings import Config


def read_config(options: argparse.Namespace) -> Config:
    """Read the configuration.

    Raises:
        ConfigError: it cannot be used.
    """
    return configuration.load(options.config, os.environ, dict(options.set))
