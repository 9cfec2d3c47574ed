"""Log lines: their form, and that nothing can make the service wait for their reader."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from txtoken.observe import logs
from txtoken.observe.logs import DirectWriter, LineWriter, Repeats, open_log, timestamp


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
        log.error("an internal error failed a request", exc_info=error)
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


def fill(writing: int) -> int:
    """Fill a pipe that does not block. Returns how many bytes it took."""
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(writing, b"x" * 4096)
    return filled


def take(reading: int, count: int) -> bytes:
    """Read so many bytes, or up to the end."""
    taken = b""
    while len(taken) < count and (piece := os.read(reading, count - len(taken))):
        taken += piece
    return taken


@pytest.mark.parametrize("piece_bytes_max", [None, 4096])
def test_a_pipe_that_does_not_block_loses_nothing(pipe: tuple[int, int], piece_bytes_max: int | None) -> None:
    """A pipe that another process has made non-blocking is waited for: every line arrives, whole and in order."""
    os.set_blocking(pipe[1], False)
    filled = fill(pipe[1])
    writer = LineWriter(pipe[1], piece_bytes_max=piece_bytes_max)
    lines = [b"%06d %s\n" % (number, b"x" * 100) for number in range(3000)]
    for line in lines:
        writer.write(line)
    assert take(pipe[0], filled) == b"x" * filled
    assert take(pipe[0], sum(map(len, lines))) == b"".join(lines)
    writer.close()
    assert writer.dropped == 0


def test_waiting_for_room_takes_no_cpu_time(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody reads, the writer's thread sleeps: it does not try again and again."""
    real, tries = os.write, [0]

    def write(fd: int, data: bytes) -> int:
        tries[0] += 1
        return real(fd, data)

    os.set_blocking(pipe[1], False)
    filled = fill(pipe[1])
    monkeypatch.setattr(os, "write", write)
    writer = LineWriter(pipe[1])
    writer.write(b"one\n")
    assert select.select([], [], [], 0.3) == ([], [], [])  # time for thousands
    assert tries[0] <= 2
    take(pipe[0], filled)
    writer.close()
    assert take(pipe[0], 4) == b"one\n"


@pytest.mark.parametrize("bytes_max", [None, 1, 7, 12, 100])
def test_pieces(bytes_max: int | None) -> None:
    """Lines are cut behind line ends alone, into as few pieces as that takes; a line that is too long is a piece of its own."""
    lines = b"one\n two\nthree is long\n\nfour\nlast\n"
    pieces = [*logs._pieces(lines, bytes_max)]
    assert b"".join(pieces) == lines
    most = len(lines) if bytes_max is None else bytes_max
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= most or piece.count(b"\n") == 1 for piece in pieces)
    firsts = [piece.partition(b"\n")[0] + b"\n" for piece in pieces[1:]]
    assert all(len(piece) + len(first) > most for piece, first in zip(pieces, firsts, strict=False))
    assert [*logs._pieces(b"no end of a line", bytes_max)] == [b"no end of a line"]


def test_a_disk_that_has_room_again(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a write that failed half way the next line begins on a line of its own, and lost lines are counted once."""
    real = os.write
    outcomes: list[int | OSError] = [5, OSError(errno.ENOSPC, "No space left on device")]

    def write(fd: int, data: bytes) -> int:
        outcome = outcomes.pop(0) if outcomes else len(data)
        if isinstance(outcome, OSError):
            raise outcome
        return real(fd, bytes(data)[:outcome])

    monkeypatch.setattr(os, "write", write)
    writer = LineWriter(pipe[1])
    writer.write(b"first\nlost\n"[1:])
    writer.close()
    assert writer.dropped == 1
    writer = restarted(writer)
    writer.write(b"next\n")
    writer.close()
    assert take(pipe[0], 10) == b"irst\nnext\n"
    outcomes[:] = [2, OSError(errno.ENOSPC, "No space left on device")]
    writer = restarted(writer)
    writer.write(b"abc\nd\n")
    writer.close()
    assert writer.dropped == 3
    outcomes[:] = [OSError(errno.ENOSPC, "No space left on device")]
    for text in (b"still lost\n", b"here\n"):
        writer = restarted(writer)
        writer.write(text)
        writer.close()
    assert writer.dropped == 4
    assert take(pipe[0], 8) == b"ab\nhere\n"


def restarted(writer: LineWriter) -> LineWriter:
    """Let a writer that was closed go on, so that each batch is written before the next one comes."""
    writer._ended = False
    writer._thread = threading.Thread(target=writer._run, daemon=True)
    writer._thread.start()
    return writer


# Without a thread


@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_direct_writer_keeps_what_nobody_takes(pipe: tuple[int, int], is_blocking: bool) -> None:
    """A writer without a thread never waits; what a full pipe does not take comes when there is room, whole and in order."""
    os.set_blocking(pipe[1], False)
    filled = fill(pipe[1])
    os.set_blocking(pipe[1], is_blocking)
    writer = DirectWriter(pipe[1])
    lines = [b"%06d %s\n" % (number, b"x" * 100) for number in range(300)]
    for line in lines:
        writer.write(line)
    taken = take(pipe[0], filled)
    while len(taken) < filled + sum(map(len, lines)):
        writer.flush()
        taken += os.read(pipe[0], 1 << 20)
    assert taken[filled:] == b"".join(lines)
    assert writer.dropped == 0
    assert os.get_blocking(pipe[1]) == is_blocking
    writer.close()


def test_a_direct_writer_does_not_wait_for_who_shares_the_pipe(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that another process fills between the look at it and the write does not block the writer, and stays as it was
    for that process.
    """
    os.set_blocking(pipe[1], False)
    fill(pipe[1])
    os.set_blocking(pipe[1], True)
    writer = DirectWriter(pipe[1])
    assert not os.get_blocking(writer._fd)  # or the write below would wait for ever
    monkeypatch.setattr(logs, "_wait_for_room", lambda *_: True)
    writer.write(b"one\n")
    assert writer._kept == b"one\n"
    assert writer.dropped == 0
    assert os.get_blocking(pipe[1])
    os.close(writer._fd)


def test_a_direct_writer_is_bounded(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is past its bound is dropped and counted, and the end waits a moment for the rest and no longer."""
    monkeypatch.setattr(logs, "FINISH_S", 0.05)
    os.set_blocking(pipe[1], False)
    fill(pipe[1])
    writer = DirectWriter(pipe[1])
    line = b"x" * 1023 + b"\n"
    for _ in range(logs.KEPT_BYTES_MAX // len(line) + 3):
        writer.write(line)
    assert writer.dropped == 3
    os.read(pipe[0], 65536)
    writer.write(line)  # there is room again, and it is found before a line is dropped
    assert writer.dropped == 3
    writer.close()


def test_a_direct_writer_waits_for_its_reader_at_the_end(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end what was kept is written as soon as there is room."""
    monkeypatch.setattr(logs, "FINISH_S", 20.0)
    os.set_blocking(pipe[1], False)
    filled = fill(pipe[1])
    writer = DirectWriter(pipe[1])
    writer.write(b"last\n")
    reader = threading.Thread(target=take, args=(pipe[0], filled))
    reader.start()
    writer.close()
    reader.join()
    assert take(pipe[0], 5) == b"last\n"


def test_a_direct_writer_survives_a_closed_pipe_and_a_full_disk(pipe: tuple[int, int]) -> None:
    """Lines that an error costs are counted, and nothing is raised."""
    device = os.open("/dev/full", os.O_WRONLY)
    full, closed = DirectWriter(device), DirectWriter(pipe[1])
    os.close(pipe[0])
    for writer in (full, closed):
        writer.write(b"one\ntwo\n")
        assert writer.dropped == 2
        writer.close()
    os.close(device)


def test_a_direct_writer_never_waits_for_who_was_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process fills a socket (journald's) between the look and the write, lines are kept, and nobody waits."""
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.setblocking(False)
        filled = 0
        for size in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    filled += ours.send(b"\n" * size)
        ours.setblocking(True)
        writer = DirectWriter(ours.fileno())
        with monkeypatch.context() as patched:
            patched.setattr(logs, "_wait_for_room", lambda *_: True)
            writer.write(b"one\n")
        assert writer.dropped == 0
        while filled:
            filled -= len(theirs.recv(filled))
        writer.close()
        assert theirs.recv(100) == b"one\n"
        assert ours.getblocking()


def test_whether_lines_are_being_lost(pipe: tuple[int, int]) -> None:
    """A writer knows whether lines are being lost at present, so that nobody says so where it would be lost too."""
    target = os.dup(pipe[1])
    line, direct = LineWriter(target), DirectWriter(target)
    assert not line.is_stuck
    assert not direct.is_stuck
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, target)
    broken = DirectWriter(target)
    broken.write(b"one\n")
    assert broken.is_stuck
    line.write(b"one\n")
    line.close()
    assert line.is_stuck
    direct.close()
    os.dup2(pipe[1], target)
    broken.write(b"two\n")
    assert not broken.is_stuck
    again = LineWriter(target)
    again._failed = True
    again.write(b"three\n")
    again.close()
    assert not again.is_stuck
    os.close(full)
    os.close(target)
    assert os.read(pipe[0], 100) == b"two\nthree\n"


def test_a_full_log_is_stuck_until_somebody_reads(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer with more than half of what it may keep is stuck, and is not when that was taken."""
    monkeypatch.setattr(logs, "KEPT_BYTES_MAX", 200_000)
    writer = DirectWriter(pipe[1])
    while not writer.dropped:
        writer.write(b"x" * 1023 + b"\n")
    assert writer.is_stuck
    while writer.is_stuck:
        os.read(pipe[0], 65536)
        writer.flush()
    os.close(pipe[0])
    writer.close()


def test_a_writer_that_waits_is_stuck(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer with a thread is stuck, too, while more than half of what it may keep waits, and not with less."""
    os.set_blocking(pipe[1], False)
    filled = fill(pipe[1])
    os.set_blocking(pipe[1], True)
    monkeypatch.setattr(logs, "PENDING_BYTES_MAX", 100_000)
    writer = LineWriter(pipe[1])
    line = b"x" * 999 + b"\n"
    while not writer.dropped:
        writer.write(line)
        assert writer.is_stuck == (writer._pending_bytes > 50_000)
    assert writer.is_stuck
    take(pipe[0], filled + 100_000)
    writer.close()
    assert not writer.is_stuck


@pytest.mark.parametrize("as_json", [True, False])
def test_no_token_stands_in_an_event(pipe: tuple[int, int], as_json: bool) -> None:
    """A token that came into a message, a field or an exception's text is not logged."""
    token = "eyJhbGciOiJIUzI1NiJ9.eyJkYXRhIjp7fX0.c2lnbmF0dXJl"
    log, writer = logged(pipe, as_json=as_json)
    try:
        raise ValueError(token)
    except ValueError as error:
        log.error(token, exc_info=error, extra={"fields": {"text": f"of {token}"}})
    text = read_all(pipe, writer)
    assert "eyJ" not in text
    assert text.count("[token]") >= 3


def test_a_field_is_named_in_one_line(pipe: tuple[int, int]) -> None:
    """The name of a field cannot make two lines of one either."""
    log, writer = logged(pipe, as_json=False)
    log.info("here", extra={"fields": {"a\u2028b": 1}})
    (line,) = read_all(pipe, writer).splitlines()
    assert line.endswith(r" a\u2028b=1")


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
    assert timestamp(1_700_000_000.875) == "2023-11-14T22:13:20.875Z"
    assert timestamp(1_700_000_123.015625) == "2023-11-14T22:15:23.015Z"
    assert timestamp(0.0) == "1970-01-01T00:00:00.000Z"
