"""Writes the console's screenshots next to this file: `.venv/bin/python docs/assets/shoot.py`.

The pictures show the made-up story of `homeostat.testing.story`, served by the real server and
drawn by the real console in the Chromium at /usr/bin/chromium.
"""

import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from homeostat.adapters.stores.sqlite import PART
from homeostat.base.actions import HOLD, Action
from homeostat.base.codec import encode
from homeostat.base.events import Event
from homeostat.base.rehearsal import Foreseen, Prospect, Quantiles, Rehearsal, Trust
from homeostat.base.types import KillLevel, TimeNs
from homeostat.base.units import SECOND
from homeostat.server.api.app import create_app
from homeostat.server.auditing import Audit
from homeostat.server.http import serve_app
from homeostat.server.ladder import Ladder
from homeostat.server.ladder import rows as rows_of
from homeostat.server.view import View
from homeostat.testing.asked import asked
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
    ("approvals.png", "/approvals", 1280, 900, "light", True),
    ("approvals-360.png", "/approvals", 360, 780, "dark", True),
    ("explanation.png", "/d/credit/d-0001", 1280, 900, "light", True),
    ("explanation-360.png", "/d/credit/d-0001", 360, 780, "light", True),
    ("policy.png", "/policy", 1280, 900, "light", True),
    ("policy-360.png", "/policy", 360, 780, "light", True),
    ("audit.png", "/audit", 1280, 900, "dark", True),
    ("audit-360.png", "/audit", 360, 780, "light", True),
)


class Kill:
    """The kill switch, off."""

    def level(self) -> KillLevel:
        return KillLevel.OFF

    def throw(self, level: KillLevel, by: str) -> None:
        """Nobody throws it in a picture."""


async def refuse(_event: object) -> str:
    return "this is a picture"


def foreseen(action: Action, at: TimeNs) -> Rehearsal:
    """Return what a twin would say of the story's open question."""

    def q(low: float, mid: float, high: float) -> Quantiles:
        return Quantiles(p5=low, p50=mid, p95=high)

    def of(latency: Quantiles, breach: Quantiles, usd: float) -> Foreseen:
        return Foreseen(
            latency_ms=latency, error_ratio=q(0.001, 0.002, 0.004),
            availability=q(0.996, 0.998, 0.999), usd_per_hour=q(usd, usd, usd), breach=breach,
        )

    well = of(q(92.0, 118.0, 161.0), q(0.0, 0.01, 0.05), 8.4)
    hold = of(q(240.0, 331.0, 460.0), q(0.4, 0.71, 0.93), 6.3)
    prospects = (
        Prospect(action=HOLD, foreseen=hold, against_hold=hold, holds=0.2),
        Prospect(action=action, foreseen=well, against_hold=well, holds=0.97),
    )
    return Rehearsal(
        id="r-0001", at=at, horizon_ns=300 * SECOND, draws=64, prospects=prospects, trust=Trust()
    )


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
    seen = view.deployment("credit")
    record = seen.actions.get("d-0002").record
    waiting = asked(seen.managed, seen.evidence, seen.world, record)
    seen.rehearsals.put("d-0002", foreseen(record.action, waiting.evidence.at))
    folder = tempfile.TemporaryDirectory()
    journal = PART.build(PART.config(path=Path(folder.name) / "story.db"))
    journal.claim_epoch("a picture", start)
    for beat in story(start):
        rows = [
            (beat.at, "credit", "event" if isinstance(item, Event) else "command", encode(item))
            for item in beat.items
        ]
        journal.append(rows, durable=False)
    ladder = Ladder()
    ladder.load(journal)
    app = create_app(
        view=view, submit=refuse, kill=Kill(), labels=None, token=secrets.token_urlsafe(32),
        allowed_origins=(), clock=lambda: TimeNs(time.time_ns()),
        states=lambda name: waiting if name == "credit" else None,
        autonomy=lambda: rows_of(ladder.ledger, {"credit": waiting}), audit=Audit(journal),
    )
    async with serve_app(app) as url, async_playwright() as play:
        browser = await play.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        await shoot(browser, url, set(sys.argv[2:]), target)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
