"""What `helm test` runs in the cluster, with the Python of the service's image and nothing else: does the release answer?

It sends no password and, without ASK_REMOTE, nothing to the remote. Every address comes from the environment.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 10.0


def ask(url: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
    """Send a request, and return the status and the JSON object of the answer."""
    address = urlsplit(url)
    host = address.hostname or ""
    if address.scheme == "https":
        # The certificate is not verified: it names the clients' host, not the Service.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, address.port, timeout=TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, address.port, timeout=TIMEOUT_S)
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, address.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        status, text = answer.status, answer.read()
    finally:
        connection.close()
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    return status, found if isinstance(found, dict) else {}


def main() -> int:
    """Run every check that the environment asks for. Return 1 if one fails."""
    environ = os.environ
    service = environ.get("SERVICE_URL", "")
    failures = 0

    def check(what: str, url: str, body: bytes | None, expected: int | None, unlike: str = "") -> None:
        nonlocal failures
        try:
            status, found = ask(url, body)
        except (OSError, http.client.HTTPException) as error:
            good, seen = False, f"no answer: {error}"
        else:
            good = expected in (None, status) and not (unlike and found.get("message") == unlike)
            seen = f"status {status} {found.get('message') or found.get('error') or ''}".rstrip()
        failures += not good
        sys.stdout.write(f"{'ok    ' if good else 'FAILED'} {what}: {url}: {seen}\n")

    check("it is ready", environ["READY_URL"], None, 200)
    if "CHECK_TOKEN" in environ:
        check("a check without a token is refused", service + environ["CHECK_TOKEN"], None, 401)
    if "GET_TOKEN" in environ:
        check("a login that is not JSON is refused", service + environ["GET_TOKEN"], b"not JSON", 400)
    if "ASK_REMOTE" in environ:
        check("the remote answers", service + environ["ASK_REMOTE"], b"{}", None, "Remote post failure.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
