"""The clairvoyant: what it foresees comes true, and nobody it was shown is better."""

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources

import jax
import numpy as np
import pytest

from homeostat.lab import oracle, oracle_value
from homeostat.lab.baselines.levers import changed, standing
from homeostat.lab.draw import draw
from homeostat.lab.metrics_score import score
from homeostat.lab.oracle import Oracle, Search
from homeostat.lab.oracle_plans import level
from homeostat.lab.oracle_value import Promised, look
from homeostat.lab.policies import make
from homeostat.lab.run import world_of
from homeostat.lab.scenario_schema import load
from homeostat.lab.types import Episode
from homeostat.lab.world import Batch, Played
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth
from homeostat.twin.shapes import SCRAPE_S

SLOTS, WIDTH = 16, 4
WIDE = 25  # so many plans are looked at side by side: four times as fast as four at a time
QUICK = Search(horizon_s=600, long_horizon_s=900, rounds=1)


def flash_crowds(count: int, length_s: int) -> list[Episode]:
    text = (resources.files("homeostat.lab") / "catalogue" / "load.yaml").read_text()
    case = next(one for one in load(text, "load.yaml") if one.id == "S07")
    return [replace(draw(case, seed, slots=SLOTS), length_s=length_s) for seed in range(count)]


def value(played: Played, hold: Played) -> np.ndarray:
    return score(played.trace, hold.trace, orders=played.orders).value


@pytest.mark.slow
def test_what_is_foreseen_comes_true_to_the_bit() -> None:
    episodes = flash_crowds(2, 900)
    world = world_of(SLOTS, WIDTH)
    batch = Batch(world.steps, episodes, WIDTH)
    orders = standing(episodes)
    for _ in range(20):
        batch.advance(orders)
    one: Orders = jax.tree.map(lambda leaf: np.asarray(leaf)[1], orders)
    kept = level(one, 10)
    more = replace(kept, replicas=np.asarray(kept.replicas) + np.array([1.0, 0.0, 0.0]))
    plans: Orders = jax.tree.map(lambda *leaves: np.stack(leaves), kept, more)
    before = jax.tree.map(np.array, batch.state)
    foreseen = look(batch, np.array([1, 1]), plans)
    jax.tree.map(np.testing.assert_array_equal, before, batch.state)
    assert foreseen.budgets[0] != foreseen.budgets[1]
    spent = 0.0
    for at in range(10):
        now = jax.tree.map(lambda leaf, at=at: np.repeat(leaf[None, at], 2, axis=0), more)
        truth, _ = batch.advance(now)
        seen = jax.tree.map(lambda leaf: np.asarray(leaf)[1:2], truth)
        spent += Promised.to(episodes[1:]).rate(seen).sum() / 3600.0
    assert spent == foreseen.budgets[1]


@pytest.mark.slow
def test_a_plan_is_judged_with_what_was_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[tuple[Truth, Truth, Orders]] = []

    def noted(_: object, seen: Truth, hold: Truth, orders: Orders) -> np.ndarray:
        judged.append((seen, hold, orders))
        return np.zeros(1)

    def once(self: oracle._Attempt, at: int, *_: object) -> None:
        if at == 20:
            self._costs(at, 10, [(1, self._plans[1])])

    monkeypatch.setattr(oracle_value, "harm", noted)
    monkeypatch.setattr(oracle._Attempt, "_improve", once)
    world, episodes = world_of(SLOTS, WIDTH), flash_crowds(2, 900)
    hold = world.play(make("hold"), episodes)
    more = np.array(hold.orders.replicas)
    more[:, 10:, 0] += 1.0
    attempt = oracle._Attempt(world, Search(), [oracle._person(one, 1.0) for one in episodes], hold)
    plan = changed(hold.orders, replicas=more)
    attempt.begin([oracle.row(plan, i) for i in range(2)])
    played = attempt.play("oracle")
    ((seen, other, orders),) = judged
    assert not np.array_equal(seen.held, other.held)
    for name in ("good", "usd_per_hour", "held"):
        ours = getattr(played.trace.truth, name)[1:, : 30 * SCRAPE_S]
        theirs = getattr(hold.trace.truth, name)[1:, : 30 * SCRAPE_S]
        np.testing.assert_array_equal(getattr(seen, name), ours, err_msg=name)
        np.testing.assert_array_equal(getattr(other, name), theirs, err_msg=name)
    np.testing.assert_array_equal(orders.replicas, more[1:, :30])


@pytest.mark.slow
def test_the_searchs_cost_is_the_metrics_value_without_the_catastrophes() -> None:
    episodes = flash_crowds(2, 900)
    hold = world_of(SLOTS, WIDTH).play(make("hold"), episodes)
    scored = score(hold.trace, hold.trace, orders=hold.orders)
    assert not scored.judgement.caused.any()
    ours = Promised.to(episodes).rate(hold.trace.truth).sum(axis=1) / 3600.0
    np.testing.assert_allclose(ours, -scored.value, rtol=1e-6)


@pytest.mark.long
def test_an_episode_is_planned_at_the_same_moments_alone_and_in_company(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planned: list[tuple[int, list[int], list[int]]] = []

    def noted(_: object, at: int, _phase: object, _variant: object, *two: Sequence[int]) -> None:
        planned.append((at, list(two[0]), list(two[1])))

    monkeypatch.setattr(oracle._Attempt, "_improve", noted)
    world, episodes = world_of(SLOTS, WIDTH), flash_crowds(3, 1500)
    struck = [each.onset_s // SCRAPE_S for each in episodes if each.onset_s < each.length_s]
    assert len(set(struck)) == len(struck) >= 2
    hold = world.play(make("hold"), episodes)
    Oracle(world, QUICK).play(episodes, hold)
    company = [[(at, i in slow) for at, which, slow in planned if i in which] for i in range(3)]
    for i, episode in enumerate(episodes):
        planned.clear()
        Oracle(world, QUICK).play([episode], world.play(make("hold"), [episode]))
        assert [(at, 0 in slow) for at, _, slow in planned] == company[i]
        if episode.onset_s < episode.length_s:
            assert (math.ceil(episode.onset_s / SCRAPE_S), True) in company[i]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_oracle_beats_hold_and_hpa_on_a_flash_crowd() -> None:
    episodes = flash_crowds(2, 3600)
    world = world_of(SLOTS, WIDTH)
    hold, hpa = (world.play(make(name), episodes) for name in ("hold", "hpa"))
    alone = value(Oracle(world, QUICK).play(episodes, hold), hold)
    assert (alone >= value(hold, hold)).all()
    assert alone.sum() > value(hold, hold).sum()
    assert alone.sum() > value(hpa, hold).sum(), "without having been shown what hpa did"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_oracle_is_never_worse_than_what_it_was_shown() -> None:
    episodes = flash_crowds(4, 1200)
    world = world_of(SLOTS, WIDTH)
    hold = world.play(make("hold"), episodes)
    others = [world.play(make(name), episodes) for name in ("hpa", "keda", "random")]
    best = value(Oracle(world, QUICK).play(episodes, hold, others), hold)
    for other in (hold, *others):
        assert (best >= value(other, hold)).all()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_twice_the_interval_and_depth_in_company_gains_less_than_one_percent() -> None:
    episodes = flash_crowds(4, 3600)
    world = world_of(SLOTS, WIDE)
    hold = world.play(make("hold"), episodes)
    others = [world.play(make(name), episodes) for name in ("threshold", "hpa", "keda")]
    found = [
        value(Oracle(world, search).play(episodes, hold, others), hold).sum()
        for search in (
            Search(),
            Search(replan_s=150, rounds=6),
        )  # all of it, alone: test_oracle_alone
    ]
    gained = (found[1] - found[0]) / (found[0] - value(hold, hold).sum())
    assert gained < 0.01
