"""The map of who may know whom (txtoken/__init__.py), read from the imports themselves. Starts nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import txtoken

PACKAGE: Final = Path(txtoken.__file__).parent
SOURCES: Final = {
    ".".join(("txtoken", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
LINES_MAX: Final = 400
ATTRIBUTES_MAX: Final = 15  # of a class; one with more says why in its docstring
SAYS_WHY: Final = re.compile(r"attributes|part for each|hot state")

# Layers: what stands in a folder (or module) may import what is named here, beside its own folder.
ALLOWED: Final = {
    "txtoken.__main__": ("txtoken.cli",),
    "txtoken.cli": ("txtoken.config", "txtoken.errors", "txtoken.nearest", "txtoken.settings", "txtoken.version"),
    "txtoken.cli.check": (
        *("txtoken.cli", "txtoken.config", "txtoken.errors", "txtoken.service.keys", "txtoken.settings"),
    ),
    "txtoken.cli.demo": ("txtoken.cli", "txtoken.demo", "txtoken.errors"),
    "txtoken.cli.export": ("txtoken.cli", "txtoken.export"),
    "txtoken.cli.current_keys": ("txtoken.config", "txtoken.service", "txtoken.settings"),
    "txtoken.cli.key_table": ("txtoken.service.explanation", "txtoken.service.keys", "txtoken.timestamp"),
    "txtoken.cli.keys": ("txtoken.cli", "txtoken.config", "txtoken.errors", "txtoken.service.keys"),
    "txtoken.cli.schema": ("txtoken.cli", "txtoken.config"),
    "txtoken.cli.serve": ("txtoken.cli", "txtoken.errors", "txtoken.process"),
    "txtoken.cli.jwks_verification": ("txtoken.cli", "txtoken.errors", "txtoken.service.keys"),
    "txtoken.cli.token": (
        "txtoken.cli",
        "txtoken.config.values",
        "txtoken.errors",
        "txtoken.service",
        "txtoken.settings",
    ),
    "txtoken.demo": (
        *(
            "txtoken.config",
            "txtoken.errors",
            "txtoken.export",
            "txtoken.http1.messages",
            "txtoken.observe.logs",
            "txtoken.process",
            "txtoken.service.keys",
            "txtoken.service.tokens.segments",
            "txtoken.settings",
            "txtoken.version",
        ),
    ),
    "txtoken.export": ("txtoken.errors", "txtoken.settings"),
    "txtoken.config": (
        *("txtoken.errors", "txtoken.service.keys", "txtoken.service.revocations", "txtoken.service.tokens.segments"),
        *("txtoken.nearest", "txtoken.settings", "txtoken.timestamp", "txtoken.unix_urls"),
    ),
    "txtoken.nearest": (),
    "txtoken.unix_urls": (),
    "txtoken.timestamp": (),
    "txtoken.settings": (),
    "txtoken.errors": (),
    "txtoken.clock": (),
    "txtoken.compiling": (),
    "txtoken.memo": (),
    "txtoken.version": (),
    "txtoken.http1": ("txtoken.clock", "txtoken.compiling", "txtoken.errors", "txtoken.memo", "txtoken.settings"),
    "txtoken.service": (
        *("txtoken.clock", "txtoken.compiling", "txtoken.errors", "txtoken.http1.messages"),
        *("txtoken.memo", "txtoken.settings", "txtoken.timestamp", "txtoken.unix_urls", "txtoken.version"),
    ),
    "txtoken.service.upstream": (
        *("txtoken.clock", "txtoken.compiling", "txtoken.errors", "txtoken.http1.messages", "txtoken.memo"),
        *("txtoken.settings", "txtoken.unix_urls"),
    ),
    # Within service/: keys know no tokens but the form of a segment, tokens know keys, and neither knows a request or a response.
    "txtoken.service.keys": (
        *("txtoken.compiling", "txtoken.errors", "txtoken.service.tokens.segments", "txtoken.settings"),
    ),
    "txtoken.service.tokens": (
        *("txtoken.compiling", "txtoken.errors", "txtoken.memo", "txtoken.service.keys", "txtoken.service.pointer"),
        *("txtoken.service.revocations", "txtoken.settings"),
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
        *("txtoken.process.servers", "txtoken.process.heartbeat", "txtoken.process.loop", "txtoken.process.threads"),
        "txtoken.process.worker",
        *(
            "txtoken.service.upstream.dial",
            "txtoken.service.upstream.dials",
            "txtoken.service.upstream.names",
            "txtoken.service.upstream.remote",
            "txtoken.service.app",
        ),
        *("txtoken.service.upstream.connection", "txtoken.service.upstream.several", "txtoken.service.upstream.tunnel"),
        *("txtoken.process.running", "txtoken.process.signals"),
        *("txtoken.demo.beside", "txtoken.demo.client", "txtoken.demo.events"),
    ),
    "httptools": ("txtoken.http1.grammar", "txtoken.service.upstream.reply"),
    "aiohttp": (
        "txtoken.service.upstream.several",
        "txtoken.demo.client",
        "txtoken.demo.login_api",
        "txtoken.demo.page",
    ),
    "yaml": (
        *(
            "txtoken.config.addresses",
            "txtoken.config.certificates",
            "txtoken.config.files",
            "txtoken.config.forward_auth",
            "txtoken.config.place",
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
    "jwt": ("txtoken.cli.jwks_verification",),
    "cryptography": ("txtoken.service.keys.asymmetric",),
    "uvloop": ("txtoken.process.loop",),
    "signal": (
        *("txtoken.cli.early_signals", "txtoken.demo.proxy", "txtoken.process.events", "txtoken.process.places"),
        *("txtoken.process.companion", "txtoken.process.signals", "txtoken.process.supervisor"),
    ),
    # Loads the module of the verb that was typed, and what only some of its forms, an admin port, an asymmetric key, a name with
    # several addresses or `token verify --jwks` need.
    "importlib": (
        *(
            "txtoken.cli.main",
            "txtoken.cli.commands",
            "txtoken.cli.usage",
            "txtoken.cli.readiness",
            "txtoken.cli.deferred",
        ),
        *("txtoken.cli.check", "txtoken.cli.completion"),
        *("txtoken.cli.token", "txtoken.process.admin"),
        *("txtoken.service.keys.build", "txtoken.service.keys.derived", "txtoken.service.upstream.dial"),
        *("txtoken.process.heap", "txtoken.service.failures"),
    ),
    "prometheus_client": ("txtoken.observe.exposition",),
    "threading": ("txtoken.observe.logs", "txtoken.service.upstream.names"),
    "concurrent": ("txtoken.process.threads",),
}


@cache
def tree(module: str) -> ast.Module:
    """Read one module."""
    return ast.parse(SOURCES[module].read_text())


@cache
def imports(module: str) -> tuple[str, ...]:
    """Name all that a module imports, the modules of `from package import module` included."""
    return tuple(_imports(module))


def _imports(module: str) -> Iterator[str]:
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
    """No two modules need each other, be it for the type checker alone."""
    edges = {module: {name for name in imports(module) if name in SOURCES and name != module} for module in SOURCES}
    while leaves := [module for module, needs in edges.items() if not needs]:
        for leaf in leaves:
            del edges[leaf]
        for needs in edges.values():
            needs.difference_update(leaves)
    assert not edges, f"these need each other: {sorted(edges)}"


_READ_ENVIRONMENT: Final = tuple(
    f"txtoken.cli.{module}" for module in ("configuration", "health", "init", "main", "serve", "terminal")
)


def test_environment_is_read_in_one_place() -> None:
    """Only the command line hands the process's environment on; nothing deeper looks at it."""
    for module, path in SOURCES.items():
        if module not in _READ_ENVIRONMENT:
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


def attributes_of(node: ast.ClassDef) -> set[str]:
    """Name what a class's instances hold: what its methods assign to `self`, and the fields of a dataclass."""
    names = {
        inner.target.id
        for inner in node.body
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)
    }
    for inner in ast.walk(node):
        targets = inner.targets if isinstance(inner, ast.Assign) else [getattr(inner, "target", None)]
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                names.add(target.attr)
    return names


@pytest.mark.parametrize("module", SOURCES)
def test_classes_are_one_thing(module: str) -> None:
    """A class with many attributes is two things, or its docstring says why it is one."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ClassDef) and len(attributes_of(node)) > ATTRIBUTES_MAX:
            assert SAYS_WHY.search(ast.get_docstring(node) or ""), f"{node.name}: {sorted(attributes_of(node))}"


# What must never be (docs/explanation/design.md), as far as a program sees it


def test_the_type_checker_sees_what_runs() -> None:
    """No import is for the type checker alone: it would hide a circle. What mypyc has to know of is the one exception."""
    assert [module for module in SOURCES if "TYPE_CHECKING" in SOURCES[module].read_text()] == ["txtoken.compiling"]


def test_nothing_is_kept_on_a_shared_head() -> None:
    """Nobody writes to a `Head` but itself: all requests with the same head share one."""
    for module in SOURCES:
        for node in ast.walk(tree(module)):
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AugAssign)
                else []
            )
            for target in targets:
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name | ast.Attribute):
                    owner = target.value.id if isinstance(target.value, ast.Name) else target.value.attr
                    assert owner not in ("head", "_head", "known_head"), f"{module}, line {target.lineno}"


@pytest.mark.parametrize("module", [name for name in SOURCES if is_within(name, "txtoken.service.tokens")])
def test_tokens_know_no_response(module: str) -> None:
    """Nothing in `tokens` has the form of an answer: no status, no header line, no JSON of a route."""
    assert not any(is_within(name, "txtoken.http1") for name in imports(module))
    text = SOURCES[module].read_text()
    for form in ("HTTP/1.1", '"Raw"', '"Valid"', '"token":', "Content-"):
        assert form not in text, form


def test_no_exception_is_raised_twice() -> None:
    """No exception object is made before it is raised: its traceback would keep every frame that it ever passed."""
    for module in SOURCES:
        for node in tree(module).body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
                assert not value.func.id.endswith(("Error", "Exception")), f"{module}: {ast.unparse(value)}"


def test_the_key_decides_on_its_algorithm() -> None:
    """A token's `alg` is compared with its key's, and looks nothing up."""
    for module in SOURCES:
        if not is_within(module, "txtoken.service"):
            continue
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Call) and ast.unparse(node).endswith(".get('alg')"):
                assert module in ("txtoken.service.tokens.verify", "txtoken.service.keys.asymmetric"), module
