"""File and environment into one frozen `Config`, or every problem at once (contract §1). Knows what keys there are and
where their values came from; starts nothing.

The table `KEYS` is the model: names, converters, defaults. Reading, the environment's names, the nearest known key and
what `txtoken check` and `txtoken schema` show all come from it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
import yaml

from txtoken import proxying, signing_secret, success, trees, urls, values, yaml_reader
from txtoken.certificates import PemFile, Unusable, dialling, listening
from txtoken.errors import ConfigError, Problem
from txtoken.settings import (
    HIDDEN,
    Config,
    CorsSettings,
    Limits,
    LogSettings,
    RemoteProxy,
    Secret,
    SuccessRules,
    Timeouts,
    VerifyRules,
)
from txtoken.unix_urls import is_http_unix
from txtoken.values import DAY_S, KIB, MIB, WEEK_S

DEFAULT_PATH: Final = "example_cfg.yml"  # as the original: in the working directory
ENVIRONMENT_PREFIX: Final = "TXTOKEN_"

# What Kubernetes (and Docker's links) set in every container beside a Service that is called txtoken…: not meant for us.
_SERVICE_LINK: Final = re.compile(
    r"TXTOKEN_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)",
    re.ASCII,
)
_SERVICE_LINK_PORT: Final = re.compile(r"TXTOKEN_(?:\w+_)?PORT=(?:tcp|udp|sctp)://.*", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,31}")  # what is longer than any key's name may be a secret

FORWARDED_FIELDS: Final = frozenset(("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"))
_NEW_KEY: Final = "Replace it (`txtoken keygen` makes one)"
_CLOSE: Final = 0.7  # of difflib's ratio: a variable's name that is so near to a key's was meant to be it
_T = TypeVar("_T")

FILE_BYTES_MAX: Final = MIB  # of a configuration file; what is larger is some other file


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])[A-Z]", lambda match: "_" + match[0].lower(), name)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file: `name` is dotted within a section, `default` what holds when it is absent."""

    name: str
    read: values.Kind[Any]
    default: object
    attribute: str = ""  # of Config, where it is not the name in snake case
    secret: bool = False
    instead_of: str = ""  # another way to say the same: of the two only one may be given

    @property
    def variable(self) -> str:
        """The environment variable that sets this key."""
        return ENVIRONMENT_PREFIX + _snake(self.name).upper().replace(".", "_")


_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()
_CORS: Final = CorsSettings()
_SUCCESS: Final = SuccessRules()

KEYS: Final = (
    Key("port", values.whole_number(0, 65535), 8888),
    Key("debug", values.read_flag, False),
    Key("encKey", signing_secret.read_secret, None, secret=True, instead_of="encKeyFile"),
    Key("remote", urls.read_url, None),
    Key("expHours", values.read_hours, DAY_S, attribute="token_ttl_s"),
    Key("getTokenRoute", values.read_route, "/getToken"),
    Key("checkTokenRoute", values.read_route, "/checkToken"),
    Key("requestTokenData", trees.read_tree, b"{}"),
    Key("listen", values.read_addresses, (values.ALL_ADDRESSES,)),
    Key("workers", values.read_workers, 1),
    Key("adminPort", values.whole_number(0, 65535), None),
    Key("encKeyFile", signing_secret.read_secret_file, None, secret=True, instead_of="encKey"),
    Key("requestKey", signing_secret.read_secret, None, secret=True, instead_of="requestKeyFile"),
    Key("requestKeyFile", signing_secret.read_secret_file, None, secret=True, instead_of="requestKey"),
    Key("successStatus", success.read_statuses, _SUCCESS.statuses, attribute="success.statuses"),
    Key("successWhen", success.read_members, _SUCCESS.members, attribute="success.members"),
    Key("remoteProxy", proxying.read_proxy, proxying.ENVIRONMENT, instead_of="remoteProxyFile"),
    Key("remoteProxyFile", proxying.read_proxy_file, None, instead_of="remoteProxy"),
    # It is signed once a second, which must not be more than a tenth of its life (contract §2).
    Key("requestTokenSeconds", values.whole_number(10, DAY_S), 300, attribute="request_token_s"),
    Key("validateBody", values.read_flag, True),
    Key("limits.headBytes", values.size(KIB, MIB), _LIMITS.head_bytes),
    Key("limits.headerCount", values.whole_number(1, 10_000), _LIMITS.header_count),
    Key("limits.bodyBytes", values.size(1, 64 * MIB), _LIMITS.body_bytes),
    Key("limits.replyBytes", values.size(2, 64 * MIB), _LIMITS.reply_bytes),
    Key("limits.tokenBytes", values.size(KIB, MIB), _LIMITS.token_bytes),
    Key("limits.bufferedBytes", values.size(MIB, 64 * 1024 * MIB), _LIMITS.buffered_bytes),
    Key("limits.connections", values.whole_number(1, 1_000_000), _LIMITS.connections),
    Key("limits.remoteConnections", values.whole_number(1, 60_000), _LIMITS.remote_connections),
    Key("limits.waiting", values.whole_number(0, 1_000_000), _LIMITS.waiting),
    Key("timeouts.head", values.duration(0.001, WEEK_S), _TIMEOUTS.head),
    Key("timeouts.body", values.duration(0.001, WEEK_S), _TIMEOUTS.body),
    Key("timeouts.idle", values.duration(0.001, WEEK_S), _TIMEOUTS.idle),
    Key("timeouts.connect", values.duration(0.001, WEEK_S), _TIMEOUTS.connect),
    Key("timeouts.remote", values.duration(0.001, WEEK_S), _TIMEOUTS.remote),
    Key("timeouts.remoteIdle", values.duration(0.001, WEEK_S), _TIMEOUTS.remote_idle),
    Key("timeouts.drain", values.duration(0, WEEK_S), _TIMEOUTS.drain),
    Key("timeouts.drainDelay", values.duration(0, WEEK_S), _TIMEOUTS.drain_delay),
    Key("statusMap", values.read_status_map, "original"),
    Key("passRemoteErrors", values.read_flag, False),
    Key("forwardHeaders", values.list_of(values.read_field_name), ("X-Request-Id", "traceparent", "tracestate")),
    Key("trustedProxies", values.list_of(values.read_proxies), ()),
    Key("forwardedFor", values.read_flag, False),
    Key("cors.origins", values.list_of(values.read_origin), _CORS.origins),
    Key("cors.headers", values.list_of(values.read_script_field_name), _CORS.headers),
    Key("cors.maxAge", values.duration(0, DAY_S), _CORS.max_age_s, attribute="cors.max_age_s"),
    Key("cors.credentials", values.read_flag, _CORS.credentials),
    Key("tls.certFile", values.read_certificates, None),
    Key("tls.keyFile", values.read_private_key, None),
    Key("tls.clientCaFile", values.read_certificates, None),
    Key("remoteTls.caFile", values.read_certificates, None),
    Key("remoteTls.certFile", values.read_certificates, None),
    Key("remoteTls.keyFile", values.read_private_key, None),
    Key("remoteTls.serverName", urls.read_server_name, None),
    Key("remoteTls.verify", values.read_flag, True),
    Key("verify.leeway", values.duration(0, DAY_S), 0.0, attribute="verify.leeway_s"),
    Key("verify.iss", values.read_text, None, attribute="verify.issuer"),
    Key("verify.aud", values.list_of(values.read_text), (), attribute="verify.audience"),
    Key("verify.requireExp", values.read_flag, True),
    Key("verify.maxAge", values.duration(1, 36_525 * DAY_S), None, attribute="verify.max_age_s"),
    Key("reload", values.read_period, 10.0, attribute="reload_s"),
    Key("checkResponse", values.choice("original", "claims"), "original"),
    Key("log.level", values.choice("debug", "info", "warning", "error"), None),
    Key("log.format", values.choice("json", "text"), None),
    Key("log.access", values.read_flag, True),
)
_BY_NAME: Final = {key.name: key for key in KEYS}
_BY_VARIABLE: Final = {key.variable: key for key in KEYS}
SECTIONS: Final = {name.partition(".")[0] for name in _BY_NAME if "." in name}


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was given, and where."""

    node: yaml.Node
    source: str  # file, environment or --set
    where: str
    line: int = 0


class _Reader:
    """Collects what was given and all that is wrong with it."""

    def __init__(self) -> None:
        self.given: dict[str, _Given] = {}
        self.file_failed = False  # it could not be read at all: that keys are missing is then no news
        self.warnings: list[str] = []
        self._problems: list[tuple[int, Problem]] = []

    def complain(self, key: str, where: str, text: str, line: int = 0) -> None:
        self._problems.append((line, Problem(key, where, text)))

    def raise_problems(self) -> None:
        """Raise all problems, in the order of their lines."""
        if self._problems:
            raise ConfigError(tuple(problem for _, problem in sorted(self._problems, key=lambda pair: pair[0])))

    def give(self, name: str, given: _Given) -> None:
        """Take a value from a source that counts more than those before."""
        earlier = self.given.get(name)
        if earlier is not None and earlier.source == given.source:  # dotted, and in its section
            self.complain(name, given.where, f"was given in line {earlier.line} already: keep one of them", given.line)
        self.given[name] = given
        rival = self.given.get(_BY_NAME[name].instead_of)
        if rival is None:
            return
        if rival.source == given.source:
            self.complain(
                name, given.where, f"is given beside {_BY_NAME[name].instead_of}: keep one of them", given.line
            )
        else:
            del self.given[_BY_NAME[name].instead_of]

    def read_file(self, path: str) -> None:
        self.file_failed = True
        shown = values.printable(path)
        text = ""
        try:
            text = values.read_file(path, FILE_BYTES_MAX).decode("utf-8-sig")
            root = yaml_reader.compose(text)
        except values.Wrong as wrong:
            self.complain("", "configuration file", f"{wrong}. Name another with --config or CFG_FILE.")
        except UnicodeDecodeError:
            self.complain("", shown, "is not UTF-8 text")
        except (ValueError, OverflowError):  # of PyYAML, for an escape like \UFFFFFFFF
            self.complain("", shown, "holds a character that YAML does not allow")
        except yaml.YAMLError as error:
            line, problem = yaml_reader.explain(error, text)
            self.complain("", f"{shown}, line {line}" if line else shown, problem, line)
        except RecursionError:
            self.complain("", shown, "is nested too deeply to be read")
        else:
            self.file_failed = False
            if root is not None and _is_given(root):
                self._read_section(root, shown, "")

    def _read_section(self, section: yaml.Node, path: str, prefix: str) -> None:
        name = prefix.removesuffix(".")
        if not isinstance(section, yaml.MappingNode) or section.tag != "tag:yaml.org,2002:map":
            self.complain(name, _place(path, section), "has to be a section of `key: value` lines", _line(section))
            return
        first_lines: dict[str, int] = {}
        for key_node, value in section.value:
            where, line = _place(path, key_node), _line(key_node)
            key = prefix + key_node.value if isinstance(key_node, yaml.ScalarNode) else prefix
            if key in first_lines and key != prefix:
                text = f"was given in line {first_lines[key]} already: keep one of them"
                self.complain(_shown(key), where, text, line)
                continue
            first_lines[key] = line
            if key in _BY_NAME:
                if _is_given(value):
                    self.give(key, _Given(value, "file", where, line))
            elif key in SECTIONS:
                if _is_given(value):
                    self._read_section(value, path, key + ".")
            else:
                self._complain_unknown(key, where, line)

    def _complain_unknown(self, key: str, where: str, line: int) -> None:
        section = key.rpartition(".")[0]
        near = [name for name in _BY_NAME if name.rpartition(".")[0] == section] + ([] if section else [*SECTIONS])
        name, colon, _ = key.partition(":")
        hint = " A space has to follow the colon." if colon and name in near else ""
        self.complain(_shown(key), where, f"is not a known key{_nearest(name, near)}{hint}", line)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        for variable, text in environ.items():
            # What is empty counts as absent: `${PORT:-}` of a compose file sets it all the same.
            if not text or not variable.startswith(ENVIRONMENT_PREFIX) or _is_service_link(variable, text):
                continue
            key = _BY_VARIABLE.get(variable)
            if key is not None:
                self.give(key.name, _Given(values.scalar(text), "environment", f"environment {variable}"))
                continue
            shown, near = values.printable(variable), _nearest_variable(variable)
            if near:
                self.complain("", f"environment {shown}", f"sets no known key{near}")
            else:
                self.warnings.append(f"environment {shown} sets no known key, and is ignored")

    def read_overrides(self, overrides: Mapping[str, str]) -> None:
        for name, text in overrides.items():
            if name in _BY_NAME:
                self.give(name, _Given(values.scalar(text), "--set", "--set"))
            else:
                self.complain("", f"--set {_shown(name)}", f"is not a known key{_nearest(name, _BY_NAME)}")

    def value(self, name: str) -> Any:
        """Convert one value. What is wrong with it is noted, and the default stands in."""
        key = _BY_NAME[name]
        given = self.given.get(name)
        if given is None:
            return key.default
        try:
            return key.read(given.node)
        except values.Wrong as wrong:
            place, line = given.where, given.line
            if wrong.node is not None and line:
                line = _line(wrong.node)
                place = f"{place.rpartition(', line')[0]}, line {line}"
            self.complain(name, place, str(wrong), line)
            return key.default

    def other_files(self) -> list[str]:
        """Name the files that secrets and certificates were read from."""
        return [str(given.node.value) for name, given in self.given.items() if name.endswith("File")]

    def complain_of(self, name: str, text: str) -> None:
        """Say what is wrong with a value that was read without fault."""
        where, line = self.where(name)
        self.complain(name, where, text, line)

    def where(self, name: str) -> tuple[str, int]:
        given = self.given.get(name)
        return (given.where, given.line) if given else ("configuration", 0)


def load(
    path: str | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, str] | None = None,
    default_path: str = DEFAULT_PATH,
) -> Config:
    """Read the configuration: `overrides` (dotted names) count more than `environ`, that more than the file.

    The file is `path`, else the environment's CFG_FILE, else `default_path` in the working directory ("": none). That last one
    may be missing when the environment or `overrides` give what is required.

    Raises:
        ConfigError: it cannot be used. Every problem is told.
    """
    reader = _Reader()
    source = path or environ.get("CFG_FILE") or ""
    if not source and (os.path.exists(default_path) or not _is_complete(environ, overrides or {})):
        source = default_path
    if source:
        reader.read_file(source)
    reader.read_environment(environ)
    reader.read_overrides(overrides or {})
    config = _assemble(reader, values.printable(source), environ)
    reader.raise_problems()
    return config


def _is_complete(environ: Mapping[str, str], overrides: Mapping[str, str]) -> bool:
    names = {*overrides, *(_BY_VARIABLE[name].name for name, text in environ.items() if text and name in _BY_VARIABLE)}
    return "remote" in names and not names.isdisjoint(("encKey", "encKeyFile"))


def _assemble(reader: _Reader, source: str, environ: Mapping[str, str]) -> Config:
    value = {key.name: reader.value(key.name) for key in KEYS}
    debug = value["debug"]
    warnings = reader.warnings
    if not reader.file_failed:
        for name, how in (("remote", "the URL that logins are POSTed to"), ("encKey", "`txtoken keygen` makes one")):
            if name not in reader.given and _BY_NAME[name].instead_of not in reader.given:
                reader.complain(name, source or "configuration", f"is required: {how}")
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
        warnings.append(f"passRemoteErrors does nothing with statusMap: original, {why}")
    for name, claim in (("verify.iss", "iss"), ("verify.aud", "aud"), ("verify.maxAge", "iat")):
        if value[name]:
            warnings.append(f"{name} refuses every token that this service issues: they hold no `{claim}`")
    enc_key = Secret((value["encKey"] or value["encKeyFile"] or "").encode())
    request_key = value["requestKey"] or value["requestKeyFile"]
    return Config(
        source=source,
        files=(*([source] if source else []), *reader.other_files()),
        reload_s=value["reload"],
        listen=value["listen"],
        port=value["port"],
        workers=value["workers"],
        admin_port=value["adminPort"],
        debug=debug,
        enc_key=enc_key,
        remote=value["remote"] or "",
        remote_proxy=_remote_proxy(reader, value, environ),
        success=SuccessRules(**_section(value, "success")),
        token_ttl_s=value["expHours"],
        get_token_route=value["getTokenRoute"],
        check_token_route=value["checkTokenRoute"],
        request_token_data=value["requestTokenData"],
        request_key=Secret(request_key.encode()) if request_key else enc_key,
        request_token_s=value["requestTokenSeconds"],
        validate_body=value["validateBody"],
        limits=Limits(**_section(value, "limits.")),
        timeouts=Timeouts(**_section(value, "timeouts.")),
        verify=VerifyRules(**_section(value, "verify.")),
        check_response=value["checkResponse"],
        status_map=value["statusMap"],
        pass_remote_errors=value["passRemoteErrors"],
        forward_headers=value["forwardHeaders"],
        trusted_proxies=value["trustedProxies"],
        forwarded_for=value["forwardedFor"],
        cors=CorsSettings(**_section(value, "cors.")),
        tls=_tls(reader, value, "tls.", listening),
        remote_tls=_tls(reader, value, "remoteTls.", dialling),
        log=LogSettings(
            level=value["log.level"] or ("debug" if debug else "info"),
            format=value["log.format"] or ("text" if debug else "json"),
            access=value["log.access"],
        ),
        warnings=tuple(warnings),
    )


def _check_secrets(reader: _Reader, value: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Refuse keys that anybody could guess, unless only this machine can reach the service; name what nobody sees in one."""
    # Sockets that systemd passes are listened on in place of `listen`, and where they are bound nobody knows here.
    is_local = all(map(values.is_local, value["listen"])) and not environ.get("LISTEN_FDS")
    for name in ("encKey", "encKeyFile", "requestKey", "requestKeyFile"):
        secret = value[name] or ""
        weakness = signing_secret.weakness(secret)
        if weakness and is_local:
            why = "it is taken because every address of `listen` is loopback or a Unix socket"
            reader.warnings.append(f"{name} {weakness}: {why}, and is refused elsewhere. {_NEW_KEY}")
        elif weakness:
            text = f"{weakness}. {_NEW_KEY}; for trying things out it is taken where `listen` names loopback addresses alone"
            reader.complain_of(name, text)
        if unseen := signing_secret.invisible(secret):
            reader.warnings.append(
                f"{name} holds {', '.join(unseen)}: it signs with that too, and others may not see it"
            )


def _check_status_map(reader: _Reader, value: Mapping[str, Any]) -> None:
    successes = value["successStatus"]
    names = value["statusMap"] if isinstance(value["statusMap"], Mapping) else {}
    for name in names:
        if name.isdigit() and int(name) in successes:
            text = f"cannot map {name}, which is success: what is wrong with such a reply is called invalid"
            reader.complain_of("statusMap", text)
    if success.ALL in names and successes == success.STATUSES:
        reader.complain_of("statusMap", "cannot map 2xx, which are all a success (successStatus)")


def _remote_proxy(reader: _Reader, value: Mapping[str, Any], environ: Mapping[str, str]) -> RemoteProxy | None:
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


def _check_cors(reader: _Reader, value: Mapping[str, Any]) -> None:
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


def _tls(reader: _Reader, value: Mapping[str, Any], prefix: str, make: Callable[..., _T]) -> _T:
    """Make of a section what TLS is spoken with, unless something in it is wrong already."""
    given = [name for name in reader.given if name.startswith(prefix)]
    if all(value[name] is not None for name in given):
        try:
            return make(**_section(value, prefix))
        except Unusable as unusable:
            reader.complain_of(prefix + unusable.key, str(unusable))
    return make()


def _check_remote_tls(reader: _Reader, value: Mapping[str, Any]) -> None:
    asked = [name for name in reader.given if name.startswith("remoteTls.") and value[name] not in (None, True)]
    if asked and (value["remote"] or "").lower().startswith(("http:", "http+unix:")):
        reader.complain_of(asked[0], "is for a remote that speaks TLS: leave remoteTls out, or make remote https://…")
    if not value["remoteTls.verify"]:
        danger = "whoever stands between can read every login, and answer in the remote's place"
        reader.warnings.append(
            f"remoteTls.verify is false: {danger}. Trust its own authority with remoteTls.caFile instead"
        )


def _section(value: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    names = [name for name in value if name.startswith(prefix)]
    return {_attribute(_BY_NAME[name]).rpartition(".")[2]: value[name] for name in names}


def _attribute(key: Key) -> str:
    return key.attribute or _snake(key.name)


def as_written(key: Key, value: object) -> object:
    """Return a value as the file would say it, for orjson to write."""
    if key.name == "remoteProxy" and not isinstance(value, str):
        assert value is None or isinstance(value, RemoteProxy)
        return proxying.shown(value)
    if key.name == "successWhen":
        assert isinstance(value, tuple)
        return success.as_members(value)
    if isinstance(value, frozenset):
        return success.as_statuses(value)
    if key.name == "expHours":
        assert isinstance(value, int)
        return round(value / 3600, 6)
    if isinstance(value, PemFile):
        return value.path
    return orjson.Fragment(value) if isinstance(value, bytes) else value


def describe(config: Config) -> dict[str, object]:
    """Return what would run, under the file's own names. Secrets are hidden, times are in seconds."""
    described: dict[str, object] = {}
    for key in KEYS:
        if key.name.endswith("File") and key.instead_of:
            continue  # what it holds is shown (a secret as hidden) under the name of the key that it stands for
        shown: object = config
        for part in _attribute(key).split("."):
            shown = getattr(shown, part)
        shown = HIDDEN if key.secret else as_written(key, shown)
        section, _, name = key.name.rpartition(".")
        place = described.setdefault(section, {}) if section else described
        assert isinstance(place, dict)
        place[name] = shown
    return described


def _is_given(node: yaml.Node) -> bool:
    """A key without a value, or with null, counts as absent."""
    return node.tag != values.NULL_TAG


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark is not None else 0


def _place(path: str, node: yaml.Node) -> str:
    return f"{path}, line {_line(node)}"


def _shown(name: str) -> str:
    """Return an unknown name as it may be told. `encKey:…` without a space after the colon is a name with a secret in it."""
    section, _, last = name.rpartition(".")
    return name if _NAME.fullmatch(last) and (not section or section in SECTIONS) else "?"


def _is_service_link(variable: str, text: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(variable) or _SERVICE_LINK_PORT.fullmatch(f"{variable}={text}"))


def _nearest_variable(variable: str) -> str:
    """Name the variable that was meant, where one is close. Deployment tools set others: TXTOKEN_VERSION, TXTOKEN_IMAGE."""
    name = variable.removeprefix(ENVIRONMENT_PREFIX).upper()
    sections = {_snake(section).upper(): section for section in SECTIONS}
    if name in sections:
        first = next(key for key in KEYS if key.name.startswith(f"{sections[name]}."))
        return f": each key of a section has a variable of its own, like {first.variable}"
    known = [key.removeprefix(ENVIRONMENT_PREFIX) for key in _BY_VARIABLE]
    near = difflib.get_close_matches(name[:80], known, n=1, cutoff=_CLOSE)
    return f": did you mean {ENVIRONMENT_PREFIX}{near[0]}?" if near else ""


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name[:80].lower(), by_lower, n=1, cutoff=0.5)
    return f": did you mean {by_lower[near[0]]}?" if near else ""
