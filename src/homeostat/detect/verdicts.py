"""From claims to readings: one verdict per series, with the band and the reason.

A detector may say that a value is unlikely; it is anomalous only if it is also far enough off, and
in the direction that hurts. Values that cannot be believed are unknown, whatever anybody claims.
All series of the fleet are judged together; what is said of them is then dealt out by deployment.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from homeostat.base.evidence import Anomaly, Quality, Reading, Verdict
from homeostat.base.many import many
from homeostat.base.policy import Managed
from homeostat.base.ports import SignalsLike
from homeostat.detect.layout import Layout, Part, part_of
from homeostat.detect.matters import MEMORY_HIGH, Rule
from homeostat.detect.panel import Claims

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Names = Mapping[tuple[str, str], int]

_HEALTHY, _ANOMALOUS, _UNKNOWN = range(3)
_NOTHING: Final = part_of(())
_VERDICTS: Final = (Verdict.HEALTHY, Verdict.ANOMALOUS, Verdict.UNKNOWN)


class Column(Mapping[tuple[str, str], float]):
    """One deployment's numbers by (subject, signal), read where they are; NaN is not there.

    Args:
        places: Row of each series, counted from the first.
        values: By row, of all deployments.
        first: The deployment's first row.
    """

    __slots__ = ("_first", "_places", "_values")

    def __init__(self, places: Names, values: Sequence[float], first: int) -> None:
        self._places, self._values, self._first = places, values, first

    @override
    def __getitem__(self, name: tuple[str, str]) -> float:
        value = self._values[self._first + self._places[name]]
        if value != value:  # noqa: PLR0124 - NaN is not itself
            raise KeyError(name)
        return value

    @override
    def __iter__(self) -> Iterator[tuple[str, str]]:
        return (name for name in self._places if name in self)

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one deployment's series look like on one tick.

    Attributes:
        readings: By row order.
        names: Subject and signal of each of them.
        subjects: Subject of each of them.
        anomalies: Detectors' claims that matter, and their unknowns.
        usual: Guarded means by (subject, signal), known ones only.
        history: Recent values by (subject, signal), oldest first.
        fallen: Highest value the process has come down from by itself, by (subject, signal).
        learnt: Ticks learnt from, by (subject, signal).
    """

    readings: tuple[Reading, ...]
    names: Collection[tuple[str, str]]
    subjects: tuple[str, ...]
    anomalies: tuple[Anomaly, ...]
    usual: Mapping[tuple[str, str], float]
    history: Mapping[tuple[str, str], Any]
    fallen: Mapping[tuple[str, str], float]
    learnt: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """One tick as arrays, one entry per row: what it is, and what is claimed of it.

    Attributes:
        signals: The tick's aligned series.
        good: Where the value is believed.
        claims: The detectors'.
        unknown: By detector, charted series of which it knows nothing.
        alarms: By detector, charted series at which it alarms and that matters.
    """

    signals: SignalsLike
    good: Bools
    claims: Claims
    unknown: dict[str, Bools]
    alarms: dict[str, Bools]

    @property
    def rows(self) -> Layout:
        """Which row is what."""
        return self.claims.layout


def judge(signals: SignalsLike, claims: Claims, managed: Sequence[Managed]) -> dict[str, Judged]:
    """Return each managed deployment's readings and claims.

    Args:
        signals: The tick's aligned series.
        claims: What the detectors say of them.
        managed: The deployments; others are left out.
    """
    seen, rows = _seen(signals, claims), claims.layout
    readings, anomalies = _readings(seen, managed), _anomalies(seen)
    usual, learnt = claims.usual.tolist(), claims.learnt.tolist()
    history, fallen = _pasts(claims)
    out = {}
    for name in (entry.name for entry in managed):
        part, first = rows.parts.get(name, _NOTHING), rows.first.get(name, 0)
        out[name] = Judged(
            readings=tuple(readings[first : first + len(part.keys)]),
            names=_names(part),
            subjects=part.subjects,
            anomalies=anomalies.get(name, ()),
            usual=Column(part.places, usual, first),
            history=history.get(name, {}),
            fallen=fallen.get(name, {}),
            learnt=Column(part.places, learnt, first),
        )
    return out


def _names(part: Part) -> Collection[tuple[str, str]]:
    """Return subject and signal of each row, the same objects each time unless one comes twice."""
    if len(part.places) == len(part.keys):
        return part.places
    return tuple(zip(part.subjects, part.signals, strict=True))


def _seen(signals: SignalsLike, claims: Claims) -> _Seen:
    good = np.array([quality is Quality.GOOD for quality in signals.quality], dtype=np.bool_)
    charted, matters = claims.layout.charted, _matters(signals, claims)
    unknown = {name: charted & (~good | np.isnan(score)) for name, score in claims.scores.items()}
    alarms = {
        name: charted & ~unknown[name] & alarm & matters for name, alarm in claims.alarms.items()
    }
    return _Seen(signals=signals, good=good, claims=claims, unknown=unknown, alarms=alarms)


def _matters(signals: SignalsLike, claims: Claims) -> Bools:
    """Return where the departure from the usual is large enough, in a direction that hurts."""
    rows, usual = claims.layout, claims.usual
    share = rows.share * np.abs(usual)
    change = signals.values - usual
    far = np.abs(change) >= np.where(share > rows.least, share, rows.least)
    out: Bools = np.isnan(usual) | (np.where(change > 0.0, rows.up, rows.down) & far)
    return out


def _readings(seen: _Seen, managed: Sequence[Managed]) -> list[Reading]:
    signals, rows, good = seen.signals, seen.rows, seen.good.tolist()
    verdicts = _verdicts(seen, managed).tolist()
    return many(
        Reading,
        len(rows.keys),
        subject=rows.subjects,
        signal=rows.signals,
        value=[
            v if known else None for v, known in zip(signals.values.tolist(), good, strict=True)
        ],
        verdict=[_VERDICTS[code] for code in verdicts],
        quality=signals.quality,
        low=_known(seen.claims.low),
        high=_known(seen.claims.high),
        age_ns=signals.age_ns.tolist(),
        samples=signals.samples.tolist(),
    )


def _verdicts(seen: _Seen, managed: Sequence[Managed]) -> npt.NDArray[np.int64]:
    """Return one verdict per row: rules first, then charts; unknown where neither can tell."""
    rows = seen.rows
    broken, ruled = _rules(rows, seen.signals.values, managed)
    judged = np.zeros(len(rows.keys), dtype=bool)
    for name, score in seen.claims.scores.items():
        broken |= seen.alarms[name]
        judged |= ~np.isnan(score)
    told = np.where(~rows.charted | ruled | judged, _HEALTHY, _UNKNOWN)
    return np.where(seen.good, np.where(broken, _ANOMALOUS, told), _UNKNOWN)


def _rules(rows: Layout, value: Floats, managed: Sequence[Managed]) -> tuple[Bools, Bools]:
    """Return where a fixed rule is broken, and where one alone decides."""
    limits = np.full((len(rows.deployments), len(Rule)), np.nan)
    place = {name: number for number, name in enumerate(rows.deployments)}
    for entry in managed:
        if (number := place.get(entry.name)) is not None:
            limits[number] = _limits(entry)
    limit, rule = limits[rows.owner, rows.rule], rows.rule
    below = ((rule == Rule.UP) | (rule == Rule.ACCURACY)) & (value < limit)
    reached = ((rule == Rule.PROBES) | (rule == Rule.MEMORY)) & (value >= limit)
    above = (rule >= Rule.LATENCY) & (value > limit)
    return below | reached | above, (rule > Rule.NONE) & (rule < Rule.LATENCY)


def _limits(entry: Managed) -> tuple[float, ...]:
    """Return the limit of each rule, in the order of `Rule`; NaN where nothing was promised."""
    promised = entry.objective
    accuracy = np.nan if promised.accuracy is None else promised.accuracy
    probes, latency = entry.guard.failed_probes, promised.latency_p95_ms
    return np.nan, 1.0, probes, MEMORY_HIGH, accuracy, latency, promised.error_ratio


def _anomalies(seen: _Seen) -> dict[str, tuple[Anomaly, ...]]:
    """Return the claims by deployment: by row, and by detector within it."""
    rows, detectors = seen.rows, tuple(seen.alarms)
    claimed = [seen.unknown[name] | seen.alarms[name] for name in detectors]
    if not claimed:
        return {}
    where, which = np.nonzero(np.stack(claimed, axis=1))
    place, number = where.tolist(), which.tolist()
    unknown = np.stack([seen.unknown[name] for name in detectors], axis=1)[where, which].tolist()
    scores = np.stack([seen.claims.scores[name] for name in detectors], axis=1)
    made = many(
        Anomaly,
        len(place),
        detector=[detectors[one] for one in number],
        subject=[rows.subjects[row] for row in place],
        signal=[rows.signals[row] for row in place],
        verdict=[Verdict.UNKNOWN if one else Verdict.ANOMALOUS for one in unknown],
        neg_log10_p=[
            None if one else score
            for one, score in zip(unknown, scores[where, which].tolist(), strict=True)
        ],
    )
    ends = np.searchsorted(where, [*rows.first.values(), len(rows.keys)]).tolist()
    return {
        name: tuple(made[begin:end])
        for name, (begin, end) in zip(rows.deployments, pairwise(ends), strict=True)
    }


def _pasts(
    claims: Claims,
) -> tuple[dict[str, dict[tuple[str, str], Any]], dict[str, dict[tuple[str, str], float]]]:
    """Return the memory shares' recent values, and from where they fell, by deployment."""
    rows = claims.layout
    history: dict[str, dict[tuple[str, str], Any]] = {}
    fallen: dict[str, dict[tuple[str, str], float]] = {}
    from_where = claims.fallen[rows.remembered].tolist()
    for row, past, fell in zip(rows.remembered.tolist(), claims.history, from_where, strict=True):
        key = rows.keys[row]
        history.setdefault(key.deployment, {})[key.subject, key.signal] = past
        fallen.setdefault(key.deployment, {})[key.subject, key.signal] = fell
    return history, fallen


def _known(edges: Floats) -> list[float | None]:
    return [edge if edge == edge else None for edge in edges.tolist()]  # noqa: PLR0124 - NaN
