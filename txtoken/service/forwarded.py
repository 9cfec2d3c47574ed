"""The header lines of a client's request that are forwarded to the remote (contract §1.2 `forwardHeaders`, `forwardedFor`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from txtoken.http1.messages import Client, Peer

# Makes the header lines about the client for the remote, from the peer and the header fields.
ForwardedLines = Callable[[Peer, Mapping[bytes, bytes]], bytes]


class Forwarding:
    """Writes the lines. `names` are the copied fields, `forwarded_lines` adds lines about the client, or is None."""

    __slots__ = ("_forwarded_lines", "_names")

    def __init__(self, names: Sequence[str], forwarded_lines: ForwardedLines | None) -> None:
        self._names = tuple({name.lower().encode("ascii"): name.encode("ascii") for name in names}.items())
        self._forwarded_lines = forwarded_lines

    def lines(self, fields: Mapping[bytes, bytes], client: Client) -> bytes:
        """Write the lines of a request with these fields, each with its line end."""
        lines = b""
        for name, written in self._names:
            if name in fields and not _is_of_connection(fields, name):
                lines += b"%b: %b\r\n" % (written, fields[name])
        if self._forwarded_lines is not None:
            lines += self._forwarded_lines(client.peer(), fields)
        return lines


def _is_of_connection(fields: Mapping[bytes, bytes], name: bytes) -> bool:
    """Whether the client says that a field applies to this connection alone (RFC 9110 §7.6.1)."""
    connection = fields.get(b"connection")
    return connection is not None and name in {option.strip() for option in connection.lower().split(b",")}
