"""Where a service is asked, found without the rest of its configuration: the same as with it, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.configuring import REMOTE, REQUIRED
from txtoken.config import place
from txtoken.config.place import asked_at, find_place
from txtoken.config.read import load
from txtoken.config.table import BY_NAME
from txtoken.settings import ALL_ADDRESSES, ALL_IPV4, LOOPBACK, MIB, UNIX_PREFIX

WHOLE: Final = "\n".join(["", *REQUIRED.values(), ""])
PLAIN: Final = (
    "",
    "port: 9000",
    "port: '9000'",
    "port: 0",
    "port:",
    "listen: 127.0.0.2",
    "listen: localhost",
    "listen: [127.0.0.2, '::1']",
    "listen: ['::', 127.0.0.1]",
    "listen: 0.0.0.0",
    "listen: '::1'",
    "listen: unix:/run/t.sock",
    "listen: unix:/run/t.sock\nadminPort: 9090",
    "listen: [unix:/run/t.sock, 127.0.0.2]\nadminPort: 9090",
    "adminPort: 9090\nport: 1",
    "tls:\nport: 3",
    "# port: 5\nlimits: {waiting: 3}\nport: 6  # 7",
    "port: 0x50",
)
# What takes the whole configuration, or is wrong.
NOT_PLAIN: Final = (
    "tls: {certFile: a}",
    "tls.certFile: a",
    "port: many",
    "port: 70000",
    "port: [1]",
    "port: 1\nport: 2",
    "port: !!str 1\nlisten: !x 1",
    "listen: []",
    "listen: example.com",
    "listen: unix:/run/t.sock,127.0.0.1",
    "listen: unix:/run/t.sock, unix:/run/u.sock",
    "listen: ''",
    "listen: 127.1",
    "port: 010",
    "listen: {a: 1}",
    "listen: fe80::1%eth0",
    "- port",
    "port: [",
    "\0",
)


def found(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> tuple[str, int] | None:
    """Look for the place in a file."""
    file = folder / "cfg.yml"
    file.write_text(text)
    return find_place(str(file), environ or {}, {})


@pytest.mark.parametrize("text", PLAIN)
def test_it_is_where_the_whole_configuration_says(tmp_path: Path, text: str) -> None:
    """The short way finds the same place as the long one, or leaves it to that."""
    process = load(str(tmp_path / "cfg.yml"), {}).process if found(tmp_path, text + WHOLE) else None
    if text == "port: 0x50":
        assert process is None
    else:
        assert process is not None
        assert found(tmp_path, text + WHOLE) == asked_at(process.addresses, process.port, process.admin_port)


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_what_is_not_plain_is_left_alone(tmp_path: Path, text: str) -> None:
    """What it does not understand for certain it does not answer."""
    assert found(tmp_path, text) is None


def test_environment_and_overrides(tmp_path: Path) -> None:
    """They count as in the whole configuration; what Kubernetes sets beside a Service does not."""
    environ = {"TXTOKEN_PORT": "2", "TXTOKEN_LISTEN": "127.0.0.3", "TXTOKEN_ADMIN_PORT": ""}
    assert found(tmp_path, "port: 1", environ) == ("127.0.0.3", 2)
    assert found(tmp_path, "port: 1", {"TXTOKEN_PORT": "tcp://10.0.0.1:8888"}) == (LOOPBACK, 1)
    assert found(tmp_path, "port: 1", {"TXTOKEN_TLS_CERT_FILE": "a"}) is None
    assert found(tmp_path, "port: 1", {"TXTOKEN_TLS": "{}"}) is None
    assert found(tmp_path, "port: 1", {"TXTOKEN_LISTEN": "unix:/run/t.sock,127.0.0.1"}) is None
    file = str(tmp_path / "cfg.yml")
    assert find_place(file, {"TXTOKEN_PORT": "2"}, {"port": "3", "remote": REMOTE}) == (LOOPBACK, 3)
    assert find_place(file, {}, {"tls.certFile": "a"}) is None
    assert find_place("", {"CFG_FILE": file}, {}) == (LOOPBACK, 1)
    assert find_place(str(tmp_path), {}, {}) is None
    assert find_place(str(tmp_path / "none"), {}, {}) is None


def test_names_are_those_of_the_table() -> None:
    """What this module says for itself, so that it loads nothing, is what the others say."""
    assert {variable: BY_NAME[name].variable for variable, name in place._VARIABLES.items()} == {
        variable: variable for variable in place._VARIABLES
    }
    assert BY_NAME["port"].default == place.DEFAULT_PORT
    assert place.FILE_BYTES_MAX == MIB
    assert (*(LOOPBACK, ALL_ADDRESSES, ALL_IPV4, UNIX_PREFIX),) == (
        place._LOOPBACK,
        place._ALL_ADDRESSES,
        place._ALL_IPV4,
        place._UNIX,
    )
