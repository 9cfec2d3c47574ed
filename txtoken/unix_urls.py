"""URLs of remotes at a Unix socket: `http+unix://%2Frun%2Flogin.sock/login`. Splits them; validates none."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import unquote_to_bytes

HTTP_UNIX: Final = "http+unix://"  # the host is the socket's percent-encoded path


def is_http_unix(url: str) -> bool:
    """Whether this is the URL of a remote at a Unix socket."""
    return url[: len(HTTP_UNIX)].lower() == HTTP_UNIX


def encoded_path(url: str) -> str:
    """Return the host part unchanged: the path of the socket, percent-encoded."""
    return re.split("[/?]", url[len(HTTP_UNIX) :], maxsplit=1)[0]


def socket_path(url: str) -> str:
    """Return the path of the socket. Bytes that are not text are decoded as in Python's file names."""
    return os.fsdecode(unquote_to_bytes(encoded_path(url)))
