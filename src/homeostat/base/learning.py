"""What a learning policy chose and what came of it, for the journal and for off-policy evaluation.

A `Pick` is written with the decision, a `Payoff` when its effect has settled, possibly hours later
and in any order. Together they are all that learning reads: a state of a policy can be built again
from them, bit for bit. Nothing here permits anything.
"""

import math
from dataclasses import dataclass

from homeostat.base.units import TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What a learning policy chose, and with what probability it could have chosen otherwise.

    Attributes:
        id: The decision's id.
        at: When it was chosen; its outcome is learnt as of then, whenever it arrives.
        features: The context, on the grid of `policy.features`, bounded by 1 in length.
        arm: Index of the arm; -1 = the incumbent, of whom nothing is learnt.
        fraction: Share of the deployment that the arm was given, 0..1.
        propensity: Probability of exactly this choice, in (0, 1].
        propensities: Of every arm in their order, the incumbent last; they add up to 1.
    """

    id: str
    at: TimeNs
    features: tuple[float, ...]
    arm: int
    fraction: float
    propensity: float
    propensities: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Payoff:
    """What came of a pick, against what the incumbent would have given; NaN = not known.

    Attributes:
        pick_id: The decision's id.
        reward: Reward over the settle time, in the reward's own unit (`policy.reward`).
        base_reward: The incumbent's: measured beside it, or foreseen by the twin.
        costs: One number for each constraint, 0..1.
        base_costs: The incumbent's.
    """

    pick_id: str
    reward: float
    base_reward: float
    costs: tuple[float, ...] = ()
    base_costs: tuple[float, ...] = ()

    def gains(self) -> tuple[float, ...] | None:
        """Return reward and costs less the incumbent's, None when one of them is not known.

        A part that is not known is not zero: the whole outcome teaches nothing then.
        """
        if len(self.costs) != len(self.base_costs):
            return None
        pairs = [(self.reward, self.base_reward), *zip(self.costs, self.base_costs, strict=True)]
        gains = tuple(own - base for own, base in pairs)
        return gains if all(math.isfinite(gain) for gain in gains) else None
