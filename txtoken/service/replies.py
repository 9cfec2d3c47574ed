"""Reads the remote's reply to a login or a renewal: its object, or the failure. Knows no client."""

from __future__ import annotations

from typing import Any, Final

from txtoken.errors import RemoteError, RemoteInvalid, RemoteStatus
from txtoken.service.success import Success
from txtoken.service.tokens.compact import NESTING_MAX, UnusableJson, read_object
from txtoken.service.upstream.exchange import Outcome

REFUSED: Final = 401  # the status of a reply that `successWhen` does not match (contract §1.2)


def read_reply(outcome: Outcome, success: Success | None) -> tuple[dict[str, Any], bytes] | RemoteError:
    """Return the reply, parsed and as compact JSON, or the failure. It is returned and not raised again after it was caught.

    Without `success`, every object is a success.
    """
    if not isinstance(outcome, bytes):
        return outcome
    try:
        reply, text = read_object(outcome, NESTING_MAX)
    except UnusableJson as unusable:
        return RemoteInvalid("bad_json", str(unusable))
    if success is not None and not success.agrees(reply):
        return RemoteStatus(REFUSED, body=outcome)
    return reply, text
