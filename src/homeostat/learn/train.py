"""A training run: updates one after the other, and its learning curve.

Pure: whoever calls shows progress and writes the checkpoints, which are taken up again by
`ppo_file`. A run that was broken off and taken up gives the same weights bit for bit as one that
was not: all that it draws is in the learner.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.learn import ppo_file
from homeostat.learn.ppo import Figures, Learner, Trainer

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
