"""Is the promise kept here? Stable pods play the canary for ever: what is said of them is false.

A ramp of made-up roles: some stable pods are called the canary, the rest stable, and the real judge
looks on for as long as a ramp lasts. Then others are chosen. The share of ramps that end in HARM
is the rate of false alarms of this deployment's own traffic, bursts and nodes: a figure to export,
and a reason to calibrate anew when it is shown to be above what is promised.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from homeostat.base.canary import CanaryConfig, CanaryState, CanaryVerdict, Counts
from homeostat.base.units import HOUR, TimeNs
from homeostat.govern import canary
from homeostat.govern.canary_margin import Pods
from homeostat.stats.exact import clopper_pearson, upper_bound

RAMP_NS: Final = HOUR
"""How long pods keep their roles: as long as canaries of a few hundred requests a minute take."""
_ENDS: Final = (CanaryVerdict.HARM, CanaryVerdict.NO_EVIDENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """How often the judge calls pods of one version harmful: a figure to export.

    Attributes:
        promised: What the rate may be: alpha, and 0.05 more where margins are calibrated.
        runs: Ramps that pods of one version were judged over.
        alarms: Those that ended in HARM.
    """

    promised: float
    runs: int = 0
    alarms: int = 0

    def after(self, verdict: CanaryVerdict) -> "SelfCheck":
        """Return the check with one more ramp at its end; what saw nothing is not counted."""
        if verdict is CanaryVerdict.NO_EVIDENCE:
            return self
        harm = verdict is CanaryVerdict.HARM
        return replace(self, runs=self.runs + 1, alarms=self.alarms + harm)

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


def chosen(pods: Sequence[str], count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Return pods that play the canary.

    Raises:
        ValueError: None would be left to play stable.
    """
    if not 1 <= count < len(pods):
        raise ValueError(
            f"self-check: choose 1 to {len(pods) - 1} of {len(pods)} pods, not {count}"
        )
    return tuple(sorted(rng.choice(sorted(pods), size=count, replace=False).tolist()))


def pretend(pods: Pods, canary: Sequence[str], at: TimeNs, since: TimeNs | None = None) -> Counts:
    """Return one bucket of stable pods as if some of them were a canary.

    A pod that is not there, or whose counts cannot be counts, makes its arm unknown.

    Args:
        pods: What came from each since the last counts.
        canary: From `chosen`.
        at: End of the time.
        since: Its beginning.
    """
    arms = []
    for names in (canary, [name for name in pods if name not in set(canary)]):
        known = [pods.get(name, (math.nan, math.nan)) for name in names]
        good = bool(known) and all(0.0 <= bad <= total < math.inf for total, bad in known)
        sums = [sum(column) for column in zip(*known, strict=True)] if good else [None, None]
        arms += sums
    return Counts(
        at=at,
        since=since,
        canary_total=arms[0],
        canary_bad=arms[1],
        stable_total=arms[2],
        stable_bad=arms[3],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A self-check that goes on for ever.

    Attributes:
        check: What was counted so far.
        seed: Of the choice of pods; the number of the ramp goes in with it.
        ramps: Begun so far.
        chosen: Pods that play the canary now; none between two ramps.
        state: What the judge remembers of this ramp.
        at: The newest counts.
    """

    check: SelfCheck
    seed: int = 0
    ramps: int = 0
    chosen: tuple[str, ...] = ()
    state: CanaryState | None = None
    at: TimeNs | None = None


def step(
    watch: Watch, pods: Pods, at: TimeNs, config: CanaryConfig, ramp_ns: int = RAMP_NS
) -> Watch:
    """Return the watch after one more bucket of stable's pods.

    A pod that is gone makes its arm unknown; a ramp that loses its canary ends and is not counted.

    Args:
        watch: Where it stands.
        pods: What came from each stable pod since the last counts.
        at: End of that time.
        config: As canaries here are judged; its `pods` is how many play the canary (else one).
        ramp_ns: How long pods keep their roles.
    """
    if watch.at is not None and at <= watch.at:
        return watch
    count = config.pods or 1
    if watch.state is None:
        if len(pods) <= count:
            return replace(watch, at=at)  # nobody is left to play stable
        names = chosen(tuple(pods), count, np.random.default_rng([watch.seed, watch.ramps]))
        watch = replace(watch, chosen=names, state=canary.init(config), ramps=watch.ramps + 1)
    assert watch.state is not None  # noqa: S101 - set above
    told = pretend(pods, watch.chosen, at, since=watch.at)
    state, judged = canary.step(watch.state, told, config)
    began = at if state.started_at is None else state.started_at
    if judged.verdict in _ENDS or at - began >= ramp_ns:
        ended = watch.check.after(judged.verdict)
        return replace(watch, check=ended, chosen=(), state=None, at=at)
    return replace(watch, state=state, at=at)
