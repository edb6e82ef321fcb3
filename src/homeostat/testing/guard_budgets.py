"""Cases for the guards of money, error budgets and what deployments share."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.budgets import (
    DAY_NS,
    HOUR_MS,
    Accounts,
    DaySpend,
    Ledger,
    MoneyPolicy,
    Price,
    day_of,
)
from homeostat.base.guard import GuardState
from homeostat.base.units import HOUR, TimeNs
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import Case, budget, fleet, slo

PRICES: Final = (Price(pool="a", milli=1_000), Price(pool="b", milli=3_000))
TODAY: Final = day_of(g.NOW)
LEFT_MS: Final = ((TODAY + 1) * DAY_NS - g.NOW) // 1_000_000


def spent(milli: int, *, day: int = TODAY, at: TimeNs = g.NOW) -> Accounts:
    """Return the books of a deployment that has spent so much on a day, and nothing on others."""
    days = (DaySpend(day=day, milli_ms=milli * HOUR_MS),)
    return Accounts(ledger=Ledger(since=at, at=at, rate_milli=6_000, days=days))


def priced(
    state: GuardState, accounts: Accounts | None = None, *, prices: tuple[Price, ...] = PRICES,
    day_milli: int | None = None, month_milli: int | None = None,
) -> GuardState:  # fmt: skip
    """Return the state with prices, budgets and books."""
    money = MoneyPolicy(prices=prices, day_milli=day_milli, month_milli=month_milli)
    managed = replace(state.managed, money=money)
    return replace(state, managed=managed, accounts=accounts)


def budget_cases() -> Iterator[Case]:
    """Yield what prices, bills, error budgets and sharing change, and what they do not."""
    up, down = g.scale(4), g.scale(2, ActionKind.SCALE_DOWN)
    batch = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16)
    yield from _hours(up, down)
    yield from _bills(up, down, batch)
    yield from _prices(up, down, batch)
    yield from _burning(up, down, batch)
    yield from _sharing(up, batch)


def _hours(up: Action, down: Action) -> Iterator[Case]:
    # Three replicas of a and one of b: 6 an hour, 7 with one more.
    yield Case("within the hour's budget, by pool", budget(priced(g.scene()), 7.0), up)
    poor = budget(priced(g.scene()), 6.999)
    yield Case("beyond it, by pool", poor, up, "deny", "G8 budget")
    yield Case("beyond it, saving", poor, down)
    dear = g.act(ActionKind.SCALE_UP, names.pool("b"), replicas__b=2)
    yield Case("a dearer pool", budget(priced(g.scene()), 8.999), dear, "deny", "G8 budget")
    yield Case("a dearer pool within", budget(priced(g.scene()), 9.0), dear)


def _bills(up: Action, down: Action, batch: Action) -> Iterator[Case]:
    bill, trouble = "G8 bill", "G8 bill in trouble"
    most = 5_000 + -(-7_000 * LEFT_MS // HOUR_MS)
    within = priced(g.scene(), spent(5_000), day_milli=most)
    yield Case("within the day's budget", within, up)
    over = priced(g.scene(), spent(5_000), day_milli=most - 1)
    yield Case("beyond the day's budget", over, up, "deny", bill)
    yield Case("beyond it, saving", over, down)
    yield Case("beyond it, free", over, batch)
    claimed = replace(batch, cost_usd_per_hour=1.0)
    yield Case("beyond it, a claimed cost", over, claimed, "deny", bill)
    yield Case("beyond it in trouble", slo(over, met=False), up, "ask", trouble)
    blind = slo(over, met=None)
    yield Case("beyond it, trouble unknown", blind, up, "deny", bill)
    yesterday = priced(g.scene(), spent(5_000, day=TODAY - 1), day_milli=most - 5_000)
    yield Case("yesterday is another day", yesterday, up)
    yield Case("but the same month", replace_month(yesterday, most), up, "deny", bill)
    late = priced(g.scene(), spent(5_000, at=TimeNs(g.NOW - HOUR)), day_milli=most)
    yield Case("an hour that is not booked yet", late, up, "deny", bill)
    unread = priced(g.scene(), None, day_milli=10**9)
    yield Case("no books", unread, up, "deny", f"{bill}|{trouble}")
    yield Case("no books, saving", unread, down)


def replace_month(state: GuardState, month_milli: int) -> GuardState:
    """Return the state with a budget of the month too."""
    money = state.managed.money
    assert money is not None  # noqa: S101 - a scene that was priced
    changed = replace(money, month_milli=month_milli)
    return replace(state, managed=replace(state.managed, money=changed))


def _prices(up: Action, down: Action, batch: Action) -> Iterator[Case]:
    price = "G8 price"
    some = budget(priced(g.scene(), prices=PRICES[:1]), 1000.0)  # nobody named the price of b
    yield Case("a pool without a price", some, up, "ask", price)
    yield Case("without a price, free", some, batch)
    yield Case("without a price, fewer of what has one", some, down)
    none = budget(priced(g.scene(), prices=()), 1000.0)
    yield Case("no price at all", none, up, "ask", price)
    yield Case("no price, no more", none, batch)
    yield Case("no price, fewer", none, down, "ask", price)
    month = priced(g.scene(), spent(0), prices=(), month_milli=1)
    yield Case("no price, a month's budget", month, up, "ask", price)
    yield Case("no price, no budget", priced(g.scene(), prices=()), up)


def _burning(up: Action, down: Action, batch: Action) -> Iterator[Case]:
    rule = "G7 error budget"
    to_new = g.act(ActionKind.SHIFT_TRAFFIC, names.pool("a"), weight__b=2.0)
    back = g.act(ActionKind.SHIFT_TRAFFIC, names.pool("b"), weight__b=10.0)
    less = g.act(ActionKind.RESIZE_DOWN, names.pool("a"), concurrency_max=12)
    for burning in (True, None):
        state = replace(g.scene(), accounts=Accounts(burning=burning))
        for action in (down, less, to_new):
            name = f"burning {burning}, {action.kind.value}"
            yield Case(name, state, action, "deny", rule)
        for action in (up, batch, back):
            yield Case(f"burning {burning}, {action.kind.value} {action.subject}", state, action)
    calm = replace(g.scene(), accounts=Accounts(burning=False))
    for action in (down, less, to_new):
        yield Case(f"not burning, {action.kind.value}", calm, action)


def _sharing(up: Action, batch: Action) -> Iterator[Case]:
    busy = fleet(g.scene(), sharing_changing=1, targets_changing=1)
    yield Case("what it shares is changing", busy, batch, "deny", "G5 sharing")
    yield Case("what it shares is changing, +1", busy, up, "deny", "G5 sharing")
    yield Case("somebody else is changing", fleet(g.scene(), targets_changing=1), batch)
