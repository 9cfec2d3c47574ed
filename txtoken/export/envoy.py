"""Envoy's `ext_authz` over HTTP (1.31 or newer), as a static configuration."""

from __future__ import annotations

from txtoken.export.site import Address, Site

_TYPES = "type.googleapis.com/envoy.extensions"


def envoy(site: Site) -> str:
    """Write a whole bootstrap file."""
    upstream_headers = "".join(f"                    - exact: {name.lower()}\n" for name in site.headers)
    allowed = (
        f"""\
                authorization_response:
                  # Set in place of what is there. All else of txtoken's answer stays here.
                  allowed_upstream_headers:
                    patterns:
{upstream_headers}"""
        if upstream_headers
        else ""
    )
    cookie = "                - exact: cookie\n" if site.looks_at_cookie else ""
    return f"""\
# Envoy asks txtoken before it lets a request pass. Made by `txtoken export envoy`.
{_about(site)}static_resources:
  listeners:
  - name: clients
    address: {{socket_address: {{address: "{site.listen.host}", port_value: {site.listen.port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          use_remote_address: true # who the client is comes last in X-Forwarded-For, after what it says itself
          route_config:
            virtual_hosts:
            - name: protected
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route: {{cluster: protected}}
          http_filters:
          - name: envoy.filters.http.header_mutation
            typed_config:
              "@type": {_TYPES}.filters.http.header_mutation.v3.HeaderMutation
              mutations:
                request_mutations:
                # X_Auth_Request_User is X-Auth-Request-User for CGI, WSGI and PHP: names with any mark but - are dropped.
                - remove_on_match: {{key_matcher: {{safe_regex: {{regex: "[^:].*[^a-z0-9-].*|[^:a-z0-9-].*"}}}}}}
{_removals(site)}          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": {_TYPES}.filters.http.ext_authz.v3.ExtAuthz
              failure_mode_allow: false # no answer, or 5xx, is a refusal
              status_on_error: {{code: ServiceUnavailable}} # which clients can tell from one of txtoken's
              allowed_headers: # that txtoken gets, beside Authorization
                patterns:
{cookie}                - exact: x-request-id
                - exact: traceparent
              http_service:
                server_uri: {{uri: "http://{site.service}", cluster: txtoken, timeout: 2s}}
{_prefix(site)}{allowed}          - name: envoy.filters.http.router
            typed_config:
              "@type": {_TYPES}.filters.http.router.v3.Router

  clusters:
  - name: txtoken
    connect_timeout: 2s
    type: STRICT_DNS
    load_assignment:{_endpoint("txtoken", site.service)}    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": {_TYPES}.upstreams.http.v3.HttpProtocolOptions
        common_http_protocol_options: {{idle_timeout: 60s}} # shorter than txtoken's timeouts.idle
        explicit_http_config: {{http_protocol_options: {{}}}}
  - name: protected
    connect_timeout: 2s
    type: STRICT_DNS
    load_assignment:{_endpoint("protected", site.upstream)}"""


def _about(site: Site) -> str:
    """Say what the configuration of txtoken should have, and has not."""
    lines = []
    if site.headers and not site.asked.is_envoy:
        lines += [
            "WARNING: this forwardAuth section has no `envoy: true`. With it txtoken has Envoy remove the headers whose claims",
            "are missing; without, they reach the upstream, empty.",
        ]
    if site.asked.listen is None:
        lines += [
            "Envoy asks with its client's path. Here path_prefix puts it below txtoken's route; without that line `GET /livez`",
            "would get txtoken's health, 200, and pass. Safer is an address with nothing else on it: `listen: 127.0.0.1:8890`",
            "and `route: /` in the forwardAuth section.",
        ]
    else:
        lines += [
            "Envoy asks with its client's path. At this address of txtoken's there is nothing but the one route, so whatever",
            "path it is, the token decides.",
        ]
    return "".join(f"# {line}\n" for line in lines)


def _removals(site: Site) -> str:
    if not site.headers:
        return ""
    why = "                # A client's own copies: what a fail-open Envoy lets pass has none either.\n"
    return why + "".join(f"                - remove: {name.lower()}\n" for name in site.headers)


def _prefix(site: Site) -> str:
    route = site.asked.route
    return "" if route == "/" else f"                path_prefix: {route} # and the client's path after it\n"


def _endpoint(cluster: str, address: Address) -> str:
    socket = f'{{address: "{address.host}", port_value: {address.port}}}'
    return (
        f"\n      cluster_name: {cluster}\n      endpoints:\n      - lb_endpoints:\n"
        f"        - endpoint: {{address: {{socket_address: {socket}}}}}\n"
    )
