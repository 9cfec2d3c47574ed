"""The names of system calls by architecture: those that the service makes. Another one is shown by its number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Natively the C library reads clocks from memory that the kernel shares (vDSO): these are no system calls there.
CLOCKS: Final = frozenset({"clock_gettime", "clock_gettime64", "gettimeofday", "time"})
NAMES: Final[Mapping[str, Mapping[int, str]]] = {
    "x86_64": {
        0: "read", 1: "write", 3: "close", 7: "poll", 9: "mmap", 11: "munmap", 12: "brk", 20: "writev", 25: "mremap",
        28: "madvise", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 201: "time", 202: "futex",
        228: "clock_gettime", 232: "epoll_wait", 233: "epoll_ctl", 281: "epoll_pwait", 288: "accept4", 318: "getrandom",
    },
    "aarch64": {
        21: "epoll_ctl", 22: "epoll_pwait", 57: "close", 63: "read", 64: "write", 66: "writev", 73: "ppoll", 98: "futex",
        113: "clock_gettime", 206: "sendto", 207: "recvfrom", 211: "sendmsg", 212: "recvmsg", 214: "brk", 215: "munmap",
        216: "mremap", 222: "mmap", 233: "madvise", 242: "accept4", 278: "getrandom",
    },
    "armv7l": {
        3: "read", 4: "write", 6: "close", 45: "brk", 78: "gettimeofday", 91: "munmap", 146: "writev", 163: "mremap", 168: "poll",
        192: "mmap2", 220: "madvise", 240: "futex", 251: "epoll_ctl", 252: "epoll_wait", 263: "clock_gettime", 289: "send",
        290: "sendto", 291: "recv", 292: "recvfrom", 296: "sendmsg", 297: "recvmsg", 346: "epoll_pwait", 366: "accept4",
        384: "getrandom", 403: "clock_gettime64", 422: "futex_time64",
    },
}  # fmt: skip


def named(arch: str, calls: Mapping[int, float]) -> dict[str, float]:
    """Name system calls that are known by number."""
    names = NAMES[arch]
    return {names.get(number, f"call {number}"): times for number, times in calls.items()}
