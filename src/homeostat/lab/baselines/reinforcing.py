"""What a person adds where the repair does not help because users are too many: replicas.

Nobody who is paged ends a flash crowd or shortens what users send (`twin.people`); the catalogue's
right action there is more replicas, and shedding (`shedding`) where even those are too few. A
person who has made a repair looks on: if the 99th percentile has been above the promise for two
minutes, the stable pool is doubled once, within the hard cap. Nobody takes it back within the
episode. If it is not enough, the alert wakes somebody anew, who doubles it again.

For policies that leave the work to people. An autoscaler has replicas in its own hand, and so has a
controller, for which a second hand on the same lever would be somebody else's write.
"""

from collections.abc import Sequence

import numpy as np

from homeostat.lab.baselines.shedding import LOOK_S, MOST_S
from homeostat.lab.types import Episode
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S, Variant

_P99 = signals.GATEWAY_SIGNALS.index(signals.LATENCY_P99)


class Reinforcing:
    """The replicas that people add after their repairs.

    Args:
        episodes: The batch.
    """

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self._promised_ms = 1e3 * np.array([float(e.params.promise.p99_s) for e in episodes])
        self._most = np.array([float(e.params.money.hard_cap) for e in episodes])
        self._added = np.zeros(len(episodes))
        self._left_s = np.zeros(len(episodes))  # how long somebody still looks on
        self._slow_s = np.zeros(len(episodes))

    def step(self, scrape: Scrape, fixes: np.ndarray, ordered: np.ndarray) -> np.ndarray:
        """Return the replicas that are ordered after this scrape, those of people included [N, V].

        Args:
            scrape: What the person sees.
            fixes: Whose repair takes effect now [N], bool.
            ordered: By the policy [N, V].
        """
        # A sample that is missing is not above anything.
        slow = np.asarray(scrape.gateway)[:, _P99] > self._promised_ms
        self._left_s = np.where(fixes, MOST_S, np.maximum(self._left_s - SCRAPE_S, 0.0))
        looking = self._left_s > 0.0
        self._slow_s = np.where(slow & looking & ~fixes, self._slow_s + SCRAPE_S, 0.0)
        add = self._slow_s >= LOOK_S
        self._left_s = np.where(add, 0.0, self._left_s)
        stable = ordered[:, Variant.A] + self._added
        room = np.maximum(self._most - ordered.sum(axis=1) - self._added, 0.0)
        self._added += np.where(add, np.minimum(np.maximum(stable, 1.0), room), 0.0)
        replicas = np.array(ordered, np.float32)
        replicas[:, Variant.A] += self._added.astype(np.float32)
        return replicas
