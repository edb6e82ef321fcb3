"""Drift: quiet on healthy streams at every look, soon when it matters, or unknown."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from homeostat.base.evidence import Quality, Verdict
from homeostat.detect.drift import STATE_CLASSES, Drift, DriftState
from homeostat.detect.drift_config import Config
from homeostat.detect.drift_said import Family, Judged
from homeostat.stats.arrays import from_bytes, to_bytes

BOUNDS = (0.2, 0.4, 0.6, 0.8, 1.0, np.inf)
USUAL = np.array([0.1, 0.2, 0.3, 0.25, 0.15, 0.0])
MOVED = np.array([0.2, 0.3, 0.25, 0.15, 0.1, 0.0])  # total variation 0.2


@dataclass(frozen=True)
class Sheet:
    name: str
    counts: Any
    kind: str = "feature"
    version: str = ""
    deployment: str = "credit"
    bounds: tuple[float, ...] = BOUNDS
    quality: Quality = Quality.GOOD


@dataclass
class Watch:
    """The detector with its state, fed with samples of given shares by feature."""

    part: Drift = field(default_factory=Drift)
    state: DriftState = field(default_factory=dict)
    seed: int = 1

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def sheet(self, name: str, shares: Any, events: int = 100, **more: Any) -> Sheet:
        return Sheet(name, self.rng.multinomial(events, shares).astype(float), **more)

    def see(self, *sheets: Sheet, learn: bool = True, earlier: Any = None) -> tuple[Family, ...]:
        self.state, said = self.part.step(self.state, sheets, learn, earlier)
        return said

    def repeat(
        self, looks: int, shares: Any, *, learn: bool = True, earlier: Any = None, **more: Any
    ) -> list[Family]:
        """Show one feature so often, and return what was said of its family each time."""
        name = more.pop("name", "age")
        said = [
            self.see(self.sheet(name, shares, **more), learn=learn, earlier=earlier)
            for _ in range(looks)
        ]
        return [families[0] for families in said]

    def usual(self, looks: int, *names: str, **more: Any) -> Family:
        """Show healthy looks and return what the last one said of the one family."""
        (said,) = [self.see(*(self.sheet(n, USUAL, **more) for n in names)) for _ in range(looks)][
            -1
        ]
        return said


def one(family: Family, name: str) -> Judged:
    (found,) = [judged for judged in family.judged if judged.name == name]
    return found


def test_before_there_is_a_reference_all_is_unknown() -> None:
    watch = Watch()
    for _ in range(8):
        said = watch.usual(1, "age")
        assert said.verdict is Verdict.UNKNOWN
        assert one(said, "age").quality is Quality.FEW
        assert said.neg_log10_p is None
    assert watch.usual(10, "age").verdict is Verdict.HEALTHY


def test_a_shift_that_matters_is_found_named_and_sized_and_its_neighbours_are_healthy() -> None:
    watch = Watch()
    names = [f"f{n}" for n in range(6)]
    assert watch.usual(40, *names).verdict is Verdict.HEALTHY
    shifted = {name: MOVED if name == "f3" else USUAL for name in names}
    told = [watch.see(*(watch.sheet(*one) for one in shifted.items()))[0] for _ in range(10)]
    look = [said.verdict for said in told].index(Verdict.ANOMALOUS) + 1
    said = told[look - 1]
    print(f"found after {look} looks of 100 events")
    assert look <= 6
    guilty = [judged.name for judged in said.judged if judged.verdict is Verdict.ANOMALOUS]
    assert guilty == ["f3"]
    found = one(said, "f3")
    assert found.total_variation == pytest.approx(0.2, abs=0.1)
    assert found.gap == pytest.approx(0.2, abs=0.1)
    assert found.psi is not None
    assert found.psi > 0.05
    assert found.since is not None
    assert abs(found.since - look) <= 2
    assert said.neg_log10_p is not None
    assert said.neg_log10_p >= np.log10(20.0)  # what an alarm takes


def test_what_is_significant_but_tiny_is_no_alarm() -> None:
    """A total variation of 0.02 over a million events: p-values of any test are tiny."""
    watch = Watch()
    watch.usual(40, "age", events=5000)
    tiny = USUAL + np.array([0.02, 0.0, 0.0, 0.0, -0.02, 0.0])
    told = watch.repeat(60, tiny, events=20_000, learn=False)
    assert {said.verdict for said in told} == {Verdict.HEALTHY}
    found = one(told[-1], "age")
    assert found.log10_e is not None
    assert found.log10_e > np.log10(20.0)  # it is significant
    assert found.total_variation == pytest.approx(0.02, abs=0.01)
    strict = Watch(part=Drift(Config(distance=0.01)))
    strict.usual(40, "age", events=5000)
    said = strict.repeat(60, tiny, events=20_000, learn=False)[-1]
    assert said.verdict is Verdict.ANOMALOUS


@pytest.mark.slow
def test_healthy_families_stay_healthy_while_their_references_grow() -> None:
    """From the first reference through four renewals, at every look."""
    for seed in range(6):
        watch = Watch(seed=seed)
        verdicts = [watch.usual(1, "age", "income", "tenure").verdict for _ in range(100)]
        assert set(verdicts[20:]) == {Verdict.HEALTHY}
        assert Verdict.ANOMALOUS not in verdicts
        assert {one.renewals for one in watch.state.values()} == {5}


def test_an_alarm_lasts_while_the_shift_does_and_ends_after_it() -> None:
    watch = Watch()
    watch.usual(40, "age")
    assert watch.repeat(30, MOVED)[-1].verdict is Verdict.ANOMALOUS
    verdicts = [watch.usual(1, "age").verdict for _ in range(60)]
    assert verdicts[-1] is Verdict.HEALTHY


def test_drift_does_not_teach_the_reference() -> None:
    watch = Watch()
    watch.usual(40, "age")
    assert watch.repeat(400, MOVED)[-1].verdict is Verdict.ANOMALOUS
    (key,) = watch.state
    shares = watch.state[key].learnt / watch.state[key].learnt.sum()
    assert 0.5 * np.abs(shares - USUAL).sum() < 0.05


def test_nothing_is_learnt_where_nothing_may_be() -> None:
    watch = Watch()
    assert watch.repeat(30, USUAL, learn=False)[-1].verdict is Verdict.UNKNOWN
    assert next(iter(watch.state.values())).learnt.sum() == 0.0


def test_accepted_drift_is_the_new_normal() -> None:
    watch = Watch()
    watch.usual(40, "age")
    watch.repeat(20, MOVED)
    watch.state = watch.part.accept(watch.state, ("credit", "", "feature"))
    said = watch.repeat(30, MOVED)
    assert said[0].verdict is Verdict.UNKNOWN
    assert said[-1].verdict is Verdict.HEALTHY


def test_each_version_has_its_own_predictions_and_a_new_one_is_held_against_the_last() -> None:
    first: dict[str, Any] = {"name": "score", "version": "v1", "kind": "prediction"}
    second = first | {"version": "v2"}
    earlier = {("credit", "v2"): ("v1",)}
    watch, other = Watch(), Watch()
    watch.repeat(40, USUAL, **first)
    said = watch.repeat(20, USUAL, earlier=earlier, **second)[-1]
    assert (said.version, said.verdict) == ("v2", Verdict.HEALTHY)
    other.repeat(40, USUAL, **first)
    told = other.repeat(20, MOVED, earlier=earlier, **second)
    assert {one(said, "score").against for said in told} == {"v1"}
    assert told[-1].verdict is Verdict.ANOMALOUS
    # Without a version before it, nothing can be said until it has a reference of its own.
    assert Watch().repeat(1, MOVED, **second)[0].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("sheet", "quality"),
    [
        (Sheet("age", np.zeros(6)), Quality.FEW),
        (Sheet("age", np.full(6, np.nan)), Quality.ABSURD),
        (Sheet("age", np.array([5.0, 5.0, -5.0, 5.0, 5.0, 5.0])), Quality.ABSURD),
        (Sheet("age", np.full(5, 20.0)), Quality.ABSURD),
        (Sheet("age", np.full(6, 20.0), quality=Quality.STALE), Quality.STALE),
    ],
)
def test_what_cannot_be_judged_is_unknown_and_changes_nothing(
    sheet: Sheet, quality: Quality
) -> None:
    watch = Watch()
    watch.usual(40, "age")
    before = watch.state
    (said,) = watch.see(sheet)
    assert said.verdict is Verdict.UNKNOWN
    assert one(said, "age").quality is quality
    key = next(iter(before))
    assert watch.state[key].evidence.won.tobytes() == before[key].evidence.won.tobytes()


@pytest.mark.parametrize("bounds", [(), (1.0,), BOUNDS])
def test_a_histogram_whose_first_page_cannot_be_read_is_unknown_and_starts_later(
    bounds: tuple[float, ...],
) -> None:
    watch = Watch()
    blank = Sheet("age", np.zeros(len(bounds)), bounds=bounds, quality=Quality.UNREACHABLE)
    (said,) = watch.see(blank)
    assert one(said, "age").quality is Quality.UNREACHABLE
    assert watch.usual(40, "age").verdict is Verdict.HEALTHY


def test_a_feature_that_falls_silent_makes_its_family_unknown_not_healthy() -> None:
    watch = Watch()
    watch.usual(40, "age", "income")
    (said,) = watch.see(watch.sheet("age", USUAL))
    assert one(said, "age").verdict is Verdict.HEALTHY
    assert one(said, "income").quality is Quality.MISSING
    assert said.verdict is Verdict.UNKNOWN
    (said,) = watch.see()
    assert said.verdict is Verdict.UNKNOWN


def test_other_bounds_start_anew() -> None:
    watch = Watch()
    watch.usual(40, "age")
    counts = np.array([50.0, 50.0])
    (said,) = watch.see(Sheet("age", counts, bounds=(0.5, np.inf)))
    assert said.verdict is Verdict.UNKNOWN


def test_deployments_do_not_mix() -> None:
    watch = Watch()
    told = [
        watch.see(watch.sheet("age", USUAL), watch.sheet("age", MOVED, deployment="fraud"))
        for _ in range(40)
    ]
    said = told[-1]
    assert [family.deployment for family in said] == ["credit", "fraud"]
    assert {family.verdict for family in said} == {Verdict.HEALTHY}


def test_a_stored_detector_goes_on_bit_for_bit() -> None:
    watch = Watch()
    watch.usual(20, "age", "income")
    stored = from_bytes(to_bytes(watch.state), STATE_CLASSES)
    sheets = [watch.sheet("age", MOVED), watch.sheet("income", USUAL)]
    for _ in range(5):
        watch.state, ours = watch.part.step(watch.state, sheets, learning=True)
        stored, theirs = watch.part.step(stored, sheets, learning=True)
        assert ours == theirs
    assert to_bytes(watch.state) == to_bytes(stored)


def test_a_step_leaves_the_state_it_was_given_alone() -> None:
    watch = Watch()
    watch.usual(20, "age")
    before, kept = watch.state, to_bytes(watch.state)
    watch.see(watch.sheet("age", MOVED))
    assert to_bytes(before) == kept


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"distance": 1.5}, "distance"),
        ({"reference": 0.0}, "reference"),
        ({"named": 1.0}, "named"),
        ({"delay": -1}, "delay"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Config(**settings)
