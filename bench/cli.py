"""Arguments become one command, a command becomes an exit code. Knows what people type and read. Measures nothing itself.

Exit codes: 0 done, 1 failure, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.count.command import add_count, add_track
from bench.errors import BenchError, Unavailable
from bench.judge.comparison import compare, outline
from bench.measure import results
from bench.measure.machine import this_machine
from bench.measure.own import services_of
from bench.measure.processes import ROOT, on_cores, raise_open_files
from bench.measure.progress import Bar
from bench.measure.runner import Run
from bench.measure.scenarios import CONNECTIONS, SCENARIOS, SEVERAL, SUBJECT, Scenario
from bench.measure.services import Service, known_services
from bench.measure.settings import Settings
from bench.report.page import make

DONE: Final = 0
FAILED: Final = 1
OPEN_FILES: Final = 10_500  # for 10 000 idle connections and everything else
OTHERS_MAX: Final = 0.1  # cores that other programs may use before a slice is void; a smoke run claims nothing
THREADS_MAX: Final = 2  # of wrk: one thread can load any of the services


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the process's exit code."""
    options = _parser().parse_args(argv)
    try:
        return int(options.command(options))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def run(options: argparse.Namespace) -> int:
    """`bench run`."""
    if shutil.which("wrk") is None:
        raise BenchError("wrk is missing: apt-get install wrk")
    services = _services(options)
    machine = this_machine()
    scenarios = _scenarios(options, raise_open_files())
    settings = _settings(options)
    started = _now()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    with Bar() as bar, on_cores(settings.load_cores):
        bar.say(
            f"{machine.cpu}, {machine.cores} cores, Linux {machine.kernel}{', EMULATED' if machine.emulated else ''}"
        )
        measuring = Run(services, scenarios, settings, bar)
        interrupted = False
        try:
            measuring.go()
        except KeyboardInterrupt:
            interrupted = True  # the slices so far are kept
            bar.say("interrupted: the slices so far are kept")
    label = options.label or (
        "smoke" if options.smoke else datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d-%H%M")
    )
    result = results.Result(
        label=label,
        started=started,
        finished=_now(),
        revision=_revision(),
        machine=machine,
        versions=_versions(services),
        settings=_recorded(settings)
        | {
            "smoke": options.smoke,
            "connections": CONNECTIONS,
            "remote_requests_per_s": round(measuring.remote_capacity),
        },
        measurements=measuring.measurements,
        skipped=tuple(measuring.skipped),
        notes=("interrupted: not all turns were taken",) if interrupted else (),
    )
    path = results.FOLDER / machine.arch / f"{label}.json"
    results.write(result, path)
    print(f"written: {path.relative_to(ROOT)}")
    void = any(one.is_void for one in result.measurements)
    return FAILED if interrupted or void or measuring.has_failed or not result.measurements else DONE


def prepare(_: argparse.Namespace) -> int:
    """`bench prepare`. A peer that lacks something is not a failure: a run leaves it out."""
    for service in known_services().values():
        try:
            service.prepare()
        except Unavailable as error:
            print(f"{service.name}: left out: {error}")
            continue
        versions = ", ".join(f"{name} {version}" for name, version in service.versions().items())
        print(f"{service.name}: ready ({versions})")
    return DONE


def compare_results(options: argparse.Namespace) -> int:
    """`bench compare`."""
    one, other = (results.read(path) for path in (options.first, options.second))
    for line in outline(one, other, compare(one, other)):
        print(line)
    return DONE


def report(options: argparse.Namespace) -> int:
    """`bench report`."""
    for path in make(options.results):
        print(f"written: {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
    return DONE


def _services(options: argparse.Namespace) -> list[Service]:
    """Return the services that are asked for. Those that somebody brings take part in any case."""
    own = services_of(options.peer, options.peers, login_path=options.login_path, check_path=options.check_path)
    known = known_services() | own
    names = [*(options.service or known), *own]
    for name in names:
        if name not in known:
            raise BenchError(f"there is no service {name}; there are {', '.join(known)}")
    return [known[name] for name in known if name in names]


def _scenarios(options: argparse.Namespace, open_files: int) -> list[Scenario]:
    wanted = [one for name in options.only or SCENARIOS for one in SEVERAL.get(name, (name,))]
    for name in wanted:
        if name not in SCENARIOS:
            raise BenchError(f"there is no scenario {name}; there are {', '.join((*SCENARIOS, *SEVERAL))}")
    chosen = [scenario for name, scenario in SCENARIOS.items() if name in wanted]
    if open_files < OPEN_FILES and any(scenario.idle for scenario in chosen):
        print(
            f"idle_10k is skipped: it needs {OPEN_FILES} open files, the limit is {open_files} (ulimit -n)",
            file=sys.stderr,
        )
        chosen = [scenario for scenario in chosen if not scenario.idle]
    return chosen


def _settings(options: argparse.Namespace) -> Settings:
    cores = sorted(os.sched_getaffinity(0))
    pinned = options.pin and len(cores) > 1
    share, _, reference = options.open_loop.partition("@")
    try:
        open_loop_share = float(share)
    except ValueError:
        raise BenchError(
            f"--open-loop needs SHARE@SERVICE, for example 0.6@rust_axum, not {options.open_loop}"
        ) from None
    return Settings(
        turns=1 if options.smoke else options.turns,
        slice_s=1 if options.smoke else options.slice,
        warm_up_s=1 if options.smoke else options.warm_up,
        threads=max(1, min(THREADS_MAX, len(cores) - 2)),
        service_cores=frozenset(cores[:1]) if pinned else None,
        load_cores=frozenset(cores[1:]) if pinned else None,
        open_loop_share=open_loop_share,
        open_loop_reference=reference or SUBJECT,
        open_loop_rate=options.rate,
        others_max=math.inf if options.smoke else OTHERS_MAX,
        has_hosts=options.hosts,
    )


def _recorded(settings: Settings) -> dict[str, Any]:
    """Write the settings for the record: how many cores, not which."""
    recorded = asdict(settings)
    recorded["hosts"] = "three" if recorded.pop("has_hosts") else "one"
    del recorded["others_max"]
    for name in ("service_cores", "load_cores"):
        recorded[name] = None if recorded[name] is None else len(recorded[name])
    return recorded


def _versions(services: Sequence[Service]) -> dict[str, str]:
    versions = {name: text for service in services for name, text in service.versions().items()}
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.split()
    versions["wrk"] = said[1] if len(said) > 1 else "unknown"
    return versions


def _revision() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    if shutil.which("git") is None:
        return "unknown"
    changed = git("status", "--porcelain", "--", "txtoken", "bench", ":!bench/results")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if changed else "")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the service beside its peers.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def names(text: str) -> list[str]:
        return [name for name in text.split(",") if name]

    about = "measure, and write bench/results/<arch>/<label>.json"
    running = commands.add_parser("run", help=about, description=about)
    running.set_defaults(command=run)
    running.add_argument(
        "--smoke", action="store_true", help="one slice of 1 s each, to see whether the suite works here"
    )
    running.add_argument(
        "--only", type=names, metavar="SCENARIO,…", help=f"only these scenarios: {', '.join((*SCENARIOS, *SEVERAL))}"
    )
    running.add_argument(
        "--service", type=names, metavar="NAME,…", help=f"only these services: {', '.join(known_services())}"
    )
    running.add_argument(
        "--turns",
        type=_positive,
        default=15,
        help="slices of each measurement, 6 or more for an interval (default: %(default)s)",
    )
    running.add_argument("--slice", type=_positive, default=1, help="seconds of each slice (default: %(default)s)")
    running.add_argument(
        "--warm-up", type=_positive, default=1, help="seconds of warm-up before the first slice (default: %(default)s)"
    )
    running.add_argument(
        "--hosts",
        action="store_true",
        help="clients, service and remote on hosts of their own: network namespaces (needs root)",
    )
    own = running.add_argument_group(
        "your own service", "It listens on the HOST and PORT of its environment, and posts logins to REMOTE."
    )
    own.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="add it; go=PATH adds the Go original, if you have built it",
    )
    own.add_argument("--login-path", metavar="PATH", help="its route for logins (default: /getToken)")
    own.add_argument("--check-path", metavar="PATH", help="its route for checks (default: /checkToken)")
    own.add_argument(
        "--peers",
        type=Path,
        metavar="FILE",
        help="add those of a YAML file, which can have other methods, bodies and headers, too",
    )
    running.add_argument("--label", type=_label, help="name of the result (default: the time, or smoke)")
    running.add_argument(
        "--open-loop",
        metavar="SHARE@SERVICE",
        default="0.6@rust_axum",
        help="rate of the open loop, as a share of what a service reaches in get_token (default: %(default)s)",
    )
    running.add_argument("--rate", type=float, help="rate of the open loop in requests/s, instead of a share")
    running.add_argument(
        "--no-pin",
        dest="pin",
        action="store_false",
        help="let the kernel choose the cores (default: the first core serves only the service)",
    )

    about = "fetch and build what the peers need, and say what is missing"
    preparing = commands.add_parser("prepare", help=about, description=about)
    preparing.set_defaults(command=prepare)

    about = "compare two results of one machine: medians, intervals, verdict"
    comparing = commands.add_parser("compare", help=about, description=about)
    comparing.set_defaults(command=compare_results)
    comparing.add_argument("first", type=Path, metavar="A")
    comparing.add_argument("second", type=Path, metavar="B")

    about = (
        "write bench/results/README.md, index.html and pictures from the newest full results, or from the given ones"
    )
    reporting = commands.add_parser("report", help=about, description=about)
    reporting.set_defaults(command=report)
    reporting.add_argument("results", type=Path, nargs="*", metavar="RESULT")

    add_count(commands)
    add_track(commands)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _label(text: str) -> str:
    if not text.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise ValueError(text)
    return text
