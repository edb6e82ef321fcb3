"""What an action would cost: the hour's bill after it, and the day's and month's if that stayed.

Prices and budgets are thousandths of the currency, never floats. Replicas count that are there, and
those that were asked for and did not come yet. A price that nobody named makes
the cost unknown, not zero; an action that adds no replica costs nothing whatever the price. The
bill of a day (UTC) is what was spent so far and what is to come at the rate after the action, until
its end; that of a month likewise.
"""

from homeostat.base.actions import Action
from homeostat.base.budgets import MoneyPolicy, projected
from homeostat.base.policy import Managed
from homeostat.base.world import Scalar
from homeostat.safety.change import Change
from homeostat.safety.sight import Sight, milli
from homeostat.safety.tree import Value

_REPLICAS = "replicas."


def bill(action: Action, change: Change, sight: Sight) -> dict[str, Value]:
    """Return the facts about money.

    Args:
        action: What would be done; what it says of its cost can only add to it.
        change: Its levers against the live ones.
        sight: What can be seen.
    """
    managed, guard = sight.state.managed, sight.state.managed.guard
    scaled, standing = change.moves("replicas."), sight.once(_standing)
    prices = dict(standing)
    prices.update((pool, price(managed, pool)) for pool, _, _ in scaled if pool not in prices)
    adds, claim = _added(scaled, prices), milli(action.cost_usd_per_hour)
    blind = sight.world is None
    added = None if blind or adds is None or claim is None else max(adds, claim)
    held = sight.once(_held)
    after = None if added is None or held is None else held + added
    money = managed.money
    budgets = () if money is None else (money.day_milli, money.month_milli)
    over, text = _over(sight, money, after)
    return {
        "priced": None not in prices.values(),
        "budgeted": guard.budget_usd_per_hour is not None,
        "budget_milli": milli(guard.budget_usd_per_hour),
        "spend_change_milli": added,
        "spend_milli": after,
        "currency": "USD" if money is None else money.currency,
        "billed": any(budget is not None for budget in budgets),
        "bill_over_milli": over,
        "bill_text": text,
    }


def _standing(sight: Sight) -> dict[str, int | None]:
    """Return what a replica of each pool that there is, or was asked for, costs an hour."""
    managed = sight.state.managed
    return {pool: price(managed, pool) for pool in sight.once(_counted)}


def _counted(sight: Sight) -> dict[str, int | None]:
    """Return how many replicas each pool has or will have, None where that is not known.

    What was asked for and did not come yet is paid for when it comes: a quota that gives way lets
    in all that pile up behind it.
    """
    found: dict[str, int | None] = {}
    for slot in sight.replicas():
        found[slot.pool] = (found.get(slot.pool) or 0) + 1
    levers = () if sight.world is None else sight.world.levers
    for lever, value in levers:
        if not lever.startswith(_REPLICAS):
            continue
        pool, wanted = lever.removeprefix(_REPLICAS), milli(value)
        there = found.get(pool) or 0
        if wanted is None:
            found[pool] = None
        elif there or wanted > 0:
            found[pool] = max(there, -(-wanted // 1000))
    return found


def _held(sight: Sight) -> int | None:
    """Return what the replicas that there are or will be cost an hour; None if that is unknown."""
    prices, total = sight.once(_standing), 0
    for pool, count in sight.once(_counted).items():
        each = prices[pool]
        if each is None or count is None:
            return None
        total += each * count
    return total


def price(managed: Managed, pool: str) -> int | None:
    """Return what one replica of a pool costs an hour, in thousandths; None = nobody named it."""
    if managed.money is not None:
        return managed.money.price(pool)
    return milli(managed.replica_usd_per_hour)


def _added(
    scaled: tuple[tuple[str, Scalar, Scalar | None], ...], prices: dict[str, int | None]
) -> int | None:
    """Return what the replicas that come and go cost an hour."""
    total = 0
    for pool, wanted, live in scaled:
        after, before = milli(wanted), milli(live)
        if after is None or before is None:
            return None
        count, each = (after - before) // 1000, prices[pool]
        if count and each is None:
            return None
        total += count * (each or 0)
    return total


def _over(sight: Sight, money: MoneyPolicy | None, after: int | None) -> tuple[int | None, str]:
    """Return by how much the worst of the budgets would be missed, and which, in words."""
    accounts = sight.state.accounts
    ledger = None if accounts is None else accounts.ledger
    if money is None or (money.day_milli is None and money.month_milli is None):
        return None, ""
    # A ledger that never saw what runs has charged nothing, which is not zero.
    uncounted = ledger is None or (ledger.earlier is None and not ledger.days)
    if ledger is None or uncounted or after is None:
        return None, "what was spent, or would be, is not known"
    worst: tuple[int, str] | None = None
    for name, budget in (("day", money.day_milli), ("month", money.month_milli)):
        if budget is None:
            continue
        total = projected(ledger, sight.now, after, month=name == "month")
        told = f"{total / 1000:.2f} of {budget / 1000:.2f} {money.currency} this {name}"
        if worst is None or total - budget > worst[0]:
            worst = (total - budget, told)
    return worst or (None, "")
