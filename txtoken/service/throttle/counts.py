"""Counts of logins for metrics, in one process and over all its configurations. Decides nothing."""

from __future__ import annotations

from typing import Final

NAME: Final = "name"  # counts of a name in a network
ADDRESS: Final = "address"  # counts of a single address


class LoginCounts:
    """Counts since the last publication; publishing resets them. `throttled` and `lockouts` have one for `NAME` and one for
    `ADDRESS`.
    """

    __slots__ = ("failures", "lockouts", "throttled")

    def __init__(self) -> None:
        self.failures = 0  # logins that the remote rejected, with or without a throttle
        self.throttled: dict[str, int] = {NAME: 0, ADDRESS: 0}  # logins that were rejected here
        self.lockouts: dict[str, int] = {NAME: 0, ADDRESS: 0}

    def take(self) -> tuple[int, int, int, int, int]:
        """Return failures, throttled logins by name and by address, and lockouts by name and by address. Reset all."""
        throttled, lockouts = self.throttled, self.lockouts
        taken = self.failures, throttled[NAME], throttled[ADDRESS], lockouts[NAME], lockouts[ADDRESS]
        self.failures = throttled[NAME] = throttled[ADDRESS] = lockouts[NAME] = lockouts[ADDRESS] = 0
        return taken
