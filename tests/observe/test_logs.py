"""Log lines: their form, and that nothing can make the service wait for whoever reads them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator

import pytest

from txtoken.observe import logs
from txtoken.observe.logs import LineWriter, Repeats, open_log, timestamp


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe as (read end, write end). What a test has closed stays closed."""
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue  # the test did it


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, log = logging.getLogger(), logging.getLogger("txtoken")
    before = root.handlers[:], root.level, log.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    log.setLevel(before[2])


def logged(pipe: tuple[int, int], *, as_json: bool, level: str = "info") -> tuple[logging.Logger, LineWriter]:
    """Open a log that goes to the pipe."""
    writer = LineWriter(pipe[1])
    return open_log(writer, level=level, as_json=as_json), writer


def read_all(pipe: tuple[int, int], writer: LineWriter) -> str:
    """End the log, and return what came out."""
    writer.close()
    os.close(pipe[1])
    with open(pipe[0], closefd=False) as stream:
        return stream.read()


def test_json_lines(pipe: tuple[int, int]) -> None:
    """With the JSON format an event is one JSON object in one line, whatever it holds."""
    log, writer = logged(pipe, as_json=True)
    log.info("two\nlines", extra={"fields": {"port": 1, "text": "ü\n"}})
    (line,) = read_all(pipe, writer).splitlines()
    event = json.loads(line)
    assert event["time"].endswith("Z")
    del event["time"]
    assert event == {"level": "info", "message": "two\nlines", "port": 1, "text": "ü\n"}


def test_text_lines(pipe: tuple[int, int]) -> None:
    """With the text format an event is readable, and a field cannot forge a second line."""
    log, writer = logged(pipe, as_json=False)
    log.warning("the remote failed", extra={"fields": {"error": "status", "text": "a\nb"}})
    (line,) = read_all(pipe, writer).splitlines()
    assert line.endswith(r'warning the remote failed error=status text="a\nb"')


@pytest.mark.parametrize("as_json", [True, False])
def test_tracebacks(pipe: tuple[int, int], as_json: bool) -> None:
    """A fault of the program is logged with its traceback."""
    log, writer = logged(pipe, as_json=as_json)
    try:
        raise ValueError("broken")
    except ValueError as error:
        log.error("a request made the service fail", exc_info=error)
    text = read_all(pipe, writer)
    assert "ValueError: broken" in text
    assert (text.count("\n") == 1) == as_json


def test_levels(pipe: tuple[int, int]) -> None:
    """What is below the level is not logged, and libraries' own debugging never."""
    log, writer = logged(pipe, as_json=True, level="debug")
    log.debug("ours")
    logging.getLogger("asyncio").debug("theirs")
    logging.getLogger("aiohttp.client").warning("their warning")
    messages = [json.loads(line)["message"] for line in read_all(pipe, writer).splitlines()]
    assert messages == ["ours", "their warning"]


def test_a_full_pipe_does_not_stop_anybody(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody reads, `write` returns at once, what does not fit is dropped, and the drops are counted."""
    monkeypatch.setattr(logs, "FINISH_S", 0.01)
    writer = LineWriter(pipe[1])
    line = b"x" * 1023 + b"\n"
    sent = 0
    while not writer.dropped:
        writer.write(line)
        sent += 1
    assert sent * len(line) >= logs.PENDING_BYTES_MAX
    os.close(pipe[0])  # which lets the writer's thread go
    writer.close()
    writer._thread.join()  # or it might write to whoever gets this descriptor next


def test_a_closed_pipe_loses_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    """A reader that is gone costs the lines, which are counted, and no exception."""
    os.close(pipe[0])
    writer = LineWriter(pipe[1])
    writer.write(b"one\ntwo\n")
    writer.close()
    assert writer.dropped == 2


def test_a_full_disk_loses_lines_and_nothing_else() -> None:
    """The same for a device without space."""
    device = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(device)
    writer.write(b"one\n")
    writer.close()
    os.close(device)
    assert writer.dropped == 1


def test_lines_survive_the_end(pipe: tuple[int, int]) -> None:
    """What was written before `close` arrives, in order."""
    writer = LineWriter(pipe[1])
    for number in range(100):
        writer.write(b"%d\n" % number)
    assert read_all(pipe, writer).split() == [str(number) for number in range(100)]


def test_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a message that comes all the time one line a second is let through, with the number of those kept back."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    repeats = Repeats(period_s=1.0)
    assert repeats.due("timeout") == 0
    assert repeats.due("timeout") is None
    assert repeats.due("refused") == 0
    now = 101.0
    assert repeats.due("timeout") == 1
    now = 102.0
    assert repeats.due("timeout") == 0


def test_timestamp() -> None:
    """A time is RFC 3339 in UTC with milliseconds."""
    assert timestamp(1_700_000_000.5) == "2023-11-14T22:13:20.500Z"
