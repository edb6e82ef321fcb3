"""Money, error budgets and sharing only forbid: whatever is known of them, nothing more may run."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    month_end,
    projected,
)
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState, NeedApproval
from homeostat.base.units import HOUR, MILLISECOND, TimeNs
from homeostat.safety.facts import facts
from homeostat.safety.guard import guard
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_budgets import priced, spent
from homeostat.testing.guard_cases import budget, slo, verdict

K = ActionKind
ACTIONS = (
    g.scale(4),
    g.scale(5),
    g.scale(2, K.SCALE_DOWN),
    g.act(K.BATCH_UP, names.pool("a"), batch_max=16),
    g.act(K.RESIZE_DOWN, names.pool("a"), concurrency_max=12),
    g.act(K.SHIFT_TRAFFIC, names.pool("a"), weight__b=2.0),
    g.restart("a-1"),
)
DAYS = st.lists(
    st.tuples(st.integers(-40, 0), st.integers(0, 10**13)), max_size=5, unique_by=lambda one: one[0]
)


def strictness(answer: GuardAnswer) -> int:
    match answer:
        case Allow():
            return 0
        case NeedApproval():
            return 1
        case Deny():
            return 2


@st.composite
def books(draw: st.DrawFn) -> Accounts | None:
    if draw(st.booleans()) and draw(st.booleans()):
        return None
    today = day_of(g.NOW)
    days = tuple(DaySpend(day=today + day, milli_ms=ms) for day, ms in sorted(draw(DAYS)))
    at = TimeNs(g.NOW - draw(st.integers(0, 2 * HOUR)))
    ledger = Ledger(since=TimeNs(0), at=at, rate_milli=draw(st.none() | st.integers(0, 9000)),
                    days=days, earlier=draw(st.none() | st.just(days)))  # fmt: skip
    return Accounts(
        ledger=draw(st.none() | st.just(ledger)), burning=draw(st.none() | st.booleans())
    )


AMOUNT = st.none() | st.integers(-10, 10**6)


@given(
    action=st.sampled_from(ACTIONS), accounts=books(), day=AMOUNT, month=AMOUNT,
    sharing=st.integers(0, 2), priced_=st.booleans(), hour=st.none() | st.integers(1, 9),
    met=st.none() | st.booleans(), undo=st.booleans(),
)  # fmt: skip
def test_what_is_known_of_budgets_never_lets_more_through(
    action: Action, accounts: Accounts | None, day: int | None, month: int | None, sharing: int,
    hour: int | None, *, priced_: bool, met: bool | None, undo: bool,
) -> None:  # fmt: skip
    bare = slo(g.scene(), met=met)
    bare = bare if hour is None else budget(bare, float(hour))
    prices = (Price(pool="", milli=1_000),) if priced_ else ()
    money = MoneyPolicy(prices=prices, day_milli=day, month_milli=month)
    state = replace(
        bare,
        managed=replace(bare.managed, money=money),
        accounts=accounts,
        fleet=replace(bare.fleet, sharing_changing=sharing),
    )
    before = guard(action, bare, g.NOW, undo=undo)
    after = guard(action, state, g.NOW, undo=undo)
    if priced_ or hour is None or undo:
        assert strictness(after) >= strictness(before)
    else:  # a pool that lost its price is asked about, whatever its cost would have been
        assert strictness(after) >= min(1, strictness(before))
    if undo:
        assert strictness(after) == strictness(before)


@given(accounts=books(), day=st.integers(0, 10**6), held=st.booleans())
def test_one_more_replica_in_trouble_is_never_refused_for_money_alone(
    accounts: Accounts | None, day: int, *, held: bool
) -> None:
    """No trap: where the books are open, a person may always say yes."""
    ledger = None if accounts is None else accounts.ledger
    if ledger is None or (ledger.earlier is None and not ledger.days):
        return  # not open: no book, or nothing ever entered
    ill = slo(g.scene(), met=False)
    state = priced(ill, accounts, prices=(Price(pool="", milli=1_000),), day_milli=day)
    state = budget(state, 1.0) if held else state
    assert not isinstance(guard(g.scale(4), state, g.NOW), Deny)


@given(
    before=st.integers(0, 10**6), more=st.integers(0, 10**6), gone=st.integers(0, DAY_NS - 1),
    month=st.booleans(),
)  # fmt: skip
def test_a_bill_grows_with_what_was_spent_and_with_what_is_to_come(
    before: int, more: int, gone: int, *, month: bool
) -> None:
    day = day_of(g.NOW)
    now = TimeNs(day * DAY_NS + gone)
    end = month_end(day) if month else day + 1

    def bill(spent_ms: int, rate: int) -> int:
        ledger = Ledger(
            since=TimeNs(0), at=now, rate_milli=0, days=(DaySpend(day=day, milli_ms=spent_ms),)
        )
        return projected(ledger, now, rate, month=month)

    assert bill(before, 0) == -(-before // HOUR_MS)
    assert bill(before + more, 7) >= bill(before, 7)
    assert bill(before, 7 + more) >= bill(before, 7)
    ahead_ms = (end * DAY_NS - now) // MILLISECOND
    assert bill(0, 3_600) == -(-ahead_ms // 1000)  # a unit a second


def test_the_reason_names_the_bill_its_budget_and_its_period() -> None:
    state = priced(g.scene(), spent(5_000), day_milli=6_000, month_milli=10**9)
    answer = guard(g.scale(4), state, g.NOW)
    assert isinstance(answer, Deny)
    (reason,) = answer.reasons
    assert reason.startswith("G8 bill: ")
    assert reason.endswith(" of 6.00 USD this day, if this stayed")


def test_of_two_budgets_the_one_that_is_missed_by_more_speaks() -> None:
    state = priced(g.scene(), spent(5_000), day_milli=10**9, month_milli=6_000)
    assert "this month" in str(guard(g.scale(4), state, g.NOW))
    found = facts(g.scale(4), look(state, g.NOW))
    assert isinstance(found["bill_over_milli"], int)
    assert found["bill_over_milli"] > 0


def test_books_that_are_not_open_are_named_as_unknown() -> None:
    state = priced(g.scene(), None, day_milli=6_000)
    assert verdict(guard(g.scale(4), state, g.NOW))[0] == "deny"
    assert "not known: bill_over_milli" in str(guard(g.scale(4), state, g.NOW))


def test_a_world_that_was_not_read_costs_nobody_knows_what() -> None:
    blind: GuardState = replace(priced(g.scene(), spent(0), day_milli=10**9), world=None)
    found = facts(g.scale(4), look(blind, g.NOW))
    assert (found["spend_milli"], found["spend_change_milli"]) == (None, None)
    assert found["bill_over_milli"] is None


def test_a_ledger_that_never_saw_what_runs_is_no_bill_of_zero() -> None:
    never = Accounts(ledger=Ledger(since=TimeNs(0), at=g.NOW, rate_milli=None))
    answer = guard(g.scale(4), priced(g.scene(), never, month_milli=10**9), g.NOW)
    assert not isinstance(answer, Allow)
    assert "what was spent" in " ".join(answer.reasons)


@pytest.mark.parametrize(
    ("asked_for", "before", "after"),
    [(3, 4_000, 5_000), (2, 4_000, 5_000), (6, 7_000, 8_000), (5.5, 7_000, 8_000)],
)
def test_what_was_asked_for_and_did_not_come_yet_costs_as_well(
    asked_for: float, before: int, after: int
) -> None:
    """Three of a and one of b are there; whatever piles up behind a quota comes at once."""
    pending = budget(g.with_levers(g.scene(), replicas__a=asked_for), 7.0)
    one_more = g.scale(round(asked_for + 0.4) + 1)
    assert facts(g.restart("a-1"), look(pending, g.NOW), undo=False)["spend_milli"] == before
    assert facts(one_more, look(pending, g.NOW), undo=False)["spend_milli"] == after
    dear = "G8 budget" in str(guard(one_more, pending, g.NOW))
    assert dear == (after > 7_000)


def test_a_number_of_replicas_that_cannot_be_read_costs_nobody_knows_what() -> None:
    unread = g.with_levers(g.scene(), replicas__a=float("nan"))
    found = facts(g.scale(4), look(unread, g.NOW), undo=False)
    assert (found["spend_milli"], found["priced"]) == (None, True)


def test_a_pool_that_nothing_was_asked_for_in_needs_no_price() -> None:
    spare = g.with_levers(g.scene(), replicas__c=0)
    money = MoneyPolicy(prices=tuple(Price(pool=pool, milli=1_000) for pool in ("a", "b")))
    for state, known in ((spare, True), (g.with_levers(spare, replicas__c=1), False)):
        named = replace(state, managed=replace(state.managed, money=money))
        found = facts(g.scale(4), look(named, g.NOW), undo=False)
        assert (found["spend_milli"] is not None, found["priced"]) == (known, known)
