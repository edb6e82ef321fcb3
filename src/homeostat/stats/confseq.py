"""Confidence sequences: where the mean of bounded values lies, true at every moment at once.

An interval with "95 %" on it is wrong far more often when somebody looks after every tick and stops
when it suits. A confidence sequence holds over all ticks together: P(the mean is ever outside) <=
`alpha`. Values in [0, 1] whose mean given the past is one and the same; nothing else is assumed.

The empirical-Bernstein sequence adapts to the variance: for rare errors it is far narrower than one
from the range alone. O(1) state, batched over series; the intersection so far is kept, which may
become empty: then the mean has moved, and the row is to be restarted (Shekhar & Ramdas, arXiv
2309.09111: an alarm on that has run length at least 1 / alpha when one sequence starts
at every tick; here one starts at every restart).

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86
(2024), the predictable plug-in empirical-Bernstein sequence with the bets they recommend.
Exact intervals for one look are in `exact`.
"""

import math
from types import ModuleType
from typing import Any, Final, NamedTuple

# The paper's largest bet.
_MOST: Final = 0.5


class Sequence(NamedTuple):
    """What is known of each mean, `[series]` each.

    Attributes:
        count: Values seen.
        total: Their sum.
        squares: Sum of squared distances from the mean before each.
        bet: Sum of bets.
        won: Sum of bet times value.
        cost: Sum of squared distances times the price of each bet.
        low: Lower end so far.
        high: Upper end so far.
    """

    count: Any
    total: Any
    squares: Any
    bet: Any
    won: Any
    cost: Any
    low: Any
    high: Any


class MeanSequence:
    """Two-sided confidence sequences for means of values in [0, 1]; see the module.

    Args:
        alpha: Chance that a mean is ever outside, in (0, 1).

    Raises:
        ValueError: The chance is out of range.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"confidence sequence: alpha must be in (0, 1), got {alpha}")
        self.alpha, self.ln_two = alpha, math.log(2.0 / alpha)

    def init(self, xp: ModuleType, series: int) -> Sequence:
        """Return sequences that know nothing: every mean is in [0, 1]."""
        row = xp.zeros(series)
        return Sequence(row, row, row, row, row, row, row, row + 1.0)

    def step(self, xp: ModuleType, state: Sequence, values: Any) -> Sequence:
        """Add one value of every row.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: `[series]`; outside [0, 1] or NaN is not reported, and changes nothing.

        Returns:
            The next state; `low` and `high` are the interval, empty when low > high.
        """
        known = (values >= 0.0) & (values <= 1.0)
        x = xp.where(known, values, 0.0)
        # Mean and variance before this value, pulled towards 1/2 and 1/4 by one made-up value.
        count = state.count + 1.0
        mean = (0.5 + state.total) / count
        variance = (0.25 + state.squares) / count
        wish = xp.sqrt(2.0 * self.ln_two / (variance * count * xp.log(1.0 + count)))
        bet = xp.minimum(wish, _MOST)
        own = (0.5 + state.total + x) / (count + 1.0)
        after = Sequence(
            count=count,
            total=state.total + x,
            squares=state.squares + (x - own) ** 2,
            bet=state.bet + bet,
            won=state.won + bet * x,
            cost=state.cost + (x - mean) ** 2 * (-xp.log(1.0 - bet) - bet),
            low=state.low,
            high=state.high,
        )
        centre = after.won / after.bet
        half = (self.ln_two + after.cost) / after.bet
        after = after._replace(
            low=xp.maximum(state.low, centre - half), high=xp.minimum(state.high, centre + half)
        )
        return Sequence(*(xp.where(known, new, old) for new, old in zip(after, state, strict=True)))

    def restart(self, xp: ModuleType, state: Sequence, rows: Any) -> Sequence:
        """Return the sequences with those of these rows (bool `[series]`) as if new."""
        fresh = self.init(xp, state.count.shape[0])
        return Sequence(*(xp.where(rows, new, old) for new, old in zip(fresh, state, strict=True)))
