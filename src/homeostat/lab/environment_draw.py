"""The episodes that a policy is trained in: random compositions of the kernel's primitives.

Never a scenario of a catalogue: those are what a policy is judged by. A composition that holds two
primitives that a catalogue's scenario holds together is not drawn either, nor one that is all of
one's. A scenario's single primitive, with what it needs, does recur among others. Seeds of
training, of choosing among what was trained and of the lab's own unseen scenarios are apart.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import jax
import numpy as np

from homeostat.lab.compose import families, unseen
from homeostat.lab.draw import draw
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.types import Episode
from homeostat.twin.faults import Faults
from homeostat.twin.params import Params
from homeostat.twin.shapes import TICK_S

TRAIN: Final = 500_000  # first seed of a composition to train in
CHOOSE: Final = 900_000  # first seed of one to choose by
_ROOM: Final = 2  # slots that a deployment does not fill when its episode begins
_TRIES: Final = 400  # compositions looked at for each that fits: of one family few are alone


class Drawn(NamedTuple):
    """Episodes side by side.

    Attributes:
        params: Their deployments [E, ...].
        faults: Their faults [E, ...].
    """

    params: Params
    faults: Faults


def episodes(
    count: int,
    *,
    known: Iterable[Scenario],
    slots: int,
    length_s: int,
    first: int = TRAIN,
    without: Sequence[str] = (),
) -> tuple[Episode, ...]:
    """Return random episodes of one size and length.

    Args:
        count: How many.
        known: Scenarios that a policy will be judged by.
        slots: Replica slots; deployments that leave no room there are passed over.
        length_s: Of an episode.
        first: Seed of the first composition.
        without: Families that are left out, to be judged by: none of a composition's faults is
            of them, whichever comes first.

    Raises:
        ValueError: There are not so many that fit.
    """
    judged_by, found = tuple(known), list[Episode]()
    last = first + _TRIES * max(count, 1)
    # What is trained in never reaches what is chosen by.
    for seed in range(first, min(last, CHOOSE) if first < CHOOSE else last):
        if len(found) == count:
            break
        composed = unseen(seed, known=judged_by, length_s=length_s)
        met = families(composed) & frozenset(without)
        one = None if met else _fitting(composed, seed, slots)
        found += [] if one is None else [one]
    if len(found) < count:
        raise ValueError(
            f"train: {len(found)} of {count} episodes fit into {slots} slots without "
            f"{', '.join(without) or 'any family left out'}; ask for fewer or for more slots"
        )
    return tuple(found)


def _fitting(composed: Scenario, seed: int, slots: int) -> Episode | None:
    """Return the episode, None where its deployment has no room to grow or needs finer ticks."""
    try:
        one = draw(composed, seed, slots=slots)
    except DrawError:
        return None
    taken = one.drawn["deployment.replicas_a"] + one.drawn["deployment.replicas_b"]
    return one if taken + _ROOM <= slots and one.tick_s == TICK_S else None


def stacked(found: Sequence[Episode]) -> Drawn:
    """Return episodes as arrays [E, ...]."""

    def stack(*leaves: Any) -> np.ndarray:
        return np.stack([np.asarray(leaf) for leaf in leaves])

    params: Params = jax.tree.map(stack, *[one.params for one in found])
    faults: Faults = jax.tree.map(stack, *[one.faults for one in found])
    return Drawn(params, faults)
