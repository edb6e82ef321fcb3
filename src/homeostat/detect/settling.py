"""Which rows' levels may become usual by themselves, and which have to wait for a person.

A chart's guarded baseline learns nothing from an alarm, so a level that stays is an alarm for ever.
Where it has settled and all was well meanwhile (`detect.fused_settled`) the row may begin anew. Not
so, however well all looks now:

* a row that was off and nobody was told: a level that has fallen at night is not the measure of the
  day; where an onset of the deployment's score lasted meanwhile, people have heard of it;
* a row that was off on a tick on which all was not known to be well: a level that hurt, or that
  nobody saw the effect of, stays off until it has gone back or a person says that it is normal;
* a row that has moved on since it arrived: a step is where it went, a ramp is on its way. A change
  detector that whitens takes a ramp for a random walk, so it is asked here of the plain levels;
* a row that leaves what it was by one step after the other: by itself the range of its levels
  grows once in `REST` ticks. A leak in steps is told of and keeps alarming from the second on;
* a row that moved before and stands still to the last bit now: that may be a sensor that hangs. Of
  whom nothing was seen before it went off nobody knows, so it is taken to have moved.

A tick without a value is not a quiet one: what was off stays off in a silence.

One entry per slot of the panel. Not here: what begins anew (`detect.panel`).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

QUIET: Final = 30
"""Ticks without an alarm after which a row is not off any more; as long as an onset must be quiet
(`detect.fused`)."""
REST: Final = 5_760
"""Ticks after which a row's range may grow again: a day of 15 s. What moves for good twice in a day
and in the same direction is on its way somewhere."""
ARRIVED: Final = (32, 64)
"""Where a row has gone is the mean from the first to the second of these ticks after it went off: a
rollout replica by replica may last as long as the first."""
ON_ITS_WAY: Final = 0.2
"""Share of its whole change by which a row may have moved since. 240 ticks after the alarm, when a
change settles at the earliest, a steady ramp has moved by 0.4 of it or more where a chart sees it
at all (a hundredth of a deviation a tick); a step of three deviations by 0.08 or so, in independent
noise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """What is remembered, `[slot]` each.

    Attributes:
        quiet: Ticks since the last alarm of any chart, at most `QUIET`: below that a row is off.
        told: It was off while an onset lasted.
        spoilt: It was off on a tick on which all was not known to be well.
        before: What was usual when it went off; NaN where nobody knew.
        age: Ticks since it went off, at most as many as `ARRIVED` needs.
        sum: Of its values while it arrived, see `ARRIVED`.
        count: How many those are.
        moving: Its values were not all the same until then.
        low: Lowest level that was taken for usual by itself, the one left included; NaN for none.
        high: The highest.
        grown: The tick on which that range grew last.
    """

    quiet: Ints
    told: Bools
    spoilt: Bools
    before: Floats
    age: Ints
    sum: Floats
    count: Ints
    moving: Bools
    low: Floats
    high: Floats
    grown: Ints


def init(size: int) -> Levels:
    """Return the state of slots that nothing was heard of."""
    unknown = np.full(size, np.nan)
    no, none = np.zeros(size, dtype=bool), np.zeros(size, dtype=np.int64)
    return Levels(
        quiet=np.full(size, QUIET, dtype=np.int64), told=no, spoilt=no, before=unknown, age=none,
        sum=np.zeros(size), count=none, moving=no, low=unknown, high=unknown, grown=none,
    )  # fmt: skip


def heard(state: Levels, alarm: Bools, values: Floats, usual: Floats, history: Floats) -> Levels:
    """Return the state after a tick's alarms.

    Args:
        state: Before it.
        alarm: Where any chart alarms, `[slot]`.
        values: The tick's values, NaN where unknown, `[slot]`.
        usual: What was usual until then, NaN where nobody knows, `[slot]`.
        history: The last values before the tick, `[column, slot]`.
    """
    begins = alarm & (state.quiet >= QUIET)
    calm = np.where(np.isfinite(values), np.minimum(state.quiet + 1, QUIET), state.quiet)
    quiet = np.where(alarm, 0, calm)
    off = quiet < QUIET
    age = np.where(begins, 0, np.minimum(state.age + 1, ARRIVED[1]))
    arrives = (age >= ARRIVED[0]) & (age < ARRIVED[1]) & np.isfinite(values)
    state = replace(
        state,
        quiet=quiet,
        told=state.told & off,
        spoilt=state.spoilt & off,
        age=age,
        sum=np.where(begins, 0.0, state.sum + np.where(arrives, values, 0.0)),
        count=np.where(begins, 0, state.count + arrives),
    )
    if not begins.any():
        return state
    moving = state.moving.copy()
    past = history[:, begins]
    moving[begins] = _moves(past) | ~np.isfinite(past).any(axis=0)
    return replace(state, before=np.where(begins, usual, state.before), moving=moving)


def judged(state: Levels, unsure: Bools, told: Bools) -> Levels:
    """Return the state after a tick was judged.

    Args:
        state: After its alarms.
        unsure: Where all was not known to be well, `[slot]`.
        told: Where an onset lasts, `[slot]`.
    """
    off = state.quiet < QUIET
    return replace(state, spoilt=state.spoilt | (unsure & off), told=state.told | (told & off))


def permitted(state: Levels, slots: Ints, history: Floats, tick: int) -> Ints:
    """Return which of some slots, whose level has settled, may begin anew by themselves.

    Args:
        state: After the tick.
        slots: The slots.
        history: Their last values, `[column, slots]`.
        tick: The tick.
    """
    level, spread = _level(history)
    low, high = _range(state, slots, tick)
    inside = (level >= low - spread) & (level <= high + spread)
    known = ~np.isnan(level) & (inside | np.isnan(low))
    arrived = state.sum[slots] / np.maximum(state.count[slots], 1)
    change = np.abs(level - state.before[slots])
    stays = (state.count[slots] > 0) & (np.abs(level - arrived) <= ON_ITS_WAY * change)
    hangs = state.moving[slots] & ~_moves(history)
    fits: Bools = state.told[slots] & ~state.spoilt[slots] & known & stays & ~hangs
    return slots[fits]


def begun(state: Levels, slots: Ints, history: Floats, tick: int) -> Levels:
    """Return the state after some slots began anew by themselves; see `permitted`."""
    level, _ = _level(history)
    low, high = _range(state, slots, tick)
    first, left = np.isnan(low), state.before[slots]
    out = cleared(state, slots)
    out.low[slots] = np.where(first, np.fmin(left, level), low)
    out.high[slots] = np.where(first, np.fmax(left, level), high)
    out.grown[slots] = np.where(first, tick, state.grown[slots])
    return out


def cleared(state: Levels, slots: Ints) -> Levels:
    """Return the state in which nothing is held against some slots, which may be written to."""
    fresh = init(len(slots))
    parts = {name: getattr(state, name).copy() for name in Levels.__slots__}
    for name, part in parts.items():
        part[slots] = getattr(fresh, name)
    return Levels(**parts)


def _range(state: Levels, slots: Ints, tick: int) -> tuple[Floats, Floats]:
    """Return the levels that were usual lately, NaN where any may be."""
    rested = tick - state.grown[slots] >= REST
    return (
        np.where(rested, np.nan, state.low[slots]),
        np.where(rested, np.nan, state.high[slots]),
    )


def _level(history: Floats) -> tuple[Floats, Floats]:
    """Return the mean of the last values and their spread; NaN where there are none."""
    known = np.isfinite(history)
    values = np.where(known, history, 0.0)
    count = known.sum(axis=0)
    some = np.maximum(count, 1)
    mean = values.sum(axis=0) / some
    spread = np.sqrt((np.where(known, history - mean, 0.0) ** 2).sum(axis=0) / some)
    return np.where(count > 0, mean, np.nan), spread


def _moves(history: Floats) -> Bools:
    """Return whether the known values are not all the same."""
    known = np.isfinite(history)
    least = np.where(known, history, np.inf).min(axis=0)
    most = np.where(known, history, -np.inf).max(axis=0)
    out: Bools = most > least
    return out
