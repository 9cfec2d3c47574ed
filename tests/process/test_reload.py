"""A changed configuration: whether it is seen, and whether it is applied whole or not at all."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import jwt
import pytest

from tests.certifying import write_certificate
from tests.configuring import revealed
from tests.login_api import LoginApi
from tests.process.test_supervisor import workers_of
from tests.running import KEY, PATIENCE_S, run_first, service_process
from txtoken.config.read import load
from txtoken.process import reload as reload_module
from txtoken.process.agreement import Agreement
from txtoken.process.reload import DISAGREEMENTS_MAX, READS_AT_ONCE_MAX, SETTLE_S, Reload
from txtoken.process.running import _watch
from txtoken.settings import Config

OTHER_KEY: Final = "another-key-for-tests-0123456789-abcdefgh"


def text_of(key: str = KEY, remote: str = "http://127.0.0.1:9/login", more: str = "") -> str:
    """Write a configuration."""
    return f"port: 0\nlisten: 127.0.0.1\nencKey: {key}\nremote: {remote}\nreload: off\n{more}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file."""
    path = tmp_path / "cfg.yml"
    path.write_text(text_of())
    return path


def reload_of(file: Path) -> Reload:
    """Make what reads the file again."""

    def read() -> Config:
        return load(str(file), {})

    return Reload(read, read(), logging.getLogger("txtoken.test"))


def settled(reload: Reload) -> bool:
    """Let two checks look. Returns whether the second one finds a change."""
    return not reload.has_changed() and reload.has_changed()


def put(path: Path, text: str) -> None:
    """Replace a file at once, as editors and Kubernetes do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_a_change_is_seen_once(file: Path) -> None:
    """A file that was replaced is a change, once; one that was not is none."""
    reload = reload_of(file)
    assert not reload.has_changed()
    put(file, text_of(more="expHours: 1"))
    assert settled(reload)
    config = reload.read_again()
    assert config is not None
    assert config.issue.ttl_s == 3600
    assert not reload.has_changed()


def test_a_swapped_link_is_a_change(tmp_path: Path) -> None:
    """A secret whose directory is swapped by a symbolic link, as Kubernetes does it, is a change."""
    for name, key in (("one", KEY), ("two", OTHER_KEY)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(key)
    link = tmp_path / "data"
    link.symlink_to("one")
    file = tmp_path / "cfg.yml"
    file.write_text(f"remote: http://127.0.0.1:9/\nencKeyFile: {link}/key\n")
    reload = reload_of(file)
    swapped = tmp_path / "swapped"
    swapped.symlink_to("two")
    swapped.rename(link)
    assert settled(reload)
    config = reload.read_again()
    assert config is not None
    assert revealed(config.keys.secret) == OTHER_KEY.encode()


@pytest.mark.parametrize("broken", ["encKey: short", "{", 'remote: "\\UFFFFFFFF"', text_of(more="expHuors: 1")])
def test_a_broken_file_changes_nothing(file: Path, broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """A configuration that cannot be used is reported with its problems, and the old one stays."""
    reload = reload_of(file)
    put(file, broken)
    assert settled(reload)
    assert reload.read_again() is None
    assert reload.has_failed
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.fields["problems"]  # type: ignore[attr-defined]  # `extra` makes it
    put(file, text_of(more="expHours: 1"))
    assert settled(reload)
    assert reload.read_again() is not None
    assert not reload.has_failed


def test_whatever_fails_at_reading_changes_nothing(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw is reported by its kind alone, because its text may contain a file's content, and the
    old stays.
    """
    reload = reload_of(file)

    def fail() -> Config:
        raise RecursionError(KEY)

    monkeypatch.setattr(reload, "_load", fail)
    assert reload.read_again() is None
    assert reload.has_failed
    (record,) = caplog.records
    assert record.fields["problems"] == ["RecursionError"]  # type: ignore[attr-defined]  # `extra` makes it
    assert KEY not in caplog.text


def test_why_a_file_cannot_be_read_is_a_change(tmp_path: Path) -> None:
    """A file that cannot be read for another reason than before is read again: what is said of it is another thing."""
    path = tmp_path / "key"
    missing = reload_module._look([str(path)])
    path.symlink_to(path)
    assert reload_module._look([str(path)]) not in (missing, reload_module._look(["/dev/null"]))


def test_a_secret_that_vanished_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A secret file that is gone is an error, and the secret that is in use stays in use."""
    key = tmp_path / "key"
    key.write_text(KEY)
    file = tmp_path / "cfg.yml"
    file.write_text(f"remote: http://127.0.0.1:9/\nencKeyFile: {key}\n")
    reload = reload_of(file)
    key.unlink()
    assert settled(reload)
    assert reload.read_again() is None
    assert "encKeyFile" in str(caplog.records[0].fields)  # type: ignore[attr-defined]  # `extra` makes it
    assert KEY not in caplog.text


def test_what_needs_a_restart_is_told_and_left(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Keys that a running service cannot change are named, and the others are applied."""
    reload = reload_of(file)
    put(file, text_of(more="workers: 4\nexpHours: 1\nadminPort: 9090").replace("port: 0", "port: 1"))
    config = reload.read_again()
    assert config is not None
    assert (config.process.port, config.process.workers, config.process.admin_port, config.issue.ttl_s) == (
        0,
        1,
        None,
        3600,
    )
    told = {record.levelname: record.fields["keys"] for record in caplog.records if hasattr(record, "fields")}
    assert sorted(told["WARNING"]) == ["adminPort", "port", "workers"]


def test_what_changed_is_named_without_values(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The keys that changed are named, a secret among them; values are not."""
    caplog.set_level(logging.INFO)
    reload = reload_of(file)
    put(file, text_of(OTHER_KEY, more="requestTokenData: {a: 1}"))
    assert reload.read_again() is not None
    record, warning = caplog.records
    assert set(record.fields["keys"]) == {"encKey", "requestKey", "requestTokenData"}  # type: ignore[attr-defined]  # `extra`
    assert warning.getMessage() == "encKey changed: tokens that it signed are rejected from now on"
    assert OTHER_KEY not in str([record.__dict__, warning.__dict__])


def test_what_is_hidden_or_a_tree_is_compared_whole(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A proxy whose password alone has changed is a change; and so are other values asked for in a reply, and no others."""
    caplog.set_level(logging.INFO)
    reload = reload_of(file)
    changes = []
    for password, value in (("a", "1"), ("b", "1"), ("b", "2"), ("b", "2 # the same")):
        more = f"remoteProxy: http://u:{password}@127.0.0.1:9\nsuccessWhen: {{/a: [1]}}\n"
        put(file, text_of(more=more.replace("[1]", f"[{value[0]}]") + f"# {value}\n"))
        caplog.clear()
        assert reload.read_again() is not None
        (record,) = caplog.records
        changes.append(getattr(record, "fields", {}).get("keys", []))
    assert changes == [["successWhen", "remoteProxy"], ["remoteProxy"], ["successWhen"], []]


def test_a_map_is_one_key(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A map in place of a word, and another map in its place, is a change of that one key."""
    caplog.set_level(logging.INFO)
    reload = reload_of(file)
    for text in ("statusMap: {401: pass}", "statusMap: {4xx: 400, timeout: 504}", "statusMap: gateway"):
        put(file, text_of(more=text))
        assert reload.read_again() is not None
    assert [record.fields["keys"] for record in caplog.records] == [["statusMap"]] * 3  # type: ignore[attr-defined]  # `extra`


def test_the_same_again_changes_nothing(file: Path) -> None:
    """A file that says the same in another way leaves everything as it is."""
    reload = reload_of(file)
    put(file, "# a comment\n" + text_of())
    assert settled(reload)
    assert reload.read_again() == reload_of(file).config
    assert not reload.has_changed()


def test_a_secret_that_comes_later_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A secret file that appears after the configuration which names it is found, and its absence is reported once."""
    file = tmp_path / "cfg.yml"
    file.write_text(text_of())
    reload = reload_of(file)
    put(file, f"remote: http://127.0.0.1:9/\nencKeyFile: {tmp_path}/key\n")
    assert settled(reload)
    for _ in range(3):
        assert reload.read_again() is None
        assert reload.has_changed()
    assert len(caplog.records) == 1
    (tmp_path / "key").write_text(OTHER_KEY)
    assert reload.has_changed()
    config = reload.read_again()
    assert config is not None
    assert revealed(config.keys.secret) == OTHER_KEY.encode()
    assert not reload.has_changed()


def test_the_same_secret_from_a_file_rests(tmp_path: Path) -> None:
    """When only the place of a secret changes, the new place is watched, and all is quiet."""
    (tmp_path / "key").write_text(KEY)
    file = tmp_path / "cfg.yml"
    file.write_text(text_of())
    reload = reload_of(file)
    put(file, text_of().replace(f"encKey: {KEY}", f"encKeyFile: {tmp_path}/key"))
    assert settled(reload)
    assert reload.read_again() is not None
    assert not reload.has_changed()
    put(tmp_path / "key", OTHER_KEY)
    assert settled(reload)


# Files that are being written


def test_a_file_that_is_being_written_is_waited_for(file: Path) -> None:
    """A change is applied when two checks in a row have seen the same bytes, and the second comes after a second."""
    reload = reload_of(file)
    assert reload.wait_s is None
    for more in ("", "expHours: 1", "expHours: 12"):
        file.write_text(text_of(more=f"# {more}\n{more}"))
        assert not reload.has_changed()
        assert reload.wait_s == SETTLE_S == 1.0
    assert reload.has_changed()
    config = reload.read_again(at_once=False)
    assert config is not None
    assert config.issue.ttl_s == 12 * 3600
    assert reload.wait_s is None
    assert not reload.has_changed()


def test_a_change_that_is_taken_back_is_none(file: Path) -> None:
    """A file that holds again what it held is left alone."""
    reload = reload_of(file)
    put(file, "{")
    assert not reload.has_changed()
    put(file, text_of())
    assert not reload.has_changed()
    assert not reload.has_changed()
    assert reload.wait_s is None


def test_bytes_count_and_not_times(file: Path) -> None:
    """A write that changes neither size nor time is a change; one that changes only the time is none."""
    reload = reload_of(file)
    found = file.stat()
    os.utime(file, ns=(1, 1))
    assert not settled(reload)
    file.write_text(text_of(KEY.upper()))
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert file.stat().st_size == found.st_size
    assert settled(reload)


def read_while_written(file: Path, hours: list[int]) -> Reload:
    """Make what reads the file again, while somebody writes it: one of these `expHours` during each reading."""

    def read() -> Config:
        config = load(str(file), {})
        if hours:
            put(file, text_of(more=f"expHours: {hours.pop(0)}"))
        return config

    return Reload(read, load(str(file), {}), logging.getLogger("txtoken.test"))


def test_a_file_that_changes_while_it_is_read(file: Path) -> None:
    """What is written between the second check and the end of reading is waited for; a signal does not wait, and reads again."""
    reload = read_while_written(file, [2, 3])
    put(file, text_of(more="expHours: 1"))
    assert settled(reload)
    assert reload.read_again(at_once=False) is None
    assert not reload.has_failed
    assert reload.wait_s == SETTLE_S
    config = reload.read_again(at_once=True)
    assert config is not None
    assert config.issue.ttl_s == 3 * 3600
    assert not settled(reload)


def test_a_file_that_never_rests(file: Path) -> None:
    """A file that changes in each reading is not applied by a signal either, but as soon as it rests, and by itself."""
    reload = read_while_written(file, [*range(1, 1 + READS_AT_ONCE_MAX)])
    assert reload.read_again(at_once=True) is None
    assert not reload.has_failed
    assert reload.wait_s == SETTLE_S
    assert reload.has_changed()
    config = reload.read_again(at_once=False)
    assert config is not None
    assert config.issue.ttl_s == READS_AT_ONCE_MAX * 3600


def test_a_rule_that_is_gone_is_a_warning(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When one of several rules by which tokens were checked is gone, a warning names it; one that changed is no matter."""
    put(file, text_of(more="verify: {iss: me, aud: you, leeway: 1s}\n"))
    reload = reload_of(file)
    put(file, text_of(more="verify: {iss: you, leeway: 1s}\n"))
    assert reload.read_again() is not None
    (record,) = [record for record in caplog.records if "no longer checked" in record.message]
    assert record.fields["keys"] == ["verify.aud"]  # type: ignore[attr-defined]  # `extra` makes it
    caplog.clear()
    put(file, text_of(more="verify: {iss: me, leeway: 1s}\n"))
    assert reload.read_again() is not None
    assert not [record for record in caplog.records if "no longer checked" in record.message]


def test_a_signal_that_came_too_early(file: Path) -> None:
    """After a signal files are looked at once more, whatever `reload` says: it may have come while somebody still wrote."""
    reload = reload_of(file)
    put(file, text_of(more="# half"))
    assert reload.read_again() is not None
    assert reload.wait_s == SETTLE_S
    assert not reload.has_changed()
    assert reload.wait_s is None  # once
    assert reload.read_again() is not None
    put(file, text_of(more="expHours: 1"))
    assert settled(reload)
    config = reload.read_again(at_once=False)
    assert config is not None
    assert config.issue.ttl_s == 3600
    assert not reload.has_changed()
    assert reload.wait_s is None


def agreeing(file: Path) -> tuple[Reload, Reload]:
    """Make what a supervisor and a worker reload by."""
    agreement, log = Agreement(), logging.getLogger("txtoken.test")

    def read() -> Config:
        return load(str(file), {})

    supervisor = Reload(read, read(), log, agreement=agreement)
    worker = Reload(read, read(), log, logs_changes=False, agreement=agreement)
    return supervisor, worker


def test_a_worker_takes_over_what_its_supervisor_has_read(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that finds other bytes than its supervisor read keeps what is in use until they agree, and looks by itself."""
    supervisor, worker = agreeing(file)
    put(file, text_of(more="expHours: 1"))
    assert supervisor.read_again() is not None
    put(file, text_of(more="expHours: 2"))  # between the supervisor's signal and the worker's reading
    caplog.clear()
    assert worker.read_again() is None
    for _ in range(DISAGREEMENTS_MAX + 1):
        assert worker.is_pending
        assert worker.wait_s == SETTLE_S
        assert worker.has_changed()
        assert worker.read_again(at_once=False) is None
    assert worker.config.issue.ttl_s == 24 * 3600
    assert not worker.has_failed
    assert len(caplog.records) == 1
    assert settled(supervisor)
    assert supervisor.read_again(at_once=False) is not None
    config = worker.read_again()
    assert config is not None
    assert config.issue.ttl_s == 2 * 3600
    assert not worker.is_pending


def test_a_worker_that_reads_what_was_there_before_waits(file: Path) -> None:
    """A file that is back as it was when the worker reads it is no change, until the supervisor says so."""
    supervisor, worker = agreeing(file)
    put(file, text_of(more="expHours: 1"))
    assert supervisor.read_again() is not None
    put(file, text_of())
    assert worker.read_again() is None
    assert not worker.has_changed()
    assert not worker.is_pending
    assert supervisor.read_again() is not None
    assert worker.read_again() is not None


def test_a_secret_of_a_new_configuration_is_waited_for(tmp_path: Path) -> None:
    """A secret file that only the new configuration names has to be at rest as well before it is used."""
    file, key = tmp_path / "cfg.yml", tmp_path / "key"
    file.write_text(text_of())
    reload = reload_of(file)
    key.write_text(OTHER_KEY[:35])
    put(file, text_of().replace(f"encKey: {KEY}", f"encKeyFile: {key}"))
    assert settled(reload)
    assert reload.read_again(at_once=False) is None
    assert not reload.has_failed
    assert reload.wait_s == SETTLE_S
    key.write_text(OTHER_KEY)
    assert reload.has_changed()
    assert reload.read_again(at_once=False) is None
    assert reload.has_changed()
    config = reload.read_again(at_once=False)
    assert config is not None
    assert revealed(config.keys.secret) == OTHER_KEY.encode()
    assert not reload.has_changed()
    assert reload.wait_s is None


@pytest.mark.parametrize("appears", [True, False])
@pytest.mark.parametrize("logs_changes", [True, False])
def test_tls_neither_appears_nor_disappears(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, appears: bool, logs_changes: bool
) -> None:
    """A file in which `tls` appeared or disappeared is not applied, by no process and not by a signal either; that is said
    once, and what is right again is applied.
    """
    caplog.set_level(logging.INFO)
    files = write_certificate(tmp_path, "localhost")
    with_tls = f"tls: {{certFile: {files.certificate}, keyFile: {files.key}}}\nexpHours: 1"
    file = tmp_path / "cfg.yml"
    file.write_text(text_of(more="" if appears else with_tls))
    made = reload_of(file)
    reload = Reload(made._load, made.config, logging.getLogger("txtoken.test"), logs_changes=logs_changes)
    put(file, text_of(more=with_tls if appears else ""))
    before = reload.config
    for _ in range(3):
        assert reload.read_again() is None
        assert reload.config is before
        assert reload.has_failed
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    (problem,) = record.fields["problems"]  # type: ignore[attr-defined]  # `extra` makes it
    assert "tls appeared in" in problem if appears else "tls disappeared from" in problem
    assert "half-written" in problem
    put(file, text_of(more="expHours: 5" if appears else with_tls.replace("expHours: 1", "expHours: 5")))
    config = reload.read_again()
    assert config is not None
    assert config.issue.ttl_s == 5 * 3600
    assert "can be used again" in caplog.text


def test_rules_that_are_removed_are_a_warning(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Removing `verify` is applied, with a warning; changing it is no warning."""
    reload = reload_of(file)
    put(file, text_of(more="verify: {leeway: 5s}"))
    assert reload.read_again() is not None
    put(file, text_of(more="verify: {leeway: 6s}"))
    assert reload.read_again() is not None
    assert not caplog.records
    put(file, text_of())
    assert reload.read_again() is not None
    assert ["verify was removed" in record.getMessage() for record in caplog.records] == [True]


def test_what_cannot_be_built_is_tried_again(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A configuration that is good but cannot be built changes nothing, is tried at each check, and is logged once."""
    caplog.set_level(logging.INFO)
    reload = reload_of(file)
    before = reload.config
    outcomes: list[Exception | None] = [ValueError("first"), ValueError("second"), OSError("third"), None]

    def apply(_: Config) -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    put(file, text_of(more="expHours: 1"))
    assert settled(reload)
    for _ in range(3):
        assert reload.read_again(apply, at_once=False) is None
        assert reload.config is before
        assert reload.has_changed()
        assert reload.is_pending
    assert reload.read_again(apply, at_once=False) is not None
    assert not reload.has_changed()
    assert not reload.is_pending
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO", "INFO"]


def test_a_key_that_needs_a_restart_is_named_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What waits for a restart is not named again with every other change."""
    reload = reload_of(file)
    for hours in (1, 2, 3):
        put(file, text_of(more=f"workers: 4\nexpHours: {hours}"))
        assert reload.read_again() is not None
    assert len(caplog.records) == 1


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    """What is no regular file is not opened to see whether it changed: nobody waits for who writes to it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert reload_module._content(str(path)) == "no file"


# As a process


@pytest.fixture
def old_api() -> Iterator[LoginApi]:
    """The remote of the first configuration."""
    api = LoginApi({"from": "old"})
    yield api
    api.close()


@pytest.fixture
def new_api() -> Iterator[LoginApi]:
    """The remote of the second configuration."""
    api = LoginApi({"from": "new"})
    yield api
    api.close()


def log_in(client: http.client.HTTPConnection) -> str:
    """Log in, and return the token."""
    client.request("POST", "/getToken", "{}")
    response = client.getresponse()
    assert response.status == 200
    return str(json.loads(response.read())["token"])


@pytest.mark.parametrize("workers", [1, 2])
def test_by_signal(tmp_path: Path, old_api: LoginApi, new_api: LoginApi, workers: int) -> None:
    """After SIGHUP the same connection gets answers by the new configuration, and a login that runs ends by the old one."""
    more = f"workers: {workers}\nlog: {{level: debug}}"
    with service_process(tmp_path, config=text_of(KEY, old_api.url, more)) as process:
        port = process.port
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        assert jwt.decode(log_in(client), KEY, ["HS256"])["data"] == {"from": "old"}
        old_api.gate.clear()
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as running:
            running.sendall(b"POST /getToken HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            assert old_api.arrived.acquire(timeout=PATIENCE_S)
            assert old_api.arrived.acquire(timeout=PATIENCE_S)
            put(tmp_path / "example_cfg.yml", text_of(OTHER_KEY, new_api.url, more))
            process.send(signal.SIGHUP)
            process.line_with("the configuration is reloaded")
            for _ in range(workers if workers > 1 else 0):
                process.line_with('"another configuration is in use"')
            token = log_in(client)
            assert jwt.decode(token, OTHER_KEY, ["HS256"])["data"] == {"from": "new"}
            client.request("GET", "/checkToken", headers={"Authorization": token})
            assert client.getresponse().status == 200
            client.close()
            old_api.gate.set()
            answer = running.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 200")
        ended = json.loads(answer.partition(b"\r\n\r\n")[2])["token"]
        assert jwt.decode(ended, KEY, ["HS256"])["data"] == {"from": "old"}
        process.send(signal.SIGTERM)
        assert process.ended()[0] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_by_itself(tmp_path: Path, workers: int) -> None:
    """A changed file is found without a signal; one that is broken changes nothing, and the next good one does."""
    config = text_of(more=f"workers: {workers}").replace("reload: off", "reload: 100ms")
    file = tmp_path / "example_cfg.yml"
    with service_process(tmp_path, config=config) as process:
        port = process.port
        put(file, config + "\nexpHuors: 1\n")
        assert "did you mean expHours" in process.line_with("is rejected")
        assert checked(port, KEY) == 200
        put(file, config.replace(KEY, OTHER_KEY))
        process.line_with("the configuration is reloaded")
        while checked(port, OTHER_KEY) != 200:  # a worker of several hears of it a moment later
            assert process.process.poll() is None
        process.send(signal.SIGTERM)
        code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert KEY not in output
    assert OTHER_KEY not in output


def test_who_comes_later_begins_with_what_was_taken_over(tmp_path: Path) -> None:
    """A worker that is replaced after a reload serves by the new configuration, and the supervisor logs by it."""
    with service_process(tmp_path, config=text_of(more="workers: 2")) as process:
        port, before = process.port, workers_of(process)
        put(tmp_path / "example_cfg.yml", text_of(OTHER_KEY, more="workers: 2\nlog: {level: debug}"))
        process.send(signal.SIGHUP)
        process.line_with("the configuration is reloaded")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        for _ in range(2):
            process.line_with('"worker ready"')  # which is said to who debugs
        assert Counter(checked(port, OTHER_KEY) for _ in range(20)) == {200: 20}
        process.send(signal.SIGTERM)
        assert process.ended()[0] == 0


def checked(port: int, key: str) -> int:
    """Have a token of this key checked."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        token = jwt.encode({"exp": time.time() + 60}, key, "HS256")
        client.request("GET", "/checkToken", headers={"Authorization": token})
        return client.getresponse().status
    finally:
        client.close()


def test_a_service_without_a_file_takes_a_signal(tmp_path: Path) -> None:
    """SIGHUP does not end a service that was configured by its environment alone."""
    environment = {"TXTOKEN_ENC_KEY": KEY, "TXTOKEN_REMOTE": "http://127.0.0.1:9/", "TXTOKEN_PORT": "0"}
    with service_process(tmp_path, "serve", environment=environment) as process:
        port = process.port
        process.send(signal.SIGHUP)
        process.line_with("the configuration is unchanged")
        assert checked(port, KEY) == 200
        os.kill(process.process.pid, signal.SIGTERM)
        assert process.ended()[0] == 0


@pytest.mark.parametrize(
    ("workers", "period"),
    [(1, "100ms"), (2, "100ms"), (2, "off")],
)
def test_a_take_over_that_failed_is_tried_again(tmp_path: Path, workers: int, period: str) -> None:
    """A configuration that a process could not apply is tried again at the next check, though no file has changed; a worker
    of several does so where no file is looked at as well, because the others may serve by it.
    """
    environment = run_first(
        tmp_path,
        "from txtoken.process import reload\n"
        "reload.RETRY_S = 0.1\n"
        "from txtoken.process import worker\n"
        "take_over = worker.Worker.take_over\n"
        "def fail(self, config):\n"
        "    worker.Worker.take_over = take_over\n"
        "    raise OSError('not yet')\n"
        "worker.Worker.take_over = fail\n",
    )
    config = text_of(more=f"workers: {workers}\nlog: {{level: debug}}").replace("reload: off", f"reload: {period}")
    with service_process(tmp_path, config=config, environment=environment) as process:
        port = process.port
        put(tmp_path / "example_cfg.yml", config.replace(KEY, OTHER_KEY))
        process.send(signal.SIGHUP)
        for _ in range(workers):
            process.line_with("the configuration can be used again")
        assert [checked(port, OTHER_KEY) for _ in range(6)] == [200] * 6
        process.send(signal.SIGTERM)
        code, output, _ = process.ended()
    assert code == 0
    assert output.count("cannot be applied, the old one stays in use") == workers
    assert output.count("another configuration is in use") == workers


def test_the_service_goes_on_while_files_are_read(file: Path) -> None:
    """The loop runs while a configuration is read, however long that takes: the first key that needs cryptography loads it."""
    began, may_end = threading.Event(), threading.Event()

    def read() -> Config:
        if threading.current_thread() is not threading.main_thread():
            began.set()
            assert may_end.wait(PATIENCE_S)
        return load(str(file), {})

    async def main() -> Config:
        taken: asyncio.Queue[Config] = asyncio.Queue()
        worker: Any = SimpleNamespace(take_over=taken.put_nowait, read_revocations_again=lambda: None, admin=None)
        signals: Any = SimpleNamespace(reload=asyncio.Event())
        log = logging.getLogger("txtoken.test")
        watching = asyncio.ensure_future(_watch(worker, Reload(read, read(), log), signals, log, looks=True))
        put(file, text_of(OTHER_KEY))
        signals.reload.set()
        assert await asyncio.to_thread(began.wait, PATIENCE_S)
        may_end.set()  # by the loop: a reading that held it would wait in vain
        config = await asyncio.wait_for(taken.get(), PATIENCE_S)
        watching.cancel()
        return config

    assert revealed(asyncio.run(main()).keys.secret) == OTHER_KEY.encode()
