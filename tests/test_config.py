"""File, environment and command line into a `Config`, key by key (contract §1)."""

from __future__ import annotations

import json
import os
import re
from operator import attrgetter
from pathlib import Path
from typing import Final

import orjson
import pytest
import yaml

from tests.configuring import EXAMPLE_FILE, KEY, OTHER_KEY, REMOTE, REQUIRED, failure, load_text, told, whole
from txtoken.certificates import ListenTls, RemoteTls
from txtoken.config import EXAMPLE_KEY, KEYS, SECTIONS, describe, load
from txtoken.errors import ConfigError
from txtoken.settings import CorsSettings, Limits, LogSettings, Timeouts, VerifyRules

# Contract §1.1 and §1.2, row by row

ROWS: Final[list[tuple[str, str, object]]] = [
    ("port", "", 8888),
    ("port", "port: 0", 0),
    ("port", "port: 65535", 65535),
    ("port", 'port: "9000"', 9000),
    ("port", "port:", 8888),
    ("port", "port: ~", 8888),
    ("debug", "", False),
    ("debug", "debug: true", True),
    ("debug", 'debug: "true"', True),
    ("debug", "debug: 'false'", False),
    ("remote", "remote: https://h/x?tenant=a&b", "https://h/x?tenant=a&b"),
    ("token_ttl_s", "", 86_400),
    ("token_ttl_s", "expHours: 1", 3600),
    ("token_ttl_s", "expHours: 0.25", 900),
    ("token_ttl_s", "expHours: '2.5'", 9000),
    ("get_token_route", "", "/getToken"),
    ("get_token_route", "getTokenRoute: /login/token", "/login/token"),
    ("check_token_route", "", "/checkToken"),
    ("check_token_route", "checkTokenRoute: '/'", "/"),
    ("request_token_data", "", b"{}"),
    ("request_token_data", "requestTokenData: {service: a, deep: {er: [1, 2]}}", b'{"service":"a","deep":{"er":[1,2]}}'),
    ("request_token_data", "requestTokenData: '{\"method\": \"set\"}'", b'{"method":"set"}'),
    ("request_token_data", "requestTokenData:\n  - a\n  - 1", b'["a",1]'),
    ("reload_s", "", 10.0),
    ("reload_s", "reload: 1m", 60.0),
    ("reload_s", "reload: off", None),
    ("reload_s", "reload: 'off'", None),
    ("workers", "", 1),
    ("workers", "workers: 3", 3),
    ("workers", "workers: auto", len(os.sched_getaffinity(0))),
    ("admin_port", "", None),
    ("admin_port", "adminPort: 9090", 9090),
    ("admin_port", "port: 0\nadminPort: 0", 0),
    ("listen", "", ("0.0.0.0",)),  # noqa: S104 - the contract's default, nothing is bound
    ("listen", "listen: 127.0.0.1", ("127.0.0.1",)),
    ("listen", 'listen: "::"', ("::",)),
    ("listen", "listen: [127.0.0.1, '::1']", ("127.0.0.1", "::1")),
    ("listen", "listen: unix:/run/t.sock", ("unix:/run/t.sock",)),
    ("listen", "listen: ['::1', 'unix:/run/t.sock']", ("::1", "unix:/run/t.sock")),
    ("request_token_s", "", 300),
    ("request_token_s", "requestTokenSeconds: 10", 10),
    ("request_token_s", "requestTokenSeconds: 86400", 86_400),
    ("validate_body", "", True),
    ("validate_body", "validateBody: false", False),
    ("limits", "", Limits(65_536, 100, 1_048_576, 131_072, 32_768, 67_108_864, 10_000, 256, 1024)),
    ("limits", "limits: {headBytes: 1KiB, headerCount: 1, bodyBytes: 1}", Limits(1024, 1, 1)),
    ("limits.reply_bytes", "limits: {replyBytes: 64MiB}", 67_108_864),
    ("limits.token_bytes", "limits: {tokenBytes: 1MiB}", 1_048_576),
    ("limits.buffered_bytes", "limits: {bufferedBytes: 1MiB}", 1_048_576),
    ("limits.connections", "limits: {connections: 1}", 1),
    ("limits.remote_connections", "limits: {remoteConnections: '7'}", 7),
    ("limits.waiting", "limits: {waiting: 0}", 0),
    ("limits", "limits:", Limits()),
    ("timeouts", "", Timeouts(10.0, 30.0, 75.0, 2.0, 5.0, 15.0, 30.0, 0.0)),
    ("timeouts", "timeouts: {head: 1, body: 2s, idle: 1m, connect: 500ms}", Timeouts(1.0, 2.0, 60.0, 0.5)),
    ("timeouts.remote", "timeouts: {remote: 1.5}", 1.5),
    ("timeouts.remote_idle", "timeouts: {remoteIdle: 1m}", 60.0),
    ("timeouts.drain", "timeouts: {drain: 0}", 0.0),
    ("timeouts.drain_delay", "timeouts: {drainDelay: 5s}", 5.0),
    ("forward_headers", "", ("X-Request-Id", "traceparent", "tracestate")),
    ("forward_headers", "forwardHeaders: [X-A, x-b]", ("X-A", "x-b")),
    ("forward_headers", "forwardHeaders: []", ()),
    ("forward_headers", "forwardHeaders: X-A", ("X-A",)),
    ("status_map", "", "original"),
    ("status_map", "statusMap: gateway", "gateway"),
    ("status_map", "statusMap: {}", {}),
    ("status_map", "statusMap: {401: pass, 4xx: 400, 599: 503, timeout: 504, unreachable: 502, invalid: '500'}",
     {"401": "pass", "4xx": "400", "599": "503", "timeout": "504", "unreachable": "502", "invalid": "500"}),
    ("status_map", "statusMap: '{\"401\": \"pass\", \"5xx\": 502}'", {"401": "pass", "5xx": "502"}),
    ("pass_remote_errors", "", False),
    ("pass_remote_errors", "passRemoteErrors: true", True),
    ("trusted_proxies", "", ()),
    ("trusted_proxies", "trustedProxies: [10.0.0.0/8, 192.0.2.7, 'fd00::/8', '2001:DB8::1', unix]",
     ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "2001:db8::1/128", "unix")),
    ("trusted_proxies", "trustedProxies: 10.0.0.0/8", ("10.0.0.0/8",)),
    ("forwarded_for", "", False),
    ("forwarded_for", "forwardedFor: true", True),
    ("forward_headers", "forwardHeaders: [X-Forwarded-For]", ("X-Forwarded-For",)),
    ("cors", "", CorsSettings((), ("Authorization", "Content-Type"), 600.0, False)),
    ("cors", "cors: {origins: '*'}", CorsSettings(("*",))),
    ("cors", "cors: {origins: [https://a.example, 'http://b:81'], headers: [X-A], maxAge: 5s, credentials: true}",
     CorsSettings(("https://a.example", "http://b:81"), ("X-A",), 5.0, True)),
    ("cors.origins", "cors: {origins: 'http://[::1]:3000'}", ("http://[::1]:3000",)),
    ("cors.origins", "cors: {origins: moz-extension://1f-2}", ("moz-extension://1f-2",)),
    ("cors.headers", "cors: {origins: [], headers: []}", ()),
    ("tls", "", ListenTls()),
    ("tls", "tls: {certFile: null}", ListenTls()),
    ("remote_tls", "", RemoteTls()),
    ("remote_tls", "remote: https://h/\nremoteTls: {serverName: login.example}", RemoteTls(server_name="login.example")),
    ("remote_tls", "remote: https://h/\nremoteTls: {serverName: 10.0.0.1}", RemoteTls(server_name="10.0.0.1")),
    ("remote_tls", "remote: HTTPS://h/\nremoteTls: {verify: false}", RemoteTls(verify=False)),
    ("verify", "", VerifyRules(0.0, None, (), True, None)),
    ("verify", "verify: {leeway: 30s, iss: me, aud: [a, b], requireExp: false, maxAge: 1m}",
     VerifyRules(30.0, "me", ("a", "b"), False, 60.0)),
    ("verify.audience", "verify: {aud: one}", ("one",)),
    ("verify.issuer", "verify: {iss: 0123}", "0123"),
    ("check_response", "", "original"),
    ("check_response", "checkResponse: claims", "claims"),
    ("log", "", LogSettings("info", "json", True)),
    ("log", "debug: true", LogSettings("debug", "text", True)),
    ("log", "debug: true\nlog: {level: warning}", LogSettings("warning", "text", True)),
    ("log", "log: {level: error, format: text, access: false}", LogSettings("error", "text", False)),
]  # fmt: skip # a row a line


@pytest.mark.parametrize(("attribute", "text", "value"), ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
def test_row_takes(tmp_path: Path, attribute: str, text: str, value: object) -> None:
    """A key's good values, and its absence, mean what the contract's row says."""
    assert attrgetter(attribute)(load_text(tmp_path, whole(text))) == value


BAD: Final[list[tuple[str, str, int, str]]] = [
    ("port", "port: 65536", 1, "has to be a whole number from 0 to 65535"),
    ("port", "port: -1", 1, "has to be a whole number from 0 to 65535"),
    ("port", "port: 80.0", 1, "has to be a whole number from 0 to 65535"),
    ("port", "port: ''", 1, "has to be a whole number from 0 to 65535"),
    ("port", "port: [80]", 1, "has to be one value, not a list or a section"),
    ("debug", "debug: yes", 1, "has to be true or false"),
    ("debug", "debug: 1", 1, "has to be true or false"),
    ("encKey", "encKey: short", 1, "has to be 32 to 64 characters long; this one has 5"),
    ("encKey", f"encKey: {KEY * 2}", 1, "has to be 32 to 64 characters long; this one has 68"),
    ("encKey", f"encKey: {'z' * 40}", 1, "is one character repeated"),
    ("encKey", f"encKey: {EXAMPLE_KEY}", 1, "is the example file's key"),
    ("encKey", "encKey: [a]", 1, "has to be one value"),
    ("encKey", "encKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", 1, "is a PEM, SSH or JWK key"),
    ("encKey", "port: 1\nencKey: !vault aaaaaaaaaaaabbbbbbbbbbbccccccccc", 2, "has a YAML tag"),
    ("remote", "remote: login.internal/login", 1, "has to be an absolute http or https URL"),
    ("remote", "remote: http://user:pass@h/", 1, "must not hold a user or password"),
    ("remote", "remote: http://h/#top", 1, "must not have a fragment"),
    ("remote", "remote: http://h:99999/", 1, "has a malformed host or port"),
    ("remote", "remote: ''", 1, "has to be a URL in printable ASCII"),
    ("expHours", "expHours: 0", 1, "has to be a number of hours above 0"),
    ("expHours", "expHours: -1", 1, "has to be a number of hours above 0"),
    ("expHours", "expHours: .inf", 1, "has to be a number of hours above 0"),
    ("expHours", "expHours: 24h", 1, "has to be a number of hours above 0"),
    ("getTokenRoute", "getTokenRoute: getToken", 1, "has to be a path that starts with /"),
    ("getTokenRoute", "getTokenRoute: /readyz", 1, "/readyz is taken"),
    ("checkTokenRoute", "checkTokenRoute: /check?x", 1, "has to be a path that starts with /"),
    ("checkTokenRoute", "port: 1\ncheckTokenRoute: /getToken", 2, "has to differ from getTokenRoute"),
    ("requestTokenData", "requestTokenData: hello", 1, "does not hold JSON"),
    ("requestTokenData", "requestTokenData:\n  a: .nan", 2, "number that JSON has no word for"),
    ("requestTokenData", "requestTokenData:\n  a: 1\n  b: 2\n  a: 3", 4, "holds a member twice"),
    ("reload", "reload: never", 1, "or off"),
    ("workers", "workers: 0", 1, "has to be a whole number from 1 to 256, or auto"),
    ("workers", "workers: many", 1, "has to be a whole number from 1 to 256, or auto"),
    ("adminPort", "adminPort: 65536", 1, "has to be a whole number from 0 to 65535"),
    ("adminPort", "port: 9090\nadminPort: 9090", 2, "has to differ from port"),
    ("adminPort", "\nadminPort: 8888", 2, "has to differ from port"),
    ("listen", "listen: example.com", 1, "has to be an IP address"),
    ("listen", "listen:\n  - 127.0.0.1\n  - nowhere", 3, "has to be an IP address"),
    ("listen", "listen: unix:run/x", 1, "has to name a Unix socket by its whole path"),
    ("listen", "listen: []", 1, "names no address"),
    ("encKeyFile", "encKeyFile: /no/such/file", 1, "names a file that does not exist"),
    ("encKeyFile", f"encKeyFile: /dev/null\nencKey: {KEY}", 1, "is not a file"),
    ("encKey", f"encKeyFile: /dev/null\nencKey: {KEY}", 2, "is given beside encKeyFile: keep one of them"),
    ("requestKeyFile", f"requestKey: {KEY}\nrequestKeyFile: KEY_FILE", 2, "is given beside requestKey: keep one of"),
    ("requestKey", "requestKey: short", 1, "has to be 32 to 64 characters long; this one has 5"),
    ("requestKey", f"requestKey: {'z' * 40}", 1, "is one character repeated"),
    ("requestTokenSeconds", "requestTokenSeconds: 9", 1, "has to be a whole number from 10 to 86400"),
    ("requestTokenSeconds", "requestTokenSeconds: 5m", 1, "has to be a whole number from 10 to 86400"),
    ("validateBody", "validateBody: no", 1, "has to be true or false"),
    ("limits.headBytes", "limits:\n  headBytes: 1023", 2, "has to be a number of bytes from 1024 to 1048576"),
    ("limits.headerCount", "limits: {headerCount: 0}", 1, "has to be a whole number from 1 to 10000"),
    ("limits.bodyBytes", "limits: {bodyBytes: 1GB}", 1, "has to be a number of bytes from 1 to"),
    ("limits.tokenBytes", "limits: {tokenBytes: 2MiB}", 1, "has to be a number of bytes from 1024 to"),
    ("limits.bufferedBytes", "limits: {bufferedBytes: 1}", 1, "has to be a number of bytes from 1048576 to"),
    ("limits.replyBytes", "limits: {replyBytes: 1}", 1, "has to be a number of bytes from 2 to"),
    ("limits.connections", "limits: {connections: 0}", 1, "has to be a whole number from 1 to 1000000"),
    ("limits.remoteConnections", "limits: {remoteConnections: 0}", 1, "has to be a whole number from 1 to 60000"),
    ("limits.waiting", "limits: {waiting: -1}", 1, "has to be a whole number from 0 to 1000000"),
    ("limits", "limits: 5", 1, "has to be a section of `key: value` lines"),
    ("limits", "limits: [a]", 1, "has to be a section of `key: value` lines"),
    ("limits", "limits: !mine {waiting: 1}", 1, "has to be a section of `key: value` lines"),
    ("timeouts.head", "timeouts: {head: 0}", 1, "has to be a time from 0.001 to 86400 seconds"),
    ("timeouts.body", "timeouts: {body: 1h}", 1, "has to be a time from 0.001 to 86400 seconds"),
    ("timeouts.idle", "timeouts: {idle: -1}", 1, "has to be a time from"),
    ("timeouts.connect", "timeouts: {connect: soon}", 1, "has to be a time from"),
    ("timeouts.remote", "timeouts: {remote: 0s}", 1, "has to be a time from"),
    ("timeouts.remoteIdle", "timeouts: {remoteIdle: 0}", 1, "has to be a time from"),
    ("timeouts.drain", "timeouts: {drain: 2000m}", 1, "has to be a time from 0 to 86400 seconds"),
    ("timeouts.drainDelay", "timeouts: {drainDelay: x}", 1, "has to be a time from 0 to 86400 seconds"),
    ("forwardHeaders", "forwardHeaders:\n  - X-A\n  - Authorization", 3, "Authorization is never forwarded"),
    ("forwardHeaders", "forwardHeaders: [connection]", 1, "connection is never forwarded"),
    ("forwardHeaders", "forwardHeaders: [host]", 1, "host is never forwarded"),
    ("forwardHeaders", "forwardHeaders: [content-LENGTH]", 1, "content-LENGTH is never forwarded"),
    ("forwardHeaders", "forwardHeaders: ['X A']", 1, "has to be a list of header field names"),
    ("forwardHeaders", "forwardHeaders: {a: b}", 1, "has to be one value"),
    ("forwardHeaders", "forwardedFor: true\nforwardHeaders: [x-forwarded-FOR]", 2, "is sent by forwardedFor already"),
    ("statusMap", "statusMap: Gateway", 1, "has to be original, gateway, or a map like"),
    ("statusMap", "statusMap: 502", 1, "has to be original, gateway, or a map like"),
    ("statusMap", "statusMap: [401]", 1, "has to be one value, not a list or a section"),
    ("statusMap", "statusMap:\n  401: pass\n  4XX: 400", 3, "holds a key that is no status (401), class (4xx)"),
    ("statusMap", "statusMap:\n  401: pass\n  1xx: 400", 3, "holds a key that is no status (401), class (4xx)"),
    ("statusMap", "statusMap:\n  401: pass\n  401: 400", 3, "holds a member twice"),
    ("statusMap", "statusMap: {200: 400}", 1, "cannot map 200"),
    ("statusMap", "statusMap: {3xx: pass}", 1, "3xx cannot pass: give the status that clients get"),
    ("statusMap", "statusMap: {timeout: pass}", 1, "timeout cannot pass: give the status that clients get"),
    ("statusMap", "statusMap: {401: 302}", 1, "401 needs a status from 400 to 599, or pass"),
    ("statusMap", "statusMap: {401: [pass]}", 1, "has to be one value, not a list or a section"),
    ("statusMap", "statusMap: '{\"timeout\": 200}'", 1, "timeout needs a status from 400 to 599, or pass"),
    ("passRemoteErrors", "passRemoteErrors: 1", 1, "has to be true or false"),
    ("trustedProxies", "trustedProxies:\n  - 10.0.0.0/8\n  - proxy", 3, "has to be a list of networks like 10.0.0.0/8"),
    ("trustedProxies", "trustedProxies: 10.0.0.0/33", 1, "has to be a list of networks like 10.0.0.0/8"),
    ("trustedProxies", "trustedProxies: 10.0.0.1/8", 1, "did you mean 10.0.0.0/8?"),
    ("forwardedFor", "forwardedFor: on", 1, "has to be true or false"),
    ("cors.origins", "cors: {origins: null, headers: [X-A]}", 1, "is required in this section"),
    ("cors.origins", "cors:\n  origins: ['*', https://a.example]", 2, "holds * beside other origins"),
    (
        "cors.origins",
        "cors:\n  origins:\n    - https://a.example\n    - https://b.example/",
        4,
        "did you mean https://b.ex",
    ),
    ("cors.origins", "cors: {origins: https://A.example}", 1, "did you mean https://a.example?"),
    ("cors.origins", "cors: {origins: 'https://a.example:443'}", 1, "did you mean https://a.example?"),
    ("cors.origins", "cors: {origins: 'https://a.example:65536'}", 1, "has to be an origin as browsers send it"),
    ("cors.origins", "cors: {origins: a.example}", 1, "has to be an origin as browsers send it"),
    ("cors.origins", "cors: {origins: https://a.example/app}", 1, "has to be an origin as browsers send it"),
    ("cors.origins", "cors: {origins: https://*.example}", 1, "has to be an origin as browsers send it"),
    ("cors.origins", "cors: {origins: 'null'}", 1, "null is the origin of every page that hides its own"),
    ("cors.headers", "cors: {origins: '*', headers: '*'}", 1, "has to name the header fields"),
    ("cors.headers", "cors: {origins: '*', headers: [X A]}", 1, "has to be a list of header field names"),
    ("cors.maxAge", "cors: {origins: '*', maxAge: 1d}", 1, "has to be a time from 0 to 86400 seconds"),
    ("cors.credentials", "cors:\n  origins: '*'\n  credentials: true", 3, "cannot go with origins: '*'"),
    ("tls.certFile", "tls: {certFile: /no/such/file}", 1, "names a file that does not exist"),
    ("tls.keyFile", "tls:\n  keyFile: /dev/null", 2, "is not a file"),
    ("tls.clientCaFile", "tls: {clientCaFile: KEY_FILE}", 1, "holds no certificate in PEM form"),
    ("remoteTls.caFile", "remoteTls: {caFile: KEY_FILE}", 1, "holds no certificate in PEM form"),
    ("remoteTls.certFile", "remoteTls: {certFile: KEY_FILE}", 1, "holds no certificate in PEM form"),
    ("remoteTls.keyFile", "remoteTls: {keyFile: KEY_FILE}", 1, "holds no private key in PEM form"),
    ("remoteTls.serverName", "remoteTls: {serverName: 'a b'}", 1, "has to be a host's name"),
    ("remoteTls.verify", "remoteTls: {verify: maybe}", 1, "has to be true or false"),
    ("verify.leeway", "verify: {leeway: -1}", 1, "has to be a time from 0"),
    ("verify.iss", "verify: {iss: [a]}", 1, "has to be one value"),
    ("verify.aud", "verify: {aud: {a: b}}", 1, "has to be one value"),
    ("verify.requireExp", "verify: {requireExp: maybe}", 1, "has to be true or false"),
    ("verify.maxAge", "verify: {maxAge: 0}", 1, "has to be a time from 1"),
    ("checkResponse", "checkResponse: Claims", 1, "has to be original or claims"),
    ("log.level", "log: {level: loud}", 1, "has to be debug or info or warning or error"),
    ("log.format", "log: {format: xml}", 1, "has to be json or text"),
    ("log.access", "log: {access: 1}", 1, "has to be true or false"),
]


@pytest.mark.parametrize(("key", "text", "line", "why"), BAD, ids=[f"{row[0]}: {row[1]}"[:60] for row in BAD])
def test_row_refuses(tmp_path: Path, key: str, text: str, line: int, why: str) -> None:
    """A key's bad value is an error that names the key, the line, and what it should be."""
    (tmp_path / "key").write_text(OTHER_KEY)
    text = whole(text.replace("KEY_FILE", f"{tmp_path}/key"))
    problems = [problem for problem in failure(tmp_path, text).problems if problem.key == key]
    assert len(problems) == 1
    assert problems[0].where == f"{tmp_path}/cfg.yml, line {line}"
    assert why in problems[0].text


def test_every_key_has_a_row() -> None:
    """No key of the table is left untested for what it takes or refuses."""
    refused = {row[0] for row in BAD}
    assert [key.name for key in KEYS if key.name not in refused] == []


def test_errors_that_never_pass_are_warned_of(tmp_path: Path) -> None:
    """`passRemoteErrors` where no failure is a 4xx is let through with a warning, and elsewhere without."""
    (warning,) = load_text(tmp_path, whole("passRemoteErrors: true")).warnings
    assert warning.startswith("passRemoteErrors does nothing")
    assert load_text(tmp_path, whole("passRemoteErrors: true\nstatusMap: gateway")).warnings == ()


def test_required_keys(tmp_path: Path) -> None:
    """Without a remote and a key nothing starts, whatever else is given, and both are told at once."""
    for text in ("", "# nothing", "~", "---\n", "remote:\nencKey: null", "{}"):
        assert told(tmp_path, failure(tmp_path, text)) == [
            "cfg.yml: remote: is required: the URL that logins are POSTed to",
            "cfg.yml: encKey: is required: `txtoken keygen` makes one",
        ]


def test_a_file_that_is_no_section_is_refused(tmp_path: Path) -> None:
    """A list or a text in place of keys is refused as that."""
    for text in ("- a", "just text", "5", "!mine {port: 1}"):
        assert "cfg.yml, line 1: has to be a section of `key: value` lines" in told(tmp_path, failure(tmp_path, text))


def test_a_configuration_of_the_original_works_unchanged(tmp_path: Path) -> None:
    """The original's eight keys, and no other, make a configuration that means what it meant there."""
    config = load_text(
        tmp_path,
        "# settings\n"
        "---\n"
        'port: "8080"\n'
        'debug: "false"\n'
        'encKey: "Tr0ub4dor&3-correct-horse-battery"\n'
        'remote: "http://127.0.0.1:8070/api/login?app=1"\n'
        "expHours: 12\n"
        'getTokenRoute: "/getToken"\n'
        'checkTokenRoute: "/checkToken"\n'
        "requestTokenData:\n"
        "  Method: set\n"
        "  scopes: [read, write]\n"
        "...\n",
    )
    assert (config.port, config.debug, config.remote) == (8080, False, "http://127.0.0.1:8070/api/login?app=1")
    assert config.enc_key.reveal() == config.request_key.reveal() == b"Tr0ub4dor&3-correct-horse-battery"
    assert (config.token_ttl_s, config.request_token_s) == (12 * 3600, 300)
    assert (config.get_token_route, config.check_token_route) == ("/getToken", "/checkToken")
    assert json.loads(config.request_token_data) == {"Method": "set", "scopes": ["read", "write"]}
    assert config.warnings == ()


# The secret's text


@pytest.mark.parametrize(
    "written",
    [
        "01234567890123456789012345678901",
        "12345678901234567890123456789012",
        "1e5000000000000000000000000000001",
        "1.50000000000000000000000000000000",
        "0x1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F",
        "0o17171717171717171717171717171717",
        "0b10101010101010101010101010101010",
        "1_000_000_000_000_000_000_000_000_000",
        "+1234567890123456789012345678901234",
        "-1234567890123456789012345678901234",
        "190:20:30:20:30:20:30:20:30:20:30:20:30",
        "yes-yes-yes-yes-yes-yes-yes-yes-",
        "null-null-null-null-null-null-null",
        "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~.",
        "2018-01-02T03:04:05.00000000000001Z",
        "2018-01-02 03:04:05.00000000000001Z",
        "<<=<<=<<=<<=<<=<<=<<=<<=<<=<<=<<=",
        "=======================+=========",
        ".inf.inf.inf.inf.inf.inf.inf.inf",
        "ünïcödé-ünïcödé-ünïcödé-ünïcödé-",
        "a#b:c,d[e]f{g}h&i*j!k|l>m'n\"o%p@q`r",
        "bm90LWJhc2U2NC1kZWNvZGVkLWF0LWFsbA==",
        "${HOME}-is-not-looked-up-$HOME-$(id)",
    ],
)
def test_key_is_taken_exactly_as_written(tmp_path: Path, written: str) -> None:
    """An unquoted key stays the text of the file: it becomes no number, date, boolean, null or decoded bytes."""
    assert load_text(tmp_path, whole(f"encKey: {written}")).enc_key.reveal() == written.encode()
    assert load_text(tmp_path, whole(f"requestKey: {written}")).request_key.reveal() == written.encode()
    environ = {"TXTOKEN_ENC_KEY": written}
    assert load_text(tmp_path, whole(""), environ).enc_key.reveal() == written.encode()


@pytest.mark.parametrize("written", ["~", "null", "Null", "NULL", ""])
def test_key_that_reads_as_nothing_is_absent(tmp_path: Path, written: str) -> None:
    """YAML's ways to write nothing leave a key out, and never become a secret."""
    assert "encKey: is required" in str(failure(tmp_path, whole(f"encKey: {written}")))
    config = load_text(tmp_path, whole(f"requestKey: {written}"))
    assert config.request_key == config.enc_key


@pytest.mark.parametrize(
    ("yaml_text", "secret"),
    [
        (f"'  {KEY}  '", f"  {KEY}  "),
        (f"'{KEY}''s'", f"{KEY}'s"),
        (f'"{KEY}\\n\\x41"', f"{KEY}\nA"),
        (f"|\n  {KEY}\n", f"{KEY}\n"),
        (f"|-\n  {KEY}\n", KEY),
        (f"!!str {KEY}", KEY),
        ("!!str 01234567890123456789012345678901", "01234567890123456789012345678901"),
    ],
)
def test_quotes_of_yaml_are_honoured(tmp_path: Path, yaml_text: str, secret: str) -> None:
    """A quoted or block text is read by YAML's rules, and nothing is stripped after that."""
    assert load_text(tmp_path, whole(f"encKey: {yaml_text}")).enc_key.reveal() == secret.encode()


def test_keys_that_everybody_knows_need_debug(tmp_path: Path) -> None:
    """A weak key is refused, and with `debug: true` it is let through with a warning that names it, for each such key."""
    key_file = tmp_path / "key"
    key_file.write_text("k" * 32)
    for weak, name in (
        (f"encKey: {'z' * 64}", "encKey"),
        (f"encKey: {EXAMPLE_KEY}", "encKey"),
        (f"encKeyFile: {key_file}", "encKeyFile"),
        (f"requestKey: {'z' * 64}", "requestKey"),
        (f"requestKeyFile: {key_file}", "requestKeyFile"),
    ):
        (refusal,) = failure(tmp_path, whole(f"debug: false\n{weak}")).problems
        assert refusal.key == name
        assert refusal.where.endswith("line 2")
        (warning,) = load_text(tmp_path, whole(f"debug: true\n{weak}")).warnings
        assert warning.startswith(f"{name} is ")
        assert "debug: true" in warning


def test_good_keys_raise_no_warning(tmp_path: Path) -> None:
    """Debug alone warns of nothing."""
    assert load_text(tmp_path, whole("debug: true")).warnings == ()


@pytest.mark.parametrize(("rule", "claim"), [("iss: me", "iss"), ("aud: [a]", "aud"), ("maxAge: 1m", "iat")])
def test_rules_that_no_own_token_fulfils_are_a_warning(tmp_path: Path, rule: str, claim: str) -> None:
    """Who asks for a claim that this service does not write is told that its own tokens will be refused."""
    (warning,) = load_text(tmp_path, whole(f"verify: {{{rule}}}")).warnings
    assert warning.startswith(f"verify.{rule.partition(':')[0]} refuses every token that this service issues")
    assert f"`{claim}`" in warning


# Sources


def test_what_counts_more(tmp_path: Path) -> None:
    """The command line counts more than the environment, that more than the file, that more than the default."""
    file, environ, overrides = "port: 1\nlimits: {waiting: 1}", {"TXTOKEN_PORT": "2"}, {"port": "3"}
    assert load_text(tmp_path, whole("")).port == 8888
    assert load_text(tmp_path, whole(file)).port == 1
    assert load_text(tmp_path, whole(file), environ).port == 2
    assert load_text(tmp_path, whole(file), environ, overrides).port == 3
    assert load_text(tmp_path, whole(file), {}, overrides).port == 3
    assert load_text(tmp_path, whole(file), {}, overrides).limits.waiting == 1


def test_a_bad_value_that_is_overridden_does_no_harm(tmp_path: Path) -> None:
    """Only the value that counts is judged."""
    assert load_text(tmp_path, whole("port: bad"), {"TXTOKEN_PORT": "2"}).port == 2


VARIABLES: Final = {
    "port": "TXTOKEN_PORT",
    "encKey": "TXTOKEN_ENC_KEY",
    "encKeyFile": "TXTOKEN_ENC_KEY_FILE",
    "requestKeyFile": "TXTOKEN_REQUEST_KEY_FILE",
    "expHours": "TXTOKEN_EXP_HOURS",
    "getTokenRoute": "TXTOKEN_GET_TOKEN_ROUTE",
    "requestTokenData": "TXTOKEN_REQUEST_TOKEN_DATA",
    "limits.bodyBytes": "TXTOKEN_LIMITS_BODY_BYTES",
    "timeouts.drainDelay": "TXTOKEN_TIMEOUTS_DRAIN_DELAY",
    "verify.requireExp": "TXTOKEN_VERIFY_REQUIRE_EXP",
    "log.level": "TXTOKEN_LOG_LEVEL",
}


def test_variables_are_named_after_keys() -> None:
    """Each key has a variable of its own, in upper snake case after `TXTOKEN_`."""
    by_name = {key.name: key.variable for key in KEYS}
    assert {name: by_name[name] for name in VARIABLES} == VARIABLES
    assert len(set(by_name.values())) == len(KEYS)


@pytest.mark.parametrize("source", ["environment", "--set"])
def test_values_from_outside_the_file(tmp_path: Path, source: str) -> None:
    """Every kind of value can come from the environment and from the command line, lists and trees included."""
    texts = {
        "port": "9",
        "debug": "true",
        "encKey": OTHER_KEY,
        "requestTokenData": '{"a": [1]}',
        "listen": "127.0.0.1, ::1",
        "limits.bodyBytes": "2KiB",
        "timeouts.remote": "500ms",
        "forwardHeaders": "",
        "statusMap": '{"401": "pass", "timeout": 504}',
        "trustedProxies": "10.0.0.0/8, unix",
        "cors.origins": "https://a.example,https://b.example",
        "verify.aud": "a,b",
        "verify.iss": "null",
    }
    by_name = {key.name: key.variable for key in KEYS}
    environ = {by_name[name]: text for name, text in texts.items()} if source == "environment" else {}
    config = load_text(tmp_path, whole("port: 1"), environ, texts if source == "--set" else {})
    assert (config.port, config.debug, config.enc_key.reveal()) == (9, True, OTHER_KEY.encode())
    assert config.request_token_data == b'{"a":[1]}'
    assert config.listen == ("127.0.0.1", "::1")
    assert (config.limits.body_bytes, config.timeouts.remote) == (2048, 0.5)
    assert config.forward_headers == ()
    assert config.status_map == {"401": "pass", "timeout": "504"}
    assert config.trusted_proxies == ("10.0.0.0/8", "unix")
    assert config.cors.origins == ("https://a.example", "https://b.example")
    assert (config.verify.audience, config.verify.issuer) == (("a", "b"), "null")


def test_secrets_from_files(tmp_path: Path) -> None:
    """A secret can come from a file that the configuration, the environment or the command line names."""
    key_file = tmp_path / "key"
    key_file.write_text(OTHER_KEY + "\n")
    path = str(key_file)
    remote = REQUIRED["remote"]
    secret = OTHER_KEY.encode()
    assert load_text(tmp_path, f"{remote}\nencKeyFile: {path}").enc_key.reveal() == secret
    assert load_text(tmp_path, remote, {"TXTOKEN_ENC_KEY_FILE": path}).enc_key.reveal() == secret
    assert load_text(tmp_path, remote, {}, {"encKeyFile": path}).enc_key.reveal() == secret
    config = load_text(tmp_path, whole(""), {"TXTOKEN_REQUEST_KEY_FILE": path})
    assert (config.enc_key.reveal(), config.request_key.reveal()) == (KEY.encode(), secret)


def test_the_two_ways_to_give_a_secret_are_one_key(tmp_path: Path) -> None:
    """The way that counts more replaces the other, and both at the same place are an error."""
    key_file = tmp_path / "key"
    key_file.write_text(OTHER_KEY)
    path = str(key_file)
    assert load_text(tmp_path, whole(""), {"TXTOKEN_ENC_KEY_FILE": path}).enc_key.reveal() == OTHER_KEY.encode()
    by_file = f"{REQUIRED['remote']}\nencKeyFile: {path}"
    assert load_text(tmp_path, by_file, {"TXTOKEN_ENC_KEY": KEY}).enc_key.reveal() == KEY.encode()
    both = {"TXTOKEN_ENC_KEY": KEY, "TXTOKEN_ENC_KEY_FILE": path}
    (problem,) = failure(tmp_path, whole(""), both).problems
    assert problem.text == "is given beside encKey: keep one of them"
    config = load_text(tmp_path, whole(""), {"TXTOKEN_ENC_KEY": KEY}, {"encKeyFile": path})
    assert config.enc_key.reveal() == OTHER_KEY.encode()


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is the one that is named, else CFG_FILE, else example_cfg.yml here; an empty CFG_FILE counts as absent."""
    monkeypatch.chdir(tmp_path)
    for name, port in (("a.yml", 1), ("b.yml", 2), ("example_cfg.yml", 3)):
        Path(name).write_text(whole(f"port: {port}"))
    assert load("a.yml", {"CFG_FILE": "b.yml"}).port == 1
    assert load(None, {"CFG_FILE": "b.yml"}).port == 2
    assert load(None, {"CFG_FILE": ""}).port == 3
    assert load(None, {}).port == 3
    assert load(None, {}).source == "example_cfg.yml"


def test_no_file_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment alone can be enough; where it is not, the missing file is the one problem. A named file must exist."""
    monkeypatch.chdir(tmp_path)
    complete = {"TXTOKEN_ENC_KEY": KEY, "TXTOKEN_REMOTE": REMOTE}
    config = load(None, complete)
    assert (config.source, config.remote, config.port) == ("", REMOTE, 8888)
    assert load(None, {}, {"encKey": KEY, "remote": REMOTE}).remote == REMOTE
    for environ in ({}, {"TXTOKEN_ENC_KEY": KEY}, {"TXTOKEN_REMOTE": REMOTE}, {**complete, "CFG_FILE": "none.yml"}):
        with pytest.raises(ConfigError) as caught:
            load(None, environ)
        (problem,) = caught.value.problems
        name = environ.get("CFG_FILE", "example_cfg.yml")
        assert problem.text == f"{name} does not exist. Name another with --config or CFG_FILE."


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    """What does not begin with TXTOKEN_ is not ours, and what Kubernetes sets beside a Service called txtoken is no mistake."""
    config = load_text(
        tmp_path,
        whole(""),
        {
            "PORT": "1",
            "txtoken_port": "1",
            "TXTOKENPORT": "1",
            "TXTOKEN_SERVICE_HOST": "10.0.0.7",
            "TXTOKEN_SERVICE_PORT": "80",
            "TXTOKEN_SERVICE_PORT_HTTP": "80",
            "TXTOKEN_PORT": "tcp://10.0.0.7:80",
            "TXTOKEN_PORT_80_TCP": "tcp://10.0.0.7:80",
            "TXTOKEN_PORT_80_TCP_PROTO": "tcp",
            "TXTOKEN_PORT_80_TCP_PORT": "80",
            "TXTOKEN_PORT_80_TCP_ADDR": "10.0.0.7",
            "TXTOKEN_BLUE_SERVICE_HOST": "10.0.0.8",
            "TXTOKEN_BLUE_PORT": "tcp://10.0.0.8:80",
        },
    )
    assert config == load_text(tmp_path, whole(""))


# Describing, and the example


def test_description_is_a_configuration(tmp_path: Path) -> None:
    """What is described, under the file's own names and with the secrets put back, loads as the same configuration."""
    config = load_text(
        tmp_path,
        whole(
            "expHours: 0.5\nlisten: [127.0.0.1, '::1']\nlimits: {bodyBytes: 2KiB}\ntimeouts: {remote: 500ms}\n"
            "verify: {iss: me, aud: [a, b], maxAge: 1m}\nrequestTokenData: {a: [1, {b: ü}]}\nforwardHeaders: []\n"
            "statusMap: {401: pass, timeout: 504}\ntrustedProxies: [10.0.0.0/8]\ncors: {origins: ['https://a.example']}\n"
        ),
    )
    described = json.loads(orjson.dumps(describe(config)))
    assert set(described) == {key.name.partition(".")[0] for key in KEYS} - {"encKeyFile", "requestKeyFile"}
    assert described["expHours"] == 0.5
    assert described["requestTokenData"] == {"a": [1, {"b": "ü"}]}
    assert described["timeouts"]["remote"] == 0.5
    written = yaml.safe_dump({**described, "encKey": KEY, "requestKey": KEY}, allow_unicode=True)
    assert load_text(tmp_path, written) == config


def uncommented(text: str) -> str:
    """Return the example file with every key that is commented out put in force."""
    return re.sub(r"^# ( *[a-zA-Z]+:(?: |$))", r"\1", text, flags=re.MULTILINE)


def test_example_loads_and_is_the_default(tmp_path: Path) -> None:
    """The example is a good configuration whose commented-out values are the defaults."""
    example_text = EXAMPLE_FILE.read_text()
    config = load(str(EXAMPLE_FILE), {})
    assert config.debug
    assert len(config.warnings) == 1
    full = uncommented(example_text)
    for name in ("encKeyFile", "requestKey", "requestKeyFile", "adminPort"):  # they have no default
        full, count = re.subn(rf"^{name}: .*\n", "", full, flags=re.MULTILINE)
        assert count == 1
    given = yaml.safe_load(full)
    assert len(given) > len(yaml.safe_load(example_text))
    plain = load_text(tmp_path, whole("requestTokenData: {service: txtoken}"))
    overrides = {"debug": "false", "encKey": KEY, "remote": REMOTE}
    assert load_text(tmp_path, full, {}, overrides) == plain


def test_example_names_every_key() -> None:
    """Who reads the example has seen every key there is, and none that there is not."""
    given = yaml.safe_load(uncommented(EXAMPLE_FILE.read_text()))
    names = [
        f"{name}.{inner}" if name in SECTIONS else name
        for name, value in given.items()
        for inner in (value if name in SECTIONS else [""])
    ]
    assert sorted(names) == sorted(key.name for key in KEYS)
