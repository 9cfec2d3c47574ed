"""Which proxies there are, by the names that people type. Writes nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from txtoken.export.caddy import caddy
from txtoken.export.envoy import envoy
from txtoken.export.gateway_api import envoy_gateway, gateway_api
from txtoken.export.haproxy import haproxy, haproxy_lua
from txtoken.export.nginx import nginx
from txtoken.export.site import Site
from txtoken.export.traefik import traefik

WRITERS: Final[dict[str, Callable[[Site], str]]] = {
    "nginx": nginx,
    "traefik": traefik,
    "caddy": caddy,
    "haproxy": haproxy,
    "haproxy-lua": haproxy_lua,
    "envoy": envoy,
    "gateway-api": gateway_api,
    "envoy-gateway": envoy_gateway,
}
