"""How much pods of one version differ, and how wide that makes the margin.

Pods that differ for hours (a bad node, a hot shard) look like a worse version to every comparison
of two arms: with a spread of 0.3 to 0.6 of the logarithm a canary that is no worse is called
harmful in 16 to 34 % of hours. So earlier stable pods play the canary: k of them against the rest,
as often as there are ways to choose them. Nineteen in twenty of those ratios are below the margin;
what is beyond it is harm of the version, or of one unlucky choice in twenty: the chance of a false
alarm is alpha + 5 %, not alpha.

Two pools of one version play the same game with the real judge (`canary_alike`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np

from homeostat.base.canary import ERRORS, CanaryConfig

Pods = Mapping[str, tuple[float, float]]
"""Responses and bad ones of each pod over one window."""

UNCALIBRATED_MARGIN: Final = 1.2
"""Where nobody measured: the default of `harm.errorRatio`; too small for nodes that differ much."""
SAMPLES_LEAST: Final = 20
"""Fewer ratios than this have no value that nineteen in twenty are below."""
# More ways to choose than this are drawn from: the quantile moves by less than 1 % from then on.
_WAYS: Final = 2000
_SURE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """What earlier pods say about the margin.

    Attributes:
        ratio: Up to this, pods of one version differ (19 in 20), at least 1; None: not known.
        lucky: Down to this, at most 1; a certificate must be earned that much below its promise.
        samples: Ratios that it comes from.
        why: In words.
        certified: Nineteen in twenty are surely (95 %) below this; None: not known, or not enough.
        is_endless: More than one in twenty have all of the bad responses, and the rest has none: no
            margin holds them, and the ratio is not known.
    """

    ratio: float | None
    lucky: float | None
    samples: int
    why: str
    certified: float | None = None
    is_endless: bool = False


def measure(windows: Sequence[Pods], pods: int, rng: np.random.Generator) -> Margin:
    """Return how much a choice of pods differs from the rest.

    Args:
        windows: Earlier stable pods, each window long enough for some bad responses on most.
        pods: How many pods the canary has.
        rng: Chance, where there are more ways to choose than are needed.

    Raises:
        ValueError: A count cannot be one, or the canary has no pod.
    """
    if pods < 1:
        raise ValueError(f"canary margin: a canary has 1 pod or more, got {pods}")
    found = [ratio for window in windows for ratio in _ratios(_known(window), pods, rng)]
    return of_ratios(found, f"comparisons of {pods} pods with the rest")


def of_ratios(found: Sequence[float], what: str) -> Margin:
    """Return what ratios of bad shares of the same version say about the margin.

    Args:
        found: Bad share of what plays the canary over that of the rest; infinite where the rest has
            none of the bad responses. NaN, where neither has any, is not known and not counted.
        what: What was compared, for people: `comparisons of 2 pods with the rest`.
    """
    found = [ratio for ratio in found if not math.isnan(ratio)]
    if len(found) < SAMPLES_LEAST:
        why = (
            f"{len(found)} {what}, {SAMPLES_LEAST} are needed: "
            f"more stable pods with bad responses, or more windows"
        )
        return Margin(ratio=None, lucky=None, samples=len(found), why=why)
    ordered = sorted(found)
    high = max(1.0, ordered[math.ceil(_SURE * len(found)) - 1])
    low = min(1.0, ordered[math.floor((1.0 - _SURE) * len(found))])
    if math.isinf(high):
        why = (
            f"of {len(found)} {what} more than one in twenty have all of the bad responses: no "
            "margin holds them; look for what is wrong with those, or take longer windows"
        )
        return Margin(ratio=None, lucky=None, samples=len(found), why=why, is_endless=True)
    why = f"{len(found)} {what} differ by {low:.2f} to {high:.2f} (19 in 20)"
    return Margin(ratio=high, lucky=low, samples=len(found), why=why)


def apply(config: CanaryConfig, margin: Margin) -> CanaryConfig:
    """Return the configuration with the errors' margin at least what pods ask for.

    A certificate that pods' luck alone could earn is not offered any more. The margin becomes
    smaller only where the pods surely differ by less, and never where a wider one than the shipped
    was chosen: that says what is put up with, not what pods differ by.
    """
    metrics = []
    for metric in config.metrics:
        if metric.name != ERRORS:
            metrics.append(metric)
        elif margin.ratio is None or margin.lucky is None:
            metrics.append(replace(metric, margin=max(metric.margin, UNCALIBRATED_MARGIN)))
        else:
            goal = metric.promote_ratio and metric.promote_ratio * margin.lucky
            metrics.append(
                replace(
                    metric,
                    margin=_wide(metric.margin, margin.ratio, margin.certified),
                    promote_ratio=goal if goal and goal > 1.0 else None,
                )
            )
    return replace(config, metrics=tuple(metrics), calibrated=margin.ratio is not None)


def _wide(chosen: float, ratio: float, certified: float | None) -> float:
    if certified is not None and certified < chosen <= UNCALIBRATED_MARGIN:
        return certified
    return max(chosen, ratio)


def _known(window: Pods) -> list[tuple[float, float]]:
    for name, (total, bad) in window.items():
        if not 0.0 <= bad <= total < math.inf:
            raise ValueError(
                f"canary margin: pod {name} has {bad} bad of {total} responses, which cannot be; "
                "leave pods out that were not read"
            )
    return [pair for pair in window.values() if pair[0] > 0.0]


def _ratios(
    known: Sequence[tuple[float, float]], count: int, rng: np.random.Generator
) -> Iterator[float]:
    """Yield bad share of every choice of pods over that of the rest."""
    if len(known) <= count:
        return
    total, bad = np.array(known).T
    if math.comb(len(known), count) <= _WAYS:
        choices = np.array(list(combinations(range(len(known)), count)))
    else:
        choices = np.argsort(rng.random((_WAYS, len(known))), axis=1)[:, :count]
    new, new_bad = total[choices].sum(axis=1), bad[choices].sum(axis=1)
    old, old_bad = total.sum() - new, bad.sum() - new_bad
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (new_bad / new) / (old_bad / old)
    yield from ratios[~np.isnan(ratios)].tolist()
