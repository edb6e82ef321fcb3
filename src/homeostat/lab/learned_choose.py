"""Which of several trained policies is kept: by compositions that none of them was trained in.

Never by a scenario of the catalogue. What is compared is the lab's value J (`metrics_score`), in
which a policy acts under the mask that it was trained with; the product's guards are not asked,
because they are no narrower where it matters and a hundred times slower.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from homeostat.lab.baselines.hold import Hold
from homeostat.lab.learned import RULES, Network
from homeostat.lab.learned_free import Free
from homeostat.lab.metrics_score import score
from homeostat.lab.run import world_for
from homeostat.lab.types import Episode
from homeostat.lab.world import batches
from homeostat.stats.bootstrap import interval, resamples

_DRAWS = 2000


class Judged(NamedTuple):
    """What policies came to, episode by episode.

    Attributes:
        value: J of each `[policy, episode]`.
        hold: J of doing nothing `[episode]`.
        caused: Whether each caused a catastrophe `[policy, episode]`.
    """

    value: np.ndarray
    hold: np.ndarray
    caused: np.ndarray

    @property
    def gain(self) -> np.ndarray:
        """Return what each brings over doing nothing, mean over episodes `[policy]`."""
        return np.asarray((self.value - self.hold).mean(axis=1))

    @property
    def best(self) -> int:
        """Return the place of the best; of equals the first."""
        return int(np.argmax(self.gain))

    def spans(self, confidence: float = 0.95) -> list[tuple[float, float]]:
        """Return the interval of each gain, over episodes drawn anew."""
        rows = resamples(range(len(self.hold)), _DRAWS, seed=0) / len(self.hold)
        found = (interval(rows @ (one - self.hold), confidence) for one in self.value)
        return [(np.nan, np.nan) if one is None else one for one in found]


def judged(
    name: str, networks: Sequence[Network], episodes: Sequence[Episode], width: int
) -> Judged:
    """Play policies of one name over the same episodes.

    Args:
        name: As the lab calls them; it says what their mask allows.
        networks: The policies.
        episodes: Of any sizes and lengths.
        width: Episodes side by side.
    """
    value, hold, caused = [], [], []
    for group in batches(episodes, width):
        world = world_for(group, width)
        still = world.play(Hold(), group)
        hold.append(score(still.trace, still.trace, orders=still.orders).value)
        parts = [world.play(Free(name, one, RULES[name]), group) for one in networks]
        scores = [score(one.trace, still.trace, orders=one.orders) for one in parts]
        value.append(np.stack([one.value for one in scores]))
        caused.append(np.stack([one.judgement.catastrophic for one in scores]))
    return Judged(
        np.concatenate(value, axis=1), np.concatenate(hold), np.concatenate(caused, axis=1)
    )
