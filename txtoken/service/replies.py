"""What the remote's reply to a login, or to a renewal, comes to: its object, or why it is none. Knows no client."""

from __future__ import annotations

from typing import Any, Final

from txtoken.errors import RemoteError, RemoteInvalid, RemoteStatus
from txtoken.service.success import Success
from txtoken.service.tokens.compact import NESTING_MAX, UnusableJson, read_object
from txtoken.service.upstream.exchange import Outcome

REFUSED: Final = 401  # what a reply counts as that `successWhen` does not agree with (contract §1.2)


def read_reply(outcome: Outcome, success: Success | None) -> tuple[dict[str, Any], bytes] | RemoteError:
    """Return the reply, parsed and as compact JSON; or the failure, which is returned and not raised: it was caught once.

    Without `success` every object is one.
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
