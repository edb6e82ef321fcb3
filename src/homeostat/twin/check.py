"""Posterior predictive check: does a fitted twin say what a later stretch then showed?

Given the demand of that stretch (the twin does not forecast demand), every signal is predicted with
intervals, and compared: coverage by tenth of load and above the load that was fitted to; the
continuous ranked probability score against persistence (the value 5 minutes before) and a seasonal
naive forecast (a day before); and what changes of replicas did against what was predicted, the one
number that a controller needs.
Source: Gneiting & Raftery, "Strictly proper scoring rules", JASA 102 (2007), eq. 21.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.twin import fit as fitting
from homeostat.twin import fit_law
from homeostat.twin.fit import Fit
from homeostat.twin.fit_frame import Floats, Frame, NotIdentifiedError
from homeostat.twin.fit_predict import LEVELS, Spread

DAY_S: Final = 86400.0
TENTHS: Final = 10
FEWEST: Final = 20  # rows of a signal without which nothing is said
_SETTLED_S: Final = 300.0  # after a change, until its effect is looked at
_JUDGED: Final = 0.8  # the level by which a fit is called good or not
_SHORT: Final = 0.1  # coverage may fall so far short of that level


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """How often intervals held what was seen, for one group of rows.

    Attributes:
        group: `all`, `above` (the load fitted to) or `tenth 1` to `tenth 10` of load.
        low: Lowest load.
        high: Highest load.
        number: Rows.
        shares: Of rows inside, for each of `fit_predict.LEVELS`.
    """

    group: str
    low: float
    high: float
    number: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """The check of one signal.

    Attributes:
        name: Of the signal.
        number: Rows compared.
        error: Median relative error, without sign.
        bias: Mean predicted over mean seen, minus 1.
        crps: Continuous ranked probability score of the twin, in the signal's unit.
        persistence: The same of the value 5 minutes before; NaN if not comparable.
        seasonal: The same of the value a day before.
        covers: Coverage.
    """

    name: str
    number: int
    error: float
    bias: float
    crps: float
    persistence: float
    seasonal: float
    covers: tuple[Cover, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What changes of the number of replicas did to a signal.

    Attributes:
        name: Of the signal.
        changes: That could be judged.
        signs: Share of them whose direction was predicted.
        error: Median distance of predicted from observed log ratio after / before.
    """

    name: str
    changes: int
    signs: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A whole check.

    Attributes:
        source: The later recording.
        sha256: Its digest.
        rows: Of it.
        outside: Share of rows outside the region that was seen; NaN if not known.
        fitted: Digest of what the fit was fitted to: whose check this is.
        same: It is the very recording that was fitted to: no check at all.
        signals: One for each signal.
        effects: Of actions; empty if the recording has none.
        good: Whether every signal's 80 % interval holds at least 70 % of its rows.
    """

    source: str
    sha256: str
    rows: int
    outside: float
    fitted: str
    same: bool
    signals: tuple[Signal, ...]
    effects: tuple[Effect, ...]
    good: bool


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
    signals = []
    for name, spread in found.spreads.items():
        if name in said:
            one = _signal(found, frame, spread, said[name], order)
            if one:
                signals.append(one)
    if not signals:
        raise NotIdentifiedError(
            f"{frame.source}: nothing to compare; at least {FEWEST} rows of "
            f"{' or '.join(found.spreads)} are needed"
        )
    effects = (_effect(frame, name, values) for name, values in said.items())
    at = LEVELS.index(_JUDGED)
    return Check(
        source=frame.source,
        sha256=frame.sha256,
        rows=frame.rows,
        outside=_outside(found, frame, load),
        fitted=found.sha256,
        same=frame.sha256 == found.sha256,
        signals=tuple(signals),
        effects=tuple(one for one in effects if one),
        good=all(one.covers[0].shares[at] >= _JUDGED - _SHORT for one in signals),
    )


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


def _signal(found: Fit, frame: Frame, spread: Spread, said: Floats, order: Floats) -> Signal | None:
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
        covers=_covers(spread, y, e, at, _highest(found)),
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
    spread: Spread, seen: Floats, said: Floats, load: Floats, highest: float
) -> tuple[Cover, ...]:
    inside = []
    for level in LEVELS:
        low, high = spread.interval(said, load, level)
        inside.append((seen >= low) & (seen <= high))
    tenth = np.searchsorted(np.quantile(load, np.arange(1, TENTHS) / TENTHS), load)
    groups: dict[str, np.ndarray] = {"all": np.ones(len(seen), bool), "above": load > highest}
    groups |= {f"tenth {k + 1}": tenth == k for k in range(TENTHS)}
    return tuple(
        Cover(
            group=name,
            low=float(load[rows].min()),
            high=float(load[rows].max()),
            number=int(rows.sum()),
            shares=tuple(float(one[rows].mean()) for one in inside),
        )
        for name, rows in groups.items()
        if rows.any()
    )


def _outside(found: Fit, frame: Frame, load: Floats) -> float:
    batch, count = fit_law.batches(frame), fit_law.replicas(frame)
    known = np.flatnonzero(np.isfinite(load) & np.isfinite(batch) & np.isfinite(count))
    known = known[:: max(1, len(known) // 1000)]
    if found.region is None or not len(known):
        return math.nan
    inside = [found.region.trusts(load[k], batch[k], round(count[k])) for k in known]
    return 1.0 - sum(inside) / len(inside)


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


def to_plain(found: Check) -> Mapping[str, object]:
    """Return a check as `json` writes it; what is not known is null."""

    def number(value: float) -> float | None:
        return float(f"{value:.6g}") if math.isfinite(value) else None

    return {
        "input": {"source": found.source, "sha256": found.sha256, "rows": found.rows},
        "good": found.good,
        "fitted_sha256": found.fitted,
        "same_recording": found.same,
        "outside_region": number(found.outside),
        "levels": list(LEVELS),
        "signals": [
            {
                "name": one.name,
                "rows": one.number,
                "median_error": number(one.error),
                "bias": number(one.bias),
                "crps": number(one.crps),
                "crps_persistence": number(one.persistence),
                "crps_seasonal": number(one.seasonal),
                "coverage": [
                    {
                        "group": cover.group,
                        "load": [number(cover.low), number(cover.high)],
                        "rows": cover.number,
                        "shares": [number(share) for share in cover.shares],
                    }
                    for cover in one.covers
                ],
            }
            for one in found.signals
        ],
        "effects": [
            {
                "name": one.name,
                "changes": one.changes,
                "signs": number(one.signs),
                "error": number(one.error),
            }
            for one in found.effects
        ],
    }
