"""The counterfactuals: the same episodes with the controller frozen.

HOLD is a policy's own episode with the same key in which nothing is ever ordered; it is the same
for every policy, so a batch's is played once and kept. "HOLD from action k" repeats a policy's
recorded orders up to its k-th own action and then leaves the levers where they were before it:
what that action (and those after it) did is the difference. People are no part of the controller:
a fix that the recording holds still happens.
"""

from collections import OrderedDict
from collections.abc import Sequence

import jax
import numpy as np

from homeostat.lab.baselines.hold import Hold
from homeostat.lab.baselines.levers import changed, move, quiet
from homeostat.lab.types import Episode, Move, Trace
from homeostat.lab.world import Played, World
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S


class Holds:
    """HOLD traces by batch; keeps the latest few, because a trace is large.

    Args:
        world: Where to play.
        kept: How many batches.
    """

    def __init__(self, world: World, *, kept: int = 1) -> None:
        self._world = world
        self._kept = kept
        self._traces: OrderedDict[tuple[tuple[str, int], ...], Trace] = OrderedDict()

    def of(self, episodes: Sequence[Episode]) -> Trace:
        """Return the HOLD trace of a batch, played now or before."""
        key = tuple((e.scenario, e.seed) for e in episodes)
        if key not in self._traces:
            self._traces[key] = self._world.play(Hold(), episodes).trace
        self._traces.move_to_end(key)
        while len(self._traces) > self._kept:
            self._traces.popitem(last=False)
        return self._traces[key]


class Replay:
    """Repeats recorded orders; from a given own action on, leaves the levers as they are.

    Args:
        played: The recording.
        until: The own action from which each episode is frozen, from 0 [N]; one past the last (or
            more) repeats everything.
    """

    name = "replay"

    def __init__(self, played: Played, until: np.ndarray) -> None:
        self._orders = played.orders
        ours = np.asarray(played.trace.moves["intervened"])
        # Move d is in force from scrape d + 1 on.
        number = np.cumsum(ours, axis=1) - 1
        frozen = (number >= np.asarray(until)[:, None]) & (np.cumsum(ours, axis=1) > 0)
        self._first = np.where(frozen.any(axis=1), frozen.argmax(axis=1) + 1, ours.shape[1] + 1)

    def start(self, episodes: Sequence[Episode]) -> None:
        """Check that these are as many episodes as were recorded.

        Raises:
            ValueError: They are not.
        """
        recorded = len(self._first)
        if len(episodes) != recorded:
            raise ValueError(
                f"{recorded} episodes were recorded, {len(episodes)} are to be replayed"
            )

    def act(self, now_s: float, scrape: Scrape) -> Move:  # noqa: ARG002  # repeats what was done
        """Return the orders that were in force next, or those before the frozen action."""
        at = int(now_s // SCRAPE_S)
        last = np.asarray(self._orders.admit_rps).shape[1] - 1
        rows = np.arange(len(self._first))
        column = np.minimum(np.minimum(at, self._first - 1), last)

        def pick(leaf: np.ndarray) -> np.ndarray:
            return np.asarray(leaf[rows, column])

        orders: Orders = jax.tree.map(pick, self._orders)
        frozen = at >= self._first
        still = quiet(orders)
        fixes = np.asarray(self._orders.person_fixes)[:, min(at, last)]
        kept = jax.tree.map(
            lambda calm, told: np.where(frozen.reshape(-1, *[1] * (calm.ndim - 1)), calm, told),
            still,
            orders,
        )
        return move(changed(kept, person_fixes=fixes))


def hold_from(world: World, played: Played, until: np.ndarray) -> Played:
    """Return what would have happened without the own actions from the k-th on.

    Args:
        world: The one that played.
        played: The recording.
        until: k for each episode, from 0 [N].
    """
    return world.play(Replay(played, until), played.trace.episodes)
