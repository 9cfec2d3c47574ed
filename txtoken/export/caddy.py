"""Caddy's `forward_auth` (2.6 or newer), as a Caddyfile."""

from __future__ import annotations

from typing import Final

from txtoken.export.site import Site

# What HTTP allows in a name beside letters, digits and - (RFC 9110 §5.6.2), each quoted where Caddy's file wants it.
_MARKS: Final = "_.!#$%&'*+^`|~"


def caddy(site: Site) -> str:
    """Write a whole Caddyfile."""
    route = site.asked.route
    query = "" if site.looks_at_query else "?"
    why_query = (
        "the client's query goes along: a token may stand there"
        if site.looks_at_query
        else "by the ? at its end the client's query is not added to it"
    )
    own = "".join(f"\t\trequest_header -{name}\n" for name in site.headers)
    dropped = (
        f"""
		# A client's own copies go first. Caddy 2.9.0 to 2.11.1 would let them pass where txtoken says nothing of a claim.
{own}"""
        if own
        else ""
    )
    names = "|".join(site.headers)
    nominated = (
        f"""\
		# What `Connection` names is taken off a request before it goes on: a client could take its claims off.
		@takes_claims_off header_regexp Connection (?i)({names})
		request_header @takes_claims_off -Connection

"""
        if own
        else ""
    )
    aliases = "".join(f'\t\trequest_header "-*{mark}*"\n' for mark in _MARKS)
    copied = f"\t\t\tcopy_headers {' '.join(site.headers)}\n" if site.headers else ""
    return f"""\
# Caddy asks txtoken before it lets a request pass. Made by `txtoken export caddy`.

# A name in place of the http:// address, as app.example.com, and Caddy gets a certificate by itself.
http://:{site.listen.port} {{
	bind {site.listen.host}

	route {{ # in this order
{nominated}		# X_Auth_Request_User is X-Auth-Request-User for CGI, WSGI and PHP (php_fastcgi too). A name with any mark but -
		# is dropped.
{aliases}{dropped}
		forward_auth {site.service} {{
			uri {route}{query} # {why_query}
{copied}			transport http {{
				# No answer in time is a refusal (502), as is every status but 2xx. By default Caddy waits for ever.
				dial_timeout 2s
				response_header_timeout 5s
				keepalive 60s # shorter than txtoken's timeouts.idle
				keepalive_idle_conns_per_host 32
			}}
		}}

		reverse_proxy {site.upstream}
	}}
}}
"""
