"""The configuration while it is in use: whether its files have changed, and what may be taken over of a new one.

Knows no worker: whoever asks does what is to be done with the answer. A configuration that cannot be used changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from txtoken.config.key_changes import key_changes
from txtoken.config.table import KEYS, changes
from txtoken.errors import ConfigError
from txtoken.process.agreement import DIGEST_BYTES, Agreement, Content
from txtoken.settings import Config, VerifyRules

FIXED: Final = tuple(key.name for key in KEYS if key.wants_restart)
SETTLE_S: Final = (
    1.0  # between the two checks that have to see the same bytes: whoever writes a file has finished by then
)
RETRY_S: Final = (
    10.0  # after which a worker of several tries again what failed, where no file is looked at (`reload: off`)
)
READ_BYTES: Final = 1 << 20
READS_AT_ONCE_MAX: Final = 3  # when it changes while it is read: parts of two configurations are none
DISAGREEMENTS_MAX: Final = 10  # that are silent: by then the supervisor has seen the newer bytes, if it looks at all


def no_more(_: Config) -> None:
    """Nothing has to be built of a configuration."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of the files: a configuration, or what is wrong with it, or neither where they are not at rest. `before` and
    `found` are their contents before and after that.
    """

    before: dict[str, Content]
    found: dict[str, Content]
    config: Config | None = None
    problems: tuple[object, ...] = ()
    at_once: bool = True


class Reload:
    """Reads the configuration again. `load` is how it was read at first, `config` what is in use.

    Ask `has_changed` every `wait_s` seconds, and `read_again` when it has. `logs_changes` is False for a worker of several: its
    supervisor has logged everything, but for what goes wrong here alone. Of several processes the supervisor writes the
    `agreement`, and a worker takes over only what was agreed on: it looks again by itself until it finds that.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        config: Config,
        log: logging.Logger,
        *,
        logs_changes: bool = True,
        agreement: Agreement | None = None,
    ) -> None:
        self.config = config
        self._load = load
        self._log = log
        self._logs_changes = logs_changes
        self._seen = _look(config.files)  # what was read last
        self._settling: dict[str, Content] | None = None  # what a check has found for the first time
        self._problems: tuple[object, ...] = ()  # of the last attempt
        self._fixed: list[str] = []  # keys that were found changed, and need a restart
        self._agreement = agreement
        self._disagreements = 0  # in a row
        self._looks_again = (
            False  # a signal may have come while somebody still wrote: one more check, whatever `reload` says
        )
        if agreement is not None and logs_changes:
            agreement.note(self._seen)

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt failed. It is made again at each check: what was missing then may be there now."""
        return bool(self._problems)

    @property
    def is_pending(self) -> bool:
        """Whether something is left to be done, be there a new change or not."""
        return self.has_failed or self._settling is not None

    @property
    def wait_s(self) -> float | None:
        """How long to wait until the next check, None for ever."""
        return SETTLE_S if self._looks_again or self._settling is not None else self.config.reload_s

    def has_changed(self) -> bool:
        """Whether a file holds something else than what was read last, and did so at the last check as well: a file that is
        being written changes from check to check. Also whether the last attempt failed.
        """
        self._looks_again = False
        found = _look(self._seen)
        if found == self._seen and (self._settling is None or self._settling.keys() == found.keys()):
            self._settling = None
            return self.has_failed
        if self._settling is not None and found == {path: self._settling.get(path) for path in found}:
            return True
        self._settling = found
        return False

    def read_again(self, apply: Callable[[Config], None] = no_more, *, at_once: bool = True) -> Config | None:
        """Read again, and `take` what was read."""
        return self.take(self.read(at_once=at_once), apply)

    def read(self, *, at_once: bool) -> Reading:
        """Read the files, and nothing else: a thread may do this while the service goes on. With `at_once` they are at rest when
        they did not change while they were read.
        """
        for _ in range(READS_AT_ONCE_MAX if at_once else 1):
            before = _look(self._seen)
            try:
                config = self._load()
            except ConfigError as error:
                return Reading(before, before, problems=error.problems, at_once=at_once)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the service goes on
                # Its text may hold what a file held.
                return Reading(before, before, problems=(type(error).__name__,), at_once=at_once)
            found = _look({*before, *config.files})
            # A file that only the new configuration names was not looked at before: it has to be at rest as well.
            checked = {**found, **before} if at_once else {**before, **(self._settling or {})}
            if all(content == checked.get(path) for path, content in found.items()):
                return Reading(before, found, config, at_once=at_once)
        return Reading(before, found, at_once=at_once)

    def take(self, reading: Reading, apply: Callable[[Config], None] = no_more) -> Config | None:
        """Use what was read. Returns what is in use from now on; None when that cannot be used, or is not yet seen to be at rest,
        and nothing changes. `apply` builds what is to serve by it: what it raises is a failure too.
        """
        self._looks_again = reading.at_once
        before, found, config = reading.before, reading.found, reading.config
        if reading.problems:
            self._fail(before, reading.problems)
            return None
        if config is None:
            self._settling = found
            return None
        if (self.config.tls.cert_file is None) != (config.tls.cert_file is None):
            how = "appeared in" if self.config.tls.cert_file is None else "disappeared from"
            text = f"tls {how} the configuration: this looks like a file that is half written; if it is meant, restart"
            self._fail(before, (text,))
            return None
        if missing := [door for door in config.process.doors if door not in self.config.process.doors]:
            # Its route would be nowhere: not where it was, and not where it is to be.
            self._fail(before, (f"forwardAuth.listen: {', '.join(missing)} is opened by a restart alone",))
            return None
        read = {path: found[path] for path in config.files}
        if not self._is_agreed(read):
            self._settling = found
            return None
        changed = changes(self.config, config)
        usable = replace(
            config,
            process=self.config.process,
            log=replace(config.log, format=self.config.log.format),
        )
        try:
            apply(usable)
        except Exception as error:  # noqa: BLE001 - whatever cannot be built of it, the old configuration is in use
            problems = (type(error).__name__,)
            if problems != self._problems:
                self._log.error("the new configuration cannot be taken over, the old one stays in use", exc_info=error)
            self._problems = problems
            self._rest(before)
            return None
        if self._problems:
            self._log.info("the configuration can be used again")
        self._problems = ()
        self._rest(read)
        previous, self.config = self.config, usable
        if self._logs_changes:
            self._log_changes(changed, previous)
        return self.config

    def _is_agreed(self, read: dict[str, Content]) -> bool:
        """Whether this process may take over what it has read: the supervisor may whatever it reads, and the others that."""
        if self._agreement is None:
            return True
        if self._logs_changes:
            self._agreement.note(read)
            return True
        if self._agreement.is_on(read):
            self._disagreements = 0
            return True
        self._disagreements += 1
        if self._disagreements == DISAGREEMENTS_MAX:
            self._log.warning(
                "the configuration's files are not those that the supervisor has read, the old one stays in use"
            )
        return False

    def _rest(self, seen: dict[str, Content]) -> None:
        self._seen, self._settling = seen, None

    def _fail(self, seen: dict[str, Content], problems: tuple[object, ...]) -> None:
        if [str(problem) for problem in problems] != [str(problem) for problem in self._problems]:
            fields = {"problems": [str(problem) for problem in problems]}
            self._log.error("the new configuration cannot be used, the old one stays in use", extra={"fields": fields})
        self._problems = problems
        self._rest(seen)

    def _log_changes(self, changed: list[str], previous: Config) -> None:
        fixed = [name for name in changed if name in FIXED]
        taken = [name for name in changed if name not in FIXED]
        if fixed and fixed != self._fixed:
            self._log.warning("these keys are taken over by a restart alone", extra={"fields": {"keys": fixed}})
        self._fixed = fixed
        if not taken:
            self._log.info("nothing else has changed" if fixed else "the configuration is what it was")
            return
        self._log.info("the configuration is taken over", extra={"fields": {"keys": taken}})
        if previous.check.rules != VerifyRules() and self.config.check.rules == VerifyRules():
            self._log.warning("verify is no longer in the configuration: tokens are checked by the default rules")
        elif gone := _rules_gone(previous.check.rules, self.config.check.rules):
            self._log.warning("tokens are no longer checked by these rules", extra={"fields": {"keys": gone}})
        if previous.forward_auth and not self.config.forward_auth:
            self._log.warning("forwardAuth is no longer in the configuration: proxies that ask are refused")
        if previous.revocations is not None and self.config.revocations is None:
            self._log.warning("revocations is no longer in the configuration: what was revoked is valid again")
        if previous.throttle is not None and self.config.throttle is None:
            self._log.warning("throttle is no longer in the configuration: passwords can be guessed without end")
        for warning in (*key_changes(previous, self.config, time.time()), *self.config.warnings):
            self._log.warning(warning)


def _rules_gone(before: VerifyRules, after: VerifyRules) -> list[str]:
    """Name the rules that tokens had to fulfil before."""
    rules = {
        "verify.iss": (before.issuer, after.issuer),
        "verify.aud": (before.audience, after.audience),
        "verify.requireExp": (before.require_exp, after.require_exp),
        "verify.maxAge": (before.max_age_s, after.max_age_s),
    }
    return [name for name, (was, is_now) in rules.items() if was and not is_now]


def _look(paths: Iterable[str]) -> dict[str, Content]:
    return {path: _content(path) for path in paths}


def _content(path: str) -> Content:
    """Look at a file's bytes: neither its time, its size nor the link that leads to it say for certain what it holds."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "no file"  # a pipe gives its bytes once, and may have none
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(READ_BYTES):
                digest.update(piece)
    except OSError as error:
        return error.strerror or "no file"
    return digest.digest()
