"""Who the client is behind proxies, and what the next hop gets. The judge of addresses is the standard library."""

from __future__ import annotations

import ipaddress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http1.loopback import Go, Place, get, house, post
from txtoken.http1.messages import UNIX, UNKNOWN, Client, Peer, Pending, Request
from txtoken.http1.proxies import HOPS_MAX, KNOWN_MAX, Proxies, plain_address

TRUSTED: Final = ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "::ffff:172.16.0.0/108")
PEER: Final = "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [
        ("10.0.0.1", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("192.0.2.7", True),
        ("192.0.2.6", False),
        ("192.0.2.8", False),
        ("fd00::1", True),
        ("fdff:ffff::", True),
        ("fe00::1", False),
        ("fd12::1%eth0", True),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        ("172.16.3.4", True),
        ("172.32.0.1", False),
        ("::a00:1", False),
        ("a00::", False),
        (UNIX, False),
        (UNKNOWN, False),
        ("", False),
    ],
)
def test_who_is_trusted(peer: str, is_trusted: bool) -> None:
    """A peer is trusted when its address lies in a network that is, in whichever form it is written."""
    proxies = Proxies(TRUSTED)
    for _ in range(2):  # the second answer is one that was remembered
        assert proxies.trusts(peer) == is_trusted
        assert not Proxies(()).trusts(peer)


def test_unix_sockets() -> None:
    """`unix` trusts who comes through a Unix socket, and no address."""
    proxies = Proxies((UNIX,))
    assert proxies.trusts(UNIX)
    assert not proxies.trusts(UNKNOWN)
    assert not proxies.trusts("127.0.0.1")
    assert proxies.client(UNIX, b"203.0.113.9") == "203.0.113.9"
    assert proxies.client(UNIX, b"unix") == UNIX
    assert proxies.client(UNIX, b"203.0.113.9, unix") == UNIX


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
ADDRESSES: Final = st.ip_addresses() | st.ip_addresses(v=4).map(
    lambda address: ipaddress.IPv6Address(f"::ffff:{address}")
)


def plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, else the address itself."""
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


@given(ADDRESSES, ADDRESSES, st.integers(0, 128))
def test_networks(address: Address, base: Address, prefix: int) -> None:
    """An address is in a network exactly when the standard library says so; IPv4 in IPv6's form is IPv4."""
    network = ipaddress.ip_network((base, min(prefix, base.max_prefixlen)), strict=False)
    judged = network
    if plain(base) != base and network.prefixlen >= 96:
        judged = ipaddress.ip_network((plain(network.network_address), network.prefixlen - 96))
    proxies = Proxies((str(network),))
    for near in (address, base):
        assert proxies.trusts(str(near)) == (plain(near) in judged)


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        (b"203.0.113.9", "203.0.113.9"),
        (b"203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (b"198.51.100.1, 203.0.113.9, 10.0.0.2,192.0.2.7", "203.0.113.9"),
        (b"198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (b"  203.0.113.9\t,\t10.0.0.2  ", "203.0.113.9"),
        (b"2001:DB8:0::9, fd00::1", "2001:db8::9"),
        (b"::ffff:203.0.113.9", "203.0.113.9"),
        (b"203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
        # With ports, as some proxies write them.
        (b"203.0.113.9:5123, 10.0.0.2:80", "203.0.113.9"),
        (b"[2001:db8::9]:5123", "2001:db8::9"),
        (b"[2001:db8::9]", "2001:db8::9"),
        # What is no address ends the walk at the last good one.
        (b"203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        (b"203.0.113.9, , 10.0.0.2", "10.0.0.2"),
        (b"unknown", PEER),
        (b"203.0.113.9, _hidden", PEER),
        (b"", PEER),
        (b",", PEER),
        (b"203.0.113.9,", PEER),
        (b"203.0.113.9;10.0.0.2", PEER),
        (b"203.0.113.256", PEER),
        (b"203.0.113", PEER),
        (b"203.0.113.09", PEER),
        (b"3405803785", PEER),
        (b"0xcb.0.113.9", PEER),
        (b"203.0.113.9%eth0", PEER),
        (b"[]", PEER),
        (b"[]:80", PEER),
        (b"[::1", PEER),
        (b"203.0.113.9:", PEER),
        (b"203.0.113.9:123456", PEER),
        (b"203.0.113.9\x00", PEER),
        (b"\xff\xfe", PEER),
        (b"203.0.113.9 10.0.0.2", PEER),
        (b"<script>, 10.0.0.2", "10.0.0.2"),
    ],
)
def test_the_client(forwarded_for: bytes, client: str) -> None:
    """The client is the first from the right that is no trusted proxy, as far as entries are addresses."""
    proxies = Proxies(TRUSTED)
    for _ in range(2):
        assert proxies.client(PEER, forwarded_for) == client
        assert proxies.client("203.0.113.77", forwarded_for) == "203.0.113.77"


@given(st.binary(max_size=80) | st.text("0123456789abcdef.:[], %", max_size=80).map(str.encode))
def test_any_field(forwarded_for: bytes) -> None:
    """Whatever the field holds, the client is an address."""
    ipaddress.ip_address(Proxies(TRUSTED).client(PEER, forwarded_for))


def test_a_chain_that_is_too_long() -> None:
    """A field of thousands of proxies costs as much as one of a few: what is further left is not looked at."""
    proxies = Proxies(TRUSTED)
    chain = [b"203.0.113.9", *(b"10.0.1.%d" % number for number in range(HOPS_MAX))]
    assert proxies.client(PEER, b",".join(chain[:-1])) == "203.0.113.9"
    assert proxies.client(PEER, b",".join(chain)) == "10.0.1.0"
    assert proxies.client(PEER, b"x," * 30_000 + b"203.0.113.9") == "203.0.113.9"


def test_what_is_remembered_is_bounded() -> None:
    """Any number of clients leaves a bounded number of them behind, and the answers stay right."""
    proxies = Proxies(TRUSTED)
    for number in range(3 * KNOWN_MAX):
        address = str(ipaddress.IPv4Address(0x0B000000 + number))
        assert proxies.client(PEER, address.encode()) == address
        assert proxies.client(address, b"203.0.113.9") == address
    long = b"203.0.113.9," + b" " * 1000 + b"10.0.0.2"
    proxies.client(PEER, long)
    assert len(proxies._clients) <= KNOWN_MAX
    assert len(proxies._peers) <= KNOWN_MAX
    assert long not in proxies._clients


# What the next hop is told


def told(peer: Peer, fields: dict[bytes, bytes], *trusted: str) -> list[bytes]:
    """Return the lines for the next hop."""
    lines = Proxies(trusted).forwarded_lines(peer, fields)
    assert lines.endswith(b"\r\n")
    return lines.split(b"\r\n")[:-1]


CLAIMED: Final = {
    b"host": b"api.example",
    b"x-forwarded-for": b"203.0.113.9",
    b"x-forwarded-proto": b"https",
    b"x-forwarded-host": b"www.example",
}


def test_a_client_is_not_believed() -> None:
    """What a client says of itself is replaced by what is known of it."""
    assert told(Peer("198.51.100.1", "http"), CLAIMED) == [
        b"X-Forwarded-For: 198.51.100.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: api.example",
    ]


def test_a_trusted_proxy_is_believed() -> None:
    """What a trusted proxy says is forwarded, with its own address at the end."""
    assert told(Peer("10.0.0.1", "http"), CLAIMED, "10.0.0.0/8") == [
        b"X-Forwarded-For: 203.0.113.9, 10.0.0.1",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: www.example",
    ]


def test_a_trusted_proxy_that_says_nothing() -> None:
    """For a trusted proxy that adds nothing the lines are those of a client."""
    assert told(Peer("10.0.0.1", "https"), {b"host": b"api.example"}, "10.0.0.0/8") == [
        b"X-Forwarded-For: 10.0.0.1",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: api.example",
    ]


def test_peers_without_an_address() -> None:
    """Who has no address adds none: the previous value is forwarded if it is trusted, else there is no field."""
    assert told(Peer(UNIX, "http"), CLAIMED, UNIX)[0] == b"X-Forwarded-For: 203.0.113.9"
    assert told(Peer(UNIX, "http"), CLAIMED) == [b"X-Forwarded-Proto: http", b"X-Forwarded-Host: api.example"]
    assert told(Peer(UNKNOWN, "http"), {}, UNIX) == [b"X-Forwarded-Proto: http"]


def test_forms_of_addresses() -> None:
    """Addresses are written as the next hop can read them: IPv4 as IPv4, none with a zone of this machine."""
    assert told(Peer("::ffff:198.51.100.1", "http"), {})[0] == b"X-Forwarded-For: 198.51.100.1"
    assert told(Peer("fe80::1%eth0", "http"), {})[0] == b"X-Forwarded-For: fe80::1"


# On real sockets


class Asking(Place):
    """Records the peers that it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: list[tuple[str, str]] = []

    def handle(self, request: Request, client: Client) -> Pending | None:
        """Ask, and answer."""
        peer = client.peer()
        self.peers.append((peer.address, peer.scheme))
        return super().handle(request, client)


def test_handlers_are_told_when_they_ask(go: Go) -> None:
    """A handler can ask who sent a request, over TCP and over a Unix socket, and the log says the same."""

    async def main() -> None:
        place = Asking()
        async with house(place=place) as home:
            tcp, (unix, _, _) = await home.client(), await home.pair()
            await tcp.send(get(b"/now"))
            await tcp.answers(1)
            await tcp.send(get(b"/now") + post(b"x"))
            await tcp.answers(2)
            await unix.send(get(b"/now"))
            await unix.answers(1)
        assert place.peers == [("127.0.0.1", "http")] * 3 + [(UNIX, "http")]
        assert [client for _, _, client in place.lines] == ["127.0.0.1"] * 3 + [UNIX]

    go(main())


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:0:192.0.2.7", "::ffff:0:192.0.2.7"),
        ("::1", "::1"),
        ("::ffff:1", "::ffff:1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_a_peer_of_ipv4_on_a_socket_of_both_families(address: str, shown: str) -> None:
    """An IPv4 address as IPv6 writes it is shown as IPv4, and no other address is changed."""
    assert plain_address(address) == shown
