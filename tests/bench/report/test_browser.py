"""bench/results/index.html in a real browser: it can be sorted, everybody can read it, and it asks nobody for anything.

`scripts/page` runs it, in an environment of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: scripts/page makes an environment that has it")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from bench.measure.results import FOLDER
from bench.report import plots, site
from bench.report.sources import Source
from tests.bench.report.histories import series
from tests.bench.report.results import everything
from tests.bench.report.test_page import emulated, three_hosts
from tests.demo.browser import CHROMIUM, NARROW, PATIENCE_MS, WIDE, chromium, window

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")

expect.set_options(timeout=PATIENCE_MS)
LOOKS: Final = [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light"), (NARROW, "dark")]
FEW: Final = ("txtoken", "nginx_lua", "node_fastify", "hello")  # every rule is tried on every element
OPEN_ALL: Final = "for (const one of document.querySelectorAll('details')) one.open = true"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each opens windows of its own."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module", params=["everything", "published"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page that has everything, and the one in the repository."""
    if request.param == "published":
        return FOLDER / site.FILE
    folder = tmp_path_factory.mktemp("report")
    (folder / "x86_64").mkdir()
    one = everything()
    some = [row for row in one.measurements if row.service in FEW]
    one = replace(one, measurements=tuple(some), skipped=(("go", "mixed", "not here"),))
    sources = [Source(folder / "x86_64" / "a.json", made) for made in (one, three_hosts(one), emulated(one))]
    drawn = [plots.draw(one, folder / "x86_64"), [], []]
    history = {"x86_64": [(series(50_000, 50_100, 55_000), "x86_64, compiled")]}
    page = folder / site.FILE
    page.write_text(site.text_of(sources, drawn, folder, history))
    return page


def opened(page: Page, report: Path) -> list[str]:
    """Open the report, and unfold it unless it is the long one. Returns what it asked for and complained about, which grows."""
    noticed: list[str] = []
    page.on("request", lambda request: noticed.append(request.url))
    page.on("pageerror", lambda error: noticed.append(str(error)))
    page.on("console", lambda message: noticed.append(message.text))
    page.goto(report.as_uri())
    if not report.is_relative_to(FOLDER):
        page.evaluate(OPEN_ALL)
    return noticed


@pytest.mark.timeout(240)  # axe-core looks at some thousand elements
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_everybody_can_read_it(browser: Browser, report: Path, width: int, scheme: str) -> None:
    """No rule of axe-core is broken, nothing is beside the window, and nothing but the file is asked for."""
    with window(browser, width, scheme) as context:
        page = context.new_page()
        noticed = opened(page, report)
        widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], widths
        outcome = Axe().run(page)
        assert outcome.violations_count == 0, outcome.generate_report()
        assert noticed == [report.as_uri()]


def test_it_can_be_sorted(browser: Browser, report: Path) -> None:
    """By mouse and by keyboard: rising, falling, and as it was. Numbers are sorted as numbers; what is empty stays below."""
    with window(browser) as context:
        page = context.new_page()
        opened(page, report)
        table = page.get_by_role("region", name="get_token").first.get_by_role("table")
        head = table.get_by_role("columnheader", name="CPU µs per request")
        cells = table.locator("tbody tr td:nth-child(3)")
        before = table.locator("tbody tr").all_text_contents()
        values = cells.evaluate_all("all => all.map(cell => parseFloat(cell.dataset.value))")
        button = head.get_by_role("button")
        button.click()
        expect(head).to_have_attribute("aria-sort", "ascending")
        assert cells.evaluate_all("all => all.map(cell => parseFloat(cell.dataset.value))") == sorted(values)
        button.press("Enter")
        expect(head).to_have_attribute("aria-sort", "descending")
        assert cells.evaluate_all("all => all.map(cell => parseFloat(cell.dataset.value))") == sorted(
            values, reverse=True
        )
        ratio = table.get_by_role("columnheader", name="txtoken to it")
        ratio.get_by_role("button").press("Space")
        expect(ratio).to_have_attribute("aria-sort", "ascending")
        assert head.get_attribute("aria-sort") is None
        expect(table.locator("tbody tr").last.get_by_role("rowheader")).to_have_text("txtoken")
        for _ in range(2):
            ratio.get_by_role("button").click()
        assert ratio.get_attribute("aria-sort") is None
        assert table.locator("tbody tr").all_text_contents() == before
        names = table.get_by_role("columnheader", name="service")
        names.get_by_role("button").click()
        shown = table.get_by_role("rowheader").all_text_contents()
        assert shown == sorted(shown, key=str.casefold)


def test_a_link_opens_what_it_points_to(browser: Browser, report: Path) -> None:
    """A scenario that is folded is unfolded for who comes by its name."""
    with window(browser) as context:
        page = context.new_page()
        page.goto(f"{report.as_uri()}#x86_64-check_token_distinct")
        expect(page.get_by_role("region", name="check_token_distinct")).to_be_visible()


def test_it_is_read_without_scripts(browser: Browser, report: Path) -> None:
    """Tables and curves are in the page itself; only sorting is missing."""
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(report.as_uri())
        table = page.get_by_role("region", name="get_token").first.get_by_role("table")
        expect(table.get_by_role("rowheader", name="txtoken", exact=True)).to_be_visible()
        expect(page.get_by_role("img", name="Latencies of").first).to_be_visible()
        expect(page.get_by_role("button")).to_have_count(0)
    finally:
        context.close()
