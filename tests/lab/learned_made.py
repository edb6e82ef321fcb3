"""Policies with weights that nobody trained, in the file of one that was."""

import numpy as np

from homeostat.lab.environment_actions import NAMES
from homeostat.lab.environment_seen import OBSERVATIONS
from homeostat.lab.learned import RULES
from homeostat.learn import ppo_file, ppo_net

WIDTHS = (16, 16)


def weights(seed: int = 0, loud: float = 100.0) -> ppo_net.Weights:
    """Return weights of a policy with opinions: those of the start are a hundred times fainter."""
    start = ppo_net.start(np.random.default_rng(seed), len(OBSERVATIONS), WIDTHS, len(NAMES), 1)
    *most, last, end = start.policy
    return start._replace(policy=(*most, loud * last, end))


def file(name: str, seed: int = 0, seeds: int = 1, **changes: object) -> bytes:
    """Return the file of such a policy, by the lab's name of it."""
    one = weights(seed)
    several = ppo_net.Weights(
        *(tuple(np.broadcast_to(leaf, (seeds, *leaf.shape)) for leaf in part) for part in one)
    )
    said = {
        "config": {"hidden": list(WIDTHS), "limits": []},
        "seeds": list(range(seeds)),
        "observations": list(OBSERVATIONS),
        "actions": list(NAMES),
        "rules": RULES[name].plain(),
    }
    return ppo_file.save(several, np.zeros((0, 8)), said | changes)
