"""What was meant by a word that is misspelt. Knows no words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

CLOSE: Final = 0.5  # difflib's ratio, from which a word counts as misspelt
_CHARACTERS_MAX: Final = 80  # that are compared


def nearest(text: str, known: Mapping[str, str], close: float = CLOSE) -> str:
    """Return a question that names the word that was meant, or an empty text if none is close. `known` has the words as they are
    compared, and as they are shown.
    """
    near = difflib.get_close_matches(text[:_CHARACTERS_MAX], known, n=1, cutoff=close)
    return f": did you mean {known[near[0]]}?" if near else ""
