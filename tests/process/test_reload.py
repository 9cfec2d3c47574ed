"""A changed configuration: whether it is seen, and whether it is taken over whole or not at all."""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import jwt
import pytest

from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, service_process
from txtoken.config import load
from txtoken.process.reload import Reload
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
    assert reload.has_changed()
    assert not reload.has_changed()
    config = reload.read_again()
    assert config is not None
    assert config.token_ttl_s == 3600
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
    assert reload.has_changed()
    config = reload.read_again()
    assert config is not None
    assert config.enc_key.reveal() == OTHER_KEY.encode()


@pytest.mark.parametrize("broken", ["encKey: short", "{", 'remote: "\\UFFFFFFFF"', text_of(more="expHuors: 1")])
def test_a_broken_file_changes_nothing(file: Path, broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """A configuration that cannot be used is told with its problems, and the old one stays."""
    reload = reload_of(file)
    put(file, broken)
    assert reload.has_changed()
    assert reload.read_again() is None
    assert reload.has_failed
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.fields["problems"]  # type: ignore[attr-defined]  # `extra` makes it
    put(file, text_of(more="expHours: 1"))
    assert reload.has_changed()
    assert reload.read_again() is not None
    assert not reload.has_failed


def test_a_secret_that_vanished_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A secret file that is gone is an error, and the secret that is in use stays in use."""
    key = tmp_path / "key"
    key.write_text(KEY)
    file = tmp_path / "cfg.yml"
    file.write_text(f"remote: http://127.0.0.1:9/\nencKeyFile: {key}\n")
    reload = reload_of(file)
    key.unlink()
    assert reload.has_changed()
    assert reload.read_again() is None
    assert "encKeyFile" in str(caplog.records[0].fields)  # type: ignore[attr-defined]  # `extra` makes it
    assert KEY not in caplog.text


def test_what_needs_a_restart_is_told_and_left(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Keys that a running service cannot change are named, and the others are taken over."""
    reload = reload_of(file)
    put(file, text_of(more="workers: 4\nexpHours: 1\nadminPort: 9090").replace("port: 0", "port: 1"))
    config = reload.read_again()
    assert config is not None
    assert (config.port, config.workers, config.admin_port, config.token_ttl_s) == (0, 1, None, 3600)
    told = {record.levelname: record.fields["keys"] for record in caplog.records if hasattr(record, "fields")}
    assert sorted(told["WARNING"]) == ["adminPort", "port", "workers"]


def test_what_changed_is_named_without_values(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The keys that changed are named, a secret among them; values are not."""
    caplog.set_level(logging.INFO)
    reload = reload_of(file)
    put(file, text_of(OTHER_KEY, more="requestTokenData: {a: 1}"))
    assert reload.read_again() is not None
    (record,) = caplog.records
    assert set(record.fields["keys"]) == {"encKey", "requestKey", "requestTokenData"}  # type: ignore[attr-defined]  # `extra`
    assert OTHER_KEY not in str(record.__dict__)


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
    assert reload.has_changed()
    assert reload.read_again() == reload_of(file).config
    assert not reload.has_changed()


def test_a_secret_that_comes_later_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A secret file that appears after the configuration which names it is found, and its absence is told once."""
    file = tmp_path / "cfg.yml"
    file.write_text(text_of())
    reload = reload_of(file)
    put(file, f"remote: http://127.0.0.1:9/\nencKeyFile: {tmp_path}/key\n")
    for _ in range(3):
        assert reload.has_changed()
        assert reload.read_again() is None
    assert len(caplog.records) == 1
    (tmp_path / "key").write_text(OTHER_KEY)
    assert reload.has_changed()
    config = reload.read_again()
    assert config is not None
    assert config.enc_key.reveal() == OTHER_KEY.encode()
    assert not reload.has_changed()


def test_the_same_secret_from_a_file_rests(tmp_path: Path) -> None:
    """When only the place of a secret changes, the new place is watched, and all is quiet."""
    (tmp_path / "key").write_text(KEY)
    file = tmp_path / "cfg.yml"
    file.write_text(text_of())
    reload = reload_of(file)
    put(file, text_of().replace(f"encKey: {KEY}", f"encKeyFile: {tmp_path}/key"))
    assert reload.has_changed()
    assert reload.read_again() is not None
    assert not reload.has_changed()
    put(tmp_path / "key", OTHER_KEY)
    assert reload.has_changed()


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
            process.line_with("the configuration is taken over")
            for _ in range(workers if workers > 1 else 0):
                process.line_with('"serving by another configuration"')
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
        assert "did you mean expHours" in process.line_with("cannot be used")
        assert checked(port, KEY) == 200
        put(file, config.replace(KEY, OTHER_KEY))
        process.line_with("the configuration is taken over")
        while checked(port, OTHER_KEY) != 200:  # a worker of several hears of it a moment later
            assert process.process.poll() is None
        process.send(signal.SIGTERM)
        code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert KEY not in output
    assert OTHER_KEY not in output


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
        process.line_with("the configuration is what it was")
        assert checked(port, KEY) == 200
        os.kill(process.process.pid, signal.SIGTERM)
        assert process.ended()[0] == 0
