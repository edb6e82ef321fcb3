"""Online false discovery rate: of all alarms of a fleet, over all time, at most a share is false.

A test is one series at one tick. A fleet has an error budget in money's clothes: every test costs,
every discovery pays. All tests of one tick share that tick's allowance equally, and are decided on
what was known before it, so they may depend on each other within the tick.

Each allowance is `sum of gamma_(age)` over the money that came in at that age. Here gamma is a
mixture of geometric sequences, so a handful of balances that each shrink by their own factor hold
the whole past: O(1) a test, whatever the number of discoveries, and exactly valid, because any
sequence that sums to one is. The mixture follows j gamma_j ~ log j / exp(sqrt(log j)), the shape
that Javanmard & Montanari recommend (Annals of Statistics 46 (2018)).

* `candidate = 0`: LORD++ (Ramdas, Yang, Wainwright & Jordan, NeurIPS 2017). Null p-values
  must be super-uniform given the past.
* `candidate > 0`: SAFFRON (Ramdas, Zrnic, Wainwright & Jordan, ICML 2018): tests that come
  out small cost nothing. Gains where anomalies are frequent.
* `memory_ticks`: decaying memory (Rebjock, Kurt, Januschowski & Callot, NeurIPS 2021): the promise
  is about recent alarms, and the allowance never dies when anomalies are rare.
* `ELond`: e-values with any dependence (Xu & Ramdas, AISTATS 2024); has less power.

Not here: how p-values and e-values are made, and the limit on false incidents a day (`fdr_budget`).
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

# Time scales of 1, 2, 4 ... ticks; the longest is four years of 15 s ticks.
_SCALES: Final = 24
# No level is below this, so that its logarithm is a number, in single precision also.
_LEAST_LEVEL: Final = 1e-37


class Balance(NamedTuple):
    """What a fleet may still spend; leading axes of the tests, if any, are fleets.

    Attributes:
        left: Money on each time scale, `[scale, ...fleet]`.
        discoveries: Number of rejections so far, `[...fleet]`.
    """

    left: Any
    discoveries: Any


class Decided(NamedTuple):
    """What the tests of one tick came to.

    Attributes:
        rejected: Bool `[...fleet, series]`; False where there was nothing to test.
        neg_log10_level: What a test had to reach, `[...fleet]`; `[...fleet, series]` where tests
            were allowed something each.
    """

    rejected: Any
    neg_log10_level: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is promised.

    Attributes:
        rate: Share of alarms that may be false, in (0, 1).
        start: Part of `rate` that is there before the first discovery, in (0, 1].
        candidate: p-values up to this cost nothing (SAFFRON's lambda), in [0, 1); 0 for LORD++.
        memory_ticks: Alarms this old count for 1/e; None never forgets.
        floor: With a memory only: the share is `false / (alarms + floor)`. Rare anomalies need it:
            `rate * floor` false alarms per memory are allowed without any discovery.
    """

    rate: float = 0.05
    start: float = 0.5
    candidate: float = 0.0
    memory_ticks: float | None = None
    floor: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be promised.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 < self.rate < 1.0:
            raise ValueError(f"fdr: rate must be in (0, 1), got {self.rate}")
        if not 0.0 < self.start <= 1.0:
            raise ValueError(f"fdr: start must be in (0, 1], got {self.start}")
        if not 0.0 <= self.candidate < 1.0:
            raise ValueError(f"fdr: candidate must be in [0, 1), got {self.candidate}")
        if self.memory_ticks is not None and not self.memory_ticks >= 1.0:
            raise ValueError(f"fdr: memory_ticks must be 1 or more, got {self.memory_ticks}")
        if not self.floor > 0.0:
            raise ValueError(f"fdr: floor must be above 0, got {self.floor}")


class OnlineFdr:
    """LORD++, SAFFRON and their decaying forms; see the module.

    Args:
        config: What is promised.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.forget = (
            1.0 if config.memory_ticks is None else float(np.exp(-1 / config.memory_ticks))
        )

    def init(self, xp: ModuleType, fleets: tuple[int, ...] = ()) -> Balance:
        """Return the balance of fleets that have tested nothing.

        Args:
            xp: numpy or jax.numpy.
            fleets: Leading shape of the tests; () for one fleet.
        """
        first = self.config.rate * self.config.start if self.config.memory_ticks is None else 0.0
        left = xp.zeros((_SCALES, *fleets)) + first * _column(xp, WEIGHTS, len(fleets))
        return Balance(left=left, discoveries=xp.zeros(fleets))

    def step(
        self, xp: ModuleType, state: Balance, scores: Any, besides: Any = None
    ) -> tuple[Balance, Decided]:
        """Decide the tests of one tick.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            scores: -log10 p, `[...fleet, series]`; NaN is no test.
            besides: Level that each test has beside its share of the balance, 0 or more,
                `[...fleet, series]`. It costs nothing: so many false alarms are allowed on top of
                the share, in expectation their sum. None: no test has any.
        """
        config, axes = self.config, state.left.ndim - 1
        offered = state.left * _column(xp, SPENT, axes)
        steady = 0.0
        if config.memory_ticks is not None:
            steady = config.rate * config.floor * (1.0 - self.forget)
        known = xp.isfinite(scores)
        tests = xp.maximum(known.sum(axis=-1), 1)
        level = (1.0 - config.candidate) * (steady + offered.sum(axis=0)) / tests
        level = xp.minimum(level, config.candidate or 1.0)
        each = level[..., None] if besides is None else xp.minimum(level[..., None] + besides, 1.0)
        needed = -xp.log10(xp.maximum(each, _LEAST_LEVEL))
        rejected = known & (xp.where(known, scores, 0.0) >= needed)
        needed = needed[..., 0] if besides is None else needed
        paying = known
        if config.candidate > 0.0:
            paying = known & (xp.where(known, scores, 0.0) < -np.log10(config.candidate))
        share = paying.sum(axis=-1) / tests
        found = rejected.sum(axis=-1)
        income = config.rate * found
        if config.memory_ticks is None:
            first = (state.discoveries == 0) & (found > 0)
            income = income - xp.where(first, config.rate * config.start, 0.0)
        left = (state.left - offered * share) + income * _column(xp, WEIGHTS, axes)
        kept = left * self.forget
        return Balance(kept, state.discoveries + found), Decided(rejected, needed)


class Shrinking(NamedTuple):
    """Where `ELond` stands.

    Attributes:
        allowance: The next tick's allowance by time scale, `[scale, ...fleet]`.
        discoveries: Number of rejections so far, `[...fleet]`.
    """

    allowance: Any
    discoveries: Any


class ELond:
    """e-LOND: the false discovery rate of e-values that may depend on each other in any way.

    The allowance falls with time and rises with every discovery, so begin anew from time to time
    (each period then keeps its own promise).

    Args:
        rate: Share of alarms that may be false, in (0, 1).

    Raises:
        ValueError: The rate is out of range.
    """

    def __init__(self, rate: float = 0.05) -> None:
        if not 0.0 < rate < 1.0:
            raise ValueError(f"e-lond: rate must be in (0, 1), got {rate}")
        self.rate = rate

    def init(self, xp: ModuleType, fleets: tuple[int, ...] = ()) -> Shrinking:
        """Return the start; see `OnlineFdr.init`."""
        first = _column(xp, WEIGHTS * SPENT, len(fleets))
        return Shrinking(xp.zeros((_SCALES, *fleets)) + first, xp.zeros(fleets))

    def step(self, xp: ModuleType, state: Shrinking, log10_e: Any) -> tuple[Shrinking, Decided]:
        """Decide the tests of one tick.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            log10_e: log10 of e-values, `[...fleet, series]`; NaN is no test, inf rejects.
        """
        known = ~xp.isnan(log10_e)
        tests = known.sum(axis=-1)
        level = self.rate * state.allowance.sum(axis=0) * (state.discoveries + 1.0)
        needed = -xp.log10(xp.clip(level / xp.maximum(tests, 1), _LEAST_LEVEL, 1.0))
        rejected = known & (xp.where(known, log10_e, -xp.inf) >= needed[..., None])
        keep = 1.0 - _column(xp, SPENT, state.allowance.ndim - 1)
        allowance = xp.where(tests > 0, state.allowance * keep, state.allowance)
        found = state.discoveries + rejected.sum(axis=-1)
        return Shrinking(allowance, found), Decided(rejected, needed)


def _column(xp: ModuleType, values: Any, axes: int) -> Any:
    """Return values along the first axis, to be broadcast over the fleets."""
    return xp.asarray(values.reshape(-1, *(1,) * axes))


def _weights() -> Any:
    """Return the share of money on each time scale; see the module for its shape."""
    scale = np.arange(_SCALES) * np.log(2.0)
    shape = np.maximum(scale, np.log(2.0)) * np.exp(-np.sqrt(scale))
    return shape / shape.sum()


WEIGHTS: Final = _weights()
"""Share of an income on each time scale; sums to one."""
SPENT: Final = 0.5 ** np.arange(_SCALES)
"""Share of a balance that one tick may spend, by time scale."""


def gamma(ticks: int) -> Any:
    """Return gamma_1 .. gamma_ticks: how one unit of money is spread over the ticks after it.

    >>> bool(0.8 < gamma(100_000).sum() < 1.0)
    True
    """
    age = np.arange(ticks)[:, None]
    return (WEIGHTS * SPENT * (1.0 - SPENT) ** age).sum(axis=1)
