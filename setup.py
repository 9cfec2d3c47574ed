"""What pyproject.toml cannot say of the package: what is compiled, which sources are distributed, its README for a package index.

With TXTOKEN_COMPILE=1 mypyc compiles the modules on a request's way, as they stand: the wheel is for one kind of machine and
one Python, and does the same in less CPU time. Without it the wheel is for all, and needs no C compiler.
"""

import os
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.egg_info import egg_info

COMPILED = (
    "txtoken/clock.py",
    "txtoken/http1/acceptor.py",
    "txtoken/http1/buffers.py",
    "txtoken/http1/channel.py",
    "txtoken/http1/chunks.py",
    "txtoken/http1/connection.py",
    "txtoken/http1/ending.py",
    "txtoken/http1/grammar.py",
    "txtoken/http1/head_rules.py",
    "txtoken/http1/heads.py",
    "txtoken/http1/member.py",
    "txtoken/http1/messages.py",
    "txtoken/http1/parser.py",
    "txtoken/http1/phase.py",
    "txtoken/http1/places.py",
    "txtoken/http1/proxies.py",
    "txtoken/http1/room.py",
    "txtoken/http1/server.py",
    "txtoken/http1/serving.py",
    "txtoken/http1/turns.py",
    "txtoken/memo.py",
    "txtoken/observe/access_log.py",
    "txtoken/observe/lines.py",
    "txtoken/observe/metrics.py",
    "txtoken/observe/observers.py",
    "txtoken/service/answers.py",
    "txtoken/service/cookies.py",
    "txtoken/service/cors.py",
    "txtoken/service/failures.py",
    "txtoken/service/forwarded.py",
    "txtoken/service/handlers/check.py",
    "txtoken/service/handlers/fixed.py",
    "txtoken/service/handlers/forward_auth.py",
    "txtoken/service/handlers/health.py",
    "txtoken/service/handlers/login.py",
    "txtoken/service/handlers/refresh.py",
    "txtoken/service/identity.py",
    "txtoken/service/issuance.py",
    "txtoken/service/keys/hmac.py",
    "txtoken/service/keys/key.py",
    "txtoken/service/keys/ring.py",
    "txtoken/service/pointer.py",
    "txtoken/service/presented.py",
    "txtoken/service/refusals.py",
    "txtoken/service/replies.py",
    "txtoken/service/requirement.py",
    "txtoken/service/revocations.py",
    "txtoken/service/routes.py",
    "txtoken/service/sites.py",
    "txtoken/service/success.py",
    "txtoken/service/throttle/counts.py",
    "txtoken/service/throttle/guard.py",
    "txtoken/service/throttle/identities.py",
    "txtoken/service/throttle/names.py",
    "txtoken/service/throttle/table.py",
    "txtoken/service/throttle/throttle.py",
    "txtoken/service/tokens/claims.py",
    "txtoken/service/tokens/compact.py",
    "txtoken/service/tokens/issue.py",
    "txtoken/service/tokens/memory.py",
    "txtoken/service/tokens/plain.py",
    "txtoken/service/tokens/segments.py",
    "txtoken/service/tokens/sessions.py",
    "txtoken/service/tokens/verify.py",
    "txtoken/service/upstream/connection.py",
    "txtoken/service/upstream/dials.py",
    "txtoken/service/upstream/exchange.py",
    "txtoken/service/upstream/remote.py",
    "txtoken/service/upstream/reply.py",
    "txtoken/service/upstream/request_head.py",
)

# What the source distribution has, in the words of MANIFEST.in: the repository, because its tests run there and read the
# documents and examples, and nothing that is made of it.
SOURCES = (
    "include *.md Dockerfile .dockerignore .gitignore example_cfg.yml",
    "graft .ci",
    "graft .github",
    "graft bench",
    "graft deploy",
    "graft docs",
    "graft examples",
    "graft requirements",
    "graft scripts",
    "graft tests",
    "graft txtoken",
    "prune bench/peers/*/bin",
    "prune bench/peers/*/node_modules",
    "prune bench/peers/*/target",
    "exclude bench/peers/*/Cargo.lock",
    "prune examples/verify/node/node_modules",
    "prune examples/verify/python/.venv",
    "prune examples/verify/rust/target",
    "prune examples/verify/java/target",
    "exclude deploy/enc_key bench/results/*/smoke*",
    "global-exclude __pycache__/* *.py[cod] *.so",
)

ROOT = Path(__file__).parent
VERSION: str = runpy.run_path(str(ROOT / "txtoken" / "version.py"))["VERSION"]
ADDRESS: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["txtoken"]["address"]

CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
RELATIVE = r"(?!\w+:)([^)\s\"]+)"  # no scheme: a file of the repository, or a section of the README
IMAGE = re.compile(rf"!\[([^]]*)\]\({RELATIVE}\)")
LINK = re.compile(rf"\[([^]]*)\]\({RELATIVE}\)")


class SourceFiles(egg_info):
    """Finds the files of the source distribution by `SOURCES`."""

    def find_sources(self) -> None:
        super().find_sources()
        for line in SOURCES:
            self.filelist.process_template_line(line)
        self.filelist.sort()
        self.filelist.remove_duplicates()
        Path(self.egg_info, "SOURCES.txt").write_text("\n".join(self.filelist.files))


def page(place: str) -> str:
    """Give the address of a file of this version, or of a section of the README."""
    return ADDRESS + place if place.startswith("#") else f"{ADDRESS}/blob/v{VERSION}/{place}"


def picture(place: str) -> str:
    """Give the address of a picture of this version."""
    return f"{ADDRESS}/raw/v{VERSION}/{place}"


def with_addresses(text: str) -> str:
    """Put addresses where relative places are."""
    text = IMAGE.sub(lambda found: f"![{found[1]}]({picture(found[2])})", text)
    return LINK.sub(lambda found: f"[{found[1]}]({page(found[2])})", text)


def without_places(text: str) -> str:
    """Leave of relative links and of pictures their texts alone."""
    return LINK.sub(r"\1", IMAGE.sub(r"\1", text))


def readme() -> str:
    """Give the README as an index can show it: there, what is relative leads nowhere."""
    parts = CODE.split((ROOT / "README.md").read_text())
    rewrite = with_addresses if ADDRESS else without_places
    return "".join(part if CODE.fullmatch(part) else rewrite(part) for part in parts)


links = {
    "Source": ADDRESS,
    "Documentation": page("docs/index.md"),
    "Changelog": page("CHANGELOG.md"),
    "Issues": f"{ADDRESS}/issues",
}
extensions: list[Any] = []  # distutils has two classes for them
if os.environ.get("TXTOKEN_COMPILE") == "1":
    from mypyc.build import mypycify

    extensions = mypycify([*COMPILED], opt_level="3")
    # The modules' functions are not for other libraries, so they are called directly, and may be inlined: a check takes 3 % fewer
    # instructions, a login 1 % (scripts/bench count).
    for extension in extensions:
        extension.extra_compile_args += ["-fvisibility=hidden", "-fno-plt"]
setup(
    cmdclass={"egg_info": SourceFiles},
    ext_modules=extensions,
    long_description=readme(),
    long_description_content_type="text/markdown",
    project_urls=links if ADDRESS else {},
)
