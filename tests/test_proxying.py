"""By which proxy the remote is reached. The judge of the variables is golang.org/x/net/http/httpproxy: the table is its answers
(as Go's own net/http has it, upper case before lower case: the newest x/net has it the other way), but for the rows that say so.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.configuring import KEY, REMOTE, dump, failure, load_text, told, whole
from txtoken.config.proxying import BadVariable, from_environment, parse_proxy, read_proxy
from txtoken.config.table import describe
from txtoken.config.values import Wrong, scalar
from txtoken.settings import RemoteProxy, Secret

PROXY: Final = "http://proxy:3128"
H: Final = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": "http://secure:3128"}


def without(no_proxy: str) -> dict[str, str]:
    """Return variables that name a proxy for all but these."""
    return {**H, "NO_PROXY": no_proxy}


# What is set, the remote, and the proxy: "" for none.
GO: Final[list[tuple[dict[str, str], str, str]]] = [
    ({}, "http://h/", ""),
    (H, "http://h/", "http://proxy:3128"),
    (H, "https://h/", "http://secure:3128"),
    ({"HTTP_PROXY": PROXY}, "https://h/", ""),
    ({"HTTPS_PROXY": PROXY}, "http://h/", ""),
    ({"ALL_PROXY": PROXY, "all_proxy": PROXY}, "http://h/", ""),
    # Upper and lower case
    ({"http_proxy": PROXY}, "http://h/", "http://proxy:3128"),
    ({"https_proxy": PROXY}, "https://h/", "http://proxy:3128"),
    ({"HTTP_PROXY": "http://upper:1", "http_proxy": "http://lower:1"}, "http://h/", "http://upper:1"),
    ({"HTTP_PROXY": "", "http_proxy": "http://lower:1"}, "http://h/", "http://lower:1"),
    ({"Http_Proxy": PROXY}, "http://h/", ""),
    ({**H, "NO_PROXY": "x", "no_proxy": "h"}, "http://h/", "http://proxy:3128"),
    ({**H, "NO_PROXY": "", "no_proxy": "h"}, "http://h/", ""),
    # Values
    ({"HTTP_PROXY": "proxy:3128"}, "http://h/", "http://proxy:3128"),
    ({"HTTP_PROXY": "proxy"}, "http://h/", "http://proxy"),
    ({"HTTP_PROXY": "10.0.0.9:3128"}, "http://h/", "http://10.0.0.9:3128"),
    ({"HTTP_PROXY": "[::1]:3128"}, "http://h/", "http://[::1]:3128"),
    ({"HTTP_PROXY": "https://proxy"}, "http://h/", "https://proxy"),
    ({"HTTP_PROXY": "HTTP://proxy:1/"}, "http://h/", "http://proxy:1"),
    ({"HTTP_PROXY": "http://proxy:1/path?query#end"}, "http://h/", "http://proxy:1"),
    ({"HTTP_PROXY": "http://u:p@proxy:1"}, "http://h/", "http://proxy:1 u:p"),
    ({"HTTP_PROXY": "u:p@proxy:1"}, "http://h/", "http://proxy:1 u:p"),
    ({"HTTP_PROXY": "http://u@proxy:1"}, "http://h/", "http://proxy:1 u:"),
    ({"HTTP_PROXY": "http://u:p@ss@proxy:1"}, "http://h/", "http://proxy:1 u:p@ss"),
    ({"HTTP_PROXY": "http://u%40x:p%3Aw%2F@proxy:1"}, "http://h/", "http://proxy:1 u@x:p:w/"),
    # Loopback is never proxied
    (H, "http://localhost/", ""),
    (H, "http://localhost:8080/", ""),
    (H, "https://127.0.0.1/", ""),
    (H, "http://127.9.9.9:80/", ""),
    (H, "http://[::1]/", ""),
    (H, "http://[::ffff:127.0.0.1]/", ""),
    (H, "http://localhost.localdomain/", "http://proxy:3128"),
    (H, "http://0.0.0.0/", "http://proxy:3128"),
    # NO_PROXY: all, names
    (without("*"), "http://h/", ""),
    (without("*"), "http://10.0.0.1/", ""),
    (without("x, * ,y"), "http://h/", ""),
    (without("*:80"), "http://h/", "http://proxy:3128"),
    (without("foo.com"), "http://foo.com/", ""),
    (without("foo.com"), "http://bar.foo.com/", ""),
    (without("foo.com"), "http://xfoo.com/", "http://proxy:3128"),
    (without("FOO.com"), "http://foo.COM/", ""),
    (without(".foo.com"), "http://bar.foo.com/", ""),
    (without(".foo.com"), "http://foo.com/", "http://proxy:3128"),
    (without("*.foo.com"), "http://bar.foo.com/", ""),
    (without("*.foo.com"), "http://foo.com/", "http://proxy:3128"),
    (without("*foo.com"), "http://foo.com/", "http://proxy:3128"),
    (without("foo.com."), "http://foo.com/", "http://proxy:3128"),
    (without("foo.com"), "http://foo.com./", "http://proxy:3128"),
    (without(" , foo.com ,"), "http://foo.com/", ""),
    (without("bücher.example"), "http://xn--bcher-kva.example/", ""),
    (without(""), "http://h/", "http://proxy:3128"),
    (without(":80"), "http://h/", "http://proxy:3128"),
    # Ports
    (without("foo.com:80"), "http://foo.com/", ""),
    (without("foo.com:80"), "http://foo.com:/", ""),
    (without("foo.com:80"), "http://foo.com:8080/", "http://proxy:3128"),
    (without("foo.com:443"), "https://foo.com/", ""),
    (without(".foo.com:8443"), "https://a.foo.com:8443/", ""),
    (without("foo.com:"), "http://foo.com:8080/", ""),
    (without("10.0.0.1:8080"), "http://10.0.0.1:8080/", ""),
    (without("10.0.0.1:8080"), "http://10.0.0.1/", "http://proxy:3128"),
    (without("[2001:db8::1]:81"), "http://[2001:db8::1]:81/", ""),
    (without("[2001:db8::1]"), "http://[2001:db8::1]/", "http://proxy:3128"),
    # Addresses and networks
    (without("10.0.0.1"), "http://10.0.0.1/", ""),
    (without("10.0.0.1"), "http://10.0.0.2/", "http://proxy:3128"),
    (without("0.0.1"), "http://10.0.0.1/", "http://proxy:3128"),
    (without("2001:db8::1"), "http://[2001:DB8:0::1]/", ""),
    (without("::ffff:10.0.0.1"), "http://10.0.0.1/", ""),
    (without("10.0.0.1"), "http://[::ffff:10.0.0.1]/", ""),
    (without("10.0.0.0/8"), "http://10.200.0.1/", ""),
    (without("10.1.2.3/8"), "http://10.200.0.1/", ""),
    (without("10.0.0.0/8"), "http://11.0.0.1/", "http://proxy:3128"),
    (without("10.0.0.0/8"), "http://10.example/", "http://proxy:3128"),
    (without("0.0.0.0/0"), "http://10.0.0.1/", ""),
    (without("0.0.0.0/0"), "http://[2001:db8::1]/", "http://proxy:3128"),
    (without("::/0"), "http://10.0.0.1/", "http://proxy:3128"),
    (without("2001:db8::/32"), "http://[2001:db8:1::1]/", ""),
    (without("::ffff:10.0.0.0/104"), "http://10.200.0.1/", ""),
    (without("10.0.0.0/255.0.0.0"), "http://10.0.0.1/", "http://proxy:3128"),
    (without("10.0.0.0/33"), "http://10.0.0.1/", "http://proxy:3128"),
    (without("10.0.0.01"), "http://10.0.0.1/", "http://proxy:3128"),
    # A CGI program's HTTP_PROXY is a header of its client: Go refuses each request then, we go without.
    ({**H, "REQUEST_METHOD": "GET"}, "http://h/", ""),
    ({**H, "REQUEST_METHOD": ""}, "http://h/", "http://proxy:3128"),
    ({**H, "REQUEST_METHOD": "GET"}, "https://h/", "http://secure:3128"),
    # What Go has no word for
    (H, "http://LOCALHOST/", ""),
    (H, "http+unix://%2Frun%2Fs/login", ""),
]


def written(proxy: RemoteProxy | None) -> str:
    """Write a proxy as the table does."""
    if proxy is None or proxy.authorization is None:
        return "" if proxy is None else proxy.url
    scheme, _, credentials = proxy.authorization.reveal().partition(b" ")
    assert scheme == b"Basic"
    return f"{proxy.url} {base64.b64decode(credentials).decode()}"


@pytest.mark.parametrize(("environ", "remote", "proxy"), GO)
def test_the_environment_is_read_as_go_reads_it(environ: dict[str, str], remote: str, proxy: str) -> None:
    """For each remote the variables mean what they mean to the original."""
    assert written(from_environment(remote, environ)) == proxy


def test_the_configuration_takes_it_from_the_environment(tmp_path: Path) -> None:
    """`env` is the default; `off` and a proxy in the file are not asked what the environment says."""
    assert load_text(tmp_path, whole(""), H).remote.proxy == RemoteProxy(PROXY)
    assert load_text(tmp_path, whole("remoteProxy: env"), H).remote.proxy == RemoteProxy(PROXY)
    assert load_text(tmp_path, whole("remoteProxy: off"), H).remote.proxy is None
    assert load_text(tmp_path, whole("remoteProxy: http://other:1"), H).remote.proxy == RemoteProxy("http://other:1")
    assert load_text(tmp_path, whole(""), H).warnings == ()
    by_variable = {**H, "TXTOKEN_REMOTE_PROXY": "off"}
    assert load_text(tmp_path, whole("remoteProxy: http://other:1"), by_variable).remote.proxy is None


@pytest.mark.parametrize(
    "value", ["socks5://proxy:1080", "http://pro xy", "http://u:pässword@proxy", "http://u:p@:1", "://"]
)
def test_a_bad_variable_is_an_error_that_names_it(tmp_path: Path, value: str) -> None:
    """The variable that counts has to hold a proxy's URL: the error names it, and nothing of what it holds."""
    (line,) = told(tmp_path, failure(tmp_path, whole(""), {"http_proxy": value}))
    assert line.startswith("environment http_proxy: remoteProxy: ha")
    assert line.endswith(". Correct it, or set remoteProxy: off")
    assert "pässword" not in line
    # One that does not count is nobody's concern here.
    assert load_text(tmp_path, whole(""), {"https_proxy": value}).remote.proxy is None
    assert load_text(tmp_path, whole(""), {"http_proxy": value, "no_proxy": "login.internal"}).remote.proxy is None
    assert load_text(tmp_path, whole("remoteProxy: off"), {"http_proxy": value}).remote.proxy is None


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        (
            {"HTTP_PROXY": PROXY, "http_proxy": "http://o"},
            "HTTP_PROXY and http_proxy are set and differ: HTTP_PROXY is used",
        ),
        ({**H, "NO_PROXY": "a", "no_proxy": "b"}, "NO_PROXY and no_proxy are set and differ: NO_PROXY is used"),
        ({**H, "REQUEST_METHOD": "GET"}, "HTTP_PROXY is ignored because REQUEST_METHOD is set"),
    ],
)
def test_variables_that_may_not_mean_what_was_meant(tmp_path: Path, environ: dict[str, str], why: str) -> None:
    """Where programs disagree about the variables, a warning says which one is used; not where `remoteProxy` says it."""
    (warning,) = load_text(tmp_path, whole(""), environ).warnings
    assert warning.startswith(why)
    assert load_text(tmp_path, whole("remoteProxy: off"), environ).warnings == ()
    assert load_text(tmp_path, whole("remote: http+unix://%2Fs/"), environ).warnings == ()


# The URL of a proxy


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy", RemoteProxy("http://proxy")),
        ("HTTPS://Proxy.example:8443/", RemoteProxy("https://proxy.example:8443")),
        ("http://[2001:DB8::1]:3128", RemoteProxy("http://[2001:db8::1]:3128")),
        ("http://u:p@proxy:1", RemoteProxy("http://proxy:1", Secret(b"Basic dTpw"))),
        ("http://:@proxy:1", RemoteProxy("http://proxy:1", Secret(b"Basic Og=="))),
        ("http://%C3%BC:%E2%82%AC@proxy", RemoteProxy("http://proxy", Secret(b"Basic w7w64oKs"))),
    ],
)
def test_a_proxy_is_read(text: str, proxy: RemoteProxy) -> None:
    """User and password become the field of a request, as the bytes that they were escaped from; the URL holds neither."""
    assert read_proxy(scalar(text)) == proxy


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "in printable ASCII"),
        ("http://", "malformed host or port"),
        ("http:proxy", "of scheme http or https"),
        ("proxy:3128", "of scheme http or https"),
        ("socks5://secret@proxy", "of scheme http or https"),
        ("ftp://proxy", "of scheme http or https"),
        ("http://proxy:0", "malformed host or port"),
        ("http://proxy:65536", "malformed host or port"),
        ("http://pro%20xy", "malformed host or port"),
        ("http://[::1", "malformed host or port"),
        ("http://u:secret@proxy/x", "must not have a path"),
        ("http://u:secret@proxy?x", "must not have a path"),
        ("http://u:secret@proxy/#", "must not have a path"),
        ("http://u:secret%zz@proxy", "percent-encoded"),
        ("http://u:{secret}@proxy", "percent-encoded"),
        ("http://u%3Ax:secret@proxy", "a user with a colon in it"),
        ("http://u:secret%0A@proxy", "control characters"),
    ],
)
def test_what_is_no_proxy_is_refused(text: str, why: str) -> None:
    """The reason fits, and holds nothing of what was given."""
    with pytest.raises(Wrong, match=why) as caught:
        read_proxy(scalar(text))
    assert "secret" not in str(caught.value)


@given(text=st.text(st.characters(max_codepoint=127), max_size=20).map("http://{}".format))
def test_any_text_is_a_proxy_or_refused(text: str) -> None:
    """Whatever stands there, what is taken has an address of its own without user and password, and one line of credentials."""
    try:
        proxy = parse_proxy(text)
    except Wrong:
        return
    assert "@" not in proxy.url
    assert parse_proxy(proxy.url) == RemoteProxy(proxy.url)
    if proxy.authorization is not None:
        assert proxy.authorization.reveal().isascii()
        assert b"\n" not in proxy.authorization.reveal()


@given(
    environ=st.dictionaries(
        st.sampled_from(["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"]),
        st.text(max_size=20) | st.text("[]:./*,0189a", max_size=20) | st.just(PROXY),
    ),
    remote=st.sampled_from([REMOTE, "http://10.0.0.1:81/", "http://[2001:db8::1]/", "http+unix://%2Fs/"]),
)
def test_any_environment_has_an_answer(environ: dict[str, str], remote: str) -> None:
    """Whatever the variables of other programs contain, the answer is a proxy, none, or the variable that is bad."""
    try:
        answer = written(from_environment(remote, environ))
    except BadVariable as bad:
        answer = bad.variable
    assert answer == "" or answer in environ or answer.startswith("http")


# Secrets


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    """The proxy is shown without user and password, wherever it came from."""
    url = f"http://user-7:{KEY}@proxy:3128"
    (tmp_path / "proxy").write_text(f"{url}\n")
    for text, environ in (
        (f"remoteProxy: {url}", {}),
        (f"remoteProxyFile: {tmp_path}/proxy", {}),
        ("", {"HTTP_PROXY": url}),
        ("", {"TXTOKEN_REMOTE_PROXY": url}),
        ("", {"TXTOKEN_REMOTE_PROXY_FILE": f"{tmp_path}/proxy"}),
    ):
        config = load_text(tmp_path, f"{whole(text).replace(f'encKey: {KEY}', 'encKey: ' + 'barley-' * 6)}", environ)
        assert config.remote.proxy is not None
        assert config.remote.proxy.authorization is not None
        shown = f"{config!r} {describe(config)}"
        assert "http://<hidden>@proxy:3128" in shown
        assert KEY not in shown
        assert "user-7" not in shown


def test_a_file_is_watched_and_its_mistakes_hold_nothing_of_it(tmp_path: Path) -> None:
    """The file is one of those that a reload looks at; what is wrong with what it holds is said without it."""
    file = tmp_path / "proxy"
    file.write_text(PROXY)
    assert str(file) in load_text(tmp_path, whole(f"remoteProxyFile: {file}")).files
    file.write_text(f"http://u:{KEY}@proxy:x")
    error = failure(tmp_path, f"encKey: {'barley-' * 6}\nremote: {REMOTE}\nremoteProxyFile: {file}")
    assert KEY not in dump(error)
    assert "the proxy in proxy has a malformed host or port" in told(tmp_path, error)[0]
    both = failure(tmp_path, whole(f"remoteProxy: off\nremoteProxyFile: {file}"))
    assert "remoteProxyFile: is set beside remoteProxy: keep one of them" in str(both)
