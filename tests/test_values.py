"""The converters at their boundaries. The judge of addresses is the standard library, of URLs yarl."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import yaml
import yarl
from hypothesis import given
from hypothesis import strategies as st

from txtoken.config import addresses, files, http_names, signing_secret, status_map, urls, values
from txtoken.config.values import DAY_S, Wrong, scalar
from txtoken.service.keys.hmac import HmacKey
from txtoken.settings import KIB, MIB

KEY: Final = "0123456789abcdefghijABCDEFGHIJKL"
assert len(KEY) == 32


def node(text: str) -> yaml.Node:
    """Read YAML as a converter gets it."""
    composed = yaml.compose(text, Loader=yaml.SafeLoader)
    assert composed is not None
    return composed


def refused(read: Callable[[yaml.Node], object], value: yaml.Node) -> Wrong:
    """Return why a converter does not take a value."""
    with pytest.raises(Wrong) as caught:
        read(value)
    return caught.value


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (values.whole_number(0, 65535), "0", 0),
        (values.whole_number(0, 65535), "65535", 65535),
        (values.whole_number(1, 3), "1", 1),
        (values.whole_number(0, 10**18), "1" + "0" * 18, 10**18),
        (values.size(KIB, MIB), "1024", 1024),
        (values.size(KIB, MIB), "1KiB", 1024),
        (values.size(KIB, MIB), "1 KiB", 1024),
        (values.size(KIB, MIB), "1MiB", MIB),
        (values.size(KIB, MIB), "1048576", MIB),
        (values.size(0, MIB), "0", 0),
        (values.size(1, MIB), "4096B", 4096),
        (values.size(1, MIB), "1K", 1000),
        (values.size(1, MIB), "64k", 64_000),
        (values.size(1, MIB), "64kB", 64_000),
        (values.size(1, MIB), "64 KB", 64_000),
        (values.size(1, MIB), "64Ki", 64 * KIB),
        (values.size(1, MIB), "64kiB", 64 * KIB),
        (values.size(1, 2 * MIB), "1M", 1_000_000),
        (values.size(1, 2 * MIB), "1MB", 1_000_000),
        (values.size(1, 2 * MIB), "1Mi", MIB),
        (values.size(1, 2 * KIB * MIB), "1GB", 1_000_000_000),
        (values.size(1, 2 * KIB * MIB), "1Gi", KIB * MIB),
        (values.read_hours, "12h", 43_200),
        (values.read_hours, "30m", 1800),
        (values.read_hours, "1.5d", 129_600),
        (values.read_hours, "90 s", 90),
        (values.read_hours, "500ms", 1),
        (values.whole_seconds(10, DAY_S), "10", 10),
        (values.whole_seconds(10, DAY_S), "5m", 300),
        (values.whole_seconds(10, DAY_S), "1d", DAY_S),
        (values.whole_seconds(10, DAY_S), "0.5m", 30),
        (values.whole_seconds(10, DAY_S), "8.2m", 492),  # in binary 8.2 * 60 is a little less
        (values.whole_seconds(10, DAY_S), "0.07h", 252),  # and this a little more
        (values.whole_seconds(10, DAY_S), "10000ms", 10),
        (values.duration(0.001, DAY_S), "0.001", 0.001),
        (values.duration(0.001, DAY_S), "1ms", 0.001),
        (values.duration(0.001, DAY_S), "500ms", 0.5),
        (values.duration(0.001, DAY_S), "5", 5.0),
        (values.duration(0.001, DAY_S), "5s", 5.0),
        (values.duration(0.001, DAY_S), "5 s", 5.0),
        (values.duration(0.001, DAY_S), "1.5m", 90.0),
        (values.duration(0.001, DAY_S), "8.2m", 492.0),
        (values.duration(0.001, DAY_S), "1440m", float(DAY_S)),
        (values.duration(0.001, DAY_S), "24h", float(DAY_S)),
        (values.duration(0.001, DAY_S), "1.5 h", 5400.0),
        (values.duration(0.001, DAY_S), "1d", float(DAY_S)),
        (values.duration(0.001, 7 * DAY_S), "7d", 7.0 * DAY_S),
        (values.read_period, "1h", 3600.0),
        (values.duration(0, DAY_S), "0", 0.0),
        (values.read_hours, "24", DAY_S),
        (values.read_hours, "0.5", 1800),
        (values.read_hours, ".25", 900),
        (values.read_hours, "1.", 3600),
        (values.read_hours, "1e2", 360_000),
        (values.read_hours, "0.00001", 1),
        (values.read_hours, "878400", 878_400 * 3600),
        (values.read_flag, "true", True),
        (values.read_flag, "True", True),
        (values.read_flag, "TRUE", True),
        (values.read_flag, "false", False),
        (values.choice("a", "b"), "b", "b"),
        (values.list_of(values.read_text), "a, b,,c ", ("a", "b", "c")),
        (values.list_of(values.read_text), "", ()),
        (addresses.read_address, "10.0.0.1", "10.0.0.1"),
        (addresses.read_address, "::", "::"),
        (addresses.read_address, "localhost", "localhost"),
        (addresses.read_address, "unix:/run/txtoken/txtoken.sock", "unix:/run/txtoken/txtoken.sock"),
        (addresses.read_address, f"unix:/{'x' * 106}", f"unix:/{'x' * 106}"),
        (urls.read_server_name, "login.internal", "login.internal"),
        (urls.read_server_name, "LOGIN-2.example.", "LOGIN-2.example."),
        (urls.read_server_name, "10.0.0.1", "10.0.0.1"),
        (urls.read_server_name, "2001:db8::1", "2001:db8::1"),
        (addresses.read_addresses, "127.0.0.1,::1", ("127.0.0.1", "::1")),
        (http_names.read_field_name, "X-Request-Id", "X-Request-Id"),
        (http_names.read_field_name, "!#$%&'+.^_`|~09azAZ-", "!#$%&'+.^_`|~09azAZ-"),
        (http_names.read_field_name, "x" * 256, "x" * 256),
        (http_names.read_script_field_name, "Authorization", "Authorization"),
        (addresses.read_proxies, "unix", "unix"),
        (addresses.read_proxies, "0.0.0.0/0", "0.0.0.0/0"),
        (addresses.read_proxies, "10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        (addresses.read_proxies, "10.1.2.3", "10.1.2.3/32"),
        (addresses.read_proxies, "FD00:0::/8", "fd00::/8"),
        (http_names.read_origin, "*", "*"),
        (http_names.read_origin, "https://a.example", "https://a.example"),
        (http_names.read_origin, "http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        (http_names.read_origin, "http://[::1]", "http://[::1]"),
        (http_names.read_origin, "http://a:443", "http://a:443"),
        (http_names.read_origin, "capacitor://localhost", "capacitor://localhost"),
        (status_map.read_status_map, "original", "original"),
        (status_map.read_status_map, "gateway", "gateway"),
        (status_map.read_status_map, "{}", {}),
        (
            status_map.read_status_map,
            '{"201":400,"5xx":"pass","invalid":599}',
            {"201": "400", "5xx": "pass", "invalid": "599"},
        ),
        (http_names.read_route, "/", "/"),
        (http_names.read_route, "/a/b;c=%20~", "/a/b;c=%20~"),
        (http_names.read_route, "/livez/", "/livez/"),
        (signing_secret.read_secret, KEY, KEY),
        (signing_secret.read_secret, KEY * 2, KEY * 2),
        (signing_secret.read_secret, KEY * 128, KEY * 128),
        (signing_secret.read_secret, "ü" * 16, "ü" * 16),
        (signing_secret.read_secret, "🔑" * 8, "🔑" * 8),
        (signing_secret.read_secret, "ü" * 2048, "ü" * 2048),
    ],
)
def test_value_is_taken(read: Callable[[yaml.Node], object], text: str, value: object) -> None:
    """A converter takes what is just inside its bounds, in every way to write it."""
    taken = read(scalar(text))
    assert taken == value
    assert type(taken) is type(value)


@pytest.mark.parametrize(
    ("read", "texts", "why"),
    [
        (
            values.whole_number(1, 65535),
            [
                "0",
                "65536",
                "-1",
                "+1",
                "01",
                "1.0",
                "1e3",
                "0x50",
                "0o17",
                "1_000",
                " 1",
                "1\n",
                "",
                "one",
                "٣",
                "9" * 99,
            ],
            "has to be a whole number from 1 to 65535",
        ),
        (
            values.size(KIB, MIB),
            [
                "1023",
                "1048577",
                "2MiB",
                "0KiB",
                "64kib",
                "1m",
                "1mb",
                "1MIB",
                "64Kb",
                "1iB",
                "1 K iB",
                "1T",
                "1  KiB",
                "-1",
                "1.5KiB",
                "",
                "KiB",
                "9" * 18 + "MiB",
            ],
            "has to be a number of bytes from 1024 to 1048576",
        ),
        (
            values.duration(0.001, DAY_S),
            [
                "0",
                "0.5ms",
                "86401",
                "1441m",
                "25h",
                "2d",
                "1w",
                "1H",
                "5S",
                ".5",
                "5.",
                "-1",
                "1e1",
                "inf",
                "nan",
                "",
                "s",
                "5  s",
                "1:30",
            ],
            "has to be a time from 0.001 to 86400 seconds: 5, 500ms, 5s, 1m, 24h, 7d",
        ),
        (
            values.whole_seconds(10, DAY_S),
            ["9", "86401", "9s", "2d", "10.5", "10500ms", "10.5s", "0010", "-10", "", "m", "1e2"],
            "has to be a whole number of seconds from 10 to 86400, for example 300 or 5m",
        ),
        (
            values.read_hours,
            [
                "0",
                "0.0",
                "-1",
                "878401",
                "24 hours",
                "24H",
                "0h",
                "-1h",
                "1.5.5h",
                "36601d",
                "1e99",
                "1e999",
                "inf",
                ".inf",
                "nan",
                ".nan",
                "1_0",
                "",
                ".",
                "e1",
                "1,5",
            ],
            "has to be hours above 0",
        ),
        (
            values.read_flag,
            ["yes", "no", "on", "off", "1", "0", "y", "t", "", " true", "truethy", "~"],
            "has to be true or false",
        ),
        (values.choice("json", "text"), ["JSON", "", "yaml", " json"], "has to be json or text"),
        (
            addresses.read_address,
            ["", "256.0.0.1", "1.2.3", "0.0.0.0:80", "[::1]", "example.com", "*", "01.2.3.4", "127.0.0.1/8"],
            "has to be an IP address like 0.0.0.0, 127.0.0.1 or ::, localhost, or unix:/path",
        ),
        (
            addresses.read_address,
            ["unix:", "unix:x.sock", "unix:@x", "unix:/run/", f"unix:/{'x' * 107}", f"unix:/{'ü' * 54}"],
            "has to name a Unix socket by its whole path, at most 107 bytes long: unix:/run/txtoken/txtoken.sock",
        ),
        (
            urls.read_server_name,
            ["", "a b", "https://h", "h:443", "[::1]", "x" * 64, "ü.example"],
            "a host name, like",
        ),
        (addresses.read_addresses, ["", " , "], "lists no address"),
        (addresses.read_addresses, ["::1,::1", "127.0.0.1, 127.0.0.1"], "lists an address twice"),
        (
            http_names.read_field_name,
            ["", "a b", "a:", "naïve", "x" * 257, "a\n", "a\0", "(a)", 'a"'],
            "has to be a list of header field names",
        ),
        (
            http_names.read_field_name,
            ["Host", "host", "Content-Length", "AUTHORIZATION", "Connection", "TE", "Transfer-Encoding", "Upgrade"],
            "is never forwarded",
        ),
        (
            http_names.read_field_name,
            ["*", "X-Tenant-*", "x*y"],
            "patterns are not supported, list each field",
        ),
        (http_names.read_script_field_name, ["", "a b", "x" * 257], "has to be a list of header field names"),
        (http_names.read_script_field_name, ["*"], "has to list the header fields"),
        (
            addresses.read_proxies,
            [
                "",
                "proxy.example",
                "10.0.0.0/33",
                "10.0.0",
                "10.0.0.01",
                "::/129",
                "fe80::1%eth0",
                "unix:/x",
                "167772160",
                "*",
            ],
            "has to be a list of networks like",
        ),
        (addresses.read_proxies, ["10.0.0.1/8", "10.255.255.255/8"], "did you mean 10.0.0.0/8?"),
        (
            http_names.read_origin,
            [
                *(
                    "",
                    "a.example",
                    "//a.example",
                    "https://",
                    "https://a.example/x",
                    "https://a.example?x",
                    "https://ä.example",
                ),
                *(
                    "https://u@a.example",
                    "https://a.example:",
                    "https://a.example:65536",
                    "https://*.a.example",
                    "https://a\n",
                ),
            ],
            "has to be an origin as browsers send it",
        ),
        (
            http_names.read_origin,
            [
                "https://a.example/",
                "HTTPS://a.example",
                "https://A.example",
                "https://a.example:443",
                "https://a.example:0443",
            ],
            "is never sent in this form: did you mean https://a.example?",
        ),
        (http_names.read_origin, ["null"], "null is the origin of every page that hides its own"),
        (
            status_map.read_status_map,
            ["", "Original", "401", "[]", '"gateway"', "{401: pass}", "null", "{"],
            "has to be original, gateway, or a map like",
        ),
        (
            status_map.read_status_map,
            ['{"600":400}', '{"99":400}', '{"100":400}', '{"1xx":400}'],
            "contains a key that is not a status",
        ),
        (
            status_map.read_status_map,
            ['{"200":"pass"}', '{"302":"pass"}', '{"2xx":"pass"}', '{"invalid":"pass"}'],
            "cannot be pass",
        ),
        (
            status_map.read_status_map,
            ['{"401":200}', '{"401":600}', '{"401":"Pass"}', '{"401":400.0}', '{"401":null}', '{"401":["pass"]}'],
            "needs a status from 400 to 599, or pass",
        ),
        (
            http_names.read_route,
            ["", "getToken", "//?", "/a?b", "/a#b", "/a b", "/ü", "/a\n", "/\x7f", "http://x/"],
            "has to be a path that starts with /",
        ),
        (http_names.read_route, ["/livez", "/readyz", "/healthz"], "is in use: it is a health route"),
        (
            signing_secret.read_secret,
            ["", "x", KEY[:31], KEY * 128 + "x", "ü" * 15, "ü" * 2049],
            "has to be 32 to 4096 bytes long; this one has ",
        ),
        (
            signing_secret.read_secret,
            [
                "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ",
                "-----BEGIN PUBLIC KEY-----\nMFkwEwYH",
                "ssh-ed25519 " + KEY,
                "-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n",
                '{"k": "c2VjcmV0c2VjcmV0", "kty": "oct"}',
                '[{"k": "c2VjcmV0c2Vj", "kty" : "oct"}]',
            ],
            "is a PEM, SSH or JWK key",
        ),
    ],
)
def test_value_is_refused(read: Callable[[yaml.Node], object], texts: list[str], why: str) -> None:
    """A converter refuses what is just outside its bounds, and says what it wants."""
    for text in texts:
        assert why in str(refused(read, scalar(text))), text


def test_secret_is_measured_in_bytes_and_refused_with_its_length() -> None:
    """Who gives a secret of a wrong length learns how long it is, and the message holds no part of it."""
    told = str(refused(signing_secret.read_secret, scalar("s3" * 15)))
    assert "this one has 30" in told
    assert "s3" not in told


@pytest.mark.parametrize("text", ["[a]", "{a: b}", "[]", "{}"])
@pytest.mark.parametrize(
    "read",
    [
        *(values.read_text, values.read_flag, values.read_hours, addresses.read_address, http_names.read_field_name),
        *(http_names.read_route, urls.read_url, signing_secret.read_secret, signing_secret.read_secret_file),
        *(values.whole_number(0, 1), values.size(0, 1), values.duration(0, 1), values.choice("a")),
    ],
)
def test_one_value_is_neither_list_nor_section(read: Callable[[yaml.Node], object], text: str) -> None:
    """Where one value is wanted, a list or a section is refused as that."""
    assert str(refused(read, node(text))) == "has to be one value, not a list or a section"


@pytest.mark.parametrize("tag", ["!vault", "!ENV", "!!binary", "!!python/name:os.system", "!!python/object:x", "!!set"])
def test_tags_without_meaning_are_refused(tag: str) -> None:
    """A tag that asks for decrypting, looking up or decoding is never skipped, as if what it stands at were the value."""
    assert "has a YAML tag" in str(refused(values.read_text, node(f"{tag} c2VjcmV0")))


@pytest.mark.parametrize("text", ['"\\ud800"', '"a\\udfffb"'])
def test_text_that_utf8_cannot_write_is_refused(text: str) -> None:
    """No value holds a lone surrogate, which would fail later, where it is written."""
    assert str(refused(values.read_text, node(text))) == "contains characters that UTF-8 cannot encode"


def test_tagged_list_is_refused() -> None:
    """A tag at a list is not skipped either."""
    assert "has a YAML tag" in str(refused(values.list_of(values.read_text), node("!ENV [a]")))


@pytest.mark.parametrize(
    "text",
    [
        "ssh-passphrase-not-an-ssh-key-at-all",
        "a key with -----BEGIN in it, no PEM",
        "{kty} is no JWK: braces are letters",
    ],
)
def test_secret_may_look_a_little_like_another_key(text: str) -> None:
    """Only what the signing library takes for another kind of key is refused."""
    assert signing_secret.read_secret(scalar(text)) == text
    HmacKey(text.encode())


_KEY_PIECES: Final = st.sampled_from(
    [*("ssh-rsa", "ssh-", "ecdsa-sha2-nistp256", "-----BEGIN ", "-----END ", "---- BEGIN ", "PUBLIC KEY", "X509 CRL"),
     *("-----", " ----", "{", "}", '"kty"', ":", '"oct"', "\n", " ", "0", "[", "\0", "\ufeff", '"kt\\u0079"', '"')]
)  # fmt: skip # the pieces of each kind stand together


@given(
    text=(st.lists(_KEY_PIECES, max_size=8).map("".join) | st.text(max_size=64)).map(lambda text: text.ljust(32, " "))
)
def test_secret_that_is_taken_can_sign(text: str) -> None:
    """What is accepted as a secret is one that the signing library takes: `check` never says good where `serve` fails."""
    try:
        signing_secret.read_secret(scalar(text))
    except Wrong:
        return
    assert len(HmacKey(text.encode()).sign(b"text")) == 43


def test_list_items_are_judged_one_by_one() -> None:
    """What is wrong with an item is reported with the item's line, and an item without a value is not the text `null`."""
    read = values.list_of(http_names.read_field_name)
    assert read(node("[a, b]")) == ("a", "b")
    assert read(node("[]")) == ()
    wrong = refused(read, node("- a\n- b b\n- c"))
    assert wrong.node is not None
    assert wrong.node.start_mark.line == 1
    assert "without a value" in str(refused(read, node("- a\n-\n")))
    assert "without a value" in str(refused(read, node("[null]")))
    assert "one value" in str(refused(read, node("[[a]]")))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "http://h",
            "https://h/",
            "HTTP://H/x",
            "http://h:1/",
            "http://h:65535/",
            "http://h?x=y&z",
            "http://h/a%20b?q=%zz",
        ),
        *(
            "http://127.0.0.1:8889/login",
            "http://[::1]:80/x",
            "http://[::ffff:1.2.3.4]/",
            "http://a_b.c-d.e./",
            "http://h:/x",
            "http+unix://%2Frun%2Flogin.sock/login",
            "HTTP+unix://%2frun/x?y=z",
            "http+unix://%2Fs",
        ),
        *(f"http://{'a' * 63}.b/", f"http://{'a.' * 126}b/", "http://xn--bcher-kva.example/", "http://h/;,:@$!*()'+="),
    ],
)
def test_url_is_taken_as_written(text: str) -> None:
    """A good URL of a remote is taken unchanged, its query included."""
    assert urls.read_url(scalar(text)) == text


@pytest.mark.parametrize(
    ("why", "texts"),
    [
        (
            "has to be a URL in printable ASCII",
            ["", "http://h/a b", "http://bücher.example/", "http://h/\n", "http://h/{id}"],
        ),
        (
            "has to be a URL in printable ASCII",
            ["http://h/\\x", "http://h/<a>", "http://h/a|b", 'http://h/"', "http://h/^"],
        ),
        (
            "has to be an absolute http or https URL",
            ["h", "/login", "//h/x", "ftp://h/", "http:", "http:///x", "http://:80/"],
        ),
        (
            "has to be an absolute http or https URL",
            ["localhost:8080/x", "unix:/x", "file:///x", "https//h", "javascript:0"],
        ),
        ("must not contain a user or password", ["http://u:p@h/", "http://u@h/", "http://@h/"]),
        (
            "has to contain the socket's whole path",
            [
                *("http+unix:///run/s", "http+unix://run%2Fs/x", "http+unix://%2Frun%2F/x", "http+unix://%2Frun%zz/"),
                *("http+unix://%2Frun%00/", "http+unix://"),
            ],
        ),
        (
            "must not contain a user, password or port beside a socket's path",
            ["http+unix://u@%2Fs/", "http+unix://%2Fs:80/"],
        ),
        ("whose path is longer than 107 bytes", [f"http+unix://%2F{'x' * 107}/"]),
        ("must not have a fragment", ["http+unix://%2Fs/#x"]),
        ("must not have a fragment", ["http://h/#x", "http://h/#", "http://h#", "http://h/?a#b"]),
        ("malformed host or port", ["http://h:0/", "http://h:65536/", "http://h:x/", "http://h:-1/", "http://h:+80/"]),
        (
            "malformed host or port",
            ["http://[::1/", "http://::1/", "http://[1.2.3.4]/", "http://[v1.a]/", "http://[::1]x/"],
        ),
        (
            "malformed host or port",
            ["http://a..b/", "http://.a/", "http://../", f"http://{'a' * 64}/", f"http://{'a.' * 127}b/"],
        ),
        (
            "malformed host or port",
            ["http://a%41/", "http://a,b/", "http://a:1:2/", "http://[fe80::1%25eth0]/", "http://a!/"],
        ),
    ],
)
def test_url_is_refused(why: str, texts: list[str]) -> None:
    """A URL that no request could be sent to is refused at start, with the reason that fits."""
    for text in texts:
        assert why in str(refused(urls.read_url, scalar(text))), text


_URL_PIECES: Final = st.sampled_from(
    [
        "http://",
        "https://",
        "h",
        "a.b",
        "..",
        ".",
        "-",
        "_",
        "~",
        ":",
        ":80",
        "[",
        "]",
        "::1",
        "/",
        "?",
        "#",
        "@",
        "%",
        "x" * 60,
    ]
)


@given(text=st.lists(_URL_PIECES | st.characters(max_codepoint=127), max_size=12).map("".join).map("http://{}".format))
def test_url_that_is_taken_can_be_dialled(text: str) -> None:
    """What is accepted as a remote is a URL for yarl too, and its host one that resolvers look at."""
    try:
        urls.read_url(scalar(text))
    except Wrong:
        return
    url = yarl.URL(text, encoded=True)
    assert url.scheme in ("http", "https")
    assert url.host
    assert url.port
    if ":" in url.host:
        socket.inet_pton(socket.AF_INET6, url.host)
    else:
        url.host.encode("idna")


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (KEY.encode(), KEY),
        (KEY.encode() + b"\n", KEY),
        (KEY.encode() + b"\r\n", KEY),
        (KEY.encode() * 128 + b"\r\n", KEY * 128),
        (KEY.encode() + b"\n\n", KEY + "\n"),
        (b" " + KEY.encode() + b" \n", f" {KEY} "),
        (b"# not: a comment, 32 characters..\n", "# not: a comment, 32 characters.."),
    ],
)
def test_secret_file_loses_one_line_end(tmp_path: Path, content: bytes, secret: str) -> None:
    """The secret is the file's content without the one line end at its end, and nothing else is stripped or read as YAML."""
    file = tmp_path / "key"
    file.write_bytes(content)
    assert signing_secret.read_secret_file(scalar(str(file))) == secret


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "this one has 0"),
        (b"short\n", "this one has 5"),
        (KEY.encode() * 128 + b"x", "this one has 4097"),
        (b"\xff" * 40, "is not UTF-8 text"),
        (b"x" * 4099, "is larger than 4098 bytes"),
        (b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZI\n", "is a PEM, SSH or JWK key"),
    ],
)
def test_secret_file_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    """A file that holds no usable secret is refused with its path and without its content."""
    file = tmp_path / "key"
    file.write_bytes(content)
    told = str(refused(signing_secret.read_secret_file, scalar(str(file))))
    assert why in told
    assert str(file) in told
    assert "short" not in told
    assert "MFkw" not in told


@pytest.mark.parametrize("path", [KEY, f"no/such/{KEY}", KEY * 40, f"{KEY}\0", ""])
def test_secret_in_place_of_its_path_is_not_told(path: str) -> None:
    """Who puts the secret itself where its file's path belongs does not find it in the error."""
    told = str(refused(signing_secret.read_secret_file, scalar(path)))
    assert KEY not in told
    assert "file" in told


def test_file_of_the_greatest_size_is_read(tmp_path: Path) -> None:
    """The limit is the last size that is read, and one byte more is refused."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert files.read_file(str(file), 5) == b"12345"
    with pytest.raises(Wrong, match="is larger than 4 bytes"):
        files.read_file(str(file), 4)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    """A directory, a pipe, a path that ends nowhere and one that is too long are distinguished from a file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    for path, why in (
        (tmp_path, "is not a file"),
        (tmp_path / "pipe", "is not a file"),
        (tmp_path / "dangling", "does not exist"),
        (tmp_path / "none", "does not exist"),
        (tmp_path / ("x" * 5000), "cannot be read: File name too long"),
    ):
        with pytest.raises(Wrong, match=why):
            files.read_file(str(path), 5)
    with pytest.raises(Wrong, match="circle"):
        files.read_file(str(tmp_path / "circle"), 5)
    with pytest.raises(Wrong, match=r"does not exist|not a path"):
        files.read_file("a\0b", 5)


@given(text=st.text(st.characters(exclude_categories=())))
def test_printable_text_can_be_written(text: str) -> None:
    """Any text can be written as UTF-8 once it went through `printable`, and good text goes through unchanged."""
    shown = values.printable(text)
    shown.encode()
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert shown == text
