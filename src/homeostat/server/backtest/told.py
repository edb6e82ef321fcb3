"""A replay's findings as plain values: what `homeostat backtest` prints, writes and draws."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base.actions import Action
from homeostat.base.units import MINUTE, SECOND
from homeostat.govern.decide import label
from homeostat.server.backtest import found as finding
from homeostat.server.backtest.found import Breach, Course, Found, Interval, Skill
from homeostat.server.backtest.play import Seen
from homeostat.server.backtest.recorded import Grid, History
from homeostat.signals import past

Floats = npt.NDArray[np.float64]
Plain = dict[str, Any]

_POINTS: Final = 720  # of a picture's lines


def deployment(seen: Seen, what: Found, one: History, grid: Grid, source: str) -> Plain:
    """Return what the replay of one deployment found.

    Args:
        seen: The replay.
        what: What it found.
        one: Its history.
        grid: The ticks.
        source: Where the history is from.
    """
    objective = seen.managed.objective
    return {
        "name": one.name,
        "source": source,
        "from_s": _seconds(grid, one.first) - grid.step_s,
        "to_s": _seconds(grid, one.last),
        "recorded": sorted(one.recorded.columns),
        "promised": {
            "latency_p95_ms": objective.latency_p95_ms,
            "error_ratio": objective.error_ratio,
        },
        "steps": what.ticks,
        "known": what.known,
        "summary": summary(what, grid),
        "breaches": [_breach(breach, grid) for breach in what.breaches],
        "incidents": [_course(course, grid) for course in what.courses],
    }


def summary(what: Found, grid: Grid) -> Plain:
    """Return the figures of one deployment, each with its interval where it is an estimate."""
    caught = what.detected()
    delays = np.array([(b.confirmed or 0) - b.first for b in caught], float) * grid.step_s
    early = [one for one in what.breaches if one.foreseen is not None]
    leads = np.array([b.first - (b.foreseen or 0) for b in early], float) * grid.step_s
    count = {kind: sum(one.outcome == kind for one in what.courses) for kind in _OUTCOMES}
    return {
        "missed_minutes": what.missed * grid.step_ns / MINUTE,
        "unknown_minutes": (what.ticks - what.known) * grid.step_ns / MINUTE,
        "breaches": len(what.breaches),
        "while_learning": sum(one.learning for one in what.breaches),
        "one_step": sum(one.missed == 1 for one in what.breaches),
        "detected": _share(len(caught), len(what.breaches)),
        "standing": sum(bool(one.standing) for one in what.breaches),
        "delay_s": _interval(finding.middle(delays), len(caught)),
        "foreseen": _share(len(early), len(what.breaches)),
        "lead_s": _interval(finding.middle(leads), len(early)),
        "forecast": _skill(what.forecast),
        "extra": len(what.extra()),
        "extra_per_week": _interval(
            finding.rate(len(what.extra()), what.ticks * grid.step_ns), len(what.extra())
        ),
        "blips": what.blips,
        "incidents": len(what.courses),
        "would": count,
        "saved": None,
    }


_OUTCOMES: Final = ("act", "page", "blind", "watch")


def course(seen: Seen, one: History, grid: Grid) -> Plain:
    """Return what a picture of the whole history shows, thinned: extremes stay.

    Args:
        seen: The replay.
        one: Its history.
        grid: The ticks.
    """
    columns = one.recorded.columns
    part = slice(one.first, one.last + 1)
    nothing = np.full(grid.ticks, np.nan)
    unknown = (~np.isfinite(seen.met)).astype(float)
    return {
        "rate": _thin(columns.get(past.ARRIVALS, nothing)[part]),
        "p95_ms": _thin(columns.get(past.P95, nothing)[part]),
        "errors": _thin(columns.get(past.ERRORS, nothing)[part]),
        "replicas": _thin(one.ready[part]),
        "unknown": _thin(unknown[part]),
    }


def _thin(values: Floats) -> list[float | None]:
    size = max(1, math.ceil(len(values) / _POINTS))
    padded = np.full(size * math.ceil(len(values) / size), np.nan)
    padded[: len(values)] = values
    rows = np.where(np.isnan(padded), -np.inf, padded).reshape(-1, size).max(axis=1)
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in rows]


def _breach(one: Breach, grid: Grid) -> Plain:
    return {
        "from_s": _seconds(grid, one.first) - grid.step_s,
        "to_s": _seconds(grid, one.last),
        "missed_minutes": one.missed * grid.step_ns / MINUTE,
        "incident": one.incident or None,
        "standing": one.standing or None,
        "detected_s": None if one.confirmed is None else _seconds(grid, one.confirmed),
        "foreseen_s": None if one.foreseen is None else _seconds(grid, one.foreseen),
        "while_learning": one.learning,
    }


def _course(one: Course, grid: Grid) -> Plain:
    incident = one.incident
    return {
        "id": incident.id,
        "family": incident.family.value,
        "subject": incident.subject,
        "because": list(incident.because),
        "opened_s": _seconds(grid, one.opened),
        "confirmed_s": _seconds(grid, one.confirmed),
        "closed_s": None if one.closed is None else _seconds(grid, one.closed),
        "felt": one.felt,
        "outcome": one.outcome,
        "action": None if one.wanted is None else _action(one.wanted[1]),
        "action_s": None if one.wanted is None else _seconds(grid, one.wanted[0]),
        "refused": [{"action": what, "because": list(why)} for what, why in one.refused],
        "paged_s": None if one.paged is None else _seconds(grid, one.paged),
        "saved": None,
    }


def _action(action: Action) -> Plain:
    return {
        "kind": action.kind.value,
        "subject": action.subject,
        "change": dict(action.change),
        "text": label(action),
    }


def _seconds(grid: Grid, tick: int) -> float:
    return grid.at(tick) / SECOND


def _share(events: int, trials: int) -> Plain | None:
    return _interval(finding.share(events, trials), trials)


def _interval(ends: Interval | None, number: int) -> Plain | None:
    if ends is None:
        return None
    value, low, high = (None if math.isnan(end) else float(f"{end:.6g}") for end in ends)
    return {"value": value, "low": low, "high": high, "n": number}


def _skill(skill: Skill | None) -> Mapping[str, Any] | None:
    if skill is None:
        return None
    return {
        "brier": float(f"{skill.brier:.6g}"),
        "skill": _interval(skill.skill, skill.number),
        "happened": skill.happened,
    }


def totals(every: Sequence[Plain]) -> Plain:
    """Return the figures of all deployments together; counts are added, shares are worked out."""
    add = {
        name: sum(one["summary"][name] for one in every)
        for name in ("missed_minutes", "unknown_minutes", "breaches", "incidents", "extra", "blips")
    }
    caught = sum(b["detected_s"] is not None for one in every for b in one["breaches"])
    early = sum(b["foreseen_s"] is not None for one in every for b in one["breaches"])
    would = {kind: sum(one["summary"]["would"][kind] for one in every) for kind in _OUTCOMES}
    return add | {
        "deployments": len(every),
        "detected": _share(caught, add["breaches"]),
        "foreseen": _share(early, add["breaches"]),
        "would": would,
    }


def with_saved(plain: Plain, saved: Mapping[str, Plain]) -> Plain:
    """Return a deployment's findings with what its actions would have saved.

    Args:
        plain: From `deployment`.
        saved: By incident: minutes with their interval, or None and why.
    """
    incidents = [one | {"saved": saved.get(one["id"])} for one in plain["incidents"]]
    return plain | {
        "incidents": incidents,
        "summary": plain["summary"] | {"saved": _together(list(saved.values()))},
    }


def _together(every: Sequence[Plain]) -> Plain | None:
    """Return what several actions would have saved: only those that are known are added.

    Ends are added as if all erred alike: an interval that is too wide if they do not.
    """
    known = [one["minutes"] for one in every if one["minutes"] is not None]
    if not every:
        return None
    if not known:
        return {"minutes": None, "why": every[0]["why"]}
    added = {end: sum(one[end] for one in known) for end in ("value", "low", "high")}
    return {"minutes": added | {"n": len(known)}, "unknown": len(every) - len(known), "why": ""}
