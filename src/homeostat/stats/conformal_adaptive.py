"""Adaptive conformal inference: alarm in a set share of ticks in the long run, whatever happens.

The level is steered by what it did: alpha <- alpha + rate * (target - alarmed). Over T ticks the
share of alarms is within (max(start, 1 - start) + rate) / (rate T) of the target, for every
sequence of p-values: no model, no independence, drift included (Gibbs & Candes, NeurIPS 2021,
proposition 4.1). It is the literal reading of "alpha = 0.05", and no more than that: the share is
met also when all is well, so it bounds how often people are asked, not how often that is wrong.
Where somebody else chooses what alarms (`evidence`, `moved`), one side is left: never more alarms
than `most`, if none is raised below the evidence asked for (`detect.stack_steered`).
"""

from types import ModuleType
from typing import Any, NamedTuple


class Level(NamedTuple):
    """The level of each series, `[series]`; may leave [0, 1] by one step."""

    alpha: Any


class AdaptiveLevel:
    """Levels that steer themselves; see the module.

    Args:
        target: Share of ticks that alarm, in (0, 1).
        rate: Size of a step, in (0, 1); large follows fast, small is steady.
        start: First level, in [0, 1]; None for the target.

    Raises:
        ValueError: Names the setting, its value and the range.
    """

    def __init__(
        self, target: float = 0.05, rate: float = 0.005, start: float | None = None
    ) -> None:
        begin = target if start is None else start
        if not (0.0 < target < 1.0 and 0.0 < rate < 1.0 and 0.0 <= begin <= 1.0):
            raise ValueError(
                f"adaptive level: need target and rate in (0, 1) and start in [0, 1], "
                f"got target={target}, rate={rate}, start={begin}"
            )
        self.target, self.rate, self.start = target, rate, begin

    def init(self, xp: ModuleType, series: int) -> Level:
        """Return the first levels."""
        return Level(xp.zeros(series) + self.start)

    def step(self, xp: ModuleType, state: Level, neg_log10_p: Any) -> tuple[Level, Any]:
        """Return the next levels, and which rows alarm (bool `[series]`).

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            neg_log10_p: `[series]`; NaN neither alarms nor steers.
        """
        known = xp.isfinite(neg_log10_p)
        p = 10.0 ** -xp.where(known, neg_log10_p, 0.0)
        # At or below a level of zero nothing alarms, at or above one everything does.
        alarm = known & (state.alpha > 0.0) & (p <= state.alpha)
        return self.moved(xp, state, alarm, known), alarm

    def evidence(self, xp: ModuleType, state: Level) -> Any:
        """Return the evidence (-log10 p) asked for, 0 or more; infinite where nothing may alarm."""
        some = state.alpha > 0.0
        alpha = xp.where(some, xp.minimum(state.alpha, 1.0), 1.0)
        return xp.where(some, -xp.log10(alpha), xp.inf)

    def moved(self, xp: ModuleType, state: Level, alarm: Any, known: Any) -> Level:
        """Return the next levels after what was done.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            alarm: Which rows alarmed, bool `[series]`.
            known: Which were judged; the level of others stays.
        """
        moved = state.alpha + self.rate * (self.target - alarm)
        return Level(xp.where(known, moved, state.alpha))

    def bound(self, ticks: int) -> float:
        """Return how far the share of alarms over so many ticks can be from the target.

        >>> round(AdaptiveLevel(target=0.05, rate=0.01).bound(10_000), 4)
        0.0096
        """
        return (max(self.start, 1.0 - self.start) + self.rate) / (self.rate * ticks)

    def most(self, ticks: int) -> float:
        """Return how many alarms there are at most in so many ticks; see the module.

        The level is never below `-rate`, and each alarm lowers it by `rate`.

        >>> round(AdaptiveLevel(target=0.001, rate=0.001).most(10_000), 6)
        12.0
        """
        return self.target * ticks + (self.start + self.rate) / self.rate
