"""Is the promise kept here? What plays a canary and is none: harm that is said of it is false.

Two pools of one version play a ramp, and the real judge looks on for as long as a ramp lasts
(`canary_alike`). The share of ramps that end in HARM is the rate of false alarms of this
deployment's own traffic, bursts and nodes: a figure to export, and a reason to promote nothing
without a person when it is shown to be above what is promised. Not here: single pods in the roles,
which needs counts of each pod.
"""

from dataclasses import dataclass
from typing import Final

from homeostat.base.units import HOUR
from homeostat.stats.exact import clopper_pearson, upper_bound

RAMP_NS: Final = HOUR
"""How long a pretended ramp lasts: as long as canaries of a few hundred requests a minute take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """How often the judge calls what is of one version harmful: a figure to export.

    Attributes:
        promised: What the rate may be: alpha, and 0.05 more where margins are calibrated.
        runs: Ramps that pools of one version were judged over.
        alarms: Those that ended in HARM.
    """

    promised: float
    runs: int = 0
    alarms: int = 0

    @property
    def rate(self) -> float | None:
        """Return the share of false alarms; None before the first ramp."""
        return self.alarms / self.runs if self.runs else None

    @property
    def interval(self) -> tuple[float, float]:
        """Return the exact 95 % interval of the rate; (0, 1) before the first ramp."""
        return clopper_pearson(self.alarms, self.runs) if self.runs else (0.0, 1.0)

    @property
    def is_broken(self) -> bool:
        """Return whether the rate is above what is promised, beyond chance (97.5 %)."""
        return self.interval[0] > self.promised

    @property
    def is_shown(self) -> bool:
        """Return whether the rate is shown to be at most what is promised (95 %)."""
        return bool(self.runs) and upper_bound(self.alarms, self.runs) <= self.promised
