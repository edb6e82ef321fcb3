"""Load and memory of a rehearsal: nothing is counted twice, what is not known is not zero."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rehearsed_by_hand import DRAWS, SLOTS, drawn, fitted, fixed, stage, standing

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.evidence import Evidence, Family, Forecast, Incident
from homeostat.base.rehearsal import Prospect, Rehearsal, Trust
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.testing import build
from homeostat.twin.fit_estimate import Known
from homeostat.twin.fit_values import Fit
from homeostat.twin.primitives import INDEX
from homeostat.twin.rehearse import Candidate, Question, rehearse
from homeostat.twin.rehearse_answer import Asked, Theatre, answer
from homeostat.twin.rehearse_draw import Draws, draw, no_faults
from homeostat.twin.rehearse_faults import suspected
from homeostat.twin.rehearse_live import Unseen, situation
from homeostat.twin.rehearse_load import KNOT_S, attempts, growth
from homeostat.twin.rehearse_orders import NotRehearsedError, orders_of, standing_orders
from homeostat.twin.rehearse_situation import Ahead, Situation, Slot
from homeostat.twin.rehearse_trust import Standing
from homeostat.twin.shapes import Phase

DOWN = Action(kind=ActionKind.SCALE_DOWN, subject="pool:a", change=(("replicas.a", 2),))
UP = Action(kind=ActionKind.SCALE_UP, subject="pool:a", change=(("replicas.a", 4),))
FULL = 3 * 8 / (0.02 + 8 * 0.002)  # what the three replicas of `standing` serve, 1/s
DOUBLE = Ahead(seconds=150.0, quantiles=(1.6, 2.0, 2.6))


def knots(draws: Draws) -> np.ndarray:
    return np.asarray(draws.lanes[0].demand.knots_rps)


def played(draws: Draws, now: Situation, *actions: Action) -> Rehearsal:
    return rehearse(
        stage(),
        draws,
        Question(id="r-1", at=TimeNs(7), horizon_s=300.0),
        standing_orders(now, SLOTS),
        [Candidate(action=one, orders=orders_of(one, now, SLOTS)) for one in actions],
        Trust(),
    )


def of(rehearsal: Rehearsal, action: Action) -> Prospect:
    found = rehearsal.of(action)
    assert found is not None
    return found


# Retries


def test_counted_attempts_are_played_as_counted_and_not_with_their_retries_again() -> None:
    incident = Incident(
        id="i-1", deployment="m", family=Family.RELEASE, subject="pool:a", opened_at=build.START,
        confirmed_at=build.START, tries=0, escalated=False, because=(),
    )  # fmt: skip
    evidence = build.evidence(values={("pool:a", names.ERROR_RATIO): 0.3})
    law = np.tile([0.02, 0.002], (DRAWS, 1))
    counted = 0.4 * FULL
    rates = {}
    for failing in (0.3, 0.0):
        now = standing(rate_rps=counted, failing=failing)
        bad = suspected(incident, evidence, now, law, slots=SLOTS, seed=1).faults
        draws = drawn(now, retries=2.0).facing(bad)
        one = jax.tree.map(lambda leaf: leaf[None], standing_orders(now, SLOTS))
        sums = stage().play(draws.lanes, jax.tree.map(lambda leaf: leaf.repeat(4, 0), one), 20)
        rates[failing] = float(np.median(np.asarray(sums.attempts)[0])) / (20 * 15.0)
    assert rates[0.3] == pytest.approx(counted, rel=0.03)
    # As it was: 1 + 0.3 + 0.3^2 times what was counted.
    assert rates[0.0] == pytest.approx(1.39 * counted, rel=0.03)


def test_attempts_for_one_request_are_a_sum_of_powers() -> None:
    found = attempts(0.5, np.array([0.0, 0.5, 1.0, 1.5, 3.0]))
    assert found.tolist() == [1.0, 1.25, 1.5, 1.625, 1.875]
    assert attempts(math.nan, np.ones(2)).tolist() == [1.0, 1.0]
    assert attempts(0.0, np.full(2, 3.0)).tolist() == [1.0, 1.0]


def test_where_nobody_knows_how_many_fail_no_retries_are_played() -> None:
    draws = drawn(standing(failing=math.nan), retries=2.0)
    assert not np.asarray(draws.lanes[0].client.retries).any()
    assert any("no retries are played" in note for note in draws.notes)
    assert (
        np.asarray(drawn(standing(), retries=2.0).lanes[0].client.retries).tolist() == [2] * DRAWS
    )


@pytest.mark.parametrize(
    ("values", "levers", "failing"),
    [
        ({}, {}, 0.0),
        ({("gateway", "error_ratio"): 0.2}, {}, 0.2),
        ({("gateway", "error_ratio"): None}, {}, math.nan),
        ({("gateway", "error_ratio"): 0.2, ("gateway", "refused_ratio"): 0.5}, {}, 0.1),
        ({("gateway", "error_ratio"): 0.2}, {"gateway_limit": 9}, math.nan),
    ],
)
def test_how_many_fail_is_read_and_not_guessed(
    values: dict[tuple[str, str], float | None], levers: dict[str, float], failing: float
) -> None:
    found = situation(
        build.managed(), build.evidence(values=values, world=build.world(levers=levers))
    )
    assert isinstance(found, Situation)
    assert found.failing == pytest.approx(failing, nan_ok=True)


# Forecast


def test_the_load_is_drawn_from_its_forecast() -> None:
    now = standing(requests=1e9, ahead=(Ahead(seconds=60.0, quantiles=(0.9, 1.1, 1.4)), DOUBLE))
    rates = knots(draw(fitted(), now, number=2000, slots=SLOTS, seed=3, assume=fixed())) / 330.0
    for one in now.ahead:
        at = rates[:, round(one.seconds / KNOT_S)]
        assert np.quantile(at, [0.05, 0.5, 0.95]) == pytest.approx(one.quantiles, rel=0.03)
    assert rates[:, 0] == pytest.approx(1.0, rel=0.02)
    np.testing.assert_allclose(rates[:, -1], rates[:, round(150 / KNOT_S)], rtol=1e-6)
    flat = knots(drawn(standing()))
    assert (flat == flat[:, :1]).all()


def test_one_draw_is_high_or_low_all_along() -> None:
    found = growth((Ahead(seconds=30.0, quantiles=(0.5, 1.0, 2.0)), DOUBLE), np.array([-1.0, 2.0]))
    assert (found[0, 2:] < found[1, 2:]).all()
    assert found[0, 2] == pytest.approx(0.5 ** (1 / 1.645))


def test_taking_away_before_a_surge_that_is_forecast_is_foreseen_to_hurt() -> None:
    now = standing(rate_rps=0.3 * FULL)
    calm = of(played(drawn(now), now, DOWN), DOWN)
    later = replace(now, ahead=(DOUBLE,))
    surge = of(played(drawn(later), later, DOWN), DOWN)
    assert calm.against_hold.breach.p50 == 0.0
    assert surge.against_hold.breach.p5 > 0.0  # for certain worse: G15 refuses it
    assert any("follows its forecast for 150 s" in note for note in drawn(later).notes)


def ahead(low: float = 90.0, middle: float = 110.0, high: float = 150.0) -> Forecast:
    return Forecast(
        subject="pool:a", signal=names.ARRIVAL_RATE, limit=300.0, time_to_limit_ns=None,
        horizons_ns=(60 * SECOND, 300 * SECOND), chances=(0.1, 0.2),
        quantiles=((95.0, 100.0, 105.0), (low, middle, high)),
    )  # fmt: skip


def test_the_forecast_is_read_over_the_rate_of_its_own_pool() -> None:
    rate: dict[tuple[str, str], float | None] = {("pool:a", "arrival_rate"): 50.0}

    def read(values: dict[tuple[str, str], float | None], one: Forecast) -> tuple[Ahead, ...]:
        found = situation(build.managed(), build.evidence(values=values, forecasts=(one,)))
        assert isinstance(found, Situation)
        return found.ahead

    first, second = read(rate, ahead())
    assert (first.seconds, second.seconds) == (60.0, 300.0)
    assert second.quantiles == pytest.approx((1.8, 2.2, 3.0))
    assert read({("pool:a", "arrival_rate"): None}, ahead()) == ()
    assert read({("pool:a", "arrival_rate"): 0.0}, ahead()) == ()
    assert read(rate, replace(ahead(), subject="pool:b")) == ()
    assert len(read(rate, ahead(high=math.nan))) == 1
    assert len(read(rate, ahead(low=200.0))) == 1  # out of order is no forecast
    assert read(rate, replace(ahead(), quantiles=())) == ()


# What is not known is not zero


def question(evidence: Evidence, *candidates: Action) -> Asked:
    return Asked(
        id="r-1", at=build.START, managed=build.managed(), evidence=evidence, incident=None,
        candidates=candidates, horizon_ns=60 * SECOND, draws=16, seed=1,
    )  # fmt: skip


def theatre() -> Theatre:
    checked = Standing(made_at=build.START, good=True, oldest_ns=365 * 24 * HOUR)
    return Theatre(found=fitted(), standing=checked, stages={SLOTS: stage()})


def alone(memory: int | None) -> Evidence:
    """Return two replicas of the only pool at 75 % of what one could serve, their memory read."""
    replicas = tuple(replace(build.replica(name), memory_bytes=memory) for name in ("a-1", "a-2"))
    levers = {"replicas.a": 2, "replicas.b": 0, "weight.b": 0}
    return build.evidence(
        world=build.world(replicas=replicas, levers=levers),
        values={("gateway", "arrival_rate"): 240.0},
    )


def test_where_memory_is_not_read_nothing_that_shrinks_is_rehearsed() -> None:
    smaller = Action(kind=ActionKind.BATCH_DOWN, subject="pool:a", change=(("batch_max", 8),))
    more = Action(kind=ActionKind.SCALE_UP, subject="pool:a", change=(("replicas.a", 3),))
    blind = answer(theatre(), question(alone(None), smaller, more))
    assert [one.action for one in blind.prospects] == [HOLD, more]
    assert any("memory in use of a-1, a-2 is not known" in note for note in blind.notes)
    seen = answer(theatre(), question(alone(100 * 2**20), smaller, more))
    assert [one.action for one in seen.prospects] == [HOLD, smaller, more]


def test_a_dead_replica_needs_no_memory_and_no_limit_means_none_is_foreseen() -> None:
    gone = Slot(name="a-9", variant=0, phase=Phase.DEAD)
    full = Slot(name="a-1", variant=0, phase=Phase.READY, memory_gib=0.5)
    now = standing(slots=(full, gone), memory_limit_gib=1.0)
    assert now.unread_memory == ()
    assert standing(memory_limit_gib=1.0).unread_memory == ("a-0", "a-1", "a-2")
    assert standing().unread_memory == ()
    assert any("no memory limit was read" in note for note in drawn(standing()).notes)


def leaking(hourly: float) -> Fit:
    known = replace(
        fitted().estimates["ca2"], name="leak_gib_per_hour", known=Known.IDENTIFIED, value=hourly,
        low=0.8 * hourly, high=1.2 * hourly,
    )  # fmt: skip
    return replace(fitted(), estimates={**fitted().estimates, "leak_gib_per_hour": known})


def test_the_leak_of_every_day_is_played_and_one_replica_less_fills_the_rest_sooner() -> None:
    slots = tuple(
        Slot(name=f"a-{k}", variant=0, phase=Phase.READY, memory_gib=0.9) for k in range(3)
    )
    now = standing(slots=slots, memory_limit_gib=1.0, rate_rps=0.3 * FULL)
    # 0.1 GiB are left for 360 s under HOLD, and for 240 s with a replica less; 300 s are played.
    found = played(drawn(now, leaking(1.0)), now, DOWN)
    assert of(found, HOLD).foreseen.error_ratio.p50 < 0.01
    assert of(found, DOWN).foreseen.error_ratio.p50 > 0.05
    assert of(found, DOWN).against_hold.breach.p5 > 0.0
    still = played(drawn(now, leaking(0.0)), now, DOWN)
    assert of(still, DOWN).foreseen.error_ratio.p95 < 0.01
    assert any("1 GiB an hour" in note for note in drawn(now, leaking(1.0)).notes)
    assert any("was not recorded" in note for note in drawn(now).notes)


def test_what_is_suspected_comes_beside_the_leak_of_every_day() -> None:
    now = standing(memory_limit_gib=1.0)
    calm = drawn(now, leaking(1.0))
    bad = no_faults(DRAWS, SLOTS)
    rows = {name: np.array(value) for name, value in vars(bad).items()}
    rows["primitive"][:, 0], rows["start_s"][:, 0] = INDEX["replica_hang"], 0.0
    hung = type(bad)(**{name: jnp.asarray(value) for name, value in rows.items()})
    both = calm.facing(hung).lanes[1]
    begun = np.isfinite(np.asarray(both.start_s))
    assert begun[0].tolist() == [True, *[False] * 6, True]
    assert np.asarray(both.primitive)[0, 0] == INDEX["replica_hang"]
    assert np.asarray(both.primitive)[0, -1] == INDEX["mem_leak_per_req_kb"]
    # 1 GiB an hour and replica, at 110 requests per second each.
    strength = np.asarray(calm.lanes[1].magnitude)[:, -1]
    assert np.median(strength) == pytest.approx(2**20 / 3600 / 110, rel=0.1)


@pytest.mark.parametrize(
    ("limit", "median", "reason"),
    [(9, None, "without a median latency"), ("?", 55.0, "limit could not be read")],
)
def test_a_gateway_limit_that_cannot_be_said_as_a_rate_is_not_no_limit(
    limit: float | str, median: float | None, reason: str
) -> None:
    evidence = build.evidence(
        values={("gateway", names.LATENCY_P50): median},
        world=build.world(levers={"gateway_limit": limit}),
    )
    found = situation(build.managed(), evidence)
    assert isinstance(found, Unseen)
    assert any(reason in one for one in found.reasons)
    said = answer(theatre(), question(evidence, UP))
    assert said.prospects == ()
    assert not said.trust.is_given


def test_hold_under_a_limit_that_cannot_be_said_is_refused() -> None:
    with pytest.raises(NotRehearsedError, match="gateway_limit is in force"):
        standing_orders(standing(in_flight_limit=9.0), SLOTS)
    known = standing_orders(standing(in_flight_limit=9.0, median_s=0.05), SLOTS)
    assert float(known.admit_rps) == pytest.approx(180.0)
