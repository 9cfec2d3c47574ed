"""Proxies that cannot be had here ask as their sources do, byte for byte, and what they would make of the answer is imitated.

Traefik, NGINX Gateway Fabric, the Gateway API's filter, Istio and Contour (as Envoy asks), APISIX and agentgateway.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Final

import pytest

from tests.forward_auth.stage import COOKIE, DOOR_PORT, PORT, ROLES, USER, bearer, signed, token
from tests.fronting import HOST
from tests.running import KEY, PATIENCE_S

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Client:
    """A client's request."""

    method: str
    target: str
    fields: Fields
    body: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What txtoken said."""

    status: int
    fields: Fields

    def values(self, name: str) -> list[str]:
        """Return the values of all lines of a name."""
        return [value for other, value in self.fields if other.lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class Imitation:
    """A proxy: what it sends, whether it then lets its client pass, and with which fields."""

    name: str
    asks: Callable[[Client], str]
    passes: Callable[[int], bool]
    hands_on: Callable[[Fields, Reply], Fields]
    port: int = PORT


def without(fields: Fields, *names: str) -> Fields:
    """Take fields out."""
    lower = {name.lower() for name in names}
    return [(name, value) for name, value in fields if name.lower() not in lower]


def head(method: str, target: str, fields: Fields) -> str:
    """Write a head."""
    return "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in fields), "\r\n"])


HOP_BY_HOP: Final = ("Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length")


def traefik(client: Client, method: str = "GET", body: str = "") -> str:
    """Go's client: Host, User-Agent, then the others in alphabetical order, and what Traefik adds."""
    fields = without(client.fields, "Host", "User-Agent", *HOP_BY_HOP)
    fields += [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Host", "app.example"),
        ("X-Forwarded-Method", client.method),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Server", "traefik-0"),
        ("X-Forwarded-Uri", client.target),
    ]
    if not any(name.lower() == "accept-encoding" for name, _ in fields):
        fields.append(("Accept-Encoding", "gzip"))
    if body:
        fields.append(("Transfer-Encoding", "chunked"))
        body = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    elif method in ("POST", "PUT", "PATCH"):
        fields.append(("Content-Length", "0"))
    start = [("Host", f"{HOST}:{PORT}"), ("User-Agent", "client/1.0")]
    return head(method, "/plain", start + sorted(fields, key=lambda field: field[0].title())) + body


def traefik_hands_on(own: Fields, reply: Reply) -> Fields:
    """authResponseHeaders: its own copy goes, then all lines of the answer are taken, an empty one too."""
    return without(own, USER, ROLES) + [(name, value) for name in (USER, ROLES) for value in reply.values(name)]


def envoy(client: Client, prefix: str) -> str:
    """The client's method and raw path below the prefix; Host, what is allowed, and a length of none."""
    kept = [(name, value) for name, value in client.fields if name.lower() in ("authorization", "cookie")]
    fields = [("host", "app.example"), *((name.lower(), value) for name, value in kept), ("content-length", "0")]
    return head(
        client.method, prefix + client.target, [*fields, ("x-envoy-internal", "true"), ("x-forwarded-for", "192.0.2.1")]
    )


def envoy_hands_on(own: Fields, reply: Reply) -> Fields:
    """Set in place of what is there, the last of several lines; then what is to be removed is."""
    fields = own
    for name in (USER, ROLES):
        if values := reply.values(name):
            fields = [*without(fields, name), (name, values[-1])]
    removed = [name.strip() for text in reply.values("X-Envoy-Auth-Headers-To-Remove") for name in text.split(",")]
    return without(fields, *removed)


def fabric(client: Client) -> str:
    """NGINX Gateway Fabric: GET at the prefix alone, with the client's path and method in headers of their own."""
    kept = [(name, value) for name, value in client.fields if name.lower() in ("authorization", "cookie")]
    return head("GET", "/plain", [("Host", "app.example"), ("Path", client.target), ("Method", client.method), *kept])


def fabric_hands_on(own: Fields, reply: Reply) -> Fields:
    """As auth_request_set and proxy_set_header do: an empty value sends nothing."""
    fields = without(own, USER, ROLES)
    return fields + [(name, ", ".join(reply.values(name))) for name in (USER, ROLES) if "".join(reply.values(name))]


def apisix(client: Client, method: str) -> str:
    """lua-resty-http: a fixed URI, the headers that are listed, and in a POST the client's body whole."""
    kept = [(name, value) for name, value in client.fields if name.lower() in ("authorization", "cookie")]
    fields = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Method", client.method),
        ("X-Forwarded-Host", "app.example"),
        ("X-Forwarded-Uri", client.target),
        ("X-Forwarded-For", "192.0.2.1"),
        *kept,
        ("User-Agent", "lua-resty-http/0.17.2 (Lua) ngx_lua/10028"),
        ("Host", f"{HOST}:{PORT}"),
    ]
    if method == "POST":
        return head("POST", "/plain", [*fields, ("Content-Length", str(len(client.body)))]) + client.body
    return head("GET", "/plain", fields)


def apisix_hands_on(own: Fields, reply: Reply) -> Fields:
    """upstream_headers: the first line of each, and none where there is none."""
    return without(own, USER, ROLES) + [(name, reply.values(name)[0]) for name in (USER, ROLES) if reply.values(name)]


def agentgateway_hands_on(own: Fields, reply: Reply) -> Fields:
    """The first line of a header takes the place of the client's, which stays where there is none."""
    fields = own
    for name in (USER, ROLES):
        if values := reply.values(name):
            fields = [*without(fields, name), (name, values[0])]
    return fields


def is_2xx(status: int) -> bool:
    """Whether a status is a success."""
    return 200 <= status < 300


IMITATIONS: Final = [
    Imitation("traefik", traefik, is_2xx, traefik_hands_on),
    Imitation("traefik-method", lambda client: traefik(client, client.method), is_2xx, traefik_hands_on),
    Imitation("traefik-body", lambda client: traefik(client, client.method, client.body or "x"), is_2xx, traefik_hands_on),
    Imitation("gateway-api", lambda client: envoy(client, "/prefix"), lambda status: status == 200, envoy_hands_on),
    Imitation("gateway-api-door", lambda client: envoy(client, ""), lambda status: status == 200, envoy_hands_on, DOOR_PORT),
    Imitation("envoy-open", lambda client: envoy(client, "/prefix"), lambda code: code == 200 or code > 499, envoy_hands_on),
    Imitation("nginx-gateway-fabric", fabric, is_2xx, fabric_hands_on),
    Imitation("apisix", lambda client: apisix(client, "GET"), lambda status: status < 300, apisix_hands_on),
    Imitation("apisix-post", lambda client: apisix(client, "POST"), lambda status: status < 300, apisix_hands_on),
    Imitation("agentgateway", lambda client: envoy(client, ""), is_2xx, agentgateway_hands_on, DOOR_PORT),
]  # fmt: skip
every = pytest.mark.parametrize("proxy", IMITATIONS, ids=[proxy.name for proxy in IMITATIONS])


def exchange(sock: socket.socket, text: str, method: str) -> Reply:
    """Send a question, and read its answer whole."""
    sock.sendall(text.encode())
    response = HTTPResponse(sock, method=method)
    try:
        response.begin()
        response.read()
        return Reply(response.status, response.getheaders())
    finally:
        response.close()


def ask(proxy: Imitation, client: Client) -> Reply:
    """Ask on a connection of its own."""
    with socket.create_connection((HOST, proxy.port), PATIENCE_S) as sock:
        text = proxy.asks(client)
        return exchange(sock, text, text.partition(" ")[0])


CLIENTS: Final = [
    Client("GET", "/a?b=c", [("Accept", "*/*"), (USER, "spoof"), (ROLES, "spoof")]),
    Client("POST", "/getToken", [("Content-Length", "3"), (USER, "spoof")], "a=b"),
    Client("HEAD", "/../livez", [("Range", "bytes=0-0")]),
    Client("OPTIONS", "/livez", [("Origin", "https://app.example"), ("Access-Control-Request-Method", "PUT")]),
    Client("DELETE", "//", [("Expect", "100-continue"), ("TE", "trailers")]),
]


@pytest.mark.usefixtures("stage")
@every
@pytest.mark.parametrize("client", CLIENTS, ids=[client.method for client in CLIENTS])
def test_who_passes(proxy: Imitation, client: Client) -> None:
    """A good token passes with its claims in place of the client's own headers, by the header and by the cookie."""
    for name, value in (
        ("Authorization", f"Bearer {signed({'user': 'ada'})}"),
        ("Cookie", f"{COOKIE}={token(user='ada')}"),
    ):
        reply = ask(proxy, Client(client.method, client.target, [*client.fields, (name, value)], client.body))
        assert proxy.passes(reply.status)
        assert reply.status == 200
        handed_on = proxy.hands_on(client.fields, reply)
        assert [value for name, value in handed_on if name == USER] == ["ada"]
        assert [value for name, value in handed_on if name == ROLES and value] == []
        assert reply.values("Content-Length") == ["0"]
        assert reply.values("Set-Cookie") == reply.values("Content-Type") == reply.values("Location") == []


@pytest.mark.usefixtures("stage")
@every
@pytest.mark.parametrize("client", CLIENTS, ids=[client.method for client in CLIENTS])
def test_who_does_not(proxy: Imitation, client: Client) -> None:
    """Without a good token the answer is one that each takes for a refusal, and says how to log in."""
    for line in (
        *("X-None: 1", "Authorization: Bearer x.y.z", f"Authorization: Bearer {token(key=KEY[::-1])}"),
        *(bearer(user="ada") + "x", f"Authorization: Bearer {token(exp=-9)}", f"Cookie: {COOKIE}=x"),
    ):
        name, _, value = line.partition(": ")
        reply = ask(proxy, Client(client.method, client.target, [*client.fields, (name, value)], client.body))
        assert reply.status == 401
        assert not proxy.passes(reply.status)
        assert reply.values("WWW-Authenticate")[0].startswith("Bearer")
        assert reply.values(USER) == reply.values("Set-Cookie") == []


@pytest.mark.usefixtures("stage")
@every
def test_missing_claims(proxy: Imitation) -> None:
    """What a token says nothing of reaches the upstream as nothing or as empty, whatever the client sent under that name."""
    client = Client("GET", "/", [(USER, "spoof"), (ROLES, "spoof"), ("Authorization", bearer().partition(": ")[2])])
    reply = ask(proxy, client)
    assert reply.status == 200
    assert [value for name, value in proxy.hands_on(client.fields, reply) if name in (USER, ROLES) and value] == []


@pytest.mark.usefixtures("stage")
@every
def test_a_kept_connection(proxy: Imitation) -> None:
    """On one connection every question has its own answer."""
    with socket.create_connection((HOST, proxy.port), PATIENCE_S) as sock:
        for number in range(20):
            value = bearer(user=f"user{number}").partition(": ")[2] if number % 2 else "Bearer x"
            text = proxy.asks(Client("GET", f"/{number}", [("Authorization", value)]))
            if "Transfer-Encoding" in text:
                return  # a body that is announced ends the connection
            reply = exchange(sock, text, text.partition(" ")[0])
            assert reply.status == (200 if number % 2 else 401)
            assert reply.values(USER) == ([f"user{number}"] if number % 2 else [])
