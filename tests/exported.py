"""Files for proxies in deploy/, and the blocks of docs/how-to/forward-auth.md.

They are what `txtoken export` prints for deploy/forward-auth.yml. `scripts/exports` writes them anew, by running this.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from txtoken.config.read import load
from txtoken.export.proxies import WRITERS
from txtoken.export.site import Site, choose_section, place_of

ROOT: Final = Path(__file__).parents[1]
CONFIGURATION: Final = ROOT / "deploy" / "forward-auth.yml"
DOCUMENT: Final = ROOT / "docs" / "how-to" / "forward-auth.md"
ASKED: Final = "/forwardAuth"
CACHED: Final = "/forwardAuthCached"
DOOR: Final = "127.0.0.1:8890"
# Each file with the proxy and the section that it is exported for.
FILES: Final = {
    "deploy/nginx/forward-auth.conf": ("nginx", ASKED),
    "deploy/nginx/forward-auth-cached.conf": ("nginx", CACHED),
    "deploy/caddy/forward-auth.Caddyfile": ("caddy", ASKED),
    "deploy/traefik/forward-auth.yml": ("traefik", ASKED),
    "deploy/haproxy/forward-auth.cfg": ("haproxy", ASKED),
    "deploy/haproxy/forward-auth.lua": ("haproxy-lua", ASKED),
    "deploy/envoy/forward-auth.yml": ("envoy", DOOR),
    "deploy/kubernetes/gateway-api/httproute.yaml": ("gateway-api", DOOR),
    "deploy/kubernetes/gateway-api/envoy-gateway.yaml": ("envoy-gateway", DOOR),
}
# In the document: a line that names the file, and the block that holds it.
_BLOCK: Final = re.compile(r"(<!-- the block below is (\S+) -->\n```\w*\n).*?(^```$)", re.DOTALL | re.MULTILINE)


def site(section: str) -> Site:
    """Read the one configuration, and what is exported of a section."""
    config = load(str(CONFIGURATION), {})
    chosen = choose_section(config.forward_auth, section)
    return Site(chosen, config.cookie, place_of(chosen, config))


def files() -> dict[str, str]:
    """Say what each file has to hold."""
    return {name: WRITERS[proxy](site(section)) for name, (proxy, section) in FILES.items()}


def document(text: str) -> str:
    """Put every block of a document right."""
    exported = files()
    return _BLOCK.sub(lambda found: found[1] + exported[found[2]] + found[3], text)


def named(text: str) -> list[str]:
    """Name the files whose blocks a document has."""
    return [found[2] for found in _BLOCK.finditer(text)]


def main() -> None:
    """Write all files and the document's blocks."""
    for name, text in files().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    DOCUMENT.write_text(document(DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
