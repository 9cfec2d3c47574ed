"""One service in one scenario, once: started, probed, its answers checked, warmed up, measured, ended.

Knows neither whose turn it is nor what other rounds gave.
"""

from __future__ import annotations

import contextlib
import http.client
import resource
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.load import locust_load, open_loop_load, wrk
from bench.load.answers import Judge, distinct_tokens, sign
from bench.load.idle import idle_connections
from bench.load.remote import logins_of, started_remote
from bench.load.stub_remote import LOOPBACK, reply_object
from bench.measure.accounting import Cpu, machine_busy_s
from bench.measure.figures import BUSY_MARK, Curve, Load, Round
from bench.measure.processes import LineCount, Process, free_port
from bench.measure.scenarios import Scenario, Tool
from bench.measure.services import Place, Service, wait_until_ready

KEY_BYTES: Final = 36
LOGIN_PATH: Final = "/login"
REMOTE_FASTER: Final = 3  # times that the remote has to be faster than the service
ALL_BUT_CUT: Final = 0.98  # of the logins have to reach the remote: the share of a mix that is cut off is not exact
OTHERS: Final = 0.1  # cores that other programs may use before a figure is marked
BUSY: Final = 0.9  # of its core: a service that used less was limited by something else


@dataclass(frozen=True, slots=True)
class Settings:
    """How long, how often, where."""

    rounds: int
    seconds: int
    warm_up_s: int
    threads: int  # of wrk
    service_cores: frozenset[int] | None  # None: the kernel chooses
    load_cores: frozenset[int] | None
    open_loop_share: float  # of the saturation of
    open_loop_reference: str
    open_loop_rate: float | None = None  # requests/s, in place of a share


class Attempt:
    """Make it with an empty folder of its own, `measure` once."""

    def __init__(
        self,
        service: Service,
        scenario: Scenario,
        settings: Settings,
        folder: Path,
        *,
        rate: float = 0.0,  # of an open loop
        remote_capacity: float = inf,
    ) -> None:
        self._service = service
        self._scenario = scenario
        self._settings = settings
        self._folder = folder
        self._rate = rate
        self._remote_capacity = remote_capacity
        self._key = secrets.token_urlsafe(KEY_BYTES)
        self._data = reply_object(scenario.reply_bytes)
        self._port = free_port()
        self._tokens = folder / "tokens"
        self._log: LineCount | None = None

    def measure(self) -> tuple[Round, Curve]:
        """Do all of this.

        Raises:
            BenchError: the service does not start, or an answer is wrong before the measuring begins.
        """
        scenario, settings = self._scenario, self._settings
        first = sign(self._key, self._data)
        tokens = distinct_tokens(self._key, self._data, scenario.tokens) if scenario.tokens > 1 else [first]
        self._tokens.write_text("\n".join(tokens) + "\n")
        with contextlib.ExitStack() as stack:
            remote, remote_port = stack.enter_context(
                started_remote(
                    self._folder / "remote",
                    settings.load_cores,
                    delay_ms=scenario.delay_ms,
                    reply_bytes=scenario.reply_bytes,
                )
            )
            if scenario.logs:
                self._log = stack.enter_context(LineCount(settings.load_cores))
            process = stack.enter_context(self._start(remote_port))
            judge = Judge(self._port, self._key, self._data, faithful=self._service.is_faithful)
            stack.callback(judge.close)
            wait_until_ready(process, judge)
            judge.check_before_load(logs_in=scenario.logins > 0)
            warm_up = self._wrk(settings.warm_up_s, checked=True, glance=lambda: None)
            if warm_up.errors:
                raise BenchError("while warming up: " + "; ".join(warm_up.marks))
            idle_bytes = None
            if scenario.idle:
                before = process.memory_kib()
                stack.enter_context(idle_connections(self._port, first, scenario.idle))
                idle_bytes = round((process.memory_kib() - before) * 1024 / scenario.idle, 1)
            return self._watch(process, remote, remote_port, judge, idle_bytes)

    def _start(self, remote_port: int) -> Process:
        folder = self._folder / "service"
        folder.mkdir()
        place = Place(
            port=self._port,
            remote=f"http://{LOOPBACK}:{remote_port}{LOGIN_PATH}",
            key=self._key,
            folder=folder,
            cores=self._service_cores(),
        )
        return self._service.start(place, self._scenario, None if self._log is None else self._log.stdin)

    def _service_cores(self) -> frozenset[int] | None:
        settings = self._settings
        if self._scenario.processes == 1 or settings.service_cores is None or settings.load_cores is None:
            return settings.service_cores
        return settings.service_cores | settings.load_cores  # several processes are not meant to share a core

    def _watch(
        self, process: Process, remote: Process, remote_port: int, judge: Judge, idle_bytes: float | None
    ) -> tuple[Round, Curve]:
        """Measure the service, which runs and is warm."""
        wrong: list[str] = []

        def glance() -> None:
            try:
                judge.check_once(logs_in=self._scenario.logins > 0)
            except (BenchError, OSError, http.client.HTTPException) as error:
                wrong.append(str(error))

        logins_before = logins_of(remote_port)
        began, ours_before, busy_before = time.monotonic(), _bench_cpu_s(), machine_busy_s()
        cpu_before, remote_before = process.cpu(), remote.cpu()
        load = self._load(glance)
        cpu, remote_cpu = process.cpu() - cpu_before, remote.cpu() - remote_before
        ours_s = cpu.total_s + remote_cpu.total_s + _bench_cpu_s() - ours_before
        others_cores = max(0.0, (machine_busy_s() - busy_before - ours_s) / (time.monotonic() - began))
        memory_kib = process.memory_kib()
        process.check_alive()
        reached, expected = logins_of(remote_port) - logins_before, self._scenario.logins * load.requests
        if self._service.is_faithful and self._scenario.tool is not Tool.LOCUST and reached < ALL_BUT_CUT * expected:
            wrong.append(f"only {reached} of {expected:.0f} logins reached the remote")
        if not load.requests:
            raise BenchError("no request was answered")
        if self._log is not None:
            process.end()  # so that it writes its last lines
        return self._round(load, cpu, remote_cpu, others_cores, memory_kib, idle_bytes, wrong), load.curve

    def _round(
        self,
        load: Load,
        cpu: Cpu,
        remote_cpu: Cpu,
        others_cores: float,
        memory_kib: int,
        idle_bytes: float | None,
        wrong: Sequence[str],
    ) -> Round:
        seconds, each_us = load.seconds, 1e6 / load.requests
        errors = load.errors + len(wrong)
        marks = list(load.marks)
        if wrong:
            marks.append(f"{len(wrong)} faults under load, the first: {wrong[0]}")
        service_cores, remote_cores = cpu.total_s / seconds, remote_cpu.total_s / seconds
        marks += self._limits_met(load, service_cores, remote_cores)
        if others_cores > OTHERS:
            marks.append(f"other programs kept {others_cores:.2f} cores of the machine busy")
        if self._log is not None and (lost := load.requests - self._log.count()) > 0:
            marks.append(f"{lost} of {load.requests} lines of the access log are missing")
        return Round(
            requests=load.requests,
            seconds=round(seconds, 3),
            requests_per_s=round(load.requests / seconds, 1),
            p50_ms=load.at(50),
            p90_ms=load.at(90),
            p99_ms=load.at(99),
            p999_ms=load.at(99.9),
            max_ms=load.at(100),
            cpu_us=round(cpu.total_s * each_us, 3),
            cpu_user_us=round(cpu.user_s * each_us, 3),
            cpu_system_us=round(cpu.system_s * each_us, 3),
            memory_kib=memory_kib,
            service_cores=round(service_cores, 3),
            generator_cores=round(load.generator_cpu_s / seconds, 3),
            remote_cores=round(remote_cores, 3),
            others_cores=round(others_cores, 3),
            errors=errors,
            void=errors > 0,
            idle_connection_bytes=idle_bytes,
            marks=tuple(marks),
        )

    def _limits_met(self, load: Load, service_cores: float, remote_cores: float) -> Iterator[str]:
        """Say what, besides the service, may have limited a figure."""
        shared = self._settings.load_cores
        if shared and load.generator_cpu_s / load.seconds + remote_cores > BUSY_MARK * len(shared):
            yield "load generator and remote together used all of their cores"
        # The rest applies only where everything runs as fast as it can.
        if self._scenario.tool is not Tool.WRK or self._scenario.delay_ms:
            return
        logins_per_s = self._scenario.logins * load.requests / load.seconds
        if self._service.is_faithful and self._remote_capacity < REMOTE_FASTER * logins_per_s:
            yield f"the remote, at {self._remote_capacity:,.0f}/s, is less than {REMOTE_FASTER} times as fast as the service"
        if service_cores < BUSY * self._scenario.processes:
            yield f"the service used {service_cores:.2f} cores: the limit was elsewhere"

    def _load(self, glance: Callable[[], None]) -> Load:
        settings, cores = self._settings, self._settings.load_cores
        match self._scenario.tool:
            case Tool.WRK:
                return self._wrk(settings.seconds, checked=False, glance=glance)
            case Tool.OPEN_LOOP:
                seconds = (settings.seconds, settings.warm_up_s)
                return open_loop_load.run(self._port, self._rate, *seconds, cores, self._folder, glance)
            case Tool.LOCUST:
                return locust_load.run(self._port, settings.seconds, cores, self._folder, glance)

    def _wrk(self, seconds: int, *, checked: bool, glance: Callable[[], None]) -> Load:
        return wrk.run(
            wrk.Wrk(
                script=self._scenario.script,
                port=self._port,
                connections=self._scenario.connections,
                seconds=seconds,
                threads=self._settings.threads,
                tokens=self._tokens,
                folder=self._folder,
                cores=self._settings.load_cores,
                checked=checked,
                floor=not self._service.is_faithful,
            ),
            glance,
        )


def _bench_cpu_s() -> float:
    """CPU time of the bench itself, with the load generators that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime
