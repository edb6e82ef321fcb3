"""What a policy is trained in: nothing that it will be judged by."""

from itertools import combinations

import numpy as np
import pytest

from homeostat.lab import environment_draw
from homeostat.lab.types import FAMILIES, Episode
from homeostat.testing.catalogue import catalogue
from homeostat.twin.primitives import INDEX, PRIMITIVES

LENGTH_S = 900


def drawn(count: int, first: int = environment_draw.TRAIN, **more: object) -> tuple[Episode, ...]:
    return environment_draw.episodes(
        count, known=catalogue(), slots=8, length_s=LENGTH_S, first=first,
        **more,  # type: ignore[arg-type]  # options by name
    )  # fmt: skip


def primitives(one: Episode) -> set[str]:
    there = np.isfinite(np.asarray(one.faults.start_s))
    return {PRIMITIVES[int(number)].name for number in np.asarray(one.faults.primitive)[there]}


def free_pairs(names: set[str]) -> set[frozenset[str]]:
    """Pairs of which neither needs the other: those that need each other come together anywhere."""
    return {
        frozenset(pair)
        for pair in combinations(sorted(names), 2)
        if pair[0] not in PRIMITIVES[INDEX[pair[1]]].needs
        and pair[1] not in PRIMITIVES[INDEX[pair[0]]].needs
    }


def test_no_scenario_of_the_catalogue_is_reached_from_training() -> None:
    judged_by = [{f.primitive for f in one.faults} for one in catalogue()]
    judged_by += [{f.primitive for f in one.faults if not f.ambient} for one in catalogue()]
    pairs = set().union(*(free_pairs(names) for names in judged_by))
    episodes = drawn(24)
    for one in episodes:
        assert not one.scenario.startswith("S")
        met = primitives(one)
        assert met
        assert not free_pairs(met) & pairs, one.scenario
        assert met not in judged_by, one.scenario
    assert len({one.scenario for one in episodes}) == len(episodes)


def test_what_is_trained_in_and_what_is_chosen_by_have_no_seed_in_common() -> None:
    train, choose = drawn(6), drawn(6, environment_draw.CHOOSE)
    assert not {one.seed for one in train} & {one.seed for one in choose}
    assert min(one.seed for one in train) >= environment_draw.TRAIN  # the lab's own begin at 0


LOAD = {"arrival", "work_mix", "client"}  # the kernel's channels that are somebody's load


def channels(one: Episode) -> set[str]:
    return {PRIMITIVES[INDEX[name]].channel for name in primitives(one)}


def test_no_fault_of_a_family_that_is_left_out_is_met_whichever_place_it_has() -> None:
    others = [family for family in FAMILIES if family != "load"]
    all_of_them, rest, alone = drawn(40), drawn(40, without=["load"]), drawn(4, without=others)
    mixed = [one for one in all_of_them if one.family != "load" and channels(one) & LOAD]
    assert mixed, "no composition has load second or third: the test would say nothing"
    assert not [one.scenario for one in rest if channels(one) & LOAD]
    assert all(channels(one) <= LOAD for one in alone)


def test_every_deployment_has_its_size_its_length_and_room_to_grow() -> None:
    episodes = drawn(6)
    for one in episodes:
        assert (one.slots, one.length_s, one.tick_s) == (8, LENGTH_S, 1.0)
        assert float(np.asarray(one.params.replicas).sum()) <= 6.0
    stacked = environment_draw.stacked(episodes)
    assert stacked.params.replicas.shape == (6, 3)
    assert stacked.faults.slots.shape[::2] == (6, 8)


def test_more_than_there_is_room_for_is_refused() -> None:
    families = ["infrastructure", "load", "serving", "data", "model", "observability", "control"]
    with pytest.raises(ValueError, match="0 of 1 episodes fit into 8 slots without infra"):
        drawn(1, without=families)
