"""What was given of `refresh`, as settings, and whether it fits the rest (contract §3.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from txtoken.config.checks import proxy_for
from txtoken.config.reader import Reader
from txtoken.settings import CookieSettings, JwksSettings, RefreshSettings


def refresh_settings(
    reader: Reader, value: Mapping[str, Any], environ: Mapping[str, str], cookie: CookieSettings, jwks: JwksSettings
) -> RefreshSettings:
    """Make the settings of the route that renews tokens: there is one where the section is. Problems go to the reader."""
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
    taken = dict.fromkeys(jwks.paths, "where the public keys are")
    taken |= {value[name]: name for name in ("getTokenRoute", "checkTokenRoute", "jwksRoute")}
    for path in paths_of(settings, cookie):
        if path not in taken:
            continue
        if "refresh.route" in reader.given:
            shown = "" if path == settings.route else f": the session ends at {path}"
            reader.complain_of("refresh.route", f"has to differ from {taken[path]}{shown}")
        else:
            reader.complain_of(taken[path], f"{path} is taken: it is of sessions (refresh.route)")
    if cookie.name and not value["refresh.route"].startswith(cookie.path):
        reader.warnings.append(f"cookie.path keeps browsers from sending the cookie to refresh.route, {settings.route}")
    if value["expHours"] > settings.max_session_s:
        text = "no token lives longer than its session, which refresh.maxSession makes shorter than that"
        reader.warnings.append(f"expHours is cut to {settings.max_session_s} s: {text}")
    return settings


def paths_of(refresh: RefreshSettings, cookie: CookieSettings) -> Sequence[str]:
    """Return the paths of sessions: where they are renewed, and where their cookie is cleared."""
    if refresh.route is None:
        return ()
    return (refresh.route, refresh.end_route) if cookie.name else (refresh.route,)
