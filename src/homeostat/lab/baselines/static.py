"""Policy `static`: a fleet for the peak of ordinary load and one replica more, never changed.

What a team without an autoscaler runs, and the reference of cost that is easiest to beat. It is
told the day's load as it will be, but not its noise, for which it keeps room, and no fault. All
that replicas cannot heal is a person's, as under threshold alerts. Source: static peak N+1 among
the references of the cost metric (research on scenarios, section 5).
"""

import math
from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from homeostat.lab.baselines.alerts import FOR_S
from homeostat.lab.baselines.levers import changed
from homeostat.lab.baselines.paging import Paging
from homeostat.lab.deployment_build import capacity_within_rps, room_for_swings
from homeostat.lab.types import Episode
from homeostat.twin.params import Params
from homeostat.twin.shapes import Variant


class Static(Paging):
    """N + 1 replicas of the stable pool from the first moment on; threshold alerts for the rest."""

    @override
    def start(self, episodes: Sequence[Episode]) -> None:
        """Order the fleet. That is how the deployment is, no intervention."""
        super().start(episodes)
        replicas = np.array(self._orders.replicas, np.float32)
        replicas[:, Variant.A] = [fleet(episode.params) for episode in episodes]
        self._orders = changed(self._orders, replicas=replicas)


def static(*, scale: float = 1.0) -> Static:
    """Return the policy.

    Args:
        scale: Multiplies every delay of the human model.
    """
    return Static("static", hold_s=FOR_S, scale=scale)


def fleet(params: Params) -> int:
    """Return how many replicas of the stable pool serve the peak within the promise, and one.

    No more than the deployment may have: quota and hard cap count the other pool's as well.
    """
    most = min(float(params.money.hard_cap), float(params.provision.cap))
    others = float(np.sum(np.asarray(params.replicas))) - float(params.replicas[Variant.A])
    need = math.ceil(round(_peak_rps(params) / _each_rps(params), 6))
    return int(min(need + 1, max(1.0, most - others)))


def _peak_rps(params: Params) -> float:
    """Return the most ordinary load of the stable pool, 1/s: the day's peak and its usual swing."""
    share = float(params.weights[Variant.A])
    room = room_for_swings(float(params.demand.ou_sd))
    return float(np.max(np.asarray(params.demand.knots_rps))) * share / room


def _each_rps(params: Params) -> float:
    """Return what one replica of the stable pool serves within the p99 promised, 1/s."""
    service, one = params.service, Variant.A
    waits = float(service.queue_delay_s) + float(params.limits.network_s)
    return capacity_within_rps(
        float(service.tau0_s[one]),
        float(service.alpha_s[one]),
        float(service.batch_max[one]),
        cv2=float(service.cv2[one]),
        ca2=1 + (float(params.demand.ca2) - 1) / float(params.replicas[one]),
        within_s=float(params.promise.p99_s) - waits,
    )
