"""How probable is it that a series passes its limit within 5, 15 or 60 minutes if nobody acts?

A breach is what the highest value on the way does, so that is what is learnt: by how many steps
the highest value over the horizon exceeded what the forecast gave reason to expect. The share of
such excesses in the past that would reach the limit from here is the probability (a conformal
predictive distribution: Vovk, Shen, Manokhin & Xie, Machine Learning 108 (2019)); beyond the
largest excess of the table its tail continues (`stats.tail`), so "never seen" is small, not zero.

What was said is then compared with what came, and four opinions are weighed by how they bet on it
(weights fall exponentially in the logarithmic loss, as a Bayesian's do, with a memory that fades:
Vovk, "A game of prediction with expert advice", JCSS 56 (1998); Herbster & Warmuth, Machine
Learning 32 (1998)): the probability above; the same, corrected by how often a breach followed when
about this was said; how often one followed when the series was within, or beyond, its limit; and
persistence: what is beyond its limit now will be, what is not will not.

Only forecasts over a time in which nothing of ours was in flight are learnt from: the probability
is under HOLD. Not here: which limit matters, and all limits together (`breach_any`).
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

from homeostat.detect.demand import LARGEST, Points
from homeostat.detect.demand_pending import PLACES, Pending
from homeostat.detect.forecast_quantiles import at
from homeostat.stats import conformal as tables

CONFORMAL, CORRECTED, FREQUENCY, PERSISTENCE = range(4)
_OPINIONS: Final = 4
# Probabilities alike are corrected together: by thirds of a decade at the low end, where they live.
_EDGES: Final = (0.01, 0.03, 0.1, 0.3, 0.6)
_BINS: Final = 6
# Corrections believe what was said as much as so many outcomes: one horizon's worth.
_PRIOR: Final = 8.0
# Counts fade over so many outcomes, eight of which overlap: 128 and 512 horizons' worth.
_MEMORY: Final = 1024.0
_LONG: Final = 4096.0
# A Bayesian's rate is 1; outcomes overlap, so eight of them count as half of one. Opinions that are
# nearly as good stay nearly as heavy: their mean is better than each.
_LEARNING: Final = 0.5 / 8.0
_FADE: Final = 0.998
# Nobody is surer than this where bets are paid out.
_SURE: Final = 0.005
# What a series usually does says nothing of a situation it never was in: the two opinions from
# habit speak only as far as something like this was said before.
_HABIT: Final = 1.0
# A way that was seen for less than this share of its ticks shows no highest value.
_LEAST_SEEN: Final = 0.8
_SMALLEST: Final = 1e-9
_FAR: Final = 1e9  # steps; more would not fit where excesses are kept, and say no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        horizons: Ticks ahead, as those of the points.
        table: Past excesses of each horizon: by default a random 128 of about the last 5,000
            ticks.
    """

    horizons: tuple[int, ...] = (20, 60, 240)
    table: tables.Config = field(
        default_factory=lambda: tables.Config(size=128, block=40, least=19)
    )

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting and its value.
        """
        Pending(self.horizons)


class BreachState(NamedTuple):
    """All that is remembered.

    Attributes:
        tick: Ticks seen, int scalar.
        excess: Past excesses in steps, one table for each horizon.
        limit: The limit of the last tick, `[series]`.
        said: Opinions under way, `[horizon, place, opinion, series]`.
        base: Where the excess counts from, and the step, `[horizon, place, 2, series]`.
        peak: Highest value since, `[horizon, place, series]`; -inf for none.
        seen: Values since, `[horizon, place, series]`; -inf once something of ours was done.
        came: Outcomes and breaches by what was said, `[horizon, bin, 2, series]`.
        credit: Logarithm of each opinion's weight, `[horizon, opinion, series]`.
    """

    tick: Any
    excess: tuple[tables.Table, ...]
    limit: Any
    said: Any
    base: Any
    peak: Any
    seen: Any
    came: Any
    credit: Any


class Breach:
    """See the module. Causal, pure, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.pending = Pending(config.horizons)
        self.tables = tables.Conformal(config.table)

    def init(self, xp: ModuleType, series: int) -> BreachState:
        """Return the state of rows that have seen nothing."""
        heads = len(self.config.horizons)
        return BreachState(
            tick=xp.asarray(0, dtype=xp.int32),
            excess=tuple(self.tables.init(xp, series) for _ in self.config.horizons),
            limit=xp.full(series, xp.nan),
            said=xp.full((heads, PLACES, _OPINIONS, series), xp.nan, dtype=xp.float32),
            base=xp.full((heads, PLACES, 2, series), xp.nan),
            peak=xp.full((heads, PLACES, series), -xp.inf),
            seen=xp.full((heads, PLACES, series), -xp.inf, dtype=xp.float32),
            came=xp.zeros((heads, _BINS + 2, 2, series)),
            credit=xp.zeros((heads, _OPINIONS, series)),
        )

    def step(
        self, xp: ModuleType, state: BreachState, values: Any, limit: Any, points: Points, held: Any
    ) -> tuple[BreachState, Any]:
        """Take in one tick and return the probabilities from it on.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown. For a limit that must not be
                fallen below give values and limits negated.
            limit: The value that must not be passed, `[series]`; NaN for none.
            points: This tick's forecasts from these values.
            held: Bool `[series]`, or one bool: nothing of ours changed the series on this tick.

        Returns:
            The next state, and the probability that a value after this tick and up to the horizon
            is above the limit, `[horizon, series]`, growing with the horizon; NaN for unknown.
        """
        raw = xp.asarray(values, dtype=state.limit.dtype)
        known, limit = xp.isfinite(raw), xp.asarray(limit, dtype=state.limit.dtype)
        raw = xp.where(known, xp.clip(raw, -LARGEST, LARGEST), xp.nan)
        state = _with_limit(xp, state, limit)
        peak = xp.where(known, xp.maximum(state.peak, xp.where(known, raw, 0.0)), state.peak)
        seen = state.seen + known
        seen = xp.asarray(xp.where(xp.asarray(held), seen, -xp.inf), dtype=state.seen.dtype)
        judged = self._judged(xp, state._replace(peak=peak, seen=seen))
        opinions = self._opinions(xp, judged, raw, points)
        new = xp.stack([points.peak, points.scale + xp.zeros_like(points.peak)], axis=1)
        none = xp.zeros_like(points.peak)
        put, tick = self.pending.put, state.tick
        return judged._replace(
            tick=tick + 1,
            said=put(xp, judged.said, opinions, tick),
            base=put(xp, judged.base, new, tick),
            peak=put(xp, judged.peak, none - xp.inf, tick),
            seen=put(xp, judged.seen, none, tick),
        ), self._probability(xp, judged, opinions)

    def _judged(self, xp: ModuleType, state: BreachState) -> BreachState:
        """Learn from the forecasts whose time has come."""
        if self.pending.idle(xp, state.tick):
            # Nobody is judged: tables only grow older.
            waited = tuple(self.tables.learn(xp, one, xp.nan, False) for one in state.excess)
            return state._replace(excess=waited)
        due, place = self.pending.due(xp, state.tick)
        peak = self.pending.taken(xp, state.peak, place)
        enough = _LEAST_SEEN * xp.asarray(self.config.horizons)[:, None]
        base = self.pending.taken(xp, state.base, place)
        good = due[:, None] & (self.pending.taken(xp, state.seen, place) >= enough)
        good = good & xp.isfinite(peak) & xp.isfinite(base[:, 0])
        excess = xp.clip((peak - base[:, 0]) / base[:, 1], -_FAR, _FAR)
        excess = xp.where(good, excess, xp.nan)
        learnt = tuple(
            self.tables.learn(xp, table, excess[head], good[head])
            for head, table in enumerate(state.excess)
        )
        said = self.pending.taken(xp, state.said, place)
        scored = good & xp.all(xp.isfinite(said), axis=1)
        came = xp.where(scored, peak > state.limit, False)
        bet = xp.clip(xp.where(scored[:, None], said, 0.5), _SURE, 1.0 - _SURE)
        loss = -xp.log(xp.where(came[:, None], bet, 1.0 - bet))
        credit = _FADE * state.credit - _LEARNING * loss
        credit = credit - xp.max(credit, axis=1, keepdims=True)
        bins = [_bin(xp, said[:, CONFORMAL]), _above(xp, said[:, PERSISTENCE])]
        mine = xp.concatenate(bins, axis=1) & scored[:, None]
        memory = xp.asarray([_MEMORY] * _BINS + [_LONG] * 2)[:, None]
        fade = xp.where(mine, 1.0 - 1.0 / memory, 1.0)
        both = xp.stack([xp.ones_like(peak), came + xp.zeros_like(peak)], axis=1)
        counted = state.came * fade[:, :, None] + mine[:, :, None] * both[:, None]
        return state._replace(
            excess=learnt,
            credit=xp.where(scored[:, None], credit, state.credit),
            came=counted,
        )

    def _opinions(self, xp: ModuleType, state: BreachState, raw: Any, points: Points) -> Any:
        """Return what each opinion says, `[horizon, opinion, series]`."""
        away = xp.clip((state.limit - points.peak) / points.scale, -_FAR, _FAR)
        rarity = xp.stack([
            self.tables.neg_log10_p(xp, table, away[head])
            for head, table in enumerate(state.excess)
        ])
        seen = 10.0 ** -xp.where(xp.isfinite(rarity), rarity, 0.0)
        chance = self._modest(xp, state.excess, away, seen)
        beyond = xp.where(raw > state.limit, 1.0, 0.0) + xp.zeros_like(chance)
        corrected = _share(xp, state.came[:, :_BINS], _bin(xp, chance), chance)
        usual = _share(xp, state.came[:, _BINS:], _above(xp, beyond), chance)
        told = xp.stack([chance, corrected, usual, beyond], axis=1)
        known = xp.isfinite(rarity) & xp.isfinite(raw)
        return xp.where(known[:, None], told, xp.nan)

    def _modest(
        self, xp: ModuleType, excess: tuple[tables.Table, ...], away: Any, seen: Any
    ) -> Any:
        """Return the probability as of so few independent windows as the table really holds.

        A conformal p-value counts the new window among the old as one that exceeds. Windows under
        way overlap, eight at first, so it is not one entry but that many; what they would say is
        taken from a heavy tail (Student's t with two degrees of freedom) around the table.
        """
        size, block = self.config.table.size, self.config.table.block
        pairs = zip(self.config.horizons, self.pending.strides, strict=True)
        later = [max(horizon / max(block, stride), 1.0) for horizon, stride in pairs]
        fewer = [max(PLACES - one, 0.0) for one in later]
        late, few = (xp.asarray(one, dtype=away.dtype)[:, None] for one in (later, fewer))
        entered = xp.stack([table.entered for table in excess])
        replaced = xp.maximum(entered - size, 0) / float(size)
        overlap = late + few * xp.exp(-replaced)
        edges = xp.stack([at(xp, table, (0.16, 0.5, 0.84)) for table in excess], axis=1)
        low, middle, high = edges[0], edges[1], edges[2]
        z = xp.clip((away - middle) / xp.maximum((high - low) / 2.0, _SMALLEST), -1e6, 1e6)
        heavy = 0.5 * (1.0 - z / xp.sqrt(2.0 + z * z))
        there = xp.minimum(entered, size)
        return ((there + 1.0) * seen + (overlap - 1.0) * heavy) / (there + overlap)

    def _probability(self, xp: ModuleType, state: BreachState, opinions: Any) -> Any:
        """Return the weighed opinion, at least as large as that of a shorter horizon."""
        bins = _bin(xp, opinions[:, CONFORMAL])
        tried = xp.sum(xp.where(bins, state.came[:, :_BINS, 0], 0.0), axis=1)[:, None]
        habit = (xp.arange(_OPINIONS) >= FREQUENCY)[:, None]
        weight = xp.exp(state.credit) * xp.where(habit, tried / (tried + _HABIT), 1.0)
        mixed = xp.sum(weight * opinions, axis=1) / xp.sum(weight, axis=1)
        out = [mixed[0]]
        for head in range(1, len(self.config.horizons)):
            before = xp.where(xp.isfinite(out[-1]), out[-1], 0.0)
            out.append(xp.maximum(mixed[head], before))
        return xp.clip(xp.stack(out), 0.0, 1.0)


def _with_limit(xp: ModuleType, state: BreachState, limit: Any) -> BreachState:
    """Forget what was said of another limit; excesses over forecasts do not depend on it."""
    other = xp.isfinite(state.limit) & (limit != state.limit)
    return state._replace(
        limit=limit,
        said=xp.where(other, xp.nan, state.said),
        came=xp.where(other, 0.0, state.came),
        credit=xp.where(other, 0.0, state.credit),
    )


def _share(xp: ModuleType, came: Any, mine: Any, chance: Any) -> Any:
    """Return the share of breaches among the outcomes that are mine, at first the chance."""
    outcomes = xp.sum(xp.where(mine, came[:, :, 0], 0.0), axis=1)
    breaches = xp.sum(xp.where(mine, came[:, :, 1], 0.0), axis=1)
    return (breaches + _PRIOR * chance) / (outcomes + _PRIOR)


def _above(xp: ModuleType, beyond: Any) -> Any:
    """Return whether a value was within its limit or beyond it, bool `[horizon, 2, series]`."""
    return beyond[:, None] == xp.arange(2)[None, :, None]


def _bin(xp: ModuleType, chance: Any) -> Any:
    """Return in which bin each probability is, bool `[horizon, bin, series]`."""
    number = xp.zeros_like(chance)
    for edge in _EDGES:
        number = number + (chance > edge)
    return number[:, None] == xp.arange(_BINS)[None, :, None]
