"""Logs problems while serving, with a limited rate for each kind. Knows no request."""

from __future__ import annotations

import logging
from typing import Final

from txtoken.errors import RemoteError
from txtoken.observe.logs import Repeats

LARGE_TOKENS_S: Final = 60.0  # between two warnings
UNTRUSTED_S: Final = 60.0  # between two warnings


class Notices:
    """Log lines that could repeat with every request. They are written at a limited rate, with the number of suppressed ones."""

    __slots__ = ("_large_tokens", "_log", "_repeats", "_untrusted")

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._repeats = Repeats()
        self._large_tokens = Repeats(LARGE_TOKENS_S)
        self._untrusted = Repeats(UNTRUSTED_S)

    def remote_failed(self, error: RemoteError) -> None:
        """A login got no usable reply."""
        fields: dict[str, object] = {"error": error.code, "text": error.public}
        if error.__cause__ is not None:
            fields["cause"] = str(error.__cause__)  # contains addresses: only for the log
        self._warn(self._repeats.due(error.code), "the remote failed", fields)

    def token_is_large(self, size: int) -> None:
        """A token was issued that many servers do not accept in a header."""
        text = "a token is longer than many servers accept in a header (8 KiB): a shorter reply of the remote makes it shorter"
        self._warn(self._large_tokens.due("token"), text, {"bytes": size})

    def claims_are_dropped(self, names: str) -> None:
        """Members of a reply did not become claims. It is reported once."""
        text = "these members of the remote's reply are registered claims, and are dropped from tokens (dataClaim: '')"
        self._log.warning(text, extra={"fields": {"names": names}})

    def proxy_is_untrusted(self, peer: str) -> None:
        """A peer that is not a trusted proxy sends X-Forwarded-For, and the throttle counts it as the client itself."""
        text = "X-Forwarded-For from a peer that is not in trustedProxies: the throttle counts all its clients as one"
        self._warn(self._untrusted.due("proxy"), text, {"peer": peer})

    def handshake_failed(self, cause: str) -> None:
        """A client's TLS handshake failed."""
        if self._repeats.due("handshake") is not None:  # port scanners try every open port
            self._log.debug("a client's TLS handshake failed", extra={"fields": {"cause": cause}})

    def buffers_are_full(self, limit: int, clients: int, held_bytes: int) -> None:
        """So many connections, with so many buffered bytes, were closed."""
        if self._repeats.due("buffered_bytes") is not None:
            fields = {"limit": limit, "clients": clients, "bytes": held_bytes}
            self._log.warning(
                "limits.bufferedBytes is reached: the connections with the most bytes are closed",
                extra={"fields": fields},
            )

    def crashed(self, error: Exception) -> None:
        """A request failed by a fault of this program."""
        if self._repeats.due(type(error).__name__) is not None:
            self._log.error("an internal error failed a request", exc_info=error)

    def _warn(self, kept_back: int | None, text: str, fields: dict[str, object]) -> None:
        if kept_back is None:
            return
        if kept_back:
            fields["repeated"] = kept_back
        self._log.warning(text, extra={"fields": fields})
