"""What can go wrong with a run, in words for the person who started it.

Knows no cause beyond the text: the code that raises one says what is missing and what to do.
"""


class BenchError(Exception):
    """The command cannot continue."""


class Unavailable(BenchError):
    """A service cannot take part. The text says what it needs. The run continues without it."""


class Ended(BenchError):
    """A process ended too early."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"ended with {code}: {said or 'no output'}")
        self.code = code


class Incomparable(BenchError):
    """Two results cannot be compared."""
