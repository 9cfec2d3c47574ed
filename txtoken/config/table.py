"""Every key of the configuration: one table (contract §1). Knows what each key is called, means and may hold; reads nothing.

Reading, the environment's names, the nearest known key, the JSON Schema, what `txtoken check` shows, which files are watched
and which keys a reload leaves alone: all of it comes from here.
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
    """One key of the file. `name` is dotted within a section, `default` is the value when it is absent."""

    name: str
    attribute: str  # of Config, dotted; "" where another key (`instead_of`) has it
    read: values.Kind[Any]
    default: object
    meaning: str = field(kw_only=True)  # for people, as example_cfg.yml says it
    also: str = ""  # another attribute with the same value
    is_file: bool = False  # it names a file, which is watched
    is_secret: bool = False
    wants_restart: bool = False  # a running service cannot change it
    instead_of: str = ""  # another way to say the same: only one of the two may be given
    items: tuple[Key, ...] = ()  # it is a list of sections, whose keys these are
    alone: tuple[Key, ...] = ()  # or one section with these keys

    @property
    def variable(self) -> str:
        """The environment variable that sets this key."""
        return ENVIRONMENT_PREFIX + snake(self.name).upper().replace(".", "_")

    @property
    def section(self) -> str:
        """The section that it stands in, "" for none."""
        return self.name.rpartition(".")[0]

    def value(self, config: Config) -> object:
        """Return this key's value in a configuration. None where its part is not there (`throttle`)."""
        value: object = config
        for name in self.attribute.split("."):
            value = None if value is None else getattr(value, name)
        return value


def snake(name: str) -> str:
    """Write a camelCase name in snake_case."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda match: "_" + match[0].lower(), name)


_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()
_COOKIE: Final = CookieSettings()
_CORS: Final = CorsSettings()
_REFRESH: Final = RefreshSettings()
_FORWARD_AUTH: Final = {field.name: field.default for field in fields(ForwardAuthSettings)}
_THROTTLE: Final = {field.name: field.default for field in fields(ThrottleSettings)}
_REMOTE: Final = {field.name: field.default for field in fields(RemoteSettings)}

# fmt: off
# Of one key of a keyset
ENTRY: Final = (
    Key("keys.alg", "", keyset.read_algorithm, None,
        meaning="HS256, HS384, HS512, ES256, RS256, PS256 or EdDSA"),
    Key("keys.kid", "", keyset.read_kid, "",
        meaning="its name in tokens; default: its thumbprint (RFC 7638), which a secret has not"),
    Key("keys.secret", "", values.read_text, None, is_secret=True, instead_of="keys.secretFile",
        meaning="of HS256, HS384 or HS512: 32, 48 or 64 bytes at least"),
    Key("keys.secretFile", "", files.read_secret_bytes, None, is_file=True, is_secret=True, instead_of="keys.secret",
        meaning="that from a file"),
    Key("keys.keyFile", "", files.read_key_bytes, None, is_file=True, is_secret=True,
        meaning="of the others: PEM or JWK; a private key signs, a public one verifies alone"),
    Key("keys.from", "", values.read_time, None,
        meaning="from when it signs (RFC 3339: 2027-01-31T00:00:00Z); it verifies before, too"),
    Key("keys.until", "", values.read_time, None,
        meaning="until when it signs and verifies"),
)
# Of keys that rotate by themselves
ROTATION: Final = (
    Key("keys.alg", "", values.choice("EdDSA", "ES256", "HS256"), None,
        meaning="EdDSA, ES256 or HS256"),
    Key("keys.secretFile", "", files.read_secrets_bytes, None, is_file=True, is_secret=True,
        meaning="32 random bytes at least, raw or in base64; a list: the first signs, all verify"),
    Key("keys.every", "", values.duration(10, 366 * DAY_S), None,
        meaning="how long each key signs"),
    Key("keys.lead", "", values.duration(0, 366 * DAY_S), None,
        meaning="for how long a key is published before it signs; default: 24h, or `every` where that is shorter"),
    Key("keys.iss", "", values.read_text, None,
        meaning="the issuer whose keys these are; default: claims.iss"),
)
# Of one route for proxies that ask
FORWARD_AUTH: Final = (
    Key("forwardAuth.route", "", http_names.read_route, "/forwardAuth",
        meaning="the path that proxies ask, and all paths below it, by any method"),
    Key("forwardAuth.headers", "", forward_auth.read_headers, (),
        meaning="header fields for what is behind the proxy: names, and where their values stand in the token's claims, as "
                "{X-Auth-Request-User: /data/id}"),
    Key("forwardAuth.require", "", forward_auth.read_require, (),
        meaning="claims without which a valid token gets 403: JSON Pointers, and a value or a list of values of which the claim "
                "has to be or contain one, as {/data/groups: [admin, staff]}"),
    Key("forwardAuth.from", "", forward_auth.read_places, _FORWARD_AUTH["places"],
        meaning="where a token may stand: header, cookie, query"),
    Key("forwardAuth.cache", "", values.duration(0, 60), 0,
        meaning="for how long a proxy may remember that a token is good (60s at most); one that is revoked passes for as long"),
    Key("forwardAuth.body", "", values.read_flag, _FORWARD_AUTH["has_body"],
        meaning="false: 401 and 403 have no body; nginx opens a connection for each that has one"),
    Key("forwardAuth.envoy", "", values.read_flag, _FORWARD_AUTH["is_envoy"],
        meaning="true: tell Envoy which of `headers` to remove from a request (X-Envoy-Auth-Headers-To-Remove)"),
    Key("forwardAuth.listen", "", addresses.read_listen, None, wants_restart=True,
        meaning="an address of its own (127.0.0.1:8890, unix:/path) on which there is nothing but this, and all else is 401"),
)
# A key a paragraph: what it is, then what it means.
KEYS: Final = (
    Key("port", "process.port", values.whole_number(0, 65535), 8888, wants_restart=True,
        meaning="TCP port to listen on. 0: the kernel chooses one, and the log says which."),
    Key("debug", "log.debug", values.read_flag, False,
        meaning="A verbose log for people."),
    Key("encKey", "keys.secret", signing_secret.read_secret, None, is_secret=True, instead_of="encKeyFile",
        meaning="The secret that signs tokens (HS256): 32 bytes to 4 KiB, taken as they stand. `txtoken keygen` makes "
                "one. One that anybody could guess, such as the example file's, is refused where `listen` names more than "
                "loopback addresses."),
    Key("remote", "remote.url", urls.read_url, None,
        meaning="The URL that logins are POSTed to. http+unix://%2Frun%2Flogin.sock/login is one at a Unix socket."),
    Key("expHours", "issue.ttl_s", values.read_hours, DAY_S,
        meaning="How long a token is valid, in hours; fractions are allowed."),
    Key("getTokenRoute", "login.route", http_names.read_route, "/getToken",
        meaning="The path that issues tokens (POST)."),
    Key("checkTokenRoute", "check.route", http_names.read_route, "/checkToken",
        meaning="The path that checks tokens (GET, POST)."),
    Key("requestTokenData", "remote.request_token_data", trees.read_tree, b"{}",
        meaning="What the token that txtoken presents to the remote says under `data`: any tree, or a string that holds "
                "JSON."),
    Key("keys", "keys.listed", keyset.KEYSET, None, items=ENTRY, alone=ROTATION,
        meaning="A keyset in place of encKey, or beside it: a list of keys, or one section for keys that rotate by themselves. "
                "See docs/keys.md."),
    Key("revocations", "revocations", files.read_path, None,
        meaning="A file of what is no longer valid, one line each: jti ID, sid ID, kid NAME, sub SUBJECT before TIME, all before "
                "TIME. See docs/keys.md."),
    Key("jwksRoute", "jwks.route", http_names.read_route, None,
        meaning="The path that publishes the public keys (GET). Default: /.well-known/jwks.json where there are some."),
    Key("claims.iss", "issue.issuer", values.read_text, None,
        meaning="who issues the tokens, mostly a URL"),
    Key("claims.aud", "issue.audience", values.list_of(values.read_text), (),
        meaning="whom the tokens are for, one or a list"),
    Key("claims.sub", "issue.subject", pointers.read_pointer, None,
        meaning="where the user's id stands in the remote's reply: a JSON Pointer, as /id"),
    Key("claims.iat", "issue.has_iat", values.read_flag, False,
        meaning="when the token was issued"),
    Key("claims.nbf", "issue.has_nbf", values.read_flag, False,
        meaning="from when it is valid: when it was issued"),
    Key("claims.jti", "issue.has_jti", values.read_flag, False,
        meaning="an id that no other token has"),
    Key("claims.typ", "issue.typ", values.read_media_type, "JWT",
        meaning="the type in the token's header"),
    Key("dataClaim", "issue.data_claim", values.read_claim_name, "data",
        meaning="The claim that holds the remote's reply. '': the reply's members are claims themselves, but for those with the "
                "name of a registered claim (RFC 7519)."),
    Key("dataFields.include", "issue.data_include", values.list_of(values.read_text), None,
        meaning="these alone"),
    Key("dataFields.exclude", "issue.data_exclude", values.list_of(values.read_text), (),
        meaning="all but these"),
    Key("listen", "process.addresses", addresses.read_addresses, (ALL_ADDRESSES,), wants_restart=True,
        meaning="An IP address, unix:/path for a Unix socket, or a list of them. 0.0.0.0 is all addresses of IPv4 alone; "
                "'::', the default, those of IPv4 and IPv6, or of IPv4 where the machine has no IPv6."),
    Key("workers", "process.workers", values.read_workers, 1, wants_restart=True,
        meaning="Processes that serve. One uses one core; auto: one for each core that this process may use, by its "
                "affinity and its cgroup's CPU quota."),
    Key("adminPort", "process.admin_port", values.whole_number(0, 65535), None, wants_restart=True,
        meaning="A second port for /livez, /readyz, /healthz and /metrics, which are then not on `port`. Default: none, "
                "and no metrics. It speaks plain HTTP and asks nobody who they are: keep it on a network that you trust."),
    Key("encKeyFile", "", signing_secret.read_secret_file, None, is_file=True, is_secret=True, instead_of="encKey",
        meaning="The secret from a file, in place of encKey. One line end at its end is dropped."),
    Key("requestKey", "remote.request_key", signing_secret.read_secret, None, is_secret=True, instead_of="requestKeyFile",
        meaning="A secret of its own for the token that is presented to the remote. Default: encKey."),
    Key("requestKeyFile", "", signing_secret.read_secret_file, None, is_file=True, is_secret=True, instead_of="requestKey",
        meaning="That one from a file, in place of requestKey."),
    Key("successStatus", "remote.success_statuses", success.read_statuses, _REMOTE["success_statuses"],
        meaning="Statuses of the remote that are a success, from 200 to 299, or 2xx for all of them. The body has to be a "
                "JSON object all the same."),
    Key("successWhen", "login.success_members", success.read_members, (),
        meaning="JSON Pointers (RFC 6901) into the remote's reply, and the value that each must have, for APIs that "
                "answer 200 to a wrong password, as in {/success: true, /errors: null}. With null it has to be absent or "
                "null. A reply that does not fit counts as status 401."),
    Key("remoteProxy", "remote.proxy", proxying.read_proxy, proxying.ENVIRONMENT, instead_of="remoteProxyFile",
        meaning="The HTTP proxy by which the remote is reached: http:// or https:// with host and port, and with user and "
                "password if it wants them. env is what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say, off is none."),
    Key("remoteProxyFile", "", proxying.read_proxy_file, None, is_file=True, instead_of="remoteProxy",
        meaning="That one from a file, in place of remoteProxy: user and password are a secret."),
    # It is signed once a second, which must not be more than a tenth of its life (contract §2).
    Key("requestTokenSeconds", "remote.request_token_s", values.whole_number(10, DAY_S), 300,
        meaning="How long the token that is presented to the remote is valid, in seconds (10 or more)."),
    Key("validateBody", "login.validate_body", values.read_flag, True,
        meaning="Answer 400 to a body that is not JSON, instead of passing it on."),
    Key("limits.headBytes", "limits.head_bytes", values.size(KIB, MIB), _LIMITS.head_bytes,
        meaning="request line and headers; past it 431"),
    Key("limits.headerCount", "limits.header_count", values.whole_number(1, 10000), _LIMITS.header_count,
        meaning="past it 431"),
    Key("limits.bodyBytes", "limits.body_bytes", values.size(1, 64 * MIB), _LIMITS.body_bytes,
        meaning="past it 413"),
    Key("limits.replyBytes", "remote.reply_bytes", values.size(2, 64 * MIB), _REMOTE["reply_bytes"],
        meaning="of the remote; past it the login fails"),
    Key("limits.tokenBytes", "issue.token_bytes_max", values.size(KIB, MIB), 32 * KIB, also="check.token_bytes_max",
        meaning="of a token; a longer one is neither issued nor taken"),
    Key("limits.bufferedBytes", "limits.buffered_bytes", values.size(MIB, 64 * 1024 * MIB), _LIMITS.buffered_bytes,
        meaning="of unfinished requests and untaken answers together; past it those who hold most get 503"),
    Key("limits.connections", "limits.connections", values.whole_number(1, 1000000), _LIMITS.connections,
        meaning="clients; past it they wait"),
    Key("limits.remoteConnections", "remote.connections", values.whole_number(1, 60000), _REMOTE["connections"],
        meaning="to the remote; past it logins wait"),
    Key("limits.waiting", "remote.waiting", values.whole_number(0, 1000000), _REMOTE["waiting"],
        meaning="logins that wait; past it 503"),
    Key("timeouts.head", "timeouts.head", values.duration(0.001, WEEK_S), _TIMEOUTS.head,
        meaning="for request line and headers, from their first byte; past it 408"),
    Key("timeouts.body", "timeouts.body", values.duration(0.001, WEEK_S), _TIMEOUTS.body,
        meaning="for the body; past it 408"),
    Key("timeouts.idle", "timeouts.idle", values.duration(0.001, WEEK_S), _TIMEOUTS.idle,
        meaning="between requests; past it the connection is closed"),
    Key("timeouts.connect", "remote.connect_s", values.duration(0.001, WEEK_S), _REMOTE["connect_s"],
        meaning="to the remote"),
    Key("timeouts.remote", "remote.timeout_s", values.duration(0.001, WEEK_S), _REMOTE["timeout_s"],
        meaning="for a whole login at the remote: waiting, connecting, writing, reading"),
    Key("timeouts.remoteIdle", "remote.idle_s", values.duration(0.001, WEEK_S), _REMOTE["idle_s"],
        meaning="past it an unused connection to the remote is closed"),
    Key("timeouts.drain", "timeouts.drain", values.duration(0, WEEK_S), _TIMEOUTS.drain,
        meaning="at the end, for the requests that run"),
    Key("timeouts.drainDelay", "timeouts.drain_delay", values.duration(0, WEEK_S), _TIMEOUTS.drain_delay,
        meaning="at the end, before listening stops"),
    Key("statusMap", "login.status_map", status_map.read_status_map, "original",
        meaning="The status of a login that failed at the remote. original: 500; gateway: the remote's 400, 401, 403, "
                "404, 409, 422, 423, 429 and 503 as they are, 504 for a timeout, 502 for all else. Or a map of your own, "
                "in which 500 is what is not named: {401: pass, 4xx: 400, 5xx: 502, timeout: 504, unreachable: 502, "
                "invalid: 502}."),
    Key("passRemoteErrors", "login.pass_remote_errors", values.read_flag, False,
        meaning="When both the remote's status and the one in its place are 4xx, hand on the remote's JSON body in place "
                "of our own."),
    Key("forwardHeaders", "login.forward_headers", values.list_of(http_names.read_field_name),
        ("X-Request-Id", "traceparent", "tracestate"),
        meaning="Headers of the client that are passed to the remote."),
    Key("trustedProxies", "trusted_proxies", values.list_of(addresses.read_proxies), (),
        meaning="Proxies in front of this service, whose word on who the client is counts (X-Forwarded-For): networks, "
                "addresses, or unix for all who use a Unix socket."),
    Key("forwardedFor", "login.forwarded_for", values.read_flag, False,
        meaning="Tell the remote who the client is, how it came, and to which host: X-Forwarded-For, -Proto, -Host."),
    Key("forwardAuth", "forward_auth", forward_auth.ROUTES, None, items=FORWARD_AUTH, alone=FORWARD_AUTH,
        meaning="Routes for proxies that ask whether a request may pass: nginx, Traefik, Caddy, HAProxy, Envoy, the Gateway API. "
                "One section or a list of them. See docs/forward-auth.md."),
    Key("cookie.name", "cookie.name", forward_auth.read_cookie_name, _COOKIE.name,
        meaning="its name, '' for no cookie; one that begins with __Host- is safe from other hosts of the domain"),
    Key("cookie.domain", "cookie.domain", forward_auth.read_cookie_domain, _COOKIE.domain,
        meaning="send it to all hosts of this domain; default: to the host that set it alone"),
    Key("cookie.path", "cookie.path", forward_auth.read_cookie_path, _COOKIE.path,
        meaning="send it to this path and those below it"),
    Key("cookie.secure", "cookie.secure", values.read_flag, _COOKIE.secure,
        meaning="send it by https alone"),
    Key("cookie.httpOnly", "cookie.http_only", values.read_flag, _COOKIE.http_only,
        meaning="keep it from the page's scripts"),
    Key("cookie.sameSite", "cookie.same_site", values.choice("Lax", "Strict", "None"), _COOKIE.same_site,
        meaning="Lax, Strict or None: when other sites' pages send it"),
    Key("refresh.route", "refresh.route", http_names.read_route, "/refreshToken",
        meaning="the path that renews tokens (POST); with a cookie there is <route>/end, too, which clears it"),
    Key("refresh.maxSession", "refresh.max_session_s", values.duration(1, 366 * DAY_S), _REFRESH.max_session_s,
        meaning="how long after a login tokens are renewed, and live at most"),
    Key("refresh.grace", "refresh.grace_s", values.duration(0, DAY_S), _REFRESH.grace_s,
        meaning="for how long a token is renewed that has expired (a day at most)"),
    Key("refresh.remote", "refresh.url", urls.read_url, _REFRESH.url,
        meaning="the URL that its data is POSTed to before; the reply is the new data, or a refusal"),
    Key("throttle.field", "throttle.pointer", pointers.read_pointer, None,
        meaning="where the user's name stands in the body of a login: a JSON Pointer, as /user"),
    Key("throttle.failures", "throttle.failures", values.whole_number(1, 100), _THROTTLE["failures"],
        meaning="failed logins of a name in a network (/24, /56); ten times as many of an address"),
    Key("throttle.window", "throttle.window_s", values.duration(10, DAY_S), _THROTTLE["window_s"],
        meaning="in which they are counted"),
    Key("throttle.lockout", "throttle.lockout_s", values.duration(1, DAY_S), _THROTTLE["lockout_s"],
        meaning="for which logins get 429 then; twice as long each time, up to 15m"),
    Key("cors.origins", "cors.origins", values.list_of(http_names.read_origin), _CORS.origins,
        meaning="of the pages"),
    Key("cors.headers", "cors.headers", values.list_of(http_names.read_script_field_name), _CORS.headers,
        meaning="that their requests may have"),
    Key("cors.maxAge", "cors.max_age_s", values.duration(0, DAY_S), _CORS.max_age_s,
        meaning="for which browsers may remember that"),
    Key("cors.credentials", "cors.credentials", values.read_flag, _CORS.credentials,
        meaning="whether browsers may send cookies"),
    Key("tls.certFile", "tls.cert_file", certificates.read_certificates, None, is_file=True,
        meaning="the certificate, with what leads up to its authority"),
    Key("tls.keyFile", "tls.key_file", certificates.read_private_key, None, is_file=True,
        meaning="its private key"),
    Key("tls.clientCaFile", "tls.client_ca_file", certificates.read_certificates, None, is_file=True,
        meaning="let only clients in that have a certificate of these authorities"),
    Key("remoteTls.caFile", "remote.tls.ca_file", certificates.read_certificates, None, is_file=True,
        meaning="trust these authorities in place of the machine's"),
    Key("remoteTls.certFile", "remote.tls.cert_file", certificates.read_certificates, None, is_file=True,
        meaning="the certificate that is shown to the remote"),
    Key("remoteTls.keyFile", "remote.tls.key_file", certificates.read_private_key, None, is_file=True,
        meaning="its private key"),
    Key("remoteTls.serverName", "remote.tls.server_name", urls.read_server_name, None,
        meaning="the name that the remote's certificate has to hold, in place of the URL's"),
    Key("remoteTls.verify", "remote.tls.verify", values.read_flag, True,
        meaning="false: take any certificate, so that whoever stands between can read every login"),
    Key("verify.leeway", "check.rules.leeway_s", values.duration(0, DAY_S), 0.0,
        meaning="by which clocks may differ"),
    Key("verify.iss", "check.rules.issuer", values.read_text, None,
        meaning="the `iss` that is asked for"),
    Key("verify.aud", "check.rules.audience", values.list_of(values.read_text), (),
        meaning="the `aud` that is asked for, one or a list"),
    Key("verify.requireExp", "check.rules.require_exp", values.read_flag, True,
        meaning="refuse tokens that never expire"),
    Key("verify.maxAge", "check.rules.max_age_s", values.duration(1, 36_525 * DAY_S), None,
        meaning="refuse tokens that are older, by their `iat`, and those without one (claims.iat)"),
    Key("reload", "reload_s", values.read_period, 10.0,
        meaning="How often this file and the files with secrets and certificates are looked at for change; off: never. "
                "SIGHUP makes it happen at once."),
    Key("checkResponse", "check.response", values.choice("original", "claims"), "original",
        meaning="What a good check is answered with: `original`, or `claims` for the claims alone."),
    Key("log.level", "log.level", values.choice("debug", "info", "warning", "error"), None,
        meaning="debug, info, warning, error"),
    Key("log.format", "log.format", values.choice("json", "text"), None, wants_restart=True,
        meaning="json, text"),
    Key("log.access", "log.access", values.read_flag, True,
        meaning="one line a request"),
)
# fmt: on
SECTIONS: Final = {
    "claims": "What tokens say beside the remote's reply (RFC 7519 §4.1).",
    "dataFields": "Members at the top level of the remote's reply that come into the token.",
    "limits": "Bytes (4096, 64KiB, 1MiB) and counts.",
    "timeouts": "Seconds (5, 500ms, 5s, 1m, 24h, 7d).",
    "tls": "TLS for clients, by files in PEM form.",
    "remoteTls": "TLS to a remote with an https URL, by files in PEM form.",
    "cookie": "The token as a cookie, too, for browsers: set by a login, and read where a token is looked for.",
    "refresh": "A token is renewed before it expires, without a login, up to an end. {} turns it on. See docs/sessions.md.",
    "throttle": "Who fails to log in too often has to wait. See docs/operating.md.",
    "cors": "Web pages whose scripts may call, by their origin (https://app.example.com), or '*' for all of them.",
    "verify": "What a token has to fulfil beside its signature.",
    "log": "To stdout, one line an event. `debug: true` alone means {level: debug, format: text}.",
}
# Sections that switch something on by being there, and the key that has a value then.
SWITCHES: Final = {"refresh": "refresh.route", "throttle": "throttle.field"}
BY_NAME: Final = {key.name: key for key in KEYS}
BY_VARIABLE: Final = {key.variable: key for key in KEYS}


def describe(config: Config) -> dict[str, object]:
    """Return what would run, under the file's own names. Secrets are hidden, times are in seconds."""
    described: dict[str, object] = {}
    for key in KEYS:
        if not key.attribute:
            continue  # what the file holds is shown (a secret as hidden) under the name of the key that it stands for
        place = described.setdefault(key.section, {}) if key.section else described
        assert isinstance(place, dict)
        value = key.value(config)
        place[key.name.rpartition(".")[2]] = HIDDEN if key.is_secret and value is not None else key.read.write(value)
    return described | {section: None for section, name in SWITCHES.items() if not BY_NAME[name].value(config)}


def changes(before: Config, after: Config) -> list[str]:
    """Name the keys whose values differ. No value is named."""
    return [key.name for key in KEYS if key.attribute and key.value(before) != key.value(after)]
