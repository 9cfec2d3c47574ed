"""Users as locust plays them: each logs in and then has its token checked, again and again. Knows nothing of the bench.

By hand, with its web page: `locust -f bench/load/locustfile.py --host http://127.0.0.1:8888`, then open http://127.0.0.1:8089.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from locust import FastHttpUser, constant_throughput

CHECKS_PER_LOGIN: Final = 20
REQUESTS_PER_S: Final = 10  # of each user: as many users as wanted, at a pace that locust can keep
LOGIN: Final = {"user": "ada", "password": "engine"}


class Member(FastHttpUser):
    """Logs in, then checks its token; after a while it logs in anew."""

    wait_time = constant_throughput(REQUESTS_PER_S)
    token = ""
    checks_left = 0

    def act(self) -> None:
        """Make the next request of this user."""
        if self.checks_left:
            self.checks_left -= 1
            self.check()
        else:
            self.log_in()

    def log_in(self) -> None:
        """Get a token. What is not JSON is a failure by itself (`rest`)."""
        with self.rest("POST", "/getToken", json=LOGIN) as response:
            answer: Any = response.js
            if response.status_code == 200 and isinstance(answer, dict) and answer.get("token"):
                self.token = answer["token"]
                self.checks_left = CHECKS_PER_LOGIN
            else:
                response.failure(f"no token, status {response.status_code}")

    def check(self) -> None:
        """Have the token checked."""
        with self.rest("GET", "/checkToken", headers={"Authorization": f"Bearer {self.token}"}) as response:
            answer: Any = response.js
            if response.status_code != 200 or not isinstance(answer, dict) or answer.get("Valid") is not True:
                response.failure(f"not valid, status {response.status_code}")

    tasks: ClassVar[list[Callable[[Member], None]]] = [act]
