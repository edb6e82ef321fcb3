"""Retraining: an order, a wait, a gate, and a model that knows the window it was trained on.

The window is that of the labels delivered when the order is given (`labels.State.learnable`): a
drift younger than the labels cannot be learnt. Gated, the candidate replaces the CANARY model only
if a held-out test on present data finds it better than what serves; ungated it replaces A's model,
whatever it learnt: a seasonal or rebalanced window without the rest of the year, empty, stale or
malformed inputs, labels that come from a bad model.

A promoted model does not end a drift: the world stays as it is and `quality.accuracy` measures the
drift against what the model has learnt. The kernel therefore leaves data faults whose cure is
`Cure.RETRAIN` in force when a model is promoted.

A person who is told of a drift does the same by hand (`by_person`): trains on the labels that have
come by the end of the repair, asks the same gate, and puts a model that passes in place of those
that serve. The time that it takes is in the human model's median for such faults.
"""

from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin import params, quality, scores
from homeostat.twin.chance import normal
from homeostat.twin.orders import Orders
from homeostat.twin.shapes import SCRAPE_S, VARIANTS, Variant

# Held-out test: what it measures is off by this (4,000 pairs that disagree in one of ten), and a
# candidate must win by more than that.
_GATE_SD: Final = 0.005
_MARGIN: Final = 0.01
# Between two trainings on the same data; and what fitting one window too closely costs.
_SEED_SD: Final = 0.003
_OVERFIT_SD: Final = 0.01
# Share of a bad model's mistakes that its own labels teach the next one.
_ECHO: Final = 0.5


class State(eqx.Module):
    """A retraining under way.

    Attributes:
        left_s: Until it is done; 0 = none.
        gated: Bool.
        candidate: What it will have learnt; scalars.
    """

    left_s: Array
    gated: Array
    candidate: quality.Learnt


class Result(eqx.Module):
    """What retraining came to at a scrape.

    Attributes:
        promoted: Bool [V]: this variant's model was replaced.
        ungated: Bool: one that passed no gate.
        refused: Bool: a candidate did not pass.
        busy: Bool: one is under way.
    """

    promoted: Array
    ungated: Array
    refused: Array
    busy: Array


def init() -> State:
    """Return the state without a retraining."""
    nought = jnp.float32(0.0)
    blank = quality.Learnt(
        base=nought, shift=nought, rotation=nought, narrow=nought, season=nought,
        prior=nought, feature=nought, temperature=jnp.float32(1.0), bias=nought,
    )  # fmt: skip
    return State(left_s=nought, gated=jnp.asarray(a=False), candidate=blank)


def step(
    settings: params.Quality,
    inputs: quality.Inputs,
    state: State,
    known: quality.State,
    learnable: Array,
    served: Array,
    orders: Orders,
    key: Array,
) -> tuple[State, quality.State, Result]:
    """Return the next state, what the models know now, and what happened.

    Called once per scrape, when orders arrive.

    Args:
        settings: The deployment's.
        inputs: Faults in force.
        state: As of the last call.
        known: Quality's state (its models may be replaced).
        learnable: `labels.State.learnable` [4].
        served: Traffic shares in force [V].
        orders: Of which `retrain` and `retrain_ungated` are read; while one retraining is under
            way further orders are ignored. An ungated order wins over a gated one.
        key: The episode's, the same in every call: one luck for every retraining of an episode, so
            that asking again does not draw again.
    """
    luck = normal(key, (3,))
    idle = state.left_s <= 0.0
    begins = idle & (orders.retrain | orders.retrain_ungated)
    target = jnp.where(orders.retrain_ungated, Variant.A, Variant.CANARY)
    fresh = train(settings, inputs, known, learnable, served, target, luck[:2])
    candidate = jax.tree.map(lambda new, old: jnp.where(begins, new, old), fresh, state.candidate)
    gated = jnp.where(begins, ~orders.retrain_ungated, state.gated)
    left_s = jnp.where(begins, jnp.maximum(settings.retrain_s, SCRAPE_S), state.left_s - SCRAPE_S)
    left_s = jnp.maximum(left_s, 0.0)
    done = ~idle & (left_s <= 0.0)
    better = gain(settings, inputs, known, candidate, served) + _GATE_SD * luck[2] > _MARGIN
    passed = done & gated & better
    unseen = done & ~gated
    variants = jnp.arange(VARIANTS)
    promoted = (passed & (variants == Variant.CANARY)) | (unseen & (variants == Variant.A))
    known = _install(known, candidate, promoted)
    result = Result(
        promoted=promoted, ungated=unseen, refused=done & gated & ~better, busy=left_s > 0.0
    )
    return State(left_s=left_s, gated=gated, candidate=candidate), known, result


def by_person(
    settings: params.Quality,
    inputs: quality.Inputs,
    known: quality.State,
    learnable: Array,
    served: Array,
    key: Array,
) -> tuple[quality.State, Array]:
    """Return what the models know once a person has trained one, and which were replaced [V].

    None is where the same gate as a policy's finds it no better than what serves.

    Args:
        settings: The deployment's.
        inputs: Faults in force.
        known: Quality's state.
        learnable: `labels.State.learnable` [4].
        served: Traffic shares in force [V].
        key: The episode's, as in `step`.
    """
    luck = normal(key, (3,))
    model = train(settings, inputs, known, learnable, served, jnp.int32(Variant.A), luck[:2])
    better = gain(settings, inputs, known, model, served) + _GATE_SD * luck[2] > _MARGIN
    replaced = better & (served > 0.0)
    return _install(known, model, replaced), replaced


def train(
    settings: params.Quality,
    inputs: quality.Inputs,
    known: quality.State,
    learnable: Array,
    served: Array,
    target: Array,
    luck: Array,
) -> quality.Learnt:
    """Return what a model trained now would learn; scalars.

    Args:
        settings: The deployment's.
        inputs: Faults in force.
        known: What the models know; A's is the one trained anew.
        learnable: Shift, rotation, season and prior of the newest labels [4].
        served: Traffic shares in force [V].
        target: Variant it will serve as, int: its scores are calibrated to what they go through.
        luck: Two standard normal draws.
    """
    old = jax.tree.map(lambda field: field[Variant.A], known.learnt)
    usable = jnp.maximum(old.base - quality.CHANCE, 0.0)
    broken = quality.broken_share(inputs, known.age_s)[Variant.A]
    # What is learnt from empty, stale or wrongly scaled inputs is to do without them.
    importance = jnp.broadcast_to(settings.importance, VARIANTS)[Variant.A]
    unlearnt = importance * old.feature * usable * broken
    malformed = usable * jnp.clip(inputs.malformed_share[Variant.A], 0.0, 1.0)
    worse = jnp.maximum(-inputs.accuracy_delta, 0.0) + known.feedback
    echoed = _ECHO * (served @ worse)
    lucky = _SEED_SD * luck[0] - _OVERFIT_SD * jnp.abs(luck[1])
    # A loss falls with the square of what is not learnt: 1 - sqrt(1 - gain) of the way is enough.
    way = 1.0 - jnp.sqrt(1.0 - jnp.clip(settings.retrain_gain, 0.0, 1.0))
    return quality.Learnt(
        base=old.base - unlearnt - malformed - echoed + lucky,
        shift=old.shift + way * (learnable[0] - old.shift),
        rotation=old.rotation + way * (learnable[1] - old.rotation),
        narrow=jnp.float32(1.0),
        season=learnable[2],
        prior=learnable[3],
        feature=old.feature * (1.0 - broken),
        temperature=inputs.score_temperature[target],
        bias=inputs.score_bias[target],
    )


def gain(
    settings: params.Quality,
    inputs: quality.Inputs,
    known: quality.State,
    candidate: quality.Learnt,
    served: Array,
) -> Array:
    """Return how much better a candidate is on present data than what serves.

    Accuracy won plus calibration error lost: scores that mean nothing are no answer either.
    Averages over users hide a slice; that is the gate's weakness, not this function's.

    Args:
        settings: The deployment's.
        inputs: Faults in force.
        known: What the models know.
        candidate: The model on trial; scalars.
        served: Traffic shares in force [V].
    """
    every = jax.tree.map(lambda field: field * jnp.ones(VARIANTS), candidate)
    now = quality.accuracy(settings, inputs, known.learnt, known.age_s, known.feedback)[:, 0]
    then = quality.accuracy(settings, inputs, every, known.age_s, jnp.zeros(VARIANTS))[:, 0]
    shares = served / jnp.maximum(served.sum(), 1e-9)
    off_now = scores.calibration_error(settings, inputs, known.learnt)
    off_then = scores.calibration_error(settings, inputs, every)
    return (then - off_then)[Variant.CANARY] - shares @ (now - off_now)


def _install(known: quality.State, candidate: quality.Learnt, promoted: Array) -> quality.State:
    learnt = jax.tree.map(lambda new, old: jnp.where(promoted, new, old), candidate, known.learnt)
    feedback = jnp.where(promoted, 0.0, known.feedback)
    return _with(known, learnt, feedback)


def revert(settings: params.Quality, known: quality.State, variants: Array) -> quality.State:
    """Return quality's state with some variants' models back at their first version.

    Args:
        settings: The deployment's.
        known: Quality's state.
        variants: Bool [V].
    """
    first = quality.learnt_at_start(settings)
    learnt = jax.tree.map(lambda new, old: jnp.where(variants, new, old), first, known.learnt)
    feedback = jnp.where(variants, 0.0, known.feedback)
    return _with(known, learnt, feedback)


def _with(known: quality.State, learnt: quality.Learnt, feedback: Array) -> quality.State:
    replaced: quality.State = eqx.tree_at(
        lambda s: (s.learnt, s.feedback), known, (learnt, feedback)
    )
    return replaced
