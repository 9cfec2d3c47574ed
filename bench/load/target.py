"""Where load goes: a service's address and routes, and where the load generator runs. Sends nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from bench.load.routes import CONTRACT, Routes


@dataclass(frozen=True, slots=True)
class Target:
    """One service, as its clients see it."""

    host: str
    port: int
    routes: Routes = CONTRACT
    has_tls: bool = False
    is_faithful: bool = True  # the floor is not: it answers a fixed text, and only its status counts
    clients: tuple[str, ...] = ()  # what a command begins with that runs where the clients are
    cores: frozenset[int] | None = None  # of the load generator

    @property
    def url(self) -> str:
        """Its origin."""
        return f"{'https' if self.has_tls else 'http'}://{self.host}:{self.port}"

    @property
    def is_judged(self) -> bool:
        """Whether the form of an answer is known."""
        return self.is_faithful and self.routes.is_contract
