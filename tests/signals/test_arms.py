"""What each pool served since the tick before: exact increments, or nothing at all."""

from dataclasses import replace
from typing import Any

import pytest
from fleet_sim import FleetSim, managed

from homeostat.base import names, raw
from homeostat.base.budgets import SloSpec
from homeostat.base.evidence import (
    Increments,
    Kind,
    Observation,
    Quality,
    SeriesKey,
    SourceReport,
)
from homeostat.base.policy import CanaryPolicy
from homeostat.base.units import TimeNs
from homeostat.signals.fleet import Fleet, FleetState

TRYING = replace(managed(), canary=CanaryPolicy(pool="b"))


def labels(
    counts: tuple[float, float], now: TimeNs, *, subjects: tuple[str, ...] = (names.MODEL,)
) -> SourceReport:
    """Return what a source of labels says: how many were told, and right, since it began."""
    observations = tuple(
        Observation(
            source="labels", key=SeriesKey(deployment="credit", subject=subject, signal=signal),
            kind=Kind.COUNTER, value=value, observed_at=now, epoch=1.0,
        )
        for subject in subjects
        for signal, value in zip((raw.LABELS_TOLD, raw.LABELS_RIGHT), counts, strict=True)
    )  # fmt: skip
    return SourceReport(
        source="labels", at=now, observations=observations, subjects=subjects,
        quality=Quality.GOOD, detail="",
    )  # fmt: skip


class Feed:
    """A fleet, its signals, and what the gateway really served."""

    def __init__(self, seed: int = 3) -> None:
        self.who = TRYING
        self.sim, self.fleet = FleetSim(seed), Fleet()
        self.state: FleetState = self.fleet.init()
        self.sim.server("b-0").failure_ratio = 0.4
        self.sim.weight_b = 0.3

    def tick(self, count: int = 1) -> dict[str, Increments]:
        found: tuple[Increments, ...] = ()
        for _ in range(count):
            reports, world = self.sim.tick()
            self.state, frame = self.fleet.step(
                self.state, reports, world, (self.who,), self.sim.now, self.sim.second
            )
            found = frame.increments["credit"]
        return {one.pool: one for one in found}

    def served(self, pool: str) -> tuple[float, float]:
        page = self.sim.gateway[f"pool:{pool}"].plain
        failed = page[raw.REQUESTS_5XX] - page[raw.REQUESTS_REFUSED]
        return page[raw.REQUESTS_OK] + failed, failed


def test_increments_add_up_to_what_the_gateway_served() -> None:
    feed = Feed()
    feed.tick()
    before = feed.served("b")
    answered = failed = slow = 0.0
    for _ in range(20):
        one = feed.tick()["b"]
        assert one.answered is not None
        assert one.failed is not None
        assert one.seconds == pytest.approx(1.0)
        answered, failed = answered + one.answered, failed + one.failed
        within = [count for _, count in one.latency]
        assert within == sorted(within)
        slow += within[-1] - dict(one.latency)[5.0]
    after = feed.served("b")
    assert (answered, failed) == (after[0] - before[0], after[1] - before[1])
    assert failed > 0
    assert 0 < slow <= answered


@pytest.mark.parametrize("how", ["503", "html", "zero", "nan"])
def test_what_was_not_read_is_unknown_and_what_was_missed_is_told_with_its_time(how: str) -> None:
    feed = Feed()
    feed.tick(5)
    before = feed.served("b")
    feed.sim.outage["envoy"] = how
    for _ in range(3):
        for one in feed.tick().values():
            assert (one.answered, one.failed, one.seconds, one.latency) == (None, None, None, ())
            assert one.quality is not Quality.GOOD
    feed.sim.outage.clear()
    back = feed.tick()
    after = feed.served("b")
    assert (back["b"].answered, back["b"].failed) == (after[0] - before[0], after[1] - before[1])
    assert back["b"].seconds == back["a"].seconds == pytest.approx(4.0)


def test_a_gateway_that_starts_again_gains_nothing_on_that_tick() -> None:
    feed = Feed()
    feed.tick(5)
    for page in feed.sim.gateway.values():  # a new process counts from nothing
        page.plain = dict.fromkeys(page.plain, 0.0)
        page.buckets = {key: (bounds, [0] * len(n)) for key, (bounds, n) in page.buckets.items()}
    assert all(one.answered is None for one in feed.tick().values())


def test_the_first_round_is_no_increment() -> None:
    assert all(one.answered is None for one in Feed().tick().values())


def test_an_error_budget_asks_for_the_whole_of_a_deployment_and_for_no_pool() -> None:
    spec = SloSpec(
        name="errors", signal="errors", subject="gateway", target_ppm=990_000, window_ns=10**15
    )
    feed = Feed()
    feed.who = replace(managed(), fallback_pool=None, slos=(spec,))
    feed.tick()
    page = feed.sim.gateway["gateway"].plain
    before = page[raw.REQUESTS_OK], page[raw.REQUESTS_5XX], page[raw.REQUESTS_REFUSED]
    found = feed.tick()
    assert list(found) == [""]
    page = feed.sim.gateway["gateway"].plain
    after = page[raw.REQUESTS_OK], page[raw.REQUESTS_5XX], page[raw.REQUESTS_REFUSED]
    well, failed, refused = (new - old for new, old in zip(after, before, strict=True))
    assert found[""].answered == well + failed - refused
    assert found[""].failed == failed - refused


def test_labels_that_became_known_are_told_with_the_whole_of_a_deployment() -> None:
    spec = SloSpec(
        name="errors", signal="errors", subject="gateway", target_ppm=990_000, window_ns=10**15
    )
    sim, fleet = FleetSim(3), Fleet()
    state, who = fleet.init(), replace(managed(), slos=(spec,))
    found = []
    for counts in ((0.0, 0.0), (0.0, 0.0), (7.0, 6.0), None, (17.0, 11.0)):
        reports, world = sim.tick()
        if counts is not None:
            reports = (*reports, labels(counts, sim.now))
        state, frame = fleet.step(state, reports, world, (who,), sim.now, sim.second)
        (whole,) = (one for one in frame.increments["credit"] if not one.pool)
        found.append((whole.labelled, whole.right))
    # The first say from where it is counted; what was missed is told by the next that was read.
    assert found[2:] == [(7.0, 6.0), (None, None), (10.0, 5.0)]


def test_labels_of_a_pool_are_told_with_that_pool_and_unread_ones_are_unknown() -> None:
    feed = Feed()
    tick, both = feed.sim.tick, tuple(map(names.model_of, "ab"))
    counts: tuple[float, float] | None = (0.0, 0.0)

    def told() -> Any:
        reports, world = tick()
        return (
            (*reports, labels(counts, feed.sim.now, subjects=both)) if counts else reports,
            world,
        )

    feed.sim.tick = told  # type: ignore[method-assign]
    feed.tick(2)
    found = []
    for now in ((7.0, 6.0), None, (17.0, 11.0)):
        counts = now
        found.append([(one.labelled, one.right, one.judged) for one in feed.tick().values()])
    known = [(7.0, 6.0, True), (None, None, True), (10.0, 5.0, True)]
    assert found == [[one, one] for one in known]


def test_a_pool_of_which_no_label_is_counted_has_none() -> None:
    assert all((one.labelled, one.judged) == (None, False) for one in Feed().tick(3).values())


@pytest.mark.parametrize("missing", ["fallback_pool", "traffic_actuator"])
def test_nobody_asks_for_them_where_no_traffic_can_be_shifted(missing: str) -> None:
    sim, fleet = FleetSim(1), Fleet()
    reports, world = sim.tick()
    who = replace(managed(), **{missing: None})  # type: ignore[arg-type]
    _, frame = fleet.step(fleet.init(), reports, world, (who,), sim.now, 1)
    assert frame.increments == {}


def test_a_fallback_pool_is_counted_beside_the_one_that_traffic_would_leave() -> None:
    feed = Feed()
    feed.who = managed()
    feed.tick()
    assert set(feed.tick()) == {"a", "b"}


def test_replicas_are_counted_one_by_one_while_one_has_a_setting_of_its_own() -> None:
    feed = Feed()
    tick = feed.sim.tick
    own: dict[str, int] = {}

    def told() -> Any:
        reports, world = tick()
        levers = [(*one.levers, *own.items()) for one in world]
        return reports, tuple(
            replace(one, levers=tuple(sorted(lever)))
            for one, lever in zip(world, levers, strict=True)
        )

    feed.sim.tick = told  # type: ignore[method-assign]
    assert set(feed.tick(2)) == {"a", "b"}
    own["batch_max.a-0"] = 0
    assert set(feed.tick()) == {"a", "b"}
    own["batch_max.a-0"] = 16
    found = feed.tick()
    alone = {name for name in found if name.startswith("replica:")}
    assert set(found) == {"a", "b"} | alone
    assert {name for name in alone if name.startswith("replica:b")} == {"replica:b-0"}
    assert len(alone) > 2
    assert all(found[name].answered and found[name].latency and found[name].timed for name in alone)
    feed.who = managed()
    assert set(feed.tick()) == {"a", "b"}, "nobody compares anything"
