"""Several policies side by side in one batch, each with episodes of its own.

A compiled batch costs the same however few of its episodes are wanted, so settings that are tried
on a handful of episodes are tried together. No policy sees another one's episodes.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from homeostat.lab.types import Episode, Move, Policy, Trace
from homeostat.lab.world import MOVE_FIELDS, Played
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape


class Beside:
    """A policy that is several.

    Args:
        policies: With how many episodes of the batch each has, in their order.

    Raises:
        ValueError: There are none.
    """

    name = "beside"

    def __init__(self, policies: Sequence[tuple[Policy, int]]) -> None:
        if not policies:
            raise ValueError("need at least one policy")
        ends = np.cumsum([count for _, count in policies]).tolist()
        self._policies = [
            (policy, slice(end - count, end))
            for (policy, count), end in zip(policies, ends, strict=True)
        ]
        self._count = ends[-1]

    def start(self, episodes: Sequence[Episode]) -> None:
        """Start each one on its own episodes.

        Raises:
            ValueError: There are more or fewer episodes than the policies have.
        """
        if len(episodes) != self._count:
            raise ValueError(f"the policies have {self._count} episodes, got {len(episodes)}")
        for policy, rows in self._policies:
            policy.start(episodes[rows])

    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Let each one see its rows, and return what all do."""
        moves = [policy.act(now_s, rows_of(scrape, rows)) for policy, rows in self._policies]
        orders: Orders = jax.tree.map(_joined, *[one.orders for one in moves])
        said: dict[str, Any] = {
            name: _joined(*[getattr(one, name) for one in moves]) for name in MOVE_FIELDS
        }
        return Move(orders=orders, **said)


def part_of(played: Played, rows: slice) -> Played:
    """Return some episodes of a run."""
    trace = played.trace
    return Played(
        trace=Trace(
            episodes=trace.episodes[rows],
            policy=trace.policy,
            truth=rows_of(trace.truth, rows),
            moves={name: value[rows] for name, value in trace.moves.items()},
            signal_age_s=trace.signal_age_s[rows],
        ),
        orders=rows_of(played.orders, rows),
    )


def rows_of(tree: Any, rows: slice) -> Any:
    """Return some episodes of a batch's arrays [N, ...]."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], tree)


def _joined(*parts: Any) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in parts])
