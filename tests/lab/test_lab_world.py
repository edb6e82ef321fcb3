"""The world repeats itself to the bit, whoever else is in the batch; frozen, it is HOLD."""

from dataclasses import replace
from importlib import resources
from typing import Any

import jax
import numpy as np
import pytest

from homeostat.lab import plays
from homeostat.lab.baselines.chance import Chance
from homeostat.lab.baselines.hold import Hold
from homeostat.lab.draw import draw
from homeostat.lab.pairing import Holds, hold_from
from homeostat.lab.plays import pack, unpack
from homeostat.lab.run import world_of
from homeostat.lab.scenario_schema import load
from homeostat.lab.types import Episode
from homeostat.lab.world import Played, batches, fill, key_of

SLOTS, WIDTH, LENGTH_S = 16, 4, 900


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    """Four short episodes of two scenarios; the lottery below acts in them from the start."""
    return [cut(scenario, seed) for scenario in ("S05", "S13") for seed in (0, 1)]


def cut(scenario: str, seed: int) -> Episode:
    files = resources.files("homeostat.lab") / "catalogue"
    found = [
        case
        for name in ("infrastructure", "serving")
        for case in load((files / f"{name}.yaml").read_text(), name)
        if case.id == scenario
    ]
    return replace(draw(found[0], seed, slots=SLOTS), length_s=LENGTH_S)


@pytest.fixture(scope="module")
def lottery(episodes: list[Episode]) -> Played:
    return world_of(SLOTS, WIDTH).play(Chance(), episodes)


@pytest.fixture(scope="module")
def hold(episodes: list[Episode]) -> Played:
    return world_of(SLOTS, WIDTH).play(Hold(), episodes)


def same(left: Any, right: Any, rows: slice | list[int] = slice(None)) -> None:
    for name, value in vars(left).items():
        mine, other = np.asarray(value)[rows], np.asarray(getattr(right, name))
        assert mine.tobytes() == other.tobytes(), name


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trace_bit_for_bit(
    episodes: list[Episode], lottery: Played
) -> None:
    again = world_of(SLOTS, WIDTH).play(Chance(), episodes)
    same(lottery.trace.truth, again.trace.truth)
    same(lottery.orders, again.orders)
    assert np.asarray(lottery.trace.truth.acted).any(), "nothing was done: this would prove little"


@pytest.mark.slow
def test_an_episode_does_not_depend_on_its_neighbours(
    episodes: list[Episode], lottery: Played
) -> None:
    world = world_of(SLOTS, WIDTH)
    alone = world.play(Chance(), [episodes[2]])
    same(lottery.trace.truth, alone.trace.truth, [2])
    mixed = world.play(Chance(), [episodes[3], episodes[0]])
    same(lottery.trace.truth, mixed.trace.truth, [3, 0])


@pytest.mark.slow
def test_a_kept_play_comes_back_bit_for_bit_with_its_ticks_or_by_playing_its_orders_again(
    episodes: list[Episode], lottery: Played
) -> None:
    whole = unpack(pack(lottery, ticks=True), episodes)
    again = plays.again(world_of(SLOTS, WIDTH), pack(lottery, ticks=False), episodes)
    for found in (whole, again):
        same(lottery.trace.truth, found.trace.truth)
        same(lottery.orders, found.orders)
        assert found.trace.policy == lottery.trace.policy
        assert {
            k: v.tolist() for k, v in found.trace.moves.items() if k != "breach_probability"
        } == {k: v.tolist() for k, v in lottery.trace.moves.items() if k != "breach_probability"}


@pytest.mark.slow
def test_different_seeds_give_different_traces(hold: Played) -> None:
    offered = np.asarray(hold.trace.truth.offered)
    assert len({row.tobytes() for row in offered}) == len(offered)


@pytest.mark.slow
def test_the_hold_twin_of_hold_is_hold(episodes: list[Episode], hold: Played) -> None:
    holds = Holds(world_of(SLOTS, WIDTH))
    twin = holds.of(episodes)
    same(hold.trace.truth, twin.truth)
    assert holds.of(episodes) is twin, "played once"
    assert not np.asarray(twin.truth.acted).any()


@pytest.mark.slow
def test_a_replay_of_everything_changes_no_bit(lottery: Played) -> None:
    never = np.full(len(lottery.trace.episodes), 10**6)
    again = hold_from(world_of(SLOTS, WIDTH), lottery, never)
    same(lottery.trace.truth, again.trace.truth)


@pytest.mark.slow
def test_frozen_from_the_first_action_it_is_hold(lottery: Played, hold: Played) -> None:
    frozen = hold_from(world_of(SLOTS, WIDTH), lottery, np.zeros(len(lottery.trace.episodes), int))
    same(hold.trace.truth, frozen.trace.truth)


@pytest.mark.slow
def test_frozen_from_a_later_action_it_is_the_same_until_then(lottery: Played) -> None:
    until = np.array([3, 5, 1, 8])
    frozen = hold_from(world_of(SLOTS, WIDTH), lottery, until)
    acted = np.asarray(lottery.trace.moves["intervened"])
    for row, k in enumerate(until):
        scrape = int(np.flatnonzero(acted[row])[k]) + 1  # its orders are in force from here on
        before, after = slice(0, 15 * scrape), slice(scrape, None)
        for mine, other in zip(
            jax.tree.leaves(lottery.trace.truth), jax.tree.leaves(frozen.trace.truth), strict=True
        ):
            assert mine[row, before].tobytes() == other[row, before].tobytes()
        levers = np.asarray(frozen.orders.replicas)[row, after]
        assert (levers == np.asarray(lottery.orders.replicas)[row, scrape - 1]).all()
        assert not np.asarray(frozen.orders.restart)[row, after].any()
        assert not np.asarray(frozen.orders.by_us)[row, after].any()


def test_a_key_belongs_to_a_scenario_and_a_seed() -> None:
    first = cut("S05", 0)
    keys = {
        name: np.asarray(key_of(one)).tobytes()
        for name, one in {
            "itself": first,
            "longer": replace(first, length_s=7200),
            "seed": replace(first, seed=1),
            "scenario": replace(first, scenario="S06"),
        }.items()
    }
    assert keys["itself"] == keys["longer"]
    assert len(set(keys.values())) == 3


def test_batches_hold_one_size_and_length_and_lose_nobody() -> None:
    base = cut("S05", 0)
    many = [
        replace(base, seed=k, length_s=3600 * (1 + k % 2), slots=(8, 16)[k % 3 == 0])
        for k in range(23)
    ]
    groups = list(batches(many, 4))
    assert sorted(e.seed for group in groups for e in group) == list(range(23))
    for group in groups:
        assert 1 <= len(group) <= 4
        assert len({(e.slots, e.length_s) for e in group}) == 1


def test_a_short_batch_is_filled_with_its_last_episode() -> None:
    base = cut("S05", 0)
    full = fill([base, replace(base, seed=7)], 4)
    assert [e.seed for e in full] == [0, 7, 7, 7]


def test_batches_that_cannot_be_are_errors() -> None:
    base = cut("S05", 0)
    with pytest.raises(ValueError, match="1 to 2 episodes, got 3"):
        fill([base] * 3, 2)
    with pytest.raises(ValueError, match="1 to 2 episodes, got 0"):
        fill([], 2)
    with pytest.raises(ValueError, match="same slots and length"):
        fill([base, replace(base, length_s=7200)], 2)
