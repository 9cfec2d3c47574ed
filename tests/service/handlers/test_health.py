"""Health, and answers that are always the same."""

from __future__ import annotations

import json

from tests.service.handlers.desk import lines, request
from tests.service.listener import Listener
from txtoken.http1.messages import Response, UnloggedResponse, response_head
from txtoken.service.handlers.fixed import Fixed
from txtoken.service.handlers.health import Health


def test_health() -> None:
    """Health is asked anew each time, 200 or 503, and leaves no access line."""
    state = True
    first, second = Listener(), Listener()
    health = Health(lambda: state)
    health.handle(request(method=b"GET"), first)
    state = False
    health.handle(request(method=b"GET"), second)
    told = first.told + second.told
    assert [response.status for response in told] == [200, 503]
    assert [json.loads(response.body) for response in told] == [{"status": "ok"}, {"status": "not ready"}]
    for response in told:
        assert isinstance(response, UnloggedResponse)
        assert not response.is_logged
        assert b"Cache-Control: no-store" in lines(response)


def test_fixed() -> None:
    """What is fixed is always the same answer."""
    response = Response(200, response_head(200), b"{}")
    client = Listener()
    Fixed(response).handle(request(), client)
    assert client.told == [response]
