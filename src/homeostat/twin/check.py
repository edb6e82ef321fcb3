"""Posterior predictive check: does a fitted twin say what a later stretch then showed?

Given the demand of that stretch (the twin does not forecast demand), every signal is predicted with
intervals, and compared: coverage by tenth of load and above the load that was fitted to; the
continuous ranked probability score against persistence (the value 5 minutes before) and a seasonal
naive forecast (a day before); and what changes of replicas did against what was predicted, the one
number that a controller needs.

A check is good only if it can have failed: it begins after what was fitted to ended, by both
recordings' own dates; latencies were compared; and the intervals hold over all rows, over those in
the region that was seen, and over those above the load that was fitted to.
Source: Gneiting & Raftery, "Strictly proper scoring rules", JASA 102 (2007), eq. 21.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from homeostat.twin import fit as fitting
from homeostat.twin import fit_law
from homeostat.twin.check_values import Check, Cover, Effect, Signal, to_plain
from homeostat.twin.fit import Fit
from homeostat.twin.fit_frame import Floats, Frame, NotIdentifiedError
from homeostat.twin.fit_predict import LEVELS, Spread

__all__ = ["Check", "Cover", "Effect", "Signal", "check", "crps", "is_later", "to_plain"]

DAY_S: Final = 86400.0
TENTHS: Final = 10
FEWEST: Final = 20  # rows of a signal without which nothing is said
_SETTLED_S: Final = 300.0  # after a change, until its effect is looked at
_JUDGED: Final = 0.8  # the level by which a fit is called good or not
_SHORT: Final = 0.1  # coverage may fall so far short of that level
PROMISED: Final = "latency_p95_s"  # what objectives are about: without it a check shows little
_INSIDE: Final = "inside"
_WORDS: Final = {"all": "", "above": " above the load fitted to", _INSIDE: " in the region seen"}


def check(found: Fit, frame: Frame) -> Check:
    """Return how well a fit says what a later recording shows.

    Args:
        found: The fit.
        frame: A recording that it was not fitted to.

    Raises:
        NotIdentifiedError: No signal of the fit was recorded, or the fit is of too few rows.
    """
    said = fitting.expected(
        frame, found.theta, np.asarray(found.factors), found.batch_limit, found.ca2
    )
    load = fitting.load(frame, found.theta, found.batch_limit)
    order = load if found.unit == "request" else fit_law.batches(frame)
    if not found.spreads:
        raise NotIdentifiedError(
            f"{found.source}: the fit has no errors of rows that it was not made from, so "
            "nothing can be compared; fit it to a longer recording, of 120 rows or more"
        )
    inside = _inside(found, frame, load)
    signals = []
    for name, spread in found.spreads.items():
        if name in said:
            one = _signal(found, frame, spread, said[name], order, inside)
            if one:
                signals.append(one)
    if not signals:
        raise NotIdentifiedError(
            f"{frame.source}: nothing to compare; at least {FEWEST} rows of "
            f"{' or '.join(found.spreads)} are needed"
        )
    effects = (_effect(frame, name, values) for name, values in said.items())
    later = is_later(found, frame)
    return Check(
        source=frame.source,
        sha256=frame.sha256,
        rows=frame.rows,
        outside=math.nan if inside is None else 1.0 - float(inside.mean()),
        fitted=found.sha256,
        same=frame.sha256 == found.sha256,
        later=later,
        signals=tuple(signals),
        effects=tuple(one for one in effects if one),
        missed=tuple(why for one in signals for why in _missed(one)),
        lacks=_lacks({one.name: one for one in signals}, later=later),
    )


def is_later(found: Fit, frame: Frame) -> bool | None:
    """Return whether a recording begins after what was fitted to ended; None if that is not known.

    Rows that a fit has seen judge nothing, and a copy of them with a row less is another file: only
    the dates in both tell. A fit keeps whole seconds of its end.
    """
    if not (found.window.is_dated and frame.window.is_dated):
        return None
    return math.floor(frame.window.begins_s) > found.window.ends_s


def _missed(one: Signal) -> list[str]:
    """Return where a signal's intervals do not hold; of few rows only the whole is judged."""
    at, found = LEVELS.index(_JUDGED), []
    for cover in one.covers:
        words = _WORDS.get(cover.group)
        if words is None or (cover.group != "all" and cover.number < FEWEST):
            continue
        if not cover.shares[at] >= _JUDGED - _SHORT:
            found.append(
                f"{one.name}: {_JUDGED:.0%} intervals hold {cover.shares[at]:.0%} of "
                f"{cover.number} rows{words}; at least {_JUDGED - _SHORT:.0%} are asked for"
            )
    return found


def _lacks(signals: Mapping[str, Signal], *, later: bool | None) -> tuple[str, ...]:
    """Return why a check could not have shown that the fit fails."""
    found = []
    if later is None:
        found.append(
            "whether it is later than what was fitted to is not known: one of the recordings has "
            "no date; record with times of UTC"
        )
    elif not later:
        found.append("it is not later than what was fitted to; record later")
    judged = signals.get(PROMISED)
    if judged is None:
        found.append(f"{PROMISED} was not compared; record it, for the fit and for the check")
        return tuple(found)
    seen = next((one.number for one in judged.covers if one.group == _INSIDE), 0)
    if seen < FEWEST:
        found.append(
            f"{seen} rows of {PROMISED} lie in the region that was fitted to, {FEWEST} are needed"
        )
    return tuple(found)


def crps(samples: Floats, seen: Floats) -> Floats:
    """Return the continuous ranked probability score of equally likely samples.

    Args:
        samples: Ascending [m, k].
        seen: What happened [m].

    >>> crps(np.array([[1.0, 1.0]]), np.array([3.0]))
    array([2.])
    """
    k = samples.shape[1]
    rank = 2.0 * np.arange(k) + 1.0 - k
    apart = (samples * rank).sum(axis=1) / (k * k)  # half the mean distance of two samples
    return np.asarray(np.abs(samples - seen[:, None]).mean(axis=1) - apart)


def _signal(
    found: Fit,
    frame: Frame,
    spread: Spread,
    said: Floats,
    order: Floats,
    inside: np.ndarray | None,
) -> Signal | None:
    seen = fitting.observed(frame, spread.signal)
    use = np.isfinite(seen) & np.isfinite(said) & np.isfinite(order)
    if int(use.sum()) < FEWEST:
        return None
    y, e, at = seen[use], said[use], order[use]
    return Signal(
        name=spread.signal,
        number=len(y),
        error=float(np.median(np.abs(e / y - 1.0))),
        bias=float(e.mean() / y.mean() - 1.0),
        crps=float(crps(spread.samples(e, at), y).mean()),
        persistence=_naive(found, frame, spread.signal, use, fitting.HORIZON_S, order),
        seasonal=_naive(found, frame, spread.signal, use, DAY_S, order),
        covers=_covers(spread, y, e, at, _highest(found), None if inside is None else inside[use]),
    )


def _highest(found: Fit) -> float:
    """Return the highest load (or batch, where tokens are served) that was fitted to."""
    if found.region is None:
        return math.inf
    return found.region.rho[1] if found.unit == "request" else found.region.batch[1]


def _naive(
    found: Fit, frame: Frame, name: str, use: np.ndarray, horizon_s: float, order: Floats
) -> float:
    """Return the score of the value so long before, with the spread that it had; NaN if none."""
    spread = found.naive.get(name)
    back = fitting.before(frame, horizon_s)
    seen = fitting.observed(frame, name)
    earlier = np.where(back >= 0, seen[back], np.nan)
    rows = use & np.isfinite(earlier)
    # A comparison over a few of the rows would be one of other rows.
    if spread is None or rows.sum() < max(FEWEST, 0.5 * use.sum()):
        return math.nan
    return float(crps(spread.samples(earlier[rows], order[rows]), seen[rows]).mean())


def _covers(
    spread: Spread,
    seen: Floats,
    said: Floats,
    load: Floats,
    highest: float,
    inside: np.ndarray | None,
) -> tuple[Cover, ...]:
    held = []
    for level in LEVELS:
        low, high = spread.interval(said, load, level)
        held.append((seen >= low) & (seen <= high))
    tenth = np.searchsorted(np.quantile(load, np.arange(1, TENTHS) / TENTHS), load)
    groups: dict[str, np.ndarray] = {"all": np.ones(len(seen), bool), "above": load > highest}
    if inside is not None:
        groups[_INSIDE] = inside
    groups |= {f"tenth {k + 1}": tenth == k for k in range(TENTHS)}
    return tuple(
        Cover(
            group=name,
            low=float(load[rows].min()),
            high=float(load[rows].max()),
            number=int(rows.sum()),
            shares=tuple(float(one[rows].mean()) for one in held),
        )
        for name, rows in groups.items()
        if rows.any()
    )


def _inside(found: Fit, frame: Frame, load: Floats) -> np.ndarray | None:
    """Return which rows lie in the region that was seen [n]; None if none was."""
    if found.region is None:
        return None
    return found.region.holds(load, fit_law.batches(frame), fit_law.replicas(frame))


def _effect(frame: Frame, name: str, said: Floats) -> Effect | None:
    """Return how well changes were predicted: after settling against before, both as logs."""
    if not frame.has("replicas"):
        return None
    seen, count = fitting.observed(frame, name), frame["replicas"]
    changed = np.flatnonzero((np.diff(count) != 0) & np.isfinite(np.diff(count))) + 1
    found = [
        (_moved(frame, seen, at), _moved(frame, said, at))
        for at in changed.tolist()
        if frame.segment[at] == frame.segment[at - 1]
    ]
    pairs = np.asarray([pair for pair in found if all(map(math.isfinite, pair))])
    if not len(pairs):
        return None
    return Effect(
        name=name,
        changes=len(pairs),
        signs=float((np.sign(pairs[:, 0]) == np.sign(pairs[:, 1])).mean()),
        error=float(np.median(np.abs(pairs[:, 1] - pairs[:, 0]))),
    )


def _moved(frame: Frame, values: Floats, at: int) -> float:
    """Return the log of the mean after a change, once settled, over that before; NaN if unknown."""
    now, span = frame.time_s[at], max(_SETTLED_S, 2.0 * frame.usual_step_s)
    before = (frame.time_s < now) & (frame.time_s >= now - span)
    after = (frame.time_s >= now + span) & (frame.time_s < now + 2.0 * span)
    same = frame["replicas"] == frame["replicas"][at]
    means = []
    for rows in (before, after & same):
        known = values[rows & np.isfinite(values)]
        if not len(known):
            return math.nan
        means.append(float(np.median(known)))
    return math.log(means[1] / means[0])
