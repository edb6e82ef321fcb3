"""What a training run leaves to be served: policies without optimiser and environments, as bytes.

Needs nothing of what trains: whoever serves a policy does not install that.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from homeostat.learn import ppo_file, ppo_net
from homeostat.learn.ppo_net import Weights


class Policy(NamedTuple):
    """What a run leaves to be served: no optimiser, no environments.

    Attributes:
        weights: Of every seed, `[seed, ...]`.
        manifest: What it was trained in and how.
    """

    weights: Weights
    manifest: Mapping[str, Any]


def policy_bytes(weights: Weights, curve: np.ndarray, said: Mapping[str, Any]) -> bytes:
    """Return the policies of a run as bytes; `policy` reads them.

    Args:
        weights: Of every seed `[seed, ...]`.
        curve: The learning curve `[update, seed x column]`.
        said: What they were trained in and how.
    """
    return ppo_file.save(weights, curve, said)


def policy(data: bytes, observations: Sequence[str], actions: Sequence[str]) -> Policy:
    """Return the policies in these bytes.

    Args:
        data: From `policy_bytes`.
        observations: What they will be told, in order.
        actions: What they will choose from, in order.

    Raises:
        PpoFileError: They are for others, or damaged.
    """
    said = dict(ppo_file.manifest_of(data))
    said |= {"observations": list(observations), "actions": list(actions)}
    try:
        config, seeds = said["config"], said["seeds"]
        start = ppo_net.start(
            np.random.default_rng(0), len(observations), tuple(config["hidden"]), len(actions),
            1 + len(config["limits"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ppo_file.PpoFileError(f"its settings cannot be used ({error})") from error
    like = Weights(
        *(
            tuple(np.broadcast_to(leaf, (len(seeds), *leaf.shape)) for leaf in part)
            for part in start
        )
    )
    return Policy(ppo_file.load(data, like, said).state, said)
