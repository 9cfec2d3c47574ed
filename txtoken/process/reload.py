"""Hot reload: finds changes of the configuration's files, and decides what of a new configuration can be applied.

A bad configuration changes nothing. Knows no worker: the caller applies the result.
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
SETTLE_S: Final = 1.0  # between the two checks that have to see the same bytes: by then a writer has finished
RETRY_S: Final = (
    10.0  # after which one of several workers retries a failed reload, if files are not watched (`reload: off`)
)
READ_BYTES: Final = 1 << 20
READS_AT_ONCE_MAX: Final = 3  # if it changes while it is read: parts of two configurations are not a configuration
DISAGREEMENTS_MAX: Final = (
    10  # that are not logged: by then the supervisor has seen the newer bytes, if it checks at all
)


def no_more(_: Config) -> None:
    """Apply nothing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading the files: a configuration, or its problems, or neither if files are still changing. `before` and
    `found` are their contents before and after.
    """

    before: dict[str, Content]
    found: dict[str, Content]
    config: Config | None = None
    problems: tuple[object, ...] = ()
    at_once: bool = True


class Reload:
    """Reloads the configuration. `load` reads it, `config` is the one in use.

    Call `has_changed` every `wait_s` seconds, and `read_again` if it has. `logs_changes` is False for one of several workers: the
    supervisor logs everything, except errors in this worker alone. Of several processes, the supervisor writes the `agreement`,
    and a worker applies only the agreed content: it checks again by itself until it finds that.
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
        self._seen = _look(config.files)  # the contents that were read last
        self._settling: dict[str, Content] | None = None  # the contents that a check has found for the first time
        self._problems: tuple[object, ...] = ()  # problems of the last attempt
        self._fixed: list[str] = []  # changed keys that need a restart
        self._agreement = agreement
        self._disagreements = 0  # consecutive disagreements
        self._looks_again = False  # a signal may have arrived during a write: one more check, whatever `reload` says
        if agreement is not None and logs_changes:
            agreement.note(self._seen)

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt failed. Each check retries it: what was missing may exist now."""
        return bool(self._problems)

    @property
    def is_pending(self) -> bool:
        """Whether work is left, even without a new change."""
        return self.has_failed or self._settling is not None

    @property
    def wait_s(self) -> float | None:
        """How long to wait until the next check. None: forever."""
        return SETTLE_S if self._looks_again or self._settling is not None else self.config.reload_s

    def has_changed(self) -> bool:
        """Whether a file differs from what was read last, with the same content at the last check: a file that is being written
        changes between checks. Also true if the last attempt failed.
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
        """Read again, and `take` the result."""
        return self.take(self.read(at_once=at_once), apply)

    def read(self, *, at_once: bool) -> Reading:
        """Read the files only: a thread may do this while the service runs. With `at_once`, files count as complete if they did
        not change while they were read.
        """
        for _ in range(READS_AT_ONCE_MAX if at_once else 1):
            before = _look(self._seen)
            try:
                config = self._load()
            except ConfigError as error:
                return Reading(before, before, problems=error.problems, at_once=at_once)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the service keeps running
                # Its text may contain content of a file.
                return Reading(before, before, problems=(type(error).__name__,), at_once=at_once)
            found = _look({*before, *config.files})
            # A file that only the new configuration names was not checked before: it must be complete as well.
            checked = {**found, **before} if at_once else {**before, **(self._settling or {})}
            if all(content == checked.get(path) for path, content in found.items()):
                return Reading(before, found, config, at_once=at_once)
        return Reading(before, found, at_once=at_once)

    def take(self, reading: Reading, apply: Callable[[Config], None] = no_more) -> Config | None:
        """Apply what was read. Returns the configuration in use from now on. None: it is bad, or files may still change, so that
        nothing changes. `apply` builds the service's new parts: an exception is a failure too.
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
            text = f"tls {how} the configuration: this looks like a half-written file; if it is intended, restart"
            self._fail(before, (text,))
            return None
        if missing := [
            address for address in config.process.auth_addresses if address not in self.config.process.auth_addresses
        ]:
            # Its route would be on neither address, the old one nor the new one.
            self._fail(before, (f"forwardAuth.listen: {', '.join(missing)} needs a restart",))
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
        except Exception as error:  # noqa: BLE001 - if anything cannot be built, the old configuration stays in use
            problems = (type(error).__name__,)
            if problems != self._problems:
                self._log.error("the new configuration cannot be applied, the old one stays in use", exc_info=error)
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
        """Whether this process may apply what it has read: the supervisor may always, workers only the agreed content."""
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
                "the configuration differs from the one that the supervisor has read, the old one stays in use"
            )
        return False

    def _rest(self, seen: dict[str, Content]) -> None:
        self._seen, self._settling = seen, None

    def _fail(self, seen: dict[str, Content], problems: tuple[object, ...]) -> None:
        if [str(problem) for problem in problems] != [str(problem) for problem in self._problems]:
            fields = {"problems": [str(problem) for problem in problems]}
            self._log.error("the new configuration is rejected, the old one stays in use", extra={"fields": fields})
        self._problems = problems
        self._rest(seen)

    def _log_changes(self, changed: list[str], previous: Config) -> None:
        fixed = [name for name in changed if name in FIXED]
        taken = [name for name in changed if name not in FIXED]
        if fixed and fixed != self._fixed:
            self._log.warning("these keys need a restart to take effect", extra={"fields": {"keys": fixed}})
        self._fixed = fixed
        if not taken:
            self._log.info("nothing else has changed" if fixed else "the configuration is unchanged")
            return
        self._log.info("the configuration is reloaded", extra={"fields": {"keys": taken}})
        if previous.check.rules != VerifyRules() and self.config.check.rules == VerifyRules():
            self._log.warning("verify was removed from the configuration: tokens are checked by the default rules")
        elif gone := _rules_gone(previous.check.rules, self.config.check.rules):
            self._log.warning("tokens are no longer checked by these rules", extra={"fields": {"keys": gone}})
        if previous.forward_auth and not self.config.forward_auth:
            self._log.warning(
                "forwardAuth was removed from the configuration: requests for forward authentication are rejected"
            )
        if previous.revocations is not None and self.config.revocations is None:
            self._log.warning("revocations was removed from the configuration: revoked tokens are valid again")
        if previous.throttle is not None and self.config.throttle is None:
            self._log.warning("throttle was removed from the configuration: passwords can be guessed without limit")
        for warning in (*key_changes(previous, self.config, time.time()), *self.config.warnings):
            self._log.warning(warning)


def _rules_gone(before: VerifyRules, after: VerifyRules) -> list[str]:
    """Return the rules that no longer apply to tokens."""
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
    """Return the digest of a file's bytes: neither its time, its size nor its link identify the content for certain."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "no file"  # a pipe gives its bytes only once, and may be empty
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(READ_BYTES):
                digest.update(piece)
    except OSError as error:
        return error.strerror or "no file"
    return digest.digest()
