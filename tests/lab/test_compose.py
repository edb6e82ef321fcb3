"""Compositions nobody wrote, and pairs of scenarios."""

from itertools import combinations, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.lab.compose import pairs, together, unseen, usable
from homeostat.lab.draw import draw
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_schema import load
from homeostat.lab.scenario_write import dump
from homeostat.testing.catalogue import catalogue, scenario
from homeostat.twin.primitives import INDEX, PRIMITIVES
from homeostat.twin.shapes import FAULTS


def names(one: Scenario) -> set[str]:
    return {fault.primitive for fault in one.faults}


def free_pairs(one: Scenario) -> set[frozenset[str]]:
    """Pairs of primitives of which neither needs the other."""
    return {
        frozenset(pair)
        for pair in combinations(sorted(names(one)), 2)
        if pair[0] not in PRIMITIVES[INDEX[pair[1]]].needs
        and pair[1] not in PRIMITIVES[INDEX[pair[0]]].needs
    }


@given(seed=st.integers(0, 10**6))
def test_a_composition_is_a_scenario_that_can_be_written_and_read(seed: int) -> None:
    composed = unseen(seed)
    assert load(dump([composed]), "unseen.yaml") == (composed,)


@given(seed=st.integers(0, 10**6))
def test_no_composition_holds_a_pair_of_the_catalogue(seed: int) -> None:
    composed = unseen(seed, known=catalogue())
    for each in catalogue():
        assert not free_pairs(composed) & free_pairs(each), each.id
        assert names(composed) != names(each), each.id
        # What is ambient is how things are; what happens in it is the scenario.
        assert names(composed) != {f.primitive for f in each.faults if not f.ambient}, each.id


def test_every_primitive_that_stands_alone_is_met() -> None:
    met = set().union(*(names(unseen(seed)) for seed in range(600)))
    assert {primitive.name for primitive in usable()} <= met


def test_the_same_seed_composes_the_same_and_another_one_does_not() -> None:
    assert unseen(5) == unseen(5)
    assert len({unseen(seed).name for seed in range(50)}) > 40


def test_quality_gets_four_hours_and_the_rest_one() -> None:
    for seed in range(100):
        composed = unseen(seed)
        touched = any(PRIMITIVES[INDEX[name]].channel == "quality" for name in names(composed))
        assert composed.length_s == (14400 if touched else 3600)


def test_one_primitive_at_most_is_one_and_its_partners() -> None:
    for seed in range(50):
        composed = unseen(seed, most=1)
        alone = [f for f in composed.faults if not PRIMITIVES[INDEX[f.primitive]].needs]
        assert len(alone) <= 1 or len(composed.faults) <= 3
    with pytest.raises(ValueError, match="1 to 3"):
        unseen(0, most=4)


@pytest.mark.slow
def test_two_scenarios_happen_together_each_in_its_own_way() -> None:
    both = together(scenario("S07"), scenario("S23"), gap_s=60.0)
    (read,) = load(dump([both]), "both.yaml")
    episode = draw(read, 2)
    crowd, drift = INDEX["arrival_mult"], INDEX["concept_rotation"]
    index = list(episode.faults.primitive).index(drift)
    first = list(episode.faults.primitive).index(crowd)
    gap = float(episode.faults.start_s[index] - episode.faults.start_s[first])
    assert gap == pytest.approx(60.0, abs=0.1)
    assert episode.length_s == 14400
    assert float(episode.faults.stop_s[index]) == float("inf")  # the drift's own end, not the
    assert float(episode.faults.stop_s[first]) < 14400  # crowd's
    assert episode.drawn["second_rotation"] == pytest.approx(float(episode.faults.magnitude[index]))


def test_a_pair_takes_over_what_only_the_second_says_of_the_deployment() -> None:
    both = together(scenario("S01"), scenario("S42"))
    assert both.deployment["base_rho"] == scenario("S42").deployment["base_rho"]
    own = together(scenario("S03"), scenario("S42"))
    assert own.deployment["base_rho"] == scenario("S03").deployment["base_rho"]


def test_pairs_are_different_drawable_and_as_random_as_their_seed() -> None:
    found = list(pairs(catalogue(), 60, seed=1))
    assert len({each.id for each in found}) == 60
    assert [each.id for each in pairs(catalogue(), 60, seed=1)] == [each.id for each in found]
    assert [each.id for each in pairs(catalogue(), 60, seed=2)] != [each.id for each in found]
    for each in islice(found, 20):
        (read,) = load(dump([each]), "pair.yaml")
        assert read == each
        assert draw(each, 0).onset_s < each.length_s or each.benign
    with pytest.raises(ValueError, match="ask for fewer"):
        list(pairs(catalogue(), 10_000, seed=1))


def test_more_faults_than_an_episode_holds_are_no_pair() -> None:
    crowded = together(scenario("S01"), scenario("S39"))
    assert sum(not fault.ambient for fault in crowded.faults) == FAULTS
    with pytest.raises(ValueError, match="more than 8 faults"):
        together(crowded, scenario("S07"))
