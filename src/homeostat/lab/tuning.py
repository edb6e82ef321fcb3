"""Tunes the autoscalers by random search, so that they are compared at their best.

Every trial is one setting, drawn from the ranges below, played over the same episodes and valued
by the mean of J (`metrics_score`). The stock setting is the first trial, so that tuning never ends
with something worse. Use seeds that no evaluation uses: from `FIRST_SEED` on by convention.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.lab.baselines.autoscaler import Autoscaler
from homeostat.lab.baselines.hold import Hold
from homeostat.lab.baselines.hpa import METRICS, HpaConfig, hpa
from homeostat.lab.baselines.keda import KedaConfig, keda
from homeostat.lab.baselines.scaling import Rules
from homeostat.lab.metrics_score import score
from homeostat.lab.types import Episode
from homeostat.lab.world import World, batches

FIRST_SEED: Final = 1_000_000  # evaluations count from 0
BUDGET: Final = 40  # trials; the same for each autoscaler
Config = HpaConfig | KedaConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One setting and what it came to.

    Attributes:
        config: The setting.
        value: Mean of J over the episodes, in hourly budgets; less negative is better.
        episodes: Over how many.
    """

    config: Config
    value: float
    episodes: int


def draw_hpa(rng: np.random.Generator) -> HpaConfig:
    """Return a random setting of `hpa`."""
    return HpaConfig(
        metric=str(rng.choice(sorted(METRICS))),
        target=round(float(rng.uniform(0.2, 0.9)), 2),
        rules=_rules(rng, 15.0),
    )


def draw_keda(rng: np.random.Generator) -> KedaConfig:
    """Return a random setting of `keda`; its target is even in the logarithm."""
    target = round(float(np.exp(rng.uniform(np.log(0.5), np.log(50.0)))), 1)
    return KedaConfig(target=target, rules=_rules(rng, 30.0))


def trials(kind: str, *, budget: int = BUDGET, seed: int = 0) -> tuple[Config, ...]:
    """Return the settings to try: the stock one, then random ones.

    Args:
        kind: `hpa` or `keda`.
        budget: How many in all.
        seed: Of the search.

    Raises:
        ValueError: The kind is unknown.
    """
    makers: dict[str, tuple[Config, Callable[[np.random.Generator], Config]]] = {
        "hpa": (HpaConfig(), draw_hpa),
        "keda": (KedaConfig(), draw_keda),
    }
    if kind not in makers:
        raise ValueError(f"cannot tune {kind!r}; there are {', '.join(makers)}")
    stock, maker = makers[kind]
    rng = np.random.default_rng(seed)
    return (stock, *(maker(rng) for _ in range(budget - 1)))


def tune(
    configs: Sequence[Config], episodes: Sequence[Episode], world_of: Callable[[int], World]
) -> Iterator[tuple[Trial, ...]]:
    """Yield after each batch of episodes how the settings stand, the best first.

    Args:
        configs: Settings to try.
        episodes: To try them on.
        world_of: Slots to a world.
    """
    total = np.zeros(len(configs))
    seen = 0
    for batch in batches(episodes, world_of(episodes[0].slots).width):
        world = world_of(batch[0].slots)
        hold = world.play(Hold(), batch).trace
        for k, config in enumerate(configs):
            played = world.play(policy(config), batch)
            total[k] += score(played.trace, hold, orders=played.orders).value.sum()
        seen += len(batch)
        order = np.argsort(-total, kind="stable")
        yield tuple(
            Trial(config=configs[k], value=float(total[k] / seen), episodes=seen) for k in order
        )


def policy(config: Config) -> Autoscaler:
    """Return the autoscaler of a setting."""
    return hpa(config) if isinstance(config, HpaConfig) else keda(config)


def _rules(rng: np.random.Generator, sync_s: float) -> Rules:
    return Rules(
        stabilise_s=float(rng.choice([60.0, 120.0, 300.0, 600.0, 900.0])),
        least=float(rng.integers(1, 5)),
        sync_s=sync_s,
    )
