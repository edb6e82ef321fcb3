"""A kept play: what comes back is what was kept, and what cannot be trusted does not come back."""

from collections.abc import Sequence

import numpy as np
import pytest
from traces_by_hand import episode, orders, trace, truth
from typing_extensions import override

from homeostat.lab.plays import Repeat, again, pack, unpack
from homeostat.lab.types import Episode, Policy
from homeostat.lab.world import Played, World

LENGTH = 60


def made() -> tuple[tuple[Episode, ...], Played]:
    """One short episode in which every kind of number occurs, also those that are none."""
    episodes = (episode(LENGTH, scenario="S05", seed=3),)
    p99 = np.linspace(0.1, 2.0, LENGTH)
    p99[:3] = np.nan, np.inf, -0.0
    told = np.array([[True, False, False, True]])
    played = trace(truth(LENGTH, p99_s=p99), episodes, "mine", paged=told)
    lasting = orders(LENGTH)
    lasting.replicas[0, :, 0] = 1.0, 2.0, 3.0, 4.0
    return episodes, Played(trace=played, orders=lasting)


def test_a_play_comes_back_bit_for_bit() -> None:
    episodes, played = made()
    found = unpack(pack(played, ticks=True), episodes)
    assert found.trace.policy == "mine"
    pairs = [
        (played.trace.truth, found.trace.truth),
        (played.orders, found.orders),
    ]
    for ours, theirs in pairs:
        for name, value in vars(ours).items():
            mine, other = np.asarray(value), np.asarray(getattr(theirs, name))
            assert (mine.dtype, mine.shape) == (other.dtype, other.shape), name
            assert mine.tobytes() == other.tobytes(), name
    assert found.trace.moves["paged"].tolist() == [[True, False, False, True]]
    assert set(found.trace.moves) == set(played.trace.moves)


@pytest.mark.parametrize("at", [0, 40, 2000, -1])
def test_a_play_with_another_byte_is_refused(at: int) -> None:
    episodes, played = made()
    data = bytearray(pack(played, ticks=True))
    data[at] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        unpack(bytes(data), episodes)


@pytest.mark.parametrize("cut", [0, 10, 500])
def test_half_a_play_is_refused(cut: int) -> None:
    episodes, played = made()
    with pytest.raises(ValueError, match="damaged"):
        unpack(pack(played, ticks=True)[:cut], episodes)


def test_a_play_of_other_episodes_is_refused() -> None:
    _, played = made()
    with pytest.raises(ValueError, match="not of these episodes"):
        unpack(pack(played, ticks=True), (episode(LENGTH, scenario="S05", seed=4),))


def test_a_play_without_its_ticks_is_not_taken_for_one_with_them() -> None:
    episodes, played = made()
    with pytest.raises(ValueError, match="lacks offered"):
        unpack(pack(played, ticks=False), episodes)


def test_orders_are_repeated_in_their_turn_and_the_last_ones_stand() -> None:
    episodes, played = made()
    seen: list[float] = []

    class Still(World):
        @override
        def play(self, policy: Policy, episodes: Sequence[Episode]) -> Played:
            policy.start(episodes)
            for at in range(1, 6):
                move = policy.act(15.0 * at, None)  # type: ignore[arg-type]
                seen.append(float(np.asarray(move.orders.replicas)[0, 0]))
            return played

    found = again(Still(None), pack(played, ticks=False), episodes)  # type: ignore[arg-type]
    assert seen == [2.0, 3.0, 4.0, 4.0, 4.0]
    assert found.trace.moves["paged"].any()


def test_orders_of_as_many_episodes_as_were_recorded_are_repeated_alone() -> None:
    episodes, played = made()
    with pytest.raises(ValueError, match="1 episodes were recorded, not 2"):
        Repeat("mine", played.orders).start(episodes * 2)
