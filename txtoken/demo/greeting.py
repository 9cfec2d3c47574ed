"""What the demo says of itself: commands that work as they stand. Runs none of them."""

from __future__ import annotations

from txtoken.config.addresses import is_local
from txtoken.demo.login_api import PASSWORD, USER


def _log_in(service_url: str) -> str:
    return f"""curl -s -d '{{"user":"{USER}","password":"{PASSWORD}"}}' {service_url}/getToken"""


def greeting(service_url: str, remote_url: str, *, is_own: bool, host: str) -> str:
    """Say what runs, and what to do. `is_own`: the login API is the demo's own. `host` is what the service listens on."""
    log_in = _log_in(service_url) if is_own else f"curl -s -d @login.json {service_url}/getToken"
    whose = "The demo's login API" if is_own else "Your login API"
    file = "" if is_own else " (login.json: what your login API expects)"
    reached = "\nAnyone who can reach this machine can use it.\n" if not is_local(host) else ""
    return f"""
Open {service_url}/ in a browser.
{reached}
{whose} is at {remote_url}.
txtoken is in front of it, at {service_url}.

  1. Turn a login into a signed token{file}:

     {log_in}

  2. Log in and check the token:

     curl -s -H "Authorization: Bearer $({log_in} | cut -d'"' -f4)" {service_url}/checkToken

Try a wrong password too. Each request is logged below. Ctrl-C ends the demo.
"""


def greeting_behind(proxy: str, proxy_url: str, service_url: str) -> str:
    """Say what a proxy protects, and what to type."""
    return f"""
And a page at {proxy_url}, which {proxy} protects: it asks txtoken about every request, by what
`txtoken export {proxy}` prints.

  3. Without a token there is no page, but 401:

     curl -s -i {proxy_url}/

  4. Log in, and read it:

     curl -s -H "Authorization: Bearer $({_log_in(service_url)} | cut -d'"' -f4)" {proxy_url}/

  What a client says of itself does not count: add -H 'X-Auth-Request-User: root' to either.
"""
