"""What the system says of names, in place of `socket.getaddrinfo`: addresses, errors, or nothing for as long as a test wants."""

from __future__ import annotations

import socket
import threading
from typing import Any, Final

import pytest

HOST: Final = "login.internal"
UNKNOWN: Final = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class NameServer:
    """Knows `login.internal`: gives `answers` one after the other, the last one for ever. While `gate` is closed it hangs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str] | Exception) -> None:
        self._answers = list(answers)
        self._real = socket.getaddrinfo
        self._lock = threading.Lock()
        self.gates: list[threading.Event] = []  # of the look-ups so far, in their order
        self.hangs = False  # whether look-ups that begin from now on wait for their gate
        self.asked = threading.Semaphore(0)
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)

    @property
    def count(self) -> int:
        """Look-ups so far."""
        return len(self.gates)

    def _getaddrinfo(self, host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != HOST:
            return self._real(host, port, *args, **options)
        gate = threading.Event()
        with self._lock:
            self.gates.append(gate)
            hangs = self.hangs
        self.asked.release()
        if hangs:
            gate.wait(20)
        with self._lock:
            answer = self._answers[0]
            if len(self._answers) > 1:
                del self._answers[0]
        if isinstance(answer, Exception):
            raise type(answer)(*answer.args)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answer]

    def answer_with(self, *answers: list[str] | Exception) -> None:
        """Give other answers from now on."""
        with self._lock:
            self._answers = list(answers)

    def release(self) -> None:
        """Let all look-ups that hang go on."""
        self.hangs = False
        for gate in self.gates:
            gate.set()
