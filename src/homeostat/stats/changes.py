"""Change evidence: have p-values become small for good, in level or in spread, and since when?

Four looks at each tick (too high, too low, too wide, too narrow) give a p-value each. A bet is what
a likelihood ratio would win that knew the change, of one or two deviations or of a spread grown or
shrunk, were the noise normal: as a function of the p-value it is fair for any noise. No tick wins
more than (fade A)^(1 / lasting), so an excursion shorter than `lasting` ticks needs luck before it
for an alarm, and no tick loses more than nine tenths. A bet starts at every tick, older ones fade:

    M_t = e_t (1 + (1 - fade) M_{t-1}),  E[e_t | past] <= 1.

M_t - t is a supermartingale, so an alarm at M >= A takes at least A ticks on average while nothing
changes; fading buys two more things. fade * M_t has expectation at most 1 at every tick, so its
inverse is a p-value then (Markov). And the promise survives bets that are not quite fair, as they
are against a finite table: with E[e_t | past] <= 1 / (1 - fade) it still takes (1 - fade) A ticks.
When the change began is when the bet that won most was last better started anew (Page's CUSUM).

Source: Shin, Ramdas & Rinaldo, "E-detectors", arXiv 2203.03532 (2022); Page, Biometrika 41 (1954).
Batched over series, O(1) memory.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

LOOKS: Final = ("higher", "lower", "wider", "narrower")
"""What the p-values of a tick are about, in this order."""
# Changes that are bet on, in standard deviations: the level moves by so many, the spread becomes.
_LEVELS: Final = (1.0, 2.0)
_WIDER: Final = (1.5, 3.0)
_NARROWER: Final = (0.6, 0.25)
_BETS: Final = 2
# Share of money that is not bet: one tick against it leaves a tenth.
_KEPT: Final = 0.1
# Steps of a bet as a function of p: far finer than the p at which a tick's win is cut off.
_GRID: Final = 512
# Evidence stops at this many times what an alarm takes, so that it ends soon after its cause.
_ENOUGH: Final = 10.0
# A short run length must not make bets that cannot win.
_LEAST_WIN: Final = 100.0
_SMALLEST: Final = 1e-30
_HALVINGS: Final = 60
_AGE_MAX: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is promised.

    Attributes:
        run_length: Mean ticks between false alarms of one series, at least, in (1, 1e15].
        lasting: Ticks that a change lasts at least; what is shorter is a spike. 2 or more.
        fade: Share of evidence lost a tick, in (0, 0.5). A table of 512 errors is off by 2 to 4 %
            in what a bet wins; a change that wins less than this a tick is not found (below half
            of a standard deviation).
    """

    run_length: float
    lasting: float = 10.0
    fade: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what cannot be promised.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 1.0 < self.run_length <= 1e15:  # noqa: PLR2004 - squares fit in single precision
            raise ValueError(f"changes: run_length must be in (1, 1e15], got {self.run_length}")
        if not 2.0 <= self.lasting <= 1e6:  # noqa: PLR2004 - one tick is no change
            raise ValueError(f"changes: lasting must be in 2..1e6 ticks, got {self.lasting}")
        if not 0.0 < self.fade < 0.5:  # noqa: PLR2004 - see the attribute
            raise ValueError(f"changes: fade must be in (0, 0.5), got {self.fade}")


class Money(NamedTuple):
    """What bets have won, `[look, bet, series]` each.

    Attributes:
        won: Money of all bets, whenever they started.
        best: Money of the one that started at the best moment.
        age: Ticks since that moment, the tick of the start included.
    """

    won: Any
    best: Any
    age: Any


class Heard(NamedTuple):
    """What one tick says, `[series]` each.

    Attributes:
        log10_e: Evidence of this moment, log10 of an e-value; NaN where nothing was tested.
        evidence: What is compared with the run length; kept over ticks without a test.
        alarm: The run length is reached; False where nothing was tested.
        age: Ticks since the change began, this one included; of no meaning without an alarm.
        look: Number of the look that has won most.
    """

    log10_e: Any
    evidence: Any
    alarm: Any
    age: Any
    look: Any


class ChangeEvidence:
    """The e-detector; see the module.

    Args:
        config: What is promised.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        most = max(config.fade * config.run_length, _LEAST_WIN) ** (1.0 / config.lasting)
        normal = NormalDist()
        middles = (np.arange(_GRID) + 0.5) / _GRID
        one_sided = np.array([-normal.inv_cdf(p) for p in middles])
        outer = np.array([-normal.inv_cdf(0.5 * p) for p in middles])
        inner = np.array([normal.inv_cdf(0.5 + 0.5 * p) for p in middles])
        level = [_fair(size * one_sided, most) for size in _LEVELS]
        wider = [_fair(0.5 * outer**2 * (1.0 - spread**-2), most) for spread in _WIDER]
        narrower = [_fair(0.5 * inner**2 * (1.0 - spread**-2), most) for spread in _NARROWER]
        self.bets = np.array([level, level, wider, narrower])

    def init(self, xp: ModuleType, series: int) -> Money:
        """Return no evidence."""
        nothing = xp.zeros((len(LOOKS), _BETS, series))
        return Money(nothing, nothing, nothing)

    def step(self, xp: ModuleType, state: Money, p: Any) -> tuple[Money, Heard]:
        """Add one tick.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            p: p-values of `LOOKS`, each super-uniform given the past while nothing has changed,
                `[look, series]`; NaN is no test.
        """
        known = xp.isfinite(p).all(axis=0)
        factor = self.factors(xp, xp.where(known, p, 1.0))
        most = _ENOUGH * self.config.run_length * len(LOOKS) * _BETS
        won = xp.minimum(factor * (1.0 + (1.0 - self.config.fade) * state.won), most)
        best = xp.minimum(factor * xp.maximum(state.best, 1.0), most)
        age = xp.where(state.best > 1.0, xp.minimum(state.age + 1.0, _AGE_MAX), 1.0)
        # A tick that nobody saw wins nothing, and is one more since the change began.
        unseen = xp.where(state.best > 1.0, age, state.age)
        after = Money(
            xp.where(known, won, state.won),
            xp.where(known, best, state.best),
            xp.where(known, age, unseen),
        )
        evidence = after.won.mean(axis=(0, 1))
        log10_e = xp.log10(xp.maximum(self.config.fade * evidence, _SMALLEST))
        flat = after.best.reshape(-1, after.best.shape[-1])
        # What moved far is also far out: a level is the plainer word, unless spread says far more.
        favour = xp.asarray(np.repeat([math.sqrt(self.config.run_length), 1.0], 2 * _BETS))
        winner = (flat * favour[:, None]).argmax(axis=0)
        ages = after.age.reshape(flat.shape)
        return after, Heard(
            log10_e=xp.where(known, log10_e, xp.nan),
            evidence=evidence,
            alarm=known & (evidence >= self.config.run_length),
            age=xp.take_along_axis(ages, winner[None], axis=0)[0],
            look=xp.asarray(winner // _BETS, dtype=xp.int32),
        )

    def factors(self, xp: ModuleType, p: Any) -> Any:
        """Return what one unit on each bet becomes, `[look, bet, series]`.

        Args:
            xp: numpy or jax.numpy.
            p: p-values in (0, 1], `[look, series]`.
        """
        # Rounded up, to the side that wins less.
        step = xp.asarray(xp.clip(xp.ceil(p * _GRID) - 1.0, 0, _GRID - 1), dtype=xp.int32)
        bets = xp.asarray(self.bets)
        return xp.stack([
            xp.stack([xp.take(one, at) for one in look])
            for look, at in zip(bets, step, strict=True)
        ])  # fmt: skip

    def restart(self, xp: ModuleType, state: Money, rows: Any) -> Money:
        """Return the evidence with that of these rows (bool `[series]`) forgotten."""
        return Money(*(xp.where(rows, 0.0, part) for part in state))


def _fair(ln_ratio: npt.NDArray[np.float64], most: float) -> npt.NDArray[np.float64]:
    """Return a likelihood ratio cut off so that it wins at most so much, with mean 1."""
    low, high = -700.0, 700.0  # where its logarithm is cut
    out = np.ones_like(ln_ratio)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        ratio = np.exp(np.minimum(ln_ratio, middle))
        out = _KEPT + (1.0 - _KEPT) * ratio / ratio.mean()
        low, high = (middle, high) if out.max() < most else (low, middle)
    return out
