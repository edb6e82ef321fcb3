"""Draws: valid, consistent, the same everywhere, and whom the faults hit."""

import math
from dataclasses import fields, replace

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.lab.baselines.hold import Hold
from homeostat.lab.chance import stream, value
from homeostat.lab.compose import unseen
from homeostat.lab.draw import batch, draw, slots_for
from homeostat.lab.run import world_for
from homeostat.lab.scenario import Choice, Fault, Onset, Range, Scenario, Target, fixed
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.types import Episode
from homeostat.testing.catalogue import catalogue, scenario
from homeostat.twin import tables
from homeostat.twin.primitives import INDEX, PRIMITIVES
from homeostat.twin.shapes import (
    FAULTS,
    FINE_TICK_S,
    LOAD_KNOTS,
    SLOT_COUNTS,
    TICK_S,
    VARIANTS,
    Cure,
    Shape,
)
from homeostat.twin.signals import CLASSES

SEEDS = range(20)
INFINITE = {"frontend_rps", "connections", "dependency_rps", "retry_share"}


def leaves(tree: object) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def same(one: Episode, two: Episode) -> bool:
    arrays = zip(leaves((one.params, one.faults)), leaves((two.params, two.faults)), strict=True)
    plain = [f.name for f in fields(Episode) if f.name not in {"params", "faults"}]
    return all(np.array_equal(a, b) for a, b in arrays) and all(
        getattr(one, name) == getattr(two, name) for name in plain
    )


def row(episode: Episode, primitive: str) -> int:
    return int(np.flatnonzero(episode.faults.primitive == INDEX[primitive])[0])


def check(episode: Episode) -> None:
    """Hold an episode to everything that must be true of any of them."""
    params, faults = episode.params, episode.faults
    for section in fields(params):
        for path, leaf in jax.tree_util.tree_leaves_with_path(getattr(params, section.name)):
            name = str(path[-1]).strip(".") if path else section.name
            assert leaf.dtype == np.float32, name
            assert not np.isnan(leaf).any(), name
            assert np.isfinite(leaf).all() or name in INFINITE, name
    assert params.demand.knots_rps.shape == (LOAD_KNOTS,)
    assert (np.asarray(params.demand.knots_rps) >= 0).all()
    assert float(params.demand.spacing_s) * (LOAD_KNOTS - 1) == pytest.approx(episode.length_s)
    assert np.asarray(params.weights).sum() == pytest.approx(1.0)
    replicas = np.asarray(params.replicas)
    assert replicas[0] >= 1
    assert replicas.sum() < episode.slots
    assert replicas.sum() <= float(params.provision.cap) <= episode.slots
    assert float(params.memory.base_gib) < float(params.memory.limit_gib)
    assert float(params.quality.floor) < float(params.quality.accuracy[0]) <= 1.0
    check_faults(episode, np.asarray(faults.start_s))


def check_faults(episode: Episode, starts: np.ndarray) -> None:
    faults = episode.faults
    used = np.isfinite(starts)
    assert used.any()
    assert (starts[used] >= 0).all()
    assert (starts[used] < episode.length_s).all()
    first = math.inf if episode.benign else float(starts[used].min())
    assert episode.onset_s == first
    assert faults.slots.shape == (FAULTS, episode.slots)
    assert faults.variants.shape == (FAULTS, VARIANTS)
    assert faults.signals.shape == (FAULTS, len(CLASSES))
    assert faults.variants.any(axis=1).all()
    assert faults.signals.any(axis=1).all()
    for index in np.flatnonzero(used):
        primitive = PRIMITIVES[int(faults.primitive[index])]
        magnitude = float(faults.magnitude[index])
        low, high = np.float32(primitive.low), np.float32(primitive.high)
        assert low <= magnitude <= high, (episode.scenario, primitive.name, magnitude)
        assert float(faults.stop_s[index]) > float(starts[index])
        assert 0 <= float(faults.ramp_s[index]) < math.inf
        shape = Shape(int(faults.shape[index]))
        if shape in {Shape.PERIODIC, Shape.PULSES}:
            assert float(faults.period_s[index]) > 0
        if shape is Shape.PULSES:
            assert 0 < float(faults.ramp_s[index]) <= float(faults.period_s[index])
        if shape in {Shape.RISE_DECAY, Shape.QUIET_THEN_PEAK}:
            assert math.isfinite(float(faults.stop_s[index]))
        assert int(faults.cure[index]) in {cure.value for cure in Cure}


@pytest.mark.parametrize("each", catalogue(), ids=lambda s: s.id)
def test_every_scenario_draws_valid_episodes(each: Scenario) -> None:
    for seed in SEEDS:
        check(draw(each, seed))


@given(seed=st.integers(0, 2**63 - 1), which=st.integers(0, 42))
def test_any_seed_draws_a_valid_episode(seed: int, which: int) -> None:
    check(draw(catalogue()[which], seed))


@given(seed=st.integers(0, 10**9))
def test_compositions_nobody_wrote_draw_valid_episodes(seed: int) -> None:
    check(draw(unseen(seed), seed))


def test_the_same_seed_gives_the_same_episode_and_another_one_does_not() -> None:
    for each in catalogue():
        assert same(draw(each, 7), draw(each, 7)), each.id
        assert not same(draw(each, 7), draw(each, 8)), each.id


def test_chance_is_the_same_on_every_machine() -> None:
    """Noted once; a library or a processor that draws otherwise is found out."""
    chance = stream("S01", 7, "deployment")
    drawn = [
        value(given, {}, chance)
        for given in (
            Range(low=0.0, high=1.0),
            Range(low=0.001, high=1000.0, log=True),
            Range(low=1.0, high=6.0, whole=True),
            Choice(options=(0.0, 0.5, 1.0)),
        )
    ]
    assert drawn == GOLDEN


GOLDEN = [0.434036, 457.249, 4.0, 0.5]


def test_a_new_parameter_moves_no_other_draw() -> None:
    one = scenario("S01")
    two = replace(one, params={"new": Range(low=0.0, high=1.0), **one.params})
    assert dict(draw(two, 3).drawn) == {**draw(one, 3).drawn, "new": draw(two, 3).drawn["new"]}


def test_slots_change_nothing_but_the_room_there_is() -> None:
    narrow, wide = draw(scenario("S03"), 4, slots=16), draw(scenario("S03"), 4, slots=32)
    assert narrow.drawn == wide.drawn
    assert np.array_equal(narrow.faults.slots, wide.faults.slots[:, :16])
    assert np.array_equal(narrow.params.service.tau0_s, wide.params.service.tau0_s)


def test_where_clients_may_give_up_early_every_draw_is_played_in_finer_ticks() -> None:
    patient, hasty = scenario("S07"), Range(low=0.5, high=8.0)
    either = replace(patient, deployment={**patient.deployment, "timeout_s": hasty})
    assert {draw(patient, seed).tick_s for seed in SEEDS} == {TICK_S}
    assert {draw(either, seed).tick_s for seed in SEEDS} == {FINE_TICK_S}
    assert max(float(draw(either, seed).params.client.timeout_s) for seed in SEEDS) > 2.0
    fine, coarse = (world_for([draw(one, 0)], 4).steps for one in (either, patient))
    assert (fine.tick_s, coarse.tick_s) == (FINE_TICK_S, TICK_S)


@pytest.mark.long
def test_a_client_that_gives_up_within_a_tick_is_played_second_by_second() -> None:
    """In ticks of a second whoever waits 0.3 s and whoever waits 0.9 s would be the same."""
    calm = replace(scenario("S43"), length_s=900, faults=())
    failed = []
    for timeout_s in (0.3, 1.9):
        given = {**calm.deployment, "timeout_s": fixed(timeout_s), "retries": fixed(0)}
        episode = draw(replace(calm, deployment=given), 0)
        truth = world_for([episode], 4).play(Hold(), [episode]).trace.truth
        assert np.shape(truth.errors) == (1, 900)
        failed.append(float(np.sum(truth.errors)) / float(np.sum(truth.attempts)))
    assert 0.0 <= failed[1] < failed[0] <= 1.0


def test_a_deployment_that_does_not_fit_its_slots_is_refused() -> None:
    with pytest.raises(DrawError, match="raise slots or lower deployment"):
        draw(scenario("S40"), 0, slots=4)
    with pytest.raises(DrawError, match="compiled for"):
        draw(scenario("S40"), 0, slots=12)
    with pytest.raises(DrawError, match="negative"):
        draw(scenario("S40"), -1)
    crowd = replace(scenario("S01"), deployment={"replicas": fixed(30), "b_share": fixed(4)})
    with pytest.raises(DrawError, match=r"Lower deployment\.replicas"):
        slots_for(crowd)


@pytest.mark.slow
def test_the_fewest_slots_hold_every_draw_with_room_to_act() -> None:
    for each in catalogue():
        slots = slots_for(each)
        assert slots in SLOT_COUNTS
        held = [np.asarray(draw(each, seed).params.replicas).sum() for seed in SEEDS]
        assert max(held) + 1 <= slots, each.id


def test_offered_load_follows_from_utilisation_and_the_service_law() -> None:
    for seed in SEEDS:
        episode = draw(scenario("S03"), seed)
        service = episode.params.service
        tau0, alpha, size = (float(service.tau0_s[0]), float(service.alpha_s[0]),
                             float(service.batch_max[0]))  # fmt: skip
        capacity = float(episode.params.replicas[0]) * size / (tau0 + alpha * size)
        load = float(episode.params.demand.knots_rps[0])
        actual = episode.drawn["deployment.base_rho"]
        assert load / capacity == pytest.approx(actual, rel=1e-4)
        assert actual <= episode.drawn["base_rho"] * (1 + 1e-4)


@pytest.mark.long
def test_no_deployment_breaks_its_promise_before_the_fault() -> None:
    """By the twin's own curves: load at the start is what pool A serves within the promise."""
    params, _ = batch([draw(each, 1) for each in catalogue()])
    service, a = params.service, params.replicas[:, 0]
    row = tables.load().row(
        tau0_s=service.tau0_s[:, 0],
        alpha_s=service.alpha_s[:, 0],
        batch_max=service.batch_max[:, 0],
        cv2=service.cv2[:, 0],
        ca2=1 + (params.demand.ca2 - 1) / a,
    )
    most = a * row.capacity_within(params.promise.p99_s - params.limits.network_s)
    loads = params.demand.knots_rps[:, 0] / np.asarray(most)
    assert (loads <= 0.86).all()
    assert (loads > 0.2).all()  # nor is any of them idle


def test_the_promises_follow_from_the_deployment() -> None:
    episode = draw(scenario("S03"), 1)
    service, money = episode.params.service, episode.params.money
    alone = float(service.tau0_s[0]) + float(service.alpha_s[0])
    variance = math.log1p(float(service.cv2[0]))
    p99 = alone * math.exp(2.326348 * math.sqrt(variance) - variance / 2)
    network = float(episode.params.limits.network_s)
    assert float(episode.params.promise.p99_s) == pytest.approx(3 * (p99 + network), rel=1e-3)
    a, b, _ = (float(n) for n in episode.params.replicas)
    price_a, price_b, _ = (float(p) for p in money.usd_per_hour)
    budget = 1.5 * ((a + 1) * price_a + b * price_b)
    assert float(money.budget_usd_per_hour) == pytest.approx(budget, rel=1e-4)
    quality = episode.params.quality
    assert float(quality.accuracy[0] - quality.floor) == pytest.approx(0.05, abs=1e-4)


def test_one_replica_is_the_same_replica_for_every_fault() -> None:
    for seed in SEEDS:
        faults = draw(scenario("S02"), seed).faults
        assert faults.slots[0].sum() == 1
        assert np.array_equal(faults.slots[0], faults.slots[1])


def test_only_replicas_of_pool_a_are_singled_out_and_never_the_last() -> None:
    for seed in SEEDS:
        episode = draw(scenario("S13"), seed)
        a = int(episode.params.replicas[0])
        hit = episode.faults.slots[row(episode, "replica_hang")]
        assert not hit[a:].any()
        assert 1 <= hit.sum() <= max(1, a - 1)


def test_a_share_of_all_hits_also_the_replicas_to_come() -> None:
    every = replace(scenario("S01"), params=dict(scenario("S01").params)
                    | {"affected_fraction": fixed(1.0)})  # fmt: skip
    some = replace(every, params=dict(every.params) | {"affected_fraction": fixed(0.5)})
    assert draw(every, 0).faults.slots[0].all()
    assert not draw(some, 0).faults.slots[0].all()


def test_a_node_is_a_group_of_neighbours_of_the_share_that_was_drawn() -> None:
    for seed in SEEDS:
        episode = draw(scenario("S05"), seed)
        index = row(episode, "replica_kill")
        a, hit = int(episode.params.replicas[0]), episode.faults.slots[index]
        assert hit.sum() == max(1, round(episode.drawn["lost_fraction"] * a))
        edges = np.sum(hit[:a] != np.roll(hit[:a], 1))
        assert edges in {0, 2}  # one run of neighbours on a ring
        assert episode.faults.magnitude[index] == 1


def one_fault(fault: Fault, *more: Fault) -> Scenario:
    return replace(scenario("S02"), params={}, deployment={}, faults=(fault, *more))


def test_a_lost_hardware_pool_is_every_nth_slot() -> None:
    found = draw(
        one_fault(
            Fault(primitive="pool_loss", magnitude=fixed(1), target=Target.HARDWARE_POOL),
            Fault(primitive="n_pools", magnitude=fixed(4), target=Target.DEPLOYMENT),
        ),
        0,
    ).faults.slots[0]
    assert found.sum() == len(found) / 4
    assert set(np.diff(np.flatnonzero(found))) == {4}


def test_a_group_of_replicas_hangs_whole() -> None:
    given_scenario = replace(
        one_fault(
            Fault(primitive="group_hang", magnitude=fixed(1), target=Target.NODE_GROUP),
            Fault(primitive="group_size", magnitude=fixed(3), target=Target.DEPLOYMENT),
        ),
        deployment={"replicas": fixed(6)},
    )
    assert draw(given_scenario, 0).faults.slots[0].sum() == 3


def test_a_rollback_that_fails_is_told_from_every_write_that_fails() -> None:
    episode = draw(scenario("S39"), 0)
    assert not episode.faults.slots[row(episode, "actuator_fail")].any()


def test_a_pool_that_lacks_the_dependency_is_spared_and_makes_it_recoverable() -> None:
    seen = set()
    for seed in SEEDS:
        episode = draw(scenario("S18"), seed)
        spared = episode.drawn["B_without_dep"] == 1
        assert episode.recoverable == spared
        for name in ("dep_latency_s", "dep_err_prob", "dep_capacity_rps"):
            hit = list(episode.faults.variants[row(episode, name)])
            assert hit == [True, not spared, True]
        seen.add(spared)
    assert seen == {True, False}


def test_a_variant_or_some_replicas_is_cured_by_what_fits() -> None:
    seen = set()
    for seed in SEEDS:
        episode = draw(scenario("S32"), seed)
        index = row(episode, "nan_prob")
        whole = bool(episode.faults.slots[index].all())
        wanted = Cure.ROLLBACK if whole else Cure.RESTART
        assert int(episode.faults.cure[index]) == wanted
        assert list(episode.faults.variants[index]) == (
            [True, False, False] if whole else [True] * 3
        )
        seen.add(whole)
    assert seen == {True, False}


def test_only_the_named_signals_are_touched() -> None:
    episode = draw(scenario("S34"), 0)
    hit = episode.faults.signals[row(episode, "metric_delay_s")]
    assert {CLASSES[i] for i in np.flatnonzero(hit)} == {"latency", "errors", "throughput", "queue"}
    other = episode.faults.signals[row(episode, "metric_freeze")]
    assert {CLASSES[i] for i in np.flatnonzero(other)} == {"cpu"}


def test_the_same_signals_vanish_and_read_zero() -> None:
    for seed in SEEDS:
        faults = draw(scenario("S33"), seed).faults
        assert np.array_equal(faults.signals[0], faults.signals[1])


def test_a_share_of_the_requests_is_their_mean() -> None:
    episode = draw(scenario("S11"), 2)
    share, mult = episode.drawn["fraction_long"], episode.drawn["prefill_mult"]
    drawn = float(episode.faults.magnitude[row(episode, "size_mult_prefill")])
    assert drawn == pytest.approx(1 + share * (mult - 1), rel=1e-5)


def test_a_leak_reaches_the_limit_when_it_was_said_to() -> None:
    for seed in SEEDS:
        episode = draw(scenario("S12"), seed)
        memory, params = episode.params.memory, episode.params
        kb = float(episode.faults.magnitude[row(episode, "mem_leak_per_req_kb")])
        each = float(params.demand.knots_rps[0]) / float(params.replicas[0])
        free_kb = (float(memory.limit_gib) - float(memory.base_gib)) * 1024 * 1024
        assert free_kb / (kb * each) == pytest.approx(episode.drawn["time_to_limit_s"], rel=1e-3)


def test_a_peak_after_quiet_is_against_the_usual_load() -> None:
    for seed in SEEDS:
        episode = draw(scenario("S42"), seed)
        quiet, peak = (float(m) for m in episode.faults.magnitude[:2])
        assert 1.0 <= quiet * peak <= 1.4 + 1e-5
        assert float(episode.faults.stop_s[1]) < episode.length_s


def test_what_limits_is_sized_by_the_load() -> None:
    episode = draw(scenario("S20"), 1)
    each = float(episode.faults.magnitude[row(episode, "frontend_capacity_rps")])
    whole = each * float(episode.params.replicas[0])
    wanted = episode.drawn["frontend_rps_frac"] * episode.drawn["deployment.demand_rps"]
    assert whole == pytest.approx(wanted, rel=1e-4)


def test_base_rho_as_a_fault_is_a_multiple_of_the_usual_load() -> None:
    found = one_fault(Fault(primitive="base_rho", magnitude=fixed(0.9), target=Target.DEPLOYMENT))
    episode = draw(found, 0)
    index = row(episode, "arrival_mult")
    usual = episode.drawn["deployment.base_rho"]
    assert float(episode.faults.magnitude[index]) == pytest.approx(0.9 / usual, rel=1e-5)


def test_a_fault_of_its_own_delay_begins_later() -> None:
    late = Onset(delay_s=fixed(120.0))
    found = draw(
        one_fault(
            Fault(primitive="net_loss", magnitude=fixed(0.1), target=Target.ALL_REPLICAS),
            Fault(
                primitive="net_delay_s", magnitude=fixed(1), target=Target.ALL_REPLICAS, onset=late
            ),
        ),
        0,
    ).faults
    assert found.start_s[1] - found.start_s[0] == pytest.approx(120.0, abs=1e-2)


def test_benign_scenarios_have_no_onset() -> None:
    assert [s.id for s in catalogue() if draw(s, 0).onset_s == math.inf] == ["S22", "S43"]


def test_a_diurnal_load_begins_at_its_bottom_and_keeps_its_ratio() -> None:
    knots = np.asarray(draw(scenario("S22"), 0).params.demand.knots_rps)
    assert knots[0] == knots.min()
    assert 1.05 < knots.max() / knots.min() <= 1.5


def test_choices_are_all_met_and_whole_numbers_include_both_ends() -> None:
    found = replace(
        scenario("S01"),
        params=dict(scenario("S01").params)
        | {"c": Choice(options=(1.0, 5.0)), "w": Range(low=2.0, high=4.0, whole=True)},
    )
    drawn = [draw(found, seed).drawn for seed in range(60)]
    assert {d["c"] for d in drawn} == {1.0, 5.0}
    assert {d["w"] for d in drawn} == {2.0, 3.0, 4.0}


def test_episodes_batch_with_their_slots_padded() -> None:
    narrow, wide = draw(scenario("S01"), 0, slots=16), draw(scenario("S03"), 0, slots=32)
    params, faults = batch([narrow, wide])
    assert faults.slots.shape == (2, FAULTS, 32)
    assert params.replicas.shape == (2, VARIANTS)
    assert params.demand.knots_rps.shape == (2, LOAD_KNOTS)
    assert np.array_equal(faults.slots[0, :, :16], narrow.faults.slots)
    hit = wide.faults.slots[row(wide, "replica_speed_mult")]
    assert np.array_equal(faults.slots[1, 0], hit)
    with pytest.raises(DrawError, match="no episodes"):
        batch([])


def test_padded_slots_are_hit_by_what_hits_all_and_by_nothing_else() -> None:
    every = replace(scenario("S01"), params=dict(scenario("S01").params)
                    | {"affected_fraction": fixed(1.0)})  # fmt: skip
    few, many = draw(every, 0, slots=16), draw(scenario("S13"), 0, slots=32)
    assert batch([few, many])[1].slots[0, 0].all()
    one = draw(scenario("S03"), 0, slots=16)
    assert not batch([one, many])[1].slots[0, 0, 16:].any()
