"""Renewing tokens, and the end of a session (contract §3.6). The remote is a real socket; PyJWT judges the tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from tests.config.key_files import write_key_files
from tests.configuring import KEY, OTHER_KEY
from tests.http1.loopback import Answer
from tests.running import run
from tests.service.counter import NOW, Counter, claims_of, counter, error_of, token_of
from tests.service.faulty_remote import FaultyRemote, Script, answer, good, says, silent
from tests.service.keys.material import pair
from tests.service.tokens.signing import key_of, sealed
from txtoken.service.issuance import SIGNING_MAX

HOUR: Final = 3600
CHALLENGE: Final = b'Bearer error="invalid_token"'
ASKING: Final = "refresh: {remote: REMOTE}\n"
OWN: Final = {"sec-fetch-site": "same-origin"}


def signed(
    claims: Mapping[str, object] | None = None, key: str = KEY, header: dict[str, Any] | None = None, **more: Any
) -> str:
    """Sign a token as another service with our key would. Of what is `...` there is nothing."""
    whole = {"data": {"id": 1}, "exp": NOW + 60, "sid": "s", "auth_time": NOW - 60, **(claims or {}), **more}
    said = {name: value for name, value in whole.items() if value is not ...}
    return jwt.encode(said, key, "HS256", headers=header)


def refresh(folder: Path, token: str | bytes, text: str = "refresh: {}\n") -> Answer:
    """Return the answer to one token, of a service that renews without the remote."""

    async def main() -> Answer:
        async with counter(folder, text) as desk:
            return await desk.refresh(token)

    return run(main())


def asked(
    folder: Path, script: Script, text: str = "", token: str = "", **fields: str
) -> tuple[Answer, list[bytes], Counter]:
    """Return the answer to one token of a service that asks a remote which plays this script, and what that was asked."""

    async def main() -> tuple[Answer, list[bytes], Counter]:
        async with (
            FaultyRemote(script).listening() as faulty,
            counter(folder, ASKING.replace("REMOTE", faulty.url) + text) as desk,
        ):
            told = await desk.refresh(token or signed(), dict(fields))
            return told, [request for _, request in faulty.requests], desk

    return run(main())


# Renewing


def test_a_login_and_a_renewal(tmp_path: Path) -> None:
    """The next token says the same, of the same session, and lives from now on."""

    async def main() -> None:
        reply = b'{"id":12345678901234567890123,"b":[1.50],"a":null}'
        async with (
            FaultyRemote(says(answer(reply))).listening() as faulty,
            counter(tmp_path, "refresh: {}\nexpHours: 1\nclaims: {iat: true, jti: true}\n", faulty.url) as desk,
        ):
            first = await desk.log_in()
            desk.clock.second += 600
            told = await desk.refresh(first)
            second = token_of(told)
            assert told.fields[b"cache-control"] == b"no-store"
            assert b"set-cookie" not in told.fields
            assert len(faulty.requests) == 1  # the login's
        before, after = claims_of(first), claims_of(second)
        assert before == {
            "data": {"id": 12345678901234567890123, "b": [1.5], "a": None},
            "jti": before["jti"],
            "iat": NOW,
            "exp": NOW + HOUR,
            "sid": before["sid"],
            "auth_time": NOW,
        }
        assert after == before | {"iat": NOW + 600, "exp": NOW + 600 + HOUR, "jti": after["jti"]}
        assert after["jti"] != before["jti"]
        assert list(after["data"]) == ["id", "b", "a"]
        assert b'12345678901234567890123,"b":[1.50]' in jwt.utils.base64url_decode(second.split(".")[1])

    run(main())


def test_a_chain_up_to_the_end(tmp_path: Path) -> None:
    """A hundred renewals are one session, whose last token ends with it, and then there is no more."""

    async def main() -> None:
        text = "refresh: {maxSession: 100m, grace: 1h}\nexpHours: 0.5\n"
        async with FaultyRemote(good).listening() as faulty, counter(tmp_path, text, faulty.url) as desk:
            token = await desk.log_in()
            first = claims_of(token)
            for minute in range(1, 100):
                desk.clock.second = NOW + 60 * minute
                token = token_of(await desk.refresh(token))
                end = min(60 * minute + 1800, 6000)
                assert claims_of(token) == first | {"exp": NOW + end}
            desk.clock.second = NOW + 5999
            assert claims_of(token_of(await desk.refresh(token)))["exp"] == NOW + 6000
            desk.clock.second = NOW + 6000
            over = await desk.refresh(token)
            assert error_of(over) == (401, "session is over")
            assert over.fields[b"www-authenticate"] == CHALLENGE
            assert (await desk.ask("/checkToken", {"authorization": f"Bearer {token}"})).status == 401

    run(main())


def test_a_token_from_wherever_one_is_looked_for(tmp_path: Path) -> None:
    """The token stands where the check route looks for it, and the first place counts."""

    async def main() -> None:
        async with counter(tmp_path, "cookie: {name: s}\nrefresh: {}\n") as desk:
            token, other = signed(sid="one").encode(), signed(sid="two").encode()
            for fields, body, query in (
                ({"authorization": b"bearer " + token}, b"", b""),
                ({"authorization": token}, b"", b""),
                ({}, b"", b"a=b&access_token=" + token),
                ({}, b'{"token":"%b"}' % token, b""),
                ({"content-type": b"application/x-www-form-urlencoded"}, b"access_token=" + token, b""),
                (OWN | {"cookie": b"a=b; s=%b; c=d" % token}, b"", b""),
                (OWN | {"cookie": b's="%b"' % token}, b"", b""),
                (OWN | {"cookie": b"s=%b; s=%b" % (token, token)}, b"", b""),
                ({"authorization": b"Bearer " + token, "cookie": b"s=" + other}, b"", b""),
                ({"cookie": b"s=" + other}, b'{"token":"%b"}' % token, b""),
                ({"authorization": b"Bearer " + token}, b"no JSON {", b"access_token=" + other),
            ):
                told = await desk.ask("/refreshToken", fields, body, query=query)
                assert claims_of(token_of(told))["sid"] == "one", fields
            for cookie in (
                b"s=%b; s=%b" % (token, other),
                b"s=%b$Path=/" % token,
                b"S=" + token,
                b"s=",
                b"xs=" + token,
            ):
                told = await desk.ask("/refreshToken", OWN | {"cookie": cookie})
                assert error_of(told)[0] == 401, cookie
            two = await desk.ask("/refreshToken", {"authorization": b"Bearer " + token + b", Bearer " + token})
            assert error_of(two) == (401, "token contains an invalid number of segments")

    run(main())


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"exp": NOW}, "Token is expired"),
        ({"exp": ...}, "token has no expiry"),
        ({"exp": "x"}, "token has no expiry"),
        ({"nbf": NOW + 1}, "Token is not valid yet"),
        ({"iat": "x"}, "token is malformed"),
        ({"auth_time": ...}, "token has no auth_time"),
        ({"auth_time": str(NOW)}, "token has no auth_time"),
        ({"auth_time": True}, "token has no auth_time"),
        ({"auth_time": None}, "token has no auth_time"),
        ({"auth_time": NOW + 61}, "Token is not valid yet"),
        ({"auth_time": 10**300}, "Token is not valid yet"),
        ({"auth_time": -(10**300)}, "session is over"),
        ({"auth_time": NOW - 12 * HOUR}, "session is over"),
        ({"exp": NOW, "auth_time": ...}, "Token is expired"),  # the first of the contract's table is told
        ({"exp": NOW, "auth_time": 0}, "Token is expired"),
    ],
)
def test_a_token_that_is_not_renewed(tmp_path: Path, claims: dict[str, object], text: str) -> None:
    """A token that is not valid, or of no session, is rejected with the reason of the check route."""
    told = refresh(tmp_path, signed(claims))
    assert error_of(told) == (401, text)
    assert told.fields[b"www-authenticate"] == CHALLENGE
    assert told.fields[b"cache-control"] == b"no-store"


@pytest.mark.parametrize("since", [NOW, NOW + 60, NOW - 0.5, float(NOW), NOW - 12 * HOUR + 1])
def test_a_beginning_that_is_a_number(tmp_path: Path, since: float) -> None:
    """Any number is a beginning, a minute ahead too, and is passed on as it stood."""
    assert claims_of(token_of(refresh(tmp_path, signed(auth_time=since))))["auth_time"] == since


def test_a_token_that_is_none_of_ours(tmp_path: Path) -> None:
    """What no key of ours signed is refused by the same words as on the check route."""
    token = signed()
    header, payload, signature = token.split(".")
    for wrong, text in {
        signed(key=OTHER_KEY): "signature is invalid",
        f"{header}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}": "signature is invalid",
        f"{header}.{payload}": "token contains an invalid number of segments",
        f"{header}.{payload}.{signature}=": "token is malformed",
        sealed(key_of("HS512", ""), {"exp": NOW + 9}).decode(): "signing method (alg) is unavailable.",
        signed(header={"typ": "remote+jwt"}): "token audience is invalid",
        "x" * 40_000: "token contains an invalid number of segments",
    }.items():
        assert error_of(refresh(tmp_path, wrong)) == (401, text)
    assert error_of(refresh(tmp_path, b"")) == (401, "no token present in request")
    assert refresh(tmp_path, b"").fields[b"www-authenticate"] == b"Bearer"


def test_the_rules_of_checking_hold(tmp_path: Path) -> None:
    """Issuer, audience, age and leeway are asked for as elsewhere; grace adds to the leeway, and not to the age."""
    rules = "refresh: {grace: 10}\nverify: {iss: me, aud: us, leeway: 5, maxAge: 100}\n"
    good_one = {"iss": "me", "aud": ["us"], "iat": NOW}
    for claims, status in (
        ({}, 200),
        ({"iss": "you"}, 401),
        ({"aud": "them"}, 401),
        ({"iat": NOW - 104}, 200),
        ({"iat": NOW - 105}, 401),
        ({"exp": NOW - 14}, 200),
        ({"exp": NOW - 15}, 401),
        ({"nbf": NOW + 5}, 200),
        ({"nbf": NOW + 6}, 401),
    ):
        assert refresh(tmp_path, signed(good_one, **claims), rules).status == status, claims


@pytest.mark.parametrize(("grace", "ago", "status"), [(0, 0, 401), (30, 29, 200), (30, 30, 401), (86_400, 86_399, 200)])
def test_grace(tmp_path: Path, grace: int, ago: int, status: int) -> None:
    """A token that has expired is taken for so long, here and nowhere else, and is no longer remembered for it."""

    async def main() -> None:
        text = f"refresh: {{grace: {grace}, maxSession: 7d}}\ncookie: {{name: s}}\nforwardAuth: {{route: /fa}}\n"
        async with counter(tmp_path, text) as desk:
            token = signed(exp=NOW - ago, auth_time=NOW - 2 * 86_400)
            for _ in range(3):
                assert (await desk.refresh(token)).status == status
                for path in ("/checkToken", "/fa"):
                    assert (await desk.ask(path, {"authorization": f"Bearer {token}"})).status == 401

    run(main())


def test_grace_does_not_outlast_the_session(tmp_path: Path) -> None:
    """A session that is over stays over, however long expired tokens are taken."""
    told = refresh(tmp_path, signed(exp=NOW - 5, auth_time=NOW - 12 * HOUR), "refresh: {grace: 1h}\n")
    assert error_of(told) == (401, "session is over")


@pytest.mark.parametrize(
    "line",
    [
        "sid s",
        "jti j",
        "sub u before 2027-01-15T08:00:00Z",
        "all before 2027-01-15T08:00:00Z",
        "sid s until 2030-01-01T00:00:00Z",
    ],
)
def test_what_is_revoked_is_not_renewed(tmp_path: Path, line: str) -> None:
    """A session ends by its name, its user, its time or a token of it; `before` is compared with when it began."""
    (tmp_path / "revoked").write_text("")
    text = f"refresh: {{}}\nclaims: {{jti: true, sub: /id, iat: true}}\nrevocations: {tmp_path}/revoked\n"

    async def main() -> None:
        async with counter(tmp_path, text) as desk:
            desk.revoke()
            token = signed(jti="j", sub="u", auth_time=NOW - 60, iat=NOW)  # 2027-01-15T08:00:00Z
            following = token_of(await desk.refresh(token))
            desk.revoke(line)
            assert error_of(await desk.refresh(token)) == (401, "token is revoked")
            is_of_session = not line.startswith("jti")
            assert (await desk.refresh(following)).status == (401 if is_of_session else 200)
            other = signed(jti="k", sub="v", sid="t", auth_time=NOW, iat=NOW)
            assert (await desk.refresh(other)).status == 200

    run(main())


# Keys


def keyset(folder: Path, *entries: str) -> str:
    """Write a configuration with these keys."""
    write_key_files(folder)
    return "refresh: {}\nkeys:\n" + "".join(f"- {{{entry}}}\n" for entry in entries).replace("FOLDER", str(folder))


OLD: Final = "alg: ES256, kid: old, keyFile: FOLDER/ec.pem"
NEW: Final = "alg: EdDSA, kid: new, keyFile: FOLDER/ed.pem"


def test_keys_rotate_between_renewals(tmp_path: Path) -> None:
    """The next token is signed by the key that signs now, and one of a key that has been retired is not renewed."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening() as faulty,
            counter(tmp_path, keyset(tmp_path, OLD), faulty.url) as desk,
        ):
            first = await desk.log_in()
            assert jwt.get_unverified_header(first)["kid"] == "old"
            desk.reload(keyset(tmp_path, OLD, NEW + ", from: 2027-01-01T00:00:00Z"))
            second = token_of(await desk.refresh(first))
            assert jwt.get_unverified_header(second) == {"alg": "EdDSA", "typ": "JWT", "kid": "new"}
            claims = claims_of(second, pair("EdDSA").public_key(), "EdDSA")
            assert claims["sid"] == claims_of(first, pair("ES256").public_key(), "ES256")["sid"]
            desk.reload(keyset(tmp_path, NEW))
            assert error_of(await desk.refresh(first)) == (401, "signing key is unknown")
            assert (await desk.refresh(second)).status == 200

    run(main())


def test_keys_that_rotate_are_known_for_grace(tmp_path: Path) -> None:
    """A key that rotated out verifies for as long as a token by it may be renewed, grace included."""
    write_key_files(tmp_path)
    text = (
        f"expHours: 1\nrefresh: {{grace: 2h}}\nkeys: {{alg: EdDSA, secretFile: {tmp_path}/root, every: 1h, iss: a}}\n"
    )

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, counter(tmp_path, text, faulty.url) as desk:
            desk.clock.second = NOW + 3500  # of the period, which began at NOW
            token = await desk.log_in()
            desk.clock.second += HOUR + 2 * HOUR - 1
            desk.app.sweep()
            assert (
                jwt.get_unverified_header(token)["kid"]
                != jwt.get_unverified_header(token_of(await desk.refresh(token)))["kid"]
            )

    run(main())


def test_no_key_signs(tmp_path: Path) -> None:
    """Where nothing signs, a renewal is 503 as a login is."""

    async def main() -> None:
        text = keyset(tmp_path, OLD + ", until: 2027-02-01T00:00:00Z")
        async with FaultyRemote(good).listening() as faulty, counter(tmp_path, text, faulty.url) as desk:
            token = await desk.log_in()
            desk.clock.second += 40 * 86_400
            told = await desk.refresh(token)
            assert (told.status, json.loads(told.body)["message"]) == (503, "Can not generate return token")
            assert told.fields[b"retry-after"] == b"1"

    run(main())


def test_a_token_for_which_a_thread_signs(tmp_path: Path) -> None:
    """A slow key signs in a thread, for logins and renewals together so many at a time, and for nobody who has left."""

    async def main() -> None:
        text = keyset(tmp_path, "alg: RS256, kid: slow, keyFile: FOLDER/rsa.pem") + "cookie: {name: s}\nexpHours: 1\n"
        async with FaultyRemote(good).listening() as faulty, counter(tmp_path, text, faulty.url) as desk:
            token = await desk.log_in()
            desk.threads = []
            desk.app.ring.keys[0].is_slow = True  # as one with more bits, which takes long to make, too
            fields = {"authorization": f"Bearer {token}"}
            client, pending = desk.begin("/refreshToken", fields)
            assert pending is not None
            left, leaving = desk.begin("/refreshToken", fields)
            assert leaving is not None
            leaving.cancel()
            desk.clock.second += 7
            for work in desk.threads:
                work()
            (response,) = client.told
            assert b"; Max-Age=3593; " in response.head
            assert left.told == []
            claims = claims_of(json.loads(response.body)["token"], pair("RS256").public_key(), "RS256")
            assert claims["exp"] == NOW + HOUR
            for _ in range(SIGNING_MAX):
                assert desk.begin("/refreshToken", fields)[1] is not None
            for full in (await desk.refresh(token), await desk.ask("/getToken", {}, b"{}")):
                assert full.status == 503
                assert b"too many tokens are waiting to be signed" in full.body

    run(main())


def test_a_thread_that_fails(tmp_path: Path) -> None:
    """When a thread cannot sign, the client gets 500 without the reason, the log gets it, and the place is free again."""

    async def main() -> None:
        async with counter(tmp_path, "refresh: {}\n") as desk:
            (key,) = desk.app.ring.keys
            key.is_slow = True
            desk.fails = OSError("no")
            told = await desk.refresh(signed())
            assert error_of(told) == (500, "the service failed to answer")
            assert desk.crashes == [desk.fails]
            desk.crashes.clear()
            desk.fails = None
            for _ in range(SIGNING_MAX + 1):
                assert (await desk.refresh(signed())).status == 200

    run(main())


# The remote


@pytest.mark.parametrize(
    ("text", "claims", "body"),
    [
        ("", {"data": {"b": 1, "a": [12345678901234567890, 1.5]}}, b'{"b":1,"a":[12345678901234567890,1.5]}'),
        ("", {"data": None}, b"null"),
        ("dataClaim: user\n", {"user": {"id": 2}}, b'{"id":2}'),
        ("dataClaim: ''\n", {"data": 1, "id": 2, "sub": "x", "iss": "y"}, b'{"data":1,"id":2}'),
    ],
)
def test_the_remote_is_asked(tmp_path: Path, text: str, claims: dict[str, object], body: bytes) -> None:
    """The data goes to the remote with our bearer, and what it replies is the data of the next token."""
    told, (request,), _ = asked(
        tmp_path, says(answer(b'{"id":3}')), text, signed(claims, sub="u"), **{"x-request-id": "r1"}
    )
    found = claims_of(token_of(told))
    head, _, sent = request.partition(b"\r\n\r\n")
    assert sent == body
    assert head.startswith(b"POST /login HTTP/1.1\r\n")
    assert b"\r\nX-Request-Id: r1\r\n" in head + b"\r\n"
    bearer = head.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode()
    assert claims_of(bearer)["data"] == {}
    assert (found["sub"], found["sid"], found["auth_time"], found["exp"]) == ("u", "s", NOW - 60, NOW - 60 + 12 * HOUR)
    assert {"data": {"id": 3}, "user": {"id": 3}}.items() & {} == set()
    name = text.partition(": ")[2].strip().strip("'") if text else "data"
    assert (found[name] if name else {"id": found["id"]}) == {"id": 3}


def test_the_remote_is_told_of_the_client(tmp_path: Path) -> None:
    """With `forwardedFor` the remote that is asked knows who renews, as that of logins does."""
    _, (request,), _ = asked(tmp_path, good, "forwardedFor: true\n")
    head = request.partition(b"\r\n\r\n")[0]
    assert b"\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: api.example\r\n" in head


def test_the_bearer_of_a_keyset_names_who_is_asked(tmp_path: Path) -> None:
    """The bearer that the keyset signs is for the origin of the remote that is asked, and is not renewed itself."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as login, FaultyRemote(good).listening() as faulty:
            text = keyset(tmp_path, OLD).replace("refresh: {}", f"refresh: {{remote: '{faulty.url}'}}")
            async with counter(tmp_path, text, login.url) as desk:
                token = await desk.log_in()
                token_of(await desk.refresh(token))
                bearers = []
                for remote in (login, faulty):
                    ((_, request),) = remote.requests
                    bearers.append(request.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode())
                    claims = claims_of(bearers[-1], pair("ES256").public_key(), "ES256")
                    assert claims["aud"] == remote.url.removesuffix("/login")
                assert error_of(await desk.refresh(bearers[1])) == (401, "token audience is invalid")

    run(main())


def test_success_and_fields_are_as_at_a_login(tmp_path: Path) -> None:
    """`successStatus`, `successWhen` and `dataFields` hold for the remote that is asked, too."""
    text = "successStatus: [201]\nsuccessWhen: {/ok: true}\ndataFields: {exclude: [ok]}\nstatusMap: gateway\n"
    script = says(answer(b'{"ok":true,"id":3}', status=b"201 Created"))
    assert claims_of(token_of(asked(tmp_path, script, text)[0]))["data"] == {"id": 3}
    told, _, _ = asked(tmp_path, says(answer(b'{"ok":false}', status=b"201 Created")), text)
    assert (told.status, json.loads(told.body)) == (401, {"message": "Remote post status failure.", "status": 401})
    told, _, _ = asked(tmp_path, says(answer(b'{"ok":true}')), text)
    assert told.status == 502


LOCKED: Final = says(answer(b'{"locked":1}', b"Retry-After: 9", status=b"403 Forbidden"))
GATEWAY: Final = "statusMap: gateway\n"


@pytest.mark.parametrize(
    ("script", "text", "status", "body"),
    [
        (LOCKED, "", 500, {"message": "Remote post status failure.", "status": 403}),
        (LOCKED, GATEWAY, 403, {"message": "Remote post status failure.", "status": 403}),
        (LOCKED, GATEWAY + "passRemoteErrors: true\n", 403, {"locked": 1}),
        (LOCKED, "statusMap: {403: 401}\n", 401, {"message": "Remote post status failure.", "status": 403}),
        (says(b"", "fin"), "", 500, {"message": "Remote post failure.", "error": ...}),
        (says(b"", "fin"), GATEWAY, 502, {"message": "Remote post failure.", "error": ...}),
        (says(b"junk\r\n\r\n", "fin"), GATEWAY, 502, {"message": "Remote post failure.", "error": ...}),
        (says(answer(b"[]")), "", 500, {"message": "Can not unmarshal returned json.", "error": "not a JSON object"}),
        (says(answer(b"{")), GATEWAY, 502, {"message": "Can not unmarshal returned json.", "error": "not JSON"}),
        (
            says(answer(b'{"a":1}')[:-1], "fin"),
            GATEWAY,
            502,
            {"message": "Remote post failed to parse body.", "error": ...},
        ),
        (
            says(answer(b'{"a":"%b"}' % (b"x" * 30_000))),
            GATEWAY,
            502,
            {"message": "Can not generate return token", "error": ...},
        ),
    ],
)
def test_a_remote_that_gives_no_data(
    tmp_path: Path, script: Script, text: str, status: int, body: dict[str, object]
) -> None:
    """Whatever is not a good reply ends in no token, and is answered as a login's failure."""
    told, _, desk = asked(tmp_path, script, text)
    found = json.loads(told.body)
    assert told.status == status
    assert found == {name: found[name] if value is ... else value for name, value in body.items()}
    assert [error.code for error in desk.failures] != []
    assert desk.app.counts.renewed.count == 0


def test_a_remote_that_is_silent(tmp_path: Path) -> None:
    """The remote that is asked has as long as that of logins, and a token without an answer is none."""

    async def main() -> None:
        async with FaultyRemote(silent).listening() as faulty:
            text = ASKING.replace("REMOTE", faulty.url) + "timeouts: {remote: 1ms}\n" + GATEWAY
            async with counter(tmp_path, text) as desk:
                client, _ = desk.begin("/refreshToken", {"authorization": f"Bearer {signed()}"})
                while not client.told:
                    desk.app.sweep()
                    await asyncio.sleep(0.001)
                assert client.told[0].status == 504
                assert desk.app.in_use[1].active_count == 0

    run(main())


def test_a_client_that_leaves(tmp_path: Path) -> None:
    """When the client goes away, the remote is no longer asked, and the exchange is counted as given up."""

    async def main() -> None:
        async with (
            FaultyRemote(silent).listening() as faulty,
            counter(tmp_path, ASKING.replace("REMOTE", faulty.url)) as desk,
        ):
            client, pending = desk.begin("/refreshToken", {"authorization": f"Bearer {signed()}"})
            await faulty.requested(1)
            assert pending is not None
            pending.cancel()
            await faulty.peers[0].ended()
            assert client.told == []
            assert [remote.cancelled for remote in desk.app.remotes] == [0, 1]

    run(main())


def test_room_at_the_remote(tmp_path: Path) -> None:
    """The remote that is asked has a pool of its own, as large as that of logins: a full one is 503, and logins go on."""

    async def main() -> None:
        async with FaultyRemote(silent).listening() as faulty, FaultyRemote(good).listening() as login:
            text = ASKING.replace("REMOTE", faulty.url) + "limits: {remoteConnections: 1, waiting: 0}\n"
            async with counter(tmp_path, text, login.url) as desk:
                _, first = desk.begin("/refreshToken", {"authorization": f"Bearer {signed()}"})
                await faulty.requested(1)
                told = await desk.refresh(signed())
                assert (told.status, told.fields[b"retry-after"]) == (503, b"1")
                assert await desk.log_in()
                assert first is not None
                first.cancel()

    run(main())


@pytest.mark.parametrize(("what", "text"), [("over", "session is over"), ("revoked", "token is revoked")])
def test_what_happens_while_the_remote_is_asked(tmp_path: Path, what: str, text: str) -> None:
    """A session that ends, or is revoked, before the remote has answered is not renewed; one whose token expires meanwhile is."""
    (tmp_path / "revoked").write_text("")

    async def main() -> None:
        opened = asyncio.Event()

        async def play(peer: Any) -> None:
            while True:
                await peer.request()
                await opened.wait()
                peer.send(answer(b"{}"))

        async with FaultyRemote(play).listening() as faulty:
            config = ASKING.replace("REMOTE", faulty.url) + f"revocations: {tmp_path}/revoked\n"
            async with counter(tmp_path, config) as desk:
                desk.revoke()
                client, _ = desk.begin("/refreshToken", {"authorization": f"Bearer {signed(auth_time=NOW)}"})
                other, _ = desk.begin(
                    "/refreshToken", {"authorization": f"Bearer {signed(sid='t', auth_time=NOW + 60)}"}
                )
                await faulty.requested(2)
                if what == "over":
                    desk.clock.second = NOW + 12 * HOUR
                else:
                    desk.revoke("sid s")
                opened.set()
                response = await client.answer()
                assert (response.status, json.loads(response.body)) == (401, {"error": text})
                assert (await other.answer()).status == 200
                assert desk.app.counts.renewed.count == 1

    run(main())


def test_a_key_that_ends_while_the_remote_is_asked(tmp_path: Path) -> None:
    """Where no key signs any more when the remote has answered, a renewal is 503, and nothing crashes."""

    async def main() -> None:
        opened = asyncio.Event()

        async def play(peer: Any) -> None:
            await peer.request()
            await opened.wait()
            peer.send(answer(b"{}"))

        async with FaultyRemote(good).listening() as login, FaultyRemote(play).listening() as faulty:
            text = keyset(tmp_path, OLD + ", until: 2027-02-01T00:00:00Z") + f"requestKey: {OTHER_KEY}\n"
            text = text.replace("refresh: {}", f"refresh: {{remote: '{faulty.url}', maxSession: 60d}}")
            async with counter(tmp_path, text, login.url) as desk:
                client, _ = desk.begin("/refreshToken", {"authorization": f"Bearer {await desk.log_in()}"})
                await faulty.requested(1)
                desk.clock.second += 40 * 86_400
                opened.set()
                response = await client.answer()
                assert (response.status, response.error) == (503, "no_key")

    run(main())


def test_nobody_is_asked_about_a_bad_token(tmp_path: Path) -> None:
    """A token that is refused anyway, or whose data is not there, costs the remote nothing."""
    for token in (signed(exp=NOW), signed(auth_time=...), signed(data=...), signed(key=OTHER_KEY)):
        told, requests, _ = asked(tmp_path, good, "", token)
        assert (told.status, requests) == (401, [])


@pytest.mark.interpreted("an attribute of a compiled class has its type")
def test_a_fault_of_ours(tmp_path: Path) -> None:
    """When a reply makes the service fail, the client is answered 500 without a reason, and the log gets it."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening() as faulty,
            counter(tmp_path, ASKING.replace("REMOTE", faulty.url)) as desk,
        ):
            desk.app.issuer._data = None  # type: ignore[attr-defined]  # what a fault may be like
            told = await desk.refresh(signed())
            assert (told.status, json.loads(told.body)) == (500, {"error": "the service failed to answer"})
            assert [type(crash) for crash in desk.crashes] == [AttributeError]
            desk.crashes.clear()

    run(main())


# Reloads


def test_a_reload_that_changes_the_session(tmp_path: Path) -> None:
    """The session's length is what the configuration says now: a shorter one ends sessions, a longer one gives them time."""

    async def main() -> None:
        async with counter(tmp_path, "refresh: {maxSession: 1h}\n") as desk:
            token = signed(auth_time=NOW - 1800)
            assert claims_of(token_of(await desk.refresh(token)))["exp"] == NOW + 1800
            desk.reload("refresh: {maxSession: 30m}\n")
            assert error_of(await desk.refresh(token)) == (401, "session is over")
            desk.reload("refresh: {maxSession: 2h}\nexpHours: 1\n")
            assert claims_of(token_of(await desk.refresh(token)))["exp"] == NOW + HOUR
            desk.reload("")
            assert (await desk.refresh(token)).status == 404

    run(main())


def test_a_reload_with_another_remote(tmp_path: Path) -> None:
    """A remote whose settings stay is kept with its connections, another one replaces it, and what runs finishes."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as one, FaultyRemote(good).listening() as two:
            text = ASKING.replace("REMOTE", one.url)
            async with counter(tmp_path, text) as desk:
                await desk.refresh(signed())
                login, asked_one = desk.app.in_use
                desk.reload(text + "expHours: 2\n")
                assert desk.app.in_use == (login, asked_one)
                await desk.refresh(signed())
                assert (len(one.requests), len(one.peers)) == (2, 1)
                client, _ = desk.begin("/refreshToken", {"authorization": f"Bearer {signed()}"})
                desk.reload(ASKING.replace("REMOTE", two.url))
                assert desk.app.remotes == (login, desk.app.in_use[1], asked_one)
                await desk.refresh(signed())
                assert (await client.answer()).status == 200
                desk.app.sweep()
                assert list(desk.app.remotes) == list(desk.app.in_use)
                await one.peers[0].ended()
                second = desk.app.in_use[1]
                desk.reload("refresh: {}\n")
                assert list(desk.app.in_use) == [login]
                assert list(desk.app.remotes) == [login, second]
                desk.app.sweep()
                await two.peers[0].ended()
                assert (await desk.refresh(signed())).status == 200
                assert (len(one.requests), len(two.requests)) == (3, 1)
                assert desk.app.counts.renewed.count == 4

    run(main())


def test_a_configuration_that_is_let_go_of(tmp_path: Path) -> None:
    """What was built and never served closes its own connections, and none that it has reused."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening() as login,
            FaultyRemote(good).listening() as one,
            FaultyRemote(good).listening() as two,
            counter(tmp_path, ASKING.replace("REMOTE", one.url), login.url) as desk,
        ):
            await desk.log_in()
            await desk.refresh(signed())
            before = desk.app
            desk.reload(ASKING.replace("REMOTE", two.url))
            await desk.refresh(signed())
            desk.app.discard(before)
            await two.peers[0].ended()
            assert [remote.idle_count for remote in before.in_use] == [1, 1]
            desk.app = before
            assert await desk.log_in()
            assert (len(login.peers), len(one.peers)) == (1, 1)

    run(main())


# The cookie


ATTRIBUTES: Final = b"; Path=/; Max-Age=%d; HttpOnly; Secure; SameSite=Lax"


def test_the_cookie_is_renewed_and_cleared(tmp_path: Path) -> None:
    """Each token is the cookie, too, for as long as it lives; the end clears it, by the same attributes, and revokes nothing."""

    async def main() -> None:
        text = "cookie: {name: __Host-s}\nrefresh: {maxSession: 90m}\nexpHours: 1\n"
        async with FaultyRemote(good).listening() as faulty, counter(tmp_path, text, faulty.url) as desk:
            login = await desk.ask("/getToken", {}, b"{}")
            token = token_of(login)
            assert login.fields[b"set-cookie"] == b"__Host-s=" + token.encode() + ATTRIBUTES % HOUR
            desk.clock.second += HOUR - 1
            told = await desk.ask("/refreshToken", {**OWN, "cookie": f"__Host-s={token}"})
            token = token_of(told)
            assert told.fields[b"set-cookie"] == b"__Host-s=" + token.encode() + ATTRIBUTES % 1801
            ended = await desk.ask("/refreshToken/end", {**OWN, "cookie": f"__Host-s={token}"})
            assert (ended.status, ended.body) == (204, b"")
            assert ended.fields == {
                b"cache-control": b"no-store",
                b"set-cookie": b"__Host-s=" + ATTRIBUTES % 0,
            }
            assert (await desk.ask("/checkToken", {"authorization": f"Bearer {token}"})).status == 200
            for path in ("/refreshToken", "/refreshToken/end"):
                told = await desk.ask(path, method="GET")
                assert (told.status, told.fields[b"allow"]) == (405, b"POST")
                assert b"set-cookie" not in told.fields

    run(main())


@pytest.mark.parametrize(
    ("given", "attributes"),
    [
        ("", ATTRIBUTES % HOUR),
        (
            ", domain: .a.example, path: /x",
            b"; Domain=.a.example; Path=/x; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
        ),
        (", httpOnly: false, sameSite: Strict", b"; Path=/; Max-Age=3600; Secure; SameSite=Strict"),
        (", sameSite: None", b"; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=None"),
        (", secure: false", b"; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"),
    ],
)
def test_attributes(tmp_path: Path, given: str, attributes: bytes) -> None:
    """The cookie has the attributes that are configured, whether it is set or cleared, with and without refresh."""

    async def main() -> None:
        for refreshing in ("", "refresh: {}\n"):
            text = f"cookie: {{name: s{given}}}\nexpHours: 1\n{refreshing}"
            async with FaultyRemote(good).listening() as faulty, counter(tmp_path, text, faulty.url) as desk:
                login = await desk.ask("/getToken", {}, b"{}")
                assert login.fields[b"set-cookie"] == b"s=" + token_of(login).encode() + attributes
                ended = await desk.ask("/refreshToken/end", OWN)
                assert ended.status == (204 if refreshing else 404)
                if refreshing:
                    assert ended.fields[b"set-cookie"] == b"s=" + attributes.replace(b"3600", b"0")

    run(main())


@pytest.mark.parametrize(("text", "status"), [("", 500), (GATEWAY, 502)])
def test_a_token_that_is_no_cookie(tmp_path: Path, text: str, status: int) -> None:
    """Name and value of 4093 bytes are a cookie; of one more there is no token, for browsers would drop it without a word."""

    async def main() -> None:
        async with counter(tmp_path, text + "cookie: {name: COOKIE}\nrefresh: {}\n".replace("COOKIE", "c" * 9)) as desk:
            sizes = {}
            for length in range(2700, 3000):
                told = await desk.refresh(signed(data="x" * length))
                if told.status == 200:
                    sizes[9 + len(token_of(told))] = told.status
                    assert b"set-cookie" in told.fields
                else:
                    assert told.status == status
                    found = json.loads(told.body)
                    assert found["message"] == "Can not generate return token"
                    size = int(found["error"].split(" bytes")[0].rpartition(" ")[2])
                    assert found["error"] == f"the cookie would have {size} bytes with its name, and browsers keep 4093"
                    sizes[size] = told.status
                    assert b"set-cookie" not in told.fields
            assert {size: told for size, told in sizes.items() if told == 200 and size > 4093} == {}
            assert {size: told for size, told in sizes.items() if told != 200 and size <= 4093} == {}
            assert any(size in sizes for size in (4092, 4093))
            assert any(size in sizes for size in (4094, 4095))
            assert desk.large_tokens == []

    run(main())


def test_scripts_of_named_pages(tmp_path: Path) -> None:
    """`cors` covers the routes of sessions as it does the others: preflights, and what may be read."""

    async def main() -> None:
        text = "cookie: {name: s}\nrefresh: {}\ncors: {origins: [https://app.example], credentials: true}\n"
        async with counter(tmp_path, text) as desk:
            page: dict[str, str | bytes] = {"origin": "https://app.example", "sec-fetch-site": "cross-site"}
            for path in ("/refreshToken", "/refreshToken/end"):
                preflight = await desk.ask(path, page, method="OPTIONS")
                assert preflight.fields[b"access-control-allow-methods"] == b"POST"
                told = await desk.ask(path, {**page, "cookie": f"s={signed()}"})
                assert told.fields[b"access-control-allow-origin"] == b"https://app.example"
                assert told.fields[b"access-control-allow-credentials"] == b"true"
                assert told.status in (200, 204)

    run(main())
