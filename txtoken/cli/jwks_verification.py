"""`txtoken token verify --jwks`: verifies a token as another program would, by published keys and PyJWT. Knows no configuration.

It is loaded only where `--jwks` is given: other commands have no use for PyJWT.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import jwt
import orjson

from txtoken.cli.exit_codes import FAILED, OK
from txtoken.cli.given_text import read_token
from txtoken.cli.json_output import print_json
from txtoken.cli.terminal import complain, say
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.build import asymmetric
from txtoken.service.keys.key import BEARER_TYPE

TIMEOUT_S: Final = 10.0
# With an HMAC key everyone who reads the JWK Set could sign, and with none anyone.
ALGORITHMS: Final = ("ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")
_URL: Final = re.compile("https?://", re.IGNORECASE)


class NoKeys(Exception):
    """There are no keys to verify with: why."""


class NotValid(Exception):
    """The token is not valid: why."""


def verify(options: argparse.Namespace) -> int:
    """Print the claims of a valid token, or why it is not valid."""
    try:
        keys = read_keys(options.jwks)
        claims = claims_of(read_token(options.token), keys, options.iss, options.aud, options.alg)
    except NoKeys as error:
        complain(f"txtoken: --jwks: {_printable(error)}")
        return FAILED
    except NotValid as error:
        if options.output == "json":
            print_json({"valid": False, "error": _printable(error)})
        else:
            complain(f"not valid: {_printable(error)}")
        return FAILED
    # This library writes integers of any size; half a pair of surrogates becomes the escape that it was.
    text = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    if options.output == "json":
        print_json({"valid": True, "claims": orjson.Fragment(text)})
    else:
        say(text.decode())
    return OK


def read_keys(source: str) -> list[jwt.PyJWK]:
    """Read the keys of a JWK Set (RFC 7517 §5), from a URL or a file, that say which algorithm they are for.

    Raises:
        NoKeys: it cannot be read, or holds none.
    """
    try:
        asymmetric()
    except KeyMaterialError as error:
        raise NoKeys(str(error)) from None
    data = _fetched(source) if _URL.match(source) else _read(source)
    members = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(members, list):
        raise NoKeys("is no JWK Set: a JSON object with the member `keys`")
    keys = [key for member in members if (key := _key(member)) is not None]
    if not keys:
        raise NoKeys("holds no public key for signatures that says its algorithm (alg)")
    return keys


def _fetched(url: str) -> Any:
    try:
        return jwt.PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT_S).fetch_data()
    except (jwt.PyJWTError, http.client.HTTPException, OSError, ValueError, RecursionError) as error:
        raise NoKeys(f"cannot be fetched: {error}") from None


def _read(path: str) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise NoKeys(f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise NoKeys("is not JSON") from None


def _key(member: Any) -> jwt.PyJWK | None:
    """Make a key. None: it is not for signatures, does not say its algorithm, or cannot be used."""
    if not isinstance(member, dict) or member.get("alg") not in ALGORITHMS or member.get("use", "sig") != "sig":
        return None
    try:
        return jwt.PyJWKSet.from_dict({"keys": [member]}).keys[0]
    except jwt.PyJWTError:
        return None


def claims_of(
    token: bytes, keys: list[jwt.PyJWK], issuer: str | None, audience: str | None, algorithms: Collection[str] = ()
) -> dict[str, Any]:
    """Return the claims of a token that one of the keys signed. It has to expire. Issuer, audience and algorithms are looked at
    where they are given; the algorithm is the key's own in any case.

    Raises:
        NotValid: it is not valid.
    """
    try:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        found = keys if kid is None else [key for key in keys if key.key_id == kid]
        if not found:
            raise NotValid("no key of the JWK Set has the token's kid")
        if kid is None and len(found) > 1:
            raise NotValid(f"the token has no kid, and the JWK Set has {len(found)} keys")
        key = found[0]
        if algorithms and key.algorithm_name not in algorithms:
            raise NotValid(f"its key is for {key.algorithm_name}, which --alg does not name")
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=issuer,
            audience=audience,
            options={"require": ["exp"], "verify_aud": audience is not None},
        )
    except jwt.PyJWTError as error:
        raise NotValid(str(error)) from None
    except RecursionError:
        raise NotValid("the token is nested too deeply") from None
    if type(claims["exp"]) not in (int, float):  # the library takes text that holds a number
        raise NotValid("its exp is no number")
    if header.get("typ") == BEARER_TYPE:
        raise NotValid(f"it is the token that is shown to the remote (typ {BEARER_TYPE}), and nobody's login")
    return claims


def _printable(error: Exception) -> str:
    """Write an error's text, which may quote a token or a server, without what a terminal would act upon."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(error))
