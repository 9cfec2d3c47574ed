"""Settings of `forwardAuth` and `cookie`, checked against the other keys (contract §3.5, §3.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from txtoken.config.addresses import is_local
from txtoken.config.http_names import RESERVED_ROUTES
from txtoken.config.reader import Reader, Section
from txtoken.settings import CookieSettings, ForwardAuthSettings, KeySettings, RemoteSettings

NAME: Final = "forwardAuth"


def cookie_settings(reader: Reader, value: Mapping[str, Any]) -> CookieSettings:
    """Make the settings of the cookie. Problems go to the reader."""
    given = [name for name in reader.given if name.startswith("cookie.")]
    name: str = value["cookie.name"]
    if not name:
        if "cookie.name" not in given and (given or "cookie" in reader.sections):
            where, line = reader.where(given[0]) if given else reader.sections["cookie"]
            reader.complain("cookie.name", where, "is required in this section, for example __Host-session", line)
        return CookieSettings()
    prefix = next((start for start in ("__Host-", "__Secure-") if name.lower().startswith(start.lower())), None)
    if prefix and not value["cookie.secure"]:
        reader.complain_of("cookie.secure", f"has to be true: browsers drop a {prefix} cookie without it")
    if prefix == "__Host-":
        if value["cookie.path"] != "/":
            reader.complain_of("cookie.path", "has to be /: browsers drop a __Host- cookie with another path")
        if value["cookie.domain"] is not None:
            reader.complain_of("cookie.domain", "cannot be used with a __Host- name: browsers drop such a cookie")
    if value["cookie.sameSite"] == "None" and not value["cookie.secure"]:
        reader.complain_of("cookie.sameSite", "None needs secure: true: browsers drop such a cookie without it")
    if not value["cookie.secure"] and not all(map(is_local, value["listen"])):
        reader.warnings.append(
            "cookie.secure is false: browsers send the token over plain HTTP too, where a man in the middle can read it"
        )
    return CookieSettings(
        name,
        value["cookie.domain"],
        value["cookie.path"],
        value["cookie.secure"],
        value["cookie.httpOnly"],
        value["cookie.sameSite"],
    )


def forward_auth_settings(
    reader: Reader, value: Mapping[str, Any], cookie: CookieSettings, others: Iterable[str]
) -> tuple[ForwardAuthSettings, ...]:
    """Make the settings of the forward-auth routes. `others` are the paths of all other routes."""
    given = value[NAME]
    if given is None:
        return ()
    sections = given if isinstance(given, list) else [given]
    if not sections:
        reader.complain_of(NAME, "contains no section: leave it out, or add one")
    paths = [*RESERVED_ROUTES, *others]
    settings: list[ForwardAuthSettings] = []
    for section in sections:
        if not section.is_whole:
            continue
        made = _settings(reader, section, cookie)
        _check_route(reader, section, made, paths)
        _check_neighbours(reader, section, made, settings)
        settings.append(made)
    return tuple(settings)


def _settings(reader: Reader, section: Section, cookie: CookieSettings) -> ForwardAuthSettings:
    values = section.values
    places = values["from"]
    if "from" in section.given and "cookie" in places and not cookie.name:
        text = (
            "contains cookie, but no cookie is configured: add a section `cookie` with a name, or leave cookie out here"
        )
        reader.complain_in(section, NAME, "from", text)
    if 0 < values["cache"] < 1:
        reader.complain_in(section, NAME, "cache", "has to be 0, or from 1s to 60s")
    if values["cache"] and "query" in places:
        text = "cannot be used with from: query: a proxy that caches by headers would apply a cached answer to other tokens"
        reader.complain_in(section, NAME, "cache", text)
    return ForwardAuthSettings(
        values["route"],
        values["headers"],
        values["require"],
        places,
        int(values["cache"]),
        values["body"],
        values["envoy"],
        values["listen"],
    )


def _check_route(reader: Reader, section: Section, settings: ForwardAuthSettings, paths: list[str]) -> None:
    """Reject a route above another one: a proxy that appends its client's path would let requests reach that one."""
    route = settings.route
    if route == "/":
        if settings.listen is None:
            text = "covers every path: this needs `listen`, an address of its own"
            reader.complain_in(section, NAME, "route", text)
        return
    if route.endswith("/"):
        reader.complain_in(
            section, NAME, "route", f"covers all paths below it: leave out the trailing /: {route.rstrip('/')}"
        )
    elif settings.listen is None:
        for path in paths:
            if path == route or path.startswith(route + "/"):
                text = f"covers {path}, which is another route: choose a path with no other route below it"
                reader.complain_in(section, NAME, "route", text)
                break


def _check_neighbours(
    reader: Reader, section: Section, settings: ForwardAuthSettings, others: Iterable[ForwardAuthSettings]
) -> None:
    """Reject a route below another one on the same address: behind a proxy that appends its client's path, the client could
    choose between the two.
    """
    for other in others:
        if other.listen != settings.listen or (settings.listen is None and "/" in (settings.route, other.route)):
            continue  # _check_route has reported this
        outer, inner = sorted((settings.route, other.route), key=len)
        if outer == inner:
            reader.complain_in(section, NAME, "route", f"has to differ from the route of another section: {outer}")
        elif inner.startswith(outer.rstrip("/") + "/"):
            what = f"{inner} is below {outer}, another section's route"
            text = f"{what}: behind some proxies a client's path could choose between them"
            reader.complain_in(section, NAME, "route", text)


def warn_of_bearer(reader: Reader, keys: KeySettings, remote: RemoteSettings, *, accepts_tokens: bool) -> None:
    """Warn if the token sent to the remote would pass as a user's token: `encKey` signs both, and they look the same."""
    if accepts_tokens and keys.secret is not None and remote.request_key == keys.secret:
        reader.warnings.append(
            "requestKey is not set: anyone who sees the token that txtoken sends to the remote can use it here, because "
            "forwardAuth and refresh accept it as a user's token. Set requestKey (`txtoken keygen` makes one)"
        )
