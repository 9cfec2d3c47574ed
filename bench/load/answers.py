"""Tokens to send, and whether an answer is the right one: status, shape, signature, claims.

Knows the forms of contract §3.1 and §3.2, and the key of a run; PyJWT is the judge. Of a service with other routes it knows what
`Routes` says.
"""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.errors import BenchError
from bench.load.replies import PROFILE
from bench.load.routes import TOKEN, Routes
from bench.load.target import Target

HMAC: Final = "HS256"
EDDSA: Final = "EdDSA"
KEY_BYTES: Final = 36
KEY_ID: Final = "bench"  # of the asymmetric key
TOKEN_HOURS: Final = 12
REFUSED_LOGIN: Final = json.dumps({"user": "ada", "password": "refuse"})
# Of the token that is checked: one with a reply of 64 KiB is too long for a header.
SMALL_DATA: Final[Mapping[str, object]] = PROFILE
TIMEOUT_S: Final = 10.0
SESSION_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Keys:
    """What the services of a run sign with: a secret, or a key of EdDSA where the scenario says so."""

    secret: str = field(repr=False)
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def make(cls) -> Keys:
        """Make new ones."""
        return cls(secrets.token_urlsafe(KEY_BYTES), Ed25519PrivateKey.generate())

    @property
    def pem(self) -> bytes:
        """The private key as a file."""
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.private.private_bytes(encoding, form, serialization.NoEncryption())

    def sign(self, data: Mapping[str, object], *, hours: float = TOKEN_HOURS, has_keyset: bool = False) -> str:
        """Make a token as the service would."""
        claims = {"data": data, "exp": int(time.time() + hours * 3600)}
        if has_keyset:
            return jwt.encode(claims, self.private, EDDSA, headers={"kid": KEY_ID})
        return jwt.encode(claims, self.secret, HMAC)

    def read(self, token: str) -> dict[str, Any]:
        """Verify a token with the key that its algorithm has, and return its claims.

        Raises:
            jwt.InvalidTokenError: it is not valid.
        """
        is_hmac = jwt.get_unverified_header(token).get("alg") == HMAC
        key, algorithm = (self.secret, HMAC) if is_hmac else (self.private.public_key(), EDDSA)
        claims: dict[str, Any] = jwt.decode(token, key, [algorithm], options={"require": ["exp"]})
        return claims


def distinct_tokens(keys: Keys, count: int) -> list[str]:
    """Make tokens that are all different and all of one length.

    The difference is in the middle, where wrk's Lua looks when it hashes a string: it takes twelve bytes for the whole, and
    40 000 strings that are equal there took it minutes.
    """
    members = list(SMALL_DATA.items())
    half = len(members) // 2
    return [
        keys.sign(dict([*members[:half], ("session", secrets.token_hex(SESSION_BYTES)), *members[half:]]))
        for _ in range(count)
    ]


class Judge:
    """Asks one service on a connection of its own, and looks at the answers as an independent reader would.

    Of a service that is not faithful (the floor), only the status of an answer counts.
    """

    def __init__(self, target: Target, keys: Keys, data: Mapping[str, object], *, has_keyset: bool = False) -> None:
        """`data` is what the remote answers to a login."""
        self._routes = target.routes
        self._keys = keys
        self._data = data
        self._target = target
        self._has_keyset = has_keyset
        self._token = keys.sign(SMALL_DATA, has_keyset=has_keyset) if target.routes.is_contract else ""
        if target.has_tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                target.host, target.port, timeout=TIMEOUT_S, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Close its connection. The next question makes a new one."""
        self._connection.close()

    @property
    def token(self) -> str:
        """A token that the service accepts: signed with its key, or one that it gave.

        Raises:
            BenchError: it gave none.
        """
        if not self._token:
            self._token = self._log_in()
        return self._token

    def is_ready(self) -> bool:
        """Whether the service answers at all.

        Raises:
            BenchError: it answers a login, and gives no token.
        """
        try:
            if self._routes.is_contract:
                return self._ask_check(self._token) == self._routes.check_status
            return bool(self.token)
        except (OSError, http.client.HTTPException):
            return False

    def check_before_load(self, *, logs_in: bool) -> None:
        """Check right answers and refusals alike.

        Raises:
            BenchError: an answer is not what the contract says.
        """
        self.check_once(logs_in=False)
        if not self._target.is_faithful:
            return
        token = self.token
        swapped = "A" if token[-10] != "A" else "B"
        wrong = {"with a wrong signature": token[:-10] + swapped + token[-9:]}
        if self._routes.is_contract:
            wrong["that has expired"] = self._keys.sign(SMALL_DATA, hours=-1, has_keyset=self._has_keyset)
            wrong["without a signature"] = jwt.encode({"data": {}, "exp": int(time.time()) + 60}, "", "none")
        for what, refused in wrong.items():
            status = self._ask_check(refused)
            if status != self._routes.refused_status:
                raise BenchError(f"a token {what} is answered with {status} instead of {self._routes.refused_status}")
        if logs_in:
            self.check_once(logs_in=True)
            if self._routes.is_contract:
                status, _ = self._ask_login(REFUSED_LOGIN)
                if status < 400:
                    raise BenchError(f"a login that the remote refuses is answered with {status}")

    def check_once(self, *, logs_in: bool) -> None:
        """Make one request and check its answer.

        Raises:
            BenchError: it is not what the contract says.
        """
        if logs_in:
            self._log_in()
            return
        status, answer = self._ask(self._routes.check_method, self._routes.check_path, self._shown(self.token))
        if status != self._routes.check_status:
            raise BenchError(f"a good token is answered with {status}: {answer!r:.200}")
        if self._target.is_judged and (problem := _wrong_verdict(answer)):
            raise BenchError(f"{problem}: {answer!r:.200}")

    def _log_in(self) -> str:
        status, answer = self._ask_login(self._routes.login_body)
        if status // 100 != 2:
            raise BenchError(f"a login is answered with {status}: {answer!r:.200}")
        if not self._target.is_faithful:
            return ""
        token = token_in(answer, self._routes)
        if self._target.is_judged:
            try:
                claims = self._keys.read(token)
            except jwt.InvalidTokenError as error:
                raise BenchError(f"not a token ({error}): {answer!r:.200}") from None
            if claims.get("data") != self._data:
                raise BenchError(f"a token that says something else than the remote: {answer!r:.200}")
        return token

    def _ask_login(self, body: str) -> tuple[int, bytes]:
        routes = self._routes
        return self._ask(routes.login_method, routes.login_path, {"Content-Type": routes.login_type}, body)

    def _ask_check(self, token: str) -> int:
        return self._ask(self._routes.check_method, self._routes.check_path, self._shown(token))[0]

    def _shown(self, token: str) -> dict[str, str]:
        return {self._routes.header_name: self._routes.header_value.replace(TOKEN, token)}

    def _ask(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body=body, headers=headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise


def token_in(answer: bytes, routes: Routes) -> str:
    """Find the token in the answer to a login (RFC 6901).

    Raises:
        BenchError: there is none.
    """
    try:
        found: Any = json.loads(answer)
        for step in routes.token_at.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found[int(name)] if isinstance(found, list) else found[name]
    except (ValueError, KeyError, TypeError, IndexError):
        found = None
    if not isinstance(found, str) or not found:
        raise BenchError(f"no token at {routes.token_at} of a login's answer: {answer!r:.200}")
    return found


def _wrong_verdict(answer: bytes) -> str | None:
    try:
        verdict: dict[str, Any] = json.loads(answer)
    except ValueError:
        return "not JSON"
    right = verdict.get("Valid") is True and verdict.get("Claims", {}).get("data") == SMALL_DATA
    return None if right else "not the verdict of the contract"
