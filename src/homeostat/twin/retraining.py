"""Retraining: an order, a wait, a gate, and a model that knows the window it was trained on.

The window is that of the labels delivered when the order is given (`labels.State.learnable`): a
drift younger than the labels cannot be learnt. Gated, the candidate replaces the CANARY model only
if a held-out test on present data finds it better than what serves; ungated it replaces A's model,
whatever it learnt: a seasonal or rebalanced window without the rest of the year, empty, stale or
malformed inputs, labels that come from a bad model.

A promoted model does not end a drift: the world stays as it is and `quality.accuracy` measures the
drift against what the model has learnt. The kernel therefore leaves data faults whose cure is
`Cure.RETRAIN` in force when a model is promoted.
"""

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import params, quality
from homeostat.twin.shapes import VARIANTS


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
    """What a tick of retraining came to.

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
    raise NotImplementedError


def step(
    settings: params.Quality,
    inputs: quality.Inputs,
    state: State,
    known: quality.State,
    learnable: Array,
    served: Array,
    gated: Array,
    ungated: Array,
    key: Array,
    dt: float,
) -> tuple[State, quality.State, Result]:
    """Return the next state, what the models know now, and what happened.

    Args:
        settings: The deployment's.
        inputs: Faults in force.
        state: As of the last tick.
        known: Quality's state (its models may be replaced).
        learnable: `labels.State.learnable` [4].
        served: Traffic shares in force [V].
        gated: Bool: `Orders.retrain`.
        ungated: Bool: `Orders.retrain_ungated`.
        key: The episode's key of retrainings (folded with nothing: one draw an episode suffices).
        dt: Length of the tick, seconds.
    """
    raise NotImplementedError


def revert(settings: params.Quality, known: quality.State, variants: Array) -> quality.State:
    """Return quality's state with some variants' models back at their first version.

    Args:
        settings: The deployment's.
        known: Quality's state.
        variants: Bool [V].
    """
    raise NotImplementedError
