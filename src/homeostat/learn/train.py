"""A training run: updates one after the other, and its learning curve.

Pure: whoever calls shows progress and writes the checkpoints, which are taken up again by
`ppo_file`. A run that was broken off and taken up gives the same weights bit for bit as one that
was not: all that it draws is in the learner.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.learn import ppo_file, ppo_net
from homeostat.learn.ppo import Figures, Learner, Trainer
from homeostat.learn.ppo_net import Weights

COLUMNS: Final = (
    "reward",
    "finished",
    "entropy",
    "kl",
    "value_loss",
    "explained",
    "learnt",
    "rate",
)
"""Of the curve, for each seed in turn: what `ppo.Figures` calls them."""


class Progress(NamedTuple):
    """One update is done.

    Attributes:
        updates: Done so far.
        learner: After it.
        figures: What it came to.
        curve: Of every update so far `[update, seed x column]`.
    """

    updates: int
    learner: Learner
    figures: Figures
    curve: np.ndarray


def manifest(trainer: Trainer, seeds: Sequence[int], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run is: everything that its result depends on.

    Args:
        trainer: Its settings and its environment.
        seeds: Of the learners.
        more: What only the caller knows: the program's digest, what the episodes are drawn from.

    Raises:
        ValueError: A name is said twice.
    """
    environment = trainer.environment
    said = {
        "config": dataclasses.asdict(trainer.config),
        "seeds": list(seeds),
        "observations": list(environment.observations),
        "actions": list(environment.actions),
        "costs": list(environment.costs),
    }
    if twice := sorted(set(said) & set(more)):
        raise ValueError(f"train: {', '.join(twice)} of the manifest is the trainer's to say")
    return said | dict(more)


def begin(trainer: Trainer, seeds: Sequence[int]) -> tuple[Learner, np.ndarray]:
    """Return a run that has not begun: its learner and an empty curve."""
    return trainer.begin(seeds), np.zeros((0, len(seeds) * len(COLUMNS)))


def resumed(
    trainer: Trainer, seeds: Sequence[int], data: bytes, said: Mapping[str, Any]
) -> tuple[Learner, np.ndarray]:
    """Return a run where a checkpoint left it.

    Raises:
        PpoFileError: It is another run, or damaged.
    """
    found = ppo_file.load(data, trainer.shapes(seeds), said)
    return found.state, found.curve


def train(
    trainer: Trainer, learner: Learner, curve: np.ndarray, updates: int
) -> Iterator[Progress]:
    """Go on until so many updates are done.

    Args:
        trainer: Acts and learns.
        learner: From `begin`, `resumed` or the last progress.
        curve: With it.
        updates: Of the whole run; what is done already counts.

    Yields:
        An event after each.

    Raises:
        MaskedActionError: An action was forbidden where it was carried out.
        FloatingPointError: Something left the finite numbers.
    """
    while len(curve) < updates:
        learner, figures = trainer.update(learner)
        curve = np.concatenate([curve, row(figures)[None]])
        yield Progress(len(curve), learner, figures, curve)


def row(figures: Figures) -> np.ndarray:
    """Return an update's row of the curve: every seed's columns in turn."""
    columns = [np.asarray(getattr(figures, name), np.float64) for name in COLUMNS]
    return np.stack(columns, axis=-1).reshape(-1)


def column(curve: np.ndarray, name: str) -> np.ndarray:
    """Return one column of a curve, for each seed: `[update, seed]`."""
    by_seed = curve.reshape(len(curve), curve.shape[1] // len(COLUMNS), len(COLUMNS))
    return np.asarray(by_seed[:, :, COLUMNS.index(name)])


class Policy(NamedTuple):
    """What a run leaves to be served: no optimiser, no environments.

    Attributes:
        weights: Of every seed, `[seed, ...]`.
        manifest: What it was trained in and how.
    """

    weights: Weights
    manifest: Mapping[str, Any]


def policy_bytes(learner: Learner, curve: np.ndarray, said: Mapping[str, Any]) -> bytes:
    """Return the policies of a run as bytes; `policy` reads them."""
    return ppo_file.save(learner.weights, curve, said)


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
