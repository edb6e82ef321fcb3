"""The environment's parts on scrapes made by hand: what is seen, allowed, ordered and paid."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.lab import environment_draw
from homeostat.lab.controller_parts import GRANTED
from homeostat.lab.environment_actions import MENU, NAMES, Scene, ordered
from homeostat.lab.environment_facts import FAR, blank, no_past, remembered, work
from homeostat.lab.environment_mask import LEARNT, UNGUARDED, Rules, mask
from homeostat.lab.environment_reward import COSTS, Kind, Reward, Served, counted, paid, served
from homeostat.lab.environment_seen import NUMBERS, OBSERVATIONS, no_watch, observation, watched
from homeostat.policy import reward as rewards
from homeostat.twin import levers, signals
from homeostat.twin.outputs import Scrape, Truth
from homeostat.twin.params import Params
from homeostat.twin.shapes import SCRAPE_S, Phase

pytestmark = pytest.mark.slow

SLOTS = 8
ALL = Rules(granted=frozenset(ActionKind))
ASKED_FOR_NOTHING = {"hold", "escalate"}


def single(*values: float) -> Any:
    """Return numbers in the twin's type: several as an array, one as a scalar."""
    return np.array(values if len(values) > 1 else values[0], np.float32)


def some(kind: type[Any], **fields: Any) -> Any:
    """Return one of the twin's records with NumPy's arrays in it."""
    return kind(**fields)


@cache
def deployment() -> Params:
    """Three replicas of A and two of B that have room to grow, and money for it."""
    found = environment_draw.episodes(1, known=(), slots=SLOTS, length_s=900)[0].params
    changed: Params = eqx.tree_at(
        lambda p: (
            p.replicas, p.weights, p.money.hard_cap, p.money.usd_per_hour,
            p.money.budget_usd_per_hour, p.service.batch_limit, p.service.batch_max,
            p.service.concurrency, p.promise.p99_s, p.promise.availability,
        ),
        found,
        (
            single(3, 2, 0), single(0.8, 0.2, 0), single(6), single(2, 2, 2),
            single(14), single(32), single(8, 8, 8), single(64),
            single(0.5), single(0.999),
        ),
    )  # fmt: skip
    return changed


def put(array: Any, table: tuple[str, ...], **values: Any) -> Any:
    changed = np.array(array)
    for name, value in values.items():
        changed[..., table.index(name)] = value
    return changed


def healthy() -> Scrape:
    """Three and two ready replicas, a third of their capacity used, everything reported."""
    phase = np.array([Phase.READY] * 5 + [Phase.EMPTY] * 3, np.int32)
    serves = phase == Phase.READY
    gateway = put(
        np.zeros(len(signals.GATEWAY_SIGNALS), np.float32), signals.GATEWAY_SIGNALS,
        **{names.ARRIVAL_RATE: 600.0, names.LATENCY_P50: 40.0, names.LATENCY_P95: 90.0,
           signals.LATENCY_P99: 120.0, signals.USD_PER_HOUR: 10.0},
    )  # fmt: skip
    variant = put(
        np.zeros((3, len(signals.VARIANT_SIGNALS)), np.float32), signals.VARIANT_SIGNALS,
        **{names.ARRIVAL_RATE: [480.0, 120.0, 0.0], names.LATENCY_P95: 90.0, names.ACCURACY: 0.92},
    )  # fmt: skip
    slot = put(
        np.zeros((SLOTS, len(signals.SLOT_SIGNALS)), np.float32), signals.SLOT_SIGNALS,
        **{names.PROCESS_UP: 1.0, names.PROBE_HEALTH: 1.0, names.PROBE_INFERENCE: 1.0,
           names.BATCH_SIZE: 24.0, names.DEVICE_TIME: 40.0, names.BATCH_FULL_SHARE: 0.6,
           names.MEMORY_SHARE: 0.4, names.CPU_SHARE: 0.5},
    )  # fmt: skip
    found: Scrape = some(
        Scrape,
        gateway=gateway,
        variant=variant,
        slot=np.where(serves[:, None], slot, np.nan).astype(np.float32),
        age_s=np.zeros(len(signals.GATEWAY_SIGNALS), np.float32),
        phase=phase,
        slot_variant=np.array([0, 0, 0, 1, 1, 0, 0, 0], np.int32),
        version=single(2, 1, 0),
        levers_ok=np.bool_(1),
        changing=np.bool_(0),
        batch_max=single(8, 8, 8),
        weights=single(0.8, 0.2, 0),
        replicas=single(3, 2, 0),
        admit_rps=single(np.inf),
        tokens=np.full((SLOTS, len(signals.TOKEN_SIGNALS)), np.nan, np.float32),
    )
    return found


def scene(scrape: Scrape | None = None, **past: Any) -> Scene:
    begun: Any = no_past(SLOTS)
    begun = begun._replace(
        learnt=FAR, calm=FAR, watched=FAR, peak=single(0.5, 0.1, 0.0), step=single(500.0), **past
    )
    orders = levers.begin(deployment(), SLOTS)
    seen = healthy() if scrape is None else scrape
    found: Scene = jax.tree.map(jnp.asarray, Scene(deployment(), seen, orders, begun))
    return found


@cache
def masked(rules: Rules) -> Callable[[Scene], Any]:
    return jax.jit(lambda one: mask(one, rules))


def allowed(one: Scene, rules: Rules = ALL) -> set[str]:
    return {name for name, may in zip(NAMES, np.asarray(masked(rules)(one)), strict=True) if may}


def altered(one: Scene, where: Callable[[Scene], Any], value: Any) -> Scene:
    old = where(one)
    new: Scene = eqx.tree_at(where, one, jnp.asarray(value, old.dtype))
    return new


def test_before_the_first_scrape_only_holding_and_telling_are_allowed() -> None:
    assert allowed(scene(blank(SLOTS))) == ASKED_FOR_NOTHING


def gateway_says(**values: float) -> Scene:
    one = scene()
    told = put(one.scrape.gateway, signals.GATEWAY_SIGNALS, **values)
    return altered(one, lambda s: s.scrape.gateway, told)


def test_users_are_turned_away_only_where_something_is_known_to_be_missed() -> None:
    assert "shed_load" in allowed(gateway_says(**{names.ERROR_RATIO: 0.2}))
    assert "shed_load" not in allowed(gateway_says(**{names.ERROR_RATIO: 0.0}))
    assert "shed_load" not in allowed(gateway_says(**{names.LATENCY_P95: float("nan")}))


def test_half_a_batch_is_offered_only_where_half_of_what_serves_is_to_spare() -> None:
    def busy(share: float) -> Scene:
        """Return each pool's replicas busy for this share of their time."""
        one = scene()
        seen = signals.VARIANT_SIGNALS.index(names.ARRIVAL_RATE)
        rates = np.array(one.scrape.variant)
        rates[:, seen] *= share / float(np.asarray(work(one.scrape))[0] / 3.0)
        return altered(one, lambda s: s.scrape.variant, rates)

    assert "batch_down" in allowed(busy(0.39))
    assert "batch_down" not in allowed(busy(0.41))


def test_a_calm_deployment_may_be_changed_but_for_what_needs_a_reason() -> None:
    nothing_to_undo_or_prove = {
        "shift_back", "restart_replica", "drain_replica", "return_replicas", "admit_all",
    }  # fmt: skip
    found = allowed(scene())
    assert found == set(NAMES) - nothing_to_undo_or_prove - {
        "scale_down_b",  # B's floor: one to spare
        "shed_load",  # nothing is missed
        "resize_down",  # what is left of capacity is not known
    }


def test_what_nobody_granted_is_never_allowed() -> None:
    found = allowed(scene(), Rules())
    assert not found & {"resize_up", "resize_down", "retrain"}
    assert found >= {"scale_up_a", "batch_up", "rollback"}


def test_without_guards_the_papers_six_actions_are_allowed_whatever_is_seen() -> None:
    six = {
        "hold", "scale_up_a", "scale_down_a", "scale_up_b", "scale_down_b", "batch_up",
        "batch_down", "shift_to_b", "shift_back",
    }  # fmt: skip
    for seen in (scene(healthy()), scene(blank(SLOTS))):
        assert allowed(seen, UNGUARDED) == six


def test_a_policy_learns_what_is_granted_but_for_what_it_could_never_take_back() -> None:
    assert set(GRANTED) - set(LEARNT) == {ActionKind.DRAIN_REPLICA}


@pytest.mark.parametrize("name", [names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P95])
def test_without_sight_nothing_but_one_more_replica_is_allowed(name: str) -> None:
    place = signals.GATEWAY_SIGNALS.index(name)
    blind = altered(scene(), lambda s: s.scrape.gateway, put(
        healthy().gateway, signals.GATEWAY_SIGNALS, **{name: np.nan}))  # fmt: skip
    stale = altered(
        scene(), lambda s: s.scrape.age_s, np.eye(len(signals.GATEWAY_SIGNALS))[place] * 31.0
    )
    for one in (blind, stale):
        assert allowed(one) == ASKED_FOR_NOTHING | {"scale_up_a", "scale_up_b"}


def test_a_signal_that_goes_missing_never_allows_anything_more() -> None:
    before = allowed(scene())
    rng = np.random.default_rng(0)
    for _ in range(40):
        one: Any = healthy()
        lost = replace(
            one,
            gateway=np.where(rng.random(one.gateway.shape) < 0.3, np.nan, one.gateway),
            variant=np.where(rng.random(one.variant.shape) < 0.3, np.nan, one.variant),
            slot=np.where(rng.random(one.slot.shape) < 0.3, np.nan, one.slot),
        )
        assert allowed(scene(jax.tree.map(lambda new, old: new.astype(old.dtype), lost, one))) <= (
            before
        )


@pytest.mark.parametrize(
    ("where", "value", "gone"),
    [
        (lambda s: s.past.since, 19.0, {"batch_up", "batch_down", "shift_to_b", "scale_down_a"}),
        (lambda s: s.past.learnt, 14.0, {"batch_up", "batch_down", "rollback", "scale_down_a"}),
        (lambda s: s.past.since, 39.0, {"scale_down_a"}),
        (lambda s: s.past.calm, 39.0, {"scale_down_a"}),
        (lambda s: s.past.watched, 239.0, {"scale_down_a"}),
        (lambda s: s.past.peak, [0.81, 0.1, 0.0], {"scale_down_a"}),
        (lambda s: s.past.at, [499.0] * 6, {"batch_up", "batch_down", "scale_down_a"}),
        (lambda s: s.scrape.changing, True, {"scale_up_a", "batch_up", "rollback"}),
        (lambda s: s.scrape.levers_ok, False, {"scale_up_a", "batch_up", "rollback"}),
        (lambda s: s.deployment.money.budget_usd_per_hour, 11.9, {"scale_up_a", "scale_up_b"}),
        (lambda s: s.deployment.money.hard_cap, 3.0, {"scale_up_a"}),
        (lambda s: s.deployment.service.batch_limit, 15.0, {"batch_up"}),
        (lambda s: s.deployment.promise.p99_s, 0.24, {"batch_up"}),
        (lambda s: s.scrape.version, [0.0, 1.0, 0.0], {"rollback"}),
        (lambda s: s.deployment.replicas, [3.0, 0.0, 0.0], {"scale_up_b", "shift_to_b"}),
    ],
)  # fmt: skip
def test_each_rule_takes_away_what_it_is_about(where: Any, value: Any, gone: set[str]) -> None:
    before, after = allowed(scene()), allowed(altered(scene(), where, value))
    assert gone <= before
    assert not gone & after
    assert after <= before


def test_a_replica_is_restarted_only_once_it_is_proven_to_fail_and_another_one_serves() -> None:
    failing = np.zeros(SLOTS)
    failing[1] = 2.0
    assert "restart_replica" not in allowed(scene(failing=failing))
    failing[1] = 3.0
    one = scene(failing=failing)
    assert allowed(one) >= {"restart_replica", "drain_replica"}
    done = jax.jit(ordered)(one, jnp.int32(NAMES.index("restart_replica")))
    assert np.flatnonzero(done.restart).tolist() == [1]
    alone = altered(one, lambda s: s.scrape.phase, [Phase.DEAD, Phase.READY] + [Phase.DEAD] * 6)
    assert "restart_replica" not in allowed(alone)


def test_every_action_moves_its_own_lever_and_no_other() -> None:
    moves: dict[str, tuple[str, Any]] = {
        "scale_up_a": ("replicas", [4, 2, 0]), "scale_down_a": ("replicas", [2, 2, 0]),
        "scale_up_b": ("replicas", [3, 3, 0]), "scale_down_b": ("replicas", [3, 1, 0]),
        "resize_up": ("concurrency", 128), "resize_down": ("concurrency", 48),
        "batch_up": ("batch_max", [16] * 3), "batch_down": ("batch_max", [4] * 3),
        "shift_to_b": ("weights", [0.75, 0.25, 0.0]), "shift_back": ("weights", [0.8, 0.2, 0.0]),
        "rollback": ("rollback", [1, 0, 0]), "shed_load": ("admit_rps", 540.0),
        "retrain": ("retrain", 1), "restart_replica": ("restart", [1] + [0] * 7),
        "drain_replica": ("drain", [1] + [0] * 7), "return_replicas": ("drain", [0] * 8),
        "admit_all": ("admit_rps", np.inf), "hold": ("by_us", 0), "escalate": ("by_us", 0),
    }  # fmt: skip
    assert set(moves) == set(MENU)
    one, do = scene(), jax.jit(ordered)
    for number, name in enumerate(NAMES):
        found, (lever, wanted) = do(one, jnp.int32(number)), moves[name]
        np.testing.assert_allclose(np.asarray(getattr(found, lever), float), wanted, atol=1e-6)
        for other, value in vars(found).items():
            if other not in {lever, "by_us"}:
                np.testing.assert_array_equal(value, getattr(one.orders, other), err_msg=name)
        assert bool(found.by_us) is (name not in ASKED_FOR_NOTHING)


def test_the_memory_counts_actions_calm_and_failed_probes() -> None:
    well: Any = healthy()
    bad = put(well.slot, signals.SLOT_SIGNALS, **{names.PROBE_INFERENCE: 0.0})
    sick = replace(well, slot=np.where(np.arange(SLOTS)[:, None] == 2, bad, well.slot))
    past = no_past(SLOTS)
    for scrape in (sick, sick, sick):
        past = remembered(deployment(), past, scrape, jnp.asarray(a=False), jnp.int32(0))
    assert past.failing.tolist() == [0, 0, 3, 0, 0, 0, 0, 0]
    assert (float(past.calm), float(past.watched), float(past.step)) == (3.0, 3.0, 3.0)
    silent = replace(sick, slot=np.full_like(sick.slot, np.nan))
    after = remembered(deployment(), past, silent, jnp.asarray(a=True), jnp.int32(7))
    assert after.failing[2] == 3.0  # silence proves nothing, and forgives nothing
    assert (float(after.since), int(after.last), float(after.watched)) == (1.0, 7, 0.0)
    assert max(np.asarray(after.at).tolist()) == 3.0
    back = remembered(deployment(), after, well, jnp.asarray(a=False), jnp.int32(0))
    assert back.failing.tolist() == [0.0] * SLOTS


@cache
def seen_by() -> Callable[..., Any]:
    return jax.jit(lambda one, watch: observation(one, watch, ALL))


def test_what_is_unknown_has_no_bit_and_what_is_known_has_one() -> None:
    assert len(set(OBSERVATIONS)) == len(OBSERVATIONS) == 2 * len(NUMBERS)
    nothing = np.asarray(seen_by()(scene(blank(SLOTS)), no_watch()))
    values, bits = np.split(nothing, 2)
    known = {name for name, bit in zip(NUMBERS, bits, strict=True) if bit}
    assert (values[bits == 0.0] == 0.0).all()
    assert not known & {"arrivals", "errors", "p99", "errors:a", "load:a", "score:error_ratio"}
    assert known >= {"budget_left", "since_action", "share_b", "changing"}
    full = np.asarray(seen_by()(scene(), watched(no_watch(), healthy())))
    told = dict(zip(OBSERVATIONS, full.tolist(), strict=True))
    assert told["known:arrivals"] == told["known:load:a"] == told["known:accuracy:a"] == 1.0
    assert told["known:score:error_ratio"] == 0.0  # a chart that has just begun says nothing
    assert told["load:a"] == pytest.approx(np.log2(480 / 600 / 3) / 4.0, abs=1e-5)
    assert told["p95"] == pytest.approx(np.log2(90 / 500) / 4.0, abs=1e-5)
    assert told["errors"] == -1.0
    assert told["budget_left"] == pytest.approx(2.0 * (1.0 - 10.0 / 14.0) - 1.0, abs=1e-5)


def test_numbers_stay_within_their_bounds_whatever_a_scrape_says() -> None:
    rng = np.random.default_rng(1)
    for _ in range(25):
        one = healthy()
        wild = jax.tree.map(
            lambda leaf: np.where(
                rng.random(leaf.shape) < 0.5,
                rng.choice([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, 1e-30], leaf.shape),
                leaf,
            ).astype(leaf.dtype) if leaf.dtype == np.float32 else leaf,
            one,
        )  # fmt: skip
        found = np.asarray(seen_by()(scene(wild), watched(no_watch(), wild)))
        assert np.isfinite(found).all()
        assert np.abs(found).max() <= 1.0
        assert set(found[len(NUMBERS) :].tolist()) <= {0.0, 1.0}


def truth(rng: np.random.Generator) -> Truth:
    fields = {name: rng.uniform(0.0, 1.0, SCRAPE_S) for name in Truth.__dataclass_fields__}
    fields["offered"] = rng.uniform(50.0, 60.0, SCRAPE_S)
    fields["good"] = fields["offered"] * np.where(rng.random(SCRAPE_S) < 0.7, 1.0, 0.99)
    fields["quality"] = rng.uniform(0.8, 1.0, SCRAPE_S)
    found: Truth = some(Truth, **{name: v.astype(np.float32) for name, v in fields.items()})
    return found


def as_service(one: Served) -> rewards.Service:
    return rewards.Service(**{name: float(value) for name, value in one._asdict().items()})


def test_both_rewards_are_those_of_the_policy_room() -> None:
    rng = np.random.default_rng(2)
    before, after = (served(deployment(), truth(rng)) for _ in range(2))
    hours, told = SCRAPE_S / 3600.0, jnp.asarray(a=False)
    level = rewards.Level(budget_usd_per_hour=14.0, quality_known=True)
    found = paid(Reward(page=0.5), deployment(), before, after, told, hours)
    wanted = rewards.level_reward(level, as_service(after), hours)
    assert float(found) == pytest.approx(wanted, rel=1e-5)
    paged = paid(Reward(page=0.5), deployment(), before, after, ~told, hours)
    assert float(found - paged) == pytest.approx(0.5, rel=1e-5)
    weights = rewards.HashWeights(latency=0.3, throughput=2.0, errors=5.0, resources=0.7)
    asked = Reward(kind=Kind.HASH, hash_weights=weights)
    found = paid(asked, deployment(), before, after, told, hours)
    wanted = rewards.hash_reward(weights, as_service(before), as_service(after))
    assert float(found) == pytest.approx(wanted, rel=1e-4)
    nothing = Served(*(jnp.float32(np.nan),) * len(Served._fields))
    first = paid(asked, deployment(), nothing, after, told, hours)
    assert float(first) == pytest.approx(-0.7 * float(after.usd_per_hour), rel=1e-5)


def test_a_violation_is_what_the_judge_calls_one() -> None:
    one = truth(np.random.default_rng(3))
    floor = float(np.asarray(deployment().quality.floor))
    bad = (one.good < 0.999 * one.offered - 1e-6 * one.offered) | (one.p99_s > 0.5)
    bad |= one.quality < floor
    assert float(served(deployment(), one).violated) == pytest.approx(bad.mean(), abs=1e-6)
    costs = dict(zip(COSTS, counted(deployment(), one, jnp.asarray(a=True), jnp.asarray(a=False)),
                     strict=True))  # fmt: skip
    assert float(costs["violation"]) == pytest.approx(bad.mean(), abs=1e-6)
    assert float(costs["poor_quality"]) == pytest.approx((one.quality < floor).mean(), abs=1e-6)
    assert float(costs["lost"]) == pytest.approx(one.undrained.sum() / one.offered.sum(), rel=1e-4)
    assert (float(costs["pages"]), float(costs["actions"])) == (1.0, 0.0)
