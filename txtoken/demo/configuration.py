"""The demo's configuration: the defaults, and what differs from them. Knows no environment, and no file but its own key's."""

from __future__ import annotations

import secrets
import tempfile
from typing import Any, Final

import orjson

from txtoken.config.read import load
from txtoken.errors import KeyMaterialError, StartError
from txtoken.service.keys.build import asymmetric
from txtoken.settings import LOOPBACK, Config, LogSettings

DEFAULT_ALGORITHM: Final = "HS256"
ALGORITHMS: Final = (DEFAULT_ALGORITHM, "ES256", "EdDSA", "RS256", "PS256")
_NO_FILE: Final = ""
_KEY_BYTES: Final = 36
_RSA_BITS: Final = 2048
_FORWARD_AUTH: Final = (
    '{"route": "/forwardAuth", "headers": {"X-Auth-Request-User": "/data/user", "X-Auth-Request-Roles": "/data/roles"}}'
)


def demo_config(
    port: int,
    login_url: str,
    log: LogSettings,
    *,
    host: str = LOOPBACK,
    workers: str = "1",
    algorithm: str = DEFAULT_ALGORITHM,
    is_asked: bool = False,
) -> Config:
    """Make the demo's configuration, with keys that nobody knows. With `is_asked` a proxy can ask who may pass.

    Raises:
        ConfigError: the host, the number of workers or the remote's URL is none.
        StartError: what the algorithm needs is not installed.
    """
    values = {
        "reload": "off",
        "listen": host,
        "port": str(port),
        "workers": workers,
        "remote": login_url,
        "requestTokenData": '{"service":"txtoken demo"}',
        "requestKey": secrets.token_urlsafe(_KEY_BYTES),
        "timeouts.drain": "2",
        "forwardHeaders": "X-Request-Id",
        "log.level": log.level,
        "log.format": log.format,
        "log.access": str(log.access).lower(),
        **({"forwardAuth": _FORWARD_AUTH} if is_asked else {}),
    }
    if algorithm == DEFAULT_ALGORITHM:
        return _load(values | {"encKey": secrets.token_urlsafe(_KEY_BYTES)})
    with tempfile.NamedTemporaryFile(prefix="txtoken-demo-") as file:  # only its owner can read it
        file.write(_private_key(algorithm))
        file.flush()
        keys = [{"alg": algorithm, "keyFile": file.name}]
        return _load(values | {"keys": orjson.dumps(keys).decode()})


def _load(values: dict[str, str]) -> Config:
    return load(None, environ={}, overrides=values, default_path=_NO_FILE)


def _private_key(algorithm: str) -> bytes:
    try:
        kind: Any = asymmetric()
    except KeyMaterialError as error:
        raise StartError(f"--algorithm {algorithm} {error}") from error
    pem: bytes = kind.private_pem(kind.generate(algorithm, _RSA_BITS))
    return pem
