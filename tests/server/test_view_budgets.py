"""Error budgets, money and freezes as people and Prometheus see them: unknown is no number."""

from dataclasses import replace
from typing import Any

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
from homeostat.base.events import FleetView, Started, Ticked
from homeostat.base.policy import KillLevel
from homeostat.base.units import HOUR, MINUTE, TimeNs
from homeostat.cli.tables import clock
from homeostat.cli.tables_budgets import budgets as table
from homeostat.govern.slo import signature
from homeostat.server.api.answers import DetailOut
from homeostat.server.api.budgets import BudgetsOut, FreezeOut
from homeostat.server.api.metrics_budgets import families
from homeostat.server.shown import freeze_of
from homeostat.server.view import View
from homeostat.server.view_plain import detail
from homeostat.testing import build

NOW = TimeNs(build.START + HOUR)
SLO = SloSpec(
    name="answers", signal="errors", subject="gateway", target_ppm=990_000, window_ns=30 * DAY_NS
)
MONEY = MoneyPolicy(prices=(Price(pool="", milli=1_000),), day_milli=50_000, reference_replicas=10)


def counted(*, seen_ns: int = HOUR) -> SloCounts:
    stretch = (TimeNs(NOW - HOUR), NOW, 980, 20, seen_ns)
    minute = (TimeNs(NOW - MINUTE), NOW, 980, 20, MINUTE)
    return SloCounts(
        name="answers", signature=signature(SLO), since=TimeNs(NOW - HOUR), until=NOW,
        fine=(minute,), middle=(stretch,), coarse=(stretch,),
    )  # fmt: skip


def books(**changes: Any) -> Accounts:
    days = (DaySpend(day=day_of(NOW), milli_ms=12_000 * HOUR_MS, seen_ms=2 * HOUR_MS),)
    ledger = Ledger(since=TimeNs(0), at=NOW, rate_milli=6_000, days=days)
    return replace(
        Accounts(slos=(counted(),), ledger=ledger, firing=("answers 6x",), burning=True), **changes
    )


def viewed(accounts: Accounts | None) -> View:
    managed = replace(build.managed(), slos=(SLO,), money=MONEY)
    view = View()
    view.accounts_of = lambda _: accounts
    view.freeze_of = lambda _: (NOW, TimeNs(NOW + HOUR), "Friday")
    view.event(Started(at=build.START, epoch=1, managed=managed))
    evidence = replace(build.evidence(), deployment=managed.name, at=NOW)
    view.event(Ticked(at=NOW, evidence=evidence, fleet=FleetView(), kill=KillLevel.OFF))
    return view


def row(view: View) -> dict[str, Any]:
    (state,) = view.deployments()
    return detail(state, NOW, recent=5)


def test_the_books_are_shown_as_the_contract_says() -> None:
    found = row(viewed(books()))
    BudgetsOut.model_validate(found["budgets"])
    FreezeOut.model_validate(found["freeze"])
    DetailOut.model_validate({**found, "cursor": "1", "now": 1.0, "kill": "off"})
    promise = found["budgets"]["promises"][0]
    assert (promise["good"], promise["bad"], promise["seen"]) == (980, 20, 1.0)
    assert promise["left"] == -1.0  # twice the errors that are allowed
    assert found["budgets"]["money"]["day"] == 12.0
    assert found["budgets"]["money"]["savings"]["saved"] == 8.0


def test_what_is_not_known_is_null_and_has_no_sample() -> None:
    blind = replace(counted(), fine=(), middle=(), coarse=())
    view = viewed(books(slos=(blind,), ledger=None, firing=(), burning=None))
    found = row(view)["budgets"]
    assert found["burning"] is None
    assert found["promises"][0]["left"] is None
    assert {rate["on"] for rate in found["promises"][0]["rates"]} == {None}
    assert found["money"]["day"] is None
    samples = {family.name: family.samples for family in families(view.deployments(), NOW)}
    assert samples["homeostat_error_budget_left"] == []
    assert samples["homeostat_error_budget_alert"] == []
    assert samples["homeostat_spend"] == []
    told = table({"budgets": found, "freeze": None}, clock)
    assert told["budget answers"][0].startswith("unknown left of 1.000% in 30 d")


def test_metrics_carry_the_books() -> None:
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(viewed(books()).deployments(), NOW)
        for sample in family.samples
    }
    name = build.managed().name
    assert samples["homeostat_error_budget_left", name, "answers"] == -1.0
    assert samples["homeostat_error_budget_burn_rate", name, "answers", "60m"] == 2.0
    assert samples["homeostat_spend", name, "day", "USD"] == 12.0
    assert samples["homeostat_spend", name, "hour", "USD"] == 6.0


def test_the_table_says_what_the_unseen_could_change_and_what_savings_assume() -> None:
    told = table(row(viewed(books(slos=(counted(seen_ns=HOUR // 2),)))), clock)
    assert "between -5000.0% and 0.0% by what was not seen" in told["budget answers"][0]
    assert any("against 10 replicas" in line for line in told["money"])
    assert any(line.startswith("day 12.00 of 50.00 USD, ") for line in told["money"])
    assert any(line.endswith(" by its end at this rate") for line in told["money"])
    assert str(told["freeze"]).endswith("Friday")


def test_where_nothing_is_declared_nothing_is_shown() -> None:
    view = viewed(None)
    assert row(view)["budgets"] is None
    assert next(iter(families(view.deployments(), NOW))).samples == []
    assert table({"budgets": None, "freeze": None}, clock) == {}


def test_the_next_freeze_comes_from_the_files_and_is_looked_up_once_a_minute() -> None:
    asked: list[TimeNs] = []
    window = (NOW, None, "Friday")

    class Config:
        def next_freeze(self, _name: str, now: TimeNs) -> tuple[TimeNs, None, str]:
            asked.append(now)
            return window

    class Files:
        config = Config()

    class Wall:
        at = NOW

        def wall(self) -> TimeNs:
            return self.at

    clock_ = Wall()
    look = freeze_of(Files(), clock_)  # type: ignore[arg-type]  # stand-ins
    assert [look("m"), look("m")] == [window, window]
    clock_.at = TimeNs(NOW + MINUTE)
    assert look("m") == window
    assert asked == [NOW, NOW + MINUTE]
