"""Combines several observers of a server into one. Knows nothing of their use of a response."""

from __future__ import annotations

from typing import Final

from txtoken.http1.messages import Client, Head, Observer, Response


class Observers(Observer):
    """Passes everything to each observer in turn."""

    __slots__ = ("_observers",)

    def __init__(self, observers: list[Observer]) -> None:
        self._observers: Final = observers

    def note(self, head: Head | None, response: Response, elapsed_s: float, client: Client) -> None:
        for observer in self._observers:
            observer.note(head, response, elapsed_s, client)

    def note_unanswered(self, head: Head | None, outcome: Response, elapsed_s: float, client: Client) -> None:
        for observer in self._observers:
            observer.note_unanswered(head, outcome, elapsed_s, client)


def as_one(*observers: Observer | None) -> Observer | None:
    """Return one observer for all of these. None: there are none, and a server need not read the time."""
    given = [observer for observer in observers if observer is not None]
    if len(given) > 1:
        return Observers(given)
    return given[0] if given else None
