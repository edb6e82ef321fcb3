import functools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import names, raw
from homeostat.base.evidence import Quality, Reading, Verdict
from homeostat.base.policy import GuardPolicy, Managed, Mode, Objective
from homeostat.base.types import TimeNs
from homeostat.base.world import Release, Replica, ReplicaState, Snapshot
from homeostat.detect.shift import Shift, Shifted, ShiftState
from homeostat.detect.shift_case import Case

BOUNDS = (0.25, 0.5, 0.75, 1.0, np.inf)
USUAL = np.array([0.4, 0.3, 0.2, 0.1, 0.0])
MOVED = np.array([0.1, 0.2, 0.3, 0.4, 0.0])
CONSTANT = np.array([0.0, 1.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True)
class Page:
    subject: str
    signal: str
    counts: np.ndarray
    deployment: str = "credit"
    bounds: tuple[float, ...] = BOUNDS
    quality: Quality = Quality.GOOD


def managed(*, evidence_rules: bool = True) -> Managed:
    return Managed(
        name="credit", mode=Mode.AUTO, scrape_ns=1_000_000_000,
        objective=Objective(latency_p95_ms=250.0, error_ratio=0.01), stable_pool="a",
        fallback_pool="b", scale_actuator="host", traffic_actuator=None, replica_usd_per_hour=1.0,
        guard=GuardPolicy(evidence_rules=evidence_rules), policy_digest="",
    )  # fmt: skip


def world(version: str = "v2") -> Snapshot:
    return Snapshot(
        deployment="credit",
        observed_at=TimeNs(0),
        replicas=tuple(
            Replica(name=f"a-{n}", pool="a", version=version, state=ReplicaState.READY,
                    incarnation=1)
            for n in range(2)
        ),
        releases=tuple(
            Release(pool="a", version=one, since=TimeNs(at))
            for at, one in enumerate(dict.fromkeys(("v1", "v2", version)))
        ),
        levers=(),
        stamps=(),
    )  # fmt: skip


@dataclass
class Watch:
    """The detector with its state, fed with samples of given shapes."""

    seed: int = 1
    evidence_rules: bool = True
    part: Shift = field(default_factory=Shift)
    state: ShiftState = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def see(
        self,
        predictions: np.ndarray,
        features: np.ndarray = USUAL,
        *,
        events: int = 200,
        version: str = "v2",
        learn: bool = True,
        invalid: float = 0.0,
    ) -> Shifted:
        pages = [
            Page(f"replica:a-{n}", signal, self.rng.multinomial(events, shape).astype(float))
            for n in range(2)
            for signal, shape in (
                (raw.PREDICTION, predictions),
                (raw.feature("income"), features),
                (raw.feature("age"), USUAL),
            )
        ]
        broken = {("credit", f"replica:a-{n}"): invalid for n in range(2)}
        return self.judge(pages, broken, version=version, learn=learn)

    def judge(
        self,
        pages: list[Page],
        invalid: dict[tuple[str, str], float],
        *,
        version: str = "v2",
        learn: bool = True,
    ) -> Shifted:
        who = managed(evidence_rules=self.evidence_rules)
        self.state, out = self.part.step(self.state, pages, invalid, who, world(version), learn)
        return out

    def warmed(self, ticks: int = 30) -> "Watch":
        for _ in range(ticks):
            self.see(USUAL)
        return self


def of(shifted: Shifted, signal: str) -> Reading:
    return next(reading for reading in shifted.readings if reading.signal == signal)


def test_before_there_is_a_reference_nothing_is_known() -> None:
    reading = of(Watch().see(USUAL), names.PREDICTION_SHIFT)
    assert (reading.verdict, reading.value) == (Verdict.UNKNOWN, None)


@pytest.mark.slow
def test_healthy_windows_stay_healthy_for_a_thousand_ticks() -> None:
    watch = Watch().warmed()
    verdicts = {reading.verdict for _ in range(1_000) for reading in watch.see(USUAL).readings}
    assert verdicts == {Verdict.HEALTHY}


@pytest.mark.parametrize("shape", [MOVED, CONSTANT], ids=["moved", "constant"])
def test_moved_predictions_are_seen_at_once_and_features_are_not_blamed(shape: np.ndarray) -> None:
    out = Watch().warmed().see(shape)
    moved = of(out, names.PREDICTION_SHIFT)
    assert moved.verdict is Verdict.ANOMALOUS
    assert moved.value == pytest.approx(float(0.5 * np.abs(shape - USUAL).sum()), abs=0.1)
    assert of(out, names.FEATURE_SHIFT).verdict is Verdict.HEALTHY
    assert [claim.signal for claim in out.anomalies] == [names.PREDICTION_SHIFT]


def test_inputs_that_came_back_before_their_predictions_were_away_lately() -> None:
    watch = Watch().warmed()
    watch.see(MOVED, MOVED)
    out = watch.see(MOVED)
    assert of(out, names.FEATURE_SHIFT).verdict is Verdict.HEALTHY
    assert of(out, names.FEATURE_SHIFT_LATELY).value == pytest.approx(0.4, abs=0.1)
    for _ in range(20):
        out = watch.see(MOVED)
    assert of(out, names.FEATURE_SHIFT_LATELY).value == 0.0


def test_what_changes_too_slowly_to_be_seen_at_once_is_seen_against_hours() -> None:
    watch = Watch().warmed(60)
    out = watch.see(USUAL, events=4_000)
    for tick in range(400):
        out = watch.see(USUAL + tick / 800.0 * (MOVED - USUAL), events=4_000)
    assert of(out, names.PREDICTION_SHIFT).verdict is Verdict.HEALTHY
    near, far = of(out, names.PREDICTION_SHIFT).value, of(out, names.PREDICTION_SHIFT_LONG).value
    assert near is not None
    assert far is not None
    assert far > 0.08 > 2.0 * near
    assert (of(out, names.FEATURE_SHIFT_LONG).value or 1.0) < 0.05


def test_predictions_and_inputs_are_held_against_the_same_hour() -> None:
    """Both of a season move slowly, predictions farther; neither is followed without the other."""
    watch = Watch().warmed()
    ratios = []
    for tick in range(120):
        away = min(tick / 40.0, 1.0)
        predictions = USUAL + away * (MOVED - USUAL)
        features = USUAL + 0.6 * away * (MOVED - USUAL)
        out = watch.see(predictions, features, events=4_000)
        moved = of(out, names.PREDICTION_SHIFT)
        if moved.verdict is Verdict.ANOMALOUS and moved.value:
            ratios.append((of(out, names.FEATURE_SHIFT).value or 0.0) / moved.value)
    assert len(ratios) > 80  # the season is quick enough to be told
    assert min(ratios) > 0.5


def test_the_largest_feature_distance_is_the_one_that_is_told() -> None:
    reading = of(Watch().warmed().see(USUAL, MOVED), names.FEATURE_SHIFT)
    assert reading.verdict is Verdict.ANOMALOUS
    assert reading.value == pytest.approx(0.4, abs=0.1)


def test_a_small_window_does_not_alarm_however_odd_it_looks() -> None:
    reading = of(Watch().warmed().see(MOVED, events=11), names.PREDICTION_SHIFT)
    assert reading.verdict is Verdict.HEALTHY
    assert reading.value is not None
    assert reading.value > 0.3


def test_fewer_events_than_the_policy_asks_for_are_unknown() -> None:
    reading = of(Watch().warmed().see(CONSTANT, events=9), names.PREDICTION_SHIFT)
    assert (reading.verdict, reading.quality) == (Verdict.UNKNOWN, Quality.FEW)


def test_a_shift_is_never_learnt_however_long_it_lasts() -> None:
    watch = Watch().warmed()
    verdicts = [of(watch.see(MOVED), names.PREDICTION_SHIFT).verdict for _ in range(400)]
    assert set(verdicts) == {Verdict.ANOMALOUS}


def test_nothing_is_learnt_while_it_may_not() -> None:
    watch = Watch()
    seen = [of(watch.see(USUAL, learn=False), names.PREDICTION_SHIFT) for _ in range(100)]
    assert {reading.verdict for reading in seen} == {Verdict.UNKNOWN}


def test_a_new_version_is_held_against_the_one_before_it() -> None:
    watch = Watch().warmed()
    assert of(watch.see(CONSTANT, version="v3"), names.PREDICTION_SHIFT).verdict is (
        Verdict.ANOMALOUS
    )
    assert of(watch.see(USUAL, version="v3"), names.PREDICTION_SHIFT).verdict is Verdict.HEALTHY


def test_predictions_that_are_no_numbers_are_counted_against_all() -> None:
    out = Watch().warmed().see(USUAL, invalid=50.0)
    share = of(out, names.INVALID_SHARE)
    assert share.value == pytest.approx(100.0 / 500.0)
    assert share.verdict is Verdict.ANOMALOUS


def test_one_odd_prediction_is_no_broken_model() -> None:
    assert of(Watch().warmed().see(USUAL, events=20, invalid=1.0), names.INVALID_SHARE).verdict is (
        Verdict.HEALTHY
    )


def silenced(quality: Quality) -> list[Page]:
    return [
        Page(f"replica:a-{n}", signal, np.full(5, np.nan), quality=quality)
        for n in range(2)
        for signal in (raw.PREDICTION, raw.feature("income"))
    ]


def test_pages_that_cannot_be_believed_make_every_distance_unknown() -> None:
    out = Watch().warmed().judge(silenced(Quality.STALE), {})
    assert {reading.verdict for reading in out.readings} == {Verdict.UNKNOWN}
    assert {reading.value for reading in out.readings} == {None}


def test_with_the_evidence_rules_off_an_absent_histogram_has_nothing_in_common_with_the_usual() -> (
    None
):
    out = Watch(evidence_rules=False).warmed().judge(silenced(Quality.STALE), {})
    assert of(out, names.PREDICTION_SHIFT).value == 1.0
    assert of(out, names.FEATURE_SHIFT).value == 0.0


def test_pages_cut_differently_are_not_added_up() -> None:
    watch = Watch().warmed()
    pages = [
        Page("replica:a-0", raw.PREDICTION, np.full(5, 50.0)),
        Page("replica:a-1", raw.PREDICTION, np.full(3, 50.0), bounds=(0.5, 1.0, np.inf)),
    ]
    assert of(watch.judge(pages, {}), names.PREDICTION_SHIFT).verdict is Verdict.UNKNOWN


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=5, max_size=5))
def test_a_distance_is_a_share(counts: list[int]) -> None:
    watch = Watch().warmed(15)
    page = Page("replica:a-0", raw.PREDICTION, np.array(counts, dtype=float))
    reading = of(watch.judge([page], {}), names.PREDICTION_SHIFT)
    assert reading.value is None or 0.0 <= reading.value <= 1.0
    assert (reading.value is None) == (sum(counts) < 20)


def test_a_tick_leaves_the_state_before_it_as_it_was() -> None:
    watch = Watch().warmed(12)
    before, kept = watch.state, dict(watch.state)
    watch.state = watch.part.opened(before)
    watch.see(USUAL)
    assert watch.state is not before
    assert all(before[key] is kept[key] for key in kept)
    assert {key for key in kept if watch.state[key] is not before[key]} == set(kept)


whole = st.sampled_from([0.0, 3.0, 0.1, 1e17, 7.7])


@given(st.lists(st.lists(whole, min_size=5, max_size=5), min_size=1, max_size=9))
def test_a_window_adds_its_pages_up_one_after_the_other(pages: list[list[float]]) -> None:
    read = [
        Page(f"replica:a-{n}", raw.PREDICTION, np.array(counts)) for n, counts in enumerate(pages)
    ]
    kept = [page.counts.copy() for page in read]
    window = Case(managed(), None, read, {}).window(None, raw.PREDICTION)
    assert window is not None
    assert window.counts.tolist() == [
        functools.reduce(float.__add__, own) for own in zip(*pages, strict=True)
    ]
    assert window.events == window.counts.sum()
    assert all((page.counts == before).all() for page, before in zip(read, kept, strict=True))
