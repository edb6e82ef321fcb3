"""Policies over one batch of episodes of any scenarios, which shards would play apart."""

from collections.abc import Sequence

from homeostat.lab.metrics_score import Scores, score
from homeostat.lab.policies import make
from homeostat.lab.run import world_of
from homeostat.lab.types import Episode


def play_all(episodes: Sequence[Episode], policies: Sequence[str], width: int) -> dict[str, Scores]:
    """Return the scores of each policy over episodes of one size and length."""
    world = world_of(episodes[0].slots, width)
    hold = world.play(make("hold"), episodes)
    played = {
        name: hold if name == "hold" else world.play(make(name), episodes) for name in policies
    }
    return {name: score(one.trace, hold.trace, orders=one.orders) for name, one in played.items()}
