"""Modules that are loaded when they are first used, and not when they are imported. Knows which most commands do without."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

# Of the standard library, and imported by name alone (`import ssl`): TLS, where a configuration has none; what mistakes need;
# what dataclasses ask only about classes without a docstring (6 ms).
DEFERRED = ("difflib", "inspect", "ipaddress", "ssl")


class _Deferred(ModuleType):
    """Stands for a module until something of it is used. (importlib's LazyLoader loads it at the second `import` already.)"""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, attribute: str) -> object:
        name = self.__name__
        if sys.modules.get(name) is self:
            del sys.modules[name]
        module = importlib.import_module(name)
        self.__dict__.update(module.__dict__)
        return getattr(module, attribute)


def defer() -> None:
    """Put off what is not loaded yet. It is for commands that end soon: a service loads all it needs before it forks."""
    for name in DEFERRED:
        if name not in sys.modules:
            sys.modules[name] = _Deferred(name)
