"""Keys of names and addresses: what is one, what is apart, and that nobody can compute them."""

from __future__ import annotations

import os

import pytest

from txtoken.service.throttle import identities
from txtoken.service.throttle.identities import (
    KNOWN_MAX,
    Identities,
    _choose,
    blake2b_key,
    packed_address,
    siphash_key,
)

SECRET = b"0123456789abcdef"


@pytest.fixture
def ids() -> Identities:
    """Keys by a fixed secret."""
    return Identities(SECRET)


@pytest.mark.parametrize(
    ("address", "packed"),
    [
        ("192.0.2.7", bytes((192, 0, 2, 7))),
        ("::ffff:192.0.2.7", bytes((192, 0, 2, 7))),
        ("::FFFF:c000:207", bytes((192, 0, 2, 7))),
        ("2001:db8::1", b"\x20\x01\x0d\xb8" + bytes(11) + b"\1"),
        ("fe80::1%eth0", b"\xfe\x80" + bytes(13) + b"\1"),
        ("unix", b""),
        ("-", b""),
        ("", b""),
        ("::1::", b""),
    ],
)
def test_addresses(address: str, packed: bytes) -> None:
    """An address is 4 or 16 bytes, one of IPv4 is 4 however it is written, and what is none is nothing."""
    assert packed_address(address) == packed


@pytest.mark.parametrize(
    ("one", "other", "same_network", "same_address"),
    [
        ("192.0.2.7", "192.0.2.7", True, True),
        ("192.0.2.7", "::ffff:192.0.2.7", True, True),
        ("192.0.2.7", "192.0.2.8", True, False),
        ("192.0.2.255", "192.0.3.0", False, False),
        ("2001:db8:0:1200::1", "2001:db8:0:12ff:ffff::9", True, True),
        ("2001:db8:0:1200::1", "2001:db8:0:1300::1", False, False),
        ("unix", "-", True, True),
        ("unix", "0.0.0.0", False, False),  # noqa: S104 - nothing is bound
        ("0.0.0.0", "::", False, False),  # noqa: S104 - likewise
    ],
)
def test_networks(ids: Identities, one: str, other: str, same_network: bool, same_address: bool) -> None:
    """A name is counted per /24 and /56, an address of IPv4 by itself, and one of IPv6 as its /56."""
    ones, others = ids.keys(one, ["ada"]), ids.keys(other, ["ada"])
    assert (ones[0] == others[0]) is same_network
    assert (ones[1] == others[1]) is same_address


def test_names(ids: Identities) -> None:
    """Each name has a key of its own in a network, in order, once, and with that of the address behind them."""
    keys = ids.keys("192.0.2.7", ["ada", "bob", "ada", ""])
    assert len(set(keys)) == len(keys) == 4
    for number, name in enumerate(("ada", "bob", "")):
        assert ids.keys("192.0.2.7", [name]) == [keys[number], keys[3]]
    assert ids.keys("192.0.2.7", ["\ud800"])[0] not in keys


def test_no_two_texts_are_one(ids: Identities) -> None:
    """What a name begins with is never taken for a part of the network, nor an address for a name."""
    found = [
        key
        for address in ("1.2.3.4", "102:304:506:700::", "unix", "49.50.51.52")
        for name in ("", "a", "4", "\1\2\3", "\4\1\2\3", "\1\2\3\4")
        for key in ids.keys(address, [name])
    ]
    assert len(set(found)) == 4 * 6 + 4


def test_the_secret_decides(ids: Identities) -> None:
    """With another secret every key is another one."""
    other = Identities(b"fedcba9876543210")
    assert not set(ids.keys("192.0.2.7", ["ada"])) & set(other.keys("192.0.2.7", ["ada"]))


def test_forked_processes_agree(ids: Identities) -> None:
    """A worker, one that replaces another too, makes the keys that its supervisor would make."""
    reading, writing = os.pipe()
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            os.write(writing, repr(Identities(SECRET).keys("192.0.2.7", ["ada"])).encode())
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert os.read(reading, 1000).decode() == repr(ids.keys("192.0.2.7", ["ada"]))
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("width", "algorithm", "chosen"),
    [
        (64, "siphash13", siphash_key),
        (64, "siphash24", siphash_key),
        (32, "siphash13", blake2b_key),
        (64, "fnv", blake2b_key),
    ],
)
def test_the_hash(width: int, algorithm: str, chosen: object) -> None:
    """CPython's hash is taken where it is keyed and has 64 bits, else blake2b."""
    assert _choose(width, algorithm) is chosen


@pytest.mark.parametrize("make", [siphash_key, blake2b_key])
def test_keys_are_spread(make: object) -> None:
    """Keys have 33 bits, none of which is always the same, and few of 10 000 names share their low 14 or high bits."""
    assert callable(make)
    keys = [make(b"name %d" % number) for number in range(10_000)]
    assert all(0 <= key < 1 << 33 for key in keys)
    together, apart = 0, (1 << 33) - 1
    for key in keys:
        together, apart = together | key, apart & key
    assert (together, apart) == ((1 << 33) - 1, 0)
    assert len({key & 0x3FFF for key in keys}) > 6_900  # 7 485 are expected of 16 384
    assert len({key >> 14 for key in keys}) > 9_800


def test_addresses_are_remembered_within_bounds(ids: Identities) -> None:
    """However many addresses come, few are remembered, and each has its keys again."""
    first = ids.keys("10.0.0.0", ["ada"])
    for number in range(3 * KNOWN_MAX):
        ids.keys(f"10.1.{number >> 8}.{number & 255}", ["ada"])
    assert len(ids._known) <= KNOWN_MAX
    assert ids.keys("10.0.0.0", ["ada"]) == first
    assert identities.keyed in (siphash_key, blake2b_key)
