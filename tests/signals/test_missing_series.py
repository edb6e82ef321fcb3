"""A counter that is missing on a page that came: never halved, never doubled, and then unknown."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from fleet_sim import Counts, FleetSim, managed, page_report, silent
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homeostat.base import names, raw
from homeostat.base.evidence import Quality, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.signals.fleet import STATE_CLASSES, Fleet
from homeostat.signals.frame import Frame
from homeostat.stats.arrays import from_bytes, to_bytes

A = "replica:a-0"
T0 = 1_800_000_000 * SECOND
EPOCH = 1_799_999_000.0
COUNTED = (raw.REQUESTS_ARRIVED, raw.REQUESTS_OK, raw.REQUESTS_5XX, raw.CPU_SECONDS)
BOUNDS = (0.1, 0.25, math.inf)


class Page:
    """One replica's page with known rates; some of its series may be left out of a round."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.state = self.fleet.init()
        self.second, self.epoch = 0, EPOCH
        self.total = dict.fromkeys(COUNTED, 0.0)
        self.below = np.zeros(len(BOUNDS))
        self.incarnation = 1

    @property
    def now(self) -> TimeNs:
        return TimeNs(T0 + self.second * SECOND)

    def count(self, arrivals: float) -> None:
        """Count a second: a tenth fails, a request costs 10 ms of CPU, half stay below 0.1 s."""
        parts = (arrivals, 0.9 * arrivals, 0.1 * arrivals, 0.01 * arrivals)
        for signal, part in zip(COUNTED, parts, strict=True):
            self.total[signal] += part
        self.below += np.array([0.5, 0.9, 1.0]) * arrivals

    def restart(self) -> None:
        self.total = dict.fromkeys(COUNTED, 0.0)
        self.below[:] = 0.0
        self.incarnation += 1

    def report(self, without: Sequence[str] = (), bound: float | None = None) -> SourceReport:
        page = Counts()
        for signal, value in self.total.items():
            if signal not in without:
                page.add(signal, value)
        below = [0, *(int(count) for count in self.below)]
        single = [count - lower for lower, count in pairwise(below)]
        page.buckets[raw.LATENCY] = BOUNDS, single
        full = page_report("scrape", (A,), self.now, {A: page}, {}, self.epoch)
        kept = tuple(one for one in full.observations if one.le is None or one.le != bound)
        return SourceReport(
            source="scrape", at=self.now, observations=kept, subjects=(A,), quality=Quality.GOOD
        )

    def tick(
        self, arrivals: float = 100.0, without: Sequence[str] = (), bound: float | None = None
    ) -> Frame:
        """Play one second; `without` and `bound` leave series out of the round."""
        self.second += 1
        self.count(arrivals)
        return self.take(self.report(without, bound))

    def take(self, report: SourceReport) -> Frame:
        replica = Replica(
            name="a-0",
            pool="a",
            version="v2",
            state=ReplicaState.READY,
            incarnation=self.incarnation,
        )
        world = Snapshot(
            deployment="credit",
            observed_at=self.now,
            replicas=(replica,),
            releases=(),
            levers=(),
            stamps=(),
        )
        self.state, frame = self.fleet.step(
            self.state, (report,), (world,), (managed(),), self.now, self.second
        )
        return frame

    def run(self, ticks: int, arrivals: float = 100.0) -> None:
        for _ in range(ticks):
            self.tick(arrivals)


def is_known_as(frame: Frame, signal: str, wanted: float) -> bool:
    value, quality = reading(frame, signal)
    return quality is Quality.GOOD and math.isclose(value, wanted, rel_tol=1e-9)


def reading(frame: Frame, signal: str, subject: str = A) -> tuple[float, Quality]:
    signals = frame.signals
    for row, key in enumerate(signals.keys):
        if (key.subject, key.signal) == (subject, signal):
            return float(signals.values[row]), signals.quality[row]
    raise AssertionError(f"no series {subject} {signal}")


TRUE = {names.ARRIVAL_RATE: 100.0, names.CPU_SHARE: 1.0, names.ERROR_RATIO: 0.1}


@pytest.mark.parametrize("gap", [1, 2])
@pytest.mark.parametrize("series", COUNTED)
def test_a_counter_missing_for_a_while_changes_no_rate_in_the_gap_and_none_after_it(
    series: str, gap: int
) -> None:
    page = Page()
    page.run(25)
    frames = [page.tick(without=(series,)) for _ in range(gap)]
    frames += [page.tick() for _ in range(25)]
    for frame in frames:
        for signal, wanted in TRUE.items():
            assert is_known_as(frame, signal, wanted), (signal, reading(frame, signal))


def test_a_bucket_missing_for_a_while_moves_no_quantile() -> None:
    page = Page()
    page.run(25)
    before, _ = reading(page.tick(), names.LATENCY_P50)
    frames = [page.tick(bound=0.25), page.tick(bound=0.25), *(page.tick() for _ in range(25))]
    for frame in frames:
        assert is_known_as(frame, names.LATENCY_P50, before)


def test_a_counter_missing_for_longer_is_missing_and_its_neighbours_are_judged() -> None:
    page = Page()
    page.run(10)
    frames = [page.tick(without=(raw.REQUESTS_ARRIVED,)) for _ in range(4)]
    assert [reading(frame, names.ARRIVAL_RATE)[1] for frame in frames] == [
        Quality.GOOD, Quality.GOOD, Quality.MISSING, Quality.MISSING,
    ]  # fmt: skip
    assert math.isnan(reading(frames[-1], names.ARRIVAL_RATE)[0])
    assert is_known_as(frames[-1], names.CPU_SHARE, 1.0)


def test_a_replica_that_is_gone_is_unreachable_where_a_series_alone_is_missing() -> None:
    page = Page()
    page.run(10)
    frames = []
    for _ in range(4):
        page.second += 1
        frames.append(page.take(silent(page.report(), Quality.UNREACHABLE)))
    for signal in TRUE:
        value, quality = reading(frames[-1], signal)
        assert math.isnan(value)
        assert quality is Quality.UNREACHABLE


@pytest.mark.parametrize("epoch", [True, False], ids=["new start time", "no start time"])
@pytest.mark.parametrize("ahead", [True, False], ids=["comes back higher", "comes back lower"])
def test_a_process_replaced_within_the_gap_lends_its_counts_to_nobody(
    *, ahead: bool, epoch: bool
) -> None:
    page = Page()
    if not epoch:
        page.epoch = 0.0  # stands for none
    page.run(10 if not ahead else 2)
    page.tick(without=(raw.REQUESTS_ARRIVED,))
    page.restart()
    page.epoch += 500.0 if epoch else 0.0
    frames = [page.tick(without=(raw.REQUESTS_ARRIVED,)) for _ in range(6)]
    frames += [page.tick() for _ in range(12)]
    for frame in frames:
        value, quality = reading(frame, names.ARRIVAL_RATE)
        assert quality is not Quality.GOOD or value == pytest.approx(100.0)
    assert is_known_as(frames[-1], names.ARRIVAL_RATE, 100.0)


LEFT_OUT = st.sets(st.sampled_from(COUNTED), max_size=2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), LEFT_OUT), min_size=1, max_size=30))
@example([(100, set())] * 3 + [(100, {raw.REQUESTS_ARRIVED})] * 2 + [(100, set())] * 3)
def test_a_rate_is_never_above_nor_below_what_was_ever_counted(
    played: list[tuple[int, set[str]]],
) -> None:
    page = Page()
    for arrivals, without in played:
        frame = page.tick(float(arrivals), sorted(without))
        # A gap is told of as a whole, so that its mean is the sharpest that can be known.
        seen = [so_far for so_far, _ in played[: page.second]]
        for signal, each in ((names.ARRIVAL_RATE, 1.0), (names.CPU_SHARE, 0.01)):
            if not any((A, signal) == (key.subject, key.signal) for key in frame.signals.keys):
                continue
            value, quality = reading(frame, signal)
            assert math.isnan(value) is (quality is not Quality.GOOD)
            low, high = each * min(seen[1:], default=0), each * max(seen[1:], default=0)
            assert math.isnan(value) or low * (1 - 1e-9) <= value <= high * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.lists(LEFT_OUT, min_size=1, max_size=30))
def test_a_steady_rate_stays_what_it_is_whatever_is_missing(
    arrivals: int, played: list[set[str]]
) -> None:
    page = Page()
    page.run(6, float(arrivals))
    for without in played:
        frame = page.tick(float(arrivals), sorted(without))
        for signal, wanted in TRUE.items():
            value, quality = reading(frame, signal)
            scale = arrivals / 100.0 if signal != names.ERROR_RATIO else 1.0
            assert quality is not Quality.GOOD or value == pytest.approx(wanted * scale, rel=1e-9)


def test_a_checkpoint_within_a_gap_goes_on_bit_for_bit() -> None:
    straight, restored = Page(), Page()
    for page in (straight, restored):
        page.run(8)
        page.tick(without=(raw.REQUESTS_ARRIVED,))
    saved = to_bytes(straight.state)
    restored.state = from_bytes(saved, STATE_CLASSES)
    assert to_bytes(restored.state) == saved
    for without in ((raw.REQUESTS_ARRIVED,), (), (), (raw.CPU_SECONDS,), ()):
        one, other = (page.tick(120.0, without).signals for page in (straight, restored))
        assert one.values.tobytes() == other.values.tobytes()
        assert one.quality == other.quality
    assert to_bytes(restored.state) == to_bytes(straight.state)


def calm(*, without: bool, gone: bool = False) -> list[Quality]:
    """Return what the gateway's rate is worth once nobody asks for anything any more."""
    sim, fleet = FleetSim(1), Fleet()
    state, qualities = fleet.init(), []
    for second in range(1, 21):
        sim.rate = 100.0 if second <= 12 else 0.0
        sim.server("a-1").gone = gone and second > 8
        reports, world = sim.tick()
        if without and second > 8:
            reports = tuple(_lacking(report, "replica:a-1") for report in reports)
        state, frame = fleet.step(state, reports, world, (managed(),), sim.now, second)
        if second > 17:
            qualities.append(reading(frame, names.ARRIVAL_RATE, names.GATEWAY)[1])
    return qualities


def _lacking(report: SourceReport, subject: str) -> SourceReport:
    """Return the report without one replica's count of answers."""
    key = (subject, raw.REQUESTS_OK)
    seen = tuple(one for one in report.observations if (one.key.subject, one.key.signal) != key)
    return replace(report, observations=seen)


def test_a_sum_over_replicas_that_lacks_one_of_them_cannot_witness_calm() -> None:
    assert calm(without=False) == [Quality.GOOD] * 3
    assert calm(without=True) == [Quality.STALE] * 3


def test_a_replica_that_is_gone_for_good_blinds_nobody_to_calm() -> None:
    assert calm(without=False, gone=True) == [Quality.GOOD] * 3
