"""A browser for tests: Chromium without a window, with a profile of its own, which goes nowhere by itself. Knows no page."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Final

from playwright.sync_api import Browser, BrowserContext, sync_playwright

CHROMIUM: Final = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS: Final = 20_000
WIDE: Final = 1200
NARROW: Final = 360
HEIGHT: Final = 900


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, with an empty profile. Ends it at the end of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def window(browser: Browser, width: int = WIDE, scheme: str = "light", *, scale: float = 1) -> Iterator[BrowserContext]:
    """Open a window that knows nothing of others."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=scale,
        locale="en-GB",
        timezone_id="UTC",
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield context
    finally:
        context.close()
