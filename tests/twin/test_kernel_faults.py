"""Every word of the fault language does what it says, in the whole twin.

Each row says what a primitive is added to, and which number it pushes up or down against the same
episode without it. The words that the draw of a scenario resolves do nothing here, bit for bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pytest
from fleet_by_hand import Case, Fault, Played, changed, lane, leaves, play

from homeostat.base import names
from homeostat.twin.params import Params
from homeostat.twin.primitives import PRIMITIVES
from homeostat.twin.signals import (
    CLASSES,
    GATEWAY_SIGNALS,
    SLOT_SIGNALS,
    USD_PER_HOUR,
    VARIANT_SIGNALS,
)

SCRAPES: Final = 12
BEGINS: Final = 30  # second at which all faults of this file begin
UP, DOWN, SAME = 1.0, -1.0, 0.0
RESOLVED_BY_THE_DRAW: Final = ("group_size", "n_pools", "base_rho")
Number = Callable[[Played], float]


def true(name: str) -> Number:
    """Return the mean of a true value from the onset on."""
    return lambda played: float(np.nanmean(getattr(played.truth, name)[BEGINS:]))


def slot(name: str, number: int = 0) -> Number:
    """Return the mean over scrapes of a slot's state."""
    return lambda played: float(getattr(played.state.live.slots, name)[2:, number].mean())


def gateway(name: str) -> Number:
    return lambda played: float(np.nanmean(played.scrape.gateway[2:, GATEWAY_SIGNALS.index(name)]))


def variant(name: str) -> Number:
    return lambda played: float(
        np.nanmean(played.scrape.variant[2:, 0, VARIANT_SIGNALS.index(name)])
    )


def at_the_end(name: str) -> Number:
    return lambda played: float(np.asarray(getattr(played.truth, name)[-15:]).mean())


def starts(played: Played) -> float:
    return float(played.state.live.slots.starts[-1].sum())


def missing(played: Played) -> float:
    return float(np.isnan(played.scrape.gateway[2:]).sum())


def zeros(played: Played) -> float:
    return float((played.scrape.gateway[2:, GATEWAY_SIGNALS.index(names.LATENCY_P95)] == 0).sum())


def age(played: Played) -> float:
    return float(played.scrape.age_s[2:].mean())


def wobble(played: Played) -> float:
    rate = played.scrape.gateway[3:, GATEWAY_SIGNALS.index(names.ARRIVAL_RATE)]
    return float(np.nanstd(rate))


def highest_rate(played: Played) -> float:
    """Return how far the rates of slots stray: a reset shows as one absurd rate."""
    rate = played.scrape.gateway[2:, GATEWAY_SIGNALS.index(names.ARRIVAL_RATE)]
    return float(np.nanmax(np.abs(rate - np.nanmedian(rate))))


def levers_ok(played: Played) -> float:
    return float(played.scrape.levers_ok[4:].mean())


def in_weight_of_b(played: Played) -> float:
    return float(played.truth.weights[BEGINS:, 1].mean())


def served_by_a(played: Played) -> float:
    return float(played.truth.ready[BEGINS:, 0].mean())


def held(played: Played) -> float:
    return float(played.truth.held[BEGINS:].sum(axis=-1).mean())


def unevenness(played: Played) -> float:
    """Return how unevenly A's traffic is shared, or what finds nobody to go to."""
    shares = played.state.live.slots.share[3:, :2]
    return float(np.abs(shares - 0.5).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one primitive does.

    Attributes:
        name: The primitive.
        magnitude: Its magnitude.
        number: What is looked at.
        way: Where it goes.
        base: Deployment fields that make it visible.
        beside: Other faults, there with and without it.
        orders: Given with and without it.
        where: Masks of the fault.
    """

    name: str
    magnitude: float
    number: Number
    way: float
    base: Mapping[str, Any] = field(default_factory=dict)
    beside: Sequence[Fault] = ()
    orders: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)


FIRST: Final = {"slots": [0]}
MORE: Final = {2: {"replicas": [3.0, 1.0, 0.0]}}
FEWER: Final = {2: {"replicas": [1.0, 1.0, 0.0]}}
AGAIN: Final = {2: {"restart": [True, False, False, False]}}
SHIFT: Final = {3: {"weights": [0.5, 0.5, 0.0]}}
QUICK: Final = {"provision__delay_s": 10.0, "provision__load_s": 5.0, "provision__sigma": 0.0}
MEMORY: Final = {"memory__limit_gib": 6.0, "service__concurrency": 50.0}
LABELLED: Final = {"quality__label_delay_s": 15.0, "quality__label_share": 0.5}


def other(name: str, magnitude: float = 1.0, **where: Any) -> Sequence[Fault]:
    return (Fault(name=name, magnitude=magnitude, **where),)


# fmt: off
ROWS: Final[Sequence[tuple[str, float, Number, float, Mapping[str, Any]]]] = (
    # arrival
    ("arrival_mult", 1.5, true("offered"), UP, {}),
    ("arrival_trace", 1.5, true("offered"), UP, {}),
    ("backlog_release", 0.5, true("offered"), UP, {}),
    ("backlog_release", 0.5, true("demand"), SAME, {}),
    ("benign_blip", 0.5, true("latency_s"), UP, {}),
    # work_mix
    ("size_mult_prefill", 1.5, true("capacity"), DOWN, {}),
    ("size_mult_decode", 1.5, true("latency_s"), UP, {}),
    ("heavy_fraction", 0.5, true("capacity"), DOWN, {}),
    ("heavy_cost_mult", 3.0, true("capacity"), DOWN, {"base": {"demand__heavy_share": 0.2}}),
    ("output_len_mult", 2.0, true("capacity"), DOWN, {}),
    ("adapter_working_set", 2.0, true("capacity"), DOWN, {"beside": other("swap_time_s", 0.05)}),
    ("swap_time_s", 0.05, true("capacity"), DOWN, {"beside": other("adapter_working_set", 2.0)}),
    ("cache_hit", 0.2, true("capacity"), DOWN, {}),
    ("cache_warm_s", 30.0, at_the_end("capacity"), UP, {"beside": other("cache_hit", 0.2)}),
    # speed
    ("contention", 1.5, true("latency_s"), UP, {}),
    ("service_cv2_mult", 9.0, true("p99_s"), UP, {"base": {"service__cv2": 0.3}}),
    ("replica_speed_mult", 0.6, true("capacity"), DOWN, {}),
    ("variant_service_mult", 1.5, true("latency_s"), UP, {}),
    ("pool_speed_mult", 0.6, true("capacity"), DOWN, {}),
    ("cold_speed_mult", 0.2, true("capacity"), DOWN, {"orders": AGAIN, "base": QUICK}),
    ("recompute_waste", 0.5, true("latency_s"), UP, {"beside": other("kv_capacity_mult", 0.01),
                                                     "base": {"service__kv_capacity": 64.0}}),
    ("post_limit_service_mult", 2.0, true("capacity"), DOWN,
     {"beside": other("shared_limit_replicas", 2.0)}),
    ("shared_limit_replicas", 2.0, true("capacity"), DOWN,
     {"beside": other("post_limit_service_mult", 2.0)}),
    # alive
    ("replica_kill", 1.0, served_by_a, DOWN, {"where": FIRST}),
    ("replica_hang", 1.0, true("errors"), UP, {"where": FIRST}),
    ("group_hang", 1.0, served_by_a, DOWN, {"where": FIRST}),
    ("pool_loss", 1.0, served_by_a, DOWN, {"where": FIRST}),
    ("endpoint_stale_s", 90.0, true("errors"), UP, {"beside": other("replica_kill", slots=[0]),
                                                    "base": {"demand__knots_rps": 150.0}}),
    ("discovery_decay_s", 30.0, unevenness, UP, {}),
    ("replica_crash_on_poison", 1.0, starts, UP, {"beside": other("poison_rate", 0.5),
                                                  "base": QUICK}),
    ("poison_rate", 0.5, starts, UP, {"beside": other("replica_crash_on_poison"), "base": QUICK}),
    ("retry_to_next_replica", 1.0, slot("hazard"), DOWN,
     {"beside": (*other("replica_crash_on_poison"), *other("poison_rate", 1e-3))}),
    ("evict_at", 0.1, starts, UP, {"beside": other("disk_fill_rate", 10.0), "base": QUICK}),
    ("disk_fill_rate", 60.0, starts, UP, {"base": QUICK}),
    ("download_adds_disk", 1.0, served_by_a, DOWN, {"orders": AGAIN, "base": QUICK}),
    # err
    ("replica_err_prob", 0.3, true("errors"), UP, {"where": FIRST}),
    ("replica_fail_fast_ms", 2.0, slot("share"), UP,
     {"where": FIRST, "base": {"client__least_loaded": 1.0},
      "beside": other("replica_err_prob", slots=[0])}),
    ("variant_err_prob", 0.3, true("good"), DOWN, {}),
    ("nan_prob", 0.3, true("good"), DOWN, {}),
    ("nan_prob", 0.3, variant(names.INVALID_SHARE), UP, {}),
    ("nan_prob", 0.3, true("p99_s"), SAME, {}),
    ("schema_err_prob", 0.3, true("errors"), UP, {}),
    ("alternating_period_s", 15.0, true("errors"), DOWN, {"beside": other("schema_err_prob", 0.5)}),
    ("oom_err_when_batch_gt_free", 1.0, true("errors"), UP,
     {"beside": other("gmem_leak_per_req_mb", 10.0), "base": {"service__kv_capacity": 8.0}}),
    ("gmem_leak_per_req_mb", 10.0, true("errors"), UP,
     {"beside": other("oom_err_when_batch_gt_free"), "base": {"service__kv_capacity": 8.0}}),
    # mem
    ("mem_leak_per_req_kb", 1024.0, starts, UP, {"base": MEMORY | QUICK}),
    ("mem_limit_gib", 3.0, served_by_a, DOWN, {"base": MEMORY}),
    ("mem_per_queued_mb", 100.0, slot("memory_gib"), UP, {}),
    ("kv_capacity_mult", 0.01, true("latency_s"), UP, {"base": {"service__kv_capacity": 64.0}}),
    # client
    ("client_retry", 2.0, true("attempts"), UP, {"beside": other("variant_err_prob", 0.5)}),
    ("server_cancels_timed_out", 1.0, true("queue"), DOWN,
     {"beside": other("arrival_mult", 3.0), "base": {"client__timeout_s": 1.0}}),
    ("lb_sticky", 1.0, in_weight_of_b, DOWN, {"orders": SHIFT}),
    # limits
    ("frontend_capacity_rps", 50.0, true("good"), DOWN, {}),
    ("conn_limit", 2.0, true("errors"), UP, {}),
    ("dep_capacity_rps", 50.0, true("good"), DOWN, {}),
    ("dep_latency_s", 0.3, true("p50_s"), UP, {}),
    ("dep_err_prob", 0.3, true("errors"), UP, {}),
    ("net_delay_s", 0.2, true("p50_s"), UP, {}),
    ("net_loss", 0.2, true("p99_s"), UP, {}),
    # provision
    ("provision_delay_s", 10.0, served_by_a, UP, {"orders": MORE}),
    ("load_time_s", 90.0, served_by_a, DOWN, {"orders": AGAIN, "base": QUICK}),
    ("probe_deadline_s", 2.0, served_by_a, DOWN, {"orders": AGAIN, "base": QUICK}),
    ("cap_replicas", 3.0, held, DOWN, {"orders": MORE}),
    ("spot_unavailable_s", 90.0, served_by_a, DOWN, {"orders": MORE, "base": QUICK}),
    ("cost_mult", 3.0, true("usd_per_hour"), UP, {}),
    ("config_floor", 2.0, served_by_a, UP, {"orders": FEWER}),
    # config
    ("bmax_override", 4.0, true("capacity"), DOWN, {}),
    ("max_queue_delay_ms", 200.0, true("latency_s"), UP, {}),
    ("config_revert", 30.0, in_weight_of_b, DOWN, {"orders": SHIFT}),
    ("external_hpa_gain", 2.0, held, UP, {"base": {"demand__knots_rps": 400.0}}),
    # actuator
    ("actuator_fail", 1.0, held, DOWN, {"orders": MORE}),
    ("status_lies", 1.0, levers_ok, UP, {"orders": MORE, "beside": other("actuator_fail")}),
    ("modelB_health", 0.0, true("errors"), UP, {"where": {"variants": [1]}, "orders": SHIFT}),
    ("modelB_capacity", 0.3, true("capacity"), DOWN, {"where": {"variants": [1]}}),
    # quality
    ("feature_shift_sd", 2.0, true("quality"), DOWN, {}),
    ("affected_features_frac", 0.2, true("quality"), UP,
     {"beside": other("feature_shift_sd", 2.0)}),
    ("feature_shift_periodic", 2.0, variant(names.FEATURE_SHIFT), UP, {}),
    ("feature_shift_periodic", 2.0, true("quality"), SAME, {}),
    ("concept_rotation", 1.0, true("quality"), DOWN, {}),
    ("label_prior_shift", 0.3, variant(names.PREDICTION_SHIFT), UP, {}),
    ("feature_scale", 1000.0, true("quality"), DOWN, {}),
    ("feature_null_rate", 0.8, true("quality"), DOWN, {}),
    ("feature_age_growth", 1.0, at_the_end("quality"), DOWN,
     {"beside": other("staleness_halflife_s", 30.0)}),
    ("staleness_halflife_s", 30.0, at_the_end("quality"), DOWN,
     {"beside": other("feature_age_growth")}),
    ("pred_shift", 2.0, variant(names.PREDICTION_SHIFT), UP, {}),
    ("score_temperature", 4.0, variant(names.PREDICTION_SHIFT), UP, {}),
    ("score_bias", 2.0, variant(names.PREDICTION_SHIFT), UP, {}),
    ("score_bias", 2.0, true("p99_s"), SAME, {}),
    ("variant_accuracy_delta", -0.2, true("quality"), DOWN, {}),
    ("modelB_accuracy_delta", -0.2, true("quality"), DOWN,
     {"where": {"variants": [1]}, "orders": SHIFT}),
    ("pool_accuracy_delta", -0.2, true("quality"), DOWN, {"where": FIRST}),
    ("slice_accuracy_delta", -0.3, true("slice_quality"), DOWN, {}),
    ("slice_share", 0.5, true("quality"), DOWN, {"beside": other("slice_accuracy_delta", -0.3)}),
    ("amplify_on_lb_change", 10.0, at_the_end("quality"), DOWN,
     {"beside": other("slice_accuracy_delta", -0.3), "orders": SHIFT}),
    ("feedback_gain", 10.0, at_the_end("quality"), DOWN,
     {"beside": other("variant_accuracy_delta", -0.05)}),
    ("label_delay_s", 600.0, variant(names.LABEL_COVERAGE), DOWN, {"base": LABELLED}),
    # telemetry
    ("metric_drop", 0.9, missing, UP, {}),
    ("missing_as_zero", 1.0, zeros, UP, {"beside": other("metric_drop")}),
    ("metric_delay_s", 60.0, age, UP, {}),
    ("metric_freeze", 1.0, wobble, DOWN, {}),
    ("metric_scale", 10.0, gateway(names.LATENCY_P95), UP, {"where": {"signals": ["latency"]}}),
    ("metric_bias", 5.0, gateway(USD_PER_HOUR), UP, {"where": {"signals": ["cost"]}}),
    ("metric_reset", 240.0, highest_rate, UP, {"where": {"signals": ["throughput"]}}),
    ("metric_cumulative", 1.0, gateway(names.ARRIVAL_RATE), UP,
     {"where": {"signals": ["throughput"]}}),
    ("scrape_fail_when_rho_gt", 0.01, missing, UP, {}),
)
# fmt: on


def row(name: str, magnitude: float, number: Number, way: float, rest: Mapping[str, Any]) -> Row:
    return Row(name=name, magnitude=magnitude, number=number, way=way, **rest)


@pytest.fixture(scope="module")
def pairs(plain: Params) -> Sequence[tuple[Row, Played, Played]]:
    """Return every row with its episode without the primitive and with it."""
    rows = [row(*each) for each in ROWS]
    cases = []
    for each in rows:
        made = changed(plain, **each.base)
        mine = Fault(name=each.name, magnitude=each.magnitude, **each.where)
        cases += [
            Case(deployment=made, faults=listed, orders=each.orders)
            for listed in (each.beside, (*each.beside, mine))
        ]
    played = play(cases, SCRAPES)
    return [
        (each, lane(played, 2 * number), lane(played, 2 * number + 1))
        for number, each in enumerate(rows)
    ]


def test_every_primitive_moves_what_it_says_and_where_it_says(
    pairs: Sequence[tuple[Row, Played, Played]],
) -> None:
    wrong = []
    for each, without, having in pairs:
        before, after = each.number(without), each.number(having)
        change = (after - before) / max(abs(before), abs(after), 1e-9)
        still = abs(change) < 1e-6
        if still if each.way else not still or np.isnan(change):
            wrong.append(f"{each.name}: {before:.5g} -> {after:.5g}")
        elif each.way and not change * each.way > 0.01:
            wrong.append(f"{each.name} the wrong way: {before:.5g} -> {after:.5g}")
    assert not wrong, "; ".join(wrong)


def test_every_primitive_is_looked_at(pairs: Sequence[tuple[Row, Played, Played]]) -> None:
    seen = {each.name for each, _, _ in pairs}
    assert seen == {p.name for p in PRIMITIVES} - set(RESOLVED_BY_THE_DRAW)


def test_before_its_time_no_fault_changes_anything(
    pairs: Sequence[tuple[Row, Played, Played]],
) -> None:
    for each, without, having in pairs:
        for field_, values in leaves(having.truth).items():
            before = leaves(without.truth)[field_][:BEGINS]
            assert values[:BEGINS].tobytes() == before.tobytes(), (each.name, field_)


def test_what_the_draw_of_a_scenario_resolves_does_nothing_here(plain: Params) -> None:
    calm = Case(deployment=plain, faults=[Fault(name="benign_blip", magnitude=0.0)])
    others = [
        Case(deployment=plain, faults=[Fault(name=name, magnitude=2.0)])
        for name in RESOLVED_BY_THE_DRAW
    ]
    played = play([calm, *others], 5)
    first = leaves(lane(played, 0).truth)
    for number in range(1, len(others) + 1):
        for name, values in leaves(lane(played, number).truth).items():
            assert values.tobytes() == first[name].tobytes(), name


def test_a_fault_of_signals_changes_nothing_but_what_is_seen(plain: Params) -> None:
    """Controllers hold here, so a wrong reading may not reach the truth by any way."""
    telemetry = [p for p in PRIMITIVES if p.channel == "telemetry"]
    cases = [Case(deployment=plain, faults=[Fault(name="benign_blip", magnitude=0.0)])]
    cases += [
        Case(deployment=plain, faults=[Fault(name=p.name, magnitude=0.5, signals=CLASSES)])
        for p in telemetry
    ]
    played = play(cases, 6)
    first = leaves(lane(played, 0).truth)
    for number, primitive in enumerate(telemetry, start=1):
        for name, values in leaves(lane(played, number).truth).items():
            if name == ".signal_age_s":  # of what is seen; no part of the deployment
                continue
            assert values.tobytes() == first[name].tobytes(), (primitive.name, name)
    assert len(SLOT_SIGNALS) == played.scrape.slot.shape[-1]
