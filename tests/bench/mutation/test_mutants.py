"""The places that `scripts/mutate` breaks. Needs no cosmic-ray: what that would find is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bench.mutation.mutants import LEFT_OUT, Mutant, broken, first_tests, folder_of_tests, in_random_order, mutants_of

ROOT: Final = Path(__file__).parents[3]
FILE: Final = Path("txtoken/process/worker.py")
SOURCE: Final = '''"""Text."""
class Thing:
    __slots__ = ("a",)

    def __init__(self, a: int | None) -> None:
        self.a = a

    def act(self, log: Log) -> None:
        assert self.a == 1
        log.info("é %d", 2 + 3)
        self.a = 4 + 5
        self.close()
        return 6 + 7
'''


def sums(source: str) -> Iterator[tuple[str, int, tuple[int, int]]]:
    """Find all lines with a plus or a bar, in place of cosmic-ray."""
    for number, line in enumerate(source.splitlines(), 1):
        for sign in ("+", "|"):
            if sign in line:
                yield "core/ReplaceBinaryOperator_Add_Sub", number, (number, line.index(sign))


def no_break(source: str, operator: str, occurrence: int) -> str | None:
    """Break nothing."""
    raise AssertionError


def test_only_what_means_something_is_broken() -> None:
    """Annotations, slots, asserts and what is logged stay as they are; statements of a constructor stay where they are."""
    found = {(mutant.operator.partition("_")[0], mutant.at[0]) for mutant in mutants_of(FILE, SOURCE, sums)}
    assert found == {
        ("core/ReplaceBinaryOperator", 11),
        ("core/ReplaceBinaryOperator", 13),
        (LEFT_OUT, 11),
        (LEFT_OUT, 12),
    }


def test_a_statement_is_left_out() -> None:
    """In place of a statement stands one that does nothing, and the rest is as it was."""
    mutants = [mutant for mutant in mutants_of(FILE, SOURCE, sums) if mutant.operator == LEFT_OUT]
    texts = [broken(mutant, SOURCE, no_break) for mutant in mutants]
    assert texts == [SOURCE.replace("self.a = 4 + 5", "pass"), SOURCE.replace("self.close()", "pass")]


@pytest.mark.parametrize(
    "text", [None, SOURCE, SOURCE + "# the same", "def"], ids=["none", "same", "comment", "no program"]
)
def test_what_is_no_mutant(text: str | None) -> None:
    """A text that is no program, or no other one, is not counted as killed or survived."""
    mutant = Mutant(FILE, "core/AddNot", 0, (1, 0))
    assert broken(mutant, SOURCE, lambda source, operator, occurrence: text) is None


def test_a_sample_is_of_places() -> None:
    """One place is chosen once, however many ways there are to break it, and the same seed chooses the same."""
    many = [Mutant(FILE, f"core/Compare_{way}", 0, (line, 0)) for line in range(20) for way in "abcdefghij"]
    chosen = [*in_random_order(many, seed=1)]
    assert {mutant.at for mutant in chosen} == {mutant.at for mutant in many}
    assert len(chosen) == 20
    assert chosen == [*in_random_order(many, seed=1)] != [*in_random_order(many, seed=2)]
    assert chosen != sorted(chosen, key=lambda mutant: mutant.at)


@pytest.mark.parametrize(
    ("module", "tests"),
    [
        ("txtoken/process/worker.py", "tests/process"),
        ("txtoken/http1/server.py", "tests/http1"),
        ("txtoken/observe/logs.py", "tests/observe"),
        ("txtoken/settings.py", "tests"),
        ("txtoken/service/upstream/remote.py", "tests/service/upstream"),
        ("txtoken/service/routes.py", "tests/service"),
        ("txtoken/errors.py", "tests"),
    ],
)
def test_whose_tests_have_to_notice(module: str, tests: str) -> None:
    """Each module is tried with the tests of its own folder."""
    assert folder_of_tests(Path(module), ROOT) == Path(tests)


def test_tests_that_come_first() -> None:
    """Tests named after a module come before the others of their folder, where there are any."""
    assert Path("tests/service/keys/test_ring.py") in first_tests(Path("txtoken/service/keys/ring.py"), ROOT)
    found = first_tests(Path("txtoken/service/upstream/names.py"), ROOT)
    assert found == [Path("tests/service/upstream/test_names.py")]
    assert first_tests(Path("txtoken/process/agreement.py"), ROOT) == []
