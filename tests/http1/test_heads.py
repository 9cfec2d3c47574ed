"""Heads that the connections of one server know together. That they change nothing is held by `parse` in test_parser."""

from __future__ import annotations

import string
from itertools import pairwise

import pytest

from tests.http1.test_parser import CL, get, post, read_one
from txtoken.errors import ProtocolError
from txtoken.http1.heads import KNOWN_HEADS_MAX, SEEN_ONCE_MAX, KnownHead, KnownHeads
from txtoken.http1.messages import Head
from txtoken.http1.parser import RequestParser
from txtoken.settings import Limits

LOGIN, CHECK = post(CL, body=b"hello"), get(b"Authorization: Bearer a.b.c")


def heads(known_heads: KnownHeads, *data: bytes) -> list[Head]:
    """Send requests on one new connection."""
    parser = RequestParser(Limits(), known_heads)
    seen = [read_one(parser, request).head for request in data]
    parser.close()
    return seen


@pytest.mark.parametrize("data", [LOGIN, CHECK, get(b"Connection: close")], ids=["login", "check", "close"])
def test_connections_share_heads(data: bytes) -> None:
    """Each connection keeps a copy of a head that all send, or the first one's is taken for a head that comes again."""
    known_heads = KnownHeads()
    first, second, third, fourth = (heads(known_heads, data)[0] for _ in range(4))
    assert first is not second
    assert second is third is fourth


def test_a_known_head_needs_no_httptools() -> None:
    """A connection that sends what another has sent has a parser of its own all the same, which takes 4 µs and 0.5 KB."""
    known_heads = KnownHeads()
    heads(known_heads, CHECK, LOGIN, CHECK)
    parser = RequestParser(Limits(), known_heads)
    assert read_one(parser, CHECK).head.token == b"a.b.c"
    assert parser._grammar is None


def test_a_connection_takes_turns() -> None:
    """A client that sends two kinds of requests in turn has each of them parsed every time."""
    seen = heads(KnownHeads(), *[LOGIN, CHECK] * 4)
    logins, checks = seen[2::2], seen[3::2]
    assert all(one is another for kind in (logins, checks) for one, another in pairwise(kind))


def test_another_token_behind_a_shared_head() -> None:
    """A head that another connection taught is of no use for one that differs by its token."""
    known_heads = KnownHeads()
    heads(known_heads, CHECK, LOGIN, CHECK, LOGIN)
    check, other, again = heads(known_heads, CHECK, CHECK.replace(b"a.b.c", b"d.e.f"), CHECK)
    assert [head.fields[b"authorization"] for head in (check, other)] == [b"Bearer a.b.c", b"Bearer d.e.f"]
    assert again is check


def test_heads_that_never_come_again() -> None:
    """Requests that carry an id push out the heads that do come again, or are all kept."""
    known_heads = KnownHeads()
    shared = heads(known_heads, LOGIN, CHECK, LOGIN)[2]
    for number in range(SEEN_ONCE_MAX + KNOWN_HEADS_MAX):
        heads(known_heads, get(b"X-Request-Id: %d" % number))
    assert heads(known_heads, LOGIN)[0] is shared
    assert known_heads.find(get(b"X-Request-Id: 7")) is None


def test_what_is_known_is_bounded() -> None:
    """However many heads come twice, at most so many are kept, and those that still come are known again."""
    known_heads = KnownHeads()
    sent = [get(b"X-Client: %d" % number) for number in range(2 * KNOWN_HEADS_MAX + 1)]
    for data in sent:
        heads(known_heads, data, LOGIN, data)
    assert sum(known_heads.find(data) is not None for data in sent) <= KNOWN_HEADS_MAX
    heads(known_heads, sent[0], LOGIN, sent[0])
    assert heads(known_heads, sent[0])[0] is heads(known_heads, sent[0])[0]


def test_what_a_token_may_contain() -> None:
    """With any other byte in the place of the token, something else may be meant: such a head is parsed."""
    (head,) = heads(KnownHeads(), CHECK)
    known = KnownHead(CHECK, head, 1000)
    for code in range(256):
        for token in (b"%c", b"%cd.e", b"a%cd.e", b"a.b%c"):
            token %= code
            other = known.with_another_token(CHECK.replace(b"a.b.c", token))
            if chr(code) in string.ascii_letters + string.digits + "-._~+/=":
                assert other is not None
                assert (other.token, other.fields[b"authorization"]) == (token, b"Bearer " + token)
            else:
                assert other is None
    assert (head.token, head.fields[b"authorization"]) == (b"a.b.c", b"Bearer a.b.c")
    assert known.with_another_token(CHECK.replace(b"a.b.c", b"")) is None


@pytest.mark.parametrize(
    "value", [b"x", b"Basic x", b"bearer x", b"Bearer  x", b"Bearerx x", b"Basic Bearer x", b"a b x"]
)
@pytest.mark.parametrize("token", [b"y", b"bearer", b"Bearer"])
def test_another_token_means_what_it_means_when_parsed(value: bytes, token: bytes) -> None:
    """A scheme without a token, or another scheme, is taken for what it is after any other head."""
    first = get(b"Authorization: " + value)
    second = get(b"Authorization: " + value.removesuffix(b"x") + token)
    (head,) = heads(KnownHeads(), first)
    (parsed,) = heads(KnownHeads(), second)
    other = KnownHead(first, head, 1000).with_another_token(second)
    assert other is not None
    assert (other.token, other.fields) == (parsed.token, parsed.fields)


def test_another_token_is_bounded() -> None:
    """A known head with a longer token is not recognized past the size that was checked: it might break a limit."""
    (head,) = heads(KnownHeads(), CHECK)
    longer = CHECK.replace(b"a.b.c", 20 * b"d")
    assert KnownHead(CHECK, head, len(longer)).with_another_token(longer) is not None
    assert KnownHead(CHECK, head, len(longer) - 1).with_another_token(longer) is None


def test_a_long_token_breaks_the_limit_of_a_known_head() -> None:
    """A head over `limits.headBytes` is refused when the same one with a shorter token was served before."""
    parser = RequestParser(Limits(head_bytes=200), KnownHeads())
    for token in (b"a.b.c", b"a.b.d", b"a.b.cd"):
        assert read_one(parser, CHECK.replace(b"a.b.c", token)).head.token == token
    with pytest.raises(ProtocolError, match="header section is too large"):
        parser.feed(CHECK.replace(b"a.b.c", 200 * b"d"))
    parser.close()
