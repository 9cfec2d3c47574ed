"""Checks between keys. Knows what each key means; reads no file and converts no value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from txtoken.config import proxying, signing_secret, success
from txtoken.config.addresses import is_local
from txtoken.config.certificates import Unusable
from txtoken.config.reader import Reader
from txtoken.config.table import BY_NAME, snake
from txtoken.service.keys.key import BEARER_TYPE, HMAC_ALGORITHMS
from txtoken.settings import DISCOVERY_NAMES, UNIX_PREFIX, JwksSettings, KeySettings, RemoteProxy
from txtoken.unix_urls import is_http_unix

FORWARDED_FIELDS: Final = frozenset(("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"))
JWKS_ROUTE: Final = "/.well-known/jwks.json"
JWKS_MAX_AGE_S: Final = 900
_NEW_KEY: Final = "Replace it (`txtoken keygen` makes one)"
_T = TypeVar("_T")


def check(reader: Reader, value: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Check all values together. `value` maps each key's name to its value or default. Problems and warnings go to the reader."""
    if not reader.file_failed:
        _check_required(reader)
    routes: dict[str, str] = {}
    for name in ("getTokenRoute", "checkTokenRoute", "jwksRoute"):
        if value[name] in routes:
            reader.complain_of(name, f"has to differ from {routes[value[name]]}")
        elif value[name] is not None:
            routes[value[name]] = name
    if value["adminPort"] and value["adminPort"] == value["port"]:
        reader.complain_of("adminPort", "has to differ from port")
    _check_secrets(reader, value, environ)
    _check_status_map(reader, value)
    _check_cors(reader, value)
    _check_throttle(reader, value)
    _check_remote_tls(reader, value)
    if value["forwardedFor"]:
        for name in value["forwardHeaders"]:
            if name.lower() in FORWARDED_FIELDS:
                reader.complain_of("forwardHeaders", f"forwardedFor already sends {name}: remove it here")
    if value["passRemoteErrors"] and value["statusMap"] == "original":
        why = "which answers every failure of the remote with 500"
        reader.warnings.append(f"passRemoteErrors has no effect with statusMap: original, {why}")
    _check_own_tokens(reader, value)


def _check_own_tokens(reader: Reader, value: Mapping[str, Any]) -> None:
    """Warn of rules that reject every token of this service."""
    rejects = "rejects every token that this service issues"
    if value["verify.iss"] and value["verify.iss"] != value["claims.iss"]:
        what = f"their `iss` is {value['claims.iss']}" if value["claims.iss"] else "they have no `iss`"
        reader.warnings.append(f"verify.iss {rejects}: {what}")
    if value["verify.aud"] and not set(value["verify.aud"]) & set(value["claims.aud"]):
        what = "their `aud` is different" if value["claims.aud"] else "they have no `aud`"
        reader.warnings.append(f"verify.aud {rejects}: {what}")
    if value["verify.maxAge"] and not value["claims.iat"]:
        reader.warnings.append(f"verify.maxAge {rejects}: they have no `iat`")
    if value["claims.typ"].lower() == BEARER_TYPE:
        reader.complain_of("claims.typ", "is the type of the token that txtoken sends to the remote")
    if value["claims.typ"].lower() == "at+jwt":
        wanted = {"claims.iss", "claims.aud", "claims.sub", "claims.iat", "claims.jti"}
        if missing := sorted(name for name in wanted if not value[name]):
            reader.warnings.append(f"claims.typ at+jwt also requires {', '.join(missing)} (RFC 9068 §2.2)")


def _check_required(reader: Reader) -> None:
    for name, how in (("remote", "the URL that logins are POSTed to"), ("encKey", "`txtoken keygen` makes one")):
        instead = {BY_NAME[name].instead_of, "keys" if name == "encKey" else ""}
        if name not in reader.given and instead.isdisjoint(reader.given):
            reader.complain(name, reader.source or "configuration", f"is required: {how}")


def _check_secrets(reader: Reader, value: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Reject keys that anyone could guess, unless only this machine can reach the service. Warn of invisible characters."""
    # Sockets from systemd replace `listen`, and their addresses are not known here.
    is_for_this_machine = all(map(is_local, value["listen"])) and not environ.get("LISTEN_FDS")
    for name in ("encKey", "encKeyFile", "requestKey", "requestKeyFile"):
        secret = value[name] or ""
        weakness = signing_secret.weakness(secret)
        if weakness and is_for_this_machine:
            why = "it is accepted only because every address of `listen` is loopback or a Unix socket"
            reader.warnings.append(f"{name} {weakness}: {why}. {_NEW_KEY}")
        elif weakness:
            text = (
                f"{weakness}. {_NEW_KEY}; to try things out, set `listen` to loopback addresses, where it is accepted"
            )
            reader.complain_of(name, text)
        if unseen := signing_secret.invisible(secret):
            reader.warnings.append(
                f"{name} contains {', '.join(unseen)}: this is part of the secret, and people may overlook it"
            )


def _check_status_map(reader: Reader, value: Mapping[str, Any]) -> None:
    successes = value["successStatus"]
    names = value["statusMap"] if isinstance(value["statusMap"], Mapping) else {}
    for name in names:
        if name.isdigit() and int(name) in successes:
            text = f"cannot map {name}, which is a success (successStatus): use `invalid` for unusable replies"
            reader.complain_of("statusMap", text)
    if success.ALL in names and successes == success.STATUSES:
        reader.complain_of("statusMap", "cannot map 2xx: all of these are a success (successStatus)")


def remote_proxy(reader: Reader, value: Mapping[str, Any], environ: Mapping[str, str]) -> RemoteProxy | None:
    """Choose the proxy for the remote. A Unix socket never has one."""
    name = "remoteProxyFile" if value["remoteProxyFile"] is not None else "remoteProxy"
    chosen, remote = value[name], value["remote"]
    if isinstance(chosen, RemoteProxy):
        if remote is not None and is_http_unix(remote):
            reader.complain_of(name, "cannot be used with a remote at a Unix socket (http+unix): leave it out")
        return chosen
    if chosen == proxying.OFF or remote is None:
        return None
    return _proxy_of_environment(reader, remote, environ)


def proxy_for(reader: Reader, value: Mapping[str, Any], environ: Mapping[str, str], remote: str) -> RemoteProxy | None:
    """Choose the proxy for another remote, the value of the key `remote`. The rules are the same, except that a configured proxy
    beside a Unix socket is no error: the socket does not use it.
    """
    chosen, url = value["remoteProxyFile"] or value["remoteProxy"], value[remote]
    if chosen == proxying.OFF or is_http_unix(url):
        return None
    return chosen if isinstance(chosen, RemoteProxy) else _proxy_of_environment(reader, url, environ)


def _proxy_of_environment(reader: Reader, remote: str, environ: Mapping[str, str]) -> RemoteProxy | None:
    try:
        found = proxying.from_environment(remote, environ)
    except proxying.BadVariable as bad:
        way_out = "Correct it, or set remoteProxy: off"
        reader.complain("remoteProxy", f"environment {bad.variable}", f"{bad}. {way_out}")
        return None
    reader.warnings += [said for said in proxying.warnings(remote, environ) if said not in reader.warnings]
    return found


def jwks(reader: Reader, value: Mapping[str, Any], keys: KeySettings) -> JwksSettings:
    """Choose where public keys are published, if there are any."""
    if all(algorithm in HMAC_ALGORITHMS for algorithm in keys.algorithms):
        return JwksSettings(value["jwksRoute"])
    issuer = value["claims.iss"] or ""
    is_url = _is_issuer_url(issuer)
    if is_url and issuer.startswith("http:"):
        reader.warnings.append("claims.iss is an http URL: many verifiers fetch keys only over https")
    for name in ("getTokenRoute", "checkTokenRoute", "jwksRoute"):
        path = value[name] or ""
        if path == JWKS_ROUTE and name != "jwksRoute" and value["jwksRoute"] is None:
            reader.complain_of(name, f"{path} is in use: the public keys are published there")
        elif is_url and any(place in path for place in DISCOVERY_NAMES):
            reader.complain_of(name, f"{path} is in use: the discovery documents are published there")
    max_age_s = JWKS_MAX_AGE_S if keys.rotation is None else min(JWKS_MAX_AGE_S, keys.rotation.lead_s // 4)
    return JwksSettings(value["jwksRoute"] or JWKS_ROUTE, max_age_s, issuer if is_url else None)


def _is_issuer_url(text: str) -> bool:
    """Whether an issuer can have discovery documents: it is a URL in ASCII without query and fragment (RFC 8414 §2)."""
    if not re.fullmatch(r"https?://(?!/)[!\"$->@-~]+", text):
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def _check_cors(reader: Reader, value: Mapping[str, Any]) -> None:
    origins = value["cors.origins"]
    if "*" in origins and len(origins) > 1:
        reader.complain_of("cors.origins", "contains * beside other origins: use * alone to allow all")
    elif "*" in origins and value["cors.credentials"]:
        reader.complain_of(
            "cors.credentials", "cannot be used with origins: '*', because browsers reject that: list the origins"
        )
    given = [name for name in reader.given if name.startswith("cors.")]
    if given and "cors.origins" not in given:
        where, line = reader.where(given[0])
        text = "is required in this section: the origins of the pages that may call"
        reader.complain("cors.origins", where, text, line)


def _check_throttle(reader: Reader, value: Mapping[str, Any]) -> None:
    given = [name for name in reader.given if name.startswith("throttle.")]
    if not given and "throttle" not in reader.sections:
        return
    if "throttle.field" not in given:
        where, line = reader.where(given[0]) if given else reader.sections["throttle"]
        text = "is required in this section: where the user's name stands in the body of a login, as /user"
        reader.complain("throttle.field", where, text, line)
    if "unix" not in value["trustedProxies"] and all(place.startswith(UNIX_PREFIX) for place in value["listen"]):
        why = "the clients of a Unix socket have no addresses,"
        reader.warnings.append(
            f"throttle counts the failed logins of all clients as one client's: {why} unless trustedProxies contains unix"
        )


def tls(reader: Reader, value: Mapping[str, Any], prefix: str, make: Callable[..., _T]) -> _T:
    """Build the TLS settings of a section, unless one of its values is already wrong."""
    given = [name for name in reader.given if name.startswith(prefix)]
    if all(value[name] is not None for name in given):
        try:
            return make(**{snake(name.removeprefix(prefix)): value[name] for name in value if name.startswith(prefix)})
        except Unusable as unusable:
            reader.complain_of(prefix + unusable.key, str(unusable))
    return make()


def _check_remote_tls(reader: Reader, value: Mapping[str, Any]) -> None:
    asked = [name for name in reader.given if name.startswith("remoteTls.") and value[name] not in (None, True)]
    remotes = [value[name].lower() for name in ("remote", "refresh.remote") if value[name]]
    if asked and remotes and all(remote.startswith(("http:", "http+unix:")) for remote in remotes):
        reader.complain_of(
            asked[0], "applies only to a remote with TLS: leave remoteTls out, or make remote an https:// URL"
        )
    if not value["remoteTls.verify"]:
        danger = "a man in the middle can read every login and answer in place of the remote"
        reader.warnings.append(
            f"remoteTls.verify is false: {danger}. Trust the remote's own authority with remoteTls.caFile instead"
        )
