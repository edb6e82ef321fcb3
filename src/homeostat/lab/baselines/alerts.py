"""Static alerts as a team would write them, and the person that they wake.

The alert: the error ratio above 1 %, the 99th percentile above the one promised, or measured
accuracy below the floor, without a break for 5 minutes. As in Prometheus, a sample that is missing
is not above anything: it ends the 5 minutes. A second alert watches for that: nothing at all from
the gateway for 5 minutes. The person follows the pre-registered human model (`lab.human`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from homeostat.base import names
from homeostat.lab import human
from homeostat.lab.baselines.shedding import Shedding
from homeostat.lab.types import Episode
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S

FOR_S = human.DETECTION_S
ERROR_RATIO = 0.01  # ten times what 99.9 % availability allows; a common first alert

ERRORS = signals.GATEWAY_SIGNALS.index(names.ERROR_RATIO)
P99 = signals.GATEWAY_SIGNALS.index(signals.LATENCY_P99)
ACCURACY = signals.VARIANT_SIGNALS.index(names.ACCURACY)


class StaticAlert:
    """Says for each episode whether the alert fires; keeps how long it has been pending.

    Args:
        episodes: The batch.
        hold_s: How long a condition must stand.
    """

    def __init__(self, episodes: Sequence[Episode], *, hold_s: float = FOR_S) -> None:
        self._p99_ms = 1e3 * np.array([float(e.params.promise.p99_s) for e in episodes])
        self._floor = np.array([float(e.params.quality.floor) for e in episodes])
        self._hold_s = hold_s
        self._bad_s = np.zeros(len(episodes))
        self._blind_s = np.zeros(len(episodes))

    def step(self, scrape: Scrape) -> np.ndarray:
        """Return whether the alert fires after this scrape [N]."""
        gateway = np.asarray(scrape.gateway)
        served = np.asarray(scrape.weights) > 0
        accuracy = np.asarray(scrape.variant)[:, :, ACCURACY]
        poor = (served & (accuracy < self._floor[:, None])).any(axis=1)
        bad = (gateway[:, ERRORS] > ERROR_RATIO) | (gateway[:, P99] > self._p99_ms) | poor
        blind = np.isnan(gateway).all(axis=1)
        self._bad_s = np.where(bad, self._bad_s + SCRAPE_S, 0.0)
        self._blind_s = np.where(blind, self._blind_s + SCRAPE_S, 0.0)
        return np.maximum(self._bad_s, self._blind_s) >= self._hold_s


class Called(NamedTuple):
    """What people do after one scrape, each [N].

    Attributes:
        paged: Who is woken now.
        minutes: Of their time.
        fixes: Whose repair takes effect now.
        admit_rps: Most requests per second that they let in; inf = all.
    """

    paged: np.ndarray
    minutes: np.ndarray
    fixes: np.ndarray
    admit_rps: np.ndarray


class Pager:
    """Wakes a person, counts the minutes, lets the fix take effect, and sheds load if it does not.

    One page is open at a time in an episode; who is at it already is not woken again. After the
    fix the alert may wake the person anew.

    Args:
        episodes: The batch.
        scale: Multiplies every delay of the human model.
    """

    def __init__(self, episodes: Sequence[Episode], *, scale: float = 1.0) -> None:
        self._episodes = tuple(episodes)
        self._scale = scale
        self._fixed_s = np.full(len(episodes), np.inf)
        self._shedding = Shedding(episodes)

    def step(self, now_s: float, alarm: np.ndarray, scrape: Scrape) -> Called:
        """Return what people do after a scrape.

        Args:
            now_s: Since the start.
            alarm: Whether somebody should be told [N].
            scrape: What they see.
        """
        fixes = self._fixed_s <= now_s
        self._fixed_s[fixes] = np.inf
        paged = alarm & np.isinf(self._fixed_s) & ~fixes
        minutes = np.zeros(len(self._episodes), np.float32)
        for i in np.flatnonzero(paged):
            response = human.respond(self._episodes[i], now_s, scale=self._scale)
            self._fixed_s[i], minutes[i] = response.fixed_s, response.minutes
        return Called(paged, minutes, fixes, self._shedding.step(scrape, fixes))
