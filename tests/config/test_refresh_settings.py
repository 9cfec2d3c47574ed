"""What is said of `refresh` at the start beside what is refused (tests/test_config.py has that)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.key_files import write_key_files
from tests.configuring import OTHER_KEY, failure, load_text, told, whole
from txtoken.config.revocation_file import carried_by
from txtoken.errors import ConfigError
from txtoken.service.revocations import Carried
from txtoken.settings import RemoteProxy

OWN_KEY = f"requestKey: {OTHER_KEY}\n"


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("expHours: 12\n", ""),
        ("expHours: 1\nrefresh: {maxSession: 1h}\n", ""),
        ("expHours: 12.001\n", "expHours is cut to 43200 s: no token lives longer than its session"),
        ("", "expHours is cut to 43200 s"),  # 24 h is the default
        ("refresh: {maxSession: 1h}\n", "expHours is cut to 3600 s"),
    ],
)
def test_tokens_longer_than_sessions(tmp_path: Path, text: str, warning: str) -> None:
    """Tokens that would live longer than their session are warned of, and those that do not are not."""
    text += "" if "refresh" in text else "refresh: {}\n"
    warnings = load_text(tmp_path, whole(OWN_KEY + text)).warnings
    assert len(warnings) == bool(warning)
    assert all(said.startswith(warning) for said in warnings)


def test_one_key_for_both(tmp_path: Path) -> None:
    """With `refresh` alone a key that signs the bearer, too, is warned of as it is with `forwardAuth`."""
    (warning,) = load_text(tmp_path, whole("expHours: 1\nrefresh: {}\n")).warnings
    assert warning.startswith("requestKey is not set: ")
    assert load_text(tmp_path, whole("expHours: 1\n")).warnings == ()


def test_what_tokens_carry(tmp_path: Path) -> None:
    """With sessions, tokens say which one and since when, and lines of revocations may speak of that."""
    assert carried_by(load_text(tmp_path, whole(""))) == Carried()
    assert carried_by(load_text(tmp_path, whole("refresh: {}"))) == Carried(sid=True, time=True)
    assert carried_by(load_text(tmp_path, whole("claims: {iat: true}"))) == Carried(time=True)


def test_the_section_and_the_environment(tmp_path: Path) -> None:
    """The section turns sessions on, though it is empty, and so does any of its keys from elsewhere."""
    assert load_text(tmp_path, whole("refresh: ~")).refresh.route is None
    assert load_text(tmp_path, whole("refresh: {}")).refresh.route == "/refreshToken"
    assert load_text(tmp_path, whole(""), {"TXTOKEN_REFRESH_GRACE": "5"}).refresh.grace_s == 5
    assert load_text(tmp_path, whole(""), {"TXTOKEN_REFRESH_GRACE": "5"}).refresh.route == "/refreshToken"
    assert load_text(tmp_path, whole(""), {}, {"refresh.maxSession": "1h"}).issue.max_session_s == 3600
    assert load_text(tmp_path, whole("refresh: {grace: ~}")).refresh.route == "/refreshToken"


@pytest.mark.parametrize(
    ("remote", "proxy"),
    [
        ("http://a.example/", RemoteProxy("http://p:1")),
        ("https://a.example/", RemoteProxy("http://s:2")),
        ("http://no.example/", None),
        ("http+unix://%2Frun%2Fs/", None),
    ],
)
def test_the_proxy_of_the_environment(tmp_path: Path, remote: str, proxy: RemoteProxy | None) -> None:
    """The remote that is asked is reached by the proxy that the environment has for its own URL."""
    environ = {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://s:2", "NO_PROXY": "no.example,login.internal"}
    config = load_text(tmp_path, whole(f"refresh: {{remote: '{remote}'}}"), environ)
    asked = config.refresh.remote(config.remote)
    assert asked is not None
    assert (asked.url, asked.proxy, config.remote.proxy) == (remote, proxy, None)
    off = load_text(tmp_path, whole(f"remoteProxy: off\nrefresh: {{remote: '{remote}'}}"), environ)
    assert off.refresh.proxy is None


def test_a_bad_proxy_is_told(tmp_path: Path) -> None:
    """A variable that is no proxy's URL is an error for the remote that it is for."""
    environ = {"HTTPS_PROXY": "ftp://p", "NO_PROXY": "login.internal"}
    with pytest.raises(ConfigError, match="environment HTTPS_PROXY"):
        load_text(tmp_path, whole("refresh: {remote: 'https://a.example/'}"), environ)


def test_all_else_is_as_for_logins(tmp_path: Path) -> None:
    """Limits, times, bearer and statuses of the remote hold for the one that is asked, and TLS is for the one that speaks it."""
    write_key_files(tmp_path)
    text = "limits: {remoteConnections: 7}\ntimeouts: {remote: 1s}\nsuccessStatus: [201]\nrequestTokenData: {a: 1}\n"
    config = load_text(
        tmp_path, whole(f"{text}refresh: {{remote: 'https://a.example/'}}\nremoteTls: {{serverName: b.example}}")
    )
    asked = config.refresh.remote(config.remote)
    assert asked is not None
    assert (asked.connections, asked.timeout_s, asked.success_statuses) == (7, 1.0, frozenset((201,)))
    assert (asked.request_token_data, asked.request_key) == (b'{"a":1}', config.remote.request_key)
    assert asked.tls.server_name == "b.example"
    (problem,) = told(tmp_path, failure(tmp_path, whole("refresh: {remote: 'http://a/'}\nremoteTls: {serverName: b}")))
    assert "applies only to a remote with TLS" in problem


def test_keys_are_known_for_as_long_as_tokens_are_taken(tmp_path: Path) -> None:
    """Self-rotating keys are known until the last token by them can no longer be renewed."""
    write_key_files(tmp_path)
    text = f"keys: {{alg: ES256, secretFile: {tmp_path}/root, every: 1h, iss: a}}\nremote: http://a/\nexpHours: 1\n"
    assert load_text(tmp_path, text + "refresh: {grace: 2h}\n").token_use_s == 3 * 3600
    (problem,) = told(tmp_path, failure(tmp_path, text + "refresh: {grace: 24h}\n"))
    assert "keys valid at a time" in problem


def test_paths_of_sessions_are_their_own(tmp_path: Path) -> None:
    """Where public keys are nothing is renewed, and without a cookie another route may be where a session would end."""
    write_key_files(tmp_path)
    text = f"keys: [{{alg: ES256, kid: a, keyFile: {tmp_path}/ec.pem}}]\nremote: http://a/\nexpHours: 1\n"
    for path in ("/.well-known/jwks.json", "/.well-known/openid-configuration"):
        wrong = f"{text}claims: {{iss: 'https://a.example'}}\nrefresh: {{route: {path}}}\n"
        (problem,) = told(tmp_path, failure(tmp_path, wrong))
        assert problem.endswith("refresh.route: has to differ from the path of the public keys")
    ends = "refresh: {}\ncheckTokenRoute: /refreshToken/end\n"
    assert load_text(tmp_path, whole(ends)).check.route == "/refreshToken/end"
    (problem,) = told(tmp_path, failure(tmp_path, whole(ends + "cookie: {name: s}\n")))
    assert "/refreshToken/end is in use" in problem
