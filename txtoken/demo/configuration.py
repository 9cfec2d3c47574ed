"""The demo's configuration: the defaults, and what differs from them. Knows no file and no environment."""

from __future__ import annotations

import secrets
from typing import Final

from txtoken.config.read import load
from txtoken.settings import LOOPBACK, Config, LogSettings

_NO_FILE: Final = ""
_KEY_BYTES: Final = 36
_FORWARD_AUTH: Final = (
    '{"route": "/forwardAuth", "headers": {"X-Auth-Request-User": "/data/user", "X-Auth-Request-Roles": "/data/roles"}}'
)


def demo_config(port: int, login_url: str, log: LogSettings, *, is_asked: bool = False) -> Config:
    """Make the demo's configuration, with keys that nobody knows. With `is_asked` a proxy can ask who may pass."""
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
            **({"forwardAuth": _FORWARD_AUTH} if is_asked else {}),
        },
        default_path=_NO_FILE,
    )
