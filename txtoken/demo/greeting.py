"""What the demo says of itself: commands that work as they stand. Runs none of them."""

from __future__ import annotations

from txtoken.demo.login_api import PASSWORD, USER


def _log_in(service_url: str) -> str:
    return f"""curl -s -d '{{"user":"{USER}","password":"{PASSWORD}"}}' {service_url}/getToken"""


def greeting(service_url: str, login_url: str) -> str:
    """Say what runs, and what to type."""
    log_in = _log_in(service_url)
    return f"""
txtoken's demo: a login API at {login_url}, and txtoken in front of it at {service_url}

  1. Turn a login into a signed token:

     {log_in}

  2. Log in and have the token checked:

     curl -s -H "Authorization: Bearer $({log_in} | cut -d'"' -f4)" {service_url}/checkToken

  Try a wrong password too. What happens is logged below; Ctrl-C ends the demo.
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
