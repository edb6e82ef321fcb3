"""An episode on a slower clock: the same deployment, every second of it so many of the twin's.

The twin ticks once a second and is scraped every 15. A deployment that is scraped every second and
whose users give up after one would be gone between two of its ticks. The model has no clock of its
own: what takes twice as long while half as much arrives looks the same at half the speed. So what
is measured in seconds is multiplied here, what is counted per second divided, and whoever reads
the result divides again.

What does not follow are constants of the twin itself: the platform acts every 5 ticks, a lost
packet is sent again after one, a process that ends by itself waits one before it is begun anew.
"""

from dataclasses import replace
from typing import Any, Final

import equinox as eqx
import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.base.policy import Managed
from homeostat.lab.deployment_build import array
from homeostat.lab.types import Episode
from homeostat.twin.faults import Faults
from homeostat.twin.params import Params
from homeostat.twin.primitives import PRIMITIVES

_LONGER: Final = (
    "service.tau0_s", "service.alpha_s", "service.queue_delay_s", "demand.spacing_s",
    "demand.ou_tau_s", "client.timeout_s", "client.backoff_s", "provision.delay_s",
    "provision.load_s", "provision.probe_deadline_s", "provision.warm_s", "provision.drain_s",
    "quality.label_delay_s", "quality.retrain_s", "limits.network_s", "promise.p99_s",
    "actuation.latency_s",
)  # fmt: skip
_RARER: Final = (
    "demand.knots_rps", "limits.frontend_rps", "limits.dependency_rps", "money.usd_per_hour",
    "money.budget_usd_per_hour",
)  # fmt: skip
_TIMES: Final = ("start_s", "ramp_s", "stop_s", "period_s")
# Units of magnitudes: what grows with the clock, what shrinks, and what cannot be said.
_UNITS_LONGER: Final = frozenset({"s", "ms", "min"})
_UNITS_RARER: Final = frozenset({"1/s", "1/h"})
_UNITS_UNKNOWN: Final = frozenset({"signal"})


def stretched(episode: Episode, factor: float, *, length_s: float | None = None) -> Episode:
    """Return an episode in which everything takes longer.

    Args:
        episode: As drawn.
        factor: Seconds of the new episode for one of the old; 1 or more.
        length_s: Seconds of the old one to keep; None = all.

    Raises:
        ConfigError: A fault's magnitude is in a unit of which nobody knows whether it is a time.
    """
    kept_s = episode.length_s if length_s is None else min(length_s, episode.length_s)
    return replace(
        episode,
        length_s=round(kept_s * factor),
        onset_s=episode.onset_s * factor,
        params=_params(episode.params, factor),
        faults=_faults(episode.faults, factor),
    )


def stretched_entry(entry: Managed, factor: float) -> Managed:
    """Return a deployment's configuration on the slower clock.

    Counts per hour stay as they are: no episode comes near an hour on either clock. Times in
    scrapes are times in scrapes.
    """
    guard = replace(
        entry.guard,
        receipt_deadline_ns=round(entry.guard.receipt_deadline_ns * factor),
        readiness_deadline_ns=round(entry.guard.readiness_deadline_ns * factor),
    )
    objective = replace(entry.objective, latency_p95_ms=entry.objective.latency_p95_ms * factor)
    return replace(
        entry, scrape_ns=round(entry.scrape_ns * factor), objective=objective, guard=guard
    )


def _params(params: Params, factor: float) -> Params:
    for names, times in ((_LONGER, factor), (_RARER, 1.0 / factor)):
        for name in names:
            params = _scaled(params, name, times)
    return params


def _scaled(params: Params, name: str, times: float) -> Params:
    group, _, field = name.partition(".")
    old = np.asarray(getattr(getattr(params, group), field))
    changed: Params = eqx.tree_at(
        lambda tree: getattr(getattr(tree, group), field), params, array(old * times)
    )
    return changed


def _faults(faults: Faults, factor: float) -> Faults:
    fields: dict[str, Any] = {
        name: array(np.asarray(getattr(faults, name)) * factor) for name in _TIMES
    }
    magnitude = np.array(faults.magnitude, np.float32)
    for row, number in enumerate(np.asarray(faults.primitive)):
        if np.isfinite(faults.start_s[row]):
            magnitude[row] = _magnitude(int(number), float(magnitude[row]), factor)
    return replace(faults, magnitude=array(magnitude), **fields)


def _magnitude(number: int, value: float, factor: float) -> float:
    primitive = PRIMITIVES[number]
    if primitive.unit in _UNITS_UNKNOWN:
        raise ConfigError(
            f"{primitive.name}: a magnitude in the unit of a {primitive.unit} cannot be put on "
            "another clock; leave this fault out"
        )
    if primitive.unit in _UNITS_LONGER:
        value *= factor
    if primitive.unit in _UNITS_RARER:
        value /= factor
    return min(max(value, primitive.low), primitive.high)
