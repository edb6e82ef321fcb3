"""What a replay found: breaches and when they were noticed, incidents and what was wanted of them.

The truth is the history's own: a breach is a stretch in which an objective was seen to be missed.
Intervals are exact for counts and say 90 %; days are drawn anew for what is not a count.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base.actions import Action
from homeostat.base.evidence import Family, Incident
from homeostat.base.units import HOUR, MINUTE
from homeostat.server.backtest.play import AHEAD_NS, Seen
from homeostat.server.backtest.recorded import Grid, History
from homeostat.stats import bootstrap
from homeostat.stats.chisq import neg_log10_tail
from homeostat.stats.exact import clopper_pearson

Floats = npt.NDArray[np.float64]

LEVEL: Final = 0.9
FORESEEN: Final = 0.5
"""A breach is foreseen where it was called as likely as not, or more."""
_OVER_NS: Final = 10 * MINUTE  # a promise that is kept for so long has another breach next
_DRAWS: Final = 999
_DAY_NS: Final = 24 * HOUR
_WEEK_NS: Final = 7 * _DAY_NS

Interval = tuple[float, float, float]
"""Value, lower end, upper end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A stretch in which an objective was missed.

    Attributes:
        first: Its first tick.
        last: Its last tick; between them it may have been met for a moment, or unknown.
        missed: Ticks on which it was seen to be missed.
        incident: The incident that was confirmed in time, empty if none was.
        confirmed: The tick on which it was; None if it was not.
        standing: The incident that had been confirmed long before and was open still, empty for
            none: nobody can say that it was this breach's.
        foreseen: The tick since which it had been called as likely as not; None if it was not.
        learning: Whether the baselines were still being learnt when it began.
    """

    first: int
    last: int
    missed: int
    incident: str = ""
    confirmed: int | None = None
    standing: str = ""
    foreseen: int | None = None
    learning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One confirmed incident from beginning to end.

    Attributes:
        incident: As it was last recorded.
        opened: Tick.
        confirmed: Tick.
        closed: Tick; None = the history ends before.
        felt: Whether an objective was missed while it was open.
        wanted: What would have been done, and when; None = nothing.
        refused: What else was wanted, with the first reasons against it.
        paged: The tick on which a person would have been woken; None = nobody.
    """

    incident: Incident
    opened: int
    confirmed: int
    closed: int | None
    felt: bool
    wanted: tuple[int, Action] | None = None
    refused: tuple[tuple[str, tuple[str, ...]], ...] = ()
    paged: int | None = None

    @property
    def outcome(self) -> str:
        """What would have come of it: act, blind, page or watch."""
        if self.wanted is not None:
            return "act"
        if self.incident.family is Family.SENSOR:
            return "blind"
        return "page" if self.paged is not None else "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one deployment's replay found.

    Attributes:
        breaches: In order.
        courses: Confirmed incidents in order.
        blips: Incidents that went away before they were confirmed.
        known: Ticks on which it was known whether the objectives were met.
        missed: Ticks on which one was missed.
        ticks: Ticks of its history.
        forecast: Brier score and its skill over the base rate; None = nothing was forecast, or
            nothing happened.
    """

    breaches: tuple[Breach, ...]
    courses: tuple[Course, ...]
    blips: int
    known: int
    missed: int
    ticks: int
    forecast: "Skill | None" = field(default=None)

    def detected(self) -> list[Breach]:
        """Return the breaches that were noticed."""
        return [one for one in self.breaches if one.confirmed is not None]

    def extra(self) -> list[Course]:
        """Return incidents without any missed objective: warnings, or false alarms.

        What cannot be seen is no alarm about the deployment: blindness is counted apart.
        """
        return [one for one in self.courses if not one.felt and one.outcome != "blind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """How good the breach forecasts were.

    Attributes:
        number: Forecasts whose outcome is known.
        happened: How many came true.
        brier: Mean squared error.
        skill: 1 - Brier / Brier of the base rate, with its interval over days.
    """

    number: int
    happened: int
    brier: float
    skill: Interval


def found(seen: Seen, one: History, grid: Grid) -> Found:
    """Return what a replay found.

    Args:
        seen: The replay.
        one: Its history.
        grid: The ticks.
    """
    courses, blips = _courses(seen)
    breaches = tuple(_noticed(breach, courses, seen, grid) for breach in _breaches(seen, grid))
    return Found(
        breaches=breaches,
        courses=courses,
        blips=blips,
        known=int(np.isfinite(seen.met).sum()),
        missed=int((seen.met == 0.0).sum()),
        ticks=one.last - one.first + 1,
        forecast=_skill(seen, grid),
    )


def _breaches(seen: Seen, grid: Grid) -> list[Breach]:
    """Return stretches of missed objectives; a short while of met ones does not end one."""
    patience = max(_OVER_NS // grid.step_ns, 1)
    out: list[Breach] = []
    for tick in np.flatnonzero(seen.met == 0.0).tolist():
        before = out[-1] if out else None
        if before is not None:
            met = int((seen.met[before.last + 1 : tick] == 1.0).sum())
            if met < patience:
                merged = Breach(first=before.first, last=tick, missed=before.missed + 1)
                out[-1] = merged
                continue
        out.append(Breach(first=tick, last=tick, missed=1))
    return out


def _courses(seen: Seen) -> tuple[tuple[Course, ...], int]:
    latest: dict[str, Incident] = {}
    confirmed: dict[str, int] = {}
    opened: dict[str, int] = {}
    closed: dict[str, int] = {}
    for tick, incident, is_open in seen.incidents:
        opened.setdefault(incident.id, tick)
        if incident.confirmed_at is not None:
            confirmed.setdefault(incident.id, tick)
            latest[incident.id] = incident
        if not is_open:
            closed[incident.id] = tick
    paged: dict[str, int] = {}
    for tick, notice in seen.pages():
        paged.setdefault(notice.key, tick)
    courses = []
    for name, at in confirmed.items():
        end = closed.get(name)
        missed = seen.met[opened[name] : None if end is None else end + 1] == 0.0
        courses.append(
            Course(
                incident=latest[name],
                opened=opened[name],
                confirmed=at,
                closed=end,
                felt=bool(missed.any()),
                wanted=seen.wanted.get(name),
                refused=tuple(seen.refused.get(name, {}).items()),
                paged=paged.get(name),
            )
        )
    return tuple(courses), len(opened) - len(confirmed)


def _noticed(breach: Breach, courses: tuple[Course, ...], seen: Seen, grid: Grid) -> Breach:
    """Return a breach with the incident that was confirmed for it, and whether it was foreseen.

    What was not to be seen is noticed by nobody: that the data are not believed detects nothing.
    """
    reach = max(AHEAD_NS // grid.step_ns, 1)
    there = [
        one
        for one in courses
        if one.incident.family is not Family.SENSOR
        and one.confirmed <= breach.last
        and (one.closed is None or one.closed >= breach.first)
    ]
    hit = next((one for one in there if one.confirmed >= breach.first - reach), None)
    told = None
    for tick in range(breach.first - 1, max(breach.first - reach, 0) - 1, -1):
        if not seen.chance[tick] >= FORESEEN:
            break
        told = tick
    return Breach(
        first=breach.first,
        last=breach.last,
        missed=breach.missed,
        incident="" if hit is None else hit.incident.id,
        confirmed=None if hit is None else hit.confirmed,
        standing=there[0].incident.id if there and hit is None else "",
        foreseen=told,
        learning=not bool(seen.ready[breach.first]),
    )


def _skill(seen: Seen, grid: Grid) -> Skill | None:
    """Return how good the forecasts were that a breach comes soon, days drawn anew."""
    reach = max(AHEAD_NS // grid.step_ns, 1)
    ahead = np.stack([np.append(seen.met[k:], np.full(k, np.nan)) for k in range(1, reach + 1)])
    missed = (ahead == 0.0).any(axis=0)
    # It did not happen only where every step of the horizon was seen.
    known = missed | (ahead == 1.0).all(axis=0)
    use = np.flatnonzero(np.isfinite(seen.chance) & known)
    happened = missed[use].astype(float)
    if not len(use) or happened.all() or not happened.any():
        return None
    error = (seen.chance[use] - happened) ** 2
    days = (use * grid.step_ns // _DAY_NS).astype(int)
    rate = happened.mean()
    value = 1.0 - float(error.mean()) / float(rate * (1.0 - rate))
    low, high = _over_days(days, error, happened)
    return Skill(
        number=len(use),
        happened=int(happened.sum()),
        brier=float(error.mean()),
        skill=(value, low, high),
    )


def _over_days(days: npt.NDArray[np.int64], error: Floats, happened: Floats) -> tuple[float, float]:
    """Return the skill's interval, whole days drawn with replacement."""
    _, which = np.unique(days, return_inverse=True)
    sums = np.stack([np.bincount(which, weights=w) for w in (np.ones_like(error), error, happened)])
    count = sums.shape[1]
    chance = np.random.default_rng(0)
    drawn = chance.multinomial(count, np.full(count, 1.0 / count), size=_DRAWS) @ sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = drawn[:, 2] / drawn[:, 0]
        skill = 1.0 - drawn[:, 1] / drawn[:, 0] / (rate * (1.0 - rate))
    ends = bootstrap.interval(skill, LEVEL)
    return ends if ends is not None and count > 1 else (float("nan"), float("nan"))


def share(events: int, trials: int) -> Interval | None:
    """Return a share with its exact interval, None of no trials."""
    if not trials:
        return None
    return (events / trials, *clopper_pearson(events, trials, LEVEL))


def middle(values: Floats) -> Interval | None:
    """Return a median with the order statistics that hold it with 90 % confidence.

    Fewer than five values have no such pair: the ends are the smallest and the largest then.

    Source: David & Nagaraja, "Order Statistics" (2003), section 7.1.
    """
    if not len(values):
        return None
    ordered = np.sort(values)
    n = len(ordered)
    reach, total = 0, 0.0
    probability = [float(p) for p in _binomial_half(n)]
    while reach < n // 2 and total + probability[reach] <= (1.0 - LEVEL) / 2.0:
        total += probability[reach]
        reach += 1
    low = max(reach - 1, 0)
    return float(np.median(ordered)), float(ordered[low]), float(ordered[n - 1 - low])


def _binomial_half(n: int) -> Floats:
    logs = np.cumsum(np.log(np.concatenate([[1.0], (n - np.arange(n)) / (np.arange(n) + 1.0)])))
    return np.asarray(np.exp(logs - n * np.log(2.0)))


def rate(events: int, span_ns: int) -> Interval:
    """Return events a week with the exact interval of a Poisson count.

    Source: Garwood, Biometrika 28 (1936).

    >>> [round(x, 2) for x in rate(2, 7 * 86_400_000_000_000)]
    [2.0, 0.36, 6.3]
    """
    weeks = span_ns / _WEEK_NS
    tail = (1.0 - LEVEL) / 2.0
    low = 0.0 if not events else _poisson(events - 1, 1.0 - tail)
    return events / weeks, low / weeks, _poisson(events, tail) / weeks


def _poisson(events: int, at_most: float) -> float:
    """Return the mean at which so many events or fewer have that probability."""
    wanted = -float(np.log10(at_most))
    low, high = 0.0, 10.0 * (events + 5.0)
    for _ in range(60):
        mean = 0.5 * (low + high)
        # P(N <= k | mean) is the chi-square tail with 2(k + 1) degrees of freedom at 2 mean.
        if neg_log10_tail(2.0 * mean, 2 * (events + 1)) < wanted:
            low = mean
        else:
            high = mean
    return 0.5 * (low + high)
