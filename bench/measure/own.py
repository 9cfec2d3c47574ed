"""Services that somebody brings: `bench run --peer NAME=COMMAND`, and a file of them for other routes and bodies.

Reads arguments and YAML, starts nothing. A command gets HOST, PORT, REMOTE, KEY and FOLDER in its environment, as those
of peers/ do; `{host}`, `{port}`, `{remote}`, `{key}` and `{folder}` in it are replaced by the same values. No shell reads it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from bench.errors import BenchError
from bench.load.routes import CONTRACT, TOKEN, Routes
from bench.measure.services import GO, Service, known_services

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
# What the file may say of a service: a key, the field of `Routes` that it sets, its type.
LOGIN: Final = {
    "path": "login_path",
    "method": "login_method",
    "body": "login_body",
    "type": "login_type",
    "token": "token_at",
}
CHECK: Final = {
    "path": "check_path",
    "method": "check_method",
    "header": "check_header",
    "status": "check_status",
    "refused": "refused_status",
}
NUMBERS: Final = frozenset({"status", "refused"})


def services_of(
    pairs: Sequence[str], file: Path | None, *, login_path: str | None = None, check_path: str | None = None
) -> dict[str, Service]:
    """Return the services of `NAME=COMMAND` pairs and of a file, by name. The paths apply to those of pairs.

    Raises:
        BenchError: one cannot be used; the text says which, and what it needs.
    """
    found: dict[str, Service] = {}
    own = Routes(is_contract=False)
    if not pairs and (login_path is not None or check_path is not None):
        raise BenchError("--login-path and --check-path are for the service of --peer NAME=COMMAND, which is missing")
    if login_path is not None:
        own = replace(own, login_path=_checked(login_path, "--login-path"))
    if check_path is not None:
        own = replace(own, check_path=_checked(check_path, "--check-path"))
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not text:
            raise BenchError(f"--peer needs NAME=COMMAND, for example mine=./my-service; {pair} has no command")
        _add(found, name, text, "--peer", CONTRACT if name == GO else own)
    if file is not None:
        for name, entry in _entries(file):
            where = f"{file}: {name}"
            _add(found, name, _text(entry, "command", where), where, _routes(entry, where))
    return found


def _add(found: dict[str, Service], name: str, text: str, where: str, routes: Routes) -> None:
    if not NAME.fullmatch(name):
        raise BenchError(f"{where}: {name!r} is no name: letters, digits, `_`, `.` and `-`, a letter first")
    if name in known_services() or name in found:
        raise BenchError(f"{where}: there is a service {name} already: choose another name")
    try:
        command = tuple(shlex.split(text))
    except ValueError as error:
        raise BenchError(f"{where}: the command cannot be read: {error}") from None
    if not command:
        raise BenchError(f"{where}: the command is empty")
    found[name] = Service(name, command, routes)


def _entries(file: Path) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        plain = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{file} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise BenchError(f"{file} is not YAML: {error}") from error
    peers = plain.get("peers") if isinstance(plain, dict) and plain.keys() == {"peers"} else None
    if not isinstance(peers, dict) or not all(isinstance(one, dict) for one in peers.values()):
        raise BenchError(f"{file}: it needs a section `peers`, and in it a section for each service, by its name")
    for name, entry in peers.items():
        _check_keys(entry, {"command", "login", "check", "contract"}, f"{file}: {name}")
    return [(str(name), entry) for name, entry in peers.items()]


def _routes(entry: Mapping[str, Any], where: str) -> Routes:
    is_contract = entry.get("contract", False)
    if not isinstance(is_contract, bool):
        raise BenchError(f"{where}.contract: true or false, not {is_contract!r}")
    changes: dict[str, Any] = {"is_contract": is_contract}
    for section, fields in (("login", LOGIN), ("check", CHECK)):
        said = entry.get(section, {})
        if not isinstance(said, dict):
            raise BenchError(f"{where}.{section}: a section, with {', '.join(fields)}")
        _check_keys(said, set(fields), f"{where}.{section}")
        for key, value in said.items():
            place, kind = f"{where}.{section}.{key}", int if key in NUMBERS else str
            if not isinstance(value, kind) or isinstance(value, bool):
                raise BenchError(f"{place}: {'a number' if kind is int else 'a text'}, not {value!r}")
            changes[fields[key]] = value if isinstance(value, int) else _checked(value, place)
    return Routes(**changes)


def _checked(text: str, where: str) -> str:
    """Return the text of an option or key if it can be what its name says."""
    if where.endswith("path") and (not text.startswith("/") or any(letter.isspace() for letter in text)):
        raise BenchError(f"{where}: a path like /login, not {text!r}")
    if where.endswith(".header") and (":" not in text or TOKEN not in text or "\n" in text):
        raise BenchError(f"{where}: a header field with {TOKEN} in its value, like `X-Token: {TOKEN}`")
    if where.endswith(".token") and not text.startswith("/"):
        raise BenchError(f"{where}: a JSON Pointer like /access_token, not {text!r}")
    return text


def _check_keys(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in entry:
        if key not in known:
            raise BenchError(f"{where}: there is no key {key}; there are {', '.join(sorted(known))}")


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise BenchError(f"{where}.{key}: a text is needed")
    return value
