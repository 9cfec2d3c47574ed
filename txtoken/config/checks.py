"""What has to fit together between keys. Knows what each key means; reads no file and converts no value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from txtoken.config import proxying, signing_secret, success
from txtoken.config.addresses import is_local
from txtoken.config.certificates import Unusable
from txtoken.config.reader import Reader
from txtoken.config.table import BY_NAME, snake
from txtoken.settings import RemoteProxy
from txtoken.unix_urls import is_http_unix

FORWARDED_FIELDS: Final = frozenset(("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"))
_NEW_KEY: Final = "Replace it (`txtoken keygen` makes one)"
_T = TypeVar("_T")


def check(reader: Reader, value: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Check all values together. `value` maps each key's name to what was given, or its default. Problems and warnings go to
    the reader.
    """
    if not reader.file_failed:
        _check_required(reader)
    if value["getTokenRoute"] == value["checkTokenRoute"]:
        reader.complain_of("checkTokenRoute", "has to differ from getTokenRoute")
    if value["adminPort"] and value["adminPort"] == value["port"]:
        reader.complain_of("adminPort", "has to differ from port")
    _check_secrets(reader, value, environ)
    _check_status_map(reader, value)
    _check_cors(reader, value)
    _check_remote_tls(reader, value)
    if value["forwardedFor"]:
        for name in value["forwardHeaders"]:
            if name.lower() in FORWARDED_FIELDS:
                reader.complain_of("forwardHeaders", f"{name} is sent by forwardedFor already: take it out")
    if value["passRemoteErrors"] and value["statusMap"] == "original":
        why = "which makes all failures of the remote 500"
        reader.warnings.append(f"passRemoteErrors does nothing with statusMap: original, {why}")
    for name, claim in (("verify.iss", "iss"), ("verify.aud", "aud"), ("verify.maxAge", "iat")):
        if value[name]:
            reader.warnings.append(f"{name} refuses every token that this service issues: they hold no `{claim}`")


def _check_required(reader: Reader) -> None:
    for name, how in (("remote", "the URL that logins are POSTed to"), ("encKey", "`txtoken keygen` makes one")):
        if name not in reader.given and BY_NAME[name].instead_of not in reader.given:
            reader.complain(name, reader.source or "configuration", f"is required: {how}")


def _check_secrets(reader: Reader, value: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Refuse keys that anybody could guess, unless only this machine can reach the service; name what nobody sees in one."""
    # Sockets that systemd passes are listened on in place of `listen`, and where they are bound nobody knows here.
    is_for_this_machine = all(map(is_local, value["listen"])) and not environ.get("LISTEN_FDS")
    for name in ("encKey", "encKeyFile", "requestKey", "requestKeyFile"):
        secret = value[name] or ""
        weakness = signing_secret.weakness(secret)
        if weakness and is_for_this_machine:
            why = "it is taken because every address of `listen` is loopback or a Unix socket"
            reader.warnings.append(f"{name} {weakness}: {why}, and is refused elsewhere. {_NEW_KEY}")
        elif weakness:
            text = f"{weakness}. {_NEW_KEY}; for trying things out it is taken where `listen` names loopback addresses alone"
            reader.complain_of(name, text)
        if unseen := signing_secret.invisible(secret):
            reader.warnings.append(
                f"{name} holds {', '.join(unseen)}: it signs with that too, and others may not see it"
            )


def _check_status_map(reader: Reader, value: Mapping[str, Any]) -> None:
    successes = value["successStatus"]
    names = value["statusMap"] if isinstance(value["statusMap"], Mapping) else {}
    for name in names:
        if name.isdigit() and int(name) in successes:
            text = f"cannot map {name}, which is success: what is wrong with such a reply is called invalid"
            reader.complain_of("statusMap", text)
    if success.ALL in names and successes == success.STATUSES:
        reader.complain_of("statusMap", "cannot map 2xx, which are all a success (successStatus)")


def remote_proxy(reader: Reader, value: Mapping[str, Any], environ: Mapping[str, str]) -> RemoteProxy | None:
    """Decide by which proxy the remote is reached. A Unix socket is never reached by one."""
    name = "remoteProxyFile" if value["remoteProxyFile"] is not None else "remoteProxy"
    chosen, remote = value[name], value["remote"]
    if isinstance(chosen, RemoteProxy):
        if remote is not None and is_http_unix(remote):
            reader.complain_of(name, "cannot go with a remote at a Unix socket (http+unix): leave it out")
        return chosen
    if chosen == proxying.OFF or remote is None:
        return None
    try:
        found = proxying.from_environment(remote, environ)
    except proxying.BadVariable as bad:
        way_out = "Correct it, or say remoteProxy: off"
        reader.complain("remoteProxy", f"environment {bad.variable}", f"{bad}. {way_out}")
        return None
    reader.warnings += proxying.warnings(remote, environ)
    return found


def _check_cors(reader: Reader, value: Mapping[str, Any]) -> None:
    origins = value["cors.origins"]
    if "*" in origins and len(origins) > 1:
        reader.complain_of("cors.origins", "holds * beside other origins: * alone is for all")
    elif "*" in origins and value["cors.credentials"]:
        reader.complain_of(
            "cors.credentials", "cannot go with origins: '*', which browsers refuse then: name the origins"
        )
    given = [name for name in reader.given if name.startswith("cors.")]
    if given and "cors.origins" not in given:
        where, line = reader.where(given[0])
        text = "is required in this section: the origins of the pages that may call"
        reader.complain("cors.origins", where, text, line)


def tls(reader: Reader, value: Mapping[str, Any], prefix: str, make: Callable[..., _T]) -> _T:
    """Make of a section what TLS is spoken with, unless something in it is wrong already."""
    given = [name for name in reader.given if name.startswith(prefix)]
    if all(value[name] is not None for name in given):
        try:
            return make(**{snake(name.removeprefix(prefix)): value[name] for name in value if name.startswith(prefix)})
        except Unusable as unusable:
            reader.complain_of(prefix + unusable.key, str(unusable))
    return make()


def _check_remote_tls(reader: Reader, value: Mapping[str, Any]) -> None:
    asked = [name for name in reader.given if name.startswith("remoteTls.") and value[name] not in (None, True)]
    if asked and (value["remote"] or "").lower().startswith(("http:", "http+unix:")):
        reader.complain_of(asked[0], "is for a remote that speaks TLS: leave remoteTls out, or make remote https://…")
    if not value["remoteTls.verify"]:
        danger = "whoever stands between can read every login, and answer in the remote's place"
        reader.warnings.append(
            f"remoteTls.verify is false: {danger}. Trust its own authority with remoteTls.caFile instead"
        )
