"""Every key of the configuration, in one table (contract §1): its name, meaning, type and default. Reads nothing.

The table drives the reader, the environment variables, the nearest known key, the JSON Schema, the output of `txtoken check`, the
list of watched files, and the keys that need a restart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, Final

from txtoken.config import (
    addresses,
    certificates,
    files,
    forward_auth,
    http_names,
    keyset,
    pointers,
    proxying,
    signing_secret,
    status_map,
    success,
    trees,
    urls,
    values,
)
from txtoken.config.values import DAY_S, WEEK_S
from txtoken.settings import (
    ALL_ADDRESSES,
    HIDDEN,
    KIB,
    MIB,
    Config,
    CookieSettings,
    CorsSettings,
    ForwardAuthSettings,
    Limits,
    RefreshSettings,
    RemoteSettings,
    ThrottleSettings,
    Timeouts,
)

ENVIRONMENT_PREFIX: Final = "TXTOKEN_"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file. `name` is dotted within a section, `default` is the value of an absent key."""

    name: str
    attribute: str  # of Config, dotted; "" if another key (`instead_of`) has it
    read: values.Kind[Any]
    default: object
    meaning: str = field(kw_only=True)  # for people, the same text as in example_cfg.yml
    also: str = ""  # another attribute with the same value
    is_file: bool = False  # it names a file, which the service watches
    is_secret: bool = False
    wants_restart: bool = False  # a running service cannot change it
    instead_of: str = ""  # an alternative key: only one of the two may be set
    items: tuple[Key, ...] = ()  # it is a list of sections with these keys
    alone: tuple[Key, ...] = ()  # or a single section with these keys

    @property
    def variable(self) -> str:
        """The environment variable that sets this key."""
        return variable_of(self.name)

    @property
    def section(self) -> str:
        """The section of this key. Empty: none."""
        return self.name.rpartition(".")[0]

    def value(self, config: Config) -> object:
        """Return this key's value in a configuration. None if that part is absent (`throttle`)."""
        value: object = config
        for name in self.attribute.split("."):
            value = None if value is None else getattr(value, name)
        return value


def snake(name: str) -> str:
    """Write a camelCase name in snake_case."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda match: "_" + match[0].lower(), name)


def variable_of(name: str) -> str:
    """Return the environment variable of a key, or of a section."""
    return ENVIRONMENT_PREFIX + snake(name).upper().replace(".", "_")


_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()
_COOKIE: Final = CookieSettings()
_CORS: Final = CorsSettings()
_REFRESH: Final = RefreshSettings()
_FORWARD_AUTH: Final = {field.name: field.default for field in fields(ForwardAuthSettings)}
_THROTTLE: Final = {field.name: field.default for field in fields(ThrottleSettings)}
_REMOTE: Final = {field.name: field.default for field in fields(RemoteSettings)}

# fmt: off
# One key of a keyset
ENTRY: Final = (
    Key("keys.alg", "", keyset.read_algorithm, None,
        meaning="HS256, HS384, HS512, ES256, RS256, PS256 or EdDSA"),
    Key("keys.kid", "", keyset.read_kid, "",
        meaning="its name in tokens; default: its thumbprint (RFC 7638); required for secrets"),
    Key("keys.secret", "", values.read_text, None, is_secret=True, instead_of="keys.secretFile",
        meaning="for HS256, HS384 or HS512: at least 32, 48 or 64 bytes"),
    Key("keys.secretFile", "", files.read_secret_bytes, None, is_file=True, is_secret=True, instead_of="keys.secret",
        meaning="the secret from a file, in place of `secret`"),
    Key("keys.keyFile", "", files.read_key_bytes, None, is_file=True, is_secret=True,
        meaning="for the other algorithms: PEM or JWK; a private key signs and verifies, a public key only verifies"),
    Key("keys.from", "", values.read_time, None,
        meaning="it signs from this time on (RFC 3339: 2027-01-31T00:00:00Z), and verifies before, too"),
    Key("keys.until", "", values.read_time, None,
        meaning="it signs and verifies until this time"),
)
# Self-rotating keys
ROTATION: Final = (
    Key("keys.alg", "", values.choice("EdDSA", "ES256", "HS256"), None,
        meaning="EdDSA, ES256 or HS256"),
    Key("keys.secretFile", "", files.read_secrets_bytes, None, is_file=True, is_secret=True,
        meaning="at least 32 random bytes, raw or in base64; in a list, the first signs and all verify"),
    Key("keys.every", "", values.duration(10, 366 * DAY_S), None,
        meaning="how long each key signs"),
    Key("keys.lead", "", values.duration(0, 366 * DAY_S), None,
        meaning="how long a key is published before it signs; default: 24h, or `every` if that is shorter"),
    Key("keys.iss", "", values.read_text, None,
        meaning="the issuer that owns these keys; default: claims.iss"),
)
# One forward-auth route
FORWARD_AUTH: Final = (
    Key("forwardAuth.route", "", http_names.read_route, "/forwardAuth",
        meaning="the path that proxies request, with all paths below it; any method"),
    Key("forwardAuth.headers", "", forward_auth.read_headers, (),
        meaning="header fields for the service behind the proxy: names, and JSON Pointers to their values in the token's "
                "claims, as {X-Auth-Request-User: /data/id}"),
    Key("forwardAuth.require", "", forward_auth.read_require, (),
        meaning="claims that a token needs, else 403: JSON Pointers, each with a value or a list of values. The claim has to "
                "equal or contain one of them, as {/data/groups: [admin, staff]}"),
    Key("forwardAuth.from", "", forward_auth.read_places, _FORWARD_AUTH["places"],
        meaning="where to look for a token: header, cookie, query"),
    Key("forwardAuth.cache", "", values.duration(0, 60), 0,
        meaning="how long a proxy may cache that a token is valid (at most 60s); a revoked token still passes for that time"),
    Key("forwardAuth.body", "", values.read_flag, _FORWARD_AUTH["has_body"],
        meaning="false: 401 and 403 have no body; nginx opens a new connection after each answer with a body"),
    Key("forwardAuth.envoy", "", values.read_flag, _FORWARD_AUTH["is_envoy"],
        meaning="true: list the missing `headers` for Envoy to remove from the request (X-Envoy-Auth-Headers-To-Remove)"),
    Key("forwardAuth.listen", "", addresses.read_listen, None, wants_restart=True,
        meaning="an address (127.0.0.1:8890, unix:/path) that serves only this route, and answers 401 to everything else"),
)
# For each key: what it is, then what it means.
KEYS: Final = (
    Key("port", "process.port", values.whole_number(0, 65535), 8888, wants_restart=True,
        meaning="TCP port to listen on. 0: the kernel chooses one, and the log shows it."),
    Key("debug", "log.debug", values.read_flag, False,
        meaning="A verbose log for people."),
    Key("encKey", "keys.secret", signing_secret.read_secret, None, is_secret=True, instead_of="encKeyFile",
        meaning="The secret that signs tokens (HS256): 32 bytes to 4 KiB, used exactly as written. `txtoken keygen` makes one. "
                "A secret that anyone could guess, such as the example file's, is rejected unless `listen` has only loopback "
                "addresses."),
    Key("remote", "remote.url", urls.read_url, None,
        meaning="The URL that logins are POSTed to. For a Unix socket: http+unix://%2Frun%2Flogin.sock/login."),
    Key("expHours", "issue.ttl_s", values.read_hours, DAY_S,
        meaning="How long a token is valid: hours, fractions allowed, or 30m, 12h, 7d."),
    Key("getTokenRoute", "login.route", http_names.read_route, "/getToken",
        meaning="The path that issues tokens (POST)."),
    Key("checkTokenRoute", "check.route", http_names.read_route, "/checkToken",
        meaning="The path that checks tokens (GET, POST)."),
    Key("requestTokenData", "remote.request_token_data", trees.read_tree, b"{}",
        meaning="The `data` claim of the token that txtoken sends to the remote: any YAML tree, or a string with JSON."),
    Key("keys", "keys.listed", keyset.KEYSET, None, items=ENTRY, alone=ROTATION,
        meaning="A keyset in place of encKey, or beside it: a list of keys, or one section for self-rotating keys. See "
                "docs/reference/keys.md."),
    Key("revocations", "revocations", files.read_path, None,
        meaning="A file of revoked tokens, one rule a line: jti ID, sid ID, kid NAME, sub SUBJECT before TIME, all before "
                "TIME. See docs/reference/keys.md."),
    Key("jwksRoute", "jwks.route", http_names.read_route, None,
        meaning="The path that publishes the public keys (GET). Default: /.well-known/jwks.json if there are any."),
    Key("claims.iss", "issue.issuer", values.read_text, None,
        meaning="the issuer of the tokens, usually a URL"),
    Key("claims.aud", "issue.audience", values.list_of(values.read_text), (),
        meaning="the audience of the tokens, one or a list"),
    Key("claims.sub", "issue.subject", pointers.read_pointer, None,
        meaning="the user's id in the remote's reply: a JSON Pointer, as /id"),
    Key("claims.iat", "issue.has_iat", values.read_flag, False,
        meaning="true: the time of issue"),
    Key("claims.nbf", "issue.has_nbf", values.read_flag, False,
        meaning="true: the start of validity, which is the time of issue"),
    Key("claims.jti", "issue.has_jti", values.read_flag, False,
        meaning="true: a unique id"),
    Key("claims.typ", "issue.typ", values.read_media_type, "JWT",
        meaning="the type in the token's header"),
    Key("dataClaim", "issue.data_claim", values.read_claim_name, "data",
        meaning="The claim that contains the remote's reply. '': the reply's members become claims, except those with the name "
                "of a registered claim (RFC 7519)."),
    Key("dataFields.include", "issue.data_include", values.list_of(values.read_text), None,
        meaning="only these"),
    Key("dataFields.exclude", "issue.data_exclude", values.list_of(values.read_text), (),
        meaning="all except these"),
    Key("listen", "process.addresses", addresses.read_addresses, (ALL_ADDRESSES,), wants_restart=True,
        meaning="An IP address, unix:/path for a Unix socket, or a list of them. 0.0.0.0 means all IPv4 addresses. '::', the "
                "default, means all IPv4 and IPv6 addresses, or all IPv4 addresses if the machine has no IPv6."),
    Key("workers", "process.workers", values.read_workers, 1, wants_restart=True,
        meaning="Number of worker processes. Each uses one core. auto: one for each core that the service may use, by its CPU "
                "affinity and its cgroup's CPU quota."),
    Key("adminPort", "process.admin_port", values.whole_number(0, 65535), None, wants_restart=True,
        meaning="A second port for /livez, /readyz, /healthz and /metrics, which are then not on `port`. Default: none, and no "
                "metrics. It uses plain HTTP without authentication: keep it on a network that you trust."),
    Key("encKeyFile", "", signing_secret.read_secret_file, None, is_file=True, is_secret=True, instead_of="encKey",
        meaning="The secret from a file, in place of encKey. One trailing line end is dropped."),
    Key("requestKey", "remote.request_key", signing_secret.read_secret, None, is_secret=True, instead_of="requestKeyFile",
        meaning="A separate secret for the token that txtoken sends to the remote. Default: encKey."),
    Key("requestKeyFile", "", signing_secret.read_secret_file, None, is_file=True, is_secret=True, instead_of="requestKey",
        meaning="The same from a file, in place of requestKey."),
    Key("successStatus", "remote.success_statuses", success.read_statuses, _REMOTE["success_statuses"],
        meaning="Statuses of the remote that are a success, from 200 to 299, or 2xx for all of them. The body still has to be "
                "a JSON object."),
    Key("successWhen", "login.success_members", success.read_members, (),
        meaning="JSON Pointers (RFC 6901) into the remote's reply, each with the expected value, for APIs that answer 200 to a "
                "wrong password, as in {/success: true, /errors: null}. null means absent or null. A reply that does not match "
                "counts as status 401."),
    Key("remoteProxy", "remote.proxy", proxying.read_proxy, proxying.ENVIRONMENT, instead_of="remoteProxyFile",
        meaning="The HTTP proxy for the remote: http:// or https:// with host and port, and with user and password if needed. "
                "env: as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. off: no proxy."),
    Key("remoteProxyFile", "", proxying.read_proxy_file, None, is_file=True, instead_of="remoteProxy",
        meaning="The same from a file, in place of remoteProxy, because user and password are a secret."),
    # It is signed once a second. A second must be at most a tenth of its life (contract §2).
    Key("requestTokenSeconds", "remote.request_token_s", values.whole_seconds(10, DAY_S), 300,
        meaning="How long the token that txtoken sends to the remote is valid: seconds (at least 10), or 5m, 1h."),
    Key("validateBody", "login.validate_body", values.read_flag, True,
        meaning="Answer 400 to a body that is not JSON, instead of forwarding it."),
    Key("limits.headBytes", "limits.head_bytes", values.size(KIB, MIB), _LIMITS.head_bytes,
        meaning="request line and headers; above it: 431"),
    Key("limits.headerCount", "limits.header_count", values.whole_number(1, 10000), _LIMITS.header_count,
        meaning="number of headers; above it: 431"),
    Key("limits.bodyBytes", "limits.body_bytes", values.size(1, 64 * MIB), _LIMITS.body_bytes,
        meaning="request body; above it: 413"),
    Key("limits.replyBytes", "remote.reply_bytes", values.size(2, 64 * MIB), _REMOTE["reply_bytes"],
        meaning="the remote's reply; above it the login fails"),
    Key("limits.tokenBytes", "issue.token_bytes_max", values.size(KIB, MIB), 32 * KIB, also="check.token_bytes_max",
        meaning="a token; longer ones are neither issued nor accepted"),
    Key("limits.bufferedBytes", "limits.buffered_bytes", values.size(MIB, 64 * 1024 * MIB), _LIMITS.buffered_bytes,
        meaning="unfinished requests and unread answers, in total; above it the clients with the most get 503"),
    Key("limits.connections", "limits.connections", values.whole_number(1, 1000000), _LIMITS.connections,
        meaning="from clients; above it they wait"),
    Key("limits.remoteConnections", "remote.connections", values.whole_number(1, 60000), _REMOTE["connections"],
        meaning="to the remote; above it logins wait"),
    Key("limits.waiting", "remote.waiting", values.whole_number(0, 1000000), _REMOTE["waiting"],
        meaning="waiting logins; above it: 503"),
    Key("timeouts.head", "timeouts.head", values.duration(0.001, WEEK_S), _TIMEOUTS.head,
        meaning="for request line and headers, from the first byte; after it: 408"),
    Key("timeouts.body", "timeouts.body", values.duration(0.001, WEEK_S), _TIMEOUTS.body,
        meaning="for the body; after it: 408"),
    Key("timeouts.idle", "timeouts.idle", values.duration(0.001, WEEK_S), _TIMEOUTS.idle,
        meaning="between requests; then the connection is closed"),
    Key("timeouts.connect", "remote.connect_s", values.duration(0.001, WEEK_S), _REMOTE["connect_s"],
        meaning="for connecting to the remote"),
    Key("timeouts.remote", "remote.timeout_s", values.duration(0.001, WEEK_S), _REMOTE["timeout_s"],
        meaning="for a whole login at the remote: wait, connect, write and read"),
    Key("timeouts.remoteIdle", "remote.idle_s", values.duration(0.001, WEEK_S), _REMOTE["idle_s"],
        meaning="for an unused connection to the remote; then it is closed"),
    Key("timeouts.drain", "timeouts.drain", values.duration(0, WEEK_S), _TIMEOUTS.drain,
        meaning="at shutdown, for running requests"),
    Key("timeouts.drainDelay", "timeouts.drain_delay", values.duration(0, WEEK_S), _TIMEOUTS.drain_delay,
        meaning="at shutdown, before listening stops"),
    Key("statusMap", "login.status_map", status_map.read_status_map, "original",
        meaning="The status that clients get when a login fails at the remote. original: always 500. gateway: the remote's "
                "400, 401, 403, 404, 409, 422, 423, 429 and 503 unchanged, 504 for a timeout, 502 for everything else. Or a "
                "map, with 500 for what it does not list: {401: pass, 4xx: 400, 5xx: 502, timeout: 504, unreachable: 502, "
                "invalid: 502}."),
    Key("passRemoteErrors", "login.pass_remote_errors", values.read_flag, False,
        meaning="When the remote's status and the client's status are both 4xx, send the remote's JSON body in place of our "
                "own."),
    Key("forwardHeaders", "login.forward_headers", values.list_of(http_names.read_field_name),
        ("X-Request-Id", "traceparent", "tracestate"),
        meaning="Headers of the client that are forwarded to the remote."),
    Key("trustedProxies", "trusted_proxies", values.list_of(addresses.read_proxies), (),
        meaning="Proxies in front of this service whose X-Forwarded-For is trusted: networks, addresses, or unix for every "
                "client of a Unix socket."),
    Key("forwardedFor", "login.forwarded_for", values.read_flag, False,
        meaning="Send the client's address, scheme and host to the remote: X-Forwarded-For, -Proto, -Host."),
    Key("forwardAuth", "forward_auth", forward_auth.ROUTES, None, items=FORWARD_AUTH, alone=FORWARD_AUTH,
        meaning="Forward authentication: routes for proxies that check requests (nginx, Traefik, Caddy, HAProxy, Envoy, the "
                "Gateway API). One section or a list of them. See docs/how-to/forward-auth.md."),
    Key("cookie.name", "cookie.name", forward_auth.read_cookie_name, _COOKIE.name,
        meaning="its name, '' for no cookie; other hosts of the domain cannot set a cookie whose name begins with __Host-"),
    Key("cookie.domain", "cookie.domain", forward_auth.read_cookie_domain, _COOKIE.domain,
        meaning="send it to all hosts of this domain; default: only to the host that set it"),
    Key("cookie.path", "cookie.path", forward_auth.read_cookie_path, _COOKIE.path,
        meaning="send it to this path and those below it"),
    Key("cookie.secure", "cookie.secure", values.read_flag, _COOKIE.secure,
        meaning="send it only over https"),
    Key("cookie.httpOnly", "cookie.http_only", values.read_flag, _COOKIE.http_only,
        meaning="hide it from the page's scripts"),
    Key("cookie.sameSite", "cookie.same_site", values.choice("Lax", "Strict", "None"), _COOKIE.same_site,
        meaning="Lax, Strict or None: whether requests from other sites carry it"),
    Key("refresh.route", "refresh.route", http_names.read_route, "/refreshToken",
        meaning="the path that renews tokens (POST); with a cookie, <route>/end clears it"),
    Key("refresh.maxSession", "refresh.max_session_s", values.duration(1, 366 * DAY_S), _REFRESH.max_session_s,
        meaning="how long after a login tokens can be renewed, and live at most"),
    Key("refresh.grace", "refresh.grace_s", values.duration(0, DAY_S), _REFRESH.grace_s,
        meaning="how long after its expiry a token can still be renewed (at most a day)"),
    Key("refresh.remote", "refresh.url", urls.read_url, _REFRESH.url,
        meaning="a URL that the token's data is POSTed to first; the reply is the new data, or ends the session"),
    Key("throttle.field", "throttle.pointer", pointers.read_pointer, None,
        meaning="the user's name in the body of a login: a JSON Pointer, as /user"),
    Key("throttle.failures", "throttle.failures", values.whole_number(1, 100), _THROTTLE["failures"],
        meaning="failed logins of one name from one network (/24, /56); ten times as many for one address"),
    Key("throttle.window", "throttle.window_s", values.duration(10, DAY_S), _THROTTLE["window_s"],
        meaning="the time in which they are counted"),
    Key("throttle.lockout", "throttle.lockout_s", values.duration(1, DAY_S), _THROTTLE["lockout_s"],
        meaning="how long logins then get 429; doubles each time, up to 15m"),
    Key("cors.origins", "cors.origins", values.list_of(http_names.read_origin), _CORS.origins,
        meaning="the origins of the pages"),
    Key("cors.headers", "cors.headers", values.list_of(http_names.read_script_field_name), _CORS.headers,
        meaning="headers that their requests may have"),
    Key("cors.maxAge", "cors.max_age_s", values.duration(0, DAY_S), _CORS.max_age_s,
        meaning="how long browsers may cache this"),
    Key("cors.credentials", "cors.credentials", values.read_flag, _CORS.credentials,
        meaning="whether browsers may send cookies"),
    Key("tls.certFile", "tls.cert_file", certificates.read_certificates, None, is_file=True,
        meaning="the certificate chain"),
    Key("tls.keyFile", "tls.key_file", certificates.read_private_key, None, is_file=True,
        meaning="its private key"),
    Key("tls.clientCaFile", "tls.client_ca_file", certificates.read_certificates, None, is_file=True,
        meaning="accept only clients with a certificate from these authorities"),
    Key("remoteTls.caFile", "remote.tls.ca_file", certificates.read_certificates, None, is_file=True,
        meaning="trust these authorities instead of the system's"),
    Key("remoteTls.certFile", "remote.tls.cert_file", certificates.read_certificates, None, is_file=True,
        meaning="the client certificate for the remote"),
    Key("remoteTls.keyFile", "remote.tls.key_file", certificates.read_private_key, None, is_file=True,
        meaning="its private key"),
    Key("remoteTls.serverName", "remote.tls.server_name", urls.read_server_name, None,
        meaning="the name that the remote's certificate must have, instead of the URL's"),
    Key("remoteTls.verify", "remote.tls.verify", values.read_flag, True,
        meaning="false: accept any certificate, so that a man in the middle can read every login"),
    Key("verify.leeway", "check.rules.leeway_s", values.duration(0, DAY_S), 0.0,
        meaning="how much clocks may differ"),
    Key("verify.iss", "check.rules.issuer", values.read_text, None,
        meaning="the required `iss`"),
    Key("verify.aud", "check.rules.audience", values.list_of(values.read_text), (),
        meaning="the accepted `aud`, one or a list"),
    Key("verify.requireExp", "check.rules.require_exp", values.read_flag, True,
        meaning="reject tokens that never expire"),
    Key("verify.maxAge", "check.rules.max_age_s", values.duration(1, 36_525 * DAY_S), None,
        meaning="reject tokens that are older, by their `iat`, and tokens without `iat` (claims.iat)"),
    Key("reload", "reload_s", values.read_period, 10.0,
        meaning="Hot reload: how often this file and the files with secrets and certificates are checked for changes; off: "
                "never. SIGHUP reloads at once."),
    Key("checkResponse", "check.response", values.choice("original", "claims"), "original",
        meaning="The answer to a valid token: `original`, or `claims` for the claims alone."),
    Key("log.level", "log.level", values.choice("debug", "info", "warning", "error"), None,
        meaning="debug, info, warning, error"),
    Key("log.format", "log.format", values.choice("json", "text"), None, wants_restart=True,
        meaning="json, text"),
    Key("log.access", "log.access", values.read_flag, True,
        meaning="one line for each request"),
)
# fmt: on
SECTIONS: Final = {
    "claims": "Claims in addition to the remote's reply (RFC 7519 §4.1).",
    "dataFields": "The top-level members of the remote's reply that go into the token.",
    "limits": "Counts, and bytes: 4096, 64KiB or 1MiB (powers of 1024), 64kB or 1MB (of 1000). B can be left out: 1Mi, 1M.",
    "timeouts": "Seconds, or a time with its unit: 5, 500ms, 5s, 1m, 24h, 7d.",
    "tls": "TLS for clients, from PEM files.",
    "remoteTls": "TLS for a remote with an https URL, from PEM files.",
    "cookie": "The token also as a cookie, for browsers: a login sets it, and every route that needs a token reads it.",
    "refresh": "Renew tokens without a login until the session ends. {} turns it on. See docs/how-to/sessions.md.",
    "throttle": "Lockout after too many failed logins. See docs/how-to/throttle.md.",
    "cors": "Web pages whose scripts may call this service, by origin (https://app.example.com), or '*' for all.",
    "verify": "Rules for tokens in addition to the signature.",
    "log": "The log on stdout, one line for each event. `debug: true` alone means {level: debug, format: text}.",
}
# Sections that turn a feature on, even when empty, each with the key that then has a value.
SWITCHES: Final = {"refresh": "refresh.route", "throttle": "throttle.field"}
BY_NAME: Final = {key.name: key for key in KEYS}
BY_VARIABLE: Final = {key.variable: key for key in KEYS}
SECTION_BY_VARIABLE: Final = {variable_of(section): section for section in SECTIONS}  # JSON, of some or all of its keys


def describe(config: Config) -> dict[str, object]:
    """Return the effective configuration, with the file's key names. Secrets are hidden, times are in seconds."""
    described: dict[str, object] = {}
    for key in KEYS:
        if not key.attribute:
            continue  # the file's content is shown under the name of the key that it replaces (a secret is hidden)
        place = described.setdefault(key.section, {}) if key.section else described
        assert isinstance(place, dict)
        value = key.value(config)
        place[key.name.rpartition(".")[2]] = HIDDEN if key.is_secret and value is not None else key.read.write(value)
    return described | {section: None for section, name in SWITCHES.items() if not BY_NAME[name].value(config)}


def changes(before: Config, after: Config) -> list[str]:
    """Return the keys whose values differ, without the values."""
    return [key.name for key in KEYS if key.attribute and key.value(before) != key.value(after)]
