"""One page at a time: what is believed, what is refused, and what that costs."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from fleet_sim import Counts, managed, observation, page_report, silent
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import names, raw
from homeostat.base.evidence import Kind, Quality, SourceReport
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.signals.fleet import Config, Fleet, FleetState
from homeostat.signals.frame import Frame

A = "replica:a-0"
T0 = 1_800_000_000 * SECOND


class Feed:
    """A replica's page fed by hand, 40 requests a tick; `tick` takes what the page says."""

    def __init__(self, config: Config | None = None, who: Managed | None = None) -> None:
        self.fleet = Fleet(config)
        self.state: FleetState = self.fleet.init()
        self.managed = who or managed()
        self.second, self.total = 0, 1_000.0
        self.epoch: float | None = 1_799_999_000.0

    @property
    def now(self) -> TimeNs:
        return TimeNs(T0 + self.second * SECOND)

    def page(self, total: float, errors: float = 0.0) -> SourceReport:
        page = Counts()
        page.add(raw.REQUESTS_ARRIVED, total)
        page.add(raw.REQUESTS_OK, total - errors)
        page.add(raw.REQUESTS_5XX, errors)
        page.add(raw.CPU_SECONDS, total / 100.0)
        return page_report("scrape", (A,), self.now, {A: page}, {}, self.epoch)

    def tick(self, *reports: SourceReport, world: Sequence[Snapshot] = ()) -> Frame:
        """Play one tick with these reports; the caller stamped them."""
        self.second += 1
        return self.step(*reports, world=world)

    def step(
        self, *reports: SourceReport, world: Sequence[Snapshot] = (), tick: int | None = None
    ) -> Frame:
        self.state, frame = self.fleet.step(
            self.state, reports, world, (self.managed,), self.now, tick or self.second
        )
        return frame

    def say(self, total: float, *, errors: float = 0.0, world: Sequence[Snapshot] = ()) -> Frame:
        """Play one tick on which the page says this."""
        self.second += 1
        return self.step(self.page(total, errors), world=world)

    def run(self, ticks: int, rate: float = 40.0) -> Frame:
        frames = []
        for _ in range(ticks):
            self.total += rate
            frames.append(self.say(self.total))
        return frames[-1]


def reading(frame: Frame, signal: str, subject: str = A) -> tuple[float, Quality]:
    signals = frame.signals
    for row, key in enumerate(signals.keys):
        if (key.subject, key.signal) == (subject, signal):
            return float(signals.values[row]), signals.quality[row]
    raise AssertionError(f"no series {subject} {signal}")


def world(incarnation: int, at: TimeNs, version: str = "v2") -> Snapshot:
    replica = Replica(
        name="a-0", pool="a", version=version, state=ReplicaState.READY, incarnation=incarnation
    )
    return Snapshot(
        deployment="credit", observed_at=at, replicas=(replica,), releases=(), levers=(), stamps=()
    )


def test_a_rate_is_increments_over_the_time_they_cover() -> None:
    frame = Feed().run(8, rate=64.0)
    assert reading(frame, names.ARRIVAL_RATE) == (64.0, Quality.GOOD)


def test_the_first_page_has_no_rate_yet_and_says_so() -> None:
    value, quality = reading(Feed().run(1), names.ARRIVAL_RATE)
    assert math.isnan(value)
    assert quality is Quality.FEW


def test_a_missed_round_loses_no_request_and_invents_none() -> None:
    feed = Feed()
    feed.run(10, rate=64.0)
    feed.tick()
    feed.total += 64.0  # the requests of the second nobody looked at
    value, quality = reading(feed.run(1, rate=64.0), names.ARRIVAL_RATE)
    assert (value, quality) == (64.0, Quality.GOOD)


def test_a_silent_page_is_believed_for_two_scrapes_and_unknown_after_that() -> None:
    feed = Feed()
    feed.run(10)
    qualities = []
    for _ in range(4):
        feed.second += 1
        report = silent(feed.page(feed.total), Quality.UNREACHABLE)
        frame = feed.step(report)
        qualities.append(reading(frame, names.ERROR_RATIO)[1])
    assert qualities == [Quality.GOOD, Quality.GOOD, Quality.UNREACHABLE, Quality.UNREACHABLE]


def test_a_source_that_is_not_even_asked_makes_its_series_stale() -> None:
    feed = Feed()
    feed.run(10)
    frame = [feed.tick() for _ in range(4)][-1]
    value, quality = reading(frame, names.ERROR_RATIO)
    assert math.isnan(value)
    assert quality is not Quality.GOOD


def test_a_restart_with_a_new_start_time_is_a_new_baseline_without_negative_rates() -> None:
    feed = Feed()
    feed.run(10, rate=64.0)
    feed.epoch, feed.total = 1_800_000_005.0, 0.0
    first = reading(feed.say(7.0), names.ARRIVAL_RATE)
    assert first[1] is not Quality.GOOD
    feed.total = 7.0
    assert reading(feed.run(3, rate=64.0), names.ARRIVAL_RATE) == (64.0, Quality.GOOD)


def test_a_warm_spare_started_within_the_same_second_is_explained_by_its_incarnation() -> None:
    feed = Feed()
    feed.run(6, rate=64.0)
    feed.tick(world=(world(1, feed.now),))
    feed.epoch = None
    frame = feed.say(5.0, world=(world(2, feed.now),))
    assert frame.pages[0].quality is Quality.GOOD
    feed.total = 5.0
    assert reading(feed.run(2, rate=64.0), names.ARRIVAL_RATE) == (64.0, Quality.GOOD)


def test_counters_that_go_back_without_a_restart_are_absurd() -> None:
    feed = Feed()
    feed.run(10)
    frame = [feed.say(low) for low in (500.0, 510.0, 520.0)][-1]
    value, quality = reading(frame, names.ARRIVAL_RATE)
    assert math.isnan(value)
    assert quality is Quality.ABSURD


def test_a_page_of_zeros_is_absurd_for_ever_while_the_process_is_the_same() -> None:
    feed = Feed()
    feed.run(10)
    qualities = {reading(feed.say(0.0), names.ERROR_RATIO)[1] for _ in range(30)}
    assert qualities == {Quality.GOOD, Quality.ABSURD}  # good only while the last page is fresh
    feed.total += 30 * 40.0
    assert reading(feed.run(1), names.ERROR_RATIO)[1] is Quality.GOOD


def test_a_zero_page_without_a_start_time_is_not_taken_for_a_restart() -> None:
    feed = Feed()
    feed.run(10)
    feed.epoch = 0.0
    frame = [feed.say(0.0) for _ in range(4)][-1]
    assert reading(frame, names.ERROR_RATIO)[1] is Quality.ABSURD


def test_a_counter_that_stays_low_and_moves_becomes_the_new_baseline() -> None:
    feed = Feed()
    feed.epoch = None  # a source that cannot say when the process started
    feed.run(10, rate=64.0)
    feed.total = 3.0
    frame = feed.run(12, rate=64.0)
    assert reading(frame, names.ARRIVAL_RATE) == (64.0, Quality.GOOD)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1.0, 2.0**54])
def test_a_counter_that_is_no_count_is_absurd(bad: float) -> None:
    feed = Feed()
    feed.run(10)
    frame = feed.run(1)
    for _ in range(3):
        feed.second += 1
        feed.total += 40.0
        report = feed.page(feed.total)
        broken = tuple(
            replace(one, value=bad) if one.key.signal == raw.REQUESTS_5XX else one
            for one in report.observations
        )
        frame = feed.step(replace(report, observations=broken))
    assert reading(frame, names.ERROR_RATIO)[1] is Quality.ABSURD
    # The rest of the page is what it was.
    assert reading(frame, names.ARRIVAL_RATE)[1] is Quality.GOOD


def test_a_clock_that_goes_back_starts_a_new_baseline_and_makes_no_negative_rate() -> None:
    feed = Feed()
    feed.run(10, rate=64.0)
    feed.second -= 3_600  # ticks go on rising, the clock does not
    rates = []
    for tick in range(11, 20):
        feed.second += 1
        feed.total += 64.0
        report = feed.page(feed.total)
        frame = feed.step(report, tick=tick)
        value, quality = reading(frame, names.ARRIVAL_RATE)
        rates.append(value)
        assert (quality is Quality.GOOD) == math.isfinite(value)
    assert rates[-1] == 64.0
    assert all(math.isnan(rate) or rate == 64.0 for rate in rates)


def test_the_same_round_read_twice_is_no_news() -> None:
    feed = Feed()
    feed.run(10)
    report = feed.page(feed.total)
    frame = feed.run(1)
    for tick in range(11, 15):
        feed.second += 1
        frame = feed.step(report, tick=tick)
    assert reading(frame, names.ERROR_RATIO)[1] is Quality.STALE


def test_a_page_from_the_future_is_not_believed() -> None:
    feed = Feed()
    feed.run(10)
    feed.second += 600
    report = feed.page(feed.total + 40.0)
    feed.second -= 599
    frame = feed.step(report, tick=11)
    assert frame.pages[0].age_ns == SECOND  # still the page before


def test_two_sources_that_claim_one_series_contradict_each_other() -> None:
    feed = Feed()
    feed.run(10)
    frame = feed.run(1)
    for tick in range(11, 15):
        feed.second += 1
        feed.total += 40.0
        one = feed.page(feed.total)
        other = replace(one, source="another", observations=tuple(
            replace(seen, source="another", value=seen.value + 1.0) for seen in one.observations
        ))  # fmt: skip
        frame = feed.step(one, other, tick=tick)
    assert reading(frame, names.ARRIVAL_RATE)[1] is Quality.ABSURD


def test_too_few_requests_are_not_judged() -> None:
    value, quality = reading(Feed().run(25, rate=0.5), names.ERROR_RATIO)
    assert math.isnan(value)
    assert quality is Quality.FEW


def test_refused_requests_are_no_failures() -> None:
    feed = Feed()
    frame = None
    for step in range(1, 10):
        feed.second += 1
        page = Counts()
        for signal, value in {
            raw.REQUESTS_ARRIVED: 50.0,
            raw.REQUESTS_OK: 30.0,
            raw.REQUESTS_5XX: 20.0,
            raw.REQUESTS_REFUSED: 15.0,
        }.items():
            page.add(signal, value * step)
        report = page_report("scrape", (A,), feed.now, {A: page}, {}, feed.epoch)
        frame = feed.step(report)
    assert frame is not None
    assert reading(frame, names.ERROR_RATIO)[0] == pytest.approx(5.0 / 35.0)
    assert reading(frame, names.REFUSED_RATIO)[0] == pytest.approx(0.3)


def test_a_version_change_empties_the_window() -> None:
    feed = Feed()
    for step in range(8):
        feed.say(1_000.0 + 40.0 * step, errors=20.0 * step, world=(world(1, feed.now),))
    feed.say(1_320.0, errors=140.0, world=(world(1, feed.now, "v1"),))
    frame = feed.say(1_360.0, errors=140.0, world=(world(1, feed.now, "v1"),))
    assert reading(frame, names.ERROR_RATIO) == (0.0, Quality.GOOD)


def test_series_beyond_the_limit_are_refused_and_the_first_ones_live_on() -> None:
    feed = Feed(Config(most_series=16))
    feed.run(5)
    many = tuple(
        observation("flood", f"replica:x-{n}", raw.QUEUE, 1.0, feed.now) for n in range(5_000)
    )
    flood = SourceReport(
        source="flood", at=feed.now, observations=many, subjects=(), quality=Quality.GOOD
    )
    feed.tick(flood)
    assert len(feed.state.table.index) == 16
    assert feed.state.table.refused == 5_000 - 12
    assert reading(feed.run(6, rate=64.0), names.ARRIVAL_RATE)[1] is Quality.GOOD


def test_label_churn_does_not_grow_the_table() -> None:
    feed = Feed(Config(forget_ticks=30))
    sizes = []
    for churn in range(200):
        seen = tuple(
            observation(
                "churn", f"replica:x-{churn}-{n}", raw.QUEUE, 1.0, TimeNs(feed.now + SECOND)
            )
            for n in range(4)
        )
        feed.tick(
            SourceReport(
                source="churn", at=feed.now, observations=seen, subjects=(), quality=Quality.GOOD
            )
        )
        sizes.append(len(feed.state.table.ids))
    assert max(sizes) <= 256
    assert sizes[-1] == sizes[100]


def test_series_of_a_page_that_stays_silent_are_unknown_and_not_forgotten() -> None:
    feed = Feed(Config(forget_ticks=30))
    feed.run(10)
    quiet = silent(feed.page(feed.total), Quality.UNREACHABLE)
    frame = [feed.tick(quiet) for _ in range(100)][-1]
    assert reading(frame, names.ERROR_RATIO)[1] is Quality.UNREACHABLE
    assert frame.pages[0].quality is Quality.UNREACHABLE


hostile = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from([A, names.GATEWAY, "pool:a"]),
                st.sampled_from([raw.REQUESTS_OK, raw.REQUESTS_5XX, raw.LATENCY, raw.CPU_SECONDS,
                                 raw.GATEWAY_UPTIME, names.PROBE_HEALTH]),
                hostile,
                st.integers(-10, 10),
                st.sampled_from([None, 1.0, math.inf, math.nan]),
                st.sampled_from([None, 0.0, 1.0, 5.0, math.nan]),
            ),
            max_size=12,
        ),
        max_size=8,
    )
)  # fmt: skip
def test_whatever_a_page_says_no_step_fails_and_no_unbelieved_value_is_a_number(
    pages: list[list[tuple[str, str, float, int, float | None, float | None]]],
) -> None:
    fleet, state = Fleet(), Fleet().init()
    for tick, page in enumerate(pages, start=1):
        now = TimeNs(T0 + tick * SECOND)
        seen = tuple(
            observation(
                "s",
                subject,
                signal,
                value,
                TimeNs(now + shift * SECOND),
                Kind.BUCKET if signal == raw.LATENCY else Kind.COUNTER,
                le=le if signal == raw.LATENCY else None,
                epoch=epoch,
            )
            for subject, signal, value, shift, le, epoch in page
        )
        report = SourceReport(
            source="s", at=now, observations=seen, subjects=(A,), quality=Quality.GOOD
        )
        state, frame = fleet.step(state, (report,), (), (managed(),), now, tick)
        good = np.array([quality is Quality.GOOD for quality in frame.signals.quality], dtype=bool)
        assert np.isfinite(frame.signals.values[good]).all()
        assert np.isnan(frame.signals.values[~good]).all()
        assert (frame.signals.values[good] >= 0.0).all() or names.PROBE_HEALTH in {
            key.signal for key in frame.signals.keys
        }
