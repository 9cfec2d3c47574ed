"""The demo's configuration: the defaults, and what differs from them. Knows no file and no environment."""

from __future__ import annotations

import secrets
from typing import Final

from txtoken.config.read import load
from txtoken.settings import LOOPBACK, Config, LogSettings

_NO_FILE: Final = ""
_KEY_BYTES: Final = 36


def demo_config(port: int, login_url: str, log: LogSettings) -> Config:
    """Make the demo's configuration, with keys that nobody knows."""
    return load(
        None,
        environ={},
        overrides={
            "reload": "off",
            "listen": LOOPBACK,
            "port": str(port),
            "encKey": secrets.token_urlsafe(_KEY_BYTES),
            "remote": login_url,
            "requestTokenData": '{"service":"txtoken demo"}',
            "requestKey": secrets.token_urlsafe(_KEY_BYTES),
            "timeouts.drain": "2",
            "forwardHeaders": "X-Request-Id",
            "log.level": log.level,
            "log.format": log.format,
            "log.access": str(log.access).lower(),
        },
        default_path=_NO_FILE,
    )
