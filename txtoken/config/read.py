"""Turns file and environment into one frozen `Config`, or reports every problem at once (contract §1). Starts nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from txtoken.config import checks
from txtoken.config.certificates import build_listen_tls, build_remote_tls
from txtoken.config.forward_auth_settings import cookie_settings, forward_auth_settings, warn_of_bearer
from txtoken.config.key_settings import key_settings
from txtoken.config.place import DEFAULT_PATH
from txtoken.config.reader import Reader
from txtoken.config.refresh_settings import paths_of, refresh_settings
from txtoken.config.table import BY_VARIABLE, KEYS
from txtoken.config.values import printable
from txtoken.settings import (
    CheckSettings,
    Config,
    CorsSettings,
    IssueSettings,
    Limits,
    LoginSettings,
    LogSettings,
    ProcessSettings,
    RemoteSettings,
    Secret,
    ThrottleSettings,
    Timeouts,
    VerifyRules,
)

INIT_PATH: Final = "txtoken.yml"  # what `txtoken init` writes: a file with a secret is not called an example


def load(
    path: str | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
    *,
    default_path: str = DEFAULT_PATH,
) -> Config:
    """Read the configuration: `overrides` (dotted names) win over `environ`, and that wins over the file.

    The file is `path`, else the environment's CFG_FILE, else `example_cfg.yml` in the working directory. That last one
    may be missing if the environment or `overrides` set what is required. With `default_path` "" there is no default.
    `typed` has the option that set an override, if that is not `--set`.

    Raises:
        ConfigError: it cannot be used. It lists every problem.
    """
    source = path or environ.get("CFG_FILE") or ""
    if not source and os.path.exists(default_path):
        source = default_path
    reader = Reader(printable(source))
    if source:
        reader.read_file(source)
    elif default_path and not _is_complete(environ, overrides or {}):
        reader.complain_of_no_file(_nothing_named(default_path))
    reader.read_environment(environ)
    reader.read_overrides(overrides or {}, typed or {})
    config = _assemble(reader, environ)
    reader.raise_problems()
    return config


def _nothing_named(default_path: str) -> str:
    if os.path.exists(INIT_PATH):
        return f"{default_path} does not exist, and no other file is named. Did you mean --config {INIT_PATH}?"
    return (
        f"{default_path} does not exist, and no other file is named (--config, CFG_FILE). "
        "`txtoken init` writes one; `txtoken demo` runs without one."
    )


def _is_complete(environ: Mapping[str, str], overrides: Mapping[str, str]) -> bool:
    names = {*overrides, *(BY_VARIABLE[name].name for name, text in environ.items() if text and name in BY_VARIABLE)}
    return "remote" in names and not names.isdisjoint(("encKey", "encKeyFile", "keys"))


def _assemble(reader: Reader, environ: Mapping[str, str]) -> Config:
    value = {key.name: reader.value(key.name) for key in KEYS}
    checks.check(reader, value, environ)
    parts = _parts(value)
    enc_key = value["encKey"] or value["encKeyFile"]
    secret = Secret(enc_key.encode()) if enc_key else None
    keys = key_settings(reader, value, secret)
    request_key = value["requestKey"] or value["requestKeyFile"]
    parts["remote"] |= {
        "url": value["remote"] or "",
        "request_key": Secret(request_key.encode()) if request_key else secret,
        "proxy": checks.remote_proxy(reader, value, environ),
        "tls": checks.tls(reader, value, "remoteTls.", build_remote_tls),
    }
    parts["check"]["rules"] = VerifyRules(**parts["check"]["rules"])
    log = parts["log"]
    log["level"] = log["level"] or ("debug" if log["debug"] else "info")
    log["format"] = log["format"] or ("text" if log["debug"] else "json")
    tls = checks.tls(reader, value, "tls.", build_listen_tls)
    jwks = checks.jwks(reader, value, keys)
    cookie = cookie_settings(reader, value)
    refresh = refresh_settings(reader, value, environ, cookie, jwks)
    if refresh.route is not None:
        parts["issue"]["max_session_s"] = refresh.max_session_s
    others = [value["getTokenRoute"], value["checkTokenRoute"], *jwks.paths, *paths_of(refresh, cookie)]
    forward_auth = forward_auth_settings(reader, value, cookie, others)
    parts["process"]["auth_addresses"] = tuple(
        dict.fromkeys(route.listen for route in forward_auth if route.listen is not None)
    )
    remote = RemoteSettings(**parts["remote"])
    warn_of_bearer(reader, keys, remote, accepts_tokens=bool(forward_auth) or refresh.route is not None)
    return Config(
        source=reader.source,
        origins={key.name: reader.origin(key) for key in KEYS if key.attribute},
        files=(*([reader.source] if reader.source else []), *reader.other_files()),
        warnings=tuple(reader.warnings),
        reload_s=value["reload"],
        process=ProcessSettings(**parts["process"]),
        log=LogSettings(**log),
        limits=Limits(**parts["limits"]),
        timeouts=Timeouts(**parts["timeouts"]),
        tls=tls,
        trusted_proxies=value["trustedProxies"],
        remote=remote,
        keys=keys,
        revocations=value["revocations"],
        jwks=jwks,
        login=LoginSettings(**parts["login"]),
        issue=IssueSettings(**parts["issue"]),
        check=CheckSettings(**parts["check"]),
        cookie=cookie,
        refresh=refresh,
        forward_auth=forward_auth,
        cors=CorsSettings(**parts["cors"]),
        throttle=None if value["throttle.field"] is None else ThrottleSettings(**parts["throttle"]),
    )


def _parts(value: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Group values by their part of the configuration, and their attribute there."""
    parts: dict[str, Any] = {}
    for key in KEYS:
        for attribute in filter(None, (key.attribute, key.also)):
            *path, name = attribute.split(".")
            place = parts
            for part in path:
                place = place.setdefault(part, {})
            place[name] = value[key.name]
    return parts
