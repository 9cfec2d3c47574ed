"""Unix sockets and their files, and sockets that were passed to the process."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from txtoken.errors import StartError
from txtoken.process.sockets import Passed, bind_unix, take_passed, unix_sockets
from txtoken.process.worker import address


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """Sockets that are closed at the end."""
    sockets: list[socket.socket] = []
    yield sockets
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_the_file(tmp_path: Path, opened: list[socket.socket], umask: int) -> None:
    """The socket's file is for its owner and his group whatever the umask says, which stays what it was."""
    before = os.umask(umask)
    try:
        opened.append(bind_unix(str(tmp_path / "s")))
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    mode = (tmp_path / "s").stat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o660)
    assert address(opened[0]) == f"unix:{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))


def test_a_dead_socket_is_replaced(tmp_path: Path, opened: list[socket.socket]) -> None:
    """The file of a process that was killed is no obstacle."""
    bind_unix(str(tmp_path / "s")).close()
    opened.append(bind_unix(str(tmp_path / "s")))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))


@pytest.mark.parametrize("backlog_is_full", [False, True])
def test_a_live_socket_is_not(tmp_path: Path, opened: list[socket.socket], backlog_is_full: bool) -> None:
    """A socket that somebody serves is left alone, also while nobody can get through to it."""
    path = str(tmp_path / "s")
    live = socket.socket(socket.AF_UNIX)
    opened.append(live)
    live.bind(path)
    live.listen(0)
    if backlog_is_full:
        opened.append(socket.socket(socket.AF_UNIX))
        opened[-1].connect(path)
    with pytest.raises(StartError, match=rf"cannot listen on unix:{path}: the socket is in use\."):
        bind_unix(path)
    assert (tmp_path / "s").is_socket()


def test_places_that_cannot_be_had(tmp_path: Path) -> None:
    """What is in the way is told, and left as it is."""
    (tmp_path / "file").write_text("mine")
    for path, why in (
        ("file", "a file that is no socket is there"),
        ("none/s", f"the directory {tmp_path}/none does not exist"),
        ("file/s", f"{tmp_path}/file is no directory"),
    ):
        with pytest.raises(StartError, match=f"cannot listen on unix:{tmp_path}/{path}: {why}"):
            bind_unix(f"{tmp_path}/{path}")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do all")
def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    """A folder that may not be written to is told as such."""
    tmp_path.chmod(0o500)
    with pytest.raises(StartError, match="not permitted"):
        bind_unix(str(tmp_path / "s"))


def test_files_are_removed(tmp_path: Path) -> None:
    """At the end the files are gone, those of a start that fails half way too, and others' are not."""
    good, bad = f"unix:{tmp_path}/good", f"unix:{tmp_path}/none/bad"
    with unix_sockets(["127.0.0.1", good]) as sockets:
        assert [address(sock) for sock in sockets] == [good]
        assert (tmp_path / "good").is_socket()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StartError), unix_sockets([good, bad]):
        pass
    assert list(tmp_path.iterdir()) == []
    with unix_sockets([good]) as sockets:
        sockets[0].close()
        successor = bind_unix(f"{tmp_path}/good")
    assert (tmp_path / "good").is_socket()
    successor.close()


def test_passed_sockets(tmp_path: Path, opened: list[socket.socket]) -> None:
    """Listening sockets of every kind are taken over, are not handed on to programs, and stay what they are when shared."""
    opened += [socket.create_server(("127.0.0.1", 0)), bind_unix(str(tmp_path / "s"))]
    numbers = [os.dup(sock.fileno()) for sock in opened]
    os.set_inheritable(numbers[0], True)
    taken = take_passed(numbers)
    opened += taken
    assert [sock.getsockname() for sock in taken] == [sock.getsockname() for sock in opened[:2]]
    assert not os.get_inheritable(numbers[0])
    opened.append(taken[1].dup())
    assert isinstance(opened[-1], Passed)


@pytest.mark.parametrize("kind", ["file", "closed", "connected", "datagram"])
def test_what_is_no_listening_socket(tmp_path: Path, opened: list[socket.socket], kind: str) -> None:
    """Anything else in their place is told with its number."""
    number = os.open(tmp_path, os.O_RDONLY)
    if kind == "connected":
        opened += socket.socketpair()
        os.dup2(opened[0].fileno(), number)
    elif kind == "datagram":
        opened.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        os.dup2(opened[0].fileno(), number)
    elif kind == "closed":
        os.close(number)
    with pytest.raises(StartError, match=rf"file descriptor {number}, which was passed .* no socket that listens"):
        take_passed([number])
    if kind == "file":
        os.close(number)
