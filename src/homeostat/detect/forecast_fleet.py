"""What demand and the signals of the promise are about to do, for all deployments at once.

The part of the senses that looks ahead: which series (`forecast_rows`), how they go on
(`demand_outlook`, and `forecast_young` until that has seen enough), and what it comes to as
forecasts that decisions and people can use. Horizons are 5, 15 and 60 minutes whatever the scrape
interval; deployments of one interval share their arrays and their clock.

Memory on its way to its limit has an answer of its own: `forecast`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.evidence import Forecast, SeriesKey
from homeostat.base.many import many
from homeostat.base.policy import Managed
from homeostat.base.units import HOUR, MINUTE, SECOND
from homeostat.base.world import Snapshot
from homeostat.detect import (
    breach,
    demand,
    demand_outlook,
    demand_promise,
    forecast_core,
    forecast_quantiles,
    forecast_young,
    seasonal_memory,
    slots,
)
from homeostat.detect.forecast_rows import Floats, Readings, Rows, rows
from homeostat.detect.forecast_young import YoungState
from homeostat.detect.seasonal_memory import SeasonalMemory, Seasons
from homeostat.detect.seasonal_search import SHORTEST
from homeostat.detect.slots import Slots
from homeostat.detect.usual import Device
from homeostat.stats import conformal

Ints = npt.NDArray[np.int64]

MINUTES: Final = (5, 15, 60)
"""How far ahead is looked."""
_LEVELS: Final = (0.05, 0.5, 0.95)
# A capacity that moves by less is the same one, seen a little differently; one that was taken for
# too high foretells too late, so it is followed down sooner than up.
_SAME_UP, _SAME_DOWN = 0.10, 0.03
# The empirical forecasters are believed alone once their tables are full, sixteen horizons of
# outcomes; before that the lower of the two probabilities holds. On random compositions of the
# twin's primitives, an hour each, the Brier skill of a breach in ten minutes is .18 so, .17 for the
# young one alone, .09 for the empirical one from its first word on and .08 for persistence.
_TRUSTED: Final = breach.Config().table.size
_STEP_NS: Final = 15 * SECOND
_DAY: Final = 24 * HOUR
_FORGET: Final = 600
_FIRST_SLOTS: Final = 8
# Digits that a forecast keeps: a journal holds it every tick.
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AheadGroup:
    """What is remembered of the deployments of one scrape interval.

    Attributes:
        ticks: Ticks seen.
        slots: Which series is where.
        keys: The series of the last tick.
        where: The slot of each of them. `[row]`
        limits: What each must not pass, as forecast; NaN for unknown. `[slot]`
        outlook: The forecasters' state. `[.., slot]`
        young: That of the one for series of which little was seen. `[slot]`
        season: What is known of the series' seasons. `[.., slot]`
        curve: How latency follows demand, in the slots of demand. `[slot]`
    """

    ticks: int
    slots: Slots
    keys: tuple[SeriesKey, ...]
    where: Ints
    limits: Floats
    outlook: demand_outlook.OutlookState
    young: YoungState
    season: SeasonalMemory
    curve: demand_promise.Curve


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AheadState:
    """What is remembered between two ticks.

    Attributes:
        groups: By scrape interval in nanoseconds.
        cores: Processors of front ends, by deployment.
    """

    groups: dict[int, AheadGroup] = field(default_factory=dict)
    cores: forecast_core.Cores = field(default_factory=dict)


class Foresight:
    """The forecasters as one part; see `loop.sense_parts.AheadPart`."""

    def init(self) -> AheadState:
        """Return the state before any series."""
        return AheadState()

    def step(
        self,
        state: AheadState,
        managed: Sequence[Managed],
        readings: Mapping[str, Readings],
        world: Mapping[str, Snapshot],
        devices: Mapping[str, Device],
        held: frozenset[str],
        tick: int,
    ) -> tuple[AheadState, dict[str, tuple[Forecast, ...]]]:
        """Take in one tick and say what comes under HOLD.

        Args:
            state: From `init` or the last step.
            managed: The deployments.
            readings: By deployment, then by (subject, signal).
            world: By deployment, as last read back.
            devices: By deployment, how device time follows batch size.
            held: Deployments with nothing of ours in flight: the others' outcomes teach nothing.
            tick: The tick's number.
        """
        groups, out = dict(state.groups), {}
        for interval in sorted({entry.scrape_ns for entry in managed}):
            mine = [entry for entry in managed if entry.scrape_ns == interval]
            seen = rows(mine, readings, world, devices)
            group = _aligned(groups.get(interval), interval, seen, tick)
            groups[interval], found = _stepped(group, interval, seen, held)
            out.update(found)
        cores, climbs = forecast_core.step(state.cores, managed, readings, world)
        out |= {name: (*out[name], *climb) for name, climb in climbs.items()}
        return AheadState(groups=groups, cores=cores), out


@cache
def _outlook(interval: int) -> demand_outlook.Outlook:
    """Return the forecasters of one scrape interval; horizons are at least a tick apart."""
    horizons: list[int] = []
    for minutes in MINUTES:
        ticks = -(-minutes * MINUTE // interval)
        horizons.append(max(ticks, horizons[-1] + 1 if horizons else 1))
    return demand_outlook.Outlook(demand_outlook.Config(horizons=tuple(horizons), levels=_LEVELS))


@cache
def _seasons(interval: int) -> Seasons:
    """Return the memory of seasons of one scrape interval: a day and a week are asked for first."""
    hints = tuple(ticks for ticks in (_DAY // interval, 7 * _DAY // interval) if ticks >= SHORTEST)
    return Seasons(seasonal_memory.Config(hints=hints))


def _profile(memory: SeasonalMemory, interval: int) -> demand.Season | None:
    """Return what the seasons say of the horizons, None while no series has one."""
    known = memory.period > 0.0
    if not known.any():
        return None
    seasons, horizons = _seasons(interval), _outlook(interval).config.horizons
    return demand_outlook.season_of(
        np, lambda ahead: seasons.season(np, memory, ahead), known, horizons
    )


def _aligned(group: AheadGroup | None, interval: int, seen: Rows, tick: int) -> AheadGroup:
    """Return the group with a slot for every series of this tick."""
    if group is not None and group.keys == seen.keys:
        return replace(group, slots=slots.seen_again(group.slots, group.where, tick))
    if group is None:
        first = empty(interval, _FIRST_SLOTS)
        group = AheadGroup(
            ticks=0,
            slots=slots.no_slots(_FIRST_SLOTS),
            keys=(),
            where=np.zeros(0, dtype=np.int64),
            limits=first[0],
            outlook=first[1],
            young=first[2],
            season=first[3],
            curve=first[4],
        )
    before = len(group.slots.keys)
    placed, where, fresh = slots.assign(group.slots, seen.keys, tick, _FORGET)
    size = len(placed.keys)
    old = (group.limits, group.outlook, group.young, group.season, group.curve)
    if fresh.any():
        old = slots.carried(old, empty(interval, size), fresh, before)
    limits, ahead, young, season, curve = old
    return replace(
        group,
        slots=placed,
        keys=seen.keys,
        where=where,
        limits=limits,
        outlook=ahead,
        young=young,
        season=season,
        curve=curve,
    )


def empty(
    interval: int, series: int
) -> tuple[Floats, demand_outlook.OutlookState, YoungState, SeasonalMemory, demand_promise.Curve]:
    """Return what is remembered of series of which nothing was seen, as in `AheadGroup`.

    Args:
        interval: Between two ticks, nanoseconds.
        series: How many; the last axis of every array.
    """
    return (
        np.full(series, np.nan),
        _outlook(interval).init(np, series),
        forecast_young.init(np, series),
        _seasons(interval).init(np, series),
        demand_promise.init(np, series),
    )


def _stepped(
    group: AheadGroup, interval: int, seen: Rows, held: frozenset[str]
) -> tuple[AheadGroup, dict[str, tuple[Forecast, ...]]]:
    size, where = len(group.slots.keys), group.where
    values, limits = np.full(size, np.nan), np.full(size, np.nan)
    values[where], limits[where] = seen.values, seen.limits
    calm = np.ones(size, dtype=bool)
    calm[where] = [key.deployment in held for key in seen.keys]
    curve, ends = _promise_ends(group, interval, seen, calm)
    limits = _kept(group.slots.keys, group.limits, np.fmin(limits, ends))
    outlook, steps = _outlook(interval), max(round(_STEP_NS / interval), 1)
    moved = np.nan_to_num(np.log(group.limits / limits))
    young = forecast_young.step(
        np, group.young, values, limits, whole=(group.ticks + 1) % steps == 0, moved=moved
    )
    season = _seasons(interval).learn(np, group.season, values, allowed=calm, calm=calm)
    ahead_state, ahead = outlook.step(
        np, group.outlook, values, calm, limits, _profile(season, interval)
    )
    horizons = tuple(ticks / steps for ticks in outlook.config.horizons)
    first = forecast_young.seen(np, young, limits, horizons)
    trusted = np.stack([table.entered >= _TRUSTED for table in ahead_state.breach.excess])
    chance = np.where(trusted, ahead.chance, np.fmin(ahead.chance, first.chance))
    # A longer look never sees less.
    chance = np.maximum.accumulate(np.where(np.isnan(chance), -np.inf, chance), axis=0)
    chance = np.where(np.isneginf(chance), np.nan, chance)
    early = np.stack([first.low, first.at, first.high], axis=1)
    late = trusted[:, None] | np.isnan(early)
    between = np.where(late, ahead.quantiles, early)
    group = replace(
        group,
        ticks=group.ticks + 1,
        limits=limits,
        outlook=ahead_state,
        young=young,
        season=season,
        curve=curve,
    )
    horizons_ns = tuple(ticks * interval for ticks in outlook.config.horizons)
    said = _Said(values[where], limits[where], chance[:, where], between[:, :, where])
    return group, _forecasts(seen.keys, said, horizons_ns)


def _promise_ends(
    group: AheadGroup, interval: int, seen: Rows, calm: npt.NDArray[np.bool_]
) -> tuple[demand_promise.Curve, Floats]:
    """Return how latency follows demand, and the demand at which the promise ends, `[slot]`."""
    size, where = len(group.slots.keys), group.where
    ready, paired, promised = np.full((3, size), np.nan)
    ready[where], paired[where], promised[where] = seen.ready, seen.paired, seen.promised
    each = np.full(size, np.nan)
    each[where] = seen.values / seen.ready
    taught = np.where(calm, each, np.nan)  # what our own actions did is not what demand does
    curve = demand_promise.step(np, group.curve, taught, paired, interval / SECOND)
    return curve, ready * demand_promise.limit(np, curve, promised)


def _kept(keys: Sequence[SeriesKey | None], before: Floats, limits: Floats) -> Floats:
    """Return the limits, capacities that moved a little as they were.

    What is learnt goes with a limit, and a capacity is seen a little differently at every tick. A
    promise is what its owner says, to the last digit.
    """
    seen = [key is not None and key.signal == names.ARRIVAL_RATE for key in keys]
    with np.errstate(invalid="ignore"):
        ratio = limits / before
        same = (ratio <= 1.0 + _SAME_UP) & (ratio >= 1.0 - _SAME_DOWN)
    return np.where(same & np.array(seen, dtype=bool), before, limits)


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What is said of each row: now, limit, `[horizon, row]`, `[horizon, level, row]`."""

    now: Floats
    limits: Floats
    chance: Floats
    between: Floats


def _forecasts(
    keys: Sequence[SeriesKey], said: _Said, horizons_ns: tuple[int, ...]
) -> dict[str, tuple[Forecast, ...]]:
    """Return the forecasts by deployment, in the series' own sense again."""
    falls = np.array([key.signal == names.ACCURACY for key in keys], dtype=bool)
    known: npt.NDArray[np.bool_] = np.all(np.isfinite(said.between), axis=(0, 1))
    early, likely = (
        _crossing(said.now, said.between[:, level], said.limits, horizons_ns)
        for level in (-1, len(_LEVELS) // 2)
    )
    # An accuracy that must not fall was turned round: so are its quantiles, and their order.
    curves = np.where(falls, 1.0 - said.between[:, ::-1], said.between).round(_DIGITS)
    limits = np.where(falls, 1.0 - said.limits, said.limits).round(_DIGITS)
    chances = [
        tuple([one if one == one else None for one in row])  # noqa: PLR0124 - NaN is not itself
        for row in said.chance.round(_DIGITS).T.tolist()
    ]
    quantiles: list[tuple[tuple[float, ...], ...]] = [()] * len(keys)
    there = np.flatnonzero(known)
    for row, curve in zip(there.tolist(), curves.transpose(2, 0, 1)[there].tolist(), strict=True):
        quantiles[row] = tuple(map(tuple, curve))
    made = many(
        Forecast,
        len(keys),
        subject=[key.subject for key in keys],
        signal=[key.signal for key in keys],
        limit=np.where(np.isnan(limits), math.inf, limits).tolist(),
        time_to_limit_ns=_times(early, known),
        likely_ns=_times(likely, known),
        horizons_ns=repeat(horizons_ns),
        chances=chances,
        quantiles=quantiles,
        left_ns=repeat(()),  # of a share's way to its end, which these are not asked
    )
    out: dict[str, list[Forecast]] = {}
    for key, one in zip(keys, made, strict=True):
        out.setdefault(key.deployment, []).append(one)
    return {name: tuple(every) for name, every in out.items()}


def _times(crossings: Floats, known: npt.NDArray[np.bool_]) -> list[int | None]:
    """Return crossings in whole nanoseconds, None where there is none or too little is known."""
    out: list[int | None] = [None] * len(crossings)
    for row in np.flatnonzero(known & np.isfinite(crossings)).tolist():
        out[row] = round(float(crossings[row]))
    return out


def _crossing(now: Floats, curves: Floats, limits: Floats, horizons_ns: Sequence[int]) -> Floats:
    """Return when curves through now and their horizons pass the limit, NaN for not in sight.

    Args:
        now: `[row]`; without a value now the whole of the first stretch is possible.
        curves: `[horizon, row]`.
        limits: `[row]`, NaN for none.
        horizons_ns: Ascending.
    """
    out = np.where(now > limits, 0.0, np.nan)
    at, value = 0, now
    for then, ahead in zip(horizons_ns, curves, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(np.isnan(value), 0.0, (limits - value) / (ahead - value))
        hit = np.isnan(out) & (ahead > limits)
        out = np.where(hit, at + share * (then - at), out)
        at, value = then, ahead
    return out


STATE_CLASSES: Final = (
    AheadState,
    AheadGroup,
    YoungState,
    SeasonalMemory,
    Slots,
    SeriesKey,
    demand_outlook.OutlookState,
    demand.DemandState,
    forecast_quantiles.QuantileState,
    breach.BreachState,
    demand_promise.Curve,
    forecast_core.Core,
    conformal.Table,
)
"""What `stats.arrays.from_bytes` must know to read this part's state."""
