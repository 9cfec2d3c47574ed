"""URLs of remotes at a Unix socket: `http+unix://%2Frun%2Flogin.sock/login`. Knows how they are taken apart; judges none."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import unquote_to_bytes

HTTP_UNIX: Final = "http+unix://"  # the socket's percent-encoded path stands for the host


def is_http_unix(url: str) -> bool:
    """Whether this is the URL of a remote at a Unix socket."""
    return url[: len(HTTP_UNIX)].lower() == HTTP_UNIX


def encoded_path(url: str) -> str:
    """Return what stands for the host, as it stands: the path of the socket, percent-encoded."""
    return re.split("[/?]", url[len(HTTP_UNIX) :], maxsplit=1)[0]


def socket_path(url: str) -> str:
    """Return the path of the socket, bytes that are no text as Python writes them in names of files."""
    return os.fsdecode(unquote_to_bytes(encoded_path(url)))
