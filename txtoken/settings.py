"""The configuration as frozen values, one part for each component. Knows no file and no key's name."""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final
from urllib.parse import urlsplit

KIB: Final = 1024
MIB: Final = 1024 * KIB
HIDDEN: Final = "<hidden>"
ALPN: Final = ("http/1.1",)  # the protocol inside TLS

# Forms of listening addresses other than an IP address
UNIX_PREFIX: Final = "unix:"  # and the path of a socket
LOOPBACK: Final = "127.0.0.1"
ALL_ADDRESSES: Final = "::"  # IPv4 and IPv6, unless there is an IPv4 address beside it
ALL_IPV4: Final = "0.0.0.0"  # noqa: S104 - only named here


class Secret:
    """Bytes that are never shown by accident. Signing code calls `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a way to compare that is not constant-time


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file at the time of reading. Two are equal if path and content are equal."""

    path: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListenTls:
    """TLS for clients. `context` is None for plain HTTP."""

    cert_file: PemFile | None = None
    key_file: PemFile | None = None
    client_ca_file: PemFile | None = None
    context: ssl.SSLContext | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoteTls:
    """TLS to the remote."""

    ca_file: PemFile | None = None
    cert_file: PemFile | None = None
    key_file: PemFile | None = None
    server_name: str | None = None
    verify: bool = True
    context: ssl.SSLContext | bool = field(default=True, compare=False, repr=False)  # True: as aiohttp's default


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """Where the service listens, and with how many processes. A running service cannot change any of it."""

    addresses: tuple[str, ...]
    port: int
    workers: int
    admin_port: int | None  # a second port, for health and metrics; None: there is none
    auth_addresses: tuple[str, ...] = ()  # dedicated addresses of forward authentication, with ports


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged and how. `level` is debug, info, warning or error; `format` json or text."""

    level: str = "info"
    format: str = "json"
    access: bool = True
    debug: bool = False  # the original's key, the default of level and format


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process accepts of its clients (contract §4.1)."""

    head_bytes: int = 64 * KIB  # request line and headers: cookies and tokens of several proxies fit
    header_count: int = 100
    body_bytes: int = MIB
    buffered_bytes: int = 64 * MIB  # of unfinished requests, of requests after them, and of unread answers
    connections: int = 10_000


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long clients may take, in seconds (contract §4.1)."""

    head: float = 10.0
    body: float = 30.0
    idle: float = 75.0  # longer than the 60 s of common load balancers: they close first, and no request is lost
    drain: float = 30.0
    drain_delay: float = 0.0


@dataclass(frozen=True, slots=True)
class RemoteProxy:
    """The HTTP proxy through which the remote is reached (contract §1.2). `url` holds no user and no password."""

    url: str  # http://proxy.internal:3128 or https://…
    authorization: Secret | None = None  # the value of Proxy-Authorization, scheme included


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """Everything that requests to the remote depend on."""

    url: str
    request_key: Secret | None = None  # signs the bearer; None: the key for logins signs it
    request_token_data: bytes = b"{}"  # compact JSON
    request_token_s: int = 300
    proxy: RemoteProxy | None = None
    tls: RemoteTls = field(default_factory=RemoteTls)
    success_statuses: frozenset[int] = frozenset((200,))
    reply_bytes: int = 128 * KIB  # a token of more could not be sent as a header
    connections: int = 256
    waiting: int = 1024  # requests that wait for a connection
    connect_s: float = 2.0  # for name, TCP and TLS together
    timeout_s: float = 5.0  # of the whole exchange, as the original
    idle_s: float = 15.0  # how long an unused connection is kept

    @property
    def is_asked_through_proxy(self) -> bool:
        """Whether a proxy reads the requests (RFC 9112 §3.2.2), instead of forwarding a tunnel's bytes."""
        return self.proxy is not None and self.url[:7].lower() == "http://"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key of a keyset."""

    algorithm: str
    material: Secret  # an HMAC secret, or a key in PEM or JWK form
    kid: str = ""  # "": the key's own
    begins: float = -inf  # Unix time, from which it signs
    until: float = inf  # before which it signs and verifies


@dataclass(frozen=True, slots=True)
class RotationSettings:
    """Self-rotating keys (contract §5)."""

    secrets: tuple[Secret, ...]  # the first signs, all verify
    algorithm: str
    issuer: str
    every_s: int
    lead_s: int


@dataclass(frozen=True, slots=True)
class KeySettings:
    """The keys that sign and verify tokens."""

    secret: Secret | None = None  # of the HS256 key without a name
    entries: tuple[KeyEntry, ...] = ()
    rotation: RotationSettings | None = None

    @property
    def listed(self) -> tuple[tuple[KeyEntry, ...], RotationSettings | None]:
        """The value of the key `keys`."""
        return self.entries, self.rotation

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms of the keys in `keys`, in order. `encKey` is not included."""
        derived = () if self.rotation is None else (self.rotation.algorithm,)
        return (*(entry.algorithm for entry in self.entries), *derived)


# Paths of discovery documents, after or before an issuer's path (OpenID Connect Discovery 1.0 §4, RFC 8414 §3).
DISCOVERY_NAMES: Final = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


@dataclass(frozen=True, slots=True)
class JwksSettings:
    """The routes of public keys and discovery documents."""

    route: str | None = None  # None: nowhere
    max_age_s: int = 900  # how long verifiers and caches may keep them
    issuer: str | None = None  # a URL, below which discovery documents are served; None: there are none

    @property
    def discovery_paths(self) -> list[str]:
        """Where verifiers look for the issuer's discovery documents: after its path (OpenID Connect Discovery 1.0 §4), and before
        it (RFC 8414 §3).
        """
        if self.issuer is None:
            return []
        path = urlsplit(self.issuer).path.rstrip("/")
        return list(dict.fromkeys(place for name in DISCOVERY_NAMES for place in (path + name, name + path)))

    @property
    def paths(self) -> list[str]:
        """All paths of public keys and discovery documents."""
        return [*([] if self.route is None else [self.route]), *self.discovery_paths]


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """The route that issues tokens: which part of a request goes to the remote, and what the client gets if that fails."""

    route: str
    validate_body: bool = True
    forward_headers: tuple[str, ...] = ()
    forwarded_for: bool = False
    # JSON Pointers (RFC 6901) into the reply, each with the expected value as compact JSON. `null`: absent or null.
    success_members: tuple[tuple[str, bytes], ...] = ()
    status_map: str | Mapping[str, str] = "original"  # or gateway, or a map: 401, 4xx, timeout… → a status or pass
    pass_remote_errors: bool = False


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    """How many failed logins are too many."""

    pointer: str  # a JSON Pointer (RFC 6901) to the user's name in the body of a login
    failures: int = 10  # for a name in a network, and ten times as many for an address
    window_s: float = 300.0  # in which they are counted
    lockout_s: float = 60.0  # doubled with each that follows, up to 15 min


@dataclass(frozen=True, slots=True)
class IssueSettings:
    """The content of tokens."""

    ttl_s: int
    token_bytes_max: int = 32 * KIB
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    subject: str | None = None  # a JSON Pointer (RFC 6901) into the reply
    has_iat: bool = False
    has_nbf: bool = False
    has_jti: bool = False
    typ: str = "JWT"  # of the header
    data_claim: str = "data"  # contains the reply; "": the reply's members become claims
    data_include: tuple[str, ...] | None = None  # members of the reply; None: all
    data_exclude: tuple[str, ...] = ()
    max_session_s: int | None = None  # from the login, the longest life of tokens; None: there are no sessions

    @property
    def life_s(self) -> int:
        """The life of a login's token."""
        return self.ttl_s if self.max_session_s is None else min(self.ttl_s, self.max_session_s)


@dataclass(frozen=True, slots=True)
class VerifyRules:
    """Rules for tokens in addition to the signature (contract §3.2)."""

    leeway_s: float = 0
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    require_exp: bool = True
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """The route that checks tokens."""

    route: str
    response: str = "original"  # or claims
    token_bytes_max: int = 32 * KIB
    rules: VerifyRules = field(default_factory=VerifyRules)


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """The cookie with the token (RFC 6265), and its attributes."""

    name: str = ""  # "": there is none
    domain: str | None = None
    path: str = "/"
    secure: bool = True
    http_only: bool = True
    same_site: str = "Lax"  # or Strict or None


@dataclass(frozen=True, slots=True)
class ForwardAuthSettings:
    """One forward-auth route: proxies ask there whether a request may pass (contract §3.5)."""

    route: str
    headers: tuple[tuple[str, str], ...] = ()  # names, and JSON Pointers to their values in the claims
    # JSON Pointers into the claims, each with the accepted values as compact JSON. `null`: absent or null.
    require: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    places: tuple[str, ...] = ("header", "cookie")  # where to look for a token; also: query
    cache_s: int = 0  # how long a proxy may cache that a token is valid
    has_body: bool = True  # whether rejections have one
    is_envoy: bool = False  # whether to list headers for Envoy to remove
    listen: str | None = None  # the dedicated address of this route; None: the service's own


@dataclass(frozen=True, slots=True)
class RefreshSettings:
    """The route that renews tokens (contract §3.6)."""

    route: str | None = None  # None: there is none
    max_session_s: int = 12 * 3600  # from the login, after which no token is renewed
    grace_s: int = 0  # how long after its expiry a token can be renewed
    url: str | None = None  # the remote that decides about renewals; None: there is none
    proxy: RemoteProxy | None = None  # the HTTP proxy for that remote

    @property
    def end_route(self) -> str:
        """The path that clears a session's cookie, if there is a cookie."""
        return (self.route or "").rstrip("/") + "/end"

    def remote(self, like: RemoteSettings) -> RemoteSettings | None:
        """Return the settings of the remote for renewals: everything except the URL and proxy is as for logins."""
        return None if self.url is None else replace(like, url=self.url, proxy=self.proxy)


@dataclass(frozen=True, slots=True)
class CorsSettings:
    """Which web pages' scripts may call the service. Without `origins` there are no CORS headers, and browsers block all."""

    origins: tuple[str, ...] = ()  # or "*" alone
    headers: tuple[str, ...] = ("Authorization", "Content-Type")  # that a script may send
    max_age_s: float = 600.0  # how long browsers may cache the answer to a preflight
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, valid as a whole. It has one part for each component, so there are many."""

    source: str  # the file's path, "" without one
    files: tuple[str, ...]  # all files that it was read from, including those with secrets and certificates
    warnings: tuple[str, ...]  # to be logged at start
    reload_s: float | None  # how often these files are checked for change, None for never
    process: ProcessSettings
    log: LogSettings
    limits: Limits
    timeouts: Timeouts
    tls: ListenTls
    trusted_proxies: tuple[str, ...]  # networks, and unix
    remote: RemoteSettings
    keys: KeySettings
    revocations: str | None  # the path of the list of revocations
    jwks: JwksSettings
    login: LoginSettings
    issue: IssueSettings
    check: CheckSettings
    cookie: CookieSettings
    refresh: RefreshSettings
    forward_auth: tuple[ForwardAuthSettings, ...]
    cors: CorsSettings
    # Where each key's value came from.
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    throttle: ThrottleSettings | None = None  # None: nobody is throttled

    @property
    def token_use_s(self) -> int:
        """How long after it was signed a token can be used: its key has to be kept for this time."""
        return self.issue.ttl_s + self.refresh.grace_s
