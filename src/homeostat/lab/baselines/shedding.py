"""What a person does when the cause is gone and the overload stays: shed load until it drains.

Retries can keep a deployment busy with work that nobody waits for any more, long after what set it
off has ended (Huang et al., "Metastable Failures in the Wild", OSDI 2022); the catalogue's right
action there (S09) is to shed load and drain the queue. A person who has made a repair looks on: if
answers still take as long as clients wait, two minutes after it, half of the usual load is let in,
until the promise has been kept for a minute. What the gateway refuses is not tried again, so the
queue drains. Whoever sheds in vain for ten minutes lets everybody in again and goes.

Costs no further minutes: the human model's repair is over when its cause is removed, and looking on
is part of it.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from homeostat.base import names
from homeostat.lab.types import Episode
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S

SHARE: Final = 0.5  # of the usual load: below any rho that the catalogue's deployments begin at
LOOK_S: Final = 120.0  # eight scrapes: a repair that works shows within them
CALM_S: Final = 60.0
MOST_S: Final = 600.0  # an hour's load of a queue as deep as the catalogue's drains in a third
WAITS: Final = 0.9  # of the clients' timeout: a p99 there is one of clients that gave up

_ARRIVALS = signals.GATEWAY_SIGNALS.index(names.ARRIVAL_RATE)
_P99 = signals.GATEWAY_SIGNALS.index(signals.LATENCY_P99)
_LEARN = 0.1  # weight of the newest scrape in the usual load: two and a half minutes' worth


class Shedding:
    """The limits at the gateway that people set after their repairs.

    Args:
        episodes: The batch.
    """

    def __init__(self, episodes: Sequence[Episode]) -> None:
        n = len(episodes)
        self._promised_ms = 1e3 * np.array([float(e.params.promise.p99_s) for e in episodes])
        self._waits_ms = (
            1e3 * WAITS * np.array([float(e.params.client.timeout_s) for e in episodes])
        )
        self._usual = np.full(n, np.nan)
        self._left_s = np.zeros(n)  # how long somebody still looks on
        self._bad_s = np.zeros(n)
        self._calm_s = np.zeros(n)
        self._limit = np.full(n, np.inf, np.float32)

    def step(self, scrape: Scrape, fixes: np.ndarray) -> np.ndarray:
        """Return the most requests per second that people let in after this scrape, inf = all [N].

        Args:
            scrape: What the person sees.
            fixes: Whose repair takes effect now [N], bool.
        """
        gateway = np.asarray(scrape.gateway)
        arrivals, p99_ms = gateway[:, _ARRIVALS], gateway[:, _P99]
        # A sample that is missing is neither above nor below anything.
        stuck, calm = p99_ms >= self._waits_ms, p99_ms <= self._promised_ms
        shedding = np.isfinite(self._limit)
        self._learn(arrivals, calm & ~shedding)
        self._left_s = np.where(fixes, MOST_S, np.maximum(self._left_s - SCRAPE_S, 0.0))
        looking = self._left_s > 0.0
        self._bad_s = np.where(stuck & looking & ~fixes, self._bad_s + SCRAPE_S, 0.0)
        self._calm_s = np.where(calm & shedding, self._calm_s + SCRAPE_S, 0.0)
        begin = ~shedding & (self._bad_s >= LOOK_S) & np.isfinite(self._usual)
        end = shedding & ((self._calm_s >= CALM_S) | ~looking)
        self._limit = np.where(begin, SHARE * self._usual, np.where(end, np.inf, self._limit))
        self._limit = self._limit.astype(np.float32)
        self._left_s = np.where(begin, MOST_S, self._left_s)
        return self._limit

    def _learn(self, arrivals: np.ndarray, calm: np.ndarray) -> None:
        known = calm & np.isfinite(arrivals)
        mixed = (1.0 - _LEARN) * self._usual + _LEARN * arrivals
        new = np.where(np.isnan(self._usual), arrivals, mixed)
        self._usual = np.where(known, new, self._usual)
