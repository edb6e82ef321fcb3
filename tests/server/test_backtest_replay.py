"""A past replayed in shadow: what lasts is found, a gap is unknown, and nothing is ever done."""

from typing import Any

import numpy as np
import pytest
from backtest_case import BEGAN_S, STEP_S, managed, past, replayed

from homeostat.base.actions import ActionKind
from homeostat.base.evidence import Family
from homeostat.base.policy import Mode
from homeostat.server.backtest.found import found
from homeostat.server.backtest.play import Seen
from homeostat.server.backtest.recorded import Grid, History
from homeostat.server.backtest.told import deployment

pytestmark = pytest.mark.slow


def _plain(seen: Seen, history: History, grid: Grid, source: str) -> dict[str, Any]:
    return deployment(seen, found(seen, history, grid), history, grid, source)


OVERLOAD = range(60, 72)
GAP = range(90, 96)


def test_an_overload_is_found_and_one_more_replica_would_have_been_asked_for() -> None:
    seen, histories, grid = replayed((managed(), past(overload=OVERLOAD)))
    what = found(seen[0], histories[0], grid)
    (breach,) = what.breaches
    assert (breach.first, breach.last, breach.missed) == (60, 71, 12)
    (course,) = [one for one in what.courses if one.felt]
    assert course.incident.family is Family.LOAD
    assert course.wanted is not None
    tick, action = course.wanted
    assert (action.kind, action.change) == (ActionKind.SCALE_UP, (("replicas.a", 5),))
    assert breach.confirmed is not None
    assert 60 < breach.confirmed <= tick <= 63
    assert course.outcome == "act"


def test_a_gap_is_unknown_and_counts_neither_as_met_nor_as_missed() -> None:
    seen, histories, grid = replayed((managed(), past(gap=GAP)))
    assert np.flatnonzero(np.isnan(seen[0].met[8:])).tolist() == [row - 8 for row in GAP]
    what = found(seen[0], histories[0], grid)
    assert what.known == what.ticks - len(GAP)
    assert not what.breaches
    blind = [one for one in what.courses if one.incident.family is Family.SENSOR]
    assert [one.outcome for one in blind] == ["blind"]
    assert not what.extra()


def test_calm_is_left_alone() -> None:
    seen, histories, grid = replayed((managed(), past(rows=200)))
    what = found(seen[0], histories[0], grid)
    assert not what.courses
    assert what.missed == 0


def test_bounds_refuse_and_the_refusal_is_told_with_its_reason() -> None:
    tight = past(overload=OVERLOAD, replicas=np.full(120, 8.0), queue=None)
    seen, histories, grid = replayed((managed(), tight))
    plain = _plain(seen[0], histories[0], grid, "made.csv")
    felt = [one for one in plain["incidents"] if one["felt"]]
    assert [one["action"] for one in felt] == [None]
    assert felt[0]["outcome"] == "page"
    assert felt[0]["paged_s"] is not None


def test_without_service_times_nobody_is_blamed_and_a_person_is_told() -> None:
    seen, histories, grid = replayed((
        managed(),
        past(overload=OVERLOAD, service_s=None, batch_size=None),
    ))
    plain = _plain(seen[0], histories[0], grid, "made.csv")
    assert [one["family"] for one in plain["incidents"]] == ["unclear"]
    assert plain["incidents"][0]["action"] is None
    assert plain["summary"]["detected"]["value"] == 1.0


def test_without_replicas_nothing_can_be_done() -> None:
    seen, histories, grid = replayed((managed(), past(overload=OVERLOAD, replicas=None)))
    plain = _plain(seen[0], histories[0], grid, "made.csv")
    assert plain["summary"]["would"]["act"] == 0
    assert plain["summary"]["breaches"] == 1


def test_side_by_side_is_as_alone() -> None:
    one = (managed("one"), past(overload=OVERLOAD, seed=1))
    other = (managed("other"), past(overload=range(30, 40), gap=GAP, seed=2))
    both, histories, grid = replayed(one, other)
    together = [_plain(s, h, grid, "made.csv") for s, h in zip(both, histories, strict=True)]
    for pair, expected in zip((one, other), together, strict=True):
        (seen,), (history,), own = replayed(pair)
        assert _plain(seen, history, own, "made.csv") == expected


def test_it_is_a_shadow_whatever_the_configuration_says() -> None:
    seen, _, _ = replayed((managed(), past(rows=20)))
    assert seen[0].managed.mode is Mode.SHADOW
    assert not seen[0].managed.acts


def test_times_are_those_of_the_recording() -> None:
    seen, histories, grid = replayed((managed(), past(overload=OVERLOAD)))
    plain = _plain(seen[0], histories[0], grid, "made.csv")
    first = plain["breaches"][0]["from_s"]
    assert abs(first - (BEGAN_S + 60 * STEP_S)) <= STEP_S
