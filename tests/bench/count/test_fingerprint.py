"""Fingerprints: equal conditions are equal, and what differs is named."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from bench.count.fingerprint import Fingerprint
from tests.bench.count.samples import CONDITIONS


def test_equal() -> None:
    """Conditions that are equal have one name, in whatever order their wheels stand."""
    same = replace(CONDITIONS, wheels=dict(reversed(list(CONDITIONS.wheels.items()))))
    assert same == CONDITIONS
    assert same.id == CONDITIONS.id
    assert CONDITIONS.differences(same) == []


@pytest.mark.parametrize("name", [field.name for field in fields(Fingerprint)])
def test_different(name: str) -> None:
    """Conditions that differ in anything are different, have different names, and say what differs."""
    changed: Any = {"uvloop": "0.23.0", "orjson": "4.0.0"} if name == "wheels" else "another"
    other = replace(CONDITIONS, **{name: changed})
    assert other != CONDITIONS
    assert other.id != CONDITIONS.id
    (said,) = other.differences(CONDITIONS)
    assert said.startswith("orjson: 3.13.0 → 4.0.0" if name == "wheels" else f"{name}: ")


def test_new_wheel() -> None:
    """A package that was not there before is named."""
    other = replace(CONDITIONS, wheels={**CONDITIONS.wheels, "pybase64": "1.4"})
    assert other.differences(CONDITIONS) == ["pybase64: none → 1.4"]
