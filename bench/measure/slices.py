"""One slice: a second of load on one service that is up, in one scenario, and what it cost.

Knows neither whose turn it is nor what other slices gave.
"""

from __future__ import annotations

import contextlib
import http.client
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.load import locust_load, open_loop_load, wrk
from bench.load.idle import idle_connections
from bench.measure.accounting import Cpu, machine_busy_s
from bench.measure.figures import BUSY_MARK, PERCENTILES, Curve, Load, Round
from bench.measure.scenarios import Scenario, Tool
from bench.measure.settings import Settings
from bench.measure.stage import Instance

REMOTE_FASTER: Final = 2  # times that the remote has to be faster than the service
ALL_BUT_CUT: Final = 0.98  # of the logins have to reach the remote: the share of a mix that is cut off is not exact
BUSY: Final = 0.9  # of its core: a service that used less was limited by something else
KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Slice:
    """One of them, to be measured."""

    instance: Instance
    scenario: Scenario
    tokens: Path
    settings: Settings
    turn: int = 0
    rate: float = 0.0  # of an open loop
    remote_capacity: float = 0.0  # requests/s; 0: not known

    def warm_up(self) -> None:
        """Check the service's answers, then load it while every answer is looked at.

        Raises:
            BenchError: one is wrong.
        """
        if self.scenario.tool is Tool.NONE:
            return
        self.instance.judge.check_before_load(logs_in=self.scenario.logins > 0)
        load = self._wrk(self.settings.warm_up_s, checked=True)
        if load.errors:
            raise BenchError("while warming up: " + "; ".join(load.marks))
        if not load.requests:
            raise BenchError("no request was answered while warming up")

    def measure(self) -> tuple[Round, Curve]:
        """Load it and return what came of it. A round with errors, or one that other programs disturbed, is void.

        Raises:
            BenchError: nothing was answered, or the service ended.
        """
        if self.scenario.tool is Tool.NONE:
            return self._start()
        process = self.instance.process
        with contextlib.ExitStack() as stack:
            idle_bytes = None
            if self.scenario.idle:
                before = process.memory_kib()
                token = self.tokens.read_text().split("\n", 1)[0]
                stack.enter_context(idle_connections(self.instance.target, token, self.scenario.idle))
                idle_bytes = round((process.memory_kib() - before) * KIB / self.scenario.idle, 1)
            return self._watch(idle_bytes)

    def _start(self) -> tuple[Round, Curve]:
        """Turn a service that has just answered for the first time into a round."""
        process, ms = self.instance.process, round(self.instance.start_s * 1000, 3)
        cpu = process.cpu()
        made = self._round(
            Load(1, self.instance.start_s, tuple((percentile, ms) for percentile in PERCENTILES), 0, 0.0),
            cpu,
            Cpu(0.0, 0.0),
            0.0,
            process.memory_kib(),
            (),
        )
        return replace(made, start_ms=ms), ()

    def _watch(self, idle_bytes: float | None) -> tuple[Round, Curve]:
        """Measure the service, which runs and is warm."""
        instance, scenario = self.instance, self.scenario
        process, remote = instance.process, instance.remote
        wrong: list[str] = []

        def glance() -> None:
            try:
                instance.judge.check_once(logs_in=scenario.logins > 0)
            except (BenchError, OSError, http.client.HTTPException) as error:
                wrong.append(str(error))

        # A service closes connections that are idle, and its last slice may have been minutes ago: the judge makes a new one.
        instance.judge.close()
        logins_before = remote.logins()
        began, ours_before, busy_before = time.monotonic(), _bench_cpu_s(), machine_busy_s()
        cpu_before, remote_before = process.cpu(), remote.process.cpu()
        load = self._load(glance)
        cpu, remote_cpu = process.cpu() - cpu_before, remote.process.cpu() - remote_before
        ours_s = cpu.total_s + remote_cpu.total_s + _bench_cpu_s() - ours_before
        others_cores = max(0.0, (machine_busy_s() - busy_before - ours_s) / (time.monotonic() - began))
        memory_kib = process.memory_kib()
        process.check_alive()
        reached, expected = remote.logins() - logins_before, scenario.logins * load.requests
        if instance.service.is_faithful and scenario.tool is not Tool.LOCUST and reached < ALL_BUT_CUT * expected:
            wrong.append(f"only {reached} of {expected:.0f} logins reached the remote")
        if not load.requests:
            raise BenchError("no request was answered")
        if instance.log is not None:
            process.end()  # so that it writes its last lines
        made = self._round(load, cpu, remote_cpu, others_cores, memory_kib, wrong)
        return replace(made, idle_connection_bytes=idle_bytes), load.curve

    def _round(
        self, load: Load, cpu: Cpu, remote_cpu: Cpu, others_cores: float, memory_kib: int, wrong: Sequence[str]
    ) -> Round:
        seconds, each_us, log = load.seconds, 1e6 / load.requests, self.instance.log
        errors = load.errors + len(wrong)
        marks = list(load.marks)
        if wrong:
            marks.append(f"{len(wrong)} faults under load, the first: {wrong[0]}")
        service_cores, remote_cores = cpu.total_s / seconds, remote_cpu.total_s / seconds
        marks += self._limits_met(load, service_cores, remote_cores)
        is_disturbed = others_cores > self.settings.others_max
        if is_disturbed:
            marks.append(f"other programs kept {others_cores:.2f} cores of the machine busy")
        if log is not None and (lost := load.requests - log.count()) > 0:
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
            void=errors > 0 or is_disturbed,
            marks=tuple(marks),
            turn=self.turn,
        )

    def _limits_met(self, load: Load, service_cores: float, remote_cores: float) -> Iterator[str]:
        """Say what, besides the service, may have limited a figure."""
        scenario = self.scenario
        shared = self.settings.load_cores
        if shared and load.generator_cpu_s / load.seconds + remote_cores > BUSY_MARK * len(shared):
            yield "load generator and remote together used all of their cores"
        # The rest applies only where everything runs as fast as it can.
        if scenario.tool is not Tool.WRK or scenario.setup.delay_ms:
            return
        logins_per_s = scenario.logins * load.requests / load.seconds
        if self.instance.service.is_faithful and 0 < self.remote_capacity < REMOTE_FASTER * logins_per_s:
            yield f"the remote, at {self.remote_capacity:,.0f}/s, is less than {REMOTE_FASTER} times as fast as the service"
        if service_cores < BUSY * scenario.setup.processes:
            yield f"the service used {service_cores:.2f} cores: the limit was elsewhere"

    def _load(self, glance: Callable[[], None]) -> Load:
        settings, scenario, instance = self.settings, self.scenario, self.instance
        seconds = max(1, round(settings.slice_s * scenario.slices))
        match scenario.tool:
            case Tool.OPEN_LOOP:
                both = (seconds, settings.warm_up_s)
                return open_loop_load.run(instance.target, self.rate, *both, instance.folder, glance)
            case Tool.LOCUST:
                return locust_load.run(instance.target, seconds, instance.folder, glance)
            case _:
                load = self._wrk(seconds, glance=glance)
                while load.requests < scenario.requests and not load.errors:
                    load = load.and_then(self._wrk(seconds, glance=glance))
                return load

    def _wrk(self, seconds: int, *, checked: bool = False, glance: Callable[[], None] = lambda: None) -> Load:
        return wrk.run(
            wrk.Wrk(
                script=self.scenario.script,
                target=self.instance.target,
                connections=self.scenario.connections,
                seconds=seconds,
                threads=min(self.settings.threads, self.scenario.connections),
                tokens=self.tokens,
                folder=self.instance.folder,
                checked=checked,
            ),
            glance,
        )


def _bench_cpu_s() -> float:
    """CPU time of the bench itself, with the load generators that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime
