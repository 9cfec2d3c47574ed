"""Any JSON value, and any object, for property tests."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

TEXTS: Final = st.text(st.characters(codec="utf-8"))


JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)


JSON_OBJECTS: Final = st.dictionaries(TEXTS, JSON_VALUES, max_size=6)
