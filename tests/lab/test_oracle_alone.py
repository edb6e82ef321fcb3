"""The clairvoyant's search by itself: no run of others to fall back on, and twice the effort.

`Oracle.play` answers with the best of its own plans and of the runs that it was shown, so that a
search which finds nothing looks as good as they are. Here its own plan alone is the answer.
`pytest -m long -rP tests/lab/test_oracle_alone.py` prints what each search came to.
"""

from dataclasses import replace

import numpy as np
import pytest

from homeostat.lab.draw import draw
from homeostat.lab.metrics_score import score
from homeostat.lab.oracle import Oracle, Search
from homeostat.lab.policies import make
from homeostat.lab.run import world_for
from homeostat.lab.types import Episode
from homeostat.lab.world import Played, World
from homeostat.testing.catalogue import scenario

WIDE = 25  # plans looked at side by side
TOLD = Search(rounds=0)  # a person is told at the onset, and nothing is searched
QUICK = Search(horizon_s=600, long_horizon_s=900, rounds=1)


def scene(identity: str, count: int, length_s: int) -> tuple[World, list[Episode], Played]:
    """Return a world, the episodes struck first, cut to a length, and HOLD's run of them."""
    case = scenario(identity)
    drawn = sorted((draw(case, seed) for seed in range(20)), key=lambda one: one.onset_s)
    episodes = [replace(one, length_s=length_s) for one in drawn[:count]]
    world = world_for(episodes, WIDE)
    return world, episodes, world.play(make("hold"), episodes)


def value(played: Played, hold: Played) -> float:
    return float(score(played.trace, hold.trace, orders=played.orders).value.sum())


def test_twice_the_effort_is_twice_in_everything() -> None:
    usual, twice = Search(), Search().doubled()
    assert (twice.replan_s, twice.rounds) == (usual.replan_s // 2, 2 * usual.rounds)
    assert (twice.horizon_s, twice.long_horizon_s) == (
        2 * usual.horizon_s,
        2 * usual.long_horizon_s,
    )
    assert twice.finer
    assert not usual.finer


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_search_writes_a_limit_of_connections_anew_and_gains_by_it() -> None:
    world, episodes, hold = scene("S19", 1, 900)
    assert episodes[0].onset_s < 600, "the fault must begin well before the end"
    found = Oracle(world, QUICK).own(episodes, hold)
    told = Oracle(world, TOLD).own(episodes, hold)
    ordered = np.asarray(found.orders.concurrency)[0]
    assert (ordered != ordered[0]).any(), "the lever that cures it was never written"
    assert (np.asarray(told.orders.concurrency)[0] == ordered[0]).all()
    assert value(found, hold) > value(told, hold)


@pytest.mark.long
@pytest.mark.timeout(2 * 3600)
@pytest.mark.parametrize("identity", ["S02", "S07", "S16", "S19"])
def test_twice_the_search_alone_gains_less_than_one_percent(identity: str) -> None:
    world, episodes, hold = scene(identity, 2, 2400)
    searches = {"told": TOLD, "usual": Search(), "doubled": Search().doubled()}
    found = {
        name: value(Oracle(world, search).own(episodes, hold), hold)
        for name, search in searches.items()
    }
    held = value(hold, hold)
    print(identity, {"hold": held} | found)
    assert found["usual"] > found["told"], "a search that finds nothing but a person"
    assert found["usual"] > held
    gained = (found["doubled"] - found["usual"]) / (found["usual"] - held)
    assert gained < 0.01
