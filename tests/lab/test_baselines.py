"""The baselines do what their reference algorithms say, on scrapes made by hand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from homeostat.base import names
from homeostat.lab import human
from homeostat.lab.baselines import alerts, chance, hpa, keda, scaling
from homeostat.lab.baselines.levers import standing
from homeostat.lab.baselines.paging import escalate, threshold
from homeostat.lab.types import Episode
from homeostat.twin import params as p
from homeostat.twin import signals
from homeostat.twin.faults import Faults
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Phase

SLOTS, VARIANTS = 8, 3
NAN = float("nan")
CPU = signals.SLOT_SIGNALS.index(names.CPU_SHARE)


def group(kind: Any, **values: Any) -> Any:
    """A parameter group with zeros for what a baseline never reads."""
    defaults = dict.fromkeys(kind.__dataclass_fields__, np.float32(0))
    return kind(**(defaults | values))


def episode(seed: int = 0, **changes: Any) -> Episode:
    variants = np.ones(VARIANTS, np.float32)
    params = group(
        p.Params,
        service=group(p.Service, batch_max=8 * variants, concurrency=np.float32(64)),
        demand=group(p.Demand, knots_rps=np.full(257, 100.0, np.float32)),
        client=group(p.Client, timeout_s=np.float32(5)),
        provision=group(p.Provision),
        memory=group(p.Memory),
        quality=group(p.Quality, floor=np.float32(0.85)),
        limits=group(p.Limits),
        money=group(p.Money, hard_cap=np.float32(7)),
        promise=group(p.Promise, p99_s=np.float32(0.5)),
        actuation=group(p.Actuation),
        replicas=np.array([4.0, 0.0, 0.0], np.float32),
        weights=np.array([1.0, 0.0, 0.0], np.float32),
    )
    told: dict[str, Any] = {
        "scenario": "S05",
        "seed": seed,
        "family": "infrastructure",
        "length_s": 3600,
        "onset_s": 600.0,
        "recoverable": True,
        "benign": False,
        "slots": SLOTS,
        "params": params,
        "faults": group(Faults),
    }
    return Episode(**(told | changes))


def scrape(n: int = 1, gateway: Mapping[str, float] | None = None) -> Scrape:
    """All is well with four replicas of A, but for the gateway signals that are named."""
    values = {"error_ratio": 0.0, "latency_p99_ms": 100.0} | dict(gateway or {})
    row = np.array([values.get(name, 1.0) for name in signals.GATEWAY_SIGNALS])
    phase = np.where(np.arange(SLOTS) < 4, Phase.READY, Phase.EMPTY)
    variant = np.full((n, VARIANTS, len(signals.VARIANT_SIGNALS)), np.nan)
    fields: dict[str, Any] = {
        "gateway": np.tile(row, (n, 1)),
        "variant": variant,
        "slot": np.full((n, SLOTS, len(signals.SLOT_SIGNALS)), np.nan),
        "age_s": np.zeros((n, len(signals.GATEWAY_SIGNALS))),
        "phase": np.tile(phase, (n, 1)),
        "slot_variant": np.zeros((n, SLOTS), int),
        "version": np.ones((n, VARIANTS)),
        "levers_ok": np.ones(n, bool),
        "changing": np.zeros(n, bool),
        "batch_max": np.ones((n, VARIANTS)),
        "weights": np.tile([1.0, 0.0, 0.0], (n, 1)),
        "replicas": np.tile([4.0, 0.0, 0.0], (n, 1)),
        "admit_rps": np.full(n, np.inf),
    }
    return Scrape(**fields)


def cpu(*used: float) -> Scrape:
    """A scrape with these shares of the CPU request in use, replica by replica."""
    return with_slot(scrape(), CPU, [one * hpa.METRICS["cpu"][1] for one in used])


def with_slot(base: Scrape, column: int, values: list[float]) -> Scrape:
    slot = np.array(base.slot)
    slot[0, : len(values), column] = values
    return Scrape(**(vars(base) | {"slot": slot}))


# --- the HorizontalPodAutoscaler's formula ------------------------------------------------------


def wish(used: list[float], *, current: float, target: float, starting: int = 0) -> float:
    ready = np.array([True] * len(used) + [False] * starting)
    metric = np.array(used + [NAN] * starting)
    return float(hpa.desired(metric, ready, ~ready, np.array(current), target))


@pytest.mark.parametrize(
    ("used", "current", "target", "expected"),
    [
        ([0.2], 1, 0.1, 2),  # the documentation: 200m against 100m doubles
        ([0.05, 0.05], 2, 0.1, 1),  # 50m against 100m halves
        ([0.109, 0.109], 2, 0.1, 2),  # within the tolerance of 0.1
        ([0.112, 0.112], 2, 0.1, 3),  # beyond it: ceil(2 x 1.12)
        ([0.7, 0.7, 0.7], 3, 0.7, 3),
        ([0.9, 0.9, 0.9], 3, 0.3, 9),  # a whole ratio buys no replica too many
    ],
)
def test_the_formula_of_the_documentation(
    used: list[float], current: float, target: float, expected: float
) -> None:
    assert wish(used, current=current, target=target) == expected


def test_a_replica_that_starts_counts_as_idle_when_growing() -> None:
    # 2 ready at twice the target ask for 4; with 2 starting the mean is on target: no change.
    assert wish([1.0, 1.0], current=4, target=0.5, starting=2) == 4
    assert wish([1.0, 1.0], current=3, target=0.5, starting=1) == 4


def test_a_replica_that_starts_does_not_count_when_shrinking() -> None:
    assert wish([0.1, 0.1], current=4, target=0.5, starting=2) == 1


def test_a_missing_metric_damps_both_directions() -> None:
    # Growing: the missing one counts as idle, 3.0 / (4 x 0.7) = 1.07 is within the tolerance.
    assert wish([1.0, 1.0, 1.0, NAN], current=4, target=0.7) == 4
    # Shrinking: it counts as fully used, (0.9 + 1) / 0.7 = 2.7.
    assert wish([0.3, 0.3, 0.3, NAN], current=4, target=0.7) == 3
    # Shrinking that the damping turns into growth is not done at all.
    assert wish([0.6, NAN, NAN], current=3, target=0.7) == 3


def test_no_metric_at_all_is_no_wish() -> None:
    assert np.isnan(wish([NAN, NAN], current=2, target=0.7))


# --- the rules between the wish and the order ----------------------------------------------------


def stabiliser(start: float, most: float = 32, **rules: float) -> scaling.Stabiliser:
    return scaling.Stabiliser(
        scaling.Rules(**rules), np.array([[start, 0.0]]), np.array([[most, most]])
    )


def steps(machine: scaling.Stabiliser, start: float, wishes: list[float]) -> list[float]:
    current = np.array([[start, 0.0]])
    out = []
    for one in wishes:
        current = machine.step(current, np.array([[one, one]]))
        out.append(float(current[0, 0]))
    assert current[0, 1] == 0.0, "a variant without replicas is not managed"
    return out


def test_an_upscale_is_at_once_and_at_most_doubles_or_adds_four() -> None:
    assert steps(stabiliser(1), 1, [20, 20, 20, 20]) == [5, 10, 20, 20]


def test_a_downscale_waits_five_minutes_for_the_last_high_wish() -> None:
    seen = steps(stabiliser(8), 8, [8.0, *[2.0] * 21])
    assert seen[:20] == [8.0] * 20
    assert seen[20] == 2.0


def test_a_downscale_takes_the_largest_wish_of_the_window() -> None:
    seen = steps(stabiliser(8, stabilise_s=60.0), 8, [2, 5, 2, 2, 2, 2, 2])
    assert seen == [8, 8, 8, 5, 5, 2, 2]


def test_orders_stay_between_the_least_and_the_most() -> None:
    assert steps(stabiliser(4, most=6), 4, [20.0, 20.0]) == [6, 6]
    assert steps(stabiliser(4, stabilise_s=15.0, least=2.0), 4, [0.0]) == [2]


def test_without_a_metric_nothing_changes() -> None:
    assert steps(stabiliser(4, stabilise_s=15.0), 4, [NAN, NAN]) == [4, 4]


# --- the policies --------------------------------------------------------------------------------


def test_hpa_grows_a_busy_pool_and_says_so() -> None:
    policy = hpa.hpa()
    policy.start([episode()])
    busy = cpu(*[1.0] * 4)
    move = policy.act(15.0, busy)
    assert np.asarray(move.orders.replicas).tolist() == [[6.0, 0.0, 0.0]]
    assert move.intervened[0]
    assert move.orders.by_us[0]
    assert not move.destructive[0]
    move = policy.act(30.0, cpu(*[0.7] * 6))
    assert not move.orders.by_us[0], "an order that stands is not a new action"


def test_hpa_shrinks_an_idle_pool_only_after_the_window_and_that_is_destructive() -> None:
    policy = hpa.hpa()
    policy.start([episode()])
    idle = cpu(*[0.1] * 4)
    moves = [policy.act(15.0 * (k + 1), idle) for k in range(20)]
    assert not any(m.intervened[0] for m in moves[:-1])
    assert moves[-1].destructive[0]
    assert np.asarray(moves[-1].orders.replicas)[0, 0] == 1


def test_hpa_never_passes_the_hard_cap() -> None:
    policy = hpa.hpa()
    policy.start([episode()])
    busy = cpu(*[9.0] * 4)
    moves = [policy.act(15.0 * (k + 1), busy) for k in range(5)]
    assert np.asarray(moves[-1].orders.replicas)[0, 0] == 7


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown metric 'disk'"):
        hpa.hpa(hpa.HpaConfig(metric="disk"))


@pytest.mark.parametrize(
    ("in_flight", "current", "expected"),
    [(20.0, 4, 4), (21.0, 4, 4), (23.0, 4, 5), (0.0, 4, 0), (100.0, 1, 20), (NAN, 4, NAN)],
)
def test_keda_asks_for_requests_over_target(
    in_flight: float, current: float, expected: float
) -> None:
    got = keda.desired(np.array(in_flight), np.array(current), 5.0)
    np.testing.assert_equal(float(got), expected)


def test_keda_polls_every_thirty_seconds_and_needs_every_replica() -> None:
    policy = keda.keda()
    policy.start([episode()])
    column = keda.IN_FLIGHT
    full = with_slot(scrape(), column, [10.0] * 4)
    assert not policy.act(15.0, full).intervened[0], "polled at 30 s only"
    assert not policy.act(30.0, with_slot(scrape(), column, [10.0] * 3 + [NAN])).intervened[0]
    assert np.asarray(policy.act(60.0, full).orders.replicas)[0, 0] == 7


# --- alerts and people ---------------------------------------------------------------------------


def test_the_alert_needs_five_unbroken_minutes() -> None:
    alert = alerts.StaticAlert([episode()])
    bad, good = scrape(gateway={"latency_p99_ms": 501.0}), scrape(gateway={"latency_p99_ms": 499.0})
    assert [bool(alert.step(bad)[0]) for _ in range(20)] == [False] * 19 + [True]
    assert not alert.step(good)[0]
    assert not alert.step(bad)[0]


@pytest.mark.parametrize("gateway", [{"error_ratio": 0.011}, {"latency_p99_ms": 501.0}])
def test_the_alert_watches_errors_and_latency(gateway: dict[str, float]) -> None:
    alert = alerts.StaticAlert([episode()], hold_s=15.0)
    assert alert.step(scrape(gateway=gateway))[0]
    assert not alert.step(scrape())[0]


def test_a_missing_sample_ends_the_wait_and_silence_has_its_own_alert() -> None:
    alert = alerts.StaticAlert([episode()])
    bad, gap = scrape(gateway={"error_ratio": 0.5}), scrape(gateway={"error_ratio": NAN})
    for _ in range(19):
        alert.step(bad)
    assert not alert.step(gap)[0], "a gap is not above the threshold"
    silence = scrape(gateway=dict.fromkeys(signals.GATEWAY_SIGNALS, NAN))
    assert [bool(alert.step(silence)[0]) for _ in range(20)] == [False] * 19 + [True]


def test_poor_accuracy_alerts_only_where_traffic_goes() -> None:
    alert = alerts.StaticAlert([episode()], hold_s=15.0)
    for variant, expected in ((0, True), (1, False)):
        seen = scrape()
        accuracy = np.array(seen.variant)
        accuracy[0, variant, alerts.ACCURACY] = 0.84
        assert alert.step(Scrape(**(vars(seen) | {"variant": accuracy})))[0] == expected


def test_a_person_is_paged_once_and_the_fix_comes_when_the_model_says() -> None:
    one = episode(seed=3)
    policy = threshold()
    policy.start([one])
    bad = scrape(gateway={"error_ratio": 0.5})
    paged, fixed, minutes = [], [], 0.0
    acted = False
    for k in range(240):
        move = policy.act(15.0 * (k + 1), bad)
        paged += [15.0 * (k + 1)] if move.paged[0] else []
        fixed += [15.0 * (k + 1)] if move.orders.person_fixes[0] else []
        minutes += float(move.person_minutes[0])
        acted |= bool(move.intervened[0])
    first = human.respond(one, 300.0)
    assert paged[0] == 300.0
    assert 0 <= fixed[0] - first.fixed_s < 15.0
    # The alert still stands after the fix (this world does not listen): somebody is told anew.
    assert paged[1] > fixed[0]
    assert minutes == pytest.approx(sum(human.respond(one, t).minutes for t in paged), rel=1e-5)
    assert not acted


def test_escalate_tells_somebody_at_the_first_sign() -> None:
    policy = escalate()
    policy.start([episode()])
    assert not policy.act(15.0, scrape()).paged[0]
    assert policy.act(30.0, scrape(gateway={"error_ratio": 0.02})).paged[0]


# --- chance --------------------------------------------------------------------------------------


def test_random_draws_every_action_and_depends_on_the_episode_alone() -> None:
    first = [episode(seed=k) for k in range(3)]
    moves: dict[str, list[float]] = {"alone": [], "beside": []}
    for name, batch in (("alone", [first[1]]), ("beside", first)):
        policy = chance.Chance()
        policy.start(batch)
        for k in range(240):
            move = policy.act(15.0 * (k + 1), scrape(len(batch)))
            at = batch.index(first[1])
            leaves = vars(move.orders).values()
            moves[name].append(
                float(sum(np.nan_to_num(np.asarray(x, float)[at], posinf=-1).sum() for x in leaves))
            )
    assert moves["alone"] == moves["beside"]
    drawn = chance.Chance()
    drawn.start([episode(seed=k) for k in range(20)])
    assert set(np.unique(drawn._drawn[:, :, 0])) == set(range(len(chance.ACTIONS)))


def test_random_decides_every_thirty_seconds_and_counts_hold_as_no_action() -> None:
    policy = chance.Chance()
    policy.start([episode(seed=k) for k in range(8)])
    for k in range(40):
        move = policy.act(15.0 * (k + 1), scrape(8))
        if k % 2 == 0:
            assert not move.intervened.any()
        else:
            held = policy._drawn[:, (k + 1) // 2 - 1, 0] == 0
            np.testing.assert_array_equal(move.intervened, ~held)
            np.testing.assert_array_equal(move.orders.by_us, ~held)


@pytest.mark.parametrize("index", range(len(chance.ACTIONS)))
def test_every_random_action_keeps_the_levers_legal(index: int) -> None:
    batch = [episode()]
    policy = chance.Chance()
    policy.start(batch)
    policy._drawn[:] = [index, 1, 2]
    orders = [policy.act(15.0 * (k + 1), scrape()).orders for k in range(6)][-1]
    assert (np.asarray(orders.replicas) >= 0).all()
    assert (np.asarray(orders.batch_max) >= 1).all()
    assert (np.asarray(orders.concurrency) >= 1).all()
    assert np.asarray(orders.weights).sum() == pytest.approx(1.0)
    name = chance.ACTIONS[index][0].__name__
    kept = vars(standing(batch))
    differ = [
        field for field, value in vars(orders).items() if not np.array_equal(value, kept[field])
    ]
    assert (differ == []) == (name == "_hold")
