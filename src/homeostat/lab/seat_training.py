"""What a decision seat learns before it is evaluated: blocks of random compositions, in order.

The episodes of a block are played side by side and all begin with what the blocks before it taught.
Then every outcome of the block is learnt, episode by episode in the order of their seeds and within
one in the order of time: the same episodes and blocks give the same state, however many processors
there are. No scenario of a catalogue is among them (see `environment_draw`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from homeostat.lab.bandit_policy import gambling
from homeostat.lab.controller import Controller
from homeostat.lab.homeostat import seated
from homeostat.lab.run import world_for
from homeostat.lab.seat_file import SEATS
from homeostat.lab.types import Episode
from homeostat.policy import seat_learn

FIRST: Final = 700_000
"""Seed of the first composition: those of trained policies begin at 500,000, those by which they
are chosen at 900,000 (`environment_draw`)."""
SLOTS: Final = 16  # as most of the catalogue's deployments have

_MAKERS: Final[Mapping[str, Callable[[str], Controller]]] = {
    "safe_canary": seated,
    "bandit": gambling,
}


class Block(NamedTuple):
    """How far it is.

    Attributes:
        episodes: Played so far.
        played: How often each arm was played so far, by name.
        outcomes: Learnt from so far.
        learnt: What is known now, as the seat keeps it.
    """

    episodes: int
    played: Mapping[str, int]
    outcomes: int
    learnt: str


def learn(
    name: str, episodes: Sequence[Episode], *, block: int, width: int, learnt: str = ""
) -> Iterator[Block]:
    """Play episodes block by block, and learn from each block.

    Args:
        name: The policy, as in `seat_file.SEATS`.
        episodes: Of one size and length, in the order of their seeds.
        block: How many are played before anything is learnt from them.
        width: Episodes side by side that the twin is compiled for, at least `block`.
        learnt: What is known before; empty = nothing.

    Yields:
        What is known after each block.

    Raises:
        ValueError: A block is empty, or wider than the program.
    """
    if not 1 <= block <= width:
        raise ValueError(f"a block has 1 to {width} episodes, got {block}")
    played: Counter[str] = Counter()
    outcomes = 0
    for first in range(0, len(episodes), block):
        some = episodes[first : first + block]
        policy = _MAKERS[name](learnt)
        world_for(some, width).play(policy, some)
        minds: Sequence[Any] = policy.minds
        for mind in minds:
            played.update(mind.played)
            outcomes += len(mind.taught)
            for pick, payoff in mind.taught:
                learnt = seat_learn.learn(learnt, SEATS[name], pick, payoff)
        yield Block(first + len(some), dict(played), outcomes, learnt)
