"""How many channels count: experts that add up the 1, 2, 3 strongest channels of a tick, or all.

One strong channel is a fault that shows in one place, many weak ones a fault that shows everywhere;
channels go together, so adding all of them counts one noise several times. Which is best depends on
the deployment. Experts are weighed exponentially by their discounted losses (a missed trouble, a
false alarm): the mixture's loss is at most the best expert's, plus sqrt(ln(experts) / (2 memory)) a
stretch.

Source: Cesa-Bianchi & Lugosi, "Prediction, Learning, and Games" (2006), sections 2.2 and 2.11.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.learn.feedback_words import Verdict

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ADDED: Final = (1, 2, 3, 1000)
"""Channels that each expert adds up; more than there are = all."""
# Stretches over which losses are remembered: a few hundred tell a few percent apart.
_MEMORY: Final = 300.0
_RATE: Final = math.sqrt(8.0 * math.log(len(ADDED)) / _MEMORY)


class State(NamedTuple):
    """Discounted losses, `[expert]`."""

    loss: Any


def init() -> State:
    """Return experts that were never wrong."""
    return State(loss=np.zeros(len(ADDED)))


def scores(odds: Floats, bins: Ints) -> Floats:
    """Return each expert's score, `[..., expert]`.

    Args:
        odds: Worth of each bin, `[channel, bin]`.
        bins: `[..., channel]`.
    """
    worth = np.sort(odds[np.arange(bins.shape[-1]), bins], axis=-1)[..., ::-1]
    total = worth.cumsum(axis=-1)
    last = [min(count, bins.shape[-1]) - 1 for count in ADDED]
    return np.asarray(total[..., last])


def weights(state: State) -> Floats:
    """Return the experts' weights, `[expert]`, summing to 1."""
    won = np.exp(-_RATE * (state.loss - state.loss.min()))
    return np.asarray(won / won.sum())


def mixed(each: Floats, weight: Floats, lines: Floats) -> Floats:
    """Return the mixture of scores, each in units of its own expert's line; 0 without lines.

    Args:
        each: `[..., expert]`.
        weight: `[expert]`.
        lines: `[expert]`; an expert without a line has nothing to say.
    """
    return np.asarray((each * (weight / lines)).sum(axis=-1))


def step(state: State, tells: npt.NDArray[np.bool_], found: Verdict) -> State:
    """Return the losses after one stretch of which something is known.

    Args:
        state: Before.
        tells: Which experts would have told of it, `[expert]`.
        found: What it was.
    """
    wrong = (tells != found.trouble) * found.weight
    return State(loss=state.loss * (1.0 - 1.0 / _MEMORY) ** found.weight + wrong)
