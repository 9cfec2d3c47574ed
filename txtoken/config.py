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

from txtoken import trees, values
from txtoken.certificates import PemFile, Unusable, dialling, listening
from txtoken.errors import ConfigError, Problem
from txtoken.settings import (
    HIDDEN,
    Config,
    CorsSettings,
    Limits,
    LogSettings,
    Secret,
    SuccessRules,
    Timeouts,
    VerifyRules,
)
from txtoken.values import DAY_S, KIB, MIB

DEFAULT_PATH: Final = "example_cfg.yml"  # as the original: in the working directory
ENVIRONMENT_PREFIX: Final = "TXTOKEN_"
EXAMPLE_KEY: Final = "replace-this-key-before-anyone-uses-it"  # of example_cfg.yml: everybody knows it

# What Kubernetes (and Docker's links) set in every container beside a Service that is called txtoken…: not meant for us.
_SERVICE_LINK: Final = re.compile(
    r"TXTOKEN_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)",
    re.ASCII,
)
_SERVICE_LINK_PORT: Final = re.compile(r"TXTOKEN_(?:\w+_)?PORT=(?:tcp|udp|sctp)://.*", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,31}")  # what is longer than any key's name may be a secret

FORWARDED_FIELDS: Final = frozenset(("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"))
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

KEYS: Final = (
    Key("port", values.whole_number(0, 65535), 8888),
    Key("debug", values.read_flag, False),
    Key("encKey", values.read_secret, None, secret=True, instead_of="encKeyFile"),
    Key("remote", values.read_url, None),
    Key("expHours", values.read_hours, DAY_S, attribute="token_ttl_s"),
    Key("getTokenRoute", values.read_route, "/getToken"),
    Key("checkTokenRoute", values.read_route, "/checkToken"),
    Key("requestTokenData", trees.read_tree, b"{}"),
    Key("listen", values.read_addresses, ("0.0.0.0",)),  # noqa: S104 - a service is there to be reached
    Key("workers", values.read_workers, 1),
    Key("adminPort", values.whole_number(0, 65535), None),
    Key("encKeyFile", values.read_secret_file, None, secret=True, instead_of="encKey"),
    Key("requestKey", values.read_secret, None, secret=True, instead_of="requestKeyFile"),
    Key("requestKeyFile", values.read_secret_file, None, secret=True, instead_of="requestKey"),
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
    Key("timeouts.head", values.duration(0.001, DAY_S), _TIMEOUTS.head),
    Key("timeouts.body", values.duration(0.001, DAY_S), _TIMEOUTS.body),
    Key("timeouts.idle", values.duration(0.001, DAY_S), _TIMEOUTS.idle),
    Key("timeouts.connect", values.duration(0.001, DAY_S), _TIMEOUTS.connect),
    Key("timeouts.remote", values.duration(0.001, DAY_S), _TIMEOUTS.remote),
    Key("timeouts.remoteIdle", values.duration(0.001, DAY_S), _TIMEOUTS.remote_idle),
    Key("timeouts.drain", values.duration(0, DAY_S), _TIMEOUTS.drain),
    Key("timeouts.drainDelay", values.duration(0, DAY_S), _TIMEOUTS.drain_delay),
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
    Key("remoteTls.serverName", values.read_server_name, None),
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
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except values.Wrong as wrong:
            self.complain("", "configuration file", f"{wrong}. Name another with --config or CFG_FILE.")
        except UnicodeDecodeError:
            self.complain("", shown, "is not UTF-8 text")
        except (ValueError, OverflowError):  # of PyYAML, for an escape like \UFFFFFFFF
            self.complain("", shown, "holds a character that YAML does not allow")
        except yaml.YAMLError as error:
            line, problem = _explain_yaml(error, text)
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
            if not variable.startswith(ENVIRONMENT_PREFIX) or _is_service_link(variable, text):
                continue
            key = _BY_VARIABLE.get(variable)
            if key is not None:
                self.give(key.name, _Given(values.scalar(text), "environment", f"environment {variable}"))
            else:
                where = f"environment {values.printable(variable)}"
                self.complain("", where, f"sets no known key{_nearest(variable, _BY_VARIABLE)}")

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


def load(path: str | None, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> Config:
    """Read the configuration: `overrides` (dotted names) count more than `environ`, that more than the file.

    The file is `path`, else the environment's CFG_FILE, else `example_cfg.yml` in the working directory. That last one
    may be missing when the environment or `overrides` give what is required.

    Raises:
        ConfigError: it cannot be used. Every problem is told.
    """
    reader = _Reader()
    source = path or environ.get("CFG_FILE") or ""
    if not source and (os.path.exists(DEFAULT_PATH) or not _is_complete(environ, overrides or {})):
        source = DEFAULT_PATH
    if source:
        reader.read_file(source)
    reader.read_environment(environ)
    reader.read_overrides(overrides or {})
    config = _assemble(reader, values.printable(source))
    reader.raise_problems()
    return config


def _is_complete(environ: Mapping[str, str], overrides: Mapping[str, str]) -> bool:
    names = {*overrides, *(_BY_VARIABLE[variable].name for variable in environ if variable in _BY_VARIABLE)}
    return "remote" in names and not names.isdisjoint(("encKey", "encKeyFile"))


def _assemble(reader: _Reader, source: str) -> Config:
    value = {key.name: reader.value(key.name) for key in KEYS}
    debug = value["debug"]
    warnings: list[str] = []
    if not reader.file_failed:
        for name, how in (("remote", "the URL that logins are POSTed to"), ("encKey", "`txtoken keygen` makes one")):
            if name not in reader.given and _BY_NAME[name].instead_of not in reader.given:
                reader.complain(name, source or "configuration", f"is required: {how}")
    if value["getTokenRoute"] == value["checkTokenRoute"]:
        reader.complain_of("checkTokenRoute", "has to differ from getTokenRoute")
    if value["adminPort"] and value["adminPort"] == value["port"]:
        reader.complain_of("adminPort", "has to differ from port")
    for name in ("encKey", "encKeyFile", "requestKey", "requestKeyFile"):
        weakness = _weakness(value[name])
        if weakness and debug:
            warnings.append(f"{name} {weakness}: this is let through because of debug: true, and never elsewhere")
        elif weakness:
            text = f"{weakness}. Replace it (`txtoken keygen` makes one), or try things out with debug: true"
            reader.complain_of(name, text)
    _check_cors(reader, value)
    _check_remote_tls(reader, value, warnings)
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
        remote_proxy=None,
        success=SuccessRules(),
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


def _check_remote_tls(reader: _Reader, value: Mapping[str, Any], warnings: list[str]) -> None:
    asked = [name for name in reader.given if name.startswith("remoteTls.") and value[name] not in (None, True)]
    if asked and (value["remote"] or "").lower().startswith("http:"):
        reader.complain_of(asked[0], "is for a remote that speaks TLS: leave remoteTls out, or make remote https://…")
    if not value["remoteTls.verify"]:
        danger = "whoever stands between can read every login, and answer in the remote's place"
        warnings.append(f"remoteTls.verify is false: {danger}. Trust its own authority with remoteTls.caFile instead")


def _section(value: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    names = [name for name in value if name.startswith(prefix)]
    return {_attribute(_BY_NAME[name]).rpartition(".")[2]: value[name] for name in names}


def _attribute(key: Key) -> str:
    return key.attribute or _snake(key.name)


def as_written(key: Key, value: object) -> object:
    """Return a value as the file would say it, for orjson to write."""
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
        if key.name.endswith("KeyFile"):
            continue  # the secret is shown (as hidden) under the name of the key that it stands for
        shown: object = config
        for part in _attribute(key).split("."):
            shown = getattr(shown, part)
        shown = HIDDEN if key.secret else as_written(key, shown)
        section, _, name = key.name.rpartition(".")
        place = described.setdefault(section, {}) if section else described
        assert isinstance(place, dict)
        place[name] = shown
    return described


def _weakness(secret: str | None) -> str:
    if secret is None:
        return ""
    if secret == EXAMPLE_KEY:
        return "is the example file's key, which everybody knows"
    return "is one character repeated" if len(set(secret)) == 1 else ""


def _explain_yaml(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Say where YAML ends to be YAML. PyYAML's own message quotes the line, which may be the one with the secret."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return text.count("\n", 0, getattr(error, "position", 0)) + 1, "holds a character that YAML does not allow"
    problem = re.sub(r"['\"].*", "…", str(getattr(error, "problem", "")), flags=re.DOTALL)
    hint = " (text that begins with a special character has to be in quotes)" if "found character" in problem else ""
    return mark.line + 1, f"is not valid YAML from column {mark.column + 1} on: {problem}{hint}"


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


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name[:80].lower(), by_lower, n=1, cutoff=0.5)
    return f": did you mean {by_lower[near[0]]}?" if near else ""
