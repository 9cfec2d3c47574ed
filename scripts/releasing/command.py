"""`scripts/release VERSION`: from a clean tree to everything of a release in dist/, and on request to a commit and a tag."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.releasing import address, bom, chart, distributions, epoch, images, notes, places
from scripts.releasing.changelog import Changelog
from scripts.releasing.checkout import Checkout
from scripts.releasing.refusal import Refusal
from scripts.releasing.repository import Repository
from scripts.releasing.version import ReleaseVersion

ROOT: Final = Path(__file__).parents[2]
SUMS: Final = "SHA256SUMS"
NOTES: Final = "RELEASE-NOTES.md"


@dataclass(frozen=True)
class Plan:
    """Everything that is known before anything is built."""

    version: ReleaseVersion
    changelog: Changelog  # with the version's section
    changes: Mapping[Path, str]  # the files that the release changes, with their new text
    address: address.Address | None
    head: str

    @property
    def epoch(self) -> int:
        """Of dry runs, the real one and a rebuild from the tag alike, where the time of a commit is not."""
        return epoch.of(self.changelog, self.version.text)


def main(arguments: Sequence[str]) -> int:
    """Run the command, and return its exit code: 0, 1 for a release that cannot be, 2 for wrong usage."""
    options = parsed(arguments)
    try:
        release(Repository(ROOT), options)
    except Refusal as refusal:
        print(f"No release of {options.version}:\n{refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. `git log -1` and `git tag --points-at HEAD` say what was done.", file=sys.stderr)
        return 130
    return 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/release",
        description="Build everything of a release in dist/. Without --for-real nothing else changes: no commit, no tag.",
    )
    parser.add_argument("version", metavar="VERSION", help="1.2.3, or 1.2.3rc1 for a release candidate")
    parser.add_argument(
        "--for-real", "--yes", action="store_true", help="then commit what the release changes, and tag it"
    )
    parser.add_argument(
        "--push", action="store_true", help="then push commit and tag to the project's address, which publishes"
    )
    parser.add_argument(
        "--made", type=Path, metavar="FOLDER", help="take sdist and wheels from there instead of building them"
    )
    parser.add_argument(
        "--without-image", action="store_true", help="build no container image, where one could be built"
    )
    options = parser.parse_args(arguments)
    if options.push and not options.for_real:
        parser.error("--push is for a release that was made: say --for-real too")
    return options


def release(repository: Repository, options: argparse.Namespace) -> None:
    """Do all of it, in this order: check, build, put into dist/, commit, tag, push."""
    plan = planned(repository, options.version, push=options.push)
    changed = ", ".join(str(path.relative_to(repository.root)) for path in plan.changes) or "no file"
    print(f"txtoken {plan.version.text}, from {plan.head[:12]}. The release changes {changed}.")
    files = built(repository, plan, options)
    print(*(f"dist/{name}" for name in files), sep="\n")
    if not options.for_real:
        print(f"Dry: nothing was committed or tagged. scripts/release {plan.version.text} --for-real does that.")
        return
    recorded(repository, plan)
    print(f"Tagged {plan.version.tag}.")
    if options.push and plan.address is not None:
        repository.push(plan.address.repository, plan.version)
        print(f"Pushed to {plan.address.repository}, whose workflows publish it.")


def planned(repository: Repository, typed: str, *, push: bool) -> Plan:
    """Check everything that can be known now.

    Raises:
        Refusal: with all problems.
    """
    version = ReleaseVersion.parse(typed)
    problems = repository.problems(version)
    path = repository.root / "CHANGELOG.md"
    before = changelog = Changelog(path.read_text())
    changes: dict[Path, str] = {}
    target = None
    try:
        changelog = before.released(version.text, datetime.datetime.now(datetime.UTC).date())
    except Refusal as refusal:
        problems += refusal.problems
    try:
        changes |= places.rewritten(repository.root, version)
    except Refusal as refusal:
        problems += refusal.problems
    try:
        target = address.read(repository.root)
        problems += [address.MISSING] if push and target is None else []
    except Refusal as refusal:
        problems += refusal.problems
    if problems:
        raise Refusal(*problems)
    if changelog != before:
        changes[path] = changelog.text
    return Plan(version, changelog, changes, target, repository.head)


def built(repository: Repository, plan: Plan, options: argparse.Namespace) -> Sequence[str]:
    """Make every file in the checkout, then put them into dist/ in place of what an earlier run left there."""
    checkout = Checkout.of(repository, plan.changes, plan.epoch)
    target = checkout.root.with_name("artefacts")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    print("Building sdist and wheels, which takes minutes …" if options.made is None else "Checking sdist and wheels …")
    distributions.build(checkout, plan.version, target, options.made and options.made.resolve())
    print("Packing the chart, writing the bill of materials …")
    chart.build(checkout, plan.version, plan.address, target)
    bom.build(checkout, plan.version, target)
    tags = images.names(plan.version, plan.address)
    (target / "images.txt").write_text("".join(f"{tag}\n" for tag in tags))
    engine = None if options.without_image else images.engine()
    if engine is not None:
        images.build(checkout, tags)
    print(f"Image: {'built' if engine else 'not built here'}, {', '.join(tags)}.")
    section = plan.changelog.section(plan.version.text)
    assert section is not None  # planned() saw to it
    upgrade = (checkout.root / notes.UPGRADE).read_text()
    names = sorted(path.name for path in target.iterdir())
    (target / NOTES).write_text(notes.write(section, upgrade, names, tags, plan.version, plan.address))
    (target / SUMS).write_text(sums(target))
    return moved(target, repository.root / "dist")


def sums(folder: Path) -> str:
    """Write the checksums of all files, as `sha256sum --check` reads them."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())]
    return "".join(lines)


def moved(made: Path, dist: Path) -> Sequence[str]:
    """Replace what dist/ has of releases, which is what its own list of checksums names, and all wheels."""
    dist.mkdir(exist_ok=True)
    earlier = (dist / SUMS).read_text().splitlines() if (dist / SUMS).exists() else []
    for path in {*dist.glob("*.whl"), *(dist / line.split("  ", 1)[1] for line in earlier)}:
        path.unlink(missing_ok=True)
    names = sorted(path.name for path in made.iterdir())
    for name in names:
        (made / name).replace(dist / name)
    return names


def recorded(repository: Repository, plan: Plan) -> None:
    """Commit the changes, if there are any, and tag, if it is not yet: the only steps that change the repository.

    Raises:
        Refusal: somebody committed meanwhile, or git would not.
    """
    if repository.head != plan.head:
        raise Refusal("HEAD has moved while the release was built: start again.")
    for path, text in plan.changes.items():
        path.write_text(text)
    if plan.changes:
        repository.commit(list(plan.changes), plan.version)
    if repository.has_here(plan.version):
        return  # an earlier run tagged it, and may have failed to push
    section = plan.changelog.section(plan.version.text)
    assert section is not None
    repository.tag(plan.version, f"txtoken {plan.version.text}\n\n{section.text}\n")
