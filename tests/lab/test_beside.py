"""Policies side by side: each sees its own rows and nothing else, and is heard in its place."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from traces_by_hand import episode, trace, truth
from traces_by_hand import orders as lasting

from homeostat.lab.baselines.levers import move
from homeostat.lab.beside import Beside, part_of
from homeostat.lab.types import Episode, Move
from homeostat.lab.world import Played
from homeostat.twin.outputs import Scrape


class Echo:
    """Admits what the gateway's first signal says, times its own factor; notes what it has seen."""

    name = "echo"

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.seeds: list[int] = []

    def start(self, episodes: Sequence[Episode]) -> None:
        self.seeds = [one.seed for one in episodes]

    def act(self, now_s: float, scrape: Scrape) -> Move:
        first = np.asarray(scrape.gateway)[:, 0]
        n = len(first)
        orders = lasting(15, n, admit_rps=(self.factor * first)[:, None])
        now = type(orders)(**{name: value[:, 0] for name, value in vars(orders).items()})
        return move(now, paged=np.full(n, self.factor > 1.0))


def test_each_policy_sees_its_own_episodes_and_scrapes_and_is_heard_in_its_place() -> None:
    double, single = Echo(2.0), Echo(1.0)
    both = Beside([(double, 2), (single, 1)])
    both.start([episode(seed=k) for k in (5, 6, 7)])
    assert (double.seeds, single.seeds) == ([5, 6], [7])
    fields: dict[str, Any] = dict.fromkeys(Scrape.__dataclass_fields__, np.zeros(3))
    seen = Scrape(**(fields | {"gateway": np.array([[1.0], [2.0], [3.0]])}))
    found = both.act(15.0, seen)
    assert np.asarray(found.orders.admit_rps).tolist() == [2.0, 4.0, 3.0]
    assert found.paged.tolist() == [True, True, False]


def test_as_many_episodes_as_the_policies_have_are_played() -> None:
    with pytest.raises(ValueError, match="the policies have 3 episodes, got 2"):
        Beside([(Echo(1.0), 2), (Echo(1.0), 1)]).start([episode(), episode()])
    with pytest.raises(ValueError, match="at least one policy"):
        Beside([])


def test_a_part_of_a_run_is_its_episodes_with_all_that_happened_in_them() -> None:
    episodes = tuple(episode(60, seed=k) for k in range(3))
    good = np.arange(3.0)[:, None] * np.ones((3, 60))
    played = Played(trace=trace(truth(60, 3, good=good), episodes), orders=lasting(60, 3))
    found = part_of(played, slice(1, 3))
    assert [one.seed for one in found.trace.episodes] == [1, 2]
    assert np.asarray(found.trace.truth.good)[:, 0].tolist() == [1.0, 2.0]
    assert np.shape(found.trace.signal_age_s)[0] == np.shape(found.orders.admit_rps)[0] == 2
    assert {len(value) for value in found.trace.moves.values()} == {2}
