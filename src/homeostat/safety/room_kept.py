"""How much of what the stable pool could hold at once stays, of the most within half an hour.

Replicas and the requests that each may have in flight are two levers of one capacity: a half of
the one and a half of the other leave a quarter. The loop remembers their product; here is what an
action would leave of it, counted in replicas that are seen healthy.
"""

from homeostat.base import names
from homeostat.base.own_values import apart
from homeostat.safety.capacity import healthy_in
from homeostat.safety.change import Change
from homeostat.safety.sight import Sight, milli

ALL_MILLI = 1000  # a whole in thousandths, as every share that the rules read


def room_kept(
    change: Change, sight: Sight, out: tuple[frozenset[str], int, str | None] | None
) -> int | None:
    """Return the share that stays in thousandths, 1000 where nothing is taken, None if unknown.

    Args:
        change: The action's levers against the live ones.
        sight: What can be seen.
        out: What leaves rotation: slots, how many unnamed ones, and their pool.
    """
    if out is None or sight.world is None:
        return None
    named, unnamed, pool = out
    stable = sight.state.managed.stable_pool
    healthy = sight.once(healthy_in, stable)
    left = len(healthy - named) - unnamed if pool == stable else len(healthy)
    live = each_milli(sight.world.lever(names.CONCURRENCY))
    wanted = dict(change.writes).get(names.CONCURRENCY)
    after = live if wanted is None else milli(wanted)
    if live is None or after is None:
        return None
    if after >= live and not (pool == stable and (named or unnamed)):
        return ALL_MILLI
    if pool == stable and (named or unnamed) and apart(names.CONCURRENCY, sight.world):
        return None  # what stays may hold less each, and what goes more
    peak = sight.state.peak_room_milli
    return ALL_MILLI if peak <= 0 else max(0, left) * after * ALL_MILLI // peak


def each_milli(lever: float | str | None) -> int | None:
    """Return how many requests one replica may have in flight, in thousandths.

    Where there is no such lever replicas alone count, one each; None where it holds no number.
    """
    return ALL_MILLI if lever is None else milli(lever)
