"""Judging all rows at once says what judging them one by one says."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patient_by_hand import managed

from homeostat.base import names
from homeostat.base.evidence import Anomaly, Quality, SeriesKey, Verdict
from homeostat.base.policy import Managed
from homeostat.detect.layout import CHARTED, layout
from homeostat.detect.matters import MATTERS, MEMORY_HIGH
from homeostat.detect.panel import Claims
from homeostat.detect.verdicts import Column, judge

NAN = float("nan")
SIGNALS = (
    names.PROCESS_UP,
    names.PROBE_HEALTH,
    names.PROBE_FAILURES,
    names.MEMORY_SHARE,
    names.ACCURACY,
    names.LATENCY_P95,
    names.ERROR_RATIO,
    names.ARRIVAL_RATE,
    names.BATCH_MAX,
)
SUBJECTS = (names.GATEWAY, names.MODEL, names.replica("a-1"))
KEYS = st.builds(
    SeriesKey,
    deployment=st.sampled_from(("m1", "m2", "nobody's")),
    subject=st.sampled_from(SUBJECTS),
    signal=st.sampled_from(SIGNALS),
)
# Values at which something may change: rules, matters, and what is usual.
VALUE = st.sampled_from((0.0, 0.5, 0.899, 0.9, 1.0, 3.0, 4.0, 49.0, 50.0, 65.1, 300.0, 1000.0))
USUAL = VALUE | st.just(NAN)


@dataclass(frozen=True)
class Row:
    """One series of a frame, with what two detectors say of it."""

    key: SeriesKey
    value: float
    quality: Quality
    usual: float
    scores: tuple[float, float]
    alarms: tuple[bool, bool]


ROWS = st.lists(
    st.builds(
        Row,
        key=KEYS,
        value=VALUE,
        quality=st.sampled_from((Quality.GOOD, Quality.GOOD, Quality.STALE, Quality.FEW)),
        usual=USUAL,
        scores=st.tuples(USUAL, USUAL),
        alarms=st.tuples(st.booleans(), st.booleans()),
    ),
    max_size=8,
    unique_by=lambda row: row.key,
).map(lambda rows: sorted(rows, key=lambda row: row.key.deployment))
NAMES = ("ewma", "other")


def claims(rows: list[Row]) -> Claims:
    count = len(rows)
    shape = layout([row.key for row in rows])
    return Claims(
        scores={n: np.array([r.scores[k] for r in rows]) for k, n in enumerate(NAMES)},
        alarms={n: np.array([r.alarms[k] for r in rows], bool) for k, n in enumerate(NAMES)},
        low=np.full(count, NAN),
        high=np.arange(count, dtype=float),
        usual=np.array([r.usual for r in rows]),
        learnt=np.arange(count, dtype=float),
        history=np.zeros((len(shape.remembered), 4)) + shape.remembered[:, None],
        fallen=10.0 + np.arange(count, dtype=np.float64),
        devices={},
        layout=shape,
    )


def frame(rows: list[Row]) -> Any:
    known = [row.value if row.quality is Quality.GOOD else NAN for row in rows]
    return SimpleNamespace(
        keys=tuple(row.key for row in rows),
        values=np.array(known),
        age_ns=np.arange(len(rows)),
        samples=np.ones(len(rows)),
        quality=tuple(row.quality for row in rows),
    )


def claimed(row: Row) -> list[Anomaly]:
    out = []
    for name, score, alarm in zip(NAMES, row.scores, row.alarms, strict=True):
        unknown = row.quality is not Quality.GOOD or np.isnan(score)
        if row.key.signal in CHARTED and (unknown or (alarm and matters(row))):
            out.append(
                Anomaly(
                    detector=name,
                    subject=row.key.subject,
                    signal=row.key.signal,
                    verdict=Verdict.UNKNOWN if unknown else Verdict.ANOMALOUS,
                    neg_log10_p=None if unknown else score,
                )
            )
    return out


def matters(row: Row) -> bool:
    if np.isnan(row.usual):
        return True
    matter, change = MATTERS[row.key.signal], row.value - row.usual
    enough = abs(change) >= max(matter.least, matter.share * row.usual)
    return enough and (matter.up if change > 0.0 else matter.down)


def verdict(row: Row, entry: Managed) -> Verdict:
    if row.quality is not Quality.GOOD:
        return Verdict.UNKNOWN
    broken = rule(row, entry)
    if broken or any(one.verdict is Verdict.ANOMALOUS for one in claimed(row)):
        return Verdict.ANOMALOUS
    if row.key.signal not in CHARTED or broken is False:
        return Verdict.HEALTHY
    return Verdict.UNKNOWN if np.isnan(row.scores).all() else Verdict.HEALTHY


def rule(row: Row, entry: Managed) -> bool | None:
    promised, at_gateway = entry.objective, row.key.subject == names.GATEWAY
    match row.key.signal:
        case names.PROCESS_UP | names.PROBE_HEALTH:
            return row.value < 1.0
        case names.PROBE_FAILURES:
            return row.value >= entry.guard.failed_probes
        case names.MEMORY_SHARE:
            return row.value >= MEMORY_HIGH
        case names.ACCURACY:
            return promised.accuracy is not None and row.value < promised.accuracy
        case names.LATENCY_P95 if at_gateway:
            return row.value > promised.latency_p95_ms or None
        case names.ERROR_RATIO if at_gateway:
            return row.value > promised.error_ratio or None
    return None


@given(rows=ROWS, accuracy=st.sampled_from((None, 0.9)))
def test_all_rows_at_once_are_judged_as_one_by_one(rows: list[Row], accuracy: float | None) -> None:
    one = managed()
    promised = replace(one.objective, latency_p95_ms=65.0, accuracy=accuracy)
    entries = [replace(one, name=name, objective=promised) for name in ("m2", "m1", "absent")]
    found = judge(frame(rows), claims(rows), entries)
    assert list(found) == ["m2", "m1", "absent"]
    for entry in entries:
        own = [(place, row) for place, row in enumerate(rows) if row.key.deployment == entry.name]
        judged = found[entry.name]
        assert [reading.verdict for reading in judged.readings] == [
            verdict(row, entry) for _, row in own
        ]
        assert [(r.subject, r.signal, r.age_ns, r.high, r.low) for r in judged.readings] == [
            (row.key.subject, row.key.signal, place, float(place), None) for place, row in own
        ]
        assert [reading.value for reading in judged.readings] == [
            row.value if row.quality is Quality.GOOD else None for _, row in own
        ]
        assert list(judged.names) == [(row.key.subject, row.key.signal) for _, row in own]
        assert list(judged.anomalies) == [claim for _, row in own for claim in claimed(row)]
        assert dict(judged.usual) == {
            (row.key.subject, row.key.signal): row.usual for _, row in own if row.usual == row.usual
        }
        memory = {(r.key.subject, r.key.signal): p for p, r in own if r.key.signal == SIGNALS[3]}
        assert {name: past[0] for name, past in judged.history.items()} == memory
        assert judged.fallen == {name: 10.0 + place for name, place in memory.items()}


def test_a_number_that_is_not_known_is_not_in_its_column() -> None:
    column = Column({("gateway", "a"): 1, ("gateway", "b"): 0}, [7.0, 2.0, NAN], 1)
    assert dict(column) == {("gateway", "b"): 2.0}
    assert len(column) == 1
    assert column.get(("gateway", "a")) is None
    assert column.get(("model", "a"), 7.0) == 7.0
    with pytest.raises(KeyError):
        column["gateway", "a"]


def test_a_series_that_comes_twice_has_two_names_for_its_two_readings() -> None:
    key = SeriesKey(deployment="m1", subject=SUBJECTS[2], signal=names.PROCESS_UP)
    rows = [
        Row(key, value, Quality.GOOD, NAN, scores=(NAN, NAN), alarms=(False, False))
        for value in (1.0, 0.0)
    ]
    judged = judge(frame(rows), claims(rows), [replace(managed(), name="m1")])["m1"]
    assert list(judged.names) == [(key.subject, key.signal)] * 2
    assert [reading.value for reading in judged.readings] == [1.0, 0.0]
