"""The English of what people read: messages, docstrings, comments, documents. Judges words, not facts."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
# A blank in a phrase may be a line end, with the mark of a comment or the quotes of the next piece of a literal.
GAP: Final = r"[\s#\"'/*>|]+"

# Words and phrases that are not the field's, each with what to write instead. Only what is wrong wherever it stands.
REPLACED: Final = (
    (r"told", "logged, reported, rejected, given or distinguished"),
    (r"tells", "logs, reports, says or shows"),
    (r"mend(?:s|ed|ing)?", "fix"),
    (r"who(?:m)?ever", "anyone who, the client, or a man in the middle"),
    (r"who stands between", "a man in the middle"),
    (r"leads up to(?: its| the)? authority", "the certificate chain"),
    (r"(?:take|takes|taken|took|taking) (?:\w+ )?over", "apply, reload, reuse or replace"),
    (r"(?:hold|holds|held|holding) back", "wait, queue or block"),
    (r"lets? (?:nobody |everybody |others |only \w+ )?in(?! (?:the|a|an|this|its) )", "accept or admit"),
    (r"not root's", "runs as non-root"),
    (r"asks? nobody|nobody (?:is|was) asked|nobody to ask", "needs no authentication, or cannot ask"),
    (r"behind (?:the line|the head|the body|the status|another request|each other)", "after"),
    (r"(?:give|gives|gave|given|giving) (?:\w+ )?back", "return or free"),
    (r"(?:hand|hands|handed) (?:it |them )?on", "forward or pass"),
    (r"looked at for changes?", "checked for changes"),
    (r"who (?:asks|waits)", "the client, the proxy or the worker, by its name"),
    (r"proxies that ask", "forward authentication"),
    (r"rotate by themselves", "self-rotating"),
    (r"nobody took", "dropped"),
    (r"(?:has|have) no word for", "cannot express"),
    (r"(?:it|this|which|that|and) is no (?:number|socket|directory|timestamp|file)", "is not a"),
    (r"speak(?:s)? in the clear", "plain text"),
    (r"(?:waits?|requests|comes?) behind", "after"),
    (r"knocks? on", "a port scanner"),
)
RULES: Final = tuple(
    (re.compile(rf"(?<![\w-])(?:{pattern.replace(' ', GAP)})(?![\w-])", re.IGNORECASE), instead)
    for pattern, instead in REPLACED
)


def places_in(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, counted from 0, of each replaced phrase in a text, the phrase, and what to write instead."""
    for pattern, instead in RULES:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()), " ".join(match[0].split()), instead


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the prose of a Python file with its lines: literals with docstrings, and comments, a block of them as one."""
    comments: list[str] = []
    first = last = 0
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT:
                line = token.start[0]
                if comments and line != last + 1:
                    yield first, "\n".join(comments)
                    comments = []
                if not comments:
                    first = line
                comments.append(token.string)
                last = line
            elif token.type == tokenize.STRING:
                yield token.start[0], token.string
    yield first, "\n".join(comments)


def documents() -> list[Path]:
    """Return all files whose English counts, but the tests."""
    trees = {
        "txtoken": "**/*.py",
        "deploy": "**/*",
        "docs": "**/*.md",
        "bench": "**/*.md",
        "scripts": "*",
        ".github": "**/*",
        "examples": "**/*.md",
    }
    found = [path for tree, pattern in trees.items() for path in (ROOT / tree).glob(pattern) if path.is_file()]
    ours = [path for path in found if "node_modules" not in path.parts]  # of a peer that was prepared
    return sorted([*ours, *ROOT.glob("*.md"), ROOT / "example_cfg.yml"])


def findings(path: Path) -> list[str]:
    """Return a line for people about each replaced phrase in a file."""
    pieces = prose_of(path) if path.suffix == ".py" else [(1, path.read_text(errors="replace"))]
    return [
        f"{path.relative_to(ROOT)}:{first + line}: {phrase!r}: write {instead}"
        for first, text in pieces
        for line, phrase, instead in places_in(text)
    ]


def test_words_that_are_replaced() -> None:
    """No message, docstring, comment or document has a word or phrase for which there is a better one."""
    wrong = [finding for path in documents() for finding in findings(path)]
    assert not wrong, "\n".join(["", *wrong])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A client is told so.", 0),
        ("one line\n# is taken\n# over by the next", 1),
        ('"the key is held "\n"back"', 0),
        ("Told twice", 0),
    ],
)
def test_a_phrase_is_found_over_line_ends(text: str, line: int) -> None:
    """A phrase counts over the ends of lines, comments and literals, and is reported with its first line."""
    ((found, _, _),) = places_in(text)
    assert found == line


@pytest.mark.parametrize(
    "text",
    ["The service behind the proxy", "untold", "retells", "takeover", "it lets in the light", "this depends on it"],
)
def test_other_words_are_left_alone(text: str) -> None:
    """A word that contains a replaced one, or has another meaning, is no finding."""
    assert list(places_in(text)) == []
