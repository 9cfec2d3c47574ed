"""The values of file, environment and overrides for each key, and all problems with them. Knows no meaning of a key."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from txtoken.config import yaml_reader
from txtoken.config.files import read_file
from txtoken.config.place import FILE_BYTES_MAX
from txtoken.config.table import BY_NAME, BY_VARIABLE, ENVIRONMENT_PREFIX, KEYS, SECTION_BY_VARIABLE, SECTIONS, Key
from txtoken.config.values import NULL_TAG, Wrong, printable, scalar
from txtoken.errors import ConfigError, Problem
from txtoken.nearest import nearest

# Kubernetes (and Docker's links) set these in every container beside a Service with a name like txtoken…: not meant for us.
_SERVICE_LINK: Final = re.compile(
    r"TXTOKEN_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)",
    re.ASCII,
)
_SERVICE_LINK_PORT: Final = re.compile(r"TXTOKEN_(?:\w+_)?PORT=(?:tcp|udp|sctp)://.*", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,31}")  # a longer name is no key's, and may contain a secret

_CLOSE: Final = 0.7  # from which a variable counts as a misspelt key


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was written, and where."""

    node: yaml.Node
    source: str  # file, environment or --set
    where: str
    line: int = 0


class Section:
    """One section of a list: its values, by their names within it, or their defaults."""

    def __init__(self, values: dict[str, Any], where: str, line: int) -> None:
        self.values = values
        self.given: dict[str, Given] = {}
        self.where = where
        self.line = line
        self.is_whole = True  # no single value is wrong


class Reader:
    """Collects the given values, and all problems with them."""

    def __init__(self, source: str) -> None:
        self.source = source  # the file's path, as messages show it
        self.given: dict[str, Given] = {}
        self.sections: dict[str, tuple[str, int]] = {}  # where the file has them, empty ones too
        self.file_failed = False  # it could not be read: missing keys are then not reported
        self.warnings: list[str] = []
        self._problems: list[tuple[int, Problem]] = []
        self._files: list[str] = []  # named in sections

    def complain(self, key: str, where: str, text: str, line: int = 0) -> None:
        self._problems.append((line, Problem(key, where, text)))

    def raise_problems(self) -> None:
        """Raise all problems, in the order of their lines."""
        if self._problems:
            raise ConfigError(tuple(problem for _, problem in sorted(self._problems, key=lambda pair: pair[0])))

    def give(self, name: str, given: Given) -> None:
        """Set a value from a source that wins over the earlier ones."""
        earlier = self.given.get(name)
        if earlier is not None and earlier.source == given.source:  # alone, and in its section
            place = f"in line {earlier.line}" if earlier.line else f"by {earlier.where}"
            self.complain(name, given.where, f"is already set {place}: keep one of them", given.line)
        self.given[name] = given
        rival = self.given.get(BY_NAME[name].instead_of)
        if rival is None:
            return
        if rival.source == given.source:
            self.complain(name, given.where, f"is set beside {BY_NAME[name].instead_of}: keep one of them", given.line)
        else:
            del self.given[BY_NAME[name].instead_of]

    def complain_of_no_file(self, text: str) -> None:
        """Say that there is no file: that keys are missing is then no news."""
        self.file_failed = True
        self.complain("", "configuration", text)

    def read_file(self, path: str) -> None:
        self.file_failed = True
        shown = printable(path)
        text = ""
        try:
            text = read_file(path, FILE_BYTES_MAX).decode("utf-8-sig")
            root = yaml_reader.compose(text)
        except Wrong as wrong:
            self.complain("", "configuration file", f"{wrong}. Name another with --config or CFG_FILE.")
        except UnicodeDecodeError:
            self.complain("", shown, "is not UTF-8 text")
        except (ValueError, OverflowError):  # PyYAML raises these for an escape like \UFFFFFFFF
            self.complain("", shown, "contains a character that YAML does not allow")
        except yaml.YAMLError as error:
            line, problem = yaml_reader.explain(error, text)
            self.complain("", f"{shown}, line {line}" if line else shown, problem, line)
        except RecursionError:
            self.complain("", shown, "is nested too deeply to be read")
        else:
            self.file_failed = False
            if root is not None and _is_given(root):
                self._read_section(root, shown, "")

    def _read_section(self, section: yaml.Node, path: str, prefix: str, source: str = "file") -> None:
        """Read a section of the file. Another source has no lines, and `path` is its name."""
        name = prefix.removesuffix(".")
        if not isinstance(section, yaml.MappingNode) or section.tag != "tag:yaml.org,2002:map":
            where, line = _spot(path, section, source)
            what = (
                "a section of `key: value` lines"
                if source == "file"
                else f"a JSON object, for example {_example(name)}"
            )
            self.complain(name, where, f"has to be {what}", line)
            return
        first_lines: dict[str, int] = {}
        for key_node, value in section.value:
            where, line = _spot(path, key_node, source)
            key = prefix + key_node.value if isinstance(key_node, yaml.ScalarNode) else prefix
            if key in first_lines and key != prefix:
                text = f"is already set {f'in line {first_lines[key]}' if line else 'there'}: keep one of them"
                self.complain(_shown(key), where, text, line)
                continue
            first_lines[key] = line
            if key in BY_NAME:
                if _is_given(value):
                    self.give(key, Given(value, source, where, line))
            elif key in SECTIONS:
                if _is_given(value):
                    self.sections[key] = where, line
                    self._read_section(value, path, key + ".")
            else:
                self._complain_unknown(key, where, line)

    def _complain_unknown(self, key: str, where: str, line: int) -> None:
        section = key.rpartition(".")[0]
        near = [name for name in BY_NAME if name.rpartition(".")[0] == section] + ([] if section else [*SECTIONS])
        name, colon, _ = key.partition(":")
        hint = " A space has to follow the colon." if colon and name in near else ""
        self.complain(_shown(key), where, f"is not a known key{_nearest(name, near)}{hint}", line)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        for variable, text in environ.items():
            # An empty value counts as absent: `${PORT:-}` in a compose file sets the variable, too.
            if not text or not variable.startswith(ENVIRONMENT_PREFIX) or _is_service_link(variable, text):
                continue
            key = BY_VARIABLE.get(variable)
            if key is not None:
                self.give(key.name, Given(scalar(text), "environment", f"environment {variable}"))
                continue
            if variable in SECTION_BY_VARIABLE:
                self._read_section_text(SECTION_BY_VARIABLE[variable], text, "environment", f"environment {variable}")
                continue
            shown, near = printable(variable), _nearest_variable(variable)
            if near:
                self.complain("", f"environment {shown}", f"sets no known key{near}")
            else:
                self.warnings.append(f"environment {shown} sets no known key, and is ignored")

    def read_overrides(self, overrides: Mapping[str, str], typed: Mapping[str, str]) -> None:
        for name, text in overrides.items():
            if name in BY_NAME:
                self.give(name, Given(scalar(text), "--set", typed.get(name, "--set")))
            elif name in SECTIONS:
                self._read_section_text(name, text, "--set", "--set")
            else:
                self.complain("", f"--set {_shown(name)}", f"is not a known key{_nearest(name, BY_NAME)}")

    def _read_section_text(self, name: str, text: str, source: str, where: str) -> None:
        """Read a section from one text, of JSON (or YAML). It sets the keys that it holds, and leaves the others as they are."""
        node: yaml.Node | None = None
        with contextlib.suppress(yaml.YAMLError, ValueError, OverflowError, RecursionError):
            node = yaml_reader.compose(text)
        if node is None or _is_given(node):
            self.sections[name] = where, 0
            self._read_section(node or scalar(text), where, f"{name}.", source)

    def origin(self, key: Key) -> str:
        """Say where a key's value came from: `default`, a line of the file, an environment variable, or an option."""
        given = self.given.get(key.name)
        if given is not None:
            return given.where
        other = key.instead_of or ("debug" if key.name in ("log.level", "log.format") else "")
        given = self.given.get(other)
        return "default" if given is None else f"{given.where} ({other})"

    def value(self, name: str) -> Any:
        """Convert one value. If it is wrong, report that and return the default."""
        key = BY_NAME[name]
        given = self.given.get(name)
        if given is None:
            return key.default
        return self._sections(key, given) if key.items else self._convert(key, given)

    def _convert(self, key: Key, given: Given) -> Any:
        try:
            return key.read(given.node)
        except Wrong as wrong:
            place, line = given.where, given.line
            if wrong.node is not None and line:
                line = _line(wrong.node)
                place = f"{place.rpartition(', line')[0]}, line {line}"
            self.complain(key.name, place, str(wrong), line)
            return key.default

    def _sections(self, key: Key, given: Given) -> Section | list[Section] | None:
        """Convert a list of sections, or one section. None: it is neither of them."""
        node = given.node
        if given.source != "file":  # JSON or YAML in one text
            with contextlib.suppress(yaml.YAMLError, ValueError, OverflowError, RecursionError):  # then it is one value
                node = yaml_reader.compose(str(node.value)) or node
        if isinstance(node, yaml.SequenceNode):
            lines = [_line(item) if given.source == "file" else 0 for item in node.value]
            # Which one, if a line has several.
            entries = [f", entry {place}" * (lines.count(line) > 1) for place, line in enumerate(lines, 1)]
            sections = zip(node.value, entries, strict=True)
            return [self._section(key.items, item, key.name, given, entry) for item, entry in sections]
        if isinstance(node, yaml.MappingNode) and key.alone:
            return self._section(key.alone, node, key.name, given)
        self.complain(
            key.name, given.where, "has to be a list of sections" + ", or one section" * bool(key.alone), given.line
        )
        return None

    def _section(self, keys: Sequence[Key], node: yaml.Node, name: str, given: Given, entry: str = "") -> Section:
        path = given.where.rpartition(", line")[0] if given.source == "file" else given.where
        place, line = _spot(path, node, given.source, entry)
        section = Section({key.name.rpartition(".")[2]: key.default for key in keys}, place, line)
        if not isinstance(node, yaml.MappingNode):
            self.complain(name, place, "has to be a section of `key: value` lines", line)
            section.is_whole = False
            section.values.clear()
            return section
        by_name = {key.name.rpartition(".")[2]: key for key in keys}
        for key_node, value in node.value:
            where, at = _spot(path, key_node, given.source, entry)
            inner = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            if inner not in by_name:
                self.complain(_shown(f"{name}.{inner}"), where, f"is not a known key{_nearest(inner, by_name)}", at)
                section.is_whole = False
            elif inner in section.given:
                self.complain(f"{name}.{inner}", where, "is already set in this section: keep one of them", at)
            elif _is_given(value):
                count = len(self._problems)
                section.given[inner] = Given(value, given.source, where, at)
                section.values[inner] = self._convert(by_name[inner], section.given[inner])
                section.is_whole &= len(self._problems) == count
                if by_name[inner].is_file:
                    self._files += [
                        item.value for item in (value.value if isinstance(value, yaml.SequenceNode) else [value])
                    ]
        return section

    def complain_in(self, section: Section, name: str, inner: str, text: str) -> None:
        """Report a problem with a value of a section, or with the section if it does not have that value."""
        given = section.given.get(inner)
        where, line = (given.where, given.line) if given else (section.where, section.line)
        self.complain(f"{name}.{inner}" if inner else name, where, text, line)

    def other_files(self) -> list[str]:
        """Return the files that secrets and certificates were read from."""
        named = [str(given.node.value) for name, given in self.given.items() if BY_NAME[name].is_file]
        return [*named, *self._files]

    def complain_of(self, name: str, text: str) -> None:
        """Report a problem with a value that was read without error."""
        where, line = self.where(name)
        self.complain(name, where, text, line)

    def where(self, name: str) -> tuple[str, int]:
        given = self.given.get(name)
        return (given.where, given.line) if given else ("configuration", 0)


def _is_given(node: yaml.Node) -> bool:
    """A key without a value, or with null, counts as absent."""
    return node.tag != NULL_TAG


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark is not None else 0


def _spot(path: str, node: yaml.Node, source: str, entry: str = "") -> tuple[str, int]:
    """Return where a node stands, for messages, and its line. Only the file has lines; elsewhere `path` names all of it."""
    if source != "file":
        return path + entry, 0
    return f"{path}, line {_line(node)}{entry}", _line(node)


def _shown(name: str) -> str:
    """Return an unknown name as a message may show it. `encKey:…` without a space after the colon is a name with a secret."""
    section, _, last = name.rpartition(".")
    is_section = section in SECTIONS or (section in BY_NAME and bool(BY_NAME[section].items))
    return name if _NAME.fullmatch(last) and (not section or is_section) else "?"


def _example(section: str) -> str:
    keys = [key for key in KEYS if key.section == section]
    key = next((key for key in keys if key.default not in (None, ())), keys[0])
    value = "…" if key.default in (None, ()) else key.read.write(key.default)
    return json.dumps({key.name.rpartition(".")[2]: value}, ensure_ascii=False)


def _is_service_link(variable: str, text: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(variable) or _SERVICE_LINK_PORT.fullmatch(f"{variable}={text}"))


def _nearest_variable(variable: str) -> str:
    """Suggest the variable that was meant, if one is close. Deployment tools set others: TXTOKEN_VERSION, TXTOKEN_IMAGE."""
    known = {key.removeprefix(ENVIRONMENT_PREFIX): key for key in (*BY_VARIABLE, *SECTION_BY_VARIABLE)}
    return nearest(variable.removeprefix(ENVIRONMENT_PREFIX).upper(), known, _CLOSE)


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    return nearest(name.lower(), {candidate.lower(): candidate for candidate in known})
