"""How a process that is to be replaced leaves: out of rotation, its requests done, then ended.

Every platform of the product's does so (a process host retires, Kubernetes deletes a pod with a
grace period); the twin's own restart ends a process at once, with all that it holds. So a restart
of a replica that serves is ordered in two steps: it is taken out of rotation, and ended when it
holds nothing any more or its time to drain is over. One that answers within a second what it holds
is ended at once, for the twin is asked only once in a scrape: what it holds then is lost, which no
platform would lose. A process that hangs or is gone has nothing to finish.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.lab.types import Episode
from homeostat.twin import signals
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S, Phase

_COLUMN: Final = signals.SLOT_SIGNALS.index
_HELD: Final = _COLUMN(signals.IN_FLIGHT)
_TIME, _BATCH = _COLUMN(names.DEVICE_TIME), _COLUMN(names.BATCH_SIZE)
_PROBE: Final = _COLUMN(names.PROBE_INFERENCE)
_AT_ONCE_S: Final = 1.0
_SERVES: Final = (Phase.READY, Phase.DRAINING)


class Leaving:
    """The processes of a batch that are on their way out.

    Args:
        episodes: The batch.
    """

    def __init__(self, episodes: Sequence[Episode]) -> None:
        shape = (len(episodes), episodes[0].slots)
        self._patience_s = np.array([float(one.params.provision.drain_s) for one in episodes])
        self._since_s = np.full(shape, np.nan)
        self._serves = np.zeros(shape, dtype=bool)
        self._left_s = np.zeros(shape)

    def see(self, scrape: Scrape, orders: Orders) -> None:
        """Take a scrape, and order the end of what is done: `orders` is changed in place.

        Args:
            scrape: Batched, NumPy.
            orders: Of this scrape, without impulses.
        """
        slots = np.asarray(scrape.slot, dtype=float)
        self._left_s = _left_s(slots)
        # A hung process looks ready. It finishes nothing and answers nobody: it is killed.
        hangs = np.isnan(self._left_s) & (slots[..., _PROBE] == 0.0)
        there = np.isin(np.asarray(scrape.phase), _SERVES)  # others were replaced meanwhile
        self._serves = there & ~hangs
        leaving = ~np.isnan(self._since_s)
        self._since_s = np.where(leaving, self._since_s + SCRAPE_S, np.nan)
        done = (self._left_s <= 0.0) | (self._since_s >= self._patience_s[:, None])
        over = leaving & (~there | hangs | done)
        ended = over & there
        orders.restart[ended] = True
        orders.by_us[ended.any(axis=1)] = True
        orders.drain[over] = False
        self._since_s[over] = np.nan

    def leaves(self, number: int, slot: int) -> bool:
        """Return whether a process is on its way out."""
        return not np.isnan(self._since_s[number, slot])

    def end(self, number: int, slot: int, orders: Orders) -> None:
        """Order the end of one process, now or when it is done: `orders` is changed in place."""
        busy = self._serves[number, slot] and not self._left_s[number, slot] <= _AT_ONCE_S
        if busy and self._patience_s[number] > 0.0:
            orders.drain[number, slot] = True
            self._since_s[number, slot] = 0.0
        else:
            orders.restart[number, slot] = True


def _left_s(slots: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how long each slot takes to answer what it holds, NaN where nobody knows [N, S]."""
    held = slots[..., _HELD]
    takes_s = slots[..., _TIME] / 1000.0 / np.maximum(slots[..., _BATCH], 1.0)
    return np.where(held <= 0.0, 0.0, held * takes_s)
