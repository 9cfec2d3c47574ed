"""Where a token service has its routes, and what is sent to them. Knows no tokens and no figures.

txtoken's own by default, which all peers of peers/ have. Another program may have others: `bench run --peer`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

LOGIN: Final = json.dumps({"user": "ada", "password": "engine", "client": "bench"}, separators=(",", ":"))
JSON: Final = "application/json"
TOKEN: Final = "{token}"  # noqa: S105 - stands where the token goes


@dataclass(frozen=True, slots=True)
class Routes:
    """Two routes: one gives tokens, the other checks them."""

    login_path: str = "/getToken"
    login_method: str = "POST"
    login_body: str = LOGIN
    login_type: str = JSON
    token_at: str = "/token"  # noqa: S105 - a JSON Pointer into the answer
    check_path: str = "/checkToken"
    check_method: str = "GET"
    check_header: str = f"Authorization: Bearer {TOKEN}"
    check_status: int = 200
    refused_status: int = 401
    is_contract: bool = True  # the answers have the contract's form, and tokens are signed with the bench's key

    @property
    def header_name(self) -> str:
        """The field that the token is in."""
        return self.check_header.partition(":")[0].strip()

    @property
    def header_value(self) -> str:
        """Its value, with `TOKEN` in it."""
        return self.check_header.partition(":")[2].strip()


CONTRACT: Final = Routes()
