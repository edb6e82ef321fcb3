"""Trained policies in the lab: told what training told them, and let do what they were let do."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from controller_made import Made, episode, play
from learned_made import file, weights

from homeostat.base.actions import ActionKind
from homeostat.lab import environment_actions as actions
from homeostat.lab import learned
from homeostat.lab.baselines.levers import standing
from homeostat.lab.environment import Deployment, State, World
from homeostat.lab.environment_actions import MENU, NAMES
from homeostat.lab.environment_draw import Drawn
from homeostat.lab.environment_facts import no_past, remembered
from homeostat.lab.environment_mask import LEARNT
from homeostat.lab.environment_reward import Served
from homeostat.lab.environment_seen import no_watch, watched
from homeostat.lab.learned import GUARDED, RECIPES, RULES, Onlooker, UntrainedError, network
from homeostat.lab.learned_actions import Target, named
from homeostat.lab.learned_free import Free, best
from homeostat.lab.learned_guarded import Guarded
from homeostat.lab.policies import make
from homeostat.learn import ppo_net
from homeostat.learn.ppo_file import PpoFileError
from homeostat.safety.permit import permit
from homeostat.twin.outputs import Scrape

pytestmark = pytest.mark.slow

SIX = {"hold", *(name for name in NAMES if name[:5] in {"scale", "batch", "shift"})}


def likes(*names: str) -> learned.Network:
    """Return a network that likes these actions, in this order, whatever it is told."""
    start = weights()
    *most, last, end = start.policy
    opinion = np.array(end)
    for rank, name in enumerate(names):
        opinion[NAMES.index(name)] = 10.0 - rank
    return learned.Network(start._replace(policy=(*most, 0.0 * last, opinion)), {})


def test_a_policy_is_served_by_the_weights_of_its_own_file() -> None:
    for name in RECIPES:
        found = network(name, {name: file(name, seed=3)})
        for mine, theirs in zip(found.weights.policy, weights(3).policy, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert make(name, trained={name: file(name)}).name == name


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ({}, "policy ppo: no weights were given"),
        ({"ppo": file("ppo_hash")}, "other rules"),
        ({"ppo": file("ppo", seeds=2)}, "2 seeds, and none was chosen"),
        ({}, "homeostat train --out policy.safetensors"),
    ],
)
def test_what_is_no_trained_policy_of_that_name_is_refused(
    trained: Mapping[str, bytes], said: str
) -> None:
    with pytest.raises(UntrainedError, match=said):
        make("ppo", trained=trained)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("ppo_quality", "ppo_hash", "the reward 'hash', not 'level'"),
        ("ppo_hash", "ppo_quality", "the reward 'level', not 'hash'"),
        ("ppo_quality", "ppo_lagrangian", "trained with limits of costs"),
        ("ppo_lagrangian", "ppo_quality", "trained without limits of costs"),
        ("ppo_lagrangian", "ppo", "other rules"),
    ],
)
def test_a_policy_that_was_trained_by_another_recipe_is_refused_with_its_own(
    name: str, given: str, said: str
) -> None:
    with pytest.raises(UntrainedError, match=said) as caught:
        make(name, trained={name: file(given)})
    assert f"homeostat train {RECIPES[name].options}" in str(caught.value)
    assert f"--out {name}.safetensors" in str(caught.value)


def test_a_training_run_is_called_by_what_it_was_paid_and_let_do() -> None:
    for name in RECIPES:
        (found,) = learned.several(file(name))
        assert learned.name_of(found.manifest) == name
    (found,) = learned.several(file(min(RECIPES)))
    strange = dict(found.manifest) | {"rules": {}}
    with pytest.raises(UntrainedError, match="no policy has the rules"):
        learned.name_of(strange)


def test_a_policy_for_other_observations_or_actions_is_refused() -> None:
    for changed in ({"observations": ["load"]}, {"actions": list(NAMES[::-1])}):
        with pytest.raises(PpoFileError):
            make("ppo", trained={"ppo": file("ppo", 0, 1, **changed)})
    with pytest.raises(PpoFileError, match=r"cannot be read|checksum"):
        make("ppo", trained={"ppo": file("ppo")[:-3]})


def test_the_likeliest_allowed_action_is_done_and_a_forbidden_one_never() -> None:
    some = likes("rollback", "batch_up", "hold")
    told = np.zeros((2, len(weights().policy[0])), np.float32)
    allowed = np.ones((2, len(NAMES)), bool)
    allowed[1, NAMES.index("rollback")] = False
    found = [NAMES[number] for number in best(some, told, allowed)]
    assert found == ["rollback", "batch_up"]


def together(*scrapes: Scrape) -> Scrape:
    def join(*leaves: Any) -> np.ndarray:
        return np.concatenate([np.asarray(leaf) for leaf in leaves])

    import jax  # noqa: PLC0415 - no JAX where tests are only collected

    found: Scrape = jax.tree.map(join, *scrapes)
    return found


@pytest.mark.long
def test_an_episode_is_seen_the_same_whoever_is_beside_it() -> None:
    first, second = Made(seed=1, rate=300.0), Made(seed=2, rate=60.0)
    both = Onlooker([episode(), episode(1)], GUARDED)
    alone = Onlooker([episode()], GUARDED)
    none, held = np.zeros(2, bool), np.zeros(2, int)
    seen: list[learned.Told] = []
    for _ in range(20):
        mine, theirs = first.scrape(), second.scrape()
        two = both.see(together(mine, theirs), standing([episode(), episode(1)]), none, held)
        one = alone.see(mine, standing([episode()]), none[:1], held[:1])
        np.testing.assert_allclose(two.numbers[:1], one.numbers, atol=1e-6)
        np.testing.assert_array_equal(two.mask[:1], one.mask)
        seen.append(two)
    assert not np.allclose(seen[-1].numbers[0], seen[-1].numbers[1])
    assert seen[-1].mask[0].sum() > 3


@pytest.mark.long
def test_without_guards_the_paper_learner_does_what_it_likes_at_every_scrape() -> None:
    policy = Free("ppo_hash", likes("scale_down_a"))
    policy.start([episode()])
    moves = play(policy, Made(), 7)
    assert [float(one.orders.replicas[0, 0]) for one in moves] == [4, 3, 2, 1, 0, 0, 0]
    assert all(bool(one.intervened[0]) and bool(one.destructive[0]) for one in moves)


def test_the_paper_learner_has_six_actions_and_no_other() -> None:
    policy = Free("ppo_hash", likes("rollback", "escalate", "restart_replica", "shed_load"))
    policy.start([episode()])
    for one in play(policy, Made(), 5):
        assert not one.paged.any()
        assert not one.orders.rollback.any()
        assert not one.orders.restart.any()
        assert np.isinf(one.orders.admit_rps).all()
    allowed = Onlooker([episode()], RULES["ppo_hash"]).see(
        Made().scrape(), standing([episode()]), np.zeros(1, bool), np.zeros(1, int)
    )
    assert {NAMES[n] for n in np.flatnonzero(allowed.mask[0])} == SIX


def guarded(*names: str, scrapes: int = 40, **made: Any) -> tuple[Guarded, list[Any]]:
    policy = Guarded("ppo", likes(*names), person=False)
    policy.start([episode()])
    return policy, play(policy, Made(**made), scrapes)


def test_behind_the_guards_nothing_is_taken_away_at_first_sight() -> None:
    policy, moves = guarded("scale_down_a", "hold", rate=300.0)
    assert not any(one.intervened[0] for one in moves)
    assert all(float(one.orders.replicas[0, 0]) == 5 for one in moves)
    assert policy.minds[0].state.past == ()


def test_behind_the_guards_a_change_waits_for_baselines_and_then_for_the_cooldown() -> None:
    policy, moves = guarded("batch_down", "hold", rate=60.0)
    at = [number for number, one in enumerate(moves) if one.intervened[0]]
    assert at
    assert at[0] >= GUARDED.learning_scrapes - 1
    assert all(b - a >= GUARDED.cooldown_scrapes for a, b in pairwise(at))
    kinds = {one.kind for one in policy.minds[0].state.past}
    assert kinds == {ActionKind.BATCH_DOWN}


def test_what_the_guards_refuse_is_passed_over_for_the_next_in_rank(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[ActionKind] = []

    def never_up(candidates: Any, seen: Any, now: Any) -> Any:
        asked.extend(one.kind for one in candidates)
        kept = [one for one in candidates if one.kind is not ActionKind.SCALE_UP]
        return permit(kept, seen, now)

    monkeypatch.setattr("homeostat.lab.learned_guarded.permit", never_up)
    policy, _ = guarded("scale_up_a", "batch_down", "hold", rate=60.0)
    assert {one.kind for one in policy.minds[0].state.past} == {ActionKind.BATCH_DOWN}
    assert ActionKind.SCALE_UP in asked
    assert policy.refused > 0


def test_every_action_that_is_learnt_can_be_named_to_the_guards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each line of the menu that is learnt becomes an action of its own kind, or nothing."""
    policy, _ = guarded("hold", scrapes=20, rate=300.0)
    state = policy.minds[0].state
    at = Target(slot=0, rung_b=25.0, usual_b=0.0)
    found = {name: named(name, state, at) for name in NAMES}
    kinds = {name: one.kind for name, one in found.items() if one is not None}
    assert all(kinds[name] is MENU[name].kind for name in kinds)
    assert {MENU[name].kind for name in kinds} >= set(LEARNT)
    assert not {"drain_replica", "return_replicas", "retrain"} & set(kinds)
    assert found["shift_back"] is not None or found["shift_to_b"] is not None
    assert NAMES.index("hold") == actions.HOLD


def test_a_policy_that_tells_somebody_changes_nothing() -> None:
    policy, moves = guarded("escalate", "hold", rate=300.0, scrapes=20)
    assert not any(one.intervened[0] for one in moves)
    assert policy.minds[0].state.past == ()


def test_the_network_serves_in_numpy_what_training_computed() -> None:
    import jax.numpy as jnp  # noqa: PLC0415 - as above

    told = np.random.default_rng(0).uniform(-1, 1, (50, len(weights().policy[0])))
    told = told.astype(np.float32)
    theirs = np.asarray(ppo_net.logits(jnp, weights(), told))
    np.testing.assert_allclose(
        network("ppo", {"ppo": file("ppo")}).logits(told), theirs, rtol=1e-4, atol=1e-4
    )


def test_what_a_policy_is_told_is_what_the_environment_of_training_shows() -> None:
    """The same scrapes and actions through both: `Deployment` as it trains, `Onlooker` as it plays.

    The environment steps the twin itself; here its state is put together around made scrapes, by
    the calls that its step makes.
    """
    import jax  # noqa: PLC0415 - as above
    import jax.numpy as jnp  # noqa: PLC0415 - as above

    one, made = episode(), Made(seed=4, rate=300.0)
    drawn = Drawn(*(jax.tree.map(lambda leaf: np.asarray(leaf)[None], part)
                    for part in (one.params, ())))  # fmt: skip
    nothing: Any = ()  # neither the twin nor its tables show anything
    world = World(drawn, nothing, np.float32(240.0))
    trained = Deployment(world=world, rules=GUARDED)
    shown = jax.jit(trained._seen)
    eyes = Onlooker([one], GUARDED)
    served = Served(*6 * [jnp.float32(0)])
    allowed = np.zeros(0)
    past, watch, last = no_past(one.slots), no_watch(), actions.HOLD
    for number in range(24):
        scrape, orders = made.scrape(), made.orders
        acted = last != actions.HOLD
        told = eyes.see(scrape, orders, np.array([acted]), np.array([last]))
        mine, ours = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), (scrape, orders))
        past = remembered(one.params, past, mine, jnp.asarray(acted), jnp.int32(last))
        watch = watched(watch, mine)
        state = State(jnp.int32(0), nothing, ours, mine, past, watch, served)
        seen, allowed = shown(world, state), told.mask[0]
        np.testing.assert_allclose(told.numbers[0], np.asarray(seen.numbers), atol=1e-6)
        np.testing.assert_array_equal(told.mask[0], np.asarray(seen.mask))
        last = NAMES.index("batch_down") if number in {16, 20} else actions.HOLD
    assert 3 < allowed.sum() < len(NAMES)
