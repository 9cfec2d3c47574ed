"""Reads the remote's reply to a login or a renewal: its object, or the failure. Knows no client."""

from __future__ import annotations

from typing import Any, Final

from txtoken.errors import RemoteError, RemoteInvalid, RemoteStatus
from txtoken.service.success import Success
from txtoken.service.tokens.compact import NESTING_MAX, UnusableJson, names_by_text, read_members
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.upstream.exchange import Outcome

REFUSED: Final = 401  # the status of a reply that `successWhen` does not match (contract §1.2)


class ReplyReader:
    """Reads the replies for one issuer. Without `success`, every object is a success."""

    __slots__ = ("_names", "_success")

    def __init__(self, success: Success | None, issuer: TokenIssuer) -> None:
        self._success = success
        asked = frozenset() if success is None else success.names
        # The members that anything here asks for; None: all.
        self._names = None if asked is None or issuer.names is None else names_by_text(asked | issuer.names)

    def read(self, outcome: Outcome) -> tuple[dict[str, Any], bytes] | RemoteError:
        """Return the reply, parsed as far as the issuer asks for it, and as compact JSON; or the failure. It is returned and not
        raised again after it was caught.
        """
        if not isinstance(outcome, bytes):
            return outcome
        try:
            reply, text = read_members(outcome, NESTING_MAX, self._names)
        except UnusableJson as unusable:
            return RemoteInvalid("bad_json", str(unusable))
        if self._success is not None and not self._success.agrees(reply):
            return RemoteStatus(REFUSED, body=outcome)
        return reply, text
