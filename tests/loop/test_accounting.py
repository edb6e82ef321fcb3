"""The books are kept at each tick, survive the journal, and tell when a budget begins to burn."""

from dataclasses import replace

from homeostat.base import codec
from homeostat.base.budgets import MoneyPolicy, Price, SloSpec
from homeostat.base.decisions import Urgency
from homeostat.base.events import FleetView, Tell, Ticked
from homeostat.base.policy import KillLevel
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, MINUTE, TimeNs
from homeostat.govern.accounts import books
from homeostat.loop import step as loop_step
from homeostat.loop.accounting import kept
from homeostat.loop.memory import guard_state
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
SLO = SloSpec(
    name="errors", signal="errors", subject="gateway", target_ppm=990_000,
    window_ns=30 * 24 * HOUR,
)  # fmt: skip
MONEY = MoneyPolicy(prices=(Price(pool="", milli=1_000),), day_milli=100_000)


def begun() -> LoopState:
    managed = replace(build.managed(), slos=(SLO,), money=MONEY, scrape_ns=MINUTE)
    return loop_step.initial(managed)


def test_only_the_fast_alerts_may_wake_anybody() -> None:
    state, urgencies = begun(), {}
    bad = build.evidence(values={("gateway", "error_ratio"): 0.5}, slo_met=None)
    for minute in range(0, 3 * 24 * 60, 5):
        state, commands = kept(PARTS, state, bad, TimeNs(build.START + minute * MINUTE))
        for one in commands:
            assert isinstance(one, Tell)
            urgencies[one.notice.title.split()[6]] = one.notice.urgency
    assert urgencies == {
        "14.4x": Urgency.PAGE, "6x": Urgency.PAGE, "3x": Urgency.INFO, "1x": Urgency.INFO,
    }  # fmt: skip


def ticked(state: LoopState, ticks: int, ratio: float) -> tuple[LoopState, list[str]]:
    """Return the state after ticks a minute apart, and what people were told of budgets."""
    now = build.START if state.evidence is None else TimeNs(state.evidence.at + MINUTE)
    told: list[str] = []
    for _ in range(ticks):
        evidence = build.evidence(values={("gateway", "error_ratio"): ratio}, slo_met=None)
        evidence = replace(evidence, at=now, deployment=state.managed.name)
        event = Ticked(at=now, evidence=evidence, fleet=FleetView(), kill=KillLevel.OFF)
        state, commands = loop_step.step(PARTS, state, event)
        titles = [one.notice.title for one in commands if isinstance(one, Tell)]
        told += [title for title in titles if "error budget" in title]
        now = TimeNs(now + MINUTE)
    return state, told


def test_a_budget_that_begins_to_burn_is_told_once_and_once_when_it_is_over() -> None:
    state, told = ticked(begun(), 90, 0.5)
    fast = [title for title in told if "14.4x" in title]
    assert fast == ["the error budget of errors burns 14.4x as fast as it may"]
    assert state.accounts is not None
    assert state.accounts.burning is True
    _, told = ticked(state, 30, 0.0)
    assert "the error budget of errors no longer burns 14.4x as fast as it may" in told


def test_what_is_not_known_puts_out_no_alert() -> None:
    state, _ = ticked(begun(), 90, 0.5)
    silent = replace(build.evidence(), readings=())
    for minutes in range(10, 200, 10):
        assert state.evidence is not None
        now = TimeNs(state.evidence.at + minutes * MINUTE)
        state, commands = kept(PARTS, state, silent, now)
        assert commands == ()
    assert state.accounts is not None
    assert "errors 14.4x" in state.accounts.firing


def test_the_guards_see_the_books_and_a_snapshot_keeps_them() -> None:
    state, _ = ticked(begun(), 61, 0.001)
    assert guard_state(state).accounts == state.accounts
    again = codec.decode(codec.encode(state))
    assert again.accounts == state.accounts
    shown = books(again.accounts, again.managed, TimeNs(build.START + HOUR))
    assert shown is not None
    assert [report.window.bad for report in shown.slos] != []
    assert shown.day_milli is not None
    assert shown.day_milli > 0


def test_without_promises_and_prices_nothing_is_kept() -> None:
    state, told = ticked(loop_step.initial(build.managed()), 3, 0.5)
    assert (state.accounts, told) == (None, [])


def test_a_journal_from_before_the_books_is_read() -> None:
    state, _ = ticked(loop_step.initial(build.managed()), 1, 0.0)
    old = codec.encode(state).replace(b'"accounts":null,', b"")
    old = (
        old.replace(b'"money":null,', b"").replace(b'"slos":[],', b"").replace(b'"shares":[],', b"")
    )
    assert b"accounts" not in old
    assert b"shares" not in old
    assert codec.decode(old) == state
