"""Self-rotating keys, in several processes with one secret and a clock that the test moves. PyJWT is the judge."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import jwt
import pytest

from tests.login_api import LoginApi
from tests.process.moved_clock import Line, MovedClock, lines_to
from tests.running import service_process

ISSUER: Final = "https://login.example"
EVERY_S: Final = 10
LIFE_S: Final = 30
LEAD_S: Final = EVERY_S  # the default of so short a period
MAX_AGE_S: Final = LEAD_S // 4
START: Final = 2_000_000_000  # where a period begins
SECRET: Final = b64encode(bytes(range(1, 33))).decode()  # of nobody
UNKNOWN_KEY: Final = (401, "signing key is unknown")
EXPIRED: Final = (401, "Token is expired")
VALID: Final = (200, "")


@pytest.fixture
def api() -> Iterator[LoginApi]:
    """A remote."""
    api = LoginApi({"id": 42})
    yield api
    api.close()


def config_of(remote: str, folder: Path, workers: int, algorithm: str) -> str:
    """Write a configuration. A short `remoteIdle` has the workers look at the clock often."""
    root = folder / "root"
    root.write_text(SECRET)
    return (
        f"port: 0\nlisten: 127.0.0.1\nworkers: {workers}\nremote: {remote}\nexpHours: {LIFE_S / 3600}\n"
        f"keys: {{alg: {algorithm}, secretFile: {root}, every: {EVERY_S}s}}\nclaims: {{iss: '{ISSUER}', iat: true}}\n"
        "reload: off\nlog: {level: debug, access: false}\ntimeouts: {remoteIdle: 100ms}\n"
    )


class Replica:
    """A service, and a connection to each of its workers. Its clock is `behind_s` behind the test's."""

    def __init__(self, clock: MovedClock, lines: list[Line], behind_s: int) -> None:
        self.lines = lines
        self._clock = clock
        self._behind_s = behind_s
        self.now = 0

    def set(self, now: int) -> None:
        """Let it be this second, by the test's clock."""
        self.now = now - self._behind_s
        self._clock.set(self.now + 0.5)
        for line in self.lines:
            line.wait_for(self.now)

    def jwks(self) -> bytes:
        """Return the JWKS, which is the same at all workers."""
        (found,) = {body for _, _, body in (line.ask("GET", "/.well-known/jwks.json") for line in self.lines)}
        return found


@pytest.fixture
def replicas(request: pytest.FixtureRequest, tmp_path: Path, api: LoginApi) -> Iterator[list[Replica]]:
    """Two services with the same secret, one of two workers. The parameter is the algorithm, and by how much the second clock is
    behind.
    """
    algorithm, behind_s = request.param
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    clocks = [MovedClock(folder, START + 0.5) for folder in folders]
    configs = [config_of(api.url, folder, count, algorithm) for folder, count in zip(folders, (2, 1), strict=True)]
    with (
        service_process(folders[0], config=configs[0], environment=clocks[0].environment) as first,
        service_process(folders[1], config=configs[1], environment=clocks[1].environment) as second,
    ):
        made = [Replica(clocks[0], lines_to(first, 2), 0), Replica(clocks[1], lines_to(second, 1), behind_s)]
        yield made
        for line in (line for replica in made for line in replica.lines):
            line.close()


def kid_of(token: str) -> str:
    """Return the `kid` in a token's header."""
    return str(jwt.get_unverified_header(token)["kid"])


def period_of(token: str) -> int:
    """Return the period whose key signed a token."""
    return int(kid_of(token).partition("-")[0])


def end_of(token: str) -> int:
    """Return a token's `exp`."""
    return int(jwt.decode(token, options={"verify_signature": False})["exp"])


def verified(token: str, jwks: bytes) -> bool:
    """Whether a verifier with these keys finds the key of a token, and its signature right. It looks at no time."""
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(jwks.decode()).keys}
    key = keys.get(kid_of(token))
    if key is None:
        return False
    unasked = dict.fromkeys(("verify_exp", "verify_iat", "verify_aud"), False)
    jwt.decode(token, key, [key.algorithm_name], options=unasked)  # type: ignore[arg-type]  # a TypedDict
    return True


@pytest.mark.parametrize("replicas", [("ES256", 0), ("EdDSA", 3)], indirect=True, ids=str)
def test_no_token_meets_a_verifier_without_its_key(replicas: list[Replica], api: LoginApi) -> None:
    """Over several rotations each token is valid at every worker of both services until its end, and not after it; verifiers
    that keep the JWKS for its `max-age`, of either service, know the key of each token, and so does the remote.
    """
    tokens: list[str] = []
    published: dict[int, bytes] = {}  # by the second at the service that it came from
    history: list[list[bytes]] = []  # by the test's second
    for now in range(START, START + 4 * EVERY_S + 2):
        for replica in replicas:
            replica.set(now)
        history.append([replica.jwks() for replica in replicas])
        for replica, jwks in zip(replicas, history[-1], strict=True):
            assert published.setdefault(replica.now, jwks) == jwks
        new = [(replica, line.log_in()) for replica in replicas for line in replica.lines]
        for replica, token in new:
            assert period_of(token) == replica.now // EVERY_S  # the key changes with the second, not later
            assert end_of(token) == replica.now + LIFE_S
        tokens += [token for _, token in new]
        # What a verifier knows that has fetched so long ago, of whichever service.
        kept = {jwks for before in history[-1 - MAX_AGE_S :] for jwks in before}
        bearers, api.bearers = [bearer.removeprefix("Bearer ") for bearer in api.bearers], []
        assert len(bearers) == len(new)
        assert all(verified(token, jwks) for token in [*{token for _, token in new}, *set(bearers)] for jwks in kept)
        if now % EVERY_S not in (0, 1, EVERY_S - 1):
            continue
        for replica in replicas:
            for line in replica.lines:
                assert {line.check(token) for token in tokens if end_of(token) > replica.now} == {VALID}
                assert {line.check(token) for token in tokens if end_of(token) <= replica.now - EVERY_S} <= {
                    EXPIRED,
                    UNKNOWN_KEY,
                }
        assert all(verified(token, jwks) for token in tokens if end_of(token) > now for jwks in kept)
    assert len({kid_of(token) for token in tokens}) == 5 + (replicas[1].now < now)


@pytest.mark.parametrize("replicas", [("ES256", 0)], indirect=True, ids=str)
def test_a_clock_that_is_set_back(replicas: list[Replica]) -> None:
    """After a clock was set back the same second has the same keys again. A step over the end of a period, or two, refuses no
    token that was issued meanwhile; after an hour's step a key of the future is unknown, and logins go on.
    """
    first, second = replicas
    seen: dict[int, tuple[bytes, str]] = {}
    for now in (START, START + 9, START + 10, START + 9, START + 19, START + 10):
        tokens = []
        for replica in replicas:
            replica.set(now)
            tokens += [line.log_in() for line in replica.lines]
        (kid,) = {kid_of(token) for token in tokens}
        (jwks,) = {replica.jwks() for replica in replicas}
        assert seen.setdefault(now, (jwks, kid)) == (jwks, kid)
    # One service's clock alone is set back: it knows the next key already.
    ahead = second.lines[0].log_in()
    first.set(START + 5)
    assert {line.check(ahead) for line in first.lines} == {VALID}
    assert {second.lines[0].check(line.log_in()) for line in first.lines} == {VALID}
    second.set(START + 20)
    unseen = second.lines[0].log_in()  # by a key that the first service has never met
    first.set(START - 3600)
    assert {line.check(unseen) for line in first.lines} == {UNKNOWN_KEY}
    late = first.lines[0].log_in()
    assert period_of(late) == (START - 3600) // EVERY_S
    assert second.lines[0].check(late) == UNKNOWN_KEY
    first.set(START + 10)
    assert {line.check(token) for line in first.lines for token in (ahead, unseen)} == {VALID}
    assert (first.jwks(), kid_of(first.lines[1].log_in())) == seen[START + 10]


@pytest.mark.parametrize("replicas", [("ES256", 0)], indirect=True, ids=str)
def test_keys_are_published_before_they_sign(replicas: list[Replica]) -> None:
    """Each key stands in the JWKS for a whole period before it signs, and until the last of its tokens has ended, whatever a
    verifier's clock says; then it leaves.
    """
    (first, _) = replicas
    known: dict[int, set[int]] = {}
    for now in range(START, START + 7 * EVERY_S, EVERY_S // 2):
        first.set(now)
        known[now] = {int(key["kid"].partition("-")[0]) for key in json.loads(first.jwks())["keys"]}
    for now, periods in known.items():
        current = now // EVERY_S
        assert current + LEAD_S // EVERY_S in periods
        assert current - LIFE_S // EVERY_S in periods
        assert len(periods) == 6  # and one more old one: clocks differ
        assert max(periods) - min(periods) == 5
