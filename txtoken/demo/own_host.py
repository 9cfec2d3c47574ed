"""Answers requests for the demo's page only where their Host is an address or localhost. Knows no page.

The owner of another web page can make the name of that page lead to this machine (DNS rebinding). To the browser it then has the
same origin as the demo, and could read what happens in it. Its name stays in the Host field.
"""

from __future__ import annotations

import re
from typing import Final

from txtoken.http1.messages import Client, Handler, Head, Pending, Request, Response, response_head

_OWN: Final = re.compile(rb"(?:(?:[a-z0-9-]+\.)*localhost|[0-9.]+|\[[0-9a-f:.]+\])(?::[0-9]*)?", re.IGNORECASE)
_REFUSED: Final = Response(
    403,
    response_head(403, b"Cache-Control: no-store"),
    b'{"error":"The demo\'s page is at the address of this machine, or at localhost."}',
)


class OwnHostOnly(Handler):
    """A handler that other names are refused to. A request without a name is no browser's."""

    __slots__ = ("_handler",)

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def waits(self, head: Head) -> bool:
        return self._handler.waits(head)

    def is_for_pages(self) -> bool:
        return self._handler.is_for_pages()

    def handle(self, request: Request, client: Client) -> Pending | None:
        host = request.head.fields.get(b"host", b"")
        if host and not _OWN.fullmatch(host):
            client.respond(_REFUSED)
            return None
        return self._handler.handle(request, client)
