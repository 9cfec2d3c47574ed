"""File, environment and command line into a `Config`, key by key (contract §1)."""

from __future__ import annotations

import json
import re
from operator import attrgetter
from pathlib import Path
from typing import Final

import orjson
import pytest
import yaml

from tests.configuring import EXAMPLE_FILE, KEY, OTHER_KEY, REMOTE, REQUIRED, failure, load_text, revealed, told, whole
from txtoken.config import values
from txtoken.config.cpus import usable_cpus
from txtoken.config.read import load
from txtoken.config.signing_secret import EXAMPLE_KEY
from txtoken.config.table import KEYS, SECTIONS, SWITCHES, describe
from txtoken.errors import ConfigError
from txtoken.settings import (
    CookieSettings,
    CorsSettings,
    ForwardAuthSettings,
    IssueSettings,
    JwksSettings,
    Limits,
    ListenTls,
    LogSettings,
    RefreshSettings,
    RemoteProxy,
    RemoteTls,
    Secret,
    ThrottleSettings,
    Timeouts,
    VerifyRules,
)

# Contract §1.1 and §1.2, row by row

ROWS: Final[list[tuple[str, str, object]]] = [
    ("process.port", "", 8888),
    ("process.port", "port: 0", 0),
    ("process.port", "port: 65535", 65535),
    ("process.port", 'port: "9000"', 9000),
    ("process.port", "port:", 8888),
    ("process.port", "port: ~", 8888),
    ("log.debug", "", False),
    ("log.debug", "debug: true", True),
    ("log.debug", 'debug: "true"', True),
    ("log.debug", "debug: 'false'", False),
    ("remote.url", "remote: https://h/x?tenant=a&b", "https://h/x?tenant=a&b"),
    ("issue.ttl_s", "", 86_400),
    ("issue.ttl_s", "expHours: 1", 3600),
    ("issue.ttl_s", "expHours: 0.25", 900),
    ("issue.ttl_s", "expHours: '2.5'", 9000),
    ("login.route", "", "/getToken"),
    ("login.route", "getTokenRoute: /login/token", "/login/token"),
    ("check.route", "", "/checkToken"),
    ("check.route", "checkTokenRoute: '/'", "/"),
    ("remote.request_token_data", "", b"{}"),
    ("remote.request_token_data", "requestTokenData: {service: a, deep: {er: [1, 2]}}", b'{"service":"a","deep":{"er":[1,2]}}'),
    ("remote.request_token_data", "requestTokenData: '{\"method\": \"set\"}'", b'{"method":"set"}'),
    ("remote.request_token_data", "requestTokenData:\n  - a\n  - 1", b'["a",1]'),
    ("reload_s", "", 10.0),
    ("reload_s", "reload: 1m", 60.0),
    ("reload_s", "reload: 24h", 86_400.0),
    ("reload_s", "reload: off", None),
    ("reload_s", "reload: 'off'", None),
    ("process.workers", "", 1),
    ("process.workers", "workers: 3", 3),
    ("process.workers", "workers: auto", usable_cpus()),
    ("process.admin_port", "", None),
    ("process.admin_port", "adminPort: 9090", 9090),
    ("process.admin_port", "port: 0\nadminPort: 0", 0),
    ("process.addresses", "", ("::",)),
    ("process.addresses", "listen: 0.0.0.0", ("0.0.0.0",)),  # noqa: S104 - nothing is bound
    ("process.addresses", "listen: 127.0.0.1", ("127.0.0.1",)),
    ("process.addresses", 'listen: "::"', ("::",)),
    ("process.addresses", "listen: [127.0.0.1, '::1']", ("127.0.0.1", "::1")),
    ("process.addresses", "listen: unix:/run/t.sock", ("unix:/run/t.sock",)),
    ("process.addresses", "listen: ['::1', 'unix:/run/t.sock']", ("::1", "unix:/run/t.sock")),
    ("remote.success_statuses", "", frozenset((200,))),
    ("login.success_members", "", ()),
    ("remote.success_statuses", "successStatus: 201", frozenset((201,))),
    ("remote.success_statuses", "successStatus: [200, '201', 201]", frozenset((200, 201))),
    ("remote.success_statuses", "successStatus: 2xx", frozenset(range(200, 300))),
    ("remote.success_statuses", "successStatus: [200, 2xx]", frozenset(range(200, 300))),
    ("login.success_members", "successWhen:", ()),
    ("login.success_members", "successWhen: {}", ()),
    ("login.success_members", "successWhen:\n  /success: true\n  /errors:\n  /user/roles/0: admin\n  /a~1b~0c: {n: [1, 1.5]}",
     (("/success", b"true"), ("/errors", b"null"), ("/user/roles/0", b'"admin"'), ("/a~1b~0c", b'{"n":[1,1.5]}'))),
    ("login.success_members", "successWhen: {/b: 'true', /a: 12345678901234567890123}",
     (("/b", b'"true"'), ("/a", b"12345678901234567890123"))),
    ("login.success_members", "successWhen: '{\"/ok\": 1, \"\": {}}'", (("/ok", b"1"), ("", b"{}"))),
    ("remote.url", "remote: http+unix://%2Frun%2Flogin.sock/login", "http+unix://%2Frun%2Flogin.sock/login"),
    ("remote.proxy", "", None),
    ("remote.proxy", "remoteProxy: env", None),
    ("remote.proxy", "remoteProxy: off", None),
    ("remote.proxy", "remoteProxy: http://Proxy.internal:3128", RemoteProxy("http://proxy.internal:3128")),
    ("remote.proxy", "remoteProxy: https://u:p%40s@[::1]/",
     RemoteProxy("https://[::1]", Secret(b"Basic dTpwQHM="))),
    ("remote.request_token_s", "", 300),
    ("remote.request_token_s", "requestTokenSeconds: 10", 10),
    ("remote.request_token_s", "requestTokenSeconds: 86400", 86_400),
    ("login.validate_body", "", True),
    ("login.validate_body", "validateBody: false", False),
    ("limits", "", Limits(65_536, 100, 1_048_576, 67_108_864, 10_000)),
    ("remote.reply_bytes", "", 131_072),
    ("issue.token_bytes_max", "", 32_768),
    ("check.token_bytes_max", "", 32_768),
    ("check.token_bytes_max", "limits: {tokenBytes: 1MiB}", 1_048_576),
    ("remote.connections", "", 256),
    ("remote.waiting", "", 1024),
    ("limits", "limits: {headBytes: 1KiB, headerCount: 1, bodyBytes: 1}", Limits(1024, 1, 1)),
    ("remote.reply_bytes", "limits: {replyBytes: 64MiB}", 67_108_864),
    ("issue.token_bytes_max", "limits: {tokenBytes: 1MiB}", 1_048_576),
    ("limits.buffered_bytes", "limits: {bufferedBytes: 1MiB}", 1_048_576),
    ("limits.connections", "limits: {connections: 1}", 1),
    ("remote.connections", "limits: {remoteConnections: '7'}", 7),
    ("remote.waiting", "limits: {waiting: 0}", 0),
    ("limits", "limits:", Limits()),
    ("timeouts", "", Timeouts(10.0, 30.0, 75.0, 30.0, 0.0)),
    ("remote.connect_s", "", 2.0),
    ("remote.timeout_s", "", 5.0),
    ("remote.idle_s", "", 15.0),
    ("timeouts", "timeouts: {head: 1, body: 2s, idle: 1m}", Timeouts(1.0, 2.0, 60.0)),
    ("remote.connect_s", "timeouts: {connect: 500ms}", 0.5),
    ("remote.timeout_s", "timeouts: {remote: 1.5}", 1.5),
    ("remote.idle_s", "timeouts: {remoteIdle: 1m}", 60.0),
    ("timeouts", "timeouts: {idle: 24h, drain: 7d, drainDelay: 1h}",
     Timeouts(idle=86_400.0, drain=604_800.0, drain_delay=3600.0)),
    ("timeouts.drain", "timeouts: {drain: 0}", 0.0),
    ("timeouts.drain_delay", "timeouts: {drainDelay: 5s}", 5.0),
    ("login.forward_headers", "", ("X-Request-Id", "traceparent", "tracestate")),
    ("login.forward_headers", "forwardHeaders: [X-A, x-b]", ("X-A", "x-b")),
    ("login.forward_headers", "forwardHeaders: []", ()),
    ("login.forward_headers", "forwardHeaders: X-A", ("X-A",)),
    ("login.status_map", "", "original"),
    ("login.status_map", "statusMap: gateway", "gateway"),
    ("login.status_map", "statusMap: {}", {}),
    ("login.status_map", "statusMap: {401: pass, 4xx: 400, 599: 503, timeout: 504, unreachable: 502, invalid: '500'}",
     {"401": "pass", "4xx": "400", "599": "503", "timeout": "504", "unreachable": "502", "invalid": "500"}),
    ("login.status_map", "successStatus: 201\nstatusMap: {200: 401, 2xx: 502}", {"200": "401", "2xx": "502"}),
    ("login.status_map", "statusMap: '{\"401\": \"pass\", \"5xx\": 502}'", {"401": "pass", "5xx": "502"}),
    ("login.pass_remote_errors", "", False),
    ("login.pass_remote_errors", "passRemoteErrors: true", True),
    ("trusted_proxies", "", ()),
    ("trusted_proxies", "trustedProxies: [10.0.0.0/8, 192.0.2.7, 'fd00::/8', '2001:DB8::1', unix]",
     ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "2001:db8::1/128", "unix")),
    ("trusted_proxies", "trustedProxies: 10.0.0.0/8", ("10.0.0.0/8",)),
    ("login.forwarded_for", "", False),
    ("login.forwarded_for", "forwardedFor: true", True),
    ("login.forward_headers", "forwardHeaders: [X-Forwarded-For]", ("X-Forwarded-For",)),
    ("throttle", "", None),
    ("throttle", "throttle: {field: /user}", ThrottleSettings("/user", 10, 300.0, 60.0)),
    ("throttle", "throttle: {field: /a~1b/0, failures: '3', window: 10s, lockout: 1s}",
     ThrottleSettings("/a~1b/0", 3, 10.0, 1.0)),
    ("throttle", "throttle: {field: /user, failures: 100, window: 1d, lockout: 24h}",
     ThrottleSettings("/user", 100, 86_400.0, 86_400.0)),
    ("cors", "", CorsSettings((), ("Authorization", "Content-Type"), 600.0, False)),
    ("cors", "cors: {origins: '*'}", CorsSettings(("*",))),
    ("cors", "cors: {origins: [https://a.example, 'http://b:81'], headers: [X-A], maxAge: 5s, credentials: true}",
     CorsSettings(("https://a.example", "http://b:81"), ("X-A",), 5.0, True)),
    ("cors.origins", "cors: {origins: 'http://[::1]:3000'}", ("http://[::1]:3000",)),
    ("cors.origins", "cors: {origins: moz-extension://1f-2}", ("moz-extension://1f-2",)),
    ("cors.headers", "cors: {origins: [], headers: []}", ()),
    ("tls", "", ListenTls()),
    ("tls", "tls: {certFile: null}", ListenTls()),
    ("remote.tls", "", RemoteTls()),
    ("remote.tls", "remote: https://h/\nremoteTls: {serverName: login.example}", RemoteTls(server_name="login.example")),
    ("remote.tls", "remote: https://h/\nremoteTls: {serverName: 10.0.0.1}", RemoteTls(server_name="10.0.0.1")),
    ("remote.tls", "remote: HTTPS://h/\nremoteTls: {verify: false}", RemoteTls(verify=False)),
    ("check.rules", "", VerifyRules(0.0, None, (), True, None)),
    ("check.rules", "verify: {leeway: 30s, iss: me, aud: [a, b], requireExp: false, maxAge: 1m}",
     VerifyRules(30.0, "me", ("a", "b"), False, 60.0)),
    ("check.rules.audience", "verify: {aud: one}", ("one",)),
    ("check.rules.issuer", "verify: {iss: 0123}", "0123"),
    ("issue", "", IssueSettings(86_400)),
    ("issue", "claims: {iss: https://login.example, aud: api, sub: /user/id, iat: true, nbf: true, jti: true, typ: at+jwt}",
     IssueSettings(86_400, 32_768, "https://login.example", ("api",), "/user/id", True, True, True, "at+jwt")),
    ("issue.audience", "claims: {aud: [api, web]}", ("api", "web")),
    ("issue.subject", "claims: {sub: ''}", ""),
    ("issue.data_claim", "dataClaim: user", "user"),
    ("issue.data_claim", "dataClaim: ''", ""),
    ("issue.data_include", "dataFields: {include: [id, name]}", ("id", "name")),
    ("issue.data_include", "dataFields: {include: []}", ()),
    ("issue.data_exclude", "dataFields: {exclude: password}", ("password",)),
    ("jwks", "", JwksSettings()),
    ("jwks", "jwksRoute: /keys", JwksSettings("/keys")),
    ("cookie", "", CookieSettings()),
    ("cookie", "cookie: {name: ''}", CookieSettings()),
    ("cookie", "cookie: {name: s}", CookieSettings("s", None, "/", secure=True, http_only=True, same_site="Lax")),
    ("cookie", "cookie: {name: s, domain: a.example, path: /a, secure: false, httpOnly: false, sameSite: Strict}",
     CookieSettings("s", "a.example", "/a", secure=False, http_only=False, same_site="Strict")),
    ("refresh", "", RefreshSettings()),
    ("refresh", "refresh:", RefreshSettings()),
    ("issue.max_session_s", "", None),
    ("refresh", "refresh: {}", RefreshSettings("/refreshToken", 43_200, 0, None)),
    ("issue.max_session_s", "refresh: {}\nexpHours: 1", 43_200),
    ("issue.life_s", "refresh: {maxSession: 1h}", 3600),
    ("issue.life_s", "refresh: {maxSession: 1h}\nexpHours: 0.25", 900),
    ("issue.max_session_s", "refresh.maxSession: 1h", 3600),
    ("token_use_s", "expHours: 1\nrefresh: {grace: 1d}", 90_000),
    ("refresh", "refresh: {route: /r/, maxSession: 7d, grace: 24h, remote: 'http+unix://%2Frun%2Fr.sock/'}",
     RefreshSettings("/r/", 604_800, 86_400, "http+unix://%2Frun%2Fr.sock/")),
    ("refresh.proxy", "refresh: {remote: 'http://a/'}\nremoteProxy: http://proxy:1", RemoteProxy("http://proxy:1")),
    ("refresh.proxy", "refresh: {remote: 'http+unix://%2Fr/'}\nremoteProxy: http://proxy:1", None),
    ("refresh.end_route", "refresh: {}", "/refreshToken/end"),
    ("refresh.end_route", "refresh: {route: /}", "/end"),
    ("forward_auth", "", ()),
    ("forward_auth", "forwardAuth: {}", (ForwardAuthSettings("/forwardAuth"),)),
    ("process.auth_addresses", "forwardAuth: [{listen: '127.0.0.1:0'}, {route: /a}, {route: /, listen: 'unix:/d'}]",
     ("127.0.0.1:0", "unix:/d")),
    ("check.response", "", "original"),
    ("check.response", "checkResponse: claims", "claims"),
    ("log", "", LogSettings("info", "json", True)),
    ("log", "debug: true", LogSettings("debug", "text", True, debug=True)),
    ("log", "debug: true\nlog: {level: warning}", LogSettings("warning", "text", True, debug=True)),
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
    ("encKey", "encKey: short", 1, "has to be 32 to 4096 bytes long; this one has 5"),
    ("encKey", f"encKey: {'long' * 1025}", 1, "has to be 32 to 4096 bytes long; this one has 4100"),
    ("encKey", f"encKey: {'z' * 40}", 1, "is one character repeated"),
    ("encKey", f"encKey: {EXAMPLE_KEY}", 1, "is the example file's key"),
    ("encKey", "encKey: [a]", 1, "has to be one value"),
    ("encKey", "encKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", 1, "is a PEM, SSH or JWK key"),
    ("encKey", "port: 1\nencKey: !vault aaaaaaaaaaaabbbbbbbbbbbccccccccc", 2, "has a YAML tag"),
    ("remote", "remote: login.internal/login", 1, "has to be an absolute http or https URL"),
    ("remote", "remote: http://user:pass@h/", 1, "must not contain a user or password"),
    ("remote", "remote: http://h/#top", 1, "must not have a fragment"),
    ("remote", "remote: http://h:99999/", 1, "has a malformed host or port"),
    ("remote", "remote: ''", 1, "has to be a URL in printable ASCII"),
    ("expHours", "expHours: 0", 1, "has to be hours above 0"),
    ("expHours", "expHours: -1", 1, "has to be hours above 0"),
    ("expHours", "expHours: .inf", 1, "has to be hours above 0"),
    ("expHours", "expHours: 24 hours", 1, "has to be hours above 0"),
    ("getTokenRoute", "getTokenRoute: getToken", 1, "has to be a path that starts with /"),
    ("getTokenRoute", "getTokenRoute: /readyz", 1, "/readyz is in use"),
    ("checkTokenRoute", "checkTokenRoute: /check?x", 1, "has to be a path that starts with /"),
    ("checkTokenRoute", "port: 1\ncheckTokenRoute: /getToken", 2, "has to differ from getTokenRoute"),
    ("requestTokenData", "requestTokenData: hello", 1, "is not JSON"),
    ("requestTokenData", "requestTokenData:\n  a: .nan", 2, "number that JSON cannot express"),
    ("requestTokenData", "requestTokenData:\n  a: 1\n  b: 2\n  a: 3", 4, "contains a member twice"),
    ("reload", "reload: never", 1, "or off"),
    ("workers", "workers: 0", 1, "has to be a whole number from 1 to 256, or auto"),
    ("workers", "workers: many", 1, "has to be a whole number from 1 to 256, or auto"),
    ("adminPort", "adminPort: 65536", 1, "has to be a whole number from 0 to 65535"),
    ("adminPort", "port: 9090\nadminPort: 9090", 2, "has to differ from port"),
    ("adminPort", "\nadminPort: 8888", 2, "has to differ from port"),
    ("listen", "listen: example.com", 1, "has to be an IP address"),
    ("listen", "listen:\n  - 127.0.0.1\n  - nowhere", 3, "has to be an IP address"),
    ("listen", "listen: unix:run/x", 1, "has to name a Unix socket by its whole path"),
    ("listen", "listen: []", 1, "lists no address"),
    ("encKeyFile", "encKeyFile: /no/such/file", 1, "names a file that does not exist"),
    ("encKeyFile", f"encKeyFile: /dev/null\nencKey: {KEY}", 1, "is not a file"),
    ("encKey", f"encKeyFile: /dev/null\nencKey: {KEY}", 2, "is set beside encKeyFile: keep one of them"),
    ("requestKeyFile", f"requestKey: {KEY}\nrequestKeyFile: KEY_FILE", 2, "is set beside requestKey: keep one of"),
    ("requestKey", "requestKey: short", 1, "has to be 32 to 4096 bytes long; this one has 5"),
    ("requestKey", f"requestKey: {'z' * 40}", 1, "is one character repeated"),
    ("successStatus", "successStatus: [200, 302]", 1, "has to be a list of statuses from 200 to 299, or 2xx"),
    ("successStatus", "successStatus:\n  - 200\n  - 2XX", 3, "has to be a list of statuses from 200 to 299, or 2xx"),
    ("successStatus", "successStatus: []", 1, "lists no status"),
    ("successWhen", "successWhen:\n  /a: 1\n  success: true", 3, "is not a JSON Pointer: it has to begin with /"),
    ("successWhen", "successWhen:\n  '#/a': 1", 2, "begins with #"),
    ("successWhen", "successWhen:\n  /a: 1\n  /b~2: 1", 3, "with a ~ that is neither"),
    ("successWhen", "successWhen: {/a~: 1}", 1, "with a ~ that is neither"),
    ("successWhen", "successWhen:\n  /a: 1\n  /a: 2", 3, "contains a member twice"),
    ("successWhen", "successWhen:\n  /a: 1\n  /b: {c: .nan}", 3, "number that JSON cannot express"),
    ("successWhen", "successWhen:\n  /b:\n    c: 1\n    d: .nan", 4, "number that JSON cannot express"),
    ("successWhen", "successWhen: ok", 1, "has to be a section, or text like"),
    ("successWhen", "successWhen: [/a]", 1, "has to be one value, not a list or a section"),
    ("successWhen", 'successWhen: \'{"/a": 1, "/a": 1}\'', 1, "contains a member twice"),
    ("successWhen", "successWhen: '{\"a\": 1}'", 1, "is not a JSON Pointer"),
    ("remoteProxy", "remoteProxy: on", 1, "has to be a proxy's URL like http://proxy.internal:3128"),
    ("remoteProxy", "remoteProxy: proxy:3128", 1, "of scheme http or https: others are not supported"),
    ("remoteProxy", "remoteProxy: socks5://proxy:1080", 1, "of scheme http or https: others are not supported"),
    ("remoteProxy", "remoteProxy: http://proxy:99999", 1, "malformed host or port"),
    ("remoteProxy", "remoteProxy: http://proxy/path", 1, "must not have a path"),
    (
        "remoteProxy",
        "remote: http+unix://%2Fs/\nremoteProxy: http://p",
        2,
        "cannot be used with a remote at a Unix socket",
    ),
    ("remoteProxyFile", "remoteProxyFile: /no/such/file", 1, "names a file that does not exist"),
    ("remoteProxyFile", "remoteProxyFile: KEY_FILE", 1, "has to be a proxy's URL"),
    (
        "remoteTls.serverName",
        "remote: http+unix://%2Fs/\nremoteTls: {serverName: h}",
        2,
        "applies only to a remote with TLS",
    ),
    ("statusMap", "successStatus: 2xx\nstatusMap: {2xx: 502}", 2, "cannot map 2xx: all of these are a success"),
    ("statusMap", "successStatus: [201]\nstatusMap: {201: 502}", 2, "cannot map 201, which is a success"),
    ("requestTokenSeconds", "requestTokenSeconds: 9", 1, "has to be a whole number of seconds from 10 to 86400"),
    (
        "requestTokenSeconds",
        "requestTokenSeconds: 5 minutes",
        1,
        "has to be a whole number of seconds from 10 to 86400",
    ),
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
    ("timeouts.head", "timeouts: {head: 0}", 1, "has to be a time from 0.001 to 604800 seconds"),
    ("timeouts.body", "timeouts: {body: 8d}", 1, "has to be a time from 0.001 to 604800 seconds"),
    ("timeouts.idle", "timeouts: {idle: -1}", 1, "has to be a time from"),
    ("timeouts.connect", "timeouts: {connect: soon}", 1, "has to be a time from"),
    ("timeouts.remote", "timeouts: {remote: 0s}", 1, "has to be a time from"),
    ("timeouts.remoteIdle", "timeouts: {remoteIdle: 0}", 1, "has to be a time from"),
    ("timeouts.drain", "timeouts: {drain: 169h}", 1, "has to be a time from 0 to 604800 seconds"),
    ("timeouts.drainDelay", "timeouts: {drainDelay: x}", 1, "has to be a time from 0 to 604800 seconds"),
    ("forwardHeaders", "forwardHeaders:\n  - X-A\n  - Authorization", 3, "Authorization is never forwarded"),
    ("forwardHeaders", "forwardHeaders: [connection]", 1, "connection is never forwarded"),
    ("forwardHeaders", "forwardHeaders: [host]", 1, "host is never forwarded"),
    ("forwardHeaders", "forwardHeaders: [content-LENGTH]", 1, "content-LENGTH is never forwarded"),
    ("forwardHeaders", "forwardHeaders: ['*']", 1, "patterns are not supported"),
    ("forwardHeaders", "forwardHeaders:\n  - X-A\n  - X-Tenant-*", 3, "patterns are not supported"),
    ("forwardHeaders", "forwardHeaders: ['X A']", 1, "has to be a list of header field names"),
    ("forwardHeaders", "forwardHeaders: {a: b}", 1, "has to be one value"),
    ("forwardHeaders", "forwardedFor: true\nforwardHeaders: [x-forwarded-FOR]", 2, "forwardedFor already sends"),
    ("statusMap", "statusMap: Gateway", 1, "has to be original, gateway, or a map like"),
    ("statusMap", "statusMap: 502", 1, "has to be original, gateway, or a map like"),
    ("statusMap", "statusMap: [401]", 1, "has to be one value, not a list or a section"),
    ("statusMap", "statusMap:\n  401: pass\n  4XX: 400", 3, "contains a key that is not a status (401), class (4xx)"),
    ("statusMap", "statusMap:\n  401: pass\n  1xx: 400", 3, "contains a key that is not a status (401), class (4xx)"),
    ("statusMap", "statusMap:\n  401: pass\n  401: 400", 3, "contains a member twice"),
    ("statusMap", "statusMap: {200: 400}", 1, "cannot map 200"),
    ("statusMap", "statusMap: {3xx: pass}", 1, "3xx cannot be pass: set the status that clients get"),
    ("statusMap", "statusMap: {timeout: pass}", 1, "timeout cannot be pass: set the status that clients get"),
    ("statusMap", "statusMap: {401: 302}", 1, "401 needs a status from 400 to 599, or pass"),
    ("statusMap", "statusMap: {401: [pass]}", 1, "has to be one value, not a list or a section"),
    ("statusMap", "statusMap: '{\"timeout\": 200}'", 1, "timeout needs a status from 400 to 599, or pass"),
    ("passRemoteErrors", "passRemoteErrors: 1", 1, "has to be true or false"),
    ("trustedProxies", "trustedProxies:\n  - 10.0.0.0/8\n  - proxy", 3, "has to be a list of networks like 10.0.0.0/8"),
    ("trustedProxies", "trustedProxies: 10.0.0.0/33", 1, "has to be a list of networks like 10.0.0.0/8"),
    ("trustedProxies", "trustedProxies: 10.0.0.1/8", 1, "did you mean 10.0.0.0/8?"),
    ("forwardedFor", "forwardedFor: on", 1, "has to be true or false"),
    ("throttle.field", "throttle: {field: user}", 1, "has to begin with /"),
    ("throttle.field", "throttle:\n  failures: 10", 2, "is required in this section"),
    ("throttle.field", "throttle:\n  field:\n  lockout: 1m", 3, "is required in this section"),
    ("throttle.failures", "throttle: {field: /user, failures: 0}", 1, "has to be a whole number from 1 to 100"),
    ("throttle.failures", "throttle: {field: /user, failures: 101}", 1, "has to be a whole number from 1 to 100"),
    ("throttle.window", "throttle: {field: /user, window: 9s}", 1, "has to be a time from 10 to 86400 seconds"),
    ("throttle.window", "throttle: {field: /user, window: 2d}", 1, "has to be a time from 10 to 86400 seconds"),
    ("throttle.lockout", "throttle: {field: /user, lockout: 500ms}", 1, "has to be a time from 1 to 86400 seconds"),
    ("cors.origins", "cors: {origins: null, headers: [X-A]}", 1, "is required in this section"),
    ("cors.origins", "cors:\n  origins: ['*', https://a.example]", 2, "contains * beside other origins"),
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
    ("cors.headers", "cors: {origins: '*', headers: '*'}", 1, "has to list the header fields"),
    ("cors.headers", "cors: {origins: '*', headers: [X A]}", 1, "has to be a list of header field names"),
    ("cors.maxAge", "cors: {origins: '*', maxAge: 2d}", 1, "has to be a time from 0 to 86400 seconds"),
    ("cors.credentials", "cors:\n  origins: '*'\n  credentials: true", 3, "cannot be used with origins: '*'"),
    ("tls.certFile", "tls: {certFile: /no/such/file}", 1, "names a file that does not exist"),
    ("tls.keyFile", "tls:\n  keyFile: /dev/null", 2, "is not a file"),
    ("tls.clientCaFile", "tls: {clientCaFile: KEY_FILE}", 1, "contains no certificate in PEM form"),
    ("remoteTls.caFile", "remoteTls: {caFile: KEY_FILE}", 1, "contains no certificate in PEM form"),
    ("remoteTls.certFile", "remoteTls: {certFile: KEY_FILE}", 1, "contains no certificate in PEM form"),
    ("remoteTls.keyFile", "remoteTls: {keyFile: KEY_FILE}", 1, "contains no private key in PEM form"),
    ("remoteTls.serverName", "remoteTls: {serverName: 'a b'}", 1, "has to be a host name"),
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
    ("keys", "keys: text", 1, "has to be a list of sections, or one section"),
    ("keys", "keys: []", 1, "contains no key"),
    ("revocations", "revocations: none.txt", 1, "names a file that does not exist"),
    ("revocations", "revocations: /", 1, "is not a file"),
    ("jwksRoute", "jwksRoute: jwks.json", 1, "has to be a path that starts with /"),
    ("jwksRoute", "jwksRoute: /getToken", 1, "has to differ from getTokenRoute"),
    ("forwardAuth", "forwardAuth: text", 1, "has to be a list of sections, or one section"),
    ("forwardAuth", "forwardAuth: []", 1, "contains no section"),
    ("cookie.name", "cookie: {name: a b}", 1, "has to be a cookie's name"),
    ("cookie.name", "cookie: {path: /}", 1, "is required in this section"),
    ("cookie.name", "cookie: {}", 1, "is required in this section"),
    ("throttle.field", "throttle: {}", 1, "is required in this section"),
    ("cookie.domain", "cookie: {name: a, domain: 'a b'}", 1, "has to be a domain"),
    ("cookie.domain", "cookie: {name: __Host-a, domain: a.example}", 1, "cannot be used with a __Host- name"),
    ("cookie.path", "cookie: {name: a, path: a}", 1, "has to be a path that starts with /"),
    ("cookie.path", "cookie: {name: a, path: /;x}", 1, "has to be a path that starts with /"),
    ("cookie.path", "cookie: {name: __host-a, path: /a}", 1, "has to be /"),
    ("cookie.secure", "cookie: {name: a, secure: 1}", 1, "has to be true or false"),
    ("cookie.secure", "cookie: {name: __Host-a, secure: false}", 1, "has to be true"),
    ("cookie.secure", "cookie: {name: __Secure-a, secure: false}", 1, "has to be true"),
    ("cookie.httpOnly", "cookie: {name: a, httpOnly: x}", 1, "has to be true or false"),
    ("cookie.sameSite", "cookie: {name: a, sameSite: lax}", 1, "has to be Lax or Strict or None"),
    ("cookie.sameSite", "cookie: {name: a, sameSite: None, secure: false}", 1, "None needs secure: true"),
    ("refresh.route", "refresh: {route: refresh}", 1, "has to be a path that starts with /"),
    ("refresh.route", "refresh: {route: /livez}", 1, "/livez is in use"),
    ("refresh.route", "refresh: {route: /getToken}", 1, "has to differ from getTokenRoute"),
    ("checkTokenRoute", "checkTokenRoute: /refreshToken\nrefresh: {}", 1, "/refreshToken is in use"),
    ("jwksRoute", "cookie: {name: s}\njwksRoute: /refreshToken/end\nrefresh: {}", 2, "/refreshToken/end is in use"),
    ("refresh.route", "jwksRoute: /keys\nrefresh: {route: /keys}", 2, "has to differ from jwksRoute"),
    (
        "refresh.route",
        "cookie: {name: s}\ncheckTokenRoute: /r/end\nrefresh: {route: /r}",
        3,
        "has to differ from checkTokenRoute: sessions end at /r/end",
    ),
    ("refresh.maxSession", "refresh: {maxSession: 0}", 1, "has to be a time from 1 to 31622400 seconds"),
    ("refresh.grace", "refresh: {grace: 25h}", 1, "has to be a time from 0 to 86400 seconds"),
    ("refresh.remote", "refresh: {remote: /login}", 1, "has to be an absolute http or https URL"),
    ("refresh.remote", "refresh: {remote: 'http://u:p@h/'}", 1, "must not contain a user or password"),
    ("forwardAuth.route", "forwardAuth: {route: /s}\nrefresh: {route: /s/refresh}", 1, "covers /s/refresh"),
    ("forwardAuth.route", "cookie: {name: s}\nforwardAuth: {route: /s/end}\nrefresh: {route: /s}", 2, "covers /s/end"),
    ("claims.iss", "claims: {iss: [a]}", 1, "has to be one value"),
    ("claims.aud", "claims: {aud: [~]}", 1, "contains an item without a value"),
    ("claims.sub", "claims: {sub: id}", 1, "has to begin with /"),
    ("claims.sub", "claims: {sub: /a~2}", 1, "with a ~ that is neither"),
    ("claims.iat", "claims: {iat: 1}", 1, "has to be true or false"),
    ("claims.nbf", "claims: {nbf: now}", 1, "has to be true or false"),
    ("claims.jti", "claims: {jti: uuid}", 1, "has to be true or false"),
    ("claims.typ", "claims: {typ: a b}", 1, "has to be a type of tokens"),
    ("claims.typ", "claims: {typ: remote+JWT}", 1, "is the type of the token that txtoken sends to the remote"),
    ("dataClaim", "dataClaim: sub", 1, "is a claim with a meaning of its own"),
    ("dataFields.include", "dataFields: {include: {}}", 1, "has to be one value"),
    ("dataFields.exclude", "dataFields: {exclude: [{}]}", 1, "has to be one value"),
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
    assert warning.startswith("passRemoteErrors has no effect")
    assert load_text(tmp_path, whole("passRemoteErrors: true\nstatusMap: gateway")).warnings == ()


@pytest.mark.parametrize(
    ("listen", "trusted", "warns"),
    [
        ("unix:/run/t.sock", "[]", True),
        ("unix:/run/t.sock", "[10.0.0.0/8]", True),
        ("unix:/run/t.sock", "[unix]", False),
        ("['unix:/run/t.sock', 127.0.0.1]", "[]", False),
    ],
)
def test_a_throttle_behind_a_unix_socket(tmp_path: Path, listen: str, trusted: str, warns: bool) -> None:
    """A throttle that can only see one client is warned of, and a service without one is not."""
    text = whole(f"listen: {listen}\ntrustedProxies: {trusted}")
    assert load_text(tmp_path, text).warnings == ()
    said = load_text(tmp_path, f"throttle: {{field: /user}}\n{text}").warnings
    assert [
        warning.startswith("throttle counts the failed logins of all clients as one client's") for warning in said
    ] == [True] * warns


def test_required_keys(tmp_path: Path) -> None:
    """Without a remote and a key nothing starts, whatever else is given, and both are reported at once."""
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
    assert (config.process.port, config.log.debug, config.remote.url) == (
        8080,
        False,
        "http://127.0.0.1:8070/api/login?app=1",
    )
    assert revealed(config.keys.secret) == revealed(config.remote.request_key) == b"Tr0ub4dor&3-correct-horse-battery"
    assert (config.issue.ttl_s, config.remote.request_token_s) == (12 * 3600, 300)
    assert (config.login.route, config.check.route) == ("/getToken", "/checkToken")
    assert json.loads(config.remote.request_token_data) == {"Method": "set", "scopes": ["read", "write"]}
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
    assert revealed(load_text(tmp_path, whole(f"encKey: {written}")).keys.secret) == written.encode()
    assert revealed(load_text(tmp_path, whole(f"requestKey: {written}")).remote.request_key) == written.encode()
    environ = {"TXTOKEN_ENC_KEY": written}
    assert revealed(load_text(tmp_path, whole(""), environ).keys.secret) == written.encode()


@pytest.mark.parametrize("written", ["~", "null", "Null", "NULL", ""])
def test_key_that_reads_as_nothing_is_absent(tmp_path: Path, written: str) -> None:
    """YAML's ways to write nothing leave a key out, and never become a secret."""
    assert "encKey: is required" in str(failure(tmp_path, whole(f"encKey: {written}")))
    config = load_text(tmp_path, whole(f"requestKey: {written}"))
    assert config.remote.request_key == config.keys.secret


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
    assert revealed(load_text(tmp_path, whole(f"encKey: {yaml_text}")).keys.secret) == secret.encode()


def test_keys_that_everybody_knows_stay_on_this_machine(tmp_path: Path) -> None:
    """A weak key is refused, also with `debug: true`; where nobody else can reach the service a warning names each such key."""
    key_file = tmp_path / "key"
    key_file.write_text("k" * 32)
    for weak, name in (
        (f"encKey: {'z' * 64}", "encKey"),
        (f"encKey: {EXAMPLE_KEY}", "encKey"),
        (f"encKeyFile: {key_file}", "encKeyFile"),
        (f"requestKey: {'z' * 64}", "requestKey"),
        (f"requestKeyFile: {key_file}", "requestKeyFile"),
    ):
        (refusal,) = failure(tmp_path, whole(f"debug: true\n{weak}")).problems
        assert refusal.key == name
        assert refusal.where.endswith("line 2")
        (warning,) = load_text(tmp_path, whole(f"listen: 127.0.0.1\n{weak}")).warnings
        assert warning.startswith(f"{name} is ")
        assert "it is accepted only because" in warning


@pytest.mark.parametrize(
    ("listen", "is_local"),
    [
        ("localhost", True),
        ("127.1.2.3", True),
        ("'::1'", True),
        ("'::ffff:127.0.0.1'", True),
        ("unix:/run/s", True),
        ("[127.0.0.1, '::1', 'unix:/run/s']", True),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound
        ("'::'", False),
        ("[127.0.0.1, 10.0.0.1]", False),
        ("['unix:/run/s', '::']", False),
        ("'::ffff:10.0.0.1'", False),
        ("~", False),
    ],
)
def test_where_a_weak_key_is_let_through(tmp_path: Path, listen: str, is_local: bool) -> None:
    """Every address has to be loopback or a Unix socket; sockets that systemd opens may be bound anywhere."""
    text = whole(f"encKey: {EXAMPLE_KEY}\nlisten: {listen}")
    if is_local:
        assert len(load_text(tmp_path, text).warnings) == 1
    else:
        assert len(failure(tmp_path, text).problems) == 1
    assert len(failure(tmp_path, text, {"LISTEN_FDS": "1"}).problems) == 1


@pytest.mark.parametrize(
    ("unseen", "kinds"),
    [
        ("K\n", ["a line end"]),
        ("a\r\nK", ["a line end"]),
        ("K\u2028", ["a line end"]),
        ("\x85K", ["a line end"]),
        (" K", ["a blank at an end"]),
        ("K\u00a0", ["a blank at an end"]),
        ("K\t", ["a blank at an end"]),
        ("K \n", ["a line end", "a blank at an end"]),
        ("\ufeffK", ["a byte order mark"]),
        ("\ufeff K", ["a blank at an end", "a byte order mark"]),
        ("a\x00K", ["a control character"]),
        ("a\tK", ["a control character"]),
        ("a\x9bK", ["a control character"]),
        ("K\x7f", ["a control character"]),
        ("a\u200bK", ["a zero-width character"]),
        ("K\u202e", ["a zero-width character"]),
        ("a\u00adK", ["a zero-width character"]),
        ("a\u3164K", ["a zero-width character"]),
        ("a K", []),
        ("ünïcödé K €", []),
    ],
)
def test_what_nobody_sees_in_a_secret_is_named(tmp_path: Path, unseen: str, kinds: list[str]) -> None:
    """A secret with characters that cannot be seen signs as it stands, and a warning names their kinds and nothing of it."""
    secret = unseen.replace("K", KEY)
    (tmp_path / "key").write_bytes(secret.encode() + b"\n")
    for text in (
        f"encKey: {json.dumps(secret)}",
        f"encKeyFile: {tmp_path}/key",
        f"requestKey: {json.dumps(secret)}",
        f"requestKeyFile: {tmp_path}/key",
    ):
        text = text if "encKey" in text else f"{text}\n{REQUIRED['encKey']}"
        config = load_text(tmp_path, f"{text}\n{REQUIRED['remote']}")
        assert secret.encode() in (revealed(config.keys.secret), revealed(config.remote.request_key))
        name = text.partition(":")[0]
        said = f"{name} contains {', '.join(kinds)}: this is part of the secret, and people may overlook it"
        assert config.warnings == ((said,) if kinds else ())


def test_good_keys_raise_no_warning(tmp_path: Path) -> None:
    """Debug alone warns of nothing."""
    assert load_text(tmp_path, whole("debug: true")).warnings == ()


@pytest.mark.parametrize(("rule", "claim"), [("iss: me", "iss"), ("aud: [a]", "aud"), ("maxAge: 1m", "iat")])
def test_rules_that_no_own_token_fulfils_are_a_warning(tmp_path: Path, rule: str, claim: str) -> None:
    """A required claim that this service does not write is a warning: its own tokens will be rejected."""
    (warning,) = load_text(tmp_path, whole(f"verify: {{{rule}}}")).warnings
    assert warning.startswith(f"verify.{rule.partition(':')[0]} rejects every token that this service issues")
    assert f"`{claim}`" in warning


# Sources


def test_what_counts_more(tmp_path: Path) -> None:
    """The command line counts more than the environment, that more than the file, that more than the default."""
    file, environ, overrides = "port: 1\nlimits: {waiting: 1}", {"TXTOKEN_PORT": "2"}, {"port": "3"}
    assert load_text(tmp_path, whole("")).process.port == 8888
    assert load_text(tmp_path, whole(file)).process.port == 1
    assert load_text(tmp_path, whole(file), environ).process.port == 2
    assert load_text(tmp_path, whole(file), environ, overrides).process.port == 3
    assert load_text(tmp_path, whole(file), {}, overrides).process.port == 3
    assert load_text(tmp_path, whole(file), {}, overrides).remote.waiting == 1


def test_a_bad_value_that_is_overridden_does_no_harm(tmp_path: Path) -> None:
    """Only the value that counts is judged."""
    assert load_text(tmp_path, whole("port: bad"), {"TXTOKEN_PORT": "2"}).process.port == 2


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
        "forwardHeaders": " ",
        "successStatus": "200, 201",
        "successWhen": '{"/ok": true}',
        "remoteProxy": "http://proxy:1",
        "statusMap": '{"401": "pass", "timeout": 504}',
        "trustedProxies": "10.0.0.0/8, unix",
        "cors.origins": "https://a.example,https://b.example",
        "verify.aud": "a,b",
        "verify.iss": "null",
    }
    by_name = {key.name: key.variable for key in KEYS}
    environ = {by_name[name]: text for name, text in texts.items()} if source == "environment" else {}
    config = load_text(tmp_path, whole("port: 1"), environ, texts if source == "--set" else {})
    assert (config.process.port, config.log.debug, revealed(config.keys.secret)) == (9, True, OTHER_KEY.encode())
    assert config.remote.request_token_data == b'{"a":[1]}'
    assert config.process.addresses == ("127.0.0.1", "::1")
    assert (config.limits.body_bytes, config.remote.timeout_s) == (2048, 0.5)
    assert config.login.forward_headers == ()
    assert config.remote.success_statuses == frozenset((200, 201))
    assert config.login.success_members == (("/ok", b"true"),)
    assert config.remote.proxy == RemoteProxy("http://proxy:1")
    assert config.login.status_map == {"401": "pass", "timeout": "504"}
    assert config.trusted_proxies == ("10.0.0.0/8", "unix")
    assert config.cors.origins == ("https://a.example", "https://b.example")
    assert (config.check.rules.audience, config.check.rules.issuer) == (("a", "b"), "null")


def test_secrets_from_files(tmp_path: Path) -> None:
    """A secret can come from a file that the configuration, the environment or the command line names."""
    key_file = tmp_path / "key"
    key_file.write_text(OTHER_KEY + "\n")
    path = str(key_file)
    remote = REQUIRED["remote"]
    secret = OTHER_KEY.encode()
    assert revealed(load_text(tmp_path, f"{remote}\nencKeyFile: {path}").keys.secret) == secret
    assert revealed(load_text(tmp_path, remote, {"TXTOKEN_ENC_KEY_FILE": path}).keys.secret) == secret
    assert revealed(load_text(tmp_path, remote, {}, {"encKeyFile": path}).keys.secret) == secret
    config = load_text(tmp_path, whole(""), {"TXTOKEN_REQUEST_KEY_FILE": path})
    assert (revealed(config.keys.secret), revealed(config.remote.request_key)) == (KEY.encode(), secret)


def test_the_two_ways_to_give_a_secret_are_one_key(tmp_path: Path) -> None:
    """The way that counts more replaces the other, and both at the same place are an error."""
    key_file = tmp_path / "key"
    key_file.write_text(OTHER_KEY)
    path = str(key_file)
    assert revealed(load_text(tmp_path, whole(""), {"TXTOKEN_ENC_KEY_FILE": path}).keys.secret) == OTHER_KEY.encode()
    by_file = f"{REQUIRED['remote']}\nencKeyFile: {path}"
    assert revealed(load_text(tmp_path, by_file, {"TXTOKEN_ENC_KEY": KEY}).keys.secret) == KEY.encode()
    both = {"TXTOKEN_ENC_KEY": KEY, "TXTOKEN_ENC_KEY_FILE": path}
    (problem,) = failure(tmp_path, whole(""), both).problems
    assert problem.text == "is set beside encKey: keep one of them"
    config = load_text(tmp_path, whole(""), {"TXTOKEN_ENC_KEY": KEY}, {"encKeyFile": path})
    assert revealed(config.keys.secret) == OTHER_KEY.encode()


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is the one that is named, else CFG_FILE, else example_cfg.yml here; an empty CFG_FILE counts as absent."""
    monkeypatch.chdir(tmp_path)
    for name, port in (("a.yml", 1), ("b.yml", 2), ("example_cfg.yml", 3)):
        Path(name).write_text(whole(f"port: {port}"))
    assert load("a.yml", {"CFG_FILE": "b.yml"}).process.port == 1
    assert load(None, {"CFG_FILE": "b.yml"}).process.port == 2
    assert load(None, {"CFG_FILE": ""}).process.port == 3
    assert load(None, {}).process.port == 3
    assert load(None, {}).source == "example_cfg.yml"


def test_no_file_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment alone can be enough; where it is not, the missing file is the one problem. A named file must exist."""
    monkeypatch.chdir(tmp_path)
    complete = {"TXTOKEN_ENC_KEY": KEY, "TXTOKEN_REMOTE": REMOTE}
    config = load(None, complete)
    assert (config.source, config.remote.url, config.process.port) == ("", REMOTE, 8888)
    assert load(None, {}, {"encKey": KEY, "remote": REMOTE}).remote.url == REMOTE
    for environ in ({}, {"TXTOKEN_ENC_KEY": KEY}, {"TXTOKEN_REMOTE": REMOTE}, {**complete, "CFG_FILE": "none.yml"}):
        with pytest.raises(ConfigError) as caught:
            load(None, environ)
        (problem,) = caught.value.problems
        assert (
            problem.text
            == {
                True: "none.yml does not exist. Name another with --config or CFG_FILE.",
                False: "example_cfg.yml does not exist, and no other file is named (--config, CFG_FILE). "
                "`txtoken init` writes one; `txtoken demo` runs without one.",
            }["CFG_FILE" in environ]
        )
    (tmp_path / "txtoken.yml").touch()
    with pytest.raises(ConfigError, match=r"Did you mean --config txtoken\.yml\?"):
        load(None, {})


def test_empty_variables_count_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set but empty gives no value, for no key, and does not make an environment complete."""
    environ = {key.variable: "" for key in KEYS} | {"CFG_FILE": "", "TXTOKEN_PROT": "", "HTTP_PROXY": ""}
    assert load_text(tmp_path, whole("port: 7"), environ) == load_text(tmp_path, whole("port: 7"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"example_cfg\.yml does not exist"):
        load(None, environ)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TXTOKEN_PROT", "TXTOKEN_PORT"),
        ("TXTOKEN_ENCKEY", "TXTOKEN_ENC_KEY"),
        ("TXTOKEN_ENC_KEYFILE", "TXTOKEN_ENC_KEY_FILE"),
        ("TXTOKEN_LIMIT_WAITING", "TXTOKEN_LIMITS_WAITING"),
        ("TXTOKEN_BODY_BYTES", "TXTOKEN_LIMITS_BODY_BYTES"),
        ("TXTOKEN_exp_hours", "TXTOKEN_EXP_HOURS"),
        ("TXTOKEN_LIMIT", "TXTOKEN_LIMITS"),
    ],
)
def test_variables_close_to_a_key_are_errors(tmp_path: Path, variable: str, meant: str) -> None:
    """A misspelt variable is never ignored: the error names the one that was meant."""
    (problem,) = failure(tmp_path, whole(""), {variable: "x"}).problems
    assert problem.where == f"environment {variable}"
    assert meant in problem.text


@pytest.mark.parametrize(
    "variable", ["TXTOKEN_VERSION", "TXTOKEN_IMAGE", "TXTOKEN_REPLICAS", "TXTOKEN_", "TXTOKEN_\udcff"]
)
def test_variables_of_deployment_tools_are_warnings(tmp_path: Path, variable: str) -> None:
    """A variable of our prefix that resembles no key is ignored with a warning that names it and not its value."""
    (warning,) = load_text(tmp_path, whole(""), {variable: "1.2.3"}).warnings
    assert warning == f"environment {values.printable(variable)} sets no known key, and is ignored"


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


@pytest.mark.parametrize("throttle", ["", "throttle: {field: /user, failures: 5}\n"])
def test_description_is_a_configuration(tmp_path: Path, throttle: str) -> None:
    """What is described, under the file's own names and with the secrets put back, loads as the same configuration."""
    config = load_text(
        tmp_path,
        whole(
            "expHours: 0.5\nlisten: [127.0.0.1, '::1']\nlimits: {bodyBytes: 2KiB}\ntimeouts: {remote: 500ms}\n"
            "verify: {iss: me, aud: [a, b], maxAge: 1m}\nrequestTokenData: {a: [1, {b: ü}]}\nforwardHeaders: []\n"
            "statusMap: {401: pass, timeout: 504}\ntrustedProxies: [10.0.0.0/8]\ncors: {origins: ['https://a.example']}\n"
            "successStatus: 2xx\nsuccessWhen: {/a: [1, null], /b: ~}\nremoteProxy: http://proxy:3128\n"
            "cookie: {name: __Host-s, sameSite: Strict}\nrefresh: {maxSession: 2d, remote: 'https://a.example/'}\n"
            "forwardAuth: [{headers: {X-User: /data/id}, require: {/data/a: [1, null, {b: ü}], /b: x}, cache: 5s},\n"
            "  {route: /, from: [cookie, query], body: false, envoy: true, listen: '[::1]:9000'}]\n" + throttle
        ),
    )
    described = json.loads(orjson.dumps(describe(config)))
    assert set(described) == {key.name.partition(".")[0] for key in KEYS} - {
        *("encKeyFile", "requestKeyFile", "remoteProxyFile")
    }
    assert described["expHours"] == 0.5
    assert described["requestTokenData"] == {"a": [1, {"b": "ü"}]}
    assert described["timeouts"]["remote"] == 0.5
    written = yaml.safe_dump({**described, "encKey": KEY, "requestKey": KEY}, allow_unicode=True, sort_keys=False)
    assert load_text(tmp_path, written) == config


def uncommented(text: str) -> str:
    """Return the example file with every key that is commented out put in force."""
    return re.sub(r"^# ( *[a-zA-Z]+:(?: |$))", r"\1", text, flags=re.MULTILINE)


def test_example_loads_and_is_the_default(tmp_path: Path) -> None:
    """The example is a good configuration whose commented-out values are the defaults."""
    example_text = EXAMPLE_FILE.read_text()
    config = load(str(EXAMPLE_FILE), {})
    assert config.log.debug
    (warning,) = config.warnings
    assert warning.startswith("encKey is the example file's key")
    full = uncommented(example_text)
    no_defaults = ("encKeyFile", "requestKey", "requestKeyFile", "remoteProxyFile", "adminPort")
    for name in (*no_defaults, "keys", "jwksRoute", "revocations", "forwardAuth"):
        full, count = re.subn(rf"^{name}: .*\n", "", full, flags=re.MULTILINE)
        assert count == 1
    for section in SWITCHES:
        full, count = re.subn(rf"^{section}:\n(?:  .*\n)+", "", full, flags=re.MULTILINE)
        assert count == 1
    given = yaml.safe_load(full)
    assert len(given) > len(yaml.safe_load(example_text))
    plain = load_text(tmp_path, whole("requestTokenData: {service: txtoken}"))
    overrides = {"debug": "false", "encKey": KEY, "remote": REMOTE, "listen": "::"}
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
