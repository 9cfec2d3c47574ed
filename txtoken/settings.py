"""The configuration as frozen values, in parts: one for each thing that is built from it. Knows no file and no key's name."""

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

# Forms that an address to listen on has beside that of an IP address
UNIX_PREFIX: Final = "unix:"  # and the path of a socket
LOOPBACK: Final = "127.0.0.1"
ALL_ADDRESSES: Final = "::"  # IPv4 and IPv6, unless an IPv4 address stands beside it
ALL_IPV4: Final = "0.0.0.0"  # noqa: S104 - only named here


class Secret:
    """Bytes that are never shown by accident. `reveal` is for what signs."""

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
    """A file as it was when it was read. Two are equal when path and content are."""

    path: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListenTls:
    """TLS for clients. `context` is None where they are served in the clear."""

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
    admin_port: int | None  # a second port, for health and metrics; None for none
    doors: tuple[str, ...] = ()  # addresses (with port) on which there is nothing but forward authentication


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged and how. `level` is debug, info, warning or error; `format` json or text."""

    level: str = "info"
    format: str = "json"
    access: bool = True
    debug: bool = False  # the original's key, which decides the two where they are not given


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process accepts of its clients (contract §4.1)."""

    head_bytes: int = 64 * KIB  # request line and headers: cookies and tokens of several proxies fit
    header_count: int = 100
    body_bytes: int = MIB
    buffered_bytes: int = 64 * MIB  # of unfinished requests, of those behind them, and of answers that nobody takes
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
    """All that the exchange with the remote depends on."""

    url: str
    request_key: Secret | None = None  # that signs the bearer; None: the key that signs logins
    request_token_data: bytes = b"{}"  # compact JSON
    request_token_s: int = 300
    proxy: RemoteProxy | None = None
    tls: RemoteTls = field(default_factory=RemoteTls)
    success_statuses: frozenset[int] = frozenset((200,))
    reply_bytes: int = 128 * KIB  # a token of more could not be sent as a header
    connections: int = 256
    waiting: int = 1024  # requests in line for a connection
    connect_s: float = 2.0  # for name, TCP and TLS together
    timeout_s: float = 5.0  # of the whole exchange, as the original
    idle_s: float = 15.0  # that a connection is kept without a request

    @property
    def is_asked_through_proxy(self) -> bool:
        """Whether a proxy reads the requests (RFC 9112 §3.2.2), in place of passing a tunnel's bytes on."""
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
    """Keys that rotate by themselves (contract §5)."""

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
        """What the key `keys` says of them."""
        return self.entries, self.rotation

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Those of the keys that `keys` names, in its order. `encKey` is none of these."""
        derived = () if self.rotation is None else (self.rotation.algorithm,)
        return (*(entry.algorithm for entry in self.entries), *derived)


# Where documents of discovery are, below or before an issuer's path (OpenID Connect Discovery 1.0 §4, RFC 8414 §3).
DISCOVERY_NAMES: Final = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


@dataclass(frozen=True, slots=True)
class JwksSettings:
    """Where the public keys are published, and what points there."""

    route: str | None = None  # None: nowhere
    max_age_s: int = 900  # for which verifiers and caches may keep them
    issuer: str | None = None  # a URL, under which the documents of discovery stand; None: there are none

    @property
    def discovery_paths(self) -> list[str]:
        """Where verifiers look for the documents of the issuer: after its path (OpenID Connect Discovery 1.0 §4), and before it
        (RFC 8414 §3).
        """
        if self.issuer is None:
            return []
        path = urlsplit(self.issuer).path.rstrip("/")
        return list(dict.fromkeys(place for name in DISCOVERY_NAMES for place in (path + name, name + path)))

    @property
    def paths(self) -> list[str]:
        """All paths on which public keys, or what points to them, are published."""
        return [*([] if self.route is None else [self.route]), *self.discovery_paths]


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """The route that issues tokens: what of a request goes to the remote, and what the client gets when that fails."""

    route: str
    validate_body: bool = True
    forward_headers: tuple[str, ...] = ()
    forwarded_for: bool = False
    # JSON Pointers (RFC 6901) into the reply, and the value that each must have, as compact JSON. `null`: absent or null.
    success_members: tuple[tuple[str, bytes], ...] = ()
    status_map: str | Mapping[str, str] = "original"  # or gateway, or a map: 401, 4xx, timeout… → a status or pass
    pass_remote_errors: bool = False


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    """How many failed logins are too many."""

    pointer: str  # a JSON Pointer (RFC 6901) to the user's name in the body of a login
    failures: int = 10  # of a name in a network, and ten times as many of an address
    window_s: float = 300.0  # in which they are counted
    lockout_s: float = 60.0  # doubled with each that follows, up to 15 min


@dataclass(frozen=True, slots=True)
class IssueSettings:
    """What tokens are made of."""

    ttl_s: int
    token_bytes_max: int = 32 * KIB
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    subject: str | None = None  # a JSON Pointer (RFC 6901) into the reply
    has_iat: bool = False
    has_nbf: bool = False
    has_jti: bool = False
    typ: str = "JWT"  # of the header
    data_claim: str = "data"  # that holds the reply; "": the reply's members are claims themselves
    data_include: tuple[str, ...] | None = None  # members of the reply; None: all
    data_exclude: tuple[str, ...] = ()
    max_session_s: int | None = None  # from a login on, beyond which no token lives; None: there are no sessions

    @property
    def life_s(self) -> int:
        """How long a token lives that a login gives."""
        return self.ttl_s if self.max_session_s is None else min(self.ttl_s, self.max_session_s)


@dataclass(frozen=True, slots=True)
class VerifyRules:
    """What a token has to fulfil beside its signature (contract §3.2)."""

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
    """The cookie that holds the token (RFC 6265). Attributes as they are set."""

    name: str = ""  # "": there is none
    domain: str | None = None
    path: str = "/"
    secure: bool = True
    http_only: bool = True
    same_site: str = "Lax"  # or Strict or None


@dataclass(frozen=True, slots=True)
class ForwardAuthSettings:
    """One route for proxies that ask whether a request may pass (contract §3.5)."""

    route: str
    headers: tuple[tuple[str, str], ...] = ()  # names, and where their values stand: JSON Pointers into the claims
    # JSON Pointers into the claims, and the values of which one has to be there, as compact JSON. `null`: absent or null.
    require: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    places: tuple[str, ...] = ("header", "cookie")  # where a token may stand; query is one, too
    cache_s: int = 0  # for which a proxy may remember that a token is good
    has_body: bool = True  # whether refusals have one
    is_envoy: bool = False  # whether Envoy is told which headers to remove
    listen: str | None = None  # an address on which there is nothing but this route; None: it is on the service's own


@dataclass(frozen=True, slots=True)
class RefreshSettings:
    """The route that renews tokens (contract §3.6)."""

    route: str | None = None  # None: nobody can
    max_session_s: int = 12 * 3600  # from a login on, after which a token is not renewed any more
    grace_s: int = 0  # for which a token that has expired is taken
    url: str | None = None  # that is asked before; None: nobody is
    proxy: RemoteProxy | None = None  # by which

    @property
    def end_route(self) -> str:
        """Where a session's cookie is cleared, where there is a cookie."""
        return (self.route or "").rstrip("/") + "/end"

    def remote(self, like: RemoteSettings) -> RemoteSettings | None:
        """Return what the exchange with who is asked depends on: all but the URL is as that of logins."""
        return None if self.url is None else replace(like, url=self.url, proxy=self.proxy)


@dataclass(frozen=True, slots=True)
class CorsSettings:
    """Which web pages' scripts may call the service. Without `origins` it is silent about that, and browsers keep them out."""

    origins: tuple[str, ...] = ()  # or "*" alone
    headers: tuple[str, ...] = ("Authorization", "Content-Type")  # that a script may send
    max_age_s: float = 600.0  # how long browsers may remember the answer to a preflight
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """All that the service needs to know, valid as a whole. It has a part for each thing that is built, so there are many."""

    source: str  # the file's path, "" without one
    files: tuple[str, ...]  # all that it was read from, files with secrets and certificates included
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
    revocations: str | None  # the path of the list of what is no longer valid
    jwks: JwksSettings
    login: LoginSettings
    issue: IssueSettings
    check: CheckSettings
    cookie: CookieSettings
    refresh: RefreshSettings
    forward_auth: tuple[ForwardAuthSettings, ...]
    cors: CorsSettings
    origins: Mapping[str, str] = field(
        default_factory=dict, compare=False, repr=False
    )  # where each key's value came from
    throttle: ThrottleSettings | None = None  # None: nobody is throttled

    @property
    def token_use_s(self) -> int:
        """How long after it was signed a token may be of use: its key has to be known for as long."""
        return self.issue.ttl_s + self.refresh.grace_s
