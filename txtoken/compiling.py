"""What mypyc has to know of a class. Does nothing at run time, and needs nothing that only the compiler has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # mypyc knows the decorator by this name and reads it while it compiles: `mypy_extensions` is no dependency.
    from mypy_extensions import mypyc_attr as mypyc_attr
else:

    def mypyc_attr(**_):
        """Leave a class as it is."""
        return lambda marked: marked
