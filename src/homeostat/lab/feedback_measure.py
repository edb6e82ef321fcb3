"""What feedback was worth on hours that it has not seen, beside detectors that learn nothing.

Four arms judge the same hours. *Shipped* is the controller's own alarm. *One line* has all that the
feedback sees and one line for every channel, placed where it is best on the measured hours
themselves within the budget: no frozen detector could know that place, so it is the hardest to
beat. *Feedback* has the lines that it has learnt; *feedback, best line* has its score, with the
line placed as for the second. All but the first
tell of what the shipped alarm says and of objectives that stay missed besides. The budget is a
false alarm a day (research: "at fixed 1 false alarm/day").

An hour with incidents is one event: found when an alarm begins within it. An alarm that begins
elsewhere is false. Intervals resample hours, the same ones for every arm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.lab.feedback_learn import Hour, alarms, learn, told_in
from homeostat.lab.feedback_people import People
from homeostat.lab.intervals import Draws, figure
from homeostat.learn import feedback
from homeostat.report.lab_feedback import Arm, Found, Point
from homeostat.report.lab_results import Figure
from homeostat.twin.shapes import SCRAPE_S

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

STEPS: Final = 10
"""Points of the learning curve."""
_PLACES: Final = 200  # of the best line that are tried
_PER_DAY: Final = 24.0 * 3600.0 / SCRAPE_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """What one arm told of, one entry an hour.

    Attributes:
        found: The event was told of.
        missed: It was not.
        false: Alarms with nothing behind them.
        hurt: The event did damage.
        days: How long the hour was.
    """

    found: Floats
    missed: Floats
    false: Floats
    hurt: Floats
    days: Floats

    @property
    def f1(self) -> float:
        """Of events, over all hours."""
        return float(_f1(np.ones((1, len(self.found))), self)[0])

    @property
    def false_a_day(self) -> float:
        """False alarms of a deployment and day."""
        return float(self.false.sum() / self.days.sum())


def tally(hours: Sequence[Hour], told: Sequence[Bools]) -> Tally:
    """Return what an arm told of.

    Args:
        hours: Judged.
        told: Scrapes of each at which there was something to tell of.
    """
    rows = []
    for hour, scrapes in zip(hours, told, strict=True):
        true = [bool(hour.event[one.start]) for one in alarms(scrapes)]
        event, hurt = bool(hour.event.any()), bool((hour.event & hour.hurt).any())
        found = event and any(true)
        rows.append((found, event and not found, true.count(False), hurt, len(scrapes) / _PER_DAY))
    columns = np.array(rows, dtype=np.float64).T
    return Tally(
        found=columns[0], missed=columns[1], false=columns[2], hurt=columns[3], days=columns[4]
    )


def taught(
    hours: Sequence[Hour], people: People, *, seed: int, config: feedback.Config | None = None
) -> list[feedback.State]:
    """Return the states after each tenth of the hours with feedback, the first before any.

    Args:
        hours: In the order in which they come.
        people: Who answers.
        seed: Of the answers.
        config: Settings.
    """
    config = config or feedback.Config()
    chance = np.random.default_rng(seed)
    state = feedback.init(config)
    states, each = [state], max(len(hours) // STEPS, 1)
    for number, hour in enumerate(hours, 1):
        state = learn(config, state, hour, people, chance)
        if number % each == 0:
            states.append(state)
    return states


def measure(
    first: Sequence[Hour], unseen: Sequence[Hour], *, config: feedback.Config | None = None
) -> Found:
    """Return what is measured on unseen hours after feedback on the first ones.

    Args:
        first: With feedback.
        unseen: On which is measured.
        config: Settings.
    """
    config = config or feedback.Config()
    budget = config.budget.per_day
    states = taught(first, People(), seed=0, config=config)
    drawn = [feedback.drawn(config, state) for state in states]
    scores = [feedback.score(drawn[-1], hour.bins) for hour in unseen]
    plain = [hour.bins.max(axis=1).astype(np.float64) for hour in unseen]
    shipped = tally(unseen, [hour.shipped for hour in unseen])
    always = [hour.shipped | (hour.missed >= feedback.PATIENCE) for hour in unseen]
    one = best(unseen, plain, budget, always)
    own = tally(unseen, [told_in(drawn[-1], hour) for hour in unseen])
    placed = best(unseen, scores, budget, always)
    rows = Draws().of([str(number) for number in range(len(unseen))])
    floats = [hour.shipped.astype(np.float64) for hour in unseen]
    curve = [tally(unseen, [told_in(now, hour) for hour in unseen]) for now in drawn]
    steps = np.linspace(0, len(first), len(states)).astype(int).tolist()
    return Found(
        arms=(
            _arm("shipped", shipped, rows, floats, unseen),
            _arm("one line, best place", one, rows, plain, unseen),
            _arm("feedback", own, rows, scores, unseen),
            _arm("feedback, best place", placed, rows, scores, unseen),
        ),
        removed=_removed(shipped, own, rows),
        removed_strict=_removed(one, placed, rows),
        curve=tuple(
            Point(hours=hours, f1=one.f1, false_a_day=one.false_a_day)
            for hours, one in zip(steps, curve, strict=True)
        ),
        poisoned=tuple(
            _poisoned(name, People(always=said), first, unseen, config, rows)
            for name, said in (("says it was nothing", False), ("confirms everything", True))
        ),
        spread=tuple(
            tally(unseen, [told_in(feedback.drawn(config, last), hour) for hour in unseen]).f1
            for seed in range(1, 5)
            for last in taught(first, People(), seed=seed, config=config)[-1:]
        ),
    )


def best(
    hours: Sequence[Hour], scores: Sequence[Floats], per_day: float, besides: Sequence[Bools]
) -> Tally:
    """Return the tally at the line with the highest F1 of those within the budget on these hours.

    Args:
        hours: Judged.
        scores: Of their scrapes.
        per_day: The budget.
        besides: Scrapes that are told of whatever their score is.
    """
    every = np.unique(np.concatenate(scores))
    places = np.unique(np.quantile(every, np.linspace(0.0, 1.0, _PLACES)))
    tallies = [
        tally(hours, [(s >= line) | b for s, b in zip(scores, besides, strict=True)])
        for line in [*places, np.inf]
    ]
    within = [one for one in tallies if one.false_a_day <= per_day] or tallies[-1:]
    return max(within, key=lambda one: one.f1)


def average_precision(score: Floats, true: Bools) -> float:
    """Return the area under precision and recall over scrapes, ties told of together.

    >>> round(average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True])), 3)
    0.833
    """
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(true[order])
    last = np.append(np.diff(score[order]) != 0.0, [True])
    precision = hits[last] / (np.flatnonzero(last) + 1.0)
    recall = hits[last] / max(int(hits[-1]), 1)
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def _arm(
    name: str, one: Tally, rows: Floats, scores: Sequence[Floats], hours: Sequence[Hour]
) -> Arm:
    true = np.concatenate([hour.event for hour in hours])
    return Arm(
        name=name,
        f1=figure(lambda counts: _f1(counts, one), rows, len(one.found), Draws().confidence),
        found=int(one.found.sum()),
        missed=int(one.missed.sum()),
        missed_hurt=int((one.missed * one.hurt).sum()),
        false=int(one.false.sum()),
        false_a_day=one.false_a_day,
        pr_auc=average_precision(np.concatenate(scores), true),
    )


def _poisoned(
    name: str,
    people: People,
    first: Sequence[Hour],
    unseen: Sequence[Hour],
    config: feedback.Config,
    rows: Floats,
) -> Arm:
    now = feedback.drawn(config, taught(first, people, seed=0, config=config)[-1])
    told = [told_in(now, hour) for hour in unseen]
    scores = [feedback.score(now, hour.bins) for hour in unseen]
    return _arm(name, tally(unseen, told), rows, scores, unseen)


def _f1(counts: Floats, one: Tally) -> Floats:
    found, missed, false = counts @ one.found, counts @ one.missed, counts @ one.false
    total = 2.0 * found + missed + false
    return np.asarray(np.where(total > 0.0, 2.0 * found / np.maximum(total, 1.0), np.nan))


def _removed(before: Tally, after: Tally, rows: Floats) -> Figure:
    """Return the share of 1 - F1 that is gone, hours paired."""

    def share(counts: Floats) -> Floats:
        left, was = 1.0 - _f1(counts, after), 1.0 - _f1(counts, before)
        return np.asarray(np.where(was > 0.0, 1.0 - left / np.where(was > 0.0, was, 1.0), np.nan))

    return figure(share, rows, len(before.found), Draws().confidence)
