"""Drift in the loop: quiet while a model does what it did, told when it does not."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from homeostat.base import names, raw
from homeostat.base.drift import DriftTest
from homeostat.base.evidence import Quality, Verdict
from homeostat.base.world import Release, Snapshot
from homeostat.detect.drifting import STATE_CLASSES, Drifted, Drifting
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.testing import build

BOUNDS = (-1.0, 0.0, 1.0, np.inf)
USUAL = (0.16, 0.34, 0.34, 0.16)
MOVED = (0.05, 0.20, 0.40, 0.35)
FINE = frozenset({"m"})
SLOTS = ("a-1", "a-2", "a-3")


@dataclass(frozen=True)
class Sheet:
    subject: str
    counts: Any
    signal: str = raw.activation("mean:head")
    deployment: str = "m"
    bounds: tuple[float, ...] = BOUNDS
    quality: Quality = Quality.GOOD


class Watch:
    """The part with its state, fed with events of three replicas of pool a."""

    def __init__(self, seed: int = 1) -> None:
        self.part, self.rng = Drifting(), np.random.default_rng(seed)
        self.state = self.part.init()
        self.world: Snapshot = build.world()

    def sheets(self, shares: Any = USUAL, events: int = 40) -> list[Sheet]:
        return [
            Sheet(names.replica(slot), self.rng.multinomial(events, shares).astype(float))
            for slot in SLOTS
        ]

    def see(self, sheets: list[Sheet], learn: frozenset[str] = FINE) -> Drifted:
        self.state, said = self.part.step(self.state, sheets, {"m": self.world}, learn)
        return said.get("m", Drifted())

    def usual(self, ticks: int) -> Drifted:
        return [self.see(self.sheets()) for _ in range(ticks)][-1]

    def moved(self, ticks: int) -> Drifted:
        """Show a while in which the layer does otherwise, and nothing may be learnt."""
        return [self.see(self.sheets(MOVED), learn=frozenset()) for _ in range(ticks)][-1]


def verdict(said: Drifted) -> Verdict:
    (reading,) = said.readings
    assert (reading.subject, reading.signal) == ("pool:a", names.ACTIVATION_SHIFT)
    return reading.verdict


def test_what_a_model_always_did_is_healthy_once_there_is_enough_of_it() -> None:
    watch = Watch()
    first = watch.see(watch.sheets())
    assert (verdict(first), first.readings[0].quality) == (Verdict.UNKNOWN, Quality.FEW)
    assert [claim.verdict for claim in first.anomalies] == [Verdict.UNKNOWN]
    said = watch.usual(60)
    assert verdict(said) is Verdict.HEALTHY
    assert said.anomalies == ()
    assert said.readings[0].value is not None
    assert said.readings[0].value < 0.05


def test_a_layer_that_does_otherwise_is_a_claim_with_its_size_and_ends_when_it_ends() -> None:
    watch = Watch()
    watch.usual(60)
    said = watch.moved(30)
    assert verdict(said) is Verdict.ANOMALOUS
    (claim,) = said.anomalies
    assert (claim.detector, claim.subject, claim.signal) == (
        "drift", "pool:a", names.ACTIVATION_SHIFT,
    )  # fmt: skip
    assert claim.neg_log10_p is not None
    assert claim.neg_log10_p > 1.0
    assert said.readings[0].value == pytest.approx(0.25, abs=0.08)
    (test,) = kind_of(said, "activation")
    assert (test.subject, test.name, test.moved) == ("pool:a", "mean:head", True)
    assert test.total_variation == said.readings[0].value


def test_each_event_counts_once_however_often_replicas_are_silent() -> None:
    watch, whole = Watch(), Watch()
    watch.usual(60)
    whole.usual(60)
    dumb = [replace(one, counts=np.full(4, np.nan), quality=Quality.MISSING) for one in
            watch.sheets()]  # fmt: skip
    said = watch.see(dumb)
    assert (verdict(said), said.readings[0].quality) == (Verdict.UNKNOWN, Quality.MISSING)
    part = watch.sheets()
    part[0] = dumb[0]
    assert verdict(watch.see(part)) is Verdict.HEALTHY


def test_a_new_version_is_held_against_the_last_until_it_has_a_past_of_its_own() -> None:
    watch = Watch()
    watch.usual(60)
    replicas = tuple(
        replace(one, version="v3") if one.pool == "a" else one for one in watch.world.replicas
    )
    releases = (*watch.world.releases, Release(pool="a", version="v3", since=build.at(60.0)))
    watch.world = replace(watch.world, replicas=replicas, releases=releases)
    said = watch.moved(30)
    assert verdict(said) is Verdict.ANOMALOUS


def test_what_cannot_be_told_apart_is_not_judged() -> None:
    watch = Watch()
    watch.usual(20)
    rolling = tuple(
        replace(one, version="v3") if one.name == "a-1" else one for one in watch.world.replicas
    )
    before = watch.world
    watch.world = replace(before, replicas=rolling)
    assert watch.see(watch.sheets()) == Drifted()
    watch.world = before
    odd = watch.sheets()
    odd[1] = replace(odd[1], bounds=(-2.0, 0.0, 2.0, np.inf))
    said = watch.see(odd)
    assert (verdict(said), said.readings[0].quality) == (Verdict.UNKNOWN, Quality.ABSURD)
    stranger = Sheet("replica:z-9", np.ones(4))
    assert verdict(watch.see([stranger])) is Verdict.UNKNOWN
    _, none = watch.part.step(watch.state, watch.sheets(), {}, FINE)
    assert none == {}


def kind_of(said: Drifted, kind: str) -> list[DriftTest]:
    return [one for one in said.tests if one.kind == kind]


def sheets_of(watch: Watch, signal: str, shares: Any = USUAL) -> list[Sheet]:
    return [replace(one, signal=signal) for one in watch.sheets(shares)]


def test_predictions_and_features_are_tested_and_shown_and_claim_nothing() -> None:
    watch, age, income = Watch(), raw.feature("age"), raw.feature("income")

    def see(shares: Any, learn: frozenset[str]) -> Drifted:
        own = [*sheets_of(watch, raw.PREDICTION), *sheets_of(watch, age)]
        return watch.see([*own, *sheets_of(watch, income, shares)], learn)

    first = see(USUAL, FINE)
    assert [one.moved for one in first.tests] == [None] * 3
    assert {one.why for one in first.tests} == {"few"}
    assert {(one.psi, one.gap, one.total_variation) for one in first.tests} == {(None,) * 3}
    usual = [see(USUAL, FINE) for _ in range(60)][-1]
    assert [one.moved for one in usual.tests] == [False] * 3
    said = [see(MOVED, frozenset()) for _ in range(30)][-1]
    assert [(one.subject, one.kind, one.name) for one in said.tests] == [
        ("model", "feature", "age"), ("model", "feature", "income"), ("pool:a", "prediction", ""),
    ]  # fmt: skip
    assert [one.moved for one in said.tests] == [False, True, False]
    (moved,) = (one for one in said.tests if one.moved)
    assert moved.total_variation == pytest.approx(0.25, abs=0.08)
    assert moved.gap == pytest.approx(0.25, abs=0.08)
    assert moved.psi is not None
    assert moved.psi_by_chance is not None
    assert moved.psi > 10.0 * moved.psi_by_chance
    assert moved.gap_neg_log10_p is not None
    assert moved.gap_neg_log10_p > 3.0
    assert moved.share is not None
    assert moved.share_low is not None
    assert moved.share_high is not None
    assert moved.share_low < sum(USUAL[:2]) < moved.share_high
    assert moved.share < moved.share_low
    assert moved.bound == 0.0
    assert moved.looks is not None
    assert abs(moved.looks - 30) <= 3
    assert said.anomalies == ()
    assert said.readings == ()
    (prediction,) = kind_of(said, "prediction")
    assert (prediction.against, prediction.among) == ("v2", 1)
    assert moved.against == ""


def test_of_many_features_the_most_telling_are_shown() -> None:
    watch = Watch()
    names_of = [f"f{number}" for number in range(9)]

    def see(shares: Any, learn: frozenset[str]) -> Drifted:
        every = [
            one
            for name in names_of
            for one in sheets_of(watch, raw.feature(name), shares if name == "f8" else USUAL)
        ]
        return watch.see(every, learn)

    for _ in range(60):
        see(USUAL, FINE)
    said = [see(MOVED, frozenset()) for _ in range(30)][-1]
    assert len(said.tests) == 5
    assert [one.name for one in said.tests] == sorted(one.name for one in said.tests)
    assert {one.among for one in said.tests} == {9}
    assert [one.name for one in said.tests if one.moved] == ["f8"]


def test_deployments_side_by_side_say_what_each_says_alone() -> None:
    part, alone = Drifting(), Watch()
    state, kept = part.init(), alone.sheets()
    for number in range(70):
        shares = USUAL if number < 60 else MOVED
        one = alone.sheets(shares)
        other = [replace(sheet, deployment="n") for sheet in kept]
        worlds = {"m": alone.world, "n": replace(alone.world, deployment="n")}
        learn = FINE if number < 60 else frozenset()
        state, both = part.step(state, [*other, *one], worlds, learn | {"n"})
        assert both["m"] == alone.see(one, learn)


def test_who_shows_no_histograms_is_not_spoken_of_and_costs_no_state() -> None:
    part = Drifting()
    state, said = part.step(part.init(), [], {"m": build.world()}, FINE)
    assert (state.drift, said) == ({}, {})


def test_its_state_goes_on_bit_for_bit() -> None:
    watch = Watch()
    watch.usual(30)
    kept = from_bytes(to_bytes(watch.state), STATE_CLASSES)
    sheets = watch.sheets(MOVED)
    ours = watch.part.step(watch.state, sheets, {"m": watch.world}, FINE)
    theirs = watch.part.step(kept, sheets, {"m": watch.world}, FINE)
    assert ours[1] == theirs[1]
    assert to_bytes(ours[0]) == to_bytes(theirs[0])
