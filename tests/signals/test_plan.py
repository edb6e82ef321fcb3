"""The index arrays, and what is remembered of a source while others come and go."""

import math
from dataclasses import fields, replace

import numpy as np
from fleet_sim import observation
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names, raw
from homeostat.base.evidence import Kind, Quality, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.signals import rounds, table
from homeostat.signals.plan import ALSO, COLUMN, NEEDS, Plan, _plan, plan, series
from homeostat.signals.table import RawTable

FIRST, SECOND_ONE = "replica:a-1", "replica:a-0"
COUNTERS = (raw.REQUESTS_ARRIVED, raw.REQUESTS_OK, raw.REQUESTS_5XX, raw.BATCHES)


def page(subject: str, tick: int, signals: tuple[str, ...] = COUNTERS) -> SourceReport:
    at = TimeNs((1_800_000_000 + tick) * SECOND)
    seen = tuple(
        observation(f"page-{subject}", subject, signal, 100.0 * tick + place, at, Kind.COUNTER)
        for place, signal in enumerate(signals)
    )
    return SourceReport(
        source=f"page-{subject}",
        at=at,
        observations=seen,
        subjects=(subject,),
        quality=Quality.GOOD,
    )


def taken(so_far: RawTable, tick: int, *reports: SourceReport) -> RawTable:
    now = TimeNs((1_800_000_000 + tick) * SECOND)
    return rounds.take(so_far, reports, (), now, tick, forget_ticks=5, most_series=1_000)


def last_of(found: RawTable, subject: str) -> list[float]:
    return [
        float(found.last[found.index[series("credit", subject, signal), None]])
        for signal in COUNTERS
    ]


def test_a_source_that_joins_leaves_the_others_where_they_were() -> None:
    one = taken(table.empty(4), 1, page(FIRST, 1))
    both = taken(one, 2, page(SECOND_ONE, 2), page(FIRST, 2))
    assert both.layout > one.layout
    assert both.memos[f"page-{FIRST}"] is one.memos[f"page-{FIRST}"]
    assert last_of(both, FIRST) == last_of(both, SECOND_ONE) == [200.0, 201.0, 202.0, 203.0]


def test_a_series_that_was_forgotten_is_found_anew_when_its_page_says_it_again() -> None:
    both = taken(table.empty(4), 1, page(FIRST, 1), page(SECOND_ONE, 1))
    for tick in range(2, 9):
        both = taken(both, tick, page(FIRST, tick))
    assert f"page-{SECOND_ONE}" not in both.memos
    again = taken(both, 9, page(SECOND_ONE, 9), page(FIRST, 9))
    assert last_of(again, FIRST) == last_of(again, SECOND_ONE) == [900.0, 901.0, 902.0, 903.0]


def plain(of: Plan) -> dict[str, object]:
    """A plan without its parts, arrays as lists."""
    return {
        field.name: _listed(getattr(of, field.name))
        for field in fields(Plan)
        if field.name != "parts"
    }


def _listed(value: object) -> object:
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tolist()
    return {k: _listed(v) for k, v in value.items()} if isinstance(value, dict) else value


def whole(found: RawTable) -> dict[str, object]:
    """The plan of all series, made as if they were one deployment's."""
    return plain(replace(_plan(found.index, found.layout), pages=plan(found).pages))


SOURCES = ("replica:a-1", "replica:a-0", "pool:a", names.GATEWAY)


@given(
    steps=st.lists(
        st.sets(st.tuples(st.sampled_from("bca"), st.sampled_from(SOURCES)), max_size=6), max_size=6
    )
)
def test_a_plan_made_from_the_one_before_is_the_plan_of_all_series(
    steps: list[set[tuple[str, str]]],
) -> None:
    found, known = table.empty(4), plan(table.empty(4))
    for tick, said in enumerate(steps):
        reports = [
            moved(page(subject, tick), name, latency=name != "a") for name, subject in sorted(said)
        ]
        found = taken(found, 3 * tick + 1, *reports)  # six ticks unseen are forgotten: two steps
        known = plan(found, known)
        assert plain(known) == plain(plan(found)) == whole(found)
        assert known.layout == found.layout


def moved(report: SourceReport, deployment: str, *, latency: bool) -> SourceReport:
    """The same page of another deployment, with probes and two histograms; one may be wider."""
    first, subject = report.observations[0], report.subjects[0]
    bounds = (5.0, 10.0, math.inf) if latency else (0.5, math.inf)
    shape = raw.LATENCY if latency else raw.BATCH_SIZE
    extra: list[tuple[str, Kind, float | None]] = []
    extra += [(shape, Kind.BUCKET, le) for le in bounds]
    extra += [(raw.PREDICTION, Kind.BUCKET, le) for le in (0.0, math.inf)]
    if subject == "replica:a-1":
        extra += [(names.PROBE_INFERENCE, Kind.GAUGE, None)]
    if latency:
        extra += [(names.PROBE_HEALTH, Kind.GAUGE, None)]
    seen = [*report.observations]
    seen += [
        replace(first, key=series("credit", subject, signal), kind=kind, le=le)
        for signal, kind, le in extra
    ]
    return replace(
        report,
        source=f"{deployment}/{report.source}",
        observations=tuple(
            replace(one, key=replace(one.key, deployment=deployment)) for one in seen
        ),
    )


def test_a_plan_has_the_signals_whose_parts_are_there_in_order_and_where_they_are() -> None:
    found = taken(table.empty(4), 1, page(FIRST, 1), page(SECOND_ONE, 1, (raw.REQUESTS_ARRIVED,)))
    made = plan(found)
    assert made.entities == (("credit", SECOND_ONE), ("credit", FIRST))
    assert made.keys == (
        series("credit", SECOND_ONE, names.ARRIVAL_RATE),
        series("credit", FIRST, names.ARRIVAL_RATE),
        series("credit", FIRST, names.ERROR_RATIO),
    )
    assert (made.row_histogram == -1).all()
    for row, key in enumerate(made.keys):
        wanted = {
            found.index[series(key.deployment, key.subject, part), None]
            for part in (*NEEDS[key.signal], *ALSO.get(key.signal, ()))
            if (series(key.deployment, key.subject, part), None) in found.index
        }
        assert {part for part in made.row_parts[row].tolist() if part >= 0} == wanted
        # Nothing that it needs is missing, and what it need not have does not count as missing.
        assert -1 not in made.row_parts[row]
    assert made.scalars[0, COLUMN[raw.BATCHES]] == -1
