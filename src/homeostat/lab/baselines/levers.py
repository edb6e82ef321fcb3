"""What every baseline needs: the orders that change nothing, and the move that does nothing.

Orders are absolute values that stand until the next ones; impulses (restart, rollback, retrain, a
person's fix) last for one scrape and are cleared by `quiet`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from homeostat.lab.types import Episode, Move
from homeostat.twin.orders import Orders


def standing(episodes: Sequence[Episode]) -> Orders:
    """Return the orders that leave every lever where the episode begins, [N, ...]."""
    n, slots = len(episodes), episodes[0].slots
    params = [e.params for e in episodes]
    variants = np.shape(params[0].replicas)[0]
    values = {
        "replicas": np.stack([np.asarray(p.replicas, np.float32) for p in params]),
        "weights": np.stack([np.asarray(p.weights, np.float32) for p in params]),
        "batch_max": np.stack([np.asarray(p.service.batch_max, np.float32) for p in params]),
        "concurrency": np.stack([np.asarray(p.service.concurrency, np.float32) for p in params]),
        "admit_rps": np.full(n, np.inf, np.float32),
        "drain": np.zeros((n, slots), bool),
    }
    return Orders(**cast("Any", values | _impulses(n, slots, variants)))


def quiet(orders: Orders) -> Orders:
    """Return orders with the same lever values and without any impulse."""
    (n, slots), variants = np.shape(orders.restart), np.shape(orders.rollback)[1]
    return changed(orders, **_impulses(n, slots, variants))


def changed(orders: Orders, **values: np.ndarray) -> Orders:
    """Return orders with some fields replaced."""
    return replace(orders, **cast("Any", values))


def move(orders: Orders, **values: np.ndarray) -> Move:
    """Return a move: these orders, and of the rest what is named; else nothing is said or done."""
    n = len(np.asarray(orders.admit_rps))
    said: dict[str, np.ndarray] = {
        "intervened": np.zeros(n, bool),
        "paged": np.zeros(n, bool),
        "family": np.full(n, -1),
        "destructive": np.zeros(n, bool),
        "person_minutes": np.zeros(n, np.float32),
        "alarm": np.zeros(n, bool),
        "breach_probability": np.full(n, np.nan, np.float32),
    }
    return Move(orders=orders, **(said | values))


def _impulses(n: int, slots: int, variants: int) -> dict[str, np.ndarray]:
    once = ("retrain", "retrain_ungated", "person_fixes", "by_us")
    return {name: np.zeros(n, bool) for name in once} | {
        "restart": np.zeros((n, slots), bool),
        "rollback": np.zeros((n, variants), bool),
    }
