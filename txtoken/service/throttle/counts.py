"""What is counted of logins for metrics, in one process and over all its configurations. Decides nothing."""

from __future__ import annotations

from typing import Final

NAME: Final = "name"  # what is counted for a name in a network
ADDRESS: Final = "address"  # and for a single address


class LoginCounts:
    """Numbers since they were last published; who publishes them sets them back. `throttled` and `lockouts` have one for `NAME`
    and one for `ADDRESS`.
    """

    __slots__ = ("failures", "lockouts", "throttled")

    def __init__(self) -> None:
        self.failures = 0  # logins that the remote rejected, with a throttle and without
        self.throttled: dict[str, int] = {NAME: 0, ADDRESS: 0}  # logins that were refused
        self.lockouts: dict[str, int] = {NAME: 0, ADDRESS: 0}

    def take(self) -> tuple[int, int, int, int, int]:
        """Return failures, those throttled by name and by address, and lockouts by name and by address; and begin anew."""
        throttled, lockouts = self.throttled, self.lockouts
        taken = self.failures, throttled[NAME], throttled[ADDRESS], lockouts[NAME], lockouts[ADDRESS]
        self.failures = throttled[NAME] = throttled[ADDRESS] = lockouts[NAME] = lockouts[ADDRESS] = 0
        return taken
