"""Settings of `refresh`, checked against the other keys (contract §3.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from txtoken.config.checks import proxy_for
from txtoken.config.reader import Reader
from txtoken.settings import CookieSettings, JwksSettings, RefreshSettings


def refresh_settings(
    reader: Reader, value: Mapping[str, Any], environ: Mapping[str, str], cookie: CookieSettings, jwks: JwksSettings
) -> RefreshSettings:
    """Make the settings of the route that renews tokens, if the file has that section. Problems go to the reader."""
    if "refresh" not in reader.sections and not any(name.startswith("refresh.") for name in reader.given):
        return RefreshSettings()
    url = value["refresh.remote"]
    settings = RefreshSettings(
        value["refresh.route"],
        int(value["refresh.maxSession"]),
        int(value["refresh.grace"]),
        url,
        None if url is None else proxy_for(reader, value, environ, "refresh.remote"),
    )
    taken = dict.fromkeys(jwks.paths, "the path of the public keys")
    taken |= {value[name]: name for name in ("getTokenRoute", "checkTokenRoute", "jwksRoute")}
    for path in paths_of(settings, cookie):
        if path not in taken:
            continue
        if "refresh.route" in reader.given:
            shown = "" if path == settings.route else f": sessions end at {path}"
            reader.complain_of("refresh.route", f"has to differ from {taken[path]}{shown}")
        else:
            reader.complain_of(taken[path], f"{path} is in use: refresh.route needs it")
    if cookie.name and not value["refresh.route"].startswith(cookie.path):
        text = f"cookie.path does not cover refresh.route, {settings.route}"
        reader.warnings.append(f"{text}: browsers do not send the cookie there")
    if value["expHours"] > settings.max_session_s:
        text = "no token lives longer than its session, and refresh.maxSession is shorter"
        reader.warnings.append(f"expHours is cut to {settings.max_session_s} s: {text}")
    return settings


def paths_of(refresh: RefreshSettings, cookie: CookieSettings) -> Sequence[str]:
    """Return the paths of sessions: one renews them, one clears their cookie."""
    if refresh.route is None:
        return ()
    return (refresh.route, refresh.end_route) if cookie.name else (refresh.route,)
