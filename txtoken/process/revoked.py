"""Reloads the list of revocations: checks its file for changes, and reads it in steps. Knows no token."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Final

from txtoken.config.revocation_file import Signature, carried_by, fill, read_all, signature_of
from txtoken.errors import ConfigError
from txtoken.service.revocations import Revocations
from txtoken.settings import Config

STEP_S: Final = 0.002  # of reading in one turn of the loop
SETTLE_S: Final = 1.0  # between the two checks that have to see the same file: by then a writer has finished


@dataclass(frozen=True, slots=True)
class Loaded:
    """A list, and the content of the file that it was read from."""

    path: str
    revocations: Revocations
    signature: Signature | None


def load(config: Config) -> Loaded | None:
    """Read the list of a configuration, before the service starts. None: it has none.

    Raises:
        ConfigError: the list is wrong.
    """
    path = config.revocations
    if path is None:
        return None
    signature = signature_of(path)
    return Loaded(path, read_all(path, carried_by(config)), signature)


class RevocationFile:
    """One worker's list. Call `look` regularly, and `read_again` after a signal; `on_new` gets each new list.

    A bad file changes nothing. `in_turn` calls a function after other clients had their turns.
    """

    __slots__ = (
        "_config",
        "_in_turn",
        "_log",
        "_look_at",
        "_next",
        "_on_new",
        "_path",
        "_problem",
        "_reading",
        "_seen",
        "_settling",
        "current",
    )

    def __init__(
        self,
        config: Config,
        current: Revocations,
        seen: Signature | None,
        log: logging.Logger,
        in_turn: Callable[[Callable[[], object]], object],
        on_new: Callable[[Revocations], object],
    ) -> None:
        assert config.revocations is not None
        self._config = config
        self._path = config.revocations
        self._log = log
        self._in_turn = in_turn
        self._on_new = on_new
        self._problem = ""  # the problem of the last attempt
        self._reading: Iterator[None] | None = None
        self._next = current  # the list that is being read
        self._settling: Signature | None = None
        self._look_at = 0.0  # by `monotonic`
        self.current = current
        self._seen = seen  # the content that was read last, valid or not

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt to read the file failed. An older list is in use then."""
        return bool(self._problem)

    def catch_up(self) -> None:
        """Before the service starts: read the file at once, if it has changed since it was read for all workers."""
        found = signature_of(self._path)
        if found == self._seen:
            return
        self._seen = found
        try:
            self.current = read_all(self._path, carried_by(self._config))
        except ConfigError as error:
            self._complain(error)

    def look(self) -> None:
        """Check whether the file has changed, if it is time for that. A file that keeps changing is read later."""
        now = monotonic()
        if now < self._look_at or self._reading is not None or self._config.reload_s is None:
            return
        found = signature_of(self._path)
        is_new = found != self._seen
        if is_new and found == self._settling:
            self.read_again()
            is_new = False
        self._settling = found if is_new else None
        self._look_at = now + (SETTLE_S if is_new else self._config.reload_s)

    def read_again(self) -> None:
        """Read the file, in steps."""
        self._seen = signature_of(self._path)
        self._next = Revocations(carried_by(self._config))
        is_under_way = self._reading is not None
        self._reading = fill(self._next, self._path)
        if not is_under_way:
            self._in_turn(self._go_on)

    def stop(self) -> None:
        """Stop reading: from now on another file is used, or none."""
        self._reading = None

    def _go_on(self) -> None:
        reading = self._reading
        if reading is None:
            return
        end = perf_counter() + STEP_S
        try:
            for _ in reading:
                if perf_counter() >= end:
                    self._in_turn(self._go_on)
                    return
        except ConfigError as error:
            self._reading = None
            self._complain(error)
            return
        self._reading = None
        self.current = self._next
        self._problem = ""
        self._on_new(self.current)
        self._log.info("the revocations are reloaded", extra={"fields": {"revocations": self.current.count}})

    def _complain(self, error: ConfigError) -> None:
        (problem,) = error.problems
        if str(problem) != self._problem:
            self._problem = str(problem)
            text = "the new revocations are rejected, the old list stays in use"
            self._log.error(text, extra={"fields": {"problem": self._problem}})
