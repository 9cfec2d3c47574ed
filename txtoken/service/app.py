"""Builds everything from one configuration: routes, keys, issuer, verifier, remote. Knows no process and no client's socket.

A hot reload reuses each part whose settings are equal: open connections to the remote and verified tokens stay. A build that
fails changes nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final, TypeVar, cast

from txtoken.clock import Clock
from txtoken.errors import RemoteError
from txtoken.http1.messages import Handler, Router
from txtoken.service.cookies import TokenCookie
from txtoken.service.cors import CrossOriginRoutes, Preflight
from txtoken.service.failures import Failures
from txtoken.service.forwarded import ForwardedLines, Forwarding
from txtoken.service.handlers.check import Check
from txtoken.service.handlers.forward_auth import ForwardAuth
from txtoken.service.handlers.jwks import Discovery, Jwks
from txtoken.service.handlers.login import Login
from txtoken.service.handlers.refresh import Asked, CookieRules, End, Refresh, Renewed
from txtoken.service.issuance import InThread, Issuance
from txtoken.service.keys.build import build_ring
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import BEARER_TYPE, HMAC_ALGORITHMS
from txtoken.service.keys.ring import KeyRing
from txtoken.service.replies import ReplyReader
from txtoken.service.revocations import Revocations
from txtoken.service.routes import Routes, health_routes
from txtoken.service.sites import AskedOrigin, Guarded, Sites
from txtoken.service.success import Success
from txtoken.service.throttle.counts import LoginCounts
from txtoken.service.throttle.guard import ClientBehind, Guard, LoginThrottle
from txtoken.service.throttle.table import Table
from txtoken.service.tokens.issue import CutTokens, TokenIssuer
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.sessions import SessionIssuer, issuer_for
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.service.upstream.remote import Remote
from txtoken.settings import Config, ForwardAuthSettings, IssueSettings, RemoteSettings
from txtoken.version import VERSION

REMEMBERED_TOKENS: Final = 4096  # in each of the memory's two generations, with at most 8 MiB: see there
CLOSE_S: Final = 1.0  # for connections to the remote to close cleanly; a look-up that hangs must not delay the exit
_PORTS: Final = {"http": ":80", "https": ":443"}  # an origin omits these

NO_PART: Final = (None, None)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ProcessContext:
    """What an app uses of its process, independent of the configuration."""

    clock: Clock
    # Calls a function that may take milliseconds, after other clients had their turns.
    in_turn: Callable[[Callable[[], object]], object]
    in_thread: InThread
    is_ready: Callable[[], bool]
    # Makes the lines that describe clients behind these proxies to the remote.
    forwarded_lines: Callable[[tuple[str, ...]], ForwardedLines]
    # Finds the origin that a request behind these proxies was for.
    asked_origin: Callable[[tuple[str, ...]], AskedOrigin]
    client_behind: Callable[[tuple[str, ...]], ClientBehind]  # finds the client behind these proxies
    throttle_table: Table
    on_remote_failure: Callable[[RemoteError], None]
    on_large_token: Callable[[int], None]  # its bytes
    on_dropped_claims: Callable[[str], None]  # their names
    on_crash: Callable[[Exception], None]
    pages: Mapping[str, Mapping[str, Handler]] = field(default_factory=dict)  # of the demo, by path and method


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts over all configurations of a process: requests that still run with an earlier one count here, too."""

    cut: CutTokens = field(default_factory=CutTokens)
    renewed: Renewed = field(default_factory=Renewed)
    logins: LoginCounts = field(default_factory=LoginCounts)


class App:
    """The service of one configuration, with all its parts. Make it with `build` inside a running loop; call `sweep` a few times
    a second.
    """

    def __init__(self, config: Config, surroundings: ProcessContext, before: App | None) -> None:
        self.config = config
        self._surroundings = surroundings
        self.parts: dict[str, tuple[object, object]] = {}  # the settings of each part, and the part
        self._retired: list[Remote] = []  # of earlier configurations, with exchanges that still run
        self.closing: set[asyncio.Task[None]] = set() if before is None else before.closing
        self.counts: Counts = Counts() if before is None else before.counts
        self._login_throttle: LoginThrottle | None = None  # if there is a throttle
        self.ring: KeyRing
        self.issuer: TokenIssuer
        # The remote for logins, and perhaps one for renewals.
        self.in_use: tuple[Remote, ...] = ()
        self.verifier: TokenVerifier
        self.router: Router
        self._auth_routers: dict[str, Router] = {}  # by their addresses
        self.paths: frozenset[bytes] = frozenset()  # of all routes
        self.route_names: dict[bytes, str] = {}  # of those that are counted one by one

    @classmethod
    def build(cls, config: Config, surroundings: ProcessContext, before: App | None = None) -> App:
        """Build the app of a configuration, and reuse the parts of `before` that stay the same. `before` keeps serving until
        `replace` is called.
        """
        app = cls(config, surroundings, before)
        try:
            app._build({} if before is None else before.parts)
        except BaseException:
            app.discard(before)
            raise
        return app

    def _build(self, before: dict[str, tuple[object, object]]) -> None:
        config, around = self.config, self._surroundings

        def part(name: str, settings: object, make: Callable[[], _T]) -> _T:
            earlier = before.get(name)
            made = cast("_T", earlier[1]) if earlier is not None and earlier[0] == settings else make()
            self.parts[name] = settings, made
            return made

        # The life of tokens decides how long a self-rotating key is kept.
        life_s = 0 if config.keys.rotation is None else config.token_use_s
        ring = part("keys", (config.keys, life_s), lambda: build_ring(config.keys, life_s))
        self.ring = ring
        ring.refresh(around.clock.second)
        key = None if config.remote.request_key is not None else ring
        remote = part("remote", (config.remote, key), lambda: new_remote(config.remote, ring, around))
        asked = config.refresh.remote(config.remote)
        refresh_remote = part(
            "refresh_remote", (asked, key), lambda: None if asked is None else new_remote(asked, ring, around)
        )
        self.in_use = (remote,) if refresh_remote is None else (remote, refresh_remote)
        self.verifier = part(
            "verifier",
            # Another path does not change any verdict.
            # A token's verdict also stores the decisions of forward-auth routes.
            (
                ring,
                replace(config.check, route=""),
                config.revocations is None,
                config.forward_auth,
                config.cookie.name,
            ),
            lambda: TokenVerifier(ring, config.check, Memory(REMEMBERED_TOKENS)),
        )
        self.issuer = issuer = issuer_for(ring, config.issue, self.counts.cut, around.on_dropped_claims)
        cookie = TokenCookie(config.cookie) if config.cookie.name else None
        self._login_throttle = self._new_login_throttle()
        login = Login(
            remote,
            issuer,
            Failures(config.login.status_map, passes_bodies=config.login.pass_remote_errors),
            around.clock,
            config.login,
            forwarded_lines=self._forwarded_lines(),
            guard=Guard(self.counts.logins, self._login_throttle),
            token_bytes_max=config.issue.token_bytes_max,
            in_thread=around.in_thread,
            on_failure=around.on_remote_failure,
            on_large_token=around.on_large_token,
            on_crash=around.on_crash,
            cookie=cookie,
        )
        check = Check(self.verifier, around.clock, response=config.check.response, cookie=config.cookie.name)
        sites = None if cookie is None else Sites(config.cors.origins, around.asked_origin(config.trusted_proxies))
        named: dict[str, tuple[str, dict[str, Handler]]] = {
            config.login.route: ("get_token", {"POST": login if sites is None else Guarded(login, sites)}),
            config.check.route: ("check_token", {"GET": check, "POST": check}),
        }
        if isinstance(issuer, SessionIssuer) and config.refresh.route is not None:
            refresh = self._refresh(issuer, login.issuance, sites, refresh_remote)
            named[config.refresh.route] = "refresh", {"POST": refresh}
            if cookie is not None and sites is not None:
                named[config.refresh.end_route] = "refresh_end", {"POST": End(cookie, sites)}
        public = self._published(ring)
        named |= public
        self.route_names = {path.encode("ascii"): name for path, (name, _) in named.items()}
        has_admin_port = config.process.admin_port is not None
        routes = {} if has_admin_port else health_routes(lambda: True, around.is_ready)
        routes |= {path: handlers for path, (_, handlers) in named.items()}
        routes |= {path: {**handlers} for path, handlers in around.pages.items()}
        self.paths = frozenset(path.encode("ascii") for path in routes)
        self.router = self._route(routes)
        self._auth_routers = {address: self._new_auth_router(address) for address in config.process.auth_addresses}

    def _forwarded_lines(self) -> ForwardedLines | None:
        config = self.config
        return self._surroundings.forwarded_lines(config.trusted_proxies) if config.login.forwarded_for else None

    def _refresh(
        self, issuer: SessionIssuer, issuance: Issuance, sites: Sites | None, remote: Remote | None
    ) -> Refresh:
        config, around = self.config, self._surroundings
        asked = None
        if remote is not None:
            members = config.login.success_members
            asked = Asked(
                remote,
                config.issue.data_claim,
                Forwarding(config.login.forward_headers, self._forwarded_lines()),
                ReplyReader(Success(members) if members else None, issuer),
                self.counts.renewed,
            )
        return Refresh(
            config.refresh,
            self.verifier,
            issuer,
            issuance,
            around.clock,
            asked=asked,
            cookie=None if sites is None else CookieRules(config.cookie.name, sites),
            on_crash=around.on_crash,
        )

    def _new_login_throttle(self) -> LoginThrottle | None:
        """Make the throttle of logins, if configured. Counts of an earlier configuration stay."""
        settings, around = self.config.throttle, self._surroundings
        if settings is None:
            return None
        client_behind = around.client_behind(self.config.trusted_proxies)
        return LoginThrottle(settings, around.throttle_table, self.counts.logins, client_behind)

    def _published(self, ring: KeyRing) -> dict[str, tuple[str, dict[str, Handler]]]:
        """Return the routes of public keys and discovery documents, by path with their names."""
        settings = self.config.jwks
        if settings.route is None:
            return {}
        found: dict[str, tuple[str, dict[str, Handler]]] = {
            settings.route: ("jwks", {"GET": Jwks(ring, settings.max_age_s)})
        }
        if settings.issuer is not None:
            # Independent of the current keys: before the clock is set there are none, and some verifiers read this only once.
            algorithms = [algorithm for algorithm in self.config.keys.algorithms if algorithm not in HMAC_ALGORITHMS]
            discovery = Discovery(settings.issuer, settings.route, algorithms, settings.max_age_s)
            found |= {path: ("discovery", {"GET": discovery}) for path in settings.discovery_paths}
        return found

    def _route(self, routes: dict[str, dict[str, Handler]]) -> Router:
        """Make the router."""
        cors, on_crash = self.config.cors, self._surroundings.on_crash
        asked = self._asked(None)
        if not cors.origins:
            return Routes(routes, on_crash, asked)
        for handlers in routes.values():
            if all(handler.is_for_pages() for handler in handlers.values()):
                handlers["OPTIONS"] = Preflight(tuple(handlers), cors)
        return CrossOriginRoutes(Routes(routes, on_crash, asked), cors)

    def _asked(self, address: str | None) -> dict[str, ForwardAuth]:
        """Return the forward-auth routes of one dedicated address, or of the service's own (None), by path."""
        return {
            settings.route: self._forward_auth(number, settings)
            for number, settings in enumerate(self.config.forward_auth)
            if settings.listen == address
        }

    def _forward_auth(self, number: int, settings: ForwardAuthSettings) -> ForwardAuth:
        around = self._surroundings
        return ForwardAuth(number, settings, self.config.cookie.name, self.verifier, around.clock, around.on_crash)

    def _new_auth_router(self, address: str) -> Router:
        """Make the router of an address that serves only forward authentication. If the configuration no longer has the address,
        there are no routes, and every request is rejected: no request must pass by accident.
        """
        asked = self._asked(address)
        none = self._forward_auth(len(self.config.forward_auth), ForwardAuthSettings(""))
        return Routes({}, self._surroundings.on_crash, asked, denies=next(iter(asked.values()), none))

    def asked_at(self, address: str | None) -> tuple[bytes, ...]:
        """Return the paths of the forward-auth routes of one dedicated address, or of the service's own (None)."""
        return tuple(
            settings.route.encode("ascii") for settings in self.config.forward_auth if settings.listen == address
        )

    def auth_router(self, address: str) -> Router:
        """Return the router of an address that serves only forward authentication."""
        return self._auth_routers[address]

    @property
    def remotes(self) -> tuple[Remote, ...]:
        """The remotes in use, and those of earlier configurations that still have requests."""
        return *self.in_use, *self._retired

    @property
    def remote(self) -> Remote:
        """The remote that logins are POSTed to."""
        return self.in_use[0]

    def replace(self, before: App) -> None:
        """Replace another app from now on. Its running requests finish."""
        self._retired = before._retired
        self._retired += [remote for remote in before.in_use if remote not in self.in_use]
        if self._login_throttle is None and before._login_throttle is not None:
            self._surroundings.throttle_table.clear()  # nothing sweeps it now, and its times would wrap around

    def discard(self, before: App | None) -> None:
        """Release what is not shared with `before`: this app will never serve."""
        kept = () if before is None else before.in_use
        for _, made in (self.parts.get("remote", NO_PART), self.parts.get("refresh_remote", NO_PART)):
            if isinstance(made, Remote) and made not in kept:
                self._close(made)

    def revoke(self, revocations: Revocations | None) -> None:
        """Reject the tokens of this list from now on, remembered ones too."""
        self.verifier.revocations = revocations
        self.ring.revoke(() if revocations is None else revocations.kids)
        self.issuer.choose_again()

    def doubts(self, revocations: Revocations) -> list[str]:
        """Return warnings about lines of a list of revocations that are probably mistakes."""
        kids = [key.kid for key in self.ring.keys]
        return revocations.doubts(kids, self._surroundings.clock.second, signs=self.can_sign())

    def can_sign(self) -> bool:
        """Whether a key signs now."""
        return self.issuer.can_sign(self._surroundings.clock.second)

    def sweep(self) -> None:
        """Act on expired deadlines of the remote, and switch to keys whose time has come."""
        self.ring.refresh(self._surroundings.clock.second)
        for remote in self.in_use:
            remote.sweep(monotonic())
        if self._login_throttle is not None:
            self._login_throttle.throttle.sweep()
        for remote in tuple(self._retired):
            remote.sweep(monotonic())
            if not remote.active_count:
                self._retired.remove(remote)
                self._close(remote)

    async def close(self) -> None:
        """Close every connection to the remote. Logins that still run fail."""
        for remote in self.remotes:
            self._close(remote)
        if self.closing:
            await asyncio.wait(tuple(self.closing), timeout=CLOSE_S)

    def _close(self, remote: Remote) -> None:
        task = asyncio.get_running_loop().create_task(remote.close())
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)


def new_remote(settings: RemoteSettings, ring: KeyRing, around: ProcessContext) -> Remote:
    """Make the remote, with the token that the service sends to it (contract §2). Without `requestKey`, the key for logins signs
    that token, and `typ` marks it as no login.
    """
    issue = IssueSettings(settings.request_token_s)
    if settings.request_key is not None:
        ring = KeyRing([HmacKey(settings.request_key.reveal())])
    else:
        issue = replace(issue, typ=BEARER_TYPE, audience=(origin_of(settings.url),))
    bearer = TokenIssuer(ring, issue)
    return Remote(
        settings,
        lambda second: bearer.issue(settings.request_token_data, second),
        around.clock,
        f"txtoken/{VERSION}",
        around.in_turn,
    )


def origin_of(url: str) -> str:
    """Return the origin of the remote's URL (RFC 6454 §6.2): scheme, host and port, without the path and the scheme's default
    port. For a Unix socket it contains the socket's path, as written.
    """
    scheme, _, rest = url.partition("://")
    scheme, authority = scheme.lower(), re.split("[/?]", rest, maxsplit=1)[0]
    if scheme not in _PORTS:
        return f"{scheme}://{authority}"
    return f"{scheme}://{authority.lower().removesuffix(_PORTS[scheme])}"
