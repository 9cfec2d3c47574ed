"""The throttle as the login route sees it: who attempts a login, what its outcome means, and the answer during a lockout. Knows
no remote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from orjson import dumps as write_json

from txtoken.errors import RemoteError, RemoteStatus, RemoteTruncated
from txtoken.http1.messages import Response, response_head
from txtoken.service.answers import NO_STORE
from txtoken.service.throttle.counts import LoginCounts
from txtoken.service.throttle.identities import Identities
from txtoken.service.throttle.names import Names
from txtoken.service.throttle.table import Table
from txtoken.service.throttle.throttle import Attempt, Throttle
from txtoken.settings import ThrottleSettings

# Finds the address of a client from the address of its peer and the header fields of trusted proxies.
ClientBehind = Callable[[str, Mapping[bytes, bytes]], str]
# Statuses of the remote that say nothing about a password: a timeout, or the remote's own throttle.
UNDECIDED: Final = (408, 429)
_TOO_MANY: Final = response_head(429, NO_STORE)


class LoginThrottle:
    """The throttle of one configuration: finds out who attempts a login, and counts the attempt."""

    __slots__ = ("_client_behind", "_identities", "_names", "throttle")

    def __init__(
        self, settings: ThrottleSettings, table: Table, counts: LoginCounts, client_behind: ClientBehind
    ) -> None:
        self.throttle = Throttle(settings, table, counts)
        self._identities = Identities(table.secret)
        self._names = Names(settings.pointer)
        self._client_behind = client_behind

    def begin(self, peer: str, fields: Mapping[bytes, bytes], body: bytes, document: object) -> Attempt:
        """Count an attempt, or reject it (see `Attempt`). `peer` is an address as in `Peer`, `document` as in `Names.find`."""
        names = self._names.find(body, document)
        keys = self._identities.keys(self._client_behind(peer, fields), names)
        # A success says nothing about other names in the same body, nor about others in a network without names: with one known
        # password an attacker would clear the failures of guessed ones.
        return self.throttle.begin(keys, clears=len(names) == 1 and names[0] != "")


class Guard:
    """Reports each attempt and its outcome to the throttle, if there is one. Wrong logins are counted in any case. Each accepted
    attempt gets exactly one outcome.
    """

    __slots__ = ("_counts", "login_throttle")

    def __init__(self, counts: LoginCounts, login_throttle: LoginThrottle | None = None) -> None:
        self._counts = counts
        self.login_throttle = login_throttle  # None: nobody is throttled, and attempts are None

    def succeed(self, attempt: Attempt | None) -> None:
        """The remote accepted the login."""
        if attempt is not None and self.login_throttle is not None:
            self.login_throttle.throttle.succeed(attempt)

    def fail(self, attempt: Attempt | None, error: RemoteError) -> None:
        """The client gets no token, because the remote rejected the login or for another reason."""
        # If a remote repeats the request in its 401, an attacker can make the body too long: it still counts as a 401.
        is_wrong = isinstance(error, RemoteStatus | RemoteTruncated) and is_rejection(error.status)
        if is_wrong:
            self._counts.failures += 1
        if attempt is not None and self.login_throttle is not None:
            if is_wrong:
                self.login_throttle.throttle.fail(attempt)
            else:
                self.login_throttle.throttle.take_back(attempt)

    def abandon(self, attempt: Attempt | None, *, was_sent: bool) -> None:
        """The client does not wait for the outcome. This counts as wrong, unless the request was not sent yet: if a wrong
        password takes longer than a right one, an attacker need not wait for the answer.
        """
        if attempt is not None and self.login_throttle is not None:
            if was_sent:
                self.login_throttle.throttle.fail(attempt)
            else:
                self.login_throttle.throttle.take_back(attempt)

    def take_back(self, attempt: Attempt | None) -> None:
        """The outcome is unknown, and that is not the client's fault."""
        if attempt is not None and self.login_throttle is not None:
            self.login_throttle.throttle.take_back(attempt)


def is_rejection(status: int) -> bool:
    """Whether a status of the remote rejects the login."""
    return 400 <= status < 500 and status not in UNDECIDED


def throttled(wait_s: int) -> Response:
    """Return the answer to an attempt during a lockout. It is the same whether the name exists or not."""
    said = {"message": "Too many failed logins.", "error": f"too many failed logins: try again in {wait_s} s"}
    return Response(429, _TOO_MANY + b"Retry-After: %d\r\n" % wait_s, write_json(said), error="throttled")
