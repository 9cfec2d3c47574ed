"""The map of who may know whom (txtoken/__init__.py), read from the imports themselves. Starts nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import txtoken

PACKAGE: Final = Path(txtoken.__file__).parent
SOURCES: Final = {
    ".".join(("txtoken", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
LINES_MAX: Final = 600

# Layers: what stands in a folder (or module) may import what is named here, beside its own folder.
ALLOWED: Final = {
    "txtoken.__main__": ("txtoken.cli",),
    "txtoken.cli": ("txtoken.config", "txtoken.errors", "txtoken.settings", "txtoken.version"),
    "txtoken.cli.demo": ("txtoken.cli", "txtoken.demo"),
    "txtoken.cli.schema": ("txtoken.cli", "txtoken.config"),
    "txtoken.cli.serve": ("txtoken.cli", "txtoken.errors", "txtoken.process"),
    "txtoken.cli.token": ("txtoken.cli", "txtoken.errors", "txtoken.service", "txtoken.settings"),
    "txtoken.demo": (
        *("txtoken.config", "txtoken.errors", "txtoken.observe.logs", "txtoken.process", "txtoken.settings"),
    ),
    "txtoken.config": (
        *("txtoken.errors", "txtoken.service.keys", "txtoken.service.tokens.segments", "txtoken.settings"),
        "txtoken.unix_urls",
    ),
    "txtoken.unix_urls": (),
    "txtoken.settings": (),
    "txtoken.errors": (),
    "txtoken.clock": (),
    "txtoken.compiling": (),
    "txtoken.memo": (),
    "txtoken.version": (),
    "txtoken.http1": ("txtoken.clock", "txtoken.compiling", "txtoken.errors", "txtoken.memo", "txtoken.settings"),
    "txtoken.service": (
        *("txtoken.clock", "txtoken.compiling", "txtoken.errors", "txtoken.http1.messages"),
        *("txtoken.memo", "txtoken.settings", "txtoken.unix_urls", "txtoken.version"),
    ),
    # Within service/: keys know no tokens but the form of a segment, tokens know keys, and neither knows a request or a response.
    "txtoken.service.keys": (
        *("txtoken.compiling", "txtoken.errors", "txtoken.service.tokens.segments", "txtoken.settings"),
    ),
    "txtoken.service.tokens": (
        *("txtoken.compiling", "txtoken.errors", "txtoken.memo", "txtoken.service.keys", "txtoken.service.pointer"),
        "txtoken.settings",
    ),
    # The remote's side knows neither tokens nor routes.
    "txtoken.service.upstream": (
        *("txtoken.clock", "txtoken.compiling", "txtoken.errors", "txtoken.http1.messages", "txtoken.memo"),
        *("txtoken.settings", "txtoken.unix_urls"),
    ),
    "txtoken.observe": ("txtoken.errors", "txtoken.http1.messages", "txtoken.memo"),
    "txtoken.process": (
        *("txtoken.clock", "txtoken.config", "txtoken.errors", "txtoken.http1", "txtoken.observe"),
        *("txtoken.service", "txtoken.settings", "txtoken.version"),
    ),
}
# Libraries and what may use them.
RESERVED: Final = {
    "asyncio": (
        *("txtoken.http1.acceptor", "txtoken.http1.buffers", "txtoken.http1.channel", "txtoken.http1.connection"),
        *("txtoken.http1.places", "txtoken.http1.server", "txtoken.http1.serving", "txtoken.http1.turns"),
        *("txtoken.process.loop", "txtoken.process.threads", "txtoken.process.worker"),
        *("txtoken.service.app", "txtoken.service.upstream.connection", "txtoken.service.upstream.dial"),
        *("txtoken.service.upstream.dials", "txtoken.service.upstream.names", "txtoken.service.upstream.remote"),
        "txtoken.service.upstream.tunnel",
        *("txtoken.process.running", "txtoken.process.signals"),
    ),
    "httptools": ("txtoken.http1.grammar", "txtoken.service.upstream.reply"),
    "aiohttp": (
        "txtoken.service.upstream.dial",
        "txtoken.service.upstream.names",
        "txtoken.demo.client",
        "txtoken.demo.login_api",
    ),
    "yaml": (
        *(
            "txtoken.config.addresses",
            "txtoken.config.certificates",
            "txtoken.config.files",
            "txtoken.config.http_names",
        ),
        *("txtoken.config.keyset", "txtoken.config.pointers", "txtoken.config.proxying", "txtoken.config.reader"),
        *(
            "txtoken.config.signing_secret",
            "txtoken.config.status_map",
            "txtoken.config.success",
            "txtoken.config.trees",
        ),
        *("txtoken.config.urls", "txtoken.config.values", "txtoken.config.yaml_reader"),
    ),
    "cryptography": ("txtoken.service.keys.asymmetric",),
    "uvloop": ("txtoken.process.loop",),
    "signal": (
        *("txtoken.cli.early_signals", "txtoken.process.events", "txtoken.process.places"),
        *("txtoken.process.signals", "txtoken.process.supervisor"),
    ),
    # Loads the module of the verb that was typed (`health` has no use for aiohttp's 0.3 s), and what only an admin port or an
    # asymmetric key needs.
    "importlib": (
        *("txtoken.cli.main", "txtoken.process.admin", "txtoken.service.keys.build", "txtoken.service.keys.derived"),
    ),
    "prometheus_client": ("txtoken.observe.exposition",),
    "threading": ("txtoken.observe.logs", "txtoken.service.upstream.names"),
    "concurrent": ("txtoken.process.threads",),
}


def tree(module: str) -> ast.Module:
    """Read one module."""
    return ast.parse(SOURCES[module].read_text())


def imports(module: str) -> Iterator[str]:
    """Name all that a module imports, the modules of `from package import module` included."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            assert node.module is not None
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in SOURCES else node.module for name in inner)


def is_within(name: str, place: str) -> bool:
    """Whether a module is `place` or stands in it."""
    return name == place or name.startswith(place + ".")


@pytest.mark.parametrize("module", [name for name in SOURCES if name != "txtoken"])
def test_layers(module: str) -> None:
    """A module imports only what its layer may know, and nobody imports the package root."""
    own = next(place for place in sorted(ALLOWED, key=len, reverse=True) if is_within(module, place))
    for name in imports(module):
        if is_within(name, "txtoken"):
            assert any(is_within(name, place) for place in (own, *ALLOWED[own])), f"{module} imports {name}"


def test_every_folder_has_a_rule() -> None:
    """No module escapes the map."""
    for module in SOURCES:
        assert module == "txtoken" or any(is_within(module, place) for place in ALLOWED), module


@pytest.mark.parametrize("library", RESERVED)
def test_reserved_libraries(library: str) -> None:
    """A library that shapes what uses it is used only where the map says."""
    users = {module for module in SOURCES if any(is_within(name, library) for name in imports(module))}
    assert users, f"nobody uses {library}: take it off the map"
    assert users <= set(RESERVED[library])


@pytest.mark.parametrize("module", SOURCES)
def test_no_import_hides_in_a_function(module: str) -> None:
    """Every import stands at the top, where a reader looks for it."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            assert not any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node)), node.name


def test_no_cycles() -> None:
    """No two modules need each other to be loaded. What only the type checker reads does not count."""
    edges: dict[str, set[str]] = {}
    for module in SOURCES:
        at_load = [node for node in tree(module).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names: set[str] = set()
        for node in at_load:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif node.module is not None:
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        edges[module] = {name for name in names if name in SOURCES and name != module}
    while leaves := [module for module, needs in edges.items() if not needs]:
        for leaf in leaves:
            del edges[leaf]
        for needs in edges.values():
            needs.difference_update(leaves)
    assert not edges, f"these need each other: {sorted(edges)}"


def test_environment_is_read_in_one_place() -> None:
    """Only the command line hands the process's environment on; nothing deeper looks at it."""
    for module, path in SOURCES.items():
        if module not in ("txtoken.cli.serve", "txtoken.cli.terminal"):
            assert "os.environ" not in path.read_text(), module
            assert "getenv" not in path.read_text(), module


def test_processes_are_made_in_one_place() -> None:
    """Only `process` forks."""
    for module, path in SOURCES.items():
        if not is_within(module, "txtoken.process"):
            assert "os.fork" not in path.read_text(), module


@pytest.mark.parametrize("module", SOURCES)
def test_modules_say_what_they_are(module: str) -> None:
    """A module begins with what it knows and fits what a person reads in one sitting."""
    text = SOURCES[module].read_text()
    assert ast.get_docstring(ast.parse(text)), module
    assert text.count("\n") <= LINES_MAX, module


def test_no_module_is_a_drawer() -> None:
    """A module is named by its noun, and not by having no better name."""
    drawers = {"utils", "util", "helpers", "common", "manager", "base", "misc"}
    assert not {path.stem for path in SOURCES.values()} & drawers
