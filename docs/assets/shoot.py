"""Writes the console's screenshots next to this file: `.venv/bin/python docs/assets/shoot.py`.

The pictures show the made-up story of `homeostat.testing.story`, served by the real server and
drawn by the real console in the Chromium at /usr/bin/chromium.
"""

import asyncio
import secrets
import sys
import time
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from homeostat.base.types import KillLevel, TimeNs
from homeostat.base.units import SECOND
from homeostat.server.api.app import create_app
from homeostat.server.http import serve_app
from homeostat.server.view import View
from homeostat.testing.story import TICKS, story

HERE = Path(__file__).parent
ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
]
SHOTS = (
    ("console.png", "/d/credit", 1440, 1000, "light", False),
    ("console-dark.png", "/d/credit", 1440, 1000, "dark", False),
    ("console-full.png", "/d/credit", 1440, 1000, "light", True),
    ("console-360.png", "/d/credit", 360, 780, "light", True),
    ("fleet.png", "/", 1440, 700, "light", False),
    ("fleet-360.png", "/", 360, 780, "dark", True),
)


class Kill:
    """The kill switch, off."""

    def level(self) -> KillLevel:
        return KillLevel.OFF

    def throw(self, level: KillLevel, by: str) -> None:
        """Nobody throws it in a picture."""


async def refuse(_event: object) -> str:
    return "this is a picture"


async def shoot(browser: Browser, url: str, wanted: set[str], target: Path) -> None:
    for name, path, width, height, scheme, full in SHOTS:
        if wanted and name not in wanted:
            continue
        page = await browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1
        )
        page.on("console", lambda message: print("console:", message.text))
        page.on("pageerror", lambda error: print("error:", error))
        await page.goto(url + path)
        await page.wait_for_selector('#link[data-state="live"]')
        await page.wait_for_timeout(500)
        await page.screenshot(path=target / name, full_page=full)
        print("wrote", target / name)
        await page.close()


async def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    now = time.time_ns()
    start = TimeNs(now - (TICKS - 1) * SECOND)
    view = View()
    for beat in story(start):
        for item in beat.items:
            view.observe("credit", item)
    for name, ticks in (("fraud", 140), ("ranker", 222), ("search", 170), ("vision", 10)):
        for beat in story(TimeNs(now - ticks * SECOND), name=name, ticks=ticks, seed=ticks):
            for item in beat.items:
                view.observe(name, item)
    app = create_app(
        view=view, submit=refuse, kill=Kill(), labels=None, token=secrets.token_urlsafe(32),
        allowed_origins=(), clock=lambda: TimeNs(time.time_ns()),
    )
    async with serve_app(app) as url, async_playwright() as play:
        browser = await play.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        await shoot(browser, url, set(sys.argv[2:]), target)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
