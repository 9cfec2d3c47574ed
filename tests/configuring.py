"""Loading pieces of configuration in tests, and looking at what is said of them."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from txtoken.config.read import load
from txtoken.errors import ConfigError
from txtoken.settings import Config, Secret

KEY: Final = "sesame-0123456789-abcdefghijklmnop"
OTHER_KEY: Final = "barley-9876543210-ponmlkjihgfedcba"
REMOTE: Final = "http://login.internal:8080/login"
REQUIRED: Final = {"encKey": f"encKey: {KEY}", "remote": f"remote: {REMOTE}"}
EXAMPLE_FILE: Final = Path(__file__).parents[1] / "example_cfg.yml"


def whole(text: str) -> str:
    """Complete a piece of a file with the keys that are required, below it."""
    return "\n".join(
        [text, *(line for name, line in REQUIRED.items() if not re.search(f"^{name}(?:File)?:", text, re.MULTILINE))]
    )


def load_text(
    folder: Path,
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Config:
    """Load a file of this content."""
    file = folder / "cfg.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(str(file), environ or {}, overrides)


def revealed(secret: Secret | None) -> bytes:
    """Return a secret that is there."""
    assert secret is not None
    return secret.reveal()


def changed(config: Config, **values: object) -> Config:
    """Change a configuration, part by part: `remote__url="http://…"`, `issue__ttl_s=5`."""
    for name, value in values.items():
        part, _, attribute = name.partition("__")
        whole = replace(getattr(config, part), **{attribute: value}) if attribute else value
        config = replace(config, **{part: whole})  # type: ignore[arg-type]  # by name
    return config


def failure(
    folder: Path,
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> ConfigError:
    """Return the error that loading a file of this content ends with."""
    with pytest.raises(ConfigError) as caught:
        load_text(folder, text, environ, overrides)
    return caught.value


def told(folder: Path, error: ConfigError) -> list[str]:
    """Return all problems as they are reported, the file's path shortened."""
    return [str(problem).replace(f"{folder}/", "") for problem in error.problems]


def dump(error: BaseException) -> str:
    """Return all that a log could show of an error."""
    return "\n".join([str(error), repr(error), repr(error.args), *traceback.format_exception(error)])
