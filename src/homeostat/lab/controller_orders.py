"""The controller's writes as orders to the twin.

Levers keep the value that was written last; restarts and rollbacks are impulses of one scrape. A
limit on requests in flight becomes a rate by Little's law, with the latency last seen: that is how
many requests a second such a limit lets through.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from homeostat.base import names
from homeostat.base.world import Levers, Scalar
from homeostat.lab.baselines.levers import changed, quiet, standing
from homeostat.lab.controller_leaving import Leaving
from homeostat.lab.controller_names import POOLS, slot_index, variant_index
from homeostat.lab.types import Episode
from homeostat.twin import signals
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Variant

_P50 = signals.GATEWAY_SIGNALS.index(names.LATENCY_P50)
_STANDING = frozenset({
    "replicas", "weight", "drained", names.BATCH_MAX, names.CONCURRENCY, names.GATEWAY_LIMIT
})  # fmt: skip
_FIELDS = ("replicas", "weights", "batch_max", "concurrency", "drain")
# No answer is faster than the network: below this a limit in flight is no limit.
_FASTEST_S = 0.001


class Desk:
    """The orders of a batch, as the controllers' writes have left them.

    Args:
        episodes: The batch.
    """

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self.orders = standing(episodes)
        self._last = self.orders
        self._kept: set[int] = set()
        self._leaving = Leaving(episodes)
        self._in_flight = np.zeros(len(episodes))
        self._latency_s = np.array([float(e.params.promise.p99_s) for e in episodes]) / 3.0

    def fresh(self, scrape: Scrape) -> None:
        """Begin a scrape: no impulses, and the gateway's limits as rates at today's latency."""
        self._last, self._kept = self.orders, set()
        self.orders = _writable(quiet(self.orders))
        self._leaving.see(scrape, self.orders)
        p50 = np.asarray(scrape.gateway)[:, _P50] / 1000.0
        self._latency_s = np.where(np.isfinite(p50), np.maximum(p50, _FASTEST_S), self._latency_s)
        self._limit()

    def write(self, number: int, post: Levers) -> None:
        """Order one write's levers for one episode."""
        before = {name: np.array(getattr(self.orders, name)[number]) for name in _FIELDS}
        for lever, value in post:
            self._order(number, lever, value)
        self.orders.by_us[number] = True
        self._limit()
        if number in self._kept:
            self._wait(number, before)

    def _wait(self, number: int, before: Mapping[str, np.ndarray]) -> None:
        """Leave for the next scrape what would be ordered as it was last.

        The twin takes a lever for written when its order changes: what was lost, or moved by
        somebody else, has to be ordered as it is before it can be ordered as it shall be. The
        write is then lost once more, and the controller sends it anew.
        """
        for name, kept in before.items():
            row = getattr(self.orders, name)
            if np.array_equal(row[number], np.asarray(getattr(self._last, name))[number]):
                row[number] = kept

    def press(self, number: int, impulse: str) -> None:
        """Order what has no lever: `retrain` or `retrain_ungated`."""
        getattr(self.orders, impulse)[number] = True
        self.orders.by_us[number] = True

    def keep(self, number: int, levers: Mapping[str, Scalar]) -> None:
        """Order what is in force again: a write of ours was lost, or somebody else wrote.

        What is ordered and in force is no write, and the next change of it will be one.
        """
        self._kept.add(number)
        for lever, value in levers.items():
            if lever.partition(".")[0] in _STANDING:
                self._order(number, lever, value)
        self._limit()

    def _order(self, number: int, lever: str, value: Scalar) -> None:
        kind, _, rest = lever.partition(".")
        orders = self.orders
        match kind:
            case "replicas":
                orders.replicas[number, variant_index(rest)] = float(value)
            case "version":
                orders.rollback[number, variant_index(rest)] = True
            case "weight":
                self._weigh(number, variant_index(rest), float(value) / 100.0)
            case "incarnation":
                self._leaving.end(number, slot_index(rest), orders)
            case "drained":
                slot = slot_index(rest)
                orders.drain[number, slot] = bool(value) or self._leaving.leaves(number, slot)
            case names.BATCH_MAX:
                orders.batch_max[number] = float(value)
            case names.CONCURRENCY:
                orders.concurrency[number] = float(value)
            case names.GATEWAY_LIMIT:
                self._in_flight[number] = float(value)
            case _:
                raise KeyError(f"the twin has no lever {lever!r}")

    def _weigh(self, number: int, variant: int, share: float) -> None:
        """Give a variant its share; the stable pool has what the others leave."""
        weights = np.asarray(self.orders.weights)[number]  # a view: changed in place
        weights[variant] = share
        others = sum(float(weights[v]) for v in range(len(POOLS)) if v not in {variant, Variant.A})
        if variant != Variant.A and share + others > 1.0:
            # Two pools cannot have more than all: the one that was written last has its share.
            for v in range(len(POOLS)):
                if v not in {variant, Variant.A}:
                    weights[v] *= (1.0 - share) / others
            others = 1.0 - share
        if variant != Variant.A:
            weights[Variant.A] = max(0.0, 1.0 - share - others)

    def _limit(self) -> None:
        rates = self._in_flight / self._latency_s
        self.orders.admit_rps[:] = np.where(self._in_flight > 0.0, rates, np.inf)


def _writable(orders: Orders) -> Orders:
    """Return a copy whose arrays may be changed: the orders before it are on their way."""
    return changed(orders, **{name: np.array(value) for name, value in vars(orders).items()})
