"""Traefik's ForwardAuth (3.7.12 or newer): its own configuration as a comment, and the dynamic one as a file."""

from __future__ import annotations

from txtoken.export.site import Site


def traefik(site: Site) -> str:
    """Write the dynamic configuration. What belongs into the static one stands above it."""
    names = "".join(f"          - {name}\n" for name in site.headers)
    copied = (
        f"""
        # Copied from txtoken's answer, in place of what the client sent.
        authResponseHeaders:
{names}"""
        if names
        else ""
    )
    emptied = "".join(f'          {name}: ""\n' for name in site.headers)
    cleaning = (
        f"""
    # A client's own copies go first: an empty value removes.
    forward-auth-clean:
      headers:
        customRequestHeaders:
{emptied}"""
        if names
        else ""
    )
    chain = "forward-auth-clean, forward-auth" if names else "forward-auth"
    cookie = "          - Cookie\n" if site.looks_at_cookie else ""
    return f"""\
# Traefik asks txtoken before it lets a request pass. A file for `providers.file`, made by `txtoken export traefik`.
#
# Beside it Traefik's own configuration needs, with version 3.7.12 or newer:
#
#   entryPoints:
#     web:
#       address: "{site.listen}" # plain HTTP: deploy/traefik/traefik.yml shows what TLS takes
#       http:
#         # X_Auth_Request_User and X.Auth.Request.User are X-Auth-Request-User for CGI, WSGI and PHP: dropped. The default
#         # keeps them. From 3.7.6 on it is `underscoreHeadersStrategy: delete`, and does not know dots.
#         aliasHeadersStrategy: delete

http:
  routers:
    protected:
      entryPoints: [web]
      rule: "PathPrefix(`/`)"
      service: protected
      middlewares: [{chain}] # in this order

  middlewares:
    forward-auth:
      forwardAuth:
        # A fixed address: no path of a client's reaches another route of txtoken's. No body is sent, and the method is GET.
        address: "http://{site.service}{site.asked.route}"
        # All that txtoken looks at; without this list all of the client's headers go along.
        authRequestHeaders:
          - Authorization
{cookie}          - X-Request-Id
          - Traceparent
        maxResponseBodySize: 65536 # bytes; without it there is no limit
{copied}{cleaning}
  services:
    protected:
      loadBalancer:
        servers:
          - url: "http://{site.upstream}"
"""
