"""The parts of a remote's URL. The judge is yarl."""

from __future__ import annotations

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from txtoken.config import urls
from txtoken.config.values import Wrong, scalar
from txtoken.service.upstream.location import locate

_PIECES = st.sampled_from(
    [
        "a",
        "B.c",
        "x.",
        "[::1]",
        "[2001:DB8::1]",
        "127.0.0.1",
        ":",
        ":80",
        ":443",
        ":8080",
        "/",
        "//",
        "?",
        "x=y",
        "..",
        "@",
    ]
)


def judged(url: str) -> tuple[object, ...]:
    """Say what yarl makes of a URL."""
    found = yarl.URL(url, encoded=True)
    return (
        *(found.scheme, found.raw_host, found.port, found.raw_path_qs),
        *(found.host_subcomponent, found.host_port_subcomponent),
    )


def parts(url: str) -> tuple[object, ...]:
    """Say what we make of it."""
    found = locate(url)
    return *found, found.url_host, found.host_line


@pytest.mark.parametrize(
    "url",
    [
        *("http://a", "HTTP://A.b", "http://a:80/x?y", "https://a:443", "https://a:80/", "http://a:/x", "http://a."),
        *(
            "http://a.:81",
            "http://[::1]:81/q?a=%2f",
            "https://[2001:DB8::1]",
            "http://a/?",
            "http://a?",
            "http://a/x??",
        ),
        *("http://a/a:b@c?d/e?f://g", "http://h/a;b=c", "http://a//", "http://a?x=1", "http://A:080//b/../c"),
    ],
)
def test_parts(url: str) -> None:
    """Each part is as it is written, and what is left out has the scheme's value."""
    assert parts(url) == judged(url)


@given(scheme=st.sampled_from(["http", "HTTPS"]), rest=st.lists(_PIECES, max_size=8).map("".join))
def test_whatever_is_accepted(scheme: str, rest: str) -> None:
    """Whatever URL the configuration accepts is split as yarl splits it."""
    url = f"{scheme}://{rest}"
    try:
        urls.read_url(scalar(url))
    except Wrong:
        return
    assert parts(url) == judged(url)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http+unix://%2Frun%2Flogin.sock/login?x=y", "/login?x=y"),
        ("HTTP+UNIX://%2Frun%2Flogin.sock?x=y/z", "/?x=y/z"),
        ("http+unix://%2Frun%2Flogin.sock", "/"),
    ],
)
def test_the_target_at_a_unix_socket(url: str, target: str) -> None:
    """Of a Unix socket's URL, path and query are the target."""
    assert locate(url).target == target
