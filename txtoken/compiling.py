"""Words for mypyc. They do nothing at run time, and need nothing of the compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # mypyc recognises these by their names when it compiles: `mypy_extensions` is not a dependency.
    from mypy_extensions import i64 as i64
    from mypy_extensions import mypyc_attr as mypyc_attr
    from mypy_extensions import u8 as u8
else:
    i64 = int  # compiled, a machine integer of 64 bits
    u8 = int  # compiled, a byte

    def mypyc_attr(**_):
        """Return the class unchanged."""
        return lambda marked: marked
