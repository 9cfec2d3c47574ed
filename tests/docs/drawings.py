"""The drawings of README.md and docs/, as SVG. `scripts/docs --write` draws them anew. Knows boxes, arrows and words, no page."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

from tests.docs.pages import ROOT

FOLDER: Final = ROOT / "docs" / "images"
# Each drawing has a ground of its own, so that it can be read on any page; where the reader's system is dark, so is the drawing.
STYLE: Final = """\
text{font:14px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#1f2328}
.b{font-weight:600}.s{font-size:12px;fill:#59636e}.m{text-anchor:middle}.e{text-anchor:end}
.ground{fill:#fff}.box{fill:#f6f8fa;stroke:#8c959f}.own{fill:#ddf4ff;stroke:#0969da}.line{stroke:#57606a;fill:none;stroke-width:1.5}
.tip{fill:#57606a}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}.s{fill:#b1bac4}.ground{fill:#0d1117}.box{fill:#161b22;stroke:#6e7681}.own{fill:#0c2d6b;stroke:#58a6ff}
.line{stroke:#9198a1}.tip{fill:#9198a1}}"""


@dataclass(slots=True)
class Drawing:
    """A drawing that grows by what is put on it. Places are in pixels, from the upper left."""

    title: str
    width: int
    height: int
    _parts: list[str] = field(default_factory=list)

    def box(self, x: int, y: int, width: int, height: int, name: str, *lines: str, own: bool = False) -> None:
        """Put a box with a name and smaller lines below it. `own`: it is txtoken's."""
        kind = "own" if own else "box"
        self._parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>')
        middle = x + width // 2
        top = y + height // 2 - 8 * len(lines) + 5
        self._parts.append(f'<text class="b m" x="{middle}" y="{top}">{escape(name)}</text>')
        for number, line in enumerate(lines, 1):
            self._parts.append(f'<text class="s m" x="{middle}" y="{top + 17 * number}">{escape(line)}</text>')

    def arrow(self, *points: tuple[int, int], label: str = "", at: tuple[int, int] | None = None) -> None:
        """Draw a line along points, with a tip at its end, and a label in the middle above it or at a place."""
        (x, y), (last_x, last_y) = points[-1], points[-2]
        path = " ".join(f"{'L' if number else 'M'}{px} {py}" for number, (px, py) in enumerate(points))
        self._parts.append(f'<path class="line" d="{path}"/>')
        dx, dy = (x > last_x) - (x < last_x), (y > last_y) - (y < last_y)
        left, right = (x - 8 * dx - 4 * dy, y - 8 * dy + 4 * dx), (x - 8 * dx + 4 * dy, y - 8 * dy - 4 * dx)
        self._parts.append(f'<path class="tip" d="M{x} {y} L{left[0]} {left[1]} L{right[0]} {right[1]} Z"/>')
        if label:
            where = at or ((points[0][0] + points[1][0]) // 2, (points[0][1] + points[1][1]) // 2 - 7)
            self.text(*where, label)

    def text(self, x: int, y: int, words: str, kind: str = "s m") -> None:
        """Put words."""
        self._parts.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(words)}</text>')

    def svg(self) -> str:
        """Return the whole."""
        size = f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="t" {size}>',
                f'<title id="t">{escape(self.title)}</title>',
                f"<style>{STYLE}</style>",
                f'<rect class="ground" width="{self.width}" height="{self.height}" rx="8"/>',
                *self._parts,
                "</svg>\n",
            ]
        )


def flow() -> Drawing:
    """What txtoken does."""
    drawing = Drawing("A client logs in at txtoken, which asks the login API and returns a signed token", 760, 250)
    drawing.box(20, 30, 130, 80, "client")
    drawing.box(315, 30, 130, 80, "txtoken", "signs the reply", own=True)
    drawing.box(610, 30, 130, 80, "your login API", "stays as it is")
    drawing.arrow((150, 55), (315, 55), label="1  name, password")
    drawing.arrow((445, 55), (610, 55), label="2  the same JSON")
    drawing.arrow((610, 88), (445, 88), label='3  {"id":1815,…}', at=(527, 104))
    drawing.arrow((315, 88), (150, 88), label="4  a signed token", at=(232, 104))
    drawing.box(20, 170, 130, 60, "your services")
    drawing.arrow((85, 110), (85, 170), label="5  the token", at=(128, 145))
    drawing.arrow((150, 200), (380, 200), (380, 110))
    drawing.text(165, 192, "verify it with a key, or ask", "s")
    return drawing


def forward_auth() -> Drawing:
    """How a proxy asks."""
    drawing = Drawing("The proxy asks txtoken; with a good token the request goes on with the user's name", 760, 220)
    drawing.box(20, 30, 120, 60, "client")
    drawing.box(300, 30, 140, 60, "proxy", "nginx, Envoy, …")
    drawing.box(610, 30, 130, 60, "your service", "knows no tokens")
    drawing.box(300, 150, 140, 50, "txtoken", own=True)
    drawing.arrow((140, 60), (300, 60), label="request, token")
    drawing.arrow((440, 60), (610, 60), label="X-Auth-Request-User: ada")
    drawing.arrow((345, 90), (345, 150), label="may it pass?", at=(295, 124))
    drawing.arrow((395, 150), (395, 90))
    drawing.text(405, 124, "200 and the user, or 401, 403", "s")
    return drawing


def session() -> Drawing:
    """A session's tokens over time."""
    drawing = Drawing(
        "A login and renewals: each token ends by itself, the session ends at auth_time + maxSession", 760, 210
    )
    for number, (name, start, end) in enumerate((("token 1", 40, 230), ("token 2", 170, 360), ("token 3", 300, 490))):
        y = 60 + 32 * number
        drawing.box(start, y, end - start, 24, name, own=True)
        drawing.text(end + 8, y + 16, "exp", "s")
    drawing.text(545, 140, "…", "b m")
    drawing.box(590, 124, 130, 24, "the last one", own=True)
    drawing.arrow((40, 180), (735, 180))
    for x, word in ((40, "login"), (170, "refresh"), (300, "refresh"), (720, "auth_time + maxSession")):
        drawing.text(x, 200, word, "s e" if x > 700 else "s m" if x > 40 else "s")
    drawing.text(40, 35, "auth_time and sid are the same in all of them", "s")
    return drawing


def architecture() -> Drawing:
    """The packages, and which imports which."""
    drawing = Drawing(
        "The packages of txtoken: process stands on http1, service and observe; all stand on leaves", 760, 400
    )
    drawing.box(20, 20, 150, 70, "cli", "a file a command")
    drawing.box(300, 20, 160, 70, "process", "workers, reload,", "signals, sockets", own=True)
    drawing.box(590, 20, 150, 70, "config", "file → Config", "or every problem")
    drawing.box(20, 160, 220, 90, "http1", "bytes ↔ requests, responses", "knows no tokens", own=True)
    drawing.box(
        270, 160, 220, 90, "service", "routes, tokens, keys, upstream", "knows no sockets but the remote's", own=True
    )
    drawing.box(520, 160, 220, 90, "observe", "log and metrics", own=True)
    drawing.box(20, 320, 720, 56, "leaves", "settings   errors   clock   memo   version")
    drawing.arrow((170, 55), (300, 55))
    drawing.arrow((460, 55), (590, 55), label="reads", at=(525, 48))
    drawing.arrow((340, 90), (340, 125), (130, 125), (130, 160))
    drawing.arrow((380, 90), (380, 160))
    drawing.arrow((420, 90), (420, 125), (630, 125), (630, 160))
    for x in (130, 380, 630):
        drawing.arrow((x, 250), (x, 320))
    drawing.arrow((270, 205), (240, 205))
    drawing.arrow((740, 55), (750, 55), (750, 345), (740, 345))
    return drawing


def request() -> Drawing:
    """The way of a request through the modules."""
    drawing = Drawing(
        "A request's way: acceptor, connection, parser, routes, handler, tokens or remote, and one write back", 760, 380
    )
    names = (
        ("acceptor", "lets a client in"),
        ("connection", "feeds bytes"),
        ("parser", "bytes → request"),
        ("routes", "path → handler"),
    )
    for number, (name, about) in enumerate(names):
        drawing.box(20 + 190 * number, 30, 150, 60, name, about, own=True)
        if number:
            drawing.arrow((190 * number - 20, 60), (190 * number + 20, 60))
    drawing.box(590, 150, 150, 60, "CheckToken", "answers at once", own=True)
    drawing.box(590, 250, 150, 60, "GetToken", "waits for a reply", own=True)
    drawing.arrow((640, 90), (640, 150))
    drawing.arrow((740, 60), (750, 60), (750, 280), (740, 280))
    drawing.box(400, 150, 150, 60, "tokens.verify", "memory, or judged", own=True)
    drawing.arrow((590, 180), (550, 180))
    drawing.box(400, 250, 150, 60, "upstream", "one write, one reply", own=True)
    drawing.arrow((590, 280), (550, 280))
    drawing.box(400, 335, 150, 32, "your login API")
    drawing.arrow((475, 310), (475, 335))
    drawing.box(210, 250, 150, 60, "tokens.issue", "claims, key ring", own=True)
    drawing.arrow((400, 280), (360, 280))
    drawing.box(210, 150, 150, 60, "response", "one bytes object", own=True)
    drawing.arrow((400, 180), (360, 180))
    drawing.arrow((285, 250), (285, 210))
    drawing.arrow((285, 150), (285, 90), label="one write", at=(320, 125))
    drawing.box(20, 150, 150, 60, "observer", "log, metrics", own=True)
    drawing.arrow((210, 180), (170, 180))
    return drawing


def badges() -> Drawing:
    """What pyproject.toml says, in three words."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    python = project["project"]["requires-python"].removeprefix(">=")
    types = "strict" if project["tool"]["mypy"]["strict"] else "checked"
    words = (("Python", f"{python} or newer"), ("license", project["project"]["license"]), ("types", types))
    drawing = Drawing(f"Python {python} or newer; license {words[1][1]}; types checked: {types}", 396, 30)
    x = 4
    for name, value in words:
        width = 30 + int(6.6 * (len(name) + len(value)))
        drawing.box(x, 4, width, 22, "")
        drawing.text(x + 10, 19, name, "s")
        drawing.text(x + width - 10, 19, value, "s e")
        x += width + 8
    return drawing


DRAWINGS: Final = {
    "badges.svg": badges,
    "flow.svg": flow,
    "forward-auth.svg": forward_auth,
    "session.svg": session,
    "architecture.svg": architecture,
    "request.svg": request,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        (FOLDER / name).write_text(draw().svg())
