"""Anytime-valid test of shares: do events still fall into the bins as they did in a reference?

Looked at after every tick, a p-value at 5 % is wrong sooner or later; here at least `run_length`
looks pass between false alarms on average, however often somebody looks. For each boundary between
bins there are bets that the share of events below it has grown, and that it has shrunk. The
reference is a sample too: bets are made against the nearest share that it allows, the end of an
interval, and are fair or worse for every share inside:

    e = prod over events of  theta_1 / theta_0  (below)  or  (1 - theta_1) / (1 - theta_0)  (above)

With chance 1 - `unlucky` over references all intervals of one hold, and then the promise does: an
infinitely sharp test against a reference of 500 events would be certain to alarm. A bet starts at
every look, older ones fade, and all are averaged (Shiryaev-Roberts e-detector; `changes` has the
same recursion and says what fading buys).

Events that come in clusters of like ones, up to `cluster` at a time, are counted by the cluster:
the e-value to the power 1 / cluster is fair whatever the dependence within (Hoelder's inequality).

Source: Shin, Ramdas & Rinaldo, arXiv 2203.03532 (2022); the interval holds for every n by Zubkov &
Serov, Theory of Probability & Its Applications 57 (2013), theorem 1: P(X <= k) <= Phi(-z) where
n KL((k + 1) / n, theta) = z^2 / 2. NumPy; batched over rows (features).
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.stats.in_order import total

Floats = npt.NDArray[np.float64]
# Odds that are bet on, as steps of their logarithm beyond the interval: a share of 10 % that
# becomes 12, 14, 20, 35 or 73 %.
_STEPS: Final = (0.2, 0.4, 0.8, 1.6, 3.2)
_SIDES: Final = 2
# Windows over which recent events are kept, in looks, each half forgotten in 0.7 of that.
_WINDOWS: Final = tuple(float(2**power) for power in range(11))
# Evidence stops at this many times what an alarm takes, so that it ends soon after its cause.
_ENOUGH: Final = 10.0
_LN_MOST: Final = 40.0  # of one look; its product with evidence fits a double
_HALVINGS: Final = 60
_TINY: Final = 1e-12
_AGE_MAX: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is promised.

    Attributes:
        run_length: Mean looks between false alarms, at least, in (1, 1e15]. The default keeps
            alarms in 3,000 looks of a healthy stream below 3 % (Doob: ticks / run length).
        unlucky: Chance that a reference misleads, in (0, 1); all rows and renewals together.
        cluster: Like events that may come together, at least 1.
        fade: Share of evidence lost a look, in (0, 0.5). By default an alarm is where the e-value
            of the look itself is 20.
    """

    run_length: float = 100_000.0
    unlucky: float = 0.01
    cluster: float = 1.0
    fade: float = 0.0002

    def __post_init__(self) -> None:
        """Refuse what cannot be promised.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 1.0 < self.run_length <= 1e15:  # noqa: PLR2004 - products fit a double
            raise ValueError(f"share test: run_length must be in (1, 1e15], got {self.run_length}")
        if not 0.0 < self.unlucky < 1.0:
            raise ValueError(f"share test: unlucky must be in (0, 1), got {self.unlucky}")
        if not 1.0 <= self.cluster < float("inf"):
            raise ValueError(f"share test: cluster must be 1 or more, got {self.cluster}")
        if not 0.0 < self.fade < 0.5:  # noqa: PLR2004 - see the attribute
            raise ValueError(f"share test: fade must be in (0, 0.5), got {self.fade}")


class ShareBets(NamedTuple):
    """Bets against one reference.

    Attributes:
        below: ln of what a bet becomes by an event below its boundary, `[bet, row]`; -inf for a
            boundary that has nothing on one side.
        above: The same for an event above it.
        weight: Of each bet; sums to 1 over the bets of a row, `[bet, row]`.
    """

    below: Any
    above: Any
    weight: Any


class ShareEvidence(NamedTuple):
    """What bets have won.

    Attributes:
        won: Money of all bets, whenever they started, `[bet, row]`.
        best: Money of the one that started at the best moment, `[bet, row]`.
        age: Looks since that moment, the one of the start included, `[bet, row]`.
        recent: Events over `_WINDOWS`, fading, `[window, bin, row]`.
    """

    won: Any
    best: Any
    age: Any
    recent: Any


class Heard(NamedTuple):
    """What one look says, `[row]` each unless said otherwise.

    Attributes:
        log10_e: log10 of an e-value of this look; NaN where there were no events.
        evidence: What is compared with the run length; kept over looks without events.
        alarm: The run length is reached; False where there were no events.
        age: Looks since the shares moved; of no meaning without an alarm.
        counts: Recent events, most of them since then, `[bin, row]`.
    """

    log10_e: Any
    evidence: Any
    alarm: Any
    age: Any
    counts: Any


class ShareTest:
    """The test; see the module.

    Args:
        config: What is promised.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def against(self, reference: Floats, *, unlucky: float | None = None) -> ShareBets:
        """Return the bets against a reference.

        Args:
            reference: Events per bin, at least two bins, `[bin, row]`.
            unlucky: Chance that one row's reference misleads; None for the whole of the config's,
                shared by the rows.

        Raises:
            ValueError: Fewer than two bins, or a row without events.
        """
        bins, rows = reference.shape
        events = reference.sum(axis=0) / self.config.cluster
        if bins < 2 or not (events > 0.0).all():  # noqa: PLR2004 - one bin cannot differ
            raise ValueError(f"share test: need two bins and events, got {bins} bins, {events}")
        chance = self.config.unlucky / rows if unlucky is None else unlucky
        share = np.cumsum(reference, axis=0)[:-1] / reference.sum(axis=0)
        z = -NormalDist().inv_cdf(0.5 * chance / (bins - 1))
        high = _upper(share + 1.0 / events, 0.5 * z * z / events)
        low = 1.0 - _upper(1.0 - share + 1.0 / events, 0.5 * z * z / events)
        ends = np.stack([high, 1.0 - low])  # the share of the side that grows, `[side, split, row]`
        steps = np.array(_STEPS)[:, None, None, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            wished = 1.0 / (1.0 + np.exp(-(np.log(ends / (1.0 - ends)) + steps)))
            grows, shrinks = np.log(wished / ends), np.log((1.0 - wished) / (1.0 - ends))
        possible = (ends < 1.0 - _TINY) & np.isfinite(shrinks)
        grows, shrinks = (np.where(possible, part, -np.inf) for part in (grows, shrinks))
        below = np.stack([grows[:, 0], shrinks[:, 1]], axis=1).reshape(-1, rows)
        above = np.stack([shrinks[:, 0], grows[:, 1]], axis=1).reshape(-1, rows)
        counted = possible.reshape(-1, rows)
        weight = counted / np.maximum(counted.sum(axis=0), 1)
        return ShareBets(below, above, weight)

    def init(self, bins: int, rows: int) -> ShareEvidence:
        """Return no evidence."""
        nothing = np.zeros((len(_STEPS) * _SIDES * (bins - 1), rows))
        return ShareEvidence(nothing, nothing, nothing, np.zeros((len(_WINDOWS), bins, rows)))

    def step(
        self, bets: ShareBets, state: ShareEvidence, counts: Floats, *, among: int | Floats = 1
    ) -> tuple[ShareEvidence, Heard]:
        """Add the events since the last look.

        Args:
            bets: From `against`.
            state: From `init` or the last step.
            counts: Events per bin, none counted twice, `[bin, row]`; NaN in a row is no look.
            among: How many rows' evidence is averaged by the caller: one of them must suffice. Of
                all rows, or `[row]`.
        """
        came = total(counts)
        known = np.isfinite(came) & (came > 0.0)
        events = np.where(known, counts, 0.0)
        recent = _recent(state.recent, events, known)
        factor = self._factors(bets, events)
        most = _ENOUGH * self.config.run_length * among * len(factor)
        won = np.minimum(factor * (1.0 + (1.0 - self.config.fade) * state.won), most)
        best = np.minimum(factor * np.maximum(state.best, 1.0), most)
        age = np.where(state.best > 1.0, np.minimum(state.age + 1.0, _AGE_MAX), 1.0)
        after = ShareEvidence(
            won=np.where(known, won, state.won),
            best=np.where(known, best, state.best),
            age=np.where(known, age, state.age),
            recent=recent,
        )
        evidence = total(after.won * bets.weight)
        log10_e = np.log10(np.maximum(self.config.fade * evidence, 1.0 / _AGE_MAX**3))
        # Of several that have won as much as may be won the oldest, whatever their order.
        since = np.where(after.best >= after.best.max(axis=0), after.age, 0.0).max(axis=0)
        return after, Heard(
            log10_e=np.where(known, log10_e, np.nan),
            evidence=evidence,
            alarm=known & (evidence >= self.config.run_length),
            age=since,
            counts=_since(recent, since),
        )

    def _factors(self, bets: ShareBets, events: Floats) -> Floats:
        """Return what one unit on each bet becomes, `[bet, row]`."""
        splits = len(events) - 1
        through = np.cumsum(events, axis=0)
        below, above = through[:-1], through[-1] - through[:-1]
        repeated = len(bets.below) // splits
        below, above = np.tile(below, (repeated, 1)), np.tile(above, (repeated, 1))
        with np.errstate(invalid="ignore"):
            ln_won = (below * bets.below + above * bets.above) / self.config.cluster
        ln_won = np.where(bets.weight > 0.0, ln_won, -np.inf)
        factor: Floats = np.exp(np.minimum(ln_won, _LN_MOST))
        return factor


def allowed(bets: ShareBets, splits: int) -> tuple[Floats, Floats]:
    """Return between which shares of events below each boundary nothing speaks: the reference's.

    Worked out of the bets: that of odds e^s times those of an end has `below - above` = s, and
    the end is where both sides of the bet are worth 1 on average.

    Args:
        bets: From `ShareTest.against`.
        splits: Boundaries: bins less one.

    Returns:
        Low and high ends, `[split, row]`; 0 and 1 where the reference allows all.

    >>> test = ShareTest(Config())
    >>> low, high = allowed(test.against(np.array([[300.0], [700.0]])), 1)
    >>> round(float(low[0, 0]), 2), round(float(high[0, 0]), 2)
    (0.26, 0.34)
    """
    below, above = (one.reshape(len(_STEPS), _SIDES, splits, -1)[-1] for one in bets[:2])
    high = _end(below[0], above[0])
    low = 1.0 - _end(above[1], below[1])
    return low, high


def _end(gains: Floats, loses: Floats) -> Floats:
    """Return the share of what gains at which a bet is fair; 1 for a bet that there is not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        end = -np.expm1(loses) / (np.exp(gains) - np.exp(loses))
    out: Floats = np.where(np.isfinite(gains) & np.isfinite(loses), np.clip(end, 0.0, 1.0), 1.0)
    return out


def _upper(share: Floats, price: Floats) -> Floats:
    """Return the largest theta >= share with KL(share, theta) <= price, by halving."""
    share = np.minimum(share, 1.0)
    low, high = share, np.ones_like(share)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        inside = _divergence(share, middle) <= price
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return high


def _divergence(share: Floats, theta: Floats) -> Floats:
    """Return KL(share, theta) of two coins, in nats."""
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.where(share > 0.0, share * np.log(share / theta), 0.0)
        other = np.where(share < 1.0, (1.0 - share) * np.log((1.0 - share) / (1.0 - theta)), 0.0)
    out: Floats = one + other
    return out


def _recent(recent: Floats, events: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Return the fading windows after one look."""
    keep = 1.0 - 1.0 / np.array(_WINDOWS)[:, None, None]
    out: Floats = np.where(known, keep * recent + events, recent)
    return out


def _since(recent: Floats, age: Floats) -> Floats:
    """Return the events of the largest window that is at most half as old, `[bin, row]`.

    What lasted twice the window makes 1 - exp(-2) = 86 % of it.
    """
    at = np.clip(np.floor(np.log2(np.maximum(age, 1.0))) - 1.0, 0, len(_WINDOWS) - 1)
    picked = np.take_along_axis(recent, at.astype(int)[None, None, :], axis=0)
    out: Floats = picked[0]
    return out
