"""KEDA on requests in flight: desired = ceil(in flight / target per replica), polled every 30 s.

KEDA hands the metric to a HorizontalPodAutoscaler as an average value, so the shared rules apply;
its own cooldown concerns scaling to zero alone. Here the last replica always stays: in flight is
measured at the replicas, so that a deployment of none would never be asked for again. A replica
without a measurement makes the sum unknown, as a trigger that fails does: nothing changes.
Source: KEDA documentation, "Scaling Deployments, StatefulSets & Custom Resources".
"""

from dataclasses import dataclass, field

import numpy as np

from homeostat.lab.baselines.autoscaler import Autoscaler
from homeostat.lab.baselines.hpa import COUNTS_AS_READY, slots_of
from homeostat.lab.baselines.scaling import TOLERANCE, Rules
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape

IN_FLIGHT = signals.SLOT_SIGNALS.index(signals.IN_FLIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class KedaConfig:
    """Settings of the autoscaler.

    Attributes:
        target: Requests in flight per replica; 5 is the default of KEDA's queue triggers.
        rules: Stabilisation and limits; KEDA polls every 30 s.
    """

    target: float = 5.0
    rules: Rules = field(default_factory=lambda: Rules(sync_s=30.0))


def desired(in_flight: np.ndarray, current: np.ndarray, target: float) -> np.ndarray:
    """Return the replicas for so many requests in flight; near the target the present number.

    Args:
        in_flight: Sum over replicas [...]; NaN = unknown.
        current: Replicas ordered [...].
        target: Per replica.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = in_flight / (current * target)
    wish = np.ceil(np.round(in_flight / target, 6))
    return np.where(np.abs(ratio - 1) <= TOLERANCE, current, wish)


def keda(config: KedaConfig | None = None, *, name: str = "keda", scale: float = 1.0) -> Autoscaler:
    """Return the policy `keda`."""
    setting = config or KedaConfig()

    def wish(scrape: Scrape, current: np.ndarray) -> np.ndarray:
        (ready,) = slots_of(scrape, current.shape[1], (COUNTS_AS_READY,))
        each = np.asarray(scrape.slot)[:, None, :, IN_FLIGHT]
        total = np.where(ready, each, 0.0).sum(axis=-1)
        return desired(total, current, setting.target)

    return Autoscaler(name, wish=wish, rules=setting.rules, scale=scale)
