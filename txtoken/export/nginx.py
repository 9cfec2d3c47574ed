"""nginx's `auth_request` (1.19 or newer), for its `http` block. With `cache` there is `proxy_cache` too, keyed by the token."""

from __future__ import annotations

from txtoken.export.site import Site

_QUERY = r"""
# The client's query: the check's own is empty.
map $request_uri $txtoken_query {
    "~(?<txtoken_found>\?.*)$" $txtoken_found;
    default                    "";
}
"""

_CACHE = """
# For {cache} s nginx remembers that a token is good, as txtoken's Cache-Control allows; refusals it never does. A token that was
# revoked may pass for so long. The files name tokens: a folder that nginx alone can read, in memory (tmpfs).
proxy_cache_path /dev/shm/txtoken-forward-auth levels=1:2 keys_zone=txtoken_forward_auth:10m max_size=64m inactive={cache}s
                 use_temp_path=off;
"""

_CACHED = """
        # The verdict is the token's and nobody else's: whatever may hold it is in the key, as txtoken's `Vary` asks for.
        proxy_cache txtoken_forward_auth;
        proxy_cache_key "{route}|$http_authorization|$http_cookie";
        proxy_cache_use_stale off; # no verdict is used past its time, txtoken being down included
        proxy_ignore_headers Vary; # for that key it says nothing more
        open_file_cache max=10000 inactive={cache}s; # 4 µs of a request: a verdict is a file, which stays open
"""


def nginx(site: Site) -> str:
    """Write what stands in nginx's `http` block."""
    asked = site.asked
    cached = _CACHED.format(route=asked.route, cache=asked.cache_s) if asked.cache_s else ""
    query = "$txtoken_query" if site.looks_at_query else ""
    taken = "".join(
        f"        auth_request_set ${_variable(name)} $upstream_http_{_lower(name)};\n" for name in site.headers
    )
    handed_on = "".join(f"        proxy_set_header {name} ${_variable(name)};\n" for name in site.headers)
    why_handed_on = (
        "\n        # In place of what the client sent under these names: where txtoken says nothing, nothing is sent.\n"
        if handed_on
        else ""
    )
    return f"""\
# nginx asks txtoken before it lets a request pass. Goes into the `http` block, as /etc/nginx/conf.d/forward-auth.conf does.
# Made by `txtoken export nginx`.

upstream txtoken_forward_auth {{
    server {site.service};
    keepalive 32; # a new connection would cost more than the check
    keepalive_timeout 60s; # shorter than txtoken's timeouts.idle
}}
{_QUERY if site.looks_at_query else ""}{_CACHE.format(cache=asked.cache_s) if cached else ""}
server {{
    listen {site.listen}; # plain HTTP: deploy/nginx/txtoken.conf shows what TLS takes

    # X_Auth_Request_User is X-Auth-Request-User for CGI, WSGI and PHP: a client's name with any mark but - is dropped. Both are
    # nginx's defaults. What counts is the first server of an address.
    underscores_in_headers off;
    ignore_invalid_headers on;

    location = /_txtoken {{
        internal; # clients get 404

        # The path is this one, whatever the client asks for, so no path of a client's reaches another route of txtoken's.
        proxy_pass http://txtoken_forward_auth{asked.route}{query};
        # nginx does not read the body of an answer here: it would close the connection after each refusal.
        proxy_method HEAD;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr; # the client, for txtoken's log (trustedProxies)
        # The client's body is not sent, so its length must not be either: txtoken would have to give the connection up.
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        # No answer in time is a refusal (500), as is every status but 2xx, 401 and 403.
        proxy_connect_timeout 2s;
        proxy_send_timeout 2s;
        proxy_read_timeout 5s;
{cached}    }}

    location / {{
        auth_request /_txtoken; # no `satisfy any` beside it, and no `error_page 401` that ends in a page with status 200
{taken}{why_handed_on}{handed_on}
        proxy_pass http://{site.upstream};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
"""


def _lower(name: str) -> str:
    return name.lower().replace("-", "_")


def _variable(name: str) -> str:
    return f"txtoken_{_lower(name)}"
