"""The Kubernetes HorizontalPodAutoscaler on utilisation, with a static alert for all else.

Desired = ceil(current x metric / target), no change within a tolerance of 0.1; replicas that are
not ready count as idle when it would grow; replicas whose metric is missing count as idle when it
would grow and as fully used when it would shrink, and a direction that this reverses is not taken.
Each variant with replicas is a deployment of its own. Source: Kubernetes documentation,
"Horizontal Pod Autoscaling", section "Algorithm details".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from homeostat.base import names
from homeostat.lab.baselines.autoscaler import Autoscaler
from homeostat.lab.baselines.scaling import TOLERANCE, Rules
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Phase

# (signal, what counts as 100 %). Of processor time that is the request, which a team sizes by what
# a replica uses at full load: in the twin a third of its machine. A device's share is its own.
METRICS = {"cpu": (names.CPU_SHARE, 0.35), "gpu": (signals.GPU_SHARE, 1.0)}
COUNTS_AS_READY = (Phase.READY, Phase.HUNG)  # a hung replica passes its health checks
COUNTS_AS_UNREADY = (Phase.PENDING, Phase.LOADING)


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaConfig:
    """Settings of the autoscaler.

    Attributes:
        metric: A key of `METRICS`.
        target: Utilisation aimed at, 0..1.
        rules: Stabilisation and limits.
    """

    metric: str = "cpu"
    target: float = 0.7
    rules: Rules = field(default_factory=Rules)


def desired(
    metric: np.ndarray, ready: np.ndarray, unready: np.ndarray, current: np.ndarray, target: float
) -> np.ndarray:
    """Return the replicas that the metric asks for [...]; NaN where there is no metric at all.

    Args:
        metric: Utilisation of each slot [..., S]; NaN = missing.
        ready: Slots that count as ready [..., S].
        unready: Slots that are starting [..., S].
        current: Replicas ordered [...].
        target: Utilisation aimed at.
    """
    known = ready & ~np.isnan(metric)
    missing = ready & np.isnan(metric)
    used = np.where(known, metric, 0.0).sum(axis=-1)
    n_known, n_missing = known.sum(axis=-1), missing.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = used / (n_known * target)
    grows = ratio > 1
    damped_used = used + np.where(grows, 0.0, n_missing * max(1.0, target))
    counted = n_known + n_missing + np.where(grows, unready.sum(axis=-1), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        damped = damped_used / (counted * target)
    # A float's dust must not buy a replica: 3.0000001 is 3.
    wish = np.ceil(np.round(damped * counted, 6))
    reversed_ = ((ratio < 1) & (damped > 1)) | (grows & (damped < 1))
    against = ((damped < 1) & (wish > current)) | ((damped > 1) & (wish < current))
    stay = (np.abs(damped - 1) <= TOLERANCE) | reversed_ | against
    return np.where(n_known == 0, np.nan, np.where(stay, current, wish))


def hpa(config: HpaConfig | None = None, *, name: str = "hpa", scale: float = 1.0) -> Autoscaler:
    """Return the policy `hpa`.

    Raises:
        ValueError: The metric is unknown.
    """
    setting = config or HpaConfig()
    if setting.metric not in METRICS:
        raise ValueError(f"unknown metric {setting.metric!r}; there are {sorted(METRICS)}")
    signal, whole = METRICS[setting.metric]
    column = signals.SLOT_SIGNALS.index(signal)

    def wish(scrape: Scrape, current: np.ndarray) -> np.ndarray:
        metric = np.asarray(scrape.slot)[:, None, :, column] / whole
        ready, unready = slots_of(scrape, current.shape[1], (COUNTS_AS_READY, COUNTS_AS_UNREADY))
        return desired(metric, ready, unready, current, setting.target)

    return Autoscaler(name, wish=wish, rules=setting.rules, scale=scale)


def slots_of(
    scrape: Scrape, variants: int, kinds: Sequence[Sequence[Phase]]
) -> tuple[np.ndarray, ...]:
    """Return for each kind of phases which slots of which variant are in one of them [N, V, S]."""
    phase = np.asarray(scrape.phase)
    of = np.asarray(scrape.slot_variant)[:, None, :] == np.arange(variants)[:, None]
    return tuple(of & np.isin(phase, [int(p) for p in kind])[:, None, :] for kind in kinds)
