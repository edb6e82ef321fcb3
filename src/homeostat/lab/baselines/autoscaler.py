"""An autoscaler as a policy: a wish for replicas, the shared rules, and a person for all else.

What replicas cannot heal must end too: the same static alert as in `threshold` wakes a person. An
autoscaler looks at nothing but its metric, so the alert never stops it; it diagnoses nothing, so
that to scale is no alarm.
"""

from collections.abc import Callable, Sequence

import numpy as np

from homeostat.lab.baselines.alerts import Pager, StaticAlert
from homeostat.lab.baselines.levers import changed, move, standing
from homeostat.lab.baselines.scaling import Rules, Stabiliser
from homeostat.lab.types import Episode, Move
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Variant

Wish = Callable[[Scrape, np.ndarray], np.ndarray]


class Autoscaler:
    """Orders replicas; pages a person through the static alert.

    Args:
        name: As the report calls it.
        wish: (scrape, replicas ordered [N, V]) -> replicas wished for [N, V], NaN = no metric.
        rules: Stabilisation and limits.
        scale: Multiplies every delay of the human model.
    """

    def __init__(self, name: str, *, wish: Wish, rules: Rules, scale: float = 1.0) -> None:
        self.name = name
        self._wish = wish
        self._rules = rules
        self._scale = scale

    def start(self, episodes: Sequence[Episode]) -> None:
        """Prepare for these episodes."""
        self._orders = standing(episodes)
        self._alert = StaticAlert(episodes)
        self._pager = Pager(episodes, scale=self._scale)
        start = np.asarray(self._orders.replicas)
        cap = np.array([[float(e.params.money.hard_cap)] for e in episodes])
        # The cap is for all variants together: what is left of it is the stable pool's.
        most = start.copy()
        most[:, Variant.A] += (cap - start.sum(axis=1, keepdims=True))[:, 0]
        self._stabiliser = Stabiliser(self._rules, start, most)

    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Evaluate the metric when it is time; page when the alert fires."""
        alarm = self._alert.step(scrape)
        called = self._pager.step(now_s, alarm, scrape)
        current = np.asarray(self._orders.replicas)
        wanted = current
        if now_s % self._rules.sync_s == 0:
            wanted = self._stabiliser.step(current, self._wish(scrape, current))
        acts = (wanted != current).any(axis=1)
        # What takes effect is told apart from what stands: `by_us` marks this scrape's change.
        self._orders = changed(
            self._orders,
            replicas=wanted.astype(np.float32),
            person_fixes=called.fixes,
            admit_rps=called.admit_rps,
            by_us=acts,
        )
        return move(
            self._orders,
            intervened=acts,
            paged=called.paged,
            destructive=np.asarray((wanted < current).any(axis=1)),
            person_minutes=called.minutes,
            alarm=alarm,
        )
