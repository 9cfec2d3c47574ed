"""The configuration as values: what the service knows of its limits, times and rules once it has started. Frozen; knows no file
and no key's name.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from txtoken.certificates import ListenTls, RemoteTls
from txtoken.values import KIB, MIB

HIDDEN: Final = "<hidden>"


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
class Limits:
    """What one process takes on (contract §4.1)."""

    head_bytes: int = 64 * KIB  # request line and headers: cookies and tokens of several proxies fit
    header_count: int = 100
    body_bytes: int = MIB
    reply_bytes: int = 128 * KIB  # a token of more could not be sent as a header
    token_bytes: int = 32 * KIB  # that is issued or checked
    buffered_bytes: int = 64 * MIB  # of unfinished requests, of those behind them, and of answers that nobody takes
    connections: int = 10_000  # clients
    remote_connections: int = 256
    waiting: int = 1024  # requests in line for a connection to the remote


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long things may take, in seconds (contract §4.1)."""

    head: float = 10.0
    body: float = 30.0
    idle: float = 75.0  # longer than the 60 s of common load balancers: they close first, and no request is lost
    connect: float = 2.0
    remote: float = 5.0  # of the whole exchange, as the original
    remote_idle: float = 15.0
    drain: float = 30.0
    drain_delay: float = 0.0


@dataclass(frozen=True, slots=True)
class RemoteProxy:
    """The HTTP proxy through which the remote is reached (contract §1.2). `url` holds no user and no password."""

    url: str  # http://proxy.internal:3128 or https://…
    authorization: Secret | None = None  # the value of Proxy-Authorization, scheme included


@dataclass(frozen=True, slots=True)
class SuccessRules:
    """Which replies of the remote are a login (contract §1.2 `successStatus`, `successWhen`)."""

    statuses: frozenset[int] = frozenset((200,))
    # JSON Pointers (RFC 6901) into the reply, and the value that each must have, as compact JSON. `null`: absent or null.
    members: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """All that the exchange with the remote depends on. What is made of it is made anew when any of it has changed."""

    url: str
    request_key: Secret  # that signs the bearer
    request_token_data: bytes = b"{}"  # compact JSON
    request_token_s: int = 300
    proxy: RemoteProxy | None = None
    tls: RemoteTls = field(default_factory=RemoteTls)
    success_statuses: frozenset[int] = frozenset((200,))
    reply_bytes: int = 128 * KIB
    connections: int = 256
    waiting: int = 1024  # requests in line for a connection
    connect_s: float = 2.0  # for name, TCP and TLS together
    timeout_s: float = 5.0  # of the whole exchange
    idle_s: float = 15.0  # that a connection is kept without a request

    @property
    def is_asked_through_proxy(self) -> bool:
        """Whether a proxy reads the requests (RFC 9112 §3.2.2), in place of passing a tunnel's bytes on."""
        return self.proxy is not None and self.url[:7].lower() == "http://"

    @classmethod
    def of(cls, config: Config) -> RemoteSettings:
        """Take them from a configuration."""
        return cls(
            url=config.remote,
            request_key=config.request_key,
            request_token_data=config.request_token_data,
            request_token_s=config.request_token_s,
            proxy=config.remote_proxy,
            tls=config.remote_tls,
            success_statuses=config.success.statuses,
            reply_bytes=config.limits.reply_bytes,
            connections=config.limits.remote_connections,
            waiting=config.limits.waiting,
            connect_s=config.timeouts.connect,
            timeout_s=config.timeouts.remote,
            idle_s=config.timeouts.remote_idle,
        )


@dataclass(frozen=True, slots=True)
class VerifyRules:
    """What a token has to fulfil beside its signature (contract §3.2)."""

    leeway_s: float = 0
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    require_exp: bool = True
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class CorsSettings:
    """Which web pages' scripts may call the service. Without `origins` it is silent about that, and browsers keep them out."""

    origins: tuple[str, ...] = ()  # or "*" alone
    headers: tuple[str, ...] = ("Authorization", "Content-Type")  # that a script may send
    max_age_s: float = 600.0  # how long browsers may remember the answer to a preflight
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged and how. `level` is debug, info, warning or error; `format` json or text."""

    level: str = "info"
    format: str = "json"
    access: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """All that the service needs to know, valid as a whole."""

    source: str  # the file's path, "" without one
    files: tuple[str, ...]  # all that it was read from, files with secrets and certificates included
    reload_s: float | None  # how often these are looked at for change, None for never
    listen: tuple[str, ...]
    port: int
    workers: int
    admin_port: int | None  # a second port, for health and metrics; None for none
    debug: bool
    enc_key: Secret
    remote: str
    remote_proxy: RemoteProxy | None
    success: SuccessRules
    token_ttl_s: int
    get_token_route: str
    check_token_route: str
    request_token_data: bytes  # compact JSON
    request_key: Secret
    request_token_s: int
    validate_body: bool
    limits: Limits
    timeouts: Timeouts
    verify: VerifyRules
    check_response: str  # original or claims
    status_map: str | Mapping[str, str]  # original, gateway, or 401, 4xx, timeout… → a status or pass
    pass_remote_errors: bool
    forward_headers: tuple[str, ...]
    trusted_proxies: tuple[str, ...]  # networks, and unix
    forwarded_for: bool
    cors: CorsSettings
    tls: ListenTls
    remote_tls: RemoteTls
    log: LogSettings
    warnings: tuple[str, ...]  # to be said aloud at start
