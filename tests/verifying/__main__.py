"""Runs the verifiers of examples/verify, with a rotation of keys in between. Exits with 1 if an answer is wrong."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tests.verifying.issuer import ALGORITHMS, SUBJECT, Issuer, Kind, LocalIssuer
from tests.verifying.programs import PROGRAMS, Program, Verifier
from tests.verifying.publisher import Publisher, publishing
from tests.verifying.service import ServiceIssuer

# Of the first key, which a verifier has once it has fetched: none of these is a reason to fetch again.
BEFORE: Final = tuple(kind for kind in Kind if kind not in {Kind.NEXT, Kind.UNKNOWN_KID, Kind.LINE_BREAK})
# What the reason has to match, whatever the library's words: a token that is refused for something else proves nothing.
REASONS: Final = {
    **dict.fromkeys((Kind.EXPIRED,), "expired"),
    **dict.fromkeys((Kind.NO_EXP,), "exp|missing"),
    **dict.fromkeys((Kind.NOT_YET,), "nbf|immature|not valid yet|before"),
    **dict.fromkeys((Kind.OTHER_ISSUER, Kind.LONGER_ISSUER), "iss(?!ing)"),
    **dict.fromkeys((Kind.OTHER_AUDIENCE,), "aud"),
    **dict.fromkeys((Kind.BROKEN_SIGNATURE, Kind.OTHER_KEY), "signature"),
    **dict.fromkeys((Kind.HS256_PEM, Kind.HS256_JWK, Kind.HS256_EMPTY, Kind.SWAPPED_ALGORITHM), "alg|signing method"),
    **dict.fromkeys((Kind.NONE,), "alg|signing method|unsecured|`none`"),
}
VALID: Final = {Kind.GOOD, Kind.AUDIENCES, Kind.NEXT}
LEAD_S: Final = (
    31  # PyJWT, jose and the Rust program fetch for an unknown kid 30 s after the last fetch at the earliest
)
UNKNOWN_KIDS: Final = 20
FETCHES_MAX: Final = 4  # at start, for the next key, and for unknown kids: once, or Nimbus's twice


@dataclass(frozen=True)
class Candidate:
    """A program that verifies one algorithm, and the issuer that it trusts."""

    program: Program
    algorithm: str
    issuer: Issuer
    verifier: Verifier
    place: str


def mark(cell: list[tuple[str, str, bool]]) -> str:
    """Sum up the answers of one program to one question."""
    return ("ok" if all(right for *_, right in cell) else "WRONG") if cell else "-"


class Report:
    """What was asked, and what each program answered."""

    def __init__(self, columns: Iterable[str]) -> None:
        self.columns: Final = tuple(columns)
        self.rows: Final[dict[str, dict[str, list[tuple[str, str, bool]]]]] = {}

    def note(self, row: str, candidate: Candidate, answer: str, *, right: bool) -> None:
        """Take down one answer."""
        cell = self.rows.setdefault(row, {}).setdefault(candidate.program.name, [])
        if (candidate.algorithm, answer, right) not in cell:  # twenty unknown kids, one line
            cell.append((candidate.algorithm, answer, right))

    def wrong(self) -> list[str]:
        """Name each wrong answer."""
        return [
            f"{name} {algorithm}, {row}: {answer}"
            for row, cells in self.rows.items()
            for name, cell in cells.items()
            for algorithm, answer, right in cell
            if not right
        ]

    def lines(self) -> Iterator[str]:
        """Draw the table: a row for each question, a column for each program."""
        width = max(map(len, self.rows))
        yield " ".join((" " * width, *(f"{name:>8}" for name in self.columns)))
        for row, cells in self.rows.items():
            yield " ".join((f"{row:{width}}", *(f"{mark(cells.get(name, [])):>8}" for name in self.columns)))

    def answers(self) -> Iterator[str]:
        """Name each answer, the right ones too."""
        for row, cells in self.rows.items():
            yield row
            for name, cell in cells.items():
                yield from (f"    {name:6} {algorithm:5} {answer}" for algorithm, answer, _ in cell)


def is_right(kind: Kind, answer: str) -> bool:
    """Whether that is what a verifier has to say of such a token."""
    if kind in VALID:
        return answer == f"valid {SUBJECT}"
    reason = answer.removeprefix("invalid ")
    return reason != answer and re.search(REASONS.get(kind, ""), reason, re.IGNORECASE) is not None


def ask(report: Report, candidates: Iterable[Candidate], kinds: Iterable[Kind], when: str = "") -> None:
    """Have each program verify a token of each kind."""
    for candidate in candidates:
        for kind in kinds:
            answer = candidate.verifier.answer(candidate.issuer.issue(kind))
            report.note(kind.value + when, candidate, answer, right=is_right(kind, answer))


def count(report: Report, candidates: Iterable[Candidate], publisher: Publisher, row: str, most: int) -> None:
    """Look at how often each program has fetched its JWKS."""
    for candidate in candidates:
        fetches = publisher.fetches[candidate.place]
        report.note(row, candidate, str(fetches), right=1 <= fetches <= most)


def examine(report: Report, candidates: list[Candidate], publisher: Publisher, lead_s: float) -> None:
    """Ask everything, with a rotation in between."""
    ask(report, candidates, BEFORE)
    ask(report, candidates, (Kind.GOOD,), ", again")
    count(report, candidates, publisher, "fetches until here: 1", 1)
    for issuer in {id(candidate.issuer): candidate.issuer for candidate in candidates}.values():
        issuer.rotate()
    print(f"The next key is published. It signs in {lead_s} s.", file=sys.stderr)
    time.sleep(lead_s)
    ask(report, candidates, (Kind.NEXT,))
    ask(report, candidates, (Kind.GOOD,), ", after the rotation")
    ask(report, candidates, (Kind.UNKNOWN_KID,) * UNKNOWN_KIDS + (Kind.LINE_BREAK,))
    count(report, candidates, publisher, f"fetches in all: at most {FETCHES_MAX}", FETCHES_MAX)
    publisher.down = True
    ask(report, candidates, (Kind.GOOD, Kind.NEXT), ", the JWKS is down")
    ask(report, candidates, (Kind.UNKNOWN_KID,), ", the JWKS is down")
    for candidate in candidates:
        end = candidate.verifier.close()
        report.note("ends with its input", candidate, end, right=end == "exit code 0")


def ready(names: Iterable[str]) -> tuple[list[Program], Mapping[str, str]]:
    """Build the programs. Return those that can run, and why others failed; what is skipped is said."""
    built: list[Program] = []
    failed: dict[str, str] = {}
    for program in PROGRAMS:
        if program.name not in names:
            continue
        if missing := program.missing():
            print(f"{program.name} is skipped: {', '.join(missing)} is not installed.", file=sys.stderr)
            continue
        print(f"{program.name} is built …", file=sys.stderr)
        if why := program.make():
            failed[program.name] = why
        else:
            built.append(program)
    return built, failed


def chosen(known: Iterable[str]) -> type[argparse.Action]:
    """Make an argument's type: names with commas between, each of which is known."""

    class Chosen(argparse.Action):
        def __call__(
            self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, *_: object
        ) -> None:
            names = str(values).split(",")
            if unknown := sorted(set(names) - set(known)):
                parser.error(f"{', '.join(unknown)} is not one of {', '.join(known)}")
            setattr(namespace, self.dest, names)

    return Chosen


def issuer_of(algorithm: str, stack: contextlib.ExitStack, *, is_local: bool) -> Issuer:
    """Make the issuer of an algorithm: a service that runs until the end, or without one."""
    if is_local:
        return LocalIssuer(algorithm)
    print(f"A txtoken is started that signs with {algorithm} …", file=sys.stderr)
    issuer = ServiceIssuer(algorithm)
    stack.callback(issuer.close)
    return issuer


def main() -> int:
    """Build, ask, report."""
    names = [program.name for program in PROGRAMS]
    parser = argparse.ArgumentParser(prog="scripts/examples", description=__doc__)
    parser.add_argument("--only", metavar="NAME,…", action=chosen(names), default=names)
    parser.add_argument("--algorithms", metavar="NAME,…", action=chosen(ALGORITHMS), default=list(ALGORITHMS))
    parser.add_argument("--local", action="store_true", help="make keys and tokens here, without a running txtoken")
    parser.add_argument("--answers", action="store_true", help="print each answer, the right ones too")
    options = parser.parse_args()
    programs, failed = ready(options.only)
    report = Report(program.name for program in programs)
    with publishing() as publisher, contextlib.ExitStack() as stack:
        candidates = []
        issuers = {algorithm: issuer_of(algorithm, stack, is_local=options.local) for algorithm in options.algorithms}
        for program in programs:
            for algorithm in options.algorithms:
                if algorithm not in program.algorithms:
                    print(f"{program.name} has no {algorithm}.", file=sys.stderr)
                    continue
                place = f"{program.name}/{algorithm}"
                url = publisher.publish(place, issuers[algorithm].jwks)
                verifier = Verifier(program.run, program.folder, url, algorithm)
                stack.callback(verifier.process.kill)
                candidates.append(Candidate(program, algorithm, issuers[algorithm], verifier, place))
        if candidates:
            examine(report, candidates, publisher, LEAD_S)
    print("\n".join(report.answers() if options.answers else report.lines() if report.rows else ()))
    wrong = [*(f"{name} could not be built: {why}" for name, why in failed.items()), *report.wrong()]
    right = f"All answers of {len(candidates)} verifiers are right." if candidates else "Nothing was run."
    print("\n".join(wrong) or right)
    return bool(wrong or not candidates)


if __name__ == "__main__":
    sys.exit(main())
