"""Tunes the autoscalers by random search, so that they are compared at their best.

Every trial is one setting, drawn from the ranges below, played over the same episodes and valued
by the mean of J (`metrics_score`). The stock setting is the first trial, so that tuning never ends
with something worse. Use seeds that no evaluation uses: from `FIRST_SEED` on by convention.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import numpy as np

from homeostat.lab.baselines.autoscaler import Autoscaler
from homeostat.lab.baselines.hold import Hold
from homeostat.lab.baselines.hpa import METRICS, HpaConfig, hpa
from homeostat.lab.baselines.keda import KedaConfig, keda
from homeostat.lab.baselines.scaling import Rules
from homeostat.lab.beside import Beside, part_of
from homeostat.lab.draw import draw, slots_for, tick_s_for
from homeostat.lab.metrics_score import score
from homeostat.lab.run import world_for
from homeostat.lab.scenario import Scenario

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a search: some episodes, on which every setting is tried.

    Attributes:
        configs: Settings.
        pairs: Scenarios with seeds, of one size and length.
        width: Episodes side by side.
    """

    configs: tuple[Config, ...]
    pairs: tuple[tuple[Scenario, int], ...] = field(repr=False)
    width: int


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
    tried = [stock]
    while len(tried) < budget:
        one = maker(rng)
        if one not in tried:  # targets are rounded: a setting may come twice
            tried.append(one)
    return tuple(tried)


def parts(
    scenarios: Sequence[Scenario], configs: Sequence[Config], seeds: int, width: int
) -> tuple[Part, ...]:
    """Return the pieces of a search: every scenario's episodes, in batches of one size and length.

    Args:
        scenarios: Of the catalogue.
        configs: Settings to try, all of them on every episode.
        seeds: Episodes of each scenario, from `FIRST_SEED` on.
        width: Most episodes in a piece.
    """
    pairs = [(one, FIRST_SEED + k) for k in range(seeds) for one in scenarios]
    kinds = {_kind(one) for one in scenarios}
    return tuple(
        Part(configs=tuple(configs), pairs=tuple(same[first : first + width]), width=width)
        for kind in sorted(kinds)
        for same in [[pair for pair in pairs if _kind(pair[0]) == kind]]
        for first in range(0, len(same), width)
    )


def play_part(part: Part) -> tuple[float, ...]:
    """Return the sum of J over the piece's episodes for each setting.

    Settings share batches: an episode does not depend on its neighbours.
    """
    episodes = [draw(scenario, seed) for scenario, seed in part.pairs]
    world = world_for(episodes, part.width)
    hold = world.play(Hold(), episodes)
    sums = np.zeros(len(part.configs))
    rows = [(k, i) for k in range(len(part.configs)) for i in range(len(episodes))]
    for first in range(0, len(rows), part.width):
        batch = [
            (k, [i for _, i in some])
            for k, some in groupby(rows[first : first + part.width], lambda row: row[0])
        ]
        beside = Beside([(policy(part.configs[k]), len(which)) for k, which in batch])
        played = world.play(beside, [episodes[i] for _, which in batch for i in which])
        begin = 0
        for k, which in batch:
            one = part_of(played, slice(begin, begin + len(which)))
            held = part_of(hold, slice(which[0], which[-1] + 1))
            found = score(one.trace, held.trace, orders=one.orders)
            sums[k] += float(found.value.sum())
            begin += len(which)
    return tuple(sums.tolist())


def ranked(played: Sequence[tuple[Part, Sequence[float]]]) -> tuple[Trial, ...]:
    """Return how the settings stand, the best first; of equals the earlier one.

    Args:
        played: Pieces of one search with what `play_part` returned.

    Raises:
        ValueError: There is none, or they are of several searches.
    """
    if not played or len({part.configs for part, _ in played}) > 1:
        raise ValueError(f"need the pieces of one search, got {len(played)}")
    total = np.sum([sums for _, sums in played], axis=0)
    seen = sum(len(part.pairs) for part, _ in played)
    configs = played[0][0].configs
    order = np.argsort(-total, kind="stable")
    return tuple(
        Trial(config=configs[k], value=float(total[k] / seen), episodes=seen)
        for k in order.tolist()
    )


def policy(config: Config) -> Autoscaler:
    """Return the autoscaler of a setting."""
    return hpa(config) if isinstance(config, HpaConfig) else keda(config)


def words(config: Config) -> str:
    """Return a setting in words.

    >>> words(HpaConfig())
    'cpu at 0.7, 300 s to shrink, at least 1'
    """
    rules = f"{config.rules.stabilise_s:g} s to shrink, at least {config.rules.least:g}"
    if isinstance(config, HpaConfig):
        return f"{config.metric} at {config.target:g}, {rules}"
    return f"{config.target:g} in flight, {rules}"


def _rules(rng: np.random.Generator, sync_s: float) -> Rules:
    return Rules(
        stabilise_s=float(rng.choice([60.0, 120.0, 300.0, 600.0, 900.0])),
        least=float(rng.integers(1, 5)),
        sync_s=sync_s,
    )


def _kind(scenario: Scenario) -> tuple[int, int, float]:
    return slots_for(scenario), scenario.length_s, tick_s_for(scenario)
