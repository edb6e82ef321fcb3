"""New events of predictions, features and activations: each once, or why they are not known."""

import numpy as np
from fleet_sim import START, FleetSim, managed

from homeostat.base import raw
from homeostat.base.evidence import Quality
from homeostat.signals.fleet import Fleet
from homeostat.signals.frame import Histogram

HEAD = raw.activation("mean:head")
BOUNDS = (-1.0, 0.0, 1.0, np.inf)


class Feed:
    """A fleet whose servers count the activations of one layer."""

    def __init__(self) -> None:
        self.sim, self.fleet = FleetSim(7), Fleet()
        self.state = self.fleet.init()
        self.rng = np.random.default_rng(8)
        for server in self.sim.servers:
            server.page.observe(HEAD, BOUNDS, ())

    def tick(self) -> dict[str, Histogram]:
        for server in self.sim.servers:
            values = self.rng.standard_normal(int(self.rng.integers(20, 40)))
            server.page.observe(HEAD, BOUNDS, values.tolist())
        reports, world = self.sim.tick()
        self.state, frame = self.fleet.step(
            self.state, reports, world, (managed(),), self.sim.now, self.sim.second
        )
        self.shown = [one for one in frame.fresh if one.signal != HEAD]
        assert raw.activation_name(HEAD) == "mean:head"
        assert all(raw.activation_name(one.signal) is None for one in frame.histograms)
        # What has a window has new events too, of the same bins.
        cuts = [(one.subject, one.signal, one.bounds) for one in frame.histograms]
        assert [(one.subject, one.signal, one.bounds) for one in self.shown] == cuts
        return {one.subject: one for one in frame.fresh if one.signal == HEAD}

    def counted(self, name: str) -> np.ndarray:
        return np.array(self.sim.server(name).page.buckets[HEAD][1], dtype=float)


def test_each_event_is_told_once() -> None:
    feed = Feed()
    first = feed.tick()
    assert {one.quality for one in first.values()} <= {Quality.FEW, Quality.MISSING}
    assert all(np.isnan(one.counts).all() for one in first.values())
    before = feed.counted("a-1")
    total = np.zeros(4)
    for _ in range(30):
        one = feed.tick()["replica:a-1"]
        assert one.quality is Quality.GOOD
        assert one.bounds == BOUNDS
        assert one.counts.sum() >= 20.0
        total += one.counts
    assert total.tolist() == (feed.counted("a-1") - before).tolist()


def test_predictions_and_features_are_told_once_too() -> None:
    feed = Feed()
    feed.tick()
    page = feed.sim.server("a-1").page
    signals = sorted({one.signal for one in feed.shown})
    assert raw.PREDICTION in signals
    assert any(raw.feature_name(signal) for signal in signals)
    before = {signal: np.array(page.buckets[signal][1], dtype=float) for signal in signals}
    total = {signal: np.zeros(len(before[signal])) for signal in signals}
    for _ in range(20):
        feed.tick()
        for one in feed.shown:
            if one.subject == "replica:a-1":
                assert one.quality is Quality.GOOD
                total[one.signal] += one.counts
    for signal in signals:
        now = np.array(page.buckets[signal][1], dtype=float)
        assert total[signal].tolist() == (now - before[signal]).tolist()


def test_what_is_not_read_is_unknown_and_told_when_it_is_read_again() -> None:
    feed = Feed()
    for _ in range(5):
        feed.tick()
    before = feed.counted("a-1")
    feed.sim.outage["scrape-a-1"] = "503"
    for _ in range(3):
        one = feed.tick()["replica:a-1"]
        assert one.quality is not Quality.GOOD
        assert np.isnan(one.counts).all()
    assert feed.tick()["replica:a-2"].quality is Quality.GOOD
    feed.sim.outage.clear()
    back = feed.tick()["replica:a-1"]
    assert back.quality is Quality.GOOD
    assert back.counts.tolist() == (feed.counted("a-1") - before).tolist()


def test_a_process_that_began_again_is_unknown_for_a_tick_and_never_negative() -> None:
    feed = Feed()
    for _ in range(5):
        feed.tick()
    feed.sim.server("a-1").restart(START / 1e9 + feed.sim.second)
    feed.sim.server("a-1").page.observe(HEAD, BOUNDS, ())
    seen = [feed.tick()["replica:a-1"] for _ in range(3)]
    assert all(one.quality is not Quality.GOOD or (one.counts >= 0.0).all() for one in seen)
    assert seen[-1].quality is Quality.GOOD
