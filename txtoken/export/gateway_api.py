"""The Kubernetes Gateway API's ExternalAuth filter (experimental, 1.4 or newer), and Envoy Gateway's own policies."""

from __future__ import annotations

from txtoken.export.site import Site


def gateway_api(site: Site) -> str:
    """Write an HTTPRoute whose one rule has the filter."""
    allowed = "".join(f"          - {name}\n" for name in _allowed(site))
    if site.headers:
        names = "".join(f"          - {name}\n" for name in site.headers)
        response = f"""\
          # Copied into the request, in place of what the client sent. An empty list would copy all of txtoken's answer.
          allowedResponseHeaders:
{names}"""
    else:
        response = """\
          # Without a name here all of txtoken's answer would be copied into the request.
          allowedResponseHeaders: [X-Txtoken]
"""
    return f"""\
# A gateway asks txtoken before it lets a request pass: the filter ExternalAuth of the Gateway API's experimental channel, which
# Cilium 1.20 and NGINX Gateway Fabric have. Envoy Gateway does not: `txtoken export envoy-gateway`. Made by
# `txtoken export gateway-api`.
#
# In which order a rule's filters run is not specified, so none that removes a client's own copies stands here: it might remove
# what txtoken says. txtoken sends every claim header with every 200, an empty one too, so that each is replaced.
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: protected
spec:
  parentRefs:
  - name: gateway
  rules:
  - matches:
    - path: {{type: PathPrefix, value: /}}
    filters:
    - type: ExternalAuth
      externalAuth:
        protocol: HTTP
        backendRef: # another namespace takes a ReferenceGrant there
          name: txtoken
          port: {site.service.port}
        http:
{_path(site, "          ")}          # What txtoken gets beside Host, Method, Path, Content-Length and Authorization.
          allowedHeaders:
{allowed}{response}        # No forwardBody: txtoken has no use for it.
    backendRefs:
    - name: protected
      port: {site.upstream.port}
"""


def envoy_gateway(site: Site) -> str:
    """Write a SecurityPolicy for an HTTPRoute, and a ClientTrafficPolicy for its Gateway."""
    allowed = "".join(f"      - {name.lower()}\n" for name in _allowed(site))
    early, response = "", ""
    if site.headers:
        removed = "".join(f"      - {name}\n" for name in site.headers)
        early = f"""
    # A client's own copies go before anything else looks at the request.
    earlyRequestHeaders:
      remove:
{removed}"""
        names = "".join(f"      - {name.lower()}\n" for name in site.headers)
        response = f"""
      # Set in place of what is there. Without this list nothing of txtoken's answer reaches the upstream.
      headersToBackend:
{names}"""
    return f"""\
# Envoy Gateway asks txtoken before it lets a request pass. Made by `txtoken export envoy-gateway`.
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata:
  name: forward-auth
spec:
  targetRefs:
  - group: gateway.networking.k8s.io
    kind: HTTPRoute
    name: protected
  extAuth:
    failOpen: false # no answer, or 5xx, is a refusal
    timeout: 2s
    headersToExtAuth: # that txtoken gets, beside Authorization
{allowed}    http:
      backendRefs:
      - name: txtoken
        port: {site.service.port}
{_path(site, "      ")}{response}---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata:
  name: forward-auth
spec:
  targetRefs:
  - group: gateway.networking.k8s.io
    kind: Gateway
    name: gateway
  headers:
    # X_Auth_Request_User is X-Auth-Request-User for CGI, WSGI and PHP.
    withUnderscoresAction: DropHeader{early}"""


def _allowed(site: Site) -> list[str]:
    return [*(["Cookie"] if site.looks_at_cookie else []), "X-Request-Id", "Traceparent"]


def _path(site: Site, indent: str) -> str:
    """Write the prefix, below which the client's path stands: without one that path would be asked for."""
    route = site.asked.route
    if route == "/":
        return f"{indent}# No path: the client's is asked for, at an address of txtoken's with nothing on it but this route.\n"
    why = "a prefix, and the client's path after it: without it `GET /livez` would be txtoken's health, 200"
    return f"{indent}path: {route} # {why}\n"
