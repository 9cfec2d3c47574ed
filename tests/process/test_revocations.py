"""The list of revocations of a service that runs: applied without a restart, or not at all."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from tests.configuring import KEY, changed, load_text
from tests.running import run, service_process
from tests.service.faulty_remote import FaultyRemote, good, turning
from tests.serving import NOBODY, Served, serving
from txtoken.cli.exit_codes import BAD_CONFIG
from txtoken.config.revocation_file import carried_by, read_all
from txtoken.errors import ConfigError
from txtoken.process import revoked
from txtoken.service.revocations import PARTS
from txtoken.settings import Config

CLAIMS = "claims: {jti: true, sub: /user, iat: true}"


def configured(folder: Path, lines: str, remote: str = NOBODY, more: str = "") -> Config:
    """Read a configuration with a list of these lines."""
    (folder / "revoked.txt").write_text(lines)
    return load_text(
        folder,
        f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {remote}\n{CLAIMS}\n"
        f"revocations: {folder}/revoked.txt\n{more}",
    )


async def log_in(served: Served) -> str:
    """Log in, and return the token."""
    answer = await served.ask("POST", "/getToken", body=b"{}")
    assert answer.status == 200
    return str(json.loads(answer.body)["token"])


async def check(served: Served, token: str) -> str:
    """Have a token checked: "valid", or why it is not."""
    answer = await served.ask("GET", "/checkToken", f"Authorization: Bearer {token}")
    return "valid" if answer.status == 200 else str(json.loads(answer.body)["error"])


def jti_of(token: str) -> str:
    """Return a token's id."""
    return str(jwt.decode(token, options={"verify_signature": False})["jti"])


def with_worker(worker_config: Config) -> revoked.Loaded | None:
    """Load the list as the service does before it begins."""
    return revoked.load(worker_config)


def test_a_list_takes_effect_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was remembered as valid is refused as soon as its id is in the list, another one is not."""

    async def main() -> None:
        async with FaultyRemote(good, good).listening() as faulty:
            config = configured(tmp_path, "# nobody yet\n", faulty.url)
            async with serving(config) as served:
                one, other = await log_in(served), await log_in(served)
                for _ in range(3):
                    assert [await check(served, token) for token in (one, other)] == ["valid", "valid"]
                (tmp_path / "revoked.txt").write_text(f"jti {jti_of(one)}\n")
                served.worker.read_revocations_again()
                await turning(lambda: reading_ended(served))
                for _ in range(3):
                    assert [await check(served, token) for token in (one, other)] == ["token is revoked", "valid"]
                (tmp_path / "revoked.txt").write_text("")
                served.worker.read_revocations_again()
                await turning(lambda: reading_ended(served))
                assert await check(served, one) == "valid"

    run(main())


def reading_ended(served: Served) -> bool:
    """Whether the list is not being read."""
    file = served.worker._revocation_file
    assert file is not None
    return file._reading is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"jti a\nnonsense\n", "revoked.txt, line 2: revocations: has to be one of: jti ID"),
        (b"jti a\n" * 3000 + b"sid x\n", "revoked.txt, line 3001: revocations: names `sid`"),
        (b"jti a\n\xff\n", "is not UTF-8 text"),
        (None, "revoked.txt: revocations: cannot be read: No such file or directory"),
    ],
)
def test_a_bad_list_changes_nothing(
    tmp_path: Path, service_log: pytest.LogCaptureFixture, content: bytes | None, problem: str
) -> None:
    """A file with a bad line, or that has vanished, leaves the old list in use, and says so once with the line's number."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            config = configured(tmp_path, "", faulty.url)
            async with serving(config) as served:
                token = await log_in(served)
                write(tmp_path, f"jti {jti_of(token)}\n".encode())
                served.worker.read_revocations_again()
                await turning(lambda: reading_ended(served))
                assert await check(served, token) == "token is revoked"
                service_log.clear()
                write(tmp_path, content)
                for _ in range(2):
                    served.worker.read_revocations_again()
                    await turning(lambda: reading_ended(served))
                    assert await check(served, token) == "token is revoked"
                (record,) = [record for record in service_log.records if record.levelno == logging.ERROR]
                assert record.message == "the new revocations are rejected, the old list stays in use"
                assert problem in vars(record)["fields"]["problem"]

    run(main())


def write(folder: Path, content: bytes | None) -> None:
    """Replace the list, as who does it in one step."""
    if content is None:
        (folder / "revoked.txt").unlink()
    else:
        (folder / "new").write_bytes(content)
        os.replace(folder / "new", folder / "revoked.txt")


class Clock:
    """A clock for `look` that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(revoked, "monotonic", lambda: self.now)


def test_the_file_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed file is applied when two looks, a second apart, saw the same; one that still changes is left alone."""
    clock = Clock(monkeypatch)
    seen: list[int] = []
    config = configured(tmp_path, "jti a\n")
    loaded = revoked.load(config)
    assert loaded is not None
    calls: list[Callable[[], object]] = []
    file = revoked.RevocationFile(
        config, loaded.revocations, loaded.signature, logging.getLogger("txtoken.test"), calls.append,
        lambda new: seen.append(new.count),
    )  # fmt: skip

    def look(after_s: float) -> None:
        clock.now += after_s
        file.look()
        while calls:
            calls.pop()()

    look(0)
    assert seen == []
    write(tmp_path, b"jti a\njti b\n")
    look(9)
    assert seen == []  # `reload` is 10 s
    look(1)
    assert seen == []  # the first look
    write(tmp_path, b"jti a\njti b\njti c\n")
    look(1)
    assert seen == []  # it has changed since
    look(0.5)
    assert seen == []
    look(0.5)
    assert seen == [3]
    look(10)
    assert seen == [3]


def test_reading_leaves_turns_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list is read in many turns of the loop, none much longer than `STEP_S`, and is in use when it is whole."""
    config = configured(tmp_path, "")
    calls: list[Callable[[], object]] = []
    taken: list[int] = []
    file = revoked.RevocationFile(
        config, read_all(f"{tmp_path}/revoked.txt", carried_by(config)), None, logging.getLogger("txtoken.test"),
        calls.append, lambda new: taken.append(new.count),
    )  # fmt: skip
    write(tmp_path, b"".join(b"jti %d\n" % number for number in range(20_000)))
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(
        revoked, "perf_counter", lambda: next(ticks) * 2 * revoked.STEP_S
    )  # each look at the clock is a step later
    file.read_again()
    turns = 0
    while not taken:
        calls.pop()()
        turns += 1
    assert taken == [20_000]
    assert turns == 20_000 // 256 + PARTS + 1  # to read it, and to put it in order
    assert file.current.count == 20_000
    assert not calls


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_list_at_the_start(tmp_path: Path, workers: int) -> None:
    """A bad line is an error at start, with its number, in `serve` and in `check`."""
    (tmp_path / "revoked.txt").write_text("jti a\njti\n")
    text = (
        f"port: 0\nencKey: {KEY}\nremote: http://127.0.0.1:9/\n{CLAIMS}\nrevocations: revoked.txt\nworkers: {workers}\n"
    )
    with service_process(tmp_path, config=text) as service:
        code, _, err = service.ended()
    assert (code, "revoked.txt, line 2: revocations: has to be: jti ID" in err) == (BAD_CONFIG, True)
    with pytest.raises(ConfigError) as caught:
        revoked.load(changed(load_text(tmp_path, text.replace("revoked.txt", f"{tmp_path}/revoked.txt"))))
    assert f"{tmp_path}/revoked.txt, line 2: revocations: has to be: jti ID" in str(caught.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_reads_it_again(tmp_path: Path, workers: int) -> None:
    """SIGHUP has every process read the list at once."""
    (tmp_path / "revoked.txt").write_text("# nobody\n")
    text = (
        f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: http://127.0.0.1:9/\n{CLAIMS}\nrevocations: revoked.txt\n"
        f"workers: {workers}\nreload: off\nlog: {{level: info, format: json, access: false}}\n"
    )
    with service_process(tmp_path, config=text) as service:
        assert service.port
        write(tmp_path, b"jti a\njti b\n")
        service.send(signal.SIGHUP)
        for _ in range(workers):
            line = json.loads(service.line_with("the revocations are reloaded"))
            assert line["revocations"] == 2


@pytest.mark.parametrize("after", ["another", "none"])
def test_a_list_that_is_replaced_while_it_is_read(tmp_path: Path, after: str) -> None:
    """A signal has the old file read again, and the configuration names another one, or none: the old one is not used any more,
    however long it takes to read.
    """

    async def main() -> None:
        async with FaultyRemote(good, good).listening() as faulty:
            config = configured(tmp_path, "# nobody\n", faulty.url)
            async with serving(config) as served:
                one, other = await log_in(served), await log_in(served)
                write(tmp_path, f"jti {jti_of(one)}\n".encode() + b"# long\n" * 200_000)
                (tmp_path / "short").write_text(f"jti {jti_of(other)}\n")
                served.worker.read_revocations_again()
                old = served.worker._revocation_file
                assert old is not None
                served.worker.take_over(
                    changed(config, revocations=f"{tmp_path}/short" if after == "another" else None)
                )
                await turning(lambda: old._reading is None and (after == "none" or reading_ended(served)))
                await turning(lambda: True)
                refused = "token is revoked" if after == "another" else "valid"
                assert [await check(served, token) for token in (one, other)] == ["valid", refused]

    run(main())


def test_two_signals_while_it_is_read(tmp_path: Path) -> None:
    """A list that is to be read again while it is read is read from its beginning, and its steps are no longer than before."""
    calls: list[Callable[[], object]] = []
    taken: list[int] = []
    config = configured(tmp_path, "")
    file = revoked.RevocationFile(
        config, read_all(f"{tmp_path}/revoked.txt", carried_by(config)), None, logging.getLogger("txtoken.test"),
        calls.append, lambda new: taken.append(new.count),
    )  # fmt: skip
    for lines in (1, 2, 3):
        write(tmp_path, b"jti a\n" * lines)
        file.read_again()
        assert len(calls) == 1
    while calls:
        calls.pop()()
    assert taken == [3]


@pytest.mark.parametrize("number", [0, 1])
def test_what_is_hardly_meant_is_told(tmp_path: Path, service_log: pytest.LogCaptureFixture, number: int) -> None:
    """A list that revokes the only key, and one that no service has, is taken, and the first of several workers says so."""
    log = logging.getLogger("txtoken")

    async def main() -> None:
        keys = f"keys: [{{alg: HS256, kid: a, secret: {KEY}{KEY}}}]"
        config = configured(tmp_path, "# nobody\n")
        config = load_text(
            tmp_path,
            f"port: 0\nlisten: 127.0.0.1\nremote: {NOBODY}\n{keys}\n{CLAIMS}\nrevocations: {config.revocations}\n",
        )
        async with serving(config) as served:
            log.setLevel(logging.WARNING)
            served.worker._number = number
            write(tmp_path, b"kid a\nkid b\n")
            served.worker.read_revocations_again()
            await turning(lambda: reading_ended(served))
            answer = await served.ask("POST", "/getToken", body=b"{}")
            assert answer.status == 503

    run(main())
    said = [record.getMessage() for record in service_log.records]
    warnings = [text for text in said if text.startswith("revocations: ")]
    assert len(warnings) == (2 if number == 0 else 0)
    if warnings:
        assert warnings[0].startswith("revocations: a line with `kid` names no known key")
        assert warnings[1].startswith("revocations: no key signs")
