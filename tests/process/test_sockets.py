"""Unix sockets and their files, and sockets that were passed to the process."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from txtoken.errors import StartError
from txtoken.process.sockets import Passed, address, bind, bind_unix, take_passed, unix_sockets

NOBODY: Final = 65534


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """Sockets that are closed at the end."""
    sockets: list[socket.socket] = []
    yield sockets
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_the_file(tmp_path: Path, opened: list[socket.socket], umask: int) -> None:
    """The socket's file is for its owner and group whatever the umask is, and the umask stays as it was."""
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
    """The file that a killed process left is replaced."""
    bind_unix(str(tmp_path / "s")).close()
    opened.append(bind_unix(str(tmp_path / "s")))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))


@pytest.mark.parametrize("backlog_is_full", [False, True])
def test_a_live_socket_is_not(tmp_path: Path, opened: list[socket.socket], backlog_is_full: bool) -> None:
    """A socket in use is left alone, also while its backlog is full."""
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
    """The error says what is in the way. It is left as it is."""
    (tmp_path / "file").write_text("mine")
    for path, why in (
        ("file", "there is a file that is not a socket"),
        ("none/s", f"the directory {tmp_path}/none does not exist"),
        ("file/s", f"{tmp_path}/file is not a directory"),
    ):
        with pytest.raises(StartError, match=f"cannot listen on unix:{tmp_path}/{path}: {why}"):
            bind_unix(f"{tmp_path}/{path}")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    """A folder that may not be written to is an error that says so."""
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)  # root may write everywhere
    try:
        with pytest.raises(StartError, match="not permitted"):
            bind_unix(str(tmp_path / "s"))
    finally:
        os.seteuid(user)


def test_files_are_removed(tmp_path: Path) -> None:
    """At the end the files are removed, also after a start that failed half way. Files of other processes are not."""
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
    """Listening sockets of every kind are accepted, are not inherited by programs, and stay `Passed` when duplicated."""
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
    """A descriptor of anything else is an error with its number."""
    number = os.open(tmp_path, os.O_RDONLY)
    if kind == "connected":
        opened += socket.socketpair()
        os.dup2(opened[0].fileno(), number)
    elif kind == "datagram":
        opened.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        os.dup2(opened[0].fileno(), number)
    elif kind == "closed":
        os.close(number)
    with pytest.raises(StartError, match=rf"file descriptor {number}, which was passed .* not a listening stream"):
        take_passed([number])
    if kind == "file":
        os.close(number)


def test_one_of_many_is_no_listening_socket(opened: list[socket.socket]) -> None:
    """Each descriptor is checked, at any position. The sockets before the wrong one are closed with it."""
    opened += [socket.create_server(("127.0.0.1", 0)), *socket.socketpair(), socket.create_server(("127.0.0.1", 0))]
    for order in ([0, 3, 1], [0, 1, 3], [1, 0, 3]):
        numbers = [os.dup(opened[place].fileno()) for place in order]
        wrong = numbers[order.index(1)]
        with pytest.raises(StartError, match=rf"file descriptor {wrong}, "):
            take_passed(numbers)
        for number in numbers[: order.index(1) + 1]:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(number)
        for number in numbers[order.index(1) + 1 :]:
            os.close(number)


# Addresses and ports


def test_the_kernel_chooses_a_port(opened: list[socket.socket]) -> None:
    """Port 0 gives one free port, the same on every address."""
    opened += bind(("127.0.0.1", "127.0.0.2"), 0)
    first, second = (sock.getsockname() for sock in opened)
    assert first[0] == "127.0.0.1"
    assert second[0] == "127.0.0.2"
    assert first[1] == second[1] != 0


# Of a range of sixteen, Linux gives four: odd ones of the lower half. Three of them are in use.
SIXTEEN_PORTS: Final = """
import socket
from pathlib import Path
from txtoken.process.sockets import bind

Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40015")
taken = [socket.create_server(("127.0.0.2", port)) for port in (40001, 40003, 40005)]
for _ in range(8):
    first, second = bind(("127.0.0.1", "127.0.0.2"), 0)
    assert first.getsockname()[1] == second.getsockname()[1] not in (40001, 40003, 40005)
    first.close()
    second.close()
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode != 0,
    reason="no network namespace can be made here",
)
def test_a_chosen_port_is_free_on_all_addresses() -> None:
    """A port that the kernel chose for the first address and that is in use at the second one is not an error."""
    ran = subprocess.run(
        ["unshare", "-rn", sys.executable, "-c", SIXTEEN_PORTS], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize(("listen", "reached_by_v4"), [(("::",), True), (("::", "127.0.0.1"), True), (("::1",), False)])
def test_ipv6(opened: list[socket.socket], listen: tuple[str, ...], reached_by_v4: bool) -> None:
    """`::` alone takes IPv4 clients too, and beside an IPv4 address both can be bound."""
    opened += bind(listen, 0)
    port = opened[0].getsockname()[1]
    with socket.create_connection(("::1", port), timeout=5):
        pass
    if reached_by_v4:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    assert address(opened[0]).startswith("[")


def test_a_port_in_use(opened: list[socket.socket]) -> None:
    """A port in use is an error that says what to do, and nothing stays bound."""
    opened += bind(("127.0.0.2",), 0)
    taken = opened[0].getsockname()[1]
    with pytest.raises(StartError, match=rf"127\.0\.0\.2:{taken}: the port is in use.*choose another with `port`"):
        bind(("127.0.0.1", "127.0.0.2"), taken)
    opened += bind(("127.0.0.1",), taken)


@pytest.mark.parametrize(
    ("listen", "port", "words"),
    [
        ("192.0.2.1", 0, r"cannot listen on 192\.0\.2\.1:0: this machine does not have that address"),
        ("2001:db8::1", 0, r"cannot listen on \[2001:db8::1\]:0: "),
    ],
)
def test_an_address_that_is_not_ours(listen: str, port: int, words: str) -> None:
    """An address of another machine is an error that says so."""
    with pytest.raises(StartError, match=words):
        bind((listen,), port)


def test_localhost(opened: list[socket.socket]) -> None:
    """`localhost` is the loopback address."""
    opened += bind(("localhost",), 0)
    assert address(opened[0]).startswith("127.0.0.1:")


ABSENT: Final = [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL]


class WithoutIpv6(socket.socket):
    """Sockets of a machine on which those of IPv6 cannot be made, or not be bound."""

    error = errno.EAFNOSUPPORT

    def __init__(self, family: int = socket.AF_INET, *arguments: int) -> None:
        if family == socket.AF_INET6 and self.error == errno.EAFNOSUPPORT:
            raise OSError(self.error, os.strerror(self.error))
        super().__init__(family, *arguments)

    def bind(self, address: Any) -> None:
        """Bind, unless it is IPv6."""
        if self.family == socket.AF_INET6:
            raise OSError(self.error, os.strerror(self.error))
        super().bind(address)


@pytest.fixture(params=ABSENT, ids=errno.errorcode.get)
def without_ipv6(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without IPv6, in the kernel or on its interfaces."""
    monkeypatch.setattr(WithoutIpv6, "error", request.param)
    monkeypatch.setattr("socket.socket", WithoutIpv6)


@pytest.mark.usefixtures("without_ipv6")
def test_all_addresses_of_a_machine_without_ipv6(opened: list[socket.socket]) -> None:
    """`::`, the default, is all addresses of IPv4 there; for several workers too."""
    opened += bind(("::",), 0, is_shared=True)
    port = opened[0].getsockname()[1]
    opened += bind(("::",), port, is_shared=True)
    assert [address(sock) for sock in opened] == [f"0.0.0.0:{port}"] * 2
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


@pytest.mark.usefixtures("without_ipv6")
@pytest.mark.parametrize("listen", [("::1",), ("127.0.0.1", "::"), ("2001:db8::1",)])
def test_ipv6_that_was_asked_for_is_missed(listen: tuple[str, ...]) -> None:
    """Where the machine has no IPv6, an address of IPv6 alone is an error."""
    with pytest.raises(StartError, match=r"this machine (has no IPv6|does not have that address)"):
        bind(listen, 0)


@pytest.mark.usefixtures("without_ipv6")
def test_a_port_in_use_without_ipv6(opened: list[socket.socket]) -> None:
    """The error names the address that was tried last."""
    opened += bind(("127.0.0.1",), 0)
    taken = opened[0].getsockname()[1]
    with pytest.raises(StartError, match=rf"cannot listen on 0\.0\.0\.0:{taken}: the port is in use"):
        bind(("::",), taken)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_all_addresses_are_shared_and_taken_once(opened: list[socket.socket]) -> None:
    """Several workers share `::` for both families, and the port is in use for both."""
    opened += bind(("::",), 0, is_shared=True)
    port = opened[0].getsockname()[1]
    opened += bind(("::",), port, is_shared=True)
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, port), timeout=5):
            pass
        with pytest.raises(StartError, match="the port is in use"):
            bind((host,), port)
    with pytest.raises(StartError, match=rf"\[::\]:{port}: the port is in use"):
        bind(("::",), port)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_all_addresses_of_ipv4_are_no_more(opened: list[socket.socket]) -> None:
    """`0.0.0.0` accepts no client of IPv6."""
    opened += bind(("0.0.0.0",), 0)  # noqa: S104 - that is the question
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("::1", opened[0].getsockname()[1]), timeout=5)
