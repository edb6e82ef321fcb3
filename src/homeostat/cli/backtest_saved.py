"""What the actions of a backtest would have saved, by a twin that is fitted to the same history.

Only where the twin may be asked: an action that adds or takes capacity, in trouble that is load.
Where it may not, the answer is unknown, and why.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.evidence import Family
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND
from homeostat.server.backtest.found import Course
from homeostat.server.backtest.recorded import Grid, History
from homeostat.signals import past
from homeostat.twin import fit as fitting
from homeostat.twin import instead as twin
from homeostat.twin.fit_frame import Floats, Frame, NotIdentifiedError

Plain = dict[str, Any]

_PLAYED: Final = frozenset({
    ActionKind.SCALE_UP, ActionKind.SCALE_DOWN, ActionKind.BATCH_UP, ActionKind.BATCH_DOWN,
})  # fmt: skip
_OF_LOAD: Final = frozenset({Family.LOAD, Family.BATCHING})
_MOST_ROWS: Final = 20_000  # a fit of more takes minutes and knows no more
_MS: Final = 1000.0


class Saved:
    """Works out what would have been saved; fits at the first question, and only then.

    Args:
        frame: The recording.
        history: The same on the grid.
        managed: The configuration.
        grid: The ticks.
        seed: Of the draws.
    """

    def __init__(
        self, frame: Frame, history: History, managed: Managed, grid: Grid, seed: int
    ) -> None:
        self._frame, self._history = _lately(frame), history
        self._managed, self._grid, self._seed = managed, grid, seed
        self._fit: fitting.Fit | str | None = None
        self._alike = 0.0

    def of(self, courses: tuple[Course, ...]) -> Mapping[str, Plain]:
        """Return what each action would have saved, by incident."""
        return {one.incident.id: self._one(one) for one in courses if one.wanted is not None}

    def _one(self, course: Course) -> Plain:
        tick, action = course.wanted or (0, None)
        why = _unplayed(course, action)
        if action is None or why:
            return _unknown(why)
        found = self._fitted()
        if isinstance(found, str):
            return _unknown(found)
        last = self._history.last if course.closed is None else course.closed
        stretch = self._stretch(tick, last)
        if isinstance(stretch, str):
            return _unknown(stretch)
        change = self._change(found, action, tick)
        answer = twin.instead(found, stretch, change, alike=self._alike, seed=self._seed)
        if answer.doubts:
            return _unknown(answer.doubts[0]) | {"held": answer.held}
        low, middle, high = (
            float(f"{end:.4g}") for end in (answer.low, answer.middle, answer.high)
        )
        return {
            "minutes": {"value": middle, "low": low, "high": high, "n": 1},
            "held": answer.held,
            "why": "",
        }

    def _fitted(self) -> "fitting.Fit | str":
        if self._fit is None:
            try:
                found = fitting.fit(self._frame, fitting.Options(seed=self._seed))
            except NotIdentifiedError as error:
                self._fit = f"no twin: {error}"
                return self._fit
            limit, _ = fitting.batch_limit(self._frame, fitting.Options())
            factors = np.asarray(found.factors)
            said = fitting.expected(self._frame, found.theta, factors, limit, found.ca2)
            expected = said.get(twin.P95, np.full(self._frame.rows, np.nan))
            self._alike = twin.likeness(found, self._frame, expected)
            self._fit = found
        return self._fit

    def _stretch(self, tick: int, last: int) -> "twin.Stretch | str":
        """Return the rows after an action, up to the incident's end."""
        rows = slice(tick + 1, last + 1)
        columns, ready = self._history.recorded.columns, self._history.ready[rows]
        needed = {
            name: columns.get(name, np.full(self._grid.ticks, np.nan))
            for name in (past.ARRIVALS, past.P95, past.ERRORS, past.P50)
        }
        rate, p95, errors = (needed[name][rows] for name in (past.ARRIVALS, past.P95, past.ERRORS))
        known = np.isfinite(rate) & np.isfinite(p95) & np.isfinite(errors) & np.isfinite(ready)
        if not known.any():
            return "nothing was seen after it"
        jobs = needed[past.ARRIVALS][tick] * needed[past.P50][tick] / _MS
        if not np.isfinite(jobs):
            return "how much waited at that moment was not recorded"
        promised = self._managed.objective
        return twin.Stretch(
            rate=_filled(rate),
            ready=_filled(ready),
            limit=_limit(self._history.limit[rows], self._fitted()),
            late=p95 > promised.latency_p95_ms,
            failing=errors > promised.error_ratio,
            known=known,
            step_s=self._grid.step_s,
            promised_s=promised.latency_p95_ms / _MS,
            jobs=float(jobs),
        )

    def _change(self, found: fitting.Fit, action: Action, tick: int) -> twin.Change:
        levers = dict(action.change)
        replicas = levers.get(names.lever_replicas(self._managed.stable_pool))
        before = self._history.ready[tick]
        starts = self._managed.guard.readiness_deadline_ns / SECOND
        after = twin.in_force(found, starts, self._seed)
        limit = levers.get(names.BATCH_MAX)
        return twin.Change(
            replicas=0.0 if replicas is None else float(replicas) - float(before),
            limit=None if limit is None else float(limit),
            after_s=after if replicas is not None else np.zeros(twin.DRAWS),
        )


def _unplayed(course: Course, action: Action | None) -> str:
    """Return why the twin cannot be asked, empty if it can."""
    if action is None:
        return "nothing would have been done"
    if action.kind not in _PLAYED:
        return f"{action.kind} cannot be played on what was recorded"
    if course.incident.family not in _OF_LOAD:
        return f"the twin cannot play a fault of family {course.incident.family}"
    return ""


def _lately(frame: Frame) -> Frame:
    """Return the latest rows of a recording, as many as a fit needs."""
    if frame.rows <= _MOST_ROWS:
        return frame
    return frame.take(np.arange(frame.rows) >= frame.rows - _MOST_ROWS)


def _filled(values: Floats) -> Floats:
    """Return values with unknown ones as the last known before; rows of those count nowhere."""
    known = np.isfinite(values)
    place = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    first = float(values[known][0]) if known.any() else 0.0
    return np.where(place >= 0, values[np.maximum(place, 0)], first)


def _limit(limit: Floats, found: "fitting.Fit | str") -> Floats:
    usual = 1.0 if isinstance(found, str) else found.batch_limit
    return np.where(np.isfinite(limit), limit, usual)


def _unknown(why: str) -> Plain:
    return {"minutes": None, "held": None, "why": why}
