"""The goals that are judged, row by row: what the service has to reach, and what it watches in itself.

Knows how a goal is written down, not how it is judged (`bench.judge.goals`).
"""

from __future__ import annotations

from typing import Final

from bench.judge.goals import P99, Goal, alone, cost, rate, within
from bench.measure.scenarios import FLOOR, INTERPRETED

AXUM: Final = "rust_axum"
HYPER: Final = "rust_hyper"
ORIGINAL: Final = "go"
NGINX: Final = "nginx_lua"
KIB: Final = 1024
MB: Final = 1_000_000

GOALS: Final[tuple[Goal, ...]] = (
    cost("CPU per login, 64 connections", "get_token", AXUM, 1.0, 0.93),
    cost("CPU per login, 64 connections", "get_token", HYPER, 1.08, 1.0),
    cost("CPU per login, 8 connections", "few_8", HYPER, 1.12, 1.0),
    cost("CPU per login, 1 connection", "few_1", HYPER, 1.12, 1.0),
    cost("CPU per login, 1,000 connections", "connections_1000", HYPER, 0.92, 0.85),
    cost("CPU per login, access list of 1 KiB", "list_1k", HYPER, 1.25, 1.0),
    cost("CPU per login, access list of 8 KiB", "list_8k", HYPER, 1.25, 1.0),
    cost("CPU per login, access list of 64 KiB", "list_64k", HYPER, 1.5, 1.0),
    cost("CPU per check of one token, 64 connections", "check_token", HYPER, 1.02, 0.93),
    cost("CPU per check of one token, 1,000 connections", "connections_1000_check", HYPER, 1.02, 0.93),
    cost("CPU per check of one token, 64 connections", "check_token", AXUM, 1.0, 0.9),
    cost("CPU per check, all tokens different", "check_token_distinct", HYPER, 1.3, 1.1),
    rate("logins/s", "get_token", ORIGINAL, 8, 10),
    rate("checks/s of one token", "check_token", ORIGINAL, 4, 5),
    rate("logins/s", "get_token", NGINX, 1.5, 1.8),
    rate("checks/s of one token", "check_token", NGINX, 1.7, 2),
    rate("logins/s, not compiled", "get_token", NGINX, 1.15, 1.3, subject=INTERPRETED),
    cost("p99 of logins at a fixed rate", "open_loop", AXUM, 1.1, 1.0, field=P99),
    alone("memory of a worker after 1 million requests", "million", "memory_kib", 36, 28, "MB", KIB / MB),
    alone("start to first answer", "start", "start_ms", 200, 150, "ms"),
)
INTERNAL: Final[tuple[Goal, ...]] = (
    cost("CPU per login", "get_token", FLOOR, 4.3, 3.5),
    within("CPU per login, 1,000 connections", "connections_1000", "get_token", "64 connections", 1.25, 1.1),
    within("CPU per check, 1,000 connections", "connections_1000_check", "check_token", "64 connections", 1.25, 1.1),
    within("CPU per login, access log on", "access_log", "get_token", "access log off", 1.25, 1.12),
    within("CPU per check, access log on", "access_log_check", "check_token", "access log off", 1.25, 1.12),
    within("CPU per forward authentication", "forward_auth", "check_token", "a check", 1.05, 1.0),
    within("CPU per forward authentication, four claims", "forward_auth_claims", "check_token", "a check", 1.2, 1.0),
    alone("memory of an idle connection", "idle_10k", "idle_connection_bytes", 4, 2.5, "KiB", 1 / KIB),
)
