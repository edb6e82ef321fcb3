"""Which own action a catastrophe goes back to: the run again, frozen after each of its actions.

The definition of what is caused compares with HOLD, which says that the policy did it and not
with which of its actions. Here every beginning of the run is played (the first action alone, the
first two, and so on; see `pairing.Replay`), all with the same chance, and judged as the run was.
The action blamed is the last of the shortest beginning that causes the code. It need not do so by
itself: what was done before it stands.
"""

from dataclasses import dataclass

import jax
import numpy as np

from homeostat.lab.judge import CODES, judge
from homeostat.lab.pairing import Replay
from homeostat.lab.types import Trace
from homeostat.lab.world import Played, World
from homeostat.twin.shapes import SCRAPE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """The action that one code goes back to.

    Attributes:
        code: K1 to K7.
        number: Of the own action, from 1; None where it took none (K7 by standing by).
        decision: Of the episode, from 0: the scrape at whose end it was made.
        at_s: When, in seconds since the episode began.
    """

    code: str
    number: int | None = None
    decision: int | None = None
    at_s: float | None = None


def blamed(
    world: World, played: Played, hold: Played, *, row: int = 0, person_scale: float = 1.0
) -> tuple[Blamed, ...]:
    """Return for each code that a run caused the action that it goes back to.

    Args:
        world: The one that played.
        played: The run, of a batch.
        hold: HOLD's of the same batch.
        row: Which episode of the batch.
        person_scale: Of the human model's delays, as the run was judged.

    Returns:
        In the order of the codes; empty where nothing was caused.
    """
    found = judge(played.trace, hold.trace, orders=played.orders, person_scale=person_scale)
    codes = found.codes(row)
    if not codes:
        return ()
    decisions = np.flatnonzero(np.asarray(played.trace.moves["intervened"])[row])
    left = list(codes)
    out = {code: Blamed(code=code) for code in codes}
    for first in range(0, len(decisions) + 1, world.width):
        some = np.arange(first, min(first + world.width, len(decisions) + 1))
        hits = _caused(world, played, hold, (row, some), person_scale)
        for code in tuple(left):
            where = np.flatnonzero(hits[:, CODES.index(code)])
            if len(where):
                left.remove(code)
                out[code] = _named(code, int(some[where[0]]), decisions)
        if not left:
            break
    return tuple(out.values())


def _named(code: str, number: int, decisions: np.ndarray) -> Blamed:
    """Return what a code goes back to that so many actions cause; none of them, by standing by."""
    if number == 0:
        return Blamed(code=code)
    decision = int(decisions[number - 1])
    at_s = float((decision + 1) * SCRAPE_S)
    return Blamed(code=code, number=number, decision=decision, at_s=at_s)


def _caused(
    world: World,
    played: Played,
    hold: Played,
    which: tuple[int, np.ndarray],
    person_scale: float,
) -> np.ndarray:
    """Return which codes an episode's first so many actions cause by themselves [B, codes]."""
    row, until = which
    rows = np.full(len(until), row)
    again = world.play(Replay(_rows(played, rows), until), [played.trace.episodes[row]] * len(rows))
    standing = _rows(hold, rows)
    judged = judge(again.trace, standing.trace, orders=again.orders, person_scale=person_scale)
    return np.asarray(judged.caused)


def _rows(played: Played, rows: np.ndarray) -> Played:
    trace = played.trace
    return Played(
        trace=Trace(
            episodes=tuple(trace.episodes[row] for row in rows),
            policy=trace.policy,
            truth=jax.tree.map(lambda leaf: np.asarray(leaf)[rows], trace.truth),
            moves={name: np.asarray(values)[rows] for name, values in trace.moves.items()},
            signal_age_s=np.asarray(trace.signal_age_s)[rows],
        ),
        orders=jax.tree.map(lambda leaf: np.asarray(leaf)[rows], played.orders),
    )
