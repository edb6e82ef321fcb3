"""Baselines that leave the work to people: `threshold` and `escalate`.

They change no lever; all they differ in is how long they wait before somebody is told. What people
change is theirs, not the policy's: they repair, shed load and add replicas (the human model,
`shedding`, `reinforcing`).
"""

from collections.abc import Sequence

import numpy as np

from homeostat.lab.baselines.alerts import FOR_S, Pager, StaticAlert
from homeostat.lab.baselines.levers import changed, move, standing
from homeostat.lab.baselines.reinforcing import Reinforcing
from homeostat.lab.types import Episode, Move
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S


class Paging:
    """A static alert, then a person.

    Args:
        name: As the report calls it.
        hold_s: How long the alert must stand.
        scale: Multiplies every delay of the human model.
    """

    def __init__(self, name: str, *, hold_s: float, scale: float = 1.0) -> None:
        self.name = name
        self._hold_s = hold_s
        self._scale = scale

    def start(self, episodes: Sequence[Episode]) -> None:
        """Prepare for these episodes."""
        self._orders = standing(episodes)
        self._alert = StaticAlert(episodes, hold_s=self._hold_s)
        self._pager = Pager(episodes, scale=self._scale)
        self._reinforcing = Reinforcing(episodes)

    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Page when the alert fires; pass on what the person does."""
        alarm = self._alert.step(scrape)
        called = self._pager.step(now_s, alarm, scrape)
        orders = changed(
            self._orders,
            person_fixes=called.fixes,
            admit_rps=called.admit_rps,
            replicas=self._reinforcing.step(
                scrape, called.fixes, np.asarray(self._orders.replicas)
            ),
        )
        return move(orders, paged=called.paged, person_minutes=called.minutes, alarm=alarm)


def threshold(*, scale: float = 1.0) -> Paging:
    """Return the baseline without a system: a static alert for 5 minutes, then a person."""
    return Paging("threshold", hold_s=FOR_S, scale=scale)


def escalate(*, scale: float = 1.0) -> Paging:
    """Return the baseline that tells a person at the first sign, every time."""
    return Paging("escalate", hold_s=float(SCRAPE_S), scale=scale)
