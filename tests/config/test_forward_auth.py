"""What `forwardAuth` may be, what is said of what it may not be, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.configuring import KEY, OTHER_KEY, REMOTE, failure, load_text, whole
from txtoken.settings import ForwardAuthSettings

WARNING: Final = "requestKey is not set"


def loaded(folder: Path, text: str) -> tuple[ForwardAuthSettings, ...]:
    """Load what `forwardAuth` is."""
    return load_text(folder, whole(text)).forward_auth


def test_a_whole_section(tmp_path: Path) -> None:
    """Every key of a section is read, and a list keeps its order."""
    text = """
forwardAuth:
- route: /fa
  headers: {X-User: /data/id, x-all: ''}
  require: {/data/groups: [admin, 1, null, {a: [b]}], /data/ok: true}
  from: [query, header]
  body: false
  envoy: true
  listen: 'localhost:8890'
- {cache: 60s}
- {route: /c, cache: 1.9, from: header, listen: unix:/run/fa.sock, require: {/x: [[a]]}}
"""
    assert loaded(tmp_path, text) == (
        ForwardAuthSettings(
            "/fa",
            (("X-User", "/data/id"), ("x-all", "")),
            (("/data/groups", (b'"admin"', b"1", b"null", b'{"a":["b"]}')), ("/data/ok", (b"true",))),
            ("query", "header"),
            0,
            has_body=False,
            is_envoy=True,
            listen="localhost:8890",
        ),
        ForwardAuthSettings("/forwardAuth", cache_s=60),
        ForwardAuthSettings("/c", (), (("/x", (b'["a"]',)),), ("header",), 1, listen="unix:/run/fa.sock"),
    )


def test_from_the_environment(tmp_path: Path) -> None:
    """One variable holds all of it, as JSON or YAML."""
    config = load_text(tmp_path, whole(""), {"TXTOKEN_FORWARD_AUTH": '{"route": "/a", "headers": {"X-User": "/sub"}}'})
    assert config.forward_auth == (ForwardAuthSettings("/a", (("X-User", "/sub"),)),)


LINES: Final = (
    ("route: fa", "route", "has to be a path that starts with /"),
    ("route: /livez", "route", "is in use"),
    ("route: /fa/", "route", "leave out the trailing /: /fa"),
    ("route: /", "route", "this needs `listen`"),
    ("route: /getToken", "route", "covers /getToken, which is another route"),
    ("routes: /fa", "routes", "did you mean route?"),
    ("headers: [X-User]", "headers", "has to be a section of names and JSON Pointers"),
    ("headers: {X-User: data}", "headers", "has to begin with /"),
    ("headers: {X-User: [/data]}", "headers", "has to be one value"),
    ("headers: {X_User: /data}", "headers", "letters, digits and -"),
    ("headers: {'X-Üser': /data}", "headers", "letters, digits and -"),
    ("headers: {'': /data}", "headers", "letters, digits and -"),
    ("headers: {X-User: /a, x-user: /b}", "headers", "lists x-user twice"),
    ("headers: {X-User: /a, X-User: /b}", "headers", "contains a member twice"),
    ("require: admin", "require", "has to be a section of JSON Pointers and values"),
    ("require: {data: 1}", "require", "has to begin with /"),
    ("require: {/a: []}", "require", "an empty list, which rejects every token"),
    ("require: {/a: .inf}", "require", "JSON cannot express"),
    ("require: {/a: !x 1}", "require", "YAML tag"),
    (f"require: {{/a: [{', '.join(map(str, range(257)))}]}}", "require", "more than 256 values"),
    (f"require: {{/a: [{', '.join(['{}'] * 9)}]}}", "require", "more than 8 lists or sections"),
    (f"require: {{{', '.join(f'/{n}: 1' for n in range(33))}}}", "require", "more than 32 pointers"),
    (f"headers: {{{', '.join(f'X-{n}: /a' for n in range(33))}}}", "headers", "more than 32 names"),
    ("require: {/a: 18446744073709551616}", "require", "more than 64 bits"),
    ("require: {/a: [{b: [-1.0e+300]}]}", "require", "more than 64 bits"),
    ("from: []", "from", "has to be a list of header, cookie and query"),
    ("from: [header, header]", "from", "each once at most"),
    ("from: body", "from", "has to be a list of header, cookie and query"),
    ("from: [header, cookie]", "from", "no cookie is configured"),
    ("cache: 61s", "cache", "from 0 to 60 seconds"),
    ("cache: 500ms", "cache", "has to be 0, or from 1s"),
    ("{cache: 1s, from: query}", "cache", "cannot be used with from: query"),
    ("body: no", "body", "has to be true or false"),
    ("envoy: 1", "envoy", "has to be true or false"),
    ("listen: 127.0.0.1", "listen", "has to be an address with a port"),
    ("listen: 8890", "listen", "has to be an address with a port"),
    ("listen: '::1:8890'", "listen", "has to be an address with a port"),
    ("listen: '[127.0.0.1]:8890'", "listen", "has to be an address with a port"),
    ("listen: '127.0.0.1:65536'", "listen", "has to be an address with a port"),
    ("listen: '127.0.0.1:080'", "listen", "has to be an address with a port"),
    ("listen: 'door.example:80'", "listen", "has to be an address with a port"),
    ("listen: unix:door", "listen", "has to name a Unix socket by its whole path"),
)


@pytest.mark.parametrize(("line", "inner", "why"), LINES, ids=[f"{row[1]}: {row[2]}"[:60] for row in LINES])
def test_what_is_refused(tmp_path: Path, line: str, inner: str, why: str) -> None:
    """What is wrong is reported with its key and line, once."""
    section = line if line.startswith("{") else f"{{{line}}}"
    problems = failure(tmp_path, whole(f"\nforwardAuth:\n- {{route: /ok}}\n- {section}")).problems
    assert [(problem.key, problem.where) for problem in problems] == [
        (f"forwardAuth.{inner}", f"{tmp_path}/cfg.yml, line 4")
    ]
    assert why in problems[0].text


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "Content-Length", "content-type", "Connection", "Cookie", "Set-Cookie", "Location", "Authorization"),
        *(
            "X-Forwarded-For",
            "X-Forwarded-User",
            "X-Accel-Expires",
            "X-Accel-Redirect",
            "X-Envoy-Auth-Headers-To-Remove",
        ),
        *(
            "Transfer-Encoding",
            "Keep-Alive",
            "Upgrade",
            "TE",
            "Trailer",
            "Proxy-Authorization",
            "Cache-Control",
            "Vary",
            "Date",
        ),
        *("WWW-Authenticate", "Expect", "Sec-Fetch-Site", "Status"),
    ],
)
def test_names_that_proxies_act_on(tmp_path: Path, name: str) -> None:
    """No claim is ever sent in a field that a proxy, or HTTP itself, acts on."""
    (problem,) = failure(tmp_path, whole(f"forwardAuth: {{headers: {{{name}: /data/id}}}}")).problems
    assert f"cannot set {name}, which has a meaning for proxies" in problem.text


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("getTokenRoute: /fa/login\nforwardAuth: {route: /fa}", "/fa/login"),
        ("checkTokenRoute: /fa\nforwardAuth: {route: /fa}", "/fa"),
        ("jwksRoute: /fa/keys\nforwardAuth: {route: /fa}", "/fa/keys"),
        (
            "claims: {iss: 'https://a.example/t'}\nkeys: [{alg: ES256, keyFile: @ec.pem}]\nforwardAuth: {route: /t}",
            "/t/.well-known",
        ),
        ("keys: [{alg: ES256, keyFile: @ec.pem}]\nforwardAuth: {route: /.well-known}", "/.well-known/jwks.json"),
    ],
)
def test_nothing_else_is_below(folder: Path, text: str, covered: str) -> None:
    """A proxy that appends its client's path must not find another route of this service there."""
    (problem,) = failure(folder, whole(text.replace("@", f"{folder}/"))).problems
    assert f"covers {covered}" in problem.text


def test_what_is_not_below(tmp_path: Path) -> None:
    """A route that only begins like it is not below it, and on an address of its own there is nothing else."""
    assert loaded(tmp_path, "getTokenRoute: /fax\nforwardAuth: {route: /fa}")
    assert loaded(tmp_path, "forwardAuth: {route: /getToken, listen: '[::1]:8890'}")
    assert loaded(tmp_path, "forwardAuth: [{route: /a}, {route: /ab}, {route: /a/b, listen: 'unix:/a'}]")


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ("{route: /a}, {route: /a}", "has to differ from the route of another section: /a"),
        ("{route: /a}, {route: /a/b}", "/a/b is below /a, another section's"),
        ("{route: /a/b/c}, {route: /a/b}", "/a/b/c is below /a/b"),
        ("{route: /, listen: 'unix:/d'}, {route: /x, listen: 'unix:/d'}", "/x is below /"),
        ("{route: /x, listen: 'unix:/d'}, {route: /, listen: 'unix:/d'}", "/x is below /"),
    ],
)
def test_no_client_chooses_its_judge(tmp_path: Path, sections: str, why: str) -> None:
    """Where a proxy appends its client's path, no path leads from one section's route to another's."""
    (problem,) = failure(tmp_path, whole(f"forwardAuth: [{sections}]")).problems
    assert problem.key == "forwardAuth.route"
    assert why in problem.text


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        (f"encKey: {KEY}\nforwardAuth: {{}}", True),
        (f"encKey: {KEY}\nrequestKey: {KEY}\nforwardAuth: {{}}", True),
        (f"encKey: {KEY}\nrequestKey: {OTHER_KEY}\nforwardAuth: {{}}", False),
        (f"encKey: {KEY}", False),
        ("keys: [{alg: ES256, keyFile: @ec.pem}]\nforwardAuth: {}", False),
    ],
)
def test_one_key_for_two_purposes(folder: Path, text: str, *, warns: bool) -> None:
    """Where the token that the remote is shown would pass as a user's, a warning says so."""
    warnings = load_text(folder, f"remote: {REMOTE}\n" + text.replace("@", f"{folder}/")).warnings
    assert any(warning.startswith(WARNING) for warning in warnings) == warns


@pytest.mark.parametrize(("listen", "warns"), [("127.0.0.1", False), ("'::'", True), ("[127.0.0.1, 192.0.2.1]", True)])
def test_a_cookie_in_the_clear_is_warned_of(tmp_path: Path, listen: str, *, warns: bool) -> None:
    """`secure: false` is for trying things out: where others can reach the service a warning says what it means."""
    warnings = load_text(tmp_path, whole(f"listen: {listen}\ncookie: {{name: a, secure: false}}")).warnings
    assert any("over plain HTTP" in warning for warning in warnings) == warns
