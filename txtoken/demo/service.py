"""The demo: the service as it always runs, with a page beside its routes, in front of a login API. Knows no request."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass
from typing import Final, NoReturn

from txtoken.demo.beside import Beside, Proxy
from txtoken.demo.configuration import DEFAULT_ALGORITHM, demo_config
from txtoken.demo.events import Ring
from txtoken.demo.front_page import About, pages
from txtoken.demo.greeting import greeting, greeting_behind
from txtoken.demo.login_api import bind_login_api, login_url
from txtoken.demo.proxy import find, free_port
from txtoken.demo.speech import Speech
from txtoken.errors import StartError
from txtoken.export.site import Address, Site
from txtoken.process import companion
from txtoken.process.running import leave
from txtoken.process.sockets import bind
from txtoken.process.supervisor import serve_pages
from txtoken.settings import ALL_ADDRESSES, ALL_IPV4, LOOPBACK, Config, LogSettings

_LOOPBACK_OF: Final = {ALL_IPV4: LOOPBACK, ALL_ADDRESSES: "::1"}  # where who listens everywhere is found


@dataclass(frozen=True, slots=True)
class Demo:
    """What was asked for. Without a `remote` there is a login API at `login_port`; 0 as a port: any."""

    port: int = 0
    host: str = LOOPBACK
    workers: str = "1"
    algorithm: str = DEFAULT_ALGORITHM
    remote: str | None = None
    login_port: int = 0
    behind: str | None = None  # the name of a proxy
    proxy_port: int = 0
    once: bool = False


def serve_demo(demo: Demo, speech: Speech) -> NoReturn:
    """Run the demo until Ctrl-C, or with `once` for some requests of its own, and end the process with the exit code.

    Raises:
        ConfigError: a value that was asked for cannot be used.
        StartError: a port is in use, or something is not installed.
    """
    if demo.behind is not None:
        find(demo.behind)
    settings = LogSettings(level="error" if demo.once else "info", format="text", access=not demo.once)
    login = None if demo.remote is not None else bind_login_api(LOOPBACK, demo.login_port)
    remote_url = demo.remote or ("" if login is None else login_url(login))
    config = demo_config(
        demo.port,
        remote_url,
        settings,
        host=demo.host,
        workers=demo.workers,
        algorithm=demo.algorithm,
        is_asked=demo.behind is not None,
    )
    sock = _bind(config)
    place = _place(sock)
    ring = Ring()
    proxy = _proxy(demo, config, place)
    text = greeting(f"http://{place}", remote_url, is_own=login is not None, host=demo.host)
    if proxy is not None:
        text += greeting_behind(proxy.name, proxy.url, f"http://{place}")
    beside = Beside(f"http://{place}", login, proxy, ring, text, demo.once, speech)

    def accompany(log_fd: int) -> int:
        sock.close()  # it is open as long as any process has it open
        return beside.run(log_fd)

    process = companion.begin(accompany)
    if login is not None:
        login.close()
    about = About(config, secrets.token_hex(8), is_own=login is not None)
    code = _serve(config, sock, about, ring)
    leave(process.wait() or code)


def _serve(config: Config, sock: socket.socket, about: About, ring: Ring) -> int:
    try:
        return serve_pages(config, [sock], pages(about, ring))
    except SystemExit as ended:  # by a signal that came before the service could handle it
        return ended.code if isinstance(ended.code, int) else 0


def _bind(config: Config) -> socket.socket:
    """Bind the service's one address. What is wrong names the options, and not the configuration's keys.

    Raises:
        StartError: it cannot be bound.
    """
    try:
        (sock,) = bind(config.process.addresses, config.process.port, key="--port")
    except StartError as error:
        raise StartError(str(error).replace("`listen`", "`--host`")) from error
    return sock


def _place(sock: socket.socket) -> Address:
    """Return where the service can be reached from this machine."""
    host, port = sock.getsockname()[:2]
    return Address(_LOOPBACK_OF.get(host, host), port)


def _proxy(demo: Demo, config: Config, place: Address) -> Proxy | None:
    if demo.behind is None:
        return None
    listen = Address(LOOPBACK, demo.proxy_port or free_port())
    return Proxy(demo.behind, Site(config.forward_auth[0], config.cookie, place, listen=listen))
