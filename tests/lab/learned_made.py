"""Policies with weights that nobody trained, in the file of one that was."""

import numpy as np

from homeostat.lab import seat_file
from homeostat.lab.environment_actions import NAMES
from homeostat.lab.environment_seen import OBSERVATIONS
from homeostat.lab.learned import RECIPES
from homeostat.learn import ppo_file, ppo_net

WIDTHS = (16, 16)


def weights(seed: int = 0, loud: float = 100.0, values: int = 1) -> ppo_net.Weights:
    """Return weights of a policy with opinions: those of the start are a hundred times fainter."""
    start = ppo_net.start(
        np.random.default_rng(seed), len(OBSERVATIONS), WIDTHS, len(NAMES), values
    )
    *most, last, end = start.policy
    return start._replace(policy=(*most, loud * last, end))


def file(name: str, seed: int = 0, seeds: int = 1, **changes: object) -> bytes:
    """Return the file of such a policy, by the lab's name of it; of a seat that knows nothing."""
    if name in seat_file.SEATS:
        return seat_file.to_bytes(name, "", {})
    recipe = RECIPES[name]
    limits = [{"name": "lost", "most": 0.001}] if recipe.limited else []
    one = weights(seed, values=1 + len(limits))
    several = ppo_net.Weights(
        *(tuple(np.broadcast_to(leaf, (seeds, *leaf.shape)) for leaf in part) for part in one)
    )
    said = {
        "config": {"hidden": list(WIDTHS), "limits": limits},
        "reward": {"kind": recipe.reward or "level"},
        "seeds": list(range(seeds)),
        "observations": list(OBSERVATIONS),
        "actions": list(NAMES),
        "rules": recipe.rules.plain(),
    }
    return ppo_file.save(several, np.zeros((0, 8)), said | changes)
