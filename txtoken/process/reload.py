"""The configuration while it is in use: whether its files have changed, and what may be taken over of a new one.

Knows no worker: whoever asks does what is to be done with the answer. A configuration that cannot be used changes nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from txtoken.config import SECTIONS, describe
from txtoken.errors import ConfigError
from txtoken.settings import Config

FIXED: Final = ("port", "listen", "workers", "adminPort", "log.format")  # what a running service cannot change

Signature = tuple[int, int, int] | None  # of a file: inode, time and size; None where there is none


class Reload:
    """Reads the configuration again. `load` is how it was read at first, `config` what is in use.

    `tells` is False for a worker of several: its supervisor has told everything, but for what goes wrong here alone.
    """

    def __init__(self, load: Callable[[], Config], config: Config, log: logging.Logger, *, tells: bool = True) -> None:
        self.config = config
        self._load = load
        self._log = log
        self._tells = tells
        self._seen = _look(config.files)
        self._problems: tuple[object, ...] = ()  # of the last attempt

    def has_changed(self) -> bool:
        """Whether a file is not what it was when it was looked at last, or the last attempt failed: what was missing then
        may be there now.
        """
        before, self._seen = self._seen, _look(self._seen)
        return self.has_failed or self._seen != before

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt failed."""
        return bool(self._problems)

    def read_again(self) -> Config | None:
        """Read again. Returns what is to be in use from now on, None when that cannot be used and nothing changes."""
        seen = _look(self._seen)  # before it is read: what is written meanwhile will be seen as a change
        try:
            config = self._load()
        except ConfigError as error:
            self._fail(error.problems)
            return None
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the service goes on
            self._fail((type(error).__name__,))  # its text may hold what a file held
            return None
        self._problems = ()
        self._seen = {path: seen[path] if path in seen else _stat(path) for path in config.files}
        changed = changes(self.config, config)
        fixed = [name for name in changed if name in FIXED]
        taken = [name for name in changed if name not in FIXED]
        self.config = replace(
            config,
            port=self.config.port,
            listen=self.config.listen,
            workers=self.config.workers,
            admin_port=self.config.admin_port,
            log=replace(config.log, format=self.config.log.format),
        )
        if self._tells:
            self._tell(fixed, taken)
        return self.config

    def _fail(self, problems: tuple[object, ...]) -> None:
        if problems != self._problems:
            fields = {"problems": [str(problem) for problem in problems]}
            self._log.error("the new configuration cannot be used, the old one stays in use", extra={"fields": fields})
        self._problems = problems

    def _tell(self, fixed: list[str], taken: list[str]) -> None:
        if fixed:
            self._log.warning("these keys are taken over by a restart alone", extra={"fields": {"keys": fixed}})
        if not taken:
            self._log.info("nothing else has changed" if fixed else "the configuration is what it was")
            return
        self._log.info("the configuration is taken over", extra={"fields": {"keys": taken}})
        for warning in self.config.warnings:
            self._log.warning(warning)


def changes(before: Config, after: Config) -> list[str]:
    """Name the keys whose values differ. No value is told."""
    old, new = _flat(before), _flat(after)
    return [name for name in new if new[name] != old[name]]


def _look(paths: Iterable[str]) -> dict[str, Signature]:
    return {path: _stat(path) for path in paths}


def _stat(path: str) -> Signature:
    """Look at a file through symbolic links: a link that points elsewhere is a change."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _flat(config: Config) -> dict[str, object]:
    flat: dict[str, object] = {}
    # `describe` hides secrets, names files without their content, and wraps JSON in something that compares by identity.
    whole: dict[str, object] = {
        "encKey": config.enc_key,
        "requestKey": config.request_key,
        "requestTokenData": config.request_token_data,
        "remoteProxy": config.remote_proxy,
        "successWhen": config.success.members,
        "tls": config.tls,
        "remoteTls": config.remote_tls,
    }
    for key, value in (describe(config) | whole).items():
        if key in SECTIONS and isinstance(value, dict):
            flat |= {f"{key}.{name}": part for name, part in value.items()}
        else:
            flat[key] = value
    return flat
