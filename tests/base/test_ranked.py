"""The order among prospects: fewer missed objectives, then a better end, then the price."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.rehearsal import Foreseen, Prospect, Quantiles, ranked


def prospect(name: str, *, breach: float = 0.0, holds: float = 1.0, usd: float = 1.0) -> Prospect:
    def sure(value: float) -> Quantiles:
        return Quantiles(p5=value, p50=value, p95=value)

    seen = Foreseen(
        latency_ms=sure(10.0),
        error_ratio=sure(0.0),
        availability=sure(1.0),
        usd_per_hour=sure(usd),
        breach=sure(breach),
    )
    action = Action(kind=ActionKind.SCALE_UP, subject=name)
    return Prospect(action=action, foreseen=seen, against_hold=seen, holds=holds)


def order(*prospects: Prospect) -> list[str]:
    return [one.action.subject for one in ranked(prospects)]


def test_a_breach_counts_before_the_end_and_the_end_before_the_price() -> None:
    assert order(
        prospect("cheap and missed", breach=0.5, usd=0.0),
        prospect("dear", usd=9.0),
        prospect("ends badly", holds=0.4, usd=0.0),
        prospect("cheap"),
    ) == ["cheap", "dear", "ends badly", "cheap and missed"]


def test_of_equal_prospects_holding_is_first_and_the_others_keep_their_order() -> None:
    hold = replace(prospect("x"), action=HOLD)
    assert order(prospect("b"), prospect("a"), hold) == [HOLD.subject, "b", "a"]


def test_what_is_not_a_number_is_worst() -> None:
    assert order(prospect("?", usd=math.nan), prospect("dear", usd=1e9)) == ["dear", "?"]
    assert order(prospect("?", breach=math.nan), prospect("sure", breach=1.0)) == ["sure", "?"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 9)), max_size=8))
def test_ranking_loses_and_adds_nothing(rows: list[tuple[float, float, float]]) -> None:
    given_ = [
        prospect(str(k), breach=breach, holds=holds, usd=usd)
        for k, (breach, holds, usd) in enumerate(rows)
    ]
    found = ranked(given_)
    assert sorted(one.action.subject for one in found) == sorted(
        one.action.subject for one in given_
    )
    breaches = [one.foreseen.breach.p50 for one in found]
    assert breaches == sorted(breaches)
