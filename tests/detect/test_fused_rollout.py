"""Replicas of a rollout have names of their own: the fused score goes on through it."""

import numpy as np
import pytest
from fused_play import SIGNALS, SOON

from homeostat.base import names
from homeostat.base.evidence import Evidence, Quality, Score, SeriesKey, Signals, Verdict
from homeostat.base.types import TimeNs
from homeostat.detect.fused import Fused
from homeostat.detect.fused_columns import UNHEARD
from homeostat.detect.layout import layout
from homeostat.stats.arrays import to_bytes

GATEWAY = (names.ARRIVAL_RATE, names.LATENCY_P50)


class Rollout:
    """One deployment behind a gateway, whose pods come and go; their series stay in the frame.

    As in `signals`, where a series is dropped only after 600 ticks: until then it is unknown.
    """

    def __init__(self, pods: int = 3, seed: int = 3) -> None:
        self.chance = np.random.default_rng(seed)
        self.part, self.tick, self.layout = Fused(SOON), 0, layout(())
        self.state = self.part.init()
        self.pods = [f"pod-{number}" for number in range(pods)]
        self.ever = list(self.pods)
        self.off = 0.0
        self.learn = True

    def keys(self) -> tuple[SeriesKey, ...]:
        series = [("gateway", one) for one in GATEWAY]
        series += [(f"replica:{pod}", one) for pod in self.ever for one in SIGNALS]
        return tuple(SeriesKey(deployment="one", subject=a, signal=b) for a, b in series)

    def one(self) -> Score:
        self.tick += 1
        keys = self.keys()
        self.layout = layout(keys, self.layout)
        alive = {"gateway", *(f"replica:{pod}" for pod in self.pods)}
        values = np.array([
            self.chance.normal(10.0, 1.0) + (self.off if key.subject == "gateway" else 0.0)
            if key.subject in alive
            else np.nan
            for key in keys
        ])  # fmt: skip
        signals: Signals[object] = Signals(
            at=TimeNs(self.tick), tick=self.tick, keys=keys, values=values,
            age_ns=np.zeros(len(keys), dtype=np.int64), samples=np.ones(len(keys)),
            quality=(Quality.GOOD,) * len(keys), world=(),
        )  # fmt: skip
        told = Evidence(
            deployment="one", at=TimeNs(self.tick), tick=self.tick, readings=(), anomalies=(),
            forecasts=(), suspicions=(), slo_met=True, ready=True, world=None,
        )  # fmt: skip
        learn = frozenset({"one"}) if self.learn else frozenset()
        self.state, (out,) = self.part.step(
            self.state, signals, self.layout, (told,), learn, frozenset()
        )
        assert out.score is not None
        return out.score

    def play(self, ticks: int) -> list[Score]:
        return [self.one() for _ in range(ticks)]

    def rolled(self, release: str, each: int) -> list[Score]:
        """Replace all pods, one new one before an old one goes, some ticks apart."""
        out = []
        for number, old in enumerate(list(self.pods)):
            self.pods.append(f"{release}-{number}")
            self.ever.append(self.pods[-1])
            out += self.play(each)
            self.pods.remove(old)
            out += self.play(each)
        return out

    def columns(self) -> set[str]:
        ((owner,),) = [
            [name for place, name in enumerate(group.names) if group.owners[place]]
            for group in self.state.batches.groups.values()
            if any(group.owners)
        ]
        return {subject for subject, _ in owner}

    def width(self) -> int:
        return next(key[0] for key, group in self.state.batches.groups.items() if any(group.owners))


@pytest.fixture(scope="module")
def warm() -> Rollout:
    rollout = Rollout()
    rollout.play(260)
    return rollout


def branch(warm: Rollout) -> Rollout:
    other = Rollout(seed=4)
    other.state, other.tick, other.layout = warm.state, warm.tick, warm.layout
    return other


@pytest.mark.slow
def test_an_onset_outlives_two_rollouts_and_is_one(warm: Rollout) -> None:
    rollout = branch(warm)
    wide = rollout.width()
    rollout.off, rollout.learn = 12.0, False
    began = [one.since for one in rollout.play(20)][-1]
    assert began is not None
    out = rollout.rolled("b", 12) + rollout.rolled("c", 12)
    assert {one.since for one in out} == {began}
    assert {one.verdict for one in out} == {Verdict.ANOMALOUS}
    assert all(one.neg_log10_p is not None and one.neg_log10_p > 1.2 for one in out)
    assert rollout.width() == wide  # columns that are free again are used again
    rollout.play(UNHEARD + 1)
    alive = {"gateway", *(f"replica:{pod}" for pod in rollout.pods)}
    assert alive <= rollout.columns()


@pytest.mark.slow
def test_what_the_gateway_does_is_seen_right_after_two_rollouts(warm: Rollout) -> None:
    rollout = branch(warm)
    rollout.rolled("b", 12)
    rollout.rolled("c", 12)
    assert not any(one.since for one in rollout.play(10))
    rollout.off = 12.0
    assert any(one.since for one in rollout.play(12))


@pytest.mark.slow
def test_a_scale_up_moves_to_a_wider_row_with_its_past_and_its_onset(warm: Rollout) -> None:
    rollout = branch(warm)
    rollout.off, rollout.learn = 12.0, False
    began = rollout.play(20)[-1].since
    assert began is not None
    wide = rollout.width()
    rollout.pods += ["d-0", "d-1", "d-2", "d-3"]
    rollout.ever += rollout.pods[3:]
    assert wide < len(rollout.keys())
    out = rollout.play(40)
    assert rollout.width() > wide
    assert {one.since for one in out} == {began}
    assert all(one.neg_log10_p is not None and one.neg_log10_p > 1.2 for one in out)


@pytest.mark.slow
def test_a_deployment_that_moved_is_as_if_it_had_had_the_wider_row_all_along() -> None:
    """All that is known of single columns is the same to the last bit: seasons, looks, rarity.

    And so is what is said, but for how sums of other lengths are rounded.
    """
    narrow, wide = Rollout(), Rollout(seed=3)
    wide.ever += ["never-0", "never-1", "never-2", "never-3"]  # series without a value
    for one in (narrow, wide):
        one.play(90)
    wide.ever = wide.ever[:3]
    for one in (narrow, wide):
        one.pods += ["d-0", "d-1", "d-2", "d-3"]
        one.ever += one.pods[3:]
    assert narrow.width() < wide.width()
    for one in (narrow, wide):
        one.play(1)
    assert narrow.width() == wide.width()
    said = [[score.neg_log10_p for score in one.play(30)] for one in (narrow, wide)]
    assert said[0] == pytest.approx(said[1], rel=1e-6, abs=1e-9)
    assert max(one or 0.0 for one in said[0]) > 0.0
    rows = [_rows_of_three(one) for one in (narrow, wide)]
    assert rows[0] == rows[1]


def _rows_of_three(rollout: Rollout) -> list[bytes]:
    """Return the seasons, levels and scores of the gateway's and the first pods' columns."""
    width = rollout.width()
    group = next(group for group in rollout.state.batches.groups.values() if any(group.owners))
    place = group.owners.index("one")
    count = len(group.last)
    columns = np.arange(2 + 3 * len(SIGNALS)) + place * width
    rows = group.seen.stack.rows
    out = [to_bytes(part[..., columns].copy()) for part in rows.season if np.ndim(part)]
    looks = [
        np.concatenate([columns + look * count * width for look in range(size // (count * width))])
        for size in (rows.screen.count.shape[0], rows.rates.age.shape[0])
    ]
    out += [to_bytes(part[looks[0]]) for part in (rows.screen.level, rows.screen.spread)]
    out += [to_bytes(part[..., looks[1]].copy()) for part in rows.rates.table]
    return out
