"""Figures: which requests they are made of, and which start they are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jwt
import pytest

from bench.count.cases import CASES, KEY, chosen
from bench.count.counters import Snapshot
from bench.count.counting import figure, together
from bench.errors import BenchError
from bench.load.replies import compact

READ, WAIT, CLOCK = 0, 281, 228  # of x86_64


def requests(count: int, instructions: int, **calls: int) -> list[Snapshot]:
    """Make equal requests."""
    numbers = {"read": READ, "wait": WAIT, "clock": CLOCK}
    return [Snapshot(instructions, Counter({numbers[name]: times for name, times in calls.items()}))] * count


def test_disturbed_requests() -> None:
    """A request in which the start of a second fell is not part of the figure."""
    counted = [*requests(20, 1000, read=1, wait=1), *requests(2, 50_000, read=1, wait=2, clock=4)]
    found = figure(CASES["check"], counted, "x86_64")
    assert found.instructions == 1000
    assert found.kept == pytest.approx(20 / 22)
    assert found.system_calls == {"read": 1, "epoll_pwait": 1}


def test_mostly_disturbed_requests() -> None:
    """Where most requests are disturbed, because the machine is busy, the others make the figure."""
    counted = [*requests(20, 1500, read=1, wait=3), *requests(10, 1000, read=1, wait=1), *requests(9, 1200, wait=3)]
    assert figure(CASES["login_8k"], counted, "x86_64").instructions == 1000


def test_rare_requests() -> None:
    """A few requests with fewer system calls than all others are not the figure."""
    counted = [*requests(2, 10, read=1), *requests(98, 1000, read=1, wait=1)]
    assert figure(CASES["login"], counted, "x86_64").instructions == 1000


def test_no_two_alike() -> None:
    """Requests that are all different make no figure."""
    counted = [one for number in range(40) for one in requests(1, 1000, read=number)]
    with pytest.raises(BenchError, match="no 5% of the requests made the same number of system calls"):
        figure(CASES["login"], counted, "x86_64")


def test_nothing_counted() -> None:
    """A request of no instructions is an error: the plugin does not count."""
    with pytest.raises(BenchError, match="counted no instruction"):
        figure(CASES["login"], [*requests(20, 1000, read=1), *requests(1, 0, read=1)], "x86_64")


def test_garbage_is_part_of_it() -> None:
    """What Python's collector costs is divided among the requests; the typical one is without."""
    found = figure(CASES["login"], [*requests(90, 1000, read=1), *requests(10, 2000, read=1)], "x86_64")
    assert (found.instructions, found.typical) == (1100, 1000)
    assert found.spread == pytest.approx(300 / 1100, abs=0.03)


def test_start_in_the_middle() -> None:
    """Of several starts the one in the middle counts, whole, and how far they are apart is said."""
    one = figure(CASES["login"], requests(20, 1000, read=1), "x86_64")
    starts = [
        replace(one, instructions=cost, spread=spread) for cost, spread in ((1020, 0.1), (1000, 0.3), (1010, 0.2))
    ]
    found = together(starts)
    assert found.instructions == 1010
    assert found.between == pytest.approx(20 / 1010)
    assert found.spread == 0.3


def test_chosen_cases() -> None:
    """Cases are chosen by name, and a reply of one's own is the login's."""
    assert [case.name for case in chosen([], None)] == list(CASES)
    login, check = chosen(["check", "login"], b'{"id":7}')
    assert (login.reply, check.reply) == (b'{"id":7}', CASES["check"].reply)
    assert login.parameters != CASES["login"].parameters
    with pytest.raises(BenchError, match="there is no case logout; there are login, "):
        chosen(["logout"], None)
    for reply in (b"[]", b"{", b"\xff"):
        with pytest.raises(BenchError, match="not a JSON object"):
            chosen([], reply)


def test_wrong_answers() -> None:
    """An answer that is not the right one is an error, whatever it is."""
    _, judge_login = next(_exchanges("login"))
    wrong: list[Any] = [{}, [], {"token": 1}, {"token": "a.b.c"}, None]
    for answer in wrong:
        with pytest.raises(BenchError, match="not a token"):
            judge_login(answer)
    _, judge_check = next(_exchanges("check"))
    wrong = [{"Valid": True}, {"Valid": False, "Claims": {}}, [], None]
    for answer in wrong:
        with pytest.raises(BenchError, match="not the token's verdict"):
            judge_check(answer)


def test_token_of_another_login() -> None:
    """A good token with other data than the remote's is an error."""
    _, judge = next(_exchanges("login"))
    token = jwt.encode({"data": {"id": 2}, "exp": 4_102_444_800}, KEY, "HS256")
    with pytest.raises(BenchError, match="says something else than the remote"):
        judge({"token": token})


def test_distinct_tokens() -> None:
    """A case of different tokens never sends one twice; the other one always sends the same."""
    distinct, same = _exchanges("check_distinct"), _exchanges("check")
    assert len({next(distinct)[0] for _ in range(20)}) == 20
    assert len({next(same)[0] for _ in range(20)}) == 1


def test_same_tokens_in_every_start() -> None:
    """Tokens do not depend on the time: their text decides how dicts collide, and so what is counted."""
    assert next(_exchanges("check"))[0] == next(_exchanges("check"))[0]


def _exchanges(name: str) -> Iterator[tuple[bytes, Callable[[Any], None]]]:
    return replace(CASES[name], reply=compact({"id": 1})).exchanges()
