"""Whoever is woken repairs what is ours; users keep coming, and the world stays where it is."""

import jax.numpy as jnp
import numpy as np
import pytest
from fleet_by_hand import Case, Fault, changed, faults, play

from homeostat.twin import cures, people
from homeostat.twin.params import Params
from homeostat.twin.people import Person
from homeostat.twin.primitives import INDEX, PRIMITIVES
from homeostat.twin.shapes import FAULTS

NAMES = [primitive.name for primitive in PRIMITIVES]
# Said once more, by hand: users, prices, markets, seasons, sizes, physics.
STAYS = {
    "arrival_mult", "arrival_trace", "backlog_release", "benign_blip", "size_mult_prefill",
    "size_mult_decode", "heavy_fraction", "heavy_cost_mult", "adapter_working_set", "cache_hit",
    "cache_warm_s", "cold_speed_mult", "poison_rate", "client_retry", "provision_delay_s",
    "load_time_s", "spot_unavailable_s", "cost_mult", "modelB_capacity", "base_rho",
    "affected_features_frac", "feature_shift_periodic", "staleness_halflife_s", "slice_share",
}  # fmt: skip
TEACHES = {"feature_shift_sd", "concept_rotation", "label_prior_shift"}
FIX = {8: {"person_fixes": True}}  # in force from 120 s on


def test_every_primitive_has_its_answer_and_its_reason() -> None:
    assert list(people.PEOPLE) == NAMES
    assert all(reason.endswith(".") for _, reason in people.PEOPLE.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_person_ends_a_primitive_or_does_not(name: str) -> None:
    given = faults([Fault(name=name, start_s=30.0), Fault(name=name, start_s=300.0)])
    cured = cures.begin(given)
    before = cures.by_person(given, cured, jnp.float32(120.0), jnp.asarray(a=False))
    after = cures.by_person(given, cured, jnp.float32(120.0), jnp.asarray(a=True))
    assert not np.asarray(before.cleared).any()
    ends = name not in STAYS | TEACHES
    assert np.asarray(after.cleared).tolist() == [ends, *[False] * (FAULTS - 1)]
    taught = cures.taught(given, jnp.asarray(given.start_s) <= 120.0, jnp.asarray(a=True))
    assert bool(taught) == (name in TEACHES)
    answer = Person.TEACHES if name in TEACHES else Person.ENDS if ends else Person.STAYS
    assert people.PEOPLE[name][0] is answer


def test_no_part_of_the_load_is_a_persons_to_end() -> None:
    load = [p.name for p in PRIMITIVES if p.channel == "arrival"]
    assert load
    assert not people.ENDED[[INDEX[name] for name in load]].any()


def test_a_crowd_stays_when_a_person_has_been_there(plain: Params) -> None:
    crowd = [Fault(name="arrival_mult", magnitude=3.0)]
    cases = [Case(deployment=plain, faults=crowd, orders=orders) for orders in ({}, FIX)]
    truth = play(cases, 24).truth
    np.testing.assert_array_equal(truth.offered[0], truth.offered[1])
    np.testing.assert_array_equal(truth.good[0], truth.good[1])
    assert truth.demand[1, -1] == pytest.approx(3.0 * truth.demand[1, 0])
    assert truth.faulty[1, 30:].all()


def test_a_person_meets_a_drift_with_a_model_and_not_with_the_old_world(plain: Params) -> None:
    """The labels that have come teach it; the drift is there as before, B knows it no better."""
    drift = [Fault(name="concept_rotation", magnitude=1.0, start_s=0.0)]
    quick = changed(plain, quality__label_delay_s=15.0, quality__label_share=1.0)
    late = {60: {"person_fixes": True}}
    cases = [
        Case(deployment=quick, faults=drift),
        Case(deployment=quick, faults=drift, orders=late),
        Case(deployment=quick, faults=drift, orders={1: {"person_fixes": True}}),
        Case(deployment=quick, orders=late),
    ]
    played = play(cases, 80)
    truth = played.truth
    quality = np.asarray(truth.quality)[:, -1]
    assert quality[1] > quality[0] + 0.1, "the new model knows the world"
    assert np.asarray(truth.faulty)[1, -1], "which has not gone back"
    np.testing.assert_allclose(
        np.asarray(truth.variant_quality)[1, :, 1], np.asarray(truth.variant_quality)[0, :, 1]
    )
    assert quality[2] == quality[0], "before the labels have come there is nothing to learn"
    assert quality[3] == pytest.approx(0.92), "no drift, no new model"
    version = played.scrape.version[:, -1, 0] - played.scrape.version[:, 0, 0]
    assert version.tolist() == [0, 1, 0, 0], "a new model is a new version"
