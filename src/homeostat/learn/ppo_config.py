"""What a training run by proximal policy optimisation may be told; nothing here needs JAX.

Source of the defaults: Schulman et al., "Proximal Policy Optimization Algorithms" (2017), table 3,
where no other one is named.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


def _above(value: float) -> bool:
    return 0.0 < value < math.inf


def _not_below(value: float) -> bool:
    return 0.0 <= value < math.inf


_RULES: Final[tuple[tuple[str, Callable[[float], bool], str], ...]] = (
    *((name, lambda found: found >= 1, "1 or more")
      for name in ("environments", "length", "minibatches", "epochs")),
    *((name, lambda found: 0.0 <= found <= 1.0, "in 0..1") for name in ("discount", "trace")),
    *((name, _above, "above 0")
      for name in ("rate", "clip", "longest_gradient", "reward_scale", "value_clip", "most_kl")),
    *((name, _not_below, "0 or more") for name in ("value_weight", "entropy_weight")),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A cost whose mean a training run tries to keep below a limit.

    It bounds an expectation over training's own episodes and nothing else: what must never happen
    is the guards' matter, which no multiplier can be.

    Attributes:
        name: As the environment names the cost.
        most: Its mean per step that is aimed at, 0 or more.
        gain: What a unit of excess adds to the multiplier at each update.
        most_multiplier: Where the multiplier ends.
    """

    name: str
    most: float
    gain: float = 0.5
    most_multiplier: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot be aimed at.

        Raises:
            ValueError: Names the limit, its value and the range.
        """
        if not 0.0 <= self.most < math.inf:
            raise ValueError(f"limit {self.name}: most must be 0 or more, got {self.most}")
        if not (0.0 < self.gain < math.inf and 0.0 < self.most_multiplier < math.inf):
            raise ValueError(
                f"limit {self.name}: gain and most_multiplier must be above 0, "
                f"got {self.gain} and {self.most_multiplier}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HashRate:
    """HASH's rule for the learning rate, a' = a exp(beta (R' - R)); see `ppo_rate`.

    Attributes:
        beta: How fast it follows the reward.
        as_written: Without the norm and the bounds that keep it from running away.
    """

    beta: float = 0.1
    as_written: bool = False

    def __post_init__(self) -> None:
        """Refuse a speed that is none.

        Raises:
            ValueError: beta is not finite.
        """
        if not math.isfinite(self.beta):
            raise ValueError(f"ppo: the rate's beta must be finite, got {self.beta}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A training run.

    Attributes:
        environments: Side by side, for each seed.
        length: Steps of each environment between two updates.
        epochs: Times that every step is learnt from.
        minibatches: Parts of an epoch; they divide environments x length.
        hidden: Widths of the two hidden layers, of the policy and of the values alike.
        rate: Adam's learning rate at the start.
        discount: Of a reward one step later.
        trace: lambda of the advantages (Schulman et al., "High-Dimensional Continuous Control
            Using Generalized Advantage Estimation", 2016, eq. 16).
        clip: Largest change of a probability's ratio that pays.
        value_clip: Largest change of a value that pays; None = any.
        value_weight: Of the values' loss.
        entropy_weight: Of the policy's entropy over what the mask allows.
        longest_gradient: A longer one is shortened to it.
        most_kl: No epoch is begun once the policy is this far from the one that acted, nats; None =
            never. Half as much again is what stable-baselines3 stops at with the same number.
        reward_scale: Rewards are multiplied by it before anything is learnt from them.
        limits: Costs to be held down; none = the reward alone.
        hash_rate: HASH's rule for the learning rate; None = it stays.
    """

    environments: int = 8
    length: int = 64
    epochs: int = 4
    minibatches: int = 4
    hidden: tuple[int, int] = (64, 64)
    rate: float = 3e-4
    discount: float = 0.99
    trace: float = 0.95
    clip: float = 0.2
    value_clip: float | None = None
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    longest_gradient: float = 0.5
    most_kl: float | None = 0.02
    reward_scale: float = 1.0
    limits: tuple[Limit, ...] = ()
    hash_rate: HashRate | None = None

    def __post_init__(self) -> None:
        """Refuse settings that no run can have.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if min(self.hidden) < 1:
            raise ValueError(f"ppo: hidden layers need 1 unit or more, got {self.hidden}")
        for name, holds, rule in _RULES:
            found = getattr(self, name)
            if found is not None and not holds(found):
                raise ValueError(f"ppo: {name} must be {rule}, got {found}")
        if self.steps % self.minibatches:
            raise ValueError(
                f"ppo: {self.environments} environments x {self.length} steps do not make "
                f"{self.minibatches} equal minibatches; choose a divisor of {self.steps}"
            )

    @property
    def steps(self) -> int:
        """Return the steps of one update."""
        return self.environments * self.length

    @property
    def channels(self) -> int:
        """Return what is valued: the reward, then each limited cost."""
        return 1 + len(self.limits)
