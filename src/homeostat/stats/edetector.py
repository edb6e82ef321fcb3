"""e-detectors: has it become worse, with at most one false alarm in A tests, whatever the noise.

Evidence is money won by bets that are fair or worse while all is well. `Kind.SHIRYAEV_ROBERTS`
starts a new bet at every test and adds them up, `Kind.CUSUM` keeps the best start; when evidence
reaches A there is an alarm, and while all is well that takes at least A tests on average. No
distribution is assumed: for values in [0, 1] (`bounded_bets`: error ratios, SLO burn, one minus
accuracy) their mean given the past must be at most the level; for p-values (`p_value_bets`) they
must be super-uniform given the past. Evidence is a mixture over sizes of the bet, so that none
must be chosen. Errors that come in runs break "given the past": put `Blocks` in front, several
times as long as a run.

Source: Shin, Ramdas & Rinaldo, "E-detectors", arXiv 2203.03532 (2022); the p-value bet is the
calibrator k p^(k-1) of Vovk & Wang, Annals of Statistics 49 (2021). Batched over series, O(1),
state in arrays.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

# Single wins stop counting here; their product with evidence must fit single precision.
_MOST: Final = 1e18
# Evidence stops at this many times what an alarm takes, so that it ends soon after its cause.
_ENOUGH: Final = 10.0
# Bets as shares of the largest one: a change to twice the level is found best with the smallest,
# one to twenty times with the largest. Six, each twice the last, lose little to the best one.
_SHARES: Final = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
# Exponents of the p-value bets: the smallest makes most of one tiny p, the largest of many small.
_EXPONENTS: Final = (0.05, 0.15, 0.4)
_LN10: Final = 2.302585092994046


class Kind(StrEnum):
    """How bets that start at different times are put together."""

    SHIRYAEV_ROBERTS = "shiryaev_roberts"
    CUSUM = "cusum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is promised.

    Attributes:
        run_length: Mean number of tests between false alarms of one series, at least, in
            (1, 1e15]; `fdr_budget.Budget.run_length` gives it.
        kind: CUSUM keeps the promise by a wide margin and is later; see the tests.
    """

    run_length: float
    kind: Kind = Kind.SHIRYAEV_ROBERTS

    def __post_init__(self) -> None:
        """Refuse what cannot be promised.

        Raises:
            ValueError: The run length is out of range.
        """
        if not 1.0 < self.run_length <= 1e15:  # noqa: PLR2004 - well below _MOST
            raise ValueError(f"e-detector: run_length must be in (1, 1e15], got {self.run_length}")


class Evidence(NamedTuple):
    """Money won by each size of bet, `[bet, series]`."""

    won: Any


class Heard(NamedTuple):
    """What one tick says, `[series]` each.

    Attributes:
        log10_evidence: At most one above that of an alarm; NaN where there was nothing to test.
        alarm: Evidence has reached the run length; stays so until the row is restarted or the
            bets lose again. False where there was nothing to test.
    """

    log10_evidence: Any
    alarm: Any


class EDetector:
    """The mixture e-detector; see the module.

    Args:
        config: What is promised.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def init(self, xp: ModuleType, bets: int, series: int) -> Evidence:
        """Return no evidence.

        Args:
            xp: numpy or jax.numpy.
            bets: How many sizes of bet there will be.
            series: Number of rows.
        """
        return Evidence(won=xp.zeros((bets, series)))

    def step(self, xp: ModuleType, state: Evidence, factors: Any) -> tuple[Evidence, Heard]:
        """Add one test of every row.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            factors: What one unit became, `[bet, series]`; NaN is no test.
        """
        known = xp.isfinite(factors).all(axis=0)
        win = xp.clip(xp.where(known, factors, 1.0), 0.0, _MOST)
        cusum = self.config.kind is Kind.CUSUM
        started = xp.maximum(state.won, 1.0) if cusum else state.won + 1.0
        most = min(_ENOUGH * self.config.run_length, _MOST)
        won = xp.where(known, xp.minimum(started * win, most), state.won)
        evidence = won.mean(axis=0)
        heard = xp.log10(xp.maximum(evidence, 1.0 / _MOST))
        return Evidence(won), Heard(
            log10_evidence=xp.where(known, heard, xp.nan),
            alarm=known & (evidence >= self.config.run_length),
        )

    def restart(self, xp: ModuleType, state: Evidence, rows: Any) -> Evidence:
        """Return the evidence with that of these rows (bool `[series]`) forgotten."""
        return Evidence(won=xp.where(rows, 0.0, state.won))


def bounded_bets(xp: ModuleType, values: Any, level: Any) -> Any:
    """Return what bets against "the mean is at most the level" become, `[bet, series]`.

    Args:
        xp: numpy or jax.numpy.
        values: In [0, 1], `[series]`; anything else is no test (NaN).
        level: In (0, 1), `[series]` or one.
    """
    fair = xp.asarray(level)
    inside = (values >= 0.0) & (values <= 1.0)
    away = xp.where(inside, values, xp.nan) - fair
    return 1.0 + xp.asarray(np.array(_SHARES)[:, None]) / fair * away


def p_value_bets(xp: ModuleType, neg_log10_p: Any) -> Any:
    """Return what bets against "p-values are super-uniform" become, `[bet, series]`.

    Args:
        xp: numpy or jax.numpy.
        neg_log10_p: `[series]`, 0 or more; NaN is no test.
    """
    k = np.array(_EXPONENTS)[:, None]
    most = np.log(_MOST)
    ln_won = xp.asarray(np.log(k)) + xp.asarray(1.0 - k) * neg_log10_p * _LN10
    return xp.exp(xp.minimum(ln_won, most))


BOUNDED_BETS: Final = len(_SHARES)
"""How many sizes of bet `bounded_bets` has."""
P_VALUE_BETS: Final = len(_EXPONENTS)
"""How many sizes of bet `p_value_bets` has."""


class Gathered(NamedTuple):
    """A block that is not full yet.

    Attributes:
        total: Sum of the values seen, `[series]`.
        seen: How many, `[series]`.
        age: Ticks since the block began, `[]`.
    """

    total: Any
    seen: Any
    age: Any


class Blocks:
    """Means over blocks of ticks, for errors that come in runs; NaN until a block is full.

    Args:
        ticks: Length of a block, at least 1.

    Raises:
        ValueError: The length is below 1.
    """

    def __init__(self, ticks: int) -> None:
        if ticks < 1:
            raise ValueError(f"blocks: ticks must be 1 or more, got {ticks}")
        self.ticks = ticks

    def init(self, xp: ModuleType, series: int) -> Gathered:
        """Return an empty block."""
        return Gathered(xp.zeros(series), xp.zeros(series), xp.zeros(()))

    def step(self, xp: ModuleType, state: Gathered, values: Any) -> tuple[Gathered, Any]:
        """Add one tick (NaN: not reported) and return the mean of a block that it completes."""
        known = xp.isfinite(values)
        total = state.total + xp.where(known, values, 0.0)
        seen = state.seen + known
        full = state.age + 1.0 >= self.ticks
        mean = xp.where(full & (seen > 0), total / xp.maximum(seen, 1.0), xp.nan)
        after = Gathered(
            total=xp.where(full, 0.0, total),
            seen=xp.where(full, 0.0, seen),
            age=xp.asarray(xp.where(full, 0.0, state.age + 1.0)),
        )
        return after, mean
