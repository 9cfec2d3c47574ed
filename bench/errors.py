"""What can go wrong with a run, in words for the person who started it.

Knows no cause beyond the text: whoever raises one says what is missing and what to do.
"""


class BenchError(Exception):
    """The command cannot go on."""


class Unavailable(BenchError):
    """A service cannot take part. The text says what it needs; the run goes on without it."""


class Ended(BenchError):
    """A process ended that was to go on."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"ended with {code}: {said or 'without a word'}")
        self.code = code


class Incomparable(BenchError):
    """Two results say nothing about each other."""
