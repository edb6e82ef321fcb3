"""Carries out `train`: draws episodes, shows progress, keeps the run, writes what came of it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any, Final

import numpy as np

from homeostat import __version__
from homeostat.base.errors import ConfigError
from homeostat.cli import lab_files
from homeostat.cli.lab_run import progress
from homeostat.cli.output import Output, show, show_fields, tell
from homeostat.lab import environment_draw
from homeostat.lab.environment import Deployment, world_of
from homeostat.lab.environment_mask import LEARNT, UNGUARDED, Rules
from homeostat.lab.environment_reward import COSTS, Kind, Reward
from homeostat.lab.types import FAMILIES
from homeostat.learn import ppo_file, ppo_policy, train
from homeostat.learn.ppo import Learner, Trainer
from homeostat.learn.ppo_config import Config, HashRate, Limit
from homeostat.report import train_page
from homeostat.twin.program import OPTIONS
from homeostat.twin.shapes import SLOT_COUNTS

_HOUR_S: Final = 3600
# A scrape in which all is wrong is worth about -0.1 (11 hourly budgets x 15 s), so that the hundred
# that the discount looks ahead are worth about -10: with ten times that, the values' first losses
# are 30 and rule the gradient. HASH's counts in milliseconds and requests.
_SCALES: Final[Mapping[Kind, float]] = {Kind.LEVEL: 2.4, Kind.HASH: 0.01}
_LAST: Final = 10  # updates of which the last figures are the mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for; see `cli.train`."""

    out: Path
    budget_steps: int
    seeds: tuple[int, ...]
    environments: int
    length: int
    episodes: int
    slots: int
    hours: int
    reward: str
    entropy: float
    hash_rate: bool
    unguarded: bool
    without: tuple[str, ...]
    limits: tuple[str, ...]
    resume: bool
    every: int

    @property
    def run(self) -> Path:
        """Return the file of the whole run."""
        return self.out.with_name(f"{self.out.name}.run")

    @property
    def page(self) -> Path:
        """Return the file of the learning curves."""
        return self.out.with_name(f"{self.out.name}.html")


def main(asked: Asked, output: Output) -> None:
    """Train, and say what came of it.

    Raises:
        ConfigError: Something cannot be asked for, or there is nothing to resume.
        PpoFileError: What is to be resumed is another run.
    """
    config, reward = config_of(asked), _reward(asked.reward)  # refused before anything is drawn
    if asked.resume != asked.run.exists():
        raise ConfigError(
            f"{asked.run}: there is no run to take up; leave out --resume" if asked.resume else
            f"{asked.run}: a run was left here; take it up with --resume, or choose another --out"
        )  # fmt: skip
    trainer = _trainer(
        dataclasses.replace(asked, out=Path(), budget_steps=1, resume=False, every=1)
    )
    said = train.manifest(trainer, asked.seeds, _facts(asked, reward))
    if asked.resume:
        learner, curve = train.resumed(trainer, asked.seeds, asked.run.read_bytes(), said)
    else:
        learner, curve = train.begin(trainer, asked.seeds)
    begun, done = monotonic(), len(curve)
    updates = math.ceil(asked.budget_steps / config.steps)
    with progress("updates", max(updates, done), done) as advance:
        for event in train.train(trainer, learner, curve, updates):
            learner, curve = event.learner, event.curve
            if event.updates % asked.every == 0:
                _keep(asked, learner, curve, said)
            advance(f"reward {np.mean(event.figures.reward):.4g} a step")
    _keep(asked, learner, curve, said)
    lab_files.write_bytes(asked.out, ppo_policy.policy_bytes(learner.weights, curve, said))
    _show(asked, said, curve, monotonic() - begun if len(curve) > done else 0.0, output)


def config_of(asked: Asked) -> Config:
    """Return the settings of the run.

    Raises:
        ConfigError: Some of them cannot be.
    """
    if asked.slots not in SLOT_COUNTS:
        raise ConfigError(f"--slots {asked.slots}: the twin is compiled for {SLOT_COUNTS}")
    for family in asked.without:
        lab_files.known("family", family, FAMILIES)
    try:
        return Config(
            environments=asked.environments,
            length=asked.length,
            minibatches=math.gcd(4, asked.environments * asked.length),
            reward_scale=_SCALES[_reward(asked.reward).kind],
            entropy_weight=asked.entropy,
            limits=tuple(_limit(text) for text in asked.limits),
            hash_rate=HashRate() if asked.hash_rate else None,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _limit(text: str) -> Limit:
    name, _, most = text.partition("=")
    lab_files.known("cost", name, COSTS)
    try:
        return Limit(name=name, most=float(most))
    except ValueError as error:
        raise ConfigError(f"--limit {text!r}: write NAME=MEAN, for example lost=0.001") from error


def _reward(name: str) -> Reward:
    lab_files.known("reward", name, [one.value for one in Kind])
    return Reward(kind=Kind(name))


@cache
def _trainer(asked: Asked) -> Trainer:
    """Return what trains; what it compiles stays for the process."""
    environment = _environment(asked, _reward(asked.reward))
    return Trainer(environment, config_of(asked), OPTIONS)


def _environment(asked: Asked, reward: Reward) -> Deployment:
    """Return the deployments to train in; the catalogue says only what they must not be."""
    try:
        drawn = environment_draw.episodes(
            asked.episodes,
            known=lab_files.catalogue(()).scenarios,
            slots=asked.slots,
            length_s=_HOUR_S * asked.hours,
            without=asked.without,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Deployment(world=world_of(drawn), reward=reward, rules=_rules(asked))


def _rules(asked: Asked) -> Rules:
    """Return what the mask allows."""
    return UNGUARDED if asked.unguarded else Rules(granted=LEARNT)


def _facts(asked: Asked, reward: Reward) -> dict[str, Any]:
    """Return what the run depends on besides its settings."""
    return {
        "code": lab_files.code_digest(),
        "reward": dataclasses.asdict(reward) | {"kind": reward.kind.value},
        "rules": _rules(asked).plain(),
        "episodes": {
            "compositions": asked.episodes,
            "from_seed": environment_draw.TRAIN,
            "without": sorted(asked.without),
            "slots": asked.slots,
            "length_s": _HOUR_S * asked.hours,
            "never": lab_files.catalogue(()).digest,
        },
    }


def _keep(asked: Asked, learner: Learner, curve: np.ndarray, said: Mapping[str, Any]) -> None:
    """Write the whole run, and its curves as far as they go."""
    lab_files.write_bytes(asked.run, ppo_file.save(learner, curve, said))
    steps = {"steps_an_update": asked.environments * asked.length}
    curves = {name: train.column(curve, name).T.tolist() for name in train.COLUMNS}
    lab_files.write(asked.page, train_page.page(dict(said) | steps, curves, __version__))


def _show(
    asked: Asked, said: Mapping[str, Any], curve: np.ndarray, seconds: float, output: Output
) -> None:
    found = {
        "out": str(asked.out),
        "run": str(asked.run),
        "curves": str(asked.page),
        "updates": len(curve),
        "steps": len(curve) * asked.environments * asked.length,
        "seconds": round(seconds, 1),
        "seeds": list(asked.seeds),
        "reward_of_a_step": _last(curve, "reward"),
        "reward_of_an_episode": _last(curve, "finished"),
        "entropy": _last(curve, "entropy"),
        "code": said["code"],
    }
    if output is Output.TABLE:
        show_fields({name.replace("_", " "): _words(value) for name, value in found.items()})
    else:
        show(found, output)
    tell(f"wrote {asked.out}, {asked.run} and {asked.page}")


def _last(curve: np.ndarray, name: str) -> list[float | None]:
    """Return each seed's mean over the last updates; None where nothing is known of them."""
    rows = train.column(curve, name)[-_LAST:].T
    known = [row[np.isfinite(row)] for row in rows]
    return [round(float(row.mean()), 6) if len(row) else None for row in known]


def _words(value: Any) -> str | Sequence[str]:
    if isinstance(value, list):
        return ", ".join("-" if one is None else f"{one:.6g}" for one in value) or "-"
    return str(value)
