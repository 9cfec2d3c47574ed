"""Takes the pictures of the demo's page, light and dark, after a login and a broken character: `scripts/page --screenshot`."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page, expect

from tests.demo.browser import WIDE, chromium, window
from tests.running import service_process

PICTURES: Final = {"demo-page.png": "light", "demo-page-dark.png": "dark"}
BYTES_MAX: Final = 200 * 1024
LAST: Final = "section:has(#check)"  # what stands below is left out
MARGIN: Final = 16
LOGINS: Final = 3  # the first one opens connections
COLOURS: Final = 256
PORTS: Final = ("--port", "8888", "--login-port", "8889")  # as in the documents
# The same character each time, in the claims: pictures of two runs differ as little as can be.
CHANCE: Final = "Math.random = () => 0.4"


def use(page: Page) -> None:
    """Log in, and break a character."""
    for count in range(1, LOGINS + 1):
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#log div.mine", has_text="getToken")).to_have_count(count)
    expect(page.locator("#seen-reply")).to_contain_text("Ada Lovelace")
    page.get_by_role("button", name="Break one character").click()
    expect(page.locator("#check-outcome")).to_contain_text("401")
    expect(page.locator("#log div.mine", has_text="checkToken")).to_have_count(1)
    page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")


def take(folder: Path) -> None:
    """Take the pictures, and write them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as name,
        service_process(Path(name), "demo", *PORTS) as demo,
        chromium() as browser,
    ):
        url = demo.line_with("Open http").split()[1]
        demo.line_with("listening")
        for picture, scheme in PICTURES.items():
            with window(browser, scheme=scheme) as context:
                context.add_init_script(CHANCE)
                page = context.new_page()
                page.emulate_media(reduced_motion="reduce")
                page.goto(url)
                use(page)
                file = folder / picture
                end = page.locator(LAST).bounding_box()
                assert end is not None
                clip = {"x": 0, "y": 0, "width": WIDE, "height": end["y"] + end["height"] + MARGIN}
                data = page.screenshot(full_page=True, clip=clip)
                # Few colours, so a palette holds them: a third of the bytes.
                # This way to choose them is off by 7 of 255 at most (the default one: by 54, and the mark was brown).
                image = Image.open(io.BytesIO(data)).convert("RGB")
                image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=4).save(file, optimize=True)
                size = file.stat().st_size
                if size > BYTES_MAX:
                    sys.exit(f"{file} has {size} bytes, more than {BYTES_MAX}")


if __name__ == "__main__":
    take(Path(sys.argv[1]))
