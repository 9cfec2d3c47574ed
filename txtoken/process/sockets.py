"""Listening sockets: on IP addresses and a port, Unix sockets with their files, and passed sockets. Accepts no connection."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from txtoken.errors import StartError
from txtoken.http1.acceptor import LISTEN_BACKLOG
from txtoken.settings import ALL_ADDRESSES, ALL_IPV4, LOOPBACK, UNIX_PREFIX

UNIX_MODE: Final = 0o660  # of a socket's file: its owner and group may write to it, and so connect
CHOICES_MAX: Final = 64  # of a port by the kernel, until one is free on all addresses
_NO_IPV6: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)  # in the kernel, or on any interface
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


def bind(listen: Sequence[str], port: int, *, is_shared: bool = False, key: str = "port") -> list[socket.socket]:
    """Bind every IP address of `listen`. With port 0 the kernel chooses one that is free on all of them.

    `::` without an IPv4 address beside it means all IPv4 and IPv6 addresses, or all IPv4 addresses if the machine has no IPv6.

    With `is_shared`, more sockets can be bound to the same addresses, and the kernel distributes clients over them. `key` is the
    name of the port in the configuration.

    Raises:
        StartError: an address cannot be bound.
    """
    hosts = [_numeric(host) for host in listen if not host.startswith(UNIX_PREFIX)]
    # A port that the kernel chose for one address may be in use at the next one: then it chooses another.
    for _ in range(0 if port else CHOICES_MAX - 1):
        try:
            return _bind_all(hosts, port, is_shared=is_shared, key=key)
        except StartError as error:
            if len(hosts) < 2 or not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EADDRINUSE:
                raise
    return _bind_all(hosts, port, is_shared=is_shared, key=key)


def _bind_all(hosts: Sequence[str], port: int, *, is_shared: bool, key: str) -> list[socket.socket]:
    v6_only = any(":" not in host for host in hosts)
    sockets: list[socket.socket] = []
    for host in hosts:
        try:
            try:
                sock = _open(host, port, is_shared=is_shared, v6_only=v6_only)
            except OSError as error:
                if host != ALL_ADDRESSES or v6_only or error.errno not in _NO_IPV6:
                    raise
                host = ALL_IPV4  # errors from here on name this address
                sock = _open(host, port, is_shared=is_shared, v6_only=v6_only)
        except OSError as error:
            for opened in sockets:
                opened.close()
            raise StartError(_why_not_bound(error, host, port, key)) from error
        sockets.append(sock)
        port = sock.getsockname()[1]
    return sockets


def _open(host: str, port: int, *, is_shared: bool, v6_only: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6_only)
        sock.bind((host, port))
        sock.listen(LISTEN_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def address(sock: socket.socket) -> str:
    """Write the address of a socket: `0.0.0.0:8888`, `[::]:8888`, `unix:/run/txtoken/txtoken.sock`."""
    if sock.family == socket.AF_UNIX:
        return f"{UNIX_PREFIX}{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _numeric(host: str) -> str:
    return LOOPBACK if host == "localhost" else str(ipaddress.ip_address(host))


def _why_not_bound(error: OSError, host: str, port: int, key: str) -> str:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"cannot listen on {place}: the port is in use. Stop its user, or choose another with `{key}`."
        case errno.EACCES:
            return (
                f"cannot listen on {place}: not permitted. Ports below 1024 need privileges; choose a higher `{key}`."
            )
        case errno.EAFNOSUPPORT:
            return f"cannot listen on {place}: this machine has no IPv6. Correct `listen`."
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {place}: this machine does not have that address. Correct `listen`."
        case _:
            return f"cannot listen on {place}: {error.strerror}"


class Passed(socket.socket):
    """A listening socket that was passed to this process, for example by systemd (sd_listen_fds(3))."""


def take_passed(numbers: Sequence[int]) -> list[socket.socket]:
    """Open the sockets that were passed to this process as these file descriptors.

    Raises:
        StartError: one of them is not a listening stream socket.
    """
    sockets: list[socket.socket] = []
    for number in numbers:
        listens = False
        with contextlib.suppress(OSError):
            sockets.append(Passed(fileno=number))
            os.set_inheritable(number, False)
            listens = sockets[-1].family in _FAMILIES and _listens(sockets[-1])
        if not listens:
            for sock in sockets:
                sock.close()
            raise StartError(
                f"file descriptor {number}, which was passed to this process (LISTEN_FDS), is not a listening stream "
                "socket. In a systemd socket unit use ListenStream= and Accept=no."
            )
    return sockets


def _listens(sock: socket.socket) -> bool:
    return sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0


@contextlib.contextmanager
def unix_sockets(listen: Sequence[str]) -> Iterator[list[socket.socket]]:
    """Listen on every Unix socket in `listen`. On exit their files are removed, unless another process has replaced them.

    Raises:
        StartError: a socket cannot be bound to its path.
    """
    sockets: list[socket.socket] = []
    made: dict[str, tuple[int, int, int]] = {}
    try:
        for path in (place.removeprefix(UNIX_PREFIX) for place in listen if place.startswith(UNIX_PREFIX)):
            sockets.append(bind_unix(path))
            made[path] = _identity(path)
        yield sockets
    finally:
        for sock in sockets:
            sock.close()
        for path, identity in made.items():
            with contextlib.suppress(OSError):
                if _identity(path) == identity:
                    os.unlink(path)


def bind_unix(path: str) -> socket.socket:
    """Listen on a Unix socket. The file of a dead process is replaced, a socket in use is not.

    Raises:
        StartError: the socket cannot be bound to this path.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _lock(os.path.dirname(path)):
            _clear(path)
            # The file has this mode from the start: chmod would come a moment later.
            umask = os.umask(0o777 & ~UNIX_MODE)
            try:
                sock.bind(path)
            finally:
                os.umask(umask)
            sock.listen(LISTEN_BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(f"cannot listen on unix:{path}: {_why_not(error, path)}") from error
    return sock


@contextlib.contextmanager
def _lock(folder: str) -> Iterator[None]:
    """Let one process at a time bind in this folder: if two start at once, the second must find the first one's socket in use."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _clear(path: str) -> None:
    """Remove the socket of a dead process.

    Raises:
        OSError: the socket is in use (EADDRINUSE), or the file is not a socket (ENOTSOCK).
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.ENOTSOCK, "not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:  # in use: its backlog is full
            pass
    raise OSError(errno.EADDRINUSE, "in use")


def _identity(path: str) -> tuple[int, int, int]:
    """Return what identifies a file among all that were, or will be, at the same path. Inode numbers are reused."""
    found = os.lstat(path)
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _why_not(error: OSError, path: str) -> str:
    folder = os.path.dirname(path)
    match error.errno:
        case errno.EADDRINUSE:
            return "the socket is in use. Stop the program that uses it, or choose another socket with `listen`."
        case errno.ENOTSOCK:
            return "there is a file that is not a socket. Move it away, or choose another path with `listen`."
        case errno.ENOENT:
            return f"the directory {folder} does not exist. Create it, or choose another path with `listen`."
        case errno.ENOTDIR:
            return f"{folder} is not a directory. Choose another path with `listen`."
        case errno.EACCES | errno.EPERM:
            return f"not permitted. The service needs permission to read and write {folder}."
        case _:
            return error.strerror or "it cannot be created"
