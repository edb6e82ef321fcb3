"""Seats learn block by block, in the order of the episodes, whatever is played side by side."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from controller_made import episode
from foreseen_by_hand import WARM, Crowded, Foresees, full

from homeostat.base.actions import ActionKind
from homeostat.lab import bandit_policy, homeostat, seat_training
from homeostat.lab.environment_draw import CHOOSE, TRAIN
from homeostat.lab.seat_file import SEATS
from homeostat.lab.seat_training import FIRST, Block, learn
from homeostat.lab.types import Episode

SCRAPES = WARM + 34


class Overloads:
    """Stands for the world: every deployment is overloaded after a while."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, ...]] = []
        self.begun: list[str] = []

    def play(self, policy: Any, episodes: Sequence[Episode]) -> None:
        """Play a batch of one."""
        self.blocks.append(tuple(one.seed for one in episodes))
        policy.start(episodes)
        seat = getattr(policy.minds[0].state, "seat", None)
        self.begun.append("" if seat is None else seat.learnt)
        made, orders = Crowded(seed=episodes[0].seed), None
        for at in range(SCRAPES):
            if at == WARM:
                made.overload()
            orders = policy.act(made.now_s, made.scrape(orders)).orders


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Overloads:
    twin = Foresees({ActionKind.BATCH_UP: 0.9, ActionKind.HOLD: 0.2})
    monkeypatch.setattr(homeostat, "Twin", twin.beside)
    monkeypatch.setattr(bandit_policy, "Twin", twin.beside)
    found = Overloads()
    monkeypatch.setattr(seat_training, "world_for", lambda *_: found)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SEATS)
def test_each_block_begins_with_what_the_ones_before_taught(name: str, world: Overloads) -> None:
    some = [full("U1", seed) for seed in range(3)]
    blocks = list(learn(name, some, block=1, width=4))
    assert world.blocks == [(0,), (1,), (2,)]
    assert [one.episodes for one in blocks] == [1, 2, 3]
    assert blocks[0].outcomes > 0
    assert blocks[0].outcomes < blocks[1].outcomes < blocks[2].outcomes
    assert len({one.learnt for one in blocks}) == 3
    assert sum(blocks[-1].played.values()) >= blocks[-1].outcomes
    if name == "safe_canary":
        assert world.begun == ["", blocks[0].learnt, blocks[1].learnt]


@pytest.mark.slow
def test_the_same_episodes_and_blocks_teach_the_same(world: Overloads) -> None:
    some = [full("U1", seed) for seed in range(2)]
    first, again = (list(learn("safe_canary", some, block=1, width=4)) for _ in range(2))
    assert first == again
    assert Counter(first[-1].played)


@pytest.mark.parametrize("block", [0, -1, 5])
def test_a_block_that_cannot_be_played_is_refused(block: int) -> None:
    with pytest.raises(ValueError, match="a block has 1 to 4 episodes"):
        next(learn("bandit", [episode()], block=block, width=4))


def test_without_episodes_nothing_is_learnt() -> None:
    found: list[Block] = list(learn("bandit", [], block=1, width=4))
    assert found == []


def test_its_compositions_are_nobody_elses() -> None:
    assert TRAIN + 100_000 < FIRST < CHOOSE - 400 * 400
