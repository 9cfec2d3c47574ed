"""`txtoken export`: which section it takes, where it says txtoken is, and what it says when it cannot write anything."""

from __future__ import annotations

from typing import Final

import pytest

from tests.cli.terminal import CONFIG, Terminal
from txtoken.cli.exit_codes import BAD_CONFIG, FAILED, OK
from txtoken.export.proxies import WRITERS

ONE: Final = "forwardAuth: {route: /fa, headers: {X-User: /data/id}}\n"
TWO: Final = (
    "forwardAuth: [{route: /fa}, {route: /fc, listen: '127.0.0.1:8890'}, {route: /fb, listen: '127.0.0.1:8890'}]\n"
)
AT: Final = ("--set", "port=8888")


@pytest.mark.parametrize("proxy", WRITERS)
def test_every_proxy(terminal: Terminal, proxy: str) -> None:
    """Each proxy's configuration is printed whole, with the addresses that were given and nothing on stderr."""
    terminal.write(CONFIG + ONE)
    ran = terminal.run(
        "export", proxy, *AT, "--upstream", "[::1]:81", "--listen", "0.0.0.0:82", "--service", "tokens:83"
    )
    assert (ran.code, ran.err) == (OK, "")
    assert ran.out.endswith("\n")
    assert not ran.out.endswith("\n\n")
    assert all(line == line.rstrip() for line in ran.out.splitlines())
    if proxy != "haproxy-lua":
        assert f"`txtoken export {proxy}`" in ran.out
        assert "83" in ran.out
        assert "81" in ran.out or proxy == "envoy-gateway"  # which is for a route that stands elsewhere


def test_where_the_service_is(terminal: Terminal) -> None:
    """By default the proxy gets the address of the configuration: loopback for all addresses, and the section's own."""
    terminal.write(CONFIG + ONE)
    assert "server 127.0.0.1:8888;" in terminal.run("export", "nginx", *AT).out
    assert "server [::1]:8888;" in terminal.run("export", "nginx", *AT, "--set", "listen=::1").out
    assert "server 127.0.0.1:8888;" in terminal.run("export", "nginx", *AT, "--set", "listen=::").out
    terminal.write(CONFIG + TWO)
    assert "server 127.0.0.1:8888;" in terminal.run("export", "nginx", *AT, "--section", "/fa").out
    assert "server 127.0.0.1:8890;" in terminal.run("export", "nginx", *AT, "--section", "/fb").out


def test_where_it_is_not_known(terminal: Terminal) -> None:
    """Without a port, or at a Unix socket alone, the address has to be given."""
    terminal.write(CONFIG + ONE)
    for arguments in ((), (*AT, "--set", "listen=unix:/run/txtoken.sock")):
        ran = terminal.run("export", "nginx", *arguments)
        assert (ran.code, ran.out) == (FAILED, "")
        assert "--service HOST:PORT" in ran.err
        assert terminal.run("export", "nginx", *arguments, "--service", "127.0.0.1:8888").code == OK


def test_without_a_section(terminal: Terminal) -> None:
    """Without `forwardAuth` it says what to add; with several sections, how to choose."""
    ran = terminal.run("export", "caddy", *AT)
    assert (ran.code, ran.out) == (FAILED, "")
    assert "forwardAuth: {route: /forwardAuth" in ran.err
    terminal.write(CONFIG + TWO)
    ran = terminal.run("export", "caddy", *AT)
    assert (ran.code, ran.out) == (FAILED, "")
    assert "--section: /fa, /fc at 127.0.0.1:8890, /fb at 127.0.0.1:8890" in ran.err
    ran = terminal.run("export", "caddy", *AT, "--section", "/nothing")
    assert "no section /nothing. There are: /fa" in ran.err
    assert terminal.run("export", "caddy", *AT, "--section", "/fc").code == OK
    assert terminal.run("export", "caddy", *AT, "--section", "127.0.0.1:8890").code == FAILED  # two are there


def test_without_a_configuration(terminal: Terminal) -> None:
    """A missing or bad configuration is reported as for every verb."""
    ran = terminal.run("export", "nginx", "-c", "nowhere.yml")
    assert (ran.code, ran.out) == (BAD_CONFIG, "")
    assert "nowhere.yml" in ran.err


def test_what_is_no_proxy_and_no_address(terminal: Terminal) -> None:
    """A name that is no proxy's, and an address without a port, are wrong usage."""
    terminal.write(CONFIG + ONE)
    for arguments in (
        ("apache",),
        ("nginx", "--upstream", "8000"),
        ("nginx", "--listen", "a b:80"),
        ("nginx", "--service", "h:0"),
    ):
        ran = terminal.run("export", *arguments)
        assert (ran.code, ran.out) == (2, "")


def test_a_route_that_would_have_to_be_quoted(terminal: Terminal) -> None:
    """A route of characters that mean something in a proxy's file is refused, and not quoted in five ways."""
    terminal.write(CONFIG + "forwardAuth: {route: '/fa;}'}\n")
    ran = terminal.run("export", "nginx", *AT)
    assert (ran.code, ran.out) == (FAILED, "")
    assert "letters, digits" in ran.err


def test_what_is_said_beside(terminal: Terminal) -> None:
    """Envoy without `envoy: true` is warned of in the file, and `cache` with another proxy than nginx beside it."""
    terminal.write(CONFIG + ONE)
    assert "# WARNING: this forwardAuth section has no `envoy: true`" in terminal.run("export", "envoy", *AT).out
    terminal.write(CONFIG + "forwardAuth: {route: /fa, headers: {X-User: /data/id}, envoy: true, cache: 5s}\n")
    ran = terminal.run("export", "envoy", *AT)
    assert "WARNING" not in ran.out
    assert "cache is for nginx" in ran.err
    ran = terminal.run("export", "nginx", *AT)
    assert ran.err == ""
    assert 'proxy_cache_key "/fa|$http_authorization|$http_cookie"' in ran.out
