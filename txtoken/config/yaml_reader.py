"""Parses YAML text into nodes, with PyYAML's scanner, and accepts tabs where libyaml does. Knows no key.

PyYAML's scanner accepts no tab outside of quotes: it rejects a file with a tab after a colon, which other programs read. libyaml
is not available everywhere (32-bit ARM has no wheel with it), has no depth limit, and quotes lines in its messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml
from yaml.scanner import ScannerError
from yaml.tokens import DirectiveToken, TagToken

_BREAKS = "\r\n\x85\u2028\u2029"
_ENDS = "\0" + _BREAKS
_END = re.compile(f"[{_ENDS}]")


class _Loader(yaml.SafeLoader):
    """PyYAML's loader. The scanner's methods that handle blanks follow libyaml (its scanner.c)."""

    scan_line_break: Callable[[], str]  # PyYAML defines it without types
    _takes_tabs = False  # as blanks, wherever the scanner looks for one

    def peek(self, index: int = 0) -> str:
        """Return the next character, a tab as a blank where it is one."""
        character: str = super().peek(index)
        return " " if self._takes_tabs and character == "\t" else character

    def scan_to_next_token(self) -> None:
        """Skip blanks, comments and line ends. Where a key could begin, a tab would be indentation."""
        if self.index == 0 and self.peek() == "\ufeff":
            self.forward()
        while True:
            while self.peek() == " " or (self.peek() == "\t" and (self.flow_level or not self.allow_simple_key)):
                self.forward()
            if self.peek() == "#":
                self._skip_comment()
            if not self.scan_line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def _skip_comment(self) -> None:
        """Go to the end of the line in one step. Character by character that takes 6 ms for the example file. Nobody needs the
        column before the line end, which sets it to 0.
        """
        end = _END.search(self.buffer, self.pointer)
        assert end is not None  # the buffer holds the whole text, and \0 at its end
        self.index += end.start() - self.pointer
        self.column += end.start() - self.pointer
        self.pointer = end.start()

    def scan_plain_spaces(self, indent: int, start_mark: yaml.Mark) -> list[str]:
        """Return the text between two words of a plain scalar, with line ends folded."""
        length = 0
        while self.peek(length) in " \t":
            length += 1
        blanks = self.prefix(length)
        self.forward(length)
        if self.peek() not in _BREAKS:
            return [blanks] if blanks else []
        line_break = self.scan_line_break()
        self.allow_simple_key = True
        breaks: list[str] = []
        while not self._is_at_separator():
            character = self.peek()
            if character in _BREAKS:
                breaks.append(self.scan_line_break())
            elif character == "\t" and self.column < indent:
                raise ScannerError("while scanning a plain scalar", start_mark, "found a tab", self.get_mark())
            elif character in " \t":
                self.forward()
            else:
                if line_break != "\n":
                    return [line_break, *breaks]
                return breaks or [" "]
        return []

    def _is_at_separator(self) -> bool:
        return self.column == 0 and self.prefix(3) in ("---", "...") and self.peek(3) in " \t" + _ENDS

    def scan_tag(self) -> TagToken:
        """Scan a tag, which a tab may follow."""
        self._takes_tabs = True
        try:
            return super().scan_tag()
        finally:
            self._takes_tabs = False

    def scan_directive(self) -> DirectiveToken:
        """Scan a directive, which may contain tabs and be followed by them."""
        self._takes_tabs = True
        try:
            return super().scan_directive()
        finally:
            self._takes_tabs = False

    def scan_block_scalar_indicators(self, start_mark: yaml.Mark) -> tuple[bool | None, int | None]:
        """Scan the header of a block scalar, after `|` or `>`."""
        self._takes_tabs = True
        try:
            return super().scan_block_scalar_indicators(start_mark)
        finally:
            self._takes_tabs = False

    def scan_block_scalar_ignored_line(self, start_mark: yaml.Mark) -> None:
        """Skip the rest of the line of a `|` or `>`."""
        self._takes_tabs = True
        try:
            super().scan_block_scalar_ignored_line(start_mark)
        finally:
            self._takes_tabs = False


def compose(text: str) -> yaml.Node | None:
    """Read a document. None: it is empty.

    Raises:
        yaml.YAMLError: it is not YAML. `explain` says where and why.
        ValueError, OverflowError: it has an escape like `\\UFFFFFFFF`.
        RecursionError: it is nested too deeply.
    """
    node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return node


def explain(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Return the line and reason of a YAML error. PyYAML's own message quotes the line, which may be the one with the secret."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return text.count("\n", 0, getattr(error, "position", 0)) + 1, "contains a character that YAML does not allow"
    where = f"is not valid YAML from column {mark.column + 1}"
    if mark.buffer[mark.pointer : mark.pointer + 1] == "\t":
        return mark.line + 1, f"{where}: a tab is used as indentation, which has to be spaces"
    problem = str(getattr(error, "problem", "")).partition(", but ")[0]
    if not problem.startswith(("expected ", "could not find expected ")):  # what PyYAML quotes is the text
        problem = re.sub(r"['\"].*", "…", problem, flags=re.DOTALL)
    hint = " (text that begins with a special character has to be in quotes)" if "found character" in problem else ""
    return mark.line + 1, f"{where}: {problem}{hint}"
