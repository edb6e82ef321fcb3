"""Histograms and pages of a frame, made column by column, are those made one by one."""

from collections.abc import Sequence

import numpy as np
import pytest
from fleet_sim import FleetSim, managed, restamped, rewritten, silent

from homeostat.base.evidence import Quality, SourceReport
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND, TimeNs
from homeostat.signals import rounds, table
from homeostat.signals.derive import Derived, derive
from homeostat.signals.fleet import (
    _FRESH_NS,
    _SERVING,
    _histograms,
    _limits,
    _pages,
    fresh_ns,
)
from homeostat.signals.frame import Histogram, PageState
from homeostat.signals.pages import AHEAD_NS
from homeostat.signals.plan import Plan, plan
from homeostat.signals.quality import GOOD, QUALITIES, STALE
from homeostat.signals.table import RawTable


def pages_by_hand(
    found: RawTable, layout: Plan, entries: Sequence[Managed], now: TimeNs
) -> list[PageState]:
    fresh = {entry.name: fresh_ns(entry) for entry in entries}
    counts = layout.scalars[:, _SERVING]
    serving = set(found.page[counts[counts >= 0]].tolist())
    out = []
    for (source, deployment, subject), number in layout.pages:
        if number not in serving:
            continue
        age = now - int(found.page_at[number])
        old = age > fresh.get(deployment, _FRESH_NS) or age < -AHEAD_NS
        code = int(found.page_code[number])
        reason = QUALITIES[code] if code != GOOD else QUALITIES[STALE]
        out.append(
            PageState(
                source=source,
                deployment=deployment,
                subject=subject,
                quality=reason if old else Quality.GOOD,
                age_ns=min(max(age, 0), 10**18),
            )
        )
    return out


def histograms_by_hand(layout: Plan, found: Derived) -> list[Histogram]:
    out = []
    for number in layout.shown.tolist():
        entity, signal = layout.histograms[number]
        deployment, subject = layout.entities[entity]
        bounds, code = layout.cuts[number], int(found.histogram_code[number])
        believed = code == GOOD and not np.isnan(found.counts[number]).any()
        out.append(
            Histogram(
                deployment=deployment,
                subject=subject,
                signal=signal,
                bounds=bounds,
                counts=found.counts[number, : len(bounds)]
                if believed
                else np.full(len(bounds), np.nan),
                quality=QUALITIES[code] if believed or code != GOOD else Quality.FEW,
            )
        )
    return out


def faulty(
    rng: np.random.Generator, reports: tuple[SourceReport, ...], now: TimeNs
) -> list[SourceReport]:
    """The same reports, some of them lost, late, ahead of time or absurd."""
    out = []
    for report in reports:
        match int(rng.integers(0, 12)):
            case 0:
                out.append(silent(report, Quality.UNREACHABLE))
            case 1:
                out.append(restamped(report, TimeNs(now - 9 * SECOND)))
            case 2:
                out.append(restamped(report, TimeNs(now + 9 * SECOND)))
            case 3:
                out.append(rewritten(report, np.nan))
            case 4:
                pass
            case _:
                out.append(report)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_frame_says_of_pages_and_histograms_what_each_by_itself_does(seed: int) -> None:
    sim, rng, found = FleetSim(seed), np.random.default_rng(seed), table.empty(20)
    entries, heard = (managed(),), set[Quality]()
    for tick in range(1, 26):
        reports, world = sim.tick()
        said, now = faulty(rng, reports, sim.now), sim.now
        found = rounds.take(found, said, world, now, tick, forget_ticks=30, most_series=10_000)
        layout = plan(found)
        seen = derive(found, layout, _limits(layout, entries), now, tick, (1, 2, 5, 10, 20))
        for known in (entries, ()):
            pages = _pages(found, layout, known, now)
            assert pages == pages_by_hand(found, layout, known, now)
            heard |= {page.quality for page in pages}
        columns, by_hand = _histograms(layout, seen), histograms_by_hand(layout, seen)
        assert len(columns) == len(by_hand)
        for one, other in zip(columns, by_hand, strict=True):
            same = ("deployment", "subject", "signal", "bounds", "quality")
            assert all(getattr(one, name) == getattr(other, name) for name in same)
            np.testing.assert_array_equal(one.counts, other.counts)
    assert len(heard) > 2  # not only pages that are well
