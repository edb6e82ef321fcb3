"""Error budgets, burn rates and money on a deployment's page: the API's numbers, for everybody."""

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from homeostat.base.budgets import (
    DAY_NS,
    HOUR_MS,
    Accounts,
    DaySpend,
    Ledger,
    MoneyPolicy,
    Price,
    SloCounts,
    SloSpec,
    day_of,
)
from homeostat.base.types import TimeNs
from homeostat.base.units import HOUR, MINUTE
from homeostat.govern.slo import signature

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SPECS = tuple(
    SloSpec(name=name, signal="errors", subject="gateway", target_ppm=ppm, window_ns=30 * DAY_NS)
    for name, ppm in (("answers", 999_000), ("logins", 990_000), ("unseen", 995_000))
)
MONEY = MoneyPolicy(
    currency="EUR", prices=(Price(pool="", milli=1_250),), day_milli=50_000, reference_replicas=10
)


def counted(spec: SloSpec, now: TimeNs, bad: int, seen_ns: int) -> SloCounts:
    stretch = (TimeNs(now - HOUR), now, 12_345 - bad, bad, seen_ns)
    minute = (TimeNs(now - MINUTE), now, 980, bad, MINUTE)
    known = seen_ns > 0
    return SloCounts(
        name=spec.name, signature=signature(spec), since=TimeNs(now - HOUR), until=now,
        fine=(minute,) if known else (), middle=(stretch,) if known else (),
        coarse=(stretch,) if known else (),
    )  # fmt: skip


def declare(site: Any) -> None:
    """Give the deployment promises and prices: one overspent, one half seen, one never seen."""
    now = TimeNs(site.clock())
    days = (DaySpend(day=day_of(now), milli_ms=12_340 * HOUR_MS, seen_ms=2 * HOUR_MS),)
    accounts = Accounts(
        slos=(
            counted(SPECS[0], now, 20, HOUR), counted(SPECS[1], now, 10, HOUR // 2),
            counted(SPECS[2], now, 0, 0),
        ),
        ledger=Ledger(since=TimeNs(0), at=now, rate_milli=6_250, days=days, currency="EUR"),
        firing=("answers 14.4x",), paging=("answers 14.4x",), burning=True,
    )  # fmt: skip

    def put() -> None:
        seen = site.view.deployment("credit")
        seen.managed = replace(seen.managed, slos=SPECS, money=MONEY)
        seen.accounts = accounts
        site.view.accounts_of = lambda _: accounts

    site.call(put)


def findings(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    found = axe.Axe().run(page).response["violations"]
    return [v["id"] for v in found if v["impact"] in {"serious", "critical"}]


def test_the_panel_shows_what_the_api_says_and_names_what_is_not_known(
    site: Any, open_page: Callable[..., Any]
) -> None:
    declare(site)
    page = open_page()
    api = page.evaluate("fetch('/v1/deployments/credit').then((r) => r.json())")["budgets"]
    panel = page.locator("#budgets")
    assert "calls a person" not in page.locator("#burning").inner_text()
    assert "a person is called" in page.locator("#burning").inner_text()
    for promise in api["promises"]:
        card = panel.locator(f"[data-promise={promise['name']}]").inner_text()
        assert f"{promise['bad']} bad" in card
        assert f"{round(100 * promise['target'], 4):g} % good" in card
        rows = panel.locator(f"[data-promise={promise['name']}] .burn li")
        words = {True: "on", False: "off", None: "not known"}
        assert [text.split("\u00d7 ")[1].split(" over")[0] for text in rows.all_inner_texts()] == [
            words[one["on"]] for one in promise["rates"]
        ]
    overspent, half, unseen = (
        panel.locator(f"[data-promise={spec.name}] .left").inner_text() for spec in SPECS
    )
    spent = -100 * api["promises"][0]["left"]
    assert overspent.startswith(f"overspent by {round(spent, 1):g} %")
    low, high = api["promises"][1]["left_low"], api["promises"][1]["left_high"]
    assert low < 0 < high
    assert "by what was not seen" in half
    assert unseen == "not known: nothing was seen"
    assert panel.locator("[data-promise=unseen] progress").count() == 0, "no bar for no number"
    money = panel.locator("[data-money]").inner_text()
    for value in ("per_hour", "day", "day_projected", "day_budget", "month"):
        assert f"{in_cents(api['money'][value])} EUR" in money, value
    assert f"{in_cents(api['money']['savings']['saved'])} EUR" in money
    assert "no budget" in money, "of the month none is declared, and zero is another word"


def in_cents(value: float) -> Decimal:
    """As a browser rounds it: of two cents as near, the larger; Python takes the even one."""
    return Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_it_is_for_everybody_and_fits_a_small_screen(
    site: Any, open_page: Callable[..., Any]
) -> None:
    declare(site)
    for width, scheme in ((360, "dark"), (1280, "light")):
        page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
        page.wait_for_selector("#budgets:not([hidden])")
        page.wait_for_timeout(300)
        assert findings(page) == [], scheme
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_where_nothing_is_declared_there_is_no_panel(open_page: Callable[..., Any]) -> None:
    page = open_page()
    assert page.locator("#budgets").is_hidden()
