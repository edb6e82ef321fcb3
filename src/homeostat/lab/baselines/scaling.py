"""What autoscalers share: the rules between a wish for replicas and the number ordered.

The Kubernetes HorizontalPodAutoscaler's, which KEDA uses too: a downscale takes the largest wish
of the stabilisation window; an upscale adds at most the larger of 100 % and 4 replicas in 15 s;
the result stays between the least and the most. Source: Kubernetes documentation, "Horizontal Pod
Autoscaling", sections "Algorithm details" and "Configurable scaling behavior".
"""

from dataclasses import dataclass

import numpy as np

TOLERANCE = 0.1  # kube-controller-manager --horizontal-pod-autoscaler-tolerance
UP_SHARE = 1.0  # 100 % in UP_PERIOD_S
UP_REPLICAS = 4.0
UP_PERIOD_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settings of the part that all autoscalers share.

    Attributes:
        stabilise_s: A downscale takes the largest wish of so long; the default is 300 s.
        least: Fewest replicas of a variant that has any.
        sync_s: Between two evaluations.
    """

    stabilise_s: float = 300.0
    least: float = 1.0
    sync_s: float = 15.0


class Stabiliser:
    """Turns wishes into orders; remembers the wishes of the window.

    Args:
        rules: Settings.
        start: Replicas at the start [N, V].
        most: Most replicas of each variant [N, V].
    """

    def __init__(self, rules: Rules, start: np.ndarray, most: np.ndarray) -> None:
        kept = max(1, int(rules.stabilise_s // rules.sync_s))
        self._rules = rules
        self._most = most
        self._managed = start > 0
        # As the controller does when it starts: the present number counts as a wish.
        self._wishes = np.repeat(start[None], kept, axis=0)
        self._at = 0

    def step(self, current: np.ndarray, wish: np.ndarray) -> np.ndarray:
        """Return the replicas to order [N, V].

        Args:
            current: Ordered at present [N, V].
            wish: What the metric asks for [N, V]; NaN = no metric, which changes nothing.
        """
        wish = np.where(np.isnan(wish), current, wish)
        self._wishes[self._at] = wish
        self._at = (self._at + 1) % len(self._wishes)
        down = np.minimum(current, self._wishes.max(axis=0))
        fastest = np.maximum(current * (1 + UP_SHARE), current + UP_REPLICAS)
        up = np.minimum(wish, fastest * max(1.0, self._rules.sync_s / UP_PERIOD_S))
        wanted = np.where(wish > current, up, down)
        bounded = np.clip(wanted, self._rules.least, np.maximum(self._most, self._rules.least))
        return np.where(self._managed, bounded, current)
