"""One bounded memory: what it returns, and that it never grows past its bound."""

from __future__ import annotations

from txtoken.memo import Memo


def test_get() -> None:
    """A value is found by its key, a falsy one too; a key that was never put has none."""
    memo: Memo[bytes, int] = Memo(2)
    memo.put(b"zero", 0)
    assert memo.get(b"zero") == 0
    assert memo.get(b"other") is None
    assert b"zero" in memo
    assert b"other" not in memo


def test_put_again() -> None:
    """A key's newer value replaces the older one."""
    memo: Memo[bytes, int] = Memo(2)
    memo.put(b"key", 1)
    memo.put(b"key", 2)
    assert memo.get(b"key") == 2
    assert len(memo) == 1


def test_bound() -> None:
    """As many entries as allowed are all kept; one more empties the memory, and is remembered itself."""
    memo: Memo[int, bool] = Memo(3)
    for key in range(3):
        memo.put(key, True)
    assert [key in memo for key in range(4)] == [True, True, True, False]
    memo.put(3, True)
    assert [key in memo for key in range(4)] == [False, False, False, True]


def test_never_larger() -> None:
    """However many keys come, no more than the bound are kept."""
    memo: Memo[int, bool] = Memo(10)
    for key in range(1000):
        memo.put(key, True)
        assert key in memo
        assert len(memo) <= 10
