"""The catalogue's S19: the right action (raise the limit) puts it right, and waiting does not."""

from collections.abc import Sequence

import numpy as np
import pytest
from typing_extensions import override

from homeostat.lab.baselines.hold import Hold
from homeostat.lab.baselines.levers import changed, move, quiet, standing
from homeostat.lab.draw import draw
from homeostat.lab.run import world_of
from homeostat.lab.types import Episode, Move
from homeostat.testing.catalogue import scenario
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S

SLOTS, WIDTH = 16, 4


class Raise(Hold):
    """Doubles the limit of concurrency once, ten minutes after the onset."""

    @override
    def start(self, episodes: Sequence[Episode]) -> None:
        super().start(episodes)
        self._orders = standing(episodes)
        self._at = np.array([e.onset_s + 600.0 for e in episodes])

    @override
    def act(self, now_s: float, scrape: Scrape) -> Move:
        before = np.asarray(self._orders.concurrency)
        now = (now_s >= self._at) & (now_s < self._at + SCRAPE_S)
        after = np.where(now, 2.0 * before, before).astype(before.dtype)
        self._orders = changed(quiet(self._orders), concurrency=after, by_us=now)
        return move(self._orders, intervened=now)


@pytest.mark.slow
def test_whoever_raises_the_limit_has_cured_it_and_who_waits_has_not() -> None:
    one = scenario("S19")
    assert one.recoverable is True
    episodes = [draw(one, seed, slots=SLOTS) for seed in range(WIDTH)]
    assert all(e.recoverable for e in episodes)
    world = world_of(SLOTS, WIDTH)

    def errors(policy: Hold) -> np.ndarray:
        truth = world.play(policy, episodes).trace.truth
        wrong, tried = (np.asarray(x)[:, -600:].sum(axis=1) for x in (truth.errors, truth.attempts))
        return np.asarray(wrong / tried)

    lasting = [float(np.asarray(e.faults.stop_s)[0]) > 3600.0 for e in episodes]
    held, raised = errors(Hold()), errors(Raise())
    assert (held[lasting] > 0.02).any()
    assert (raised < 0.001).all()
