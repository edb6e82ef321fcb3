"""What coordination is worth: the same groups under three ways to divide, pair by pair.

Groups are random compositions that nobody was trained in, side by side in the order they are drawn.
A group is what is compared: its deployments depend on each other. Pure; whoever calls shows
progress.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from homeostat.lab import environment_draw
from homeostat.lab.baselines.hold import Hold
from homeostat.lab.metrics_score import Scores, score
from homeostat.lab.run import world_for
from homeostat.lab.scenario import Scenario
from homeostat.lab.together import Mode, Sharing, Together
from homeostat.lab.types import FAMILIES, Episode
from homeostat.stats.bootstrap import interval, resamples
from homeostat.stats.compare import holm, sign_flip

FIRST: Final = 1_900_000
"""First seed of a group's compositions: beyond those of training, choosing and the lab's own."""
SLOTS: Final = 16
_HOUR_S: Final = 3600
_DRAWS: Final = 2000
MEASURES: Final = ("gain", "violation", "spend", "caused")
"""Gain over hold in hourly budgets; minutes with an objective missed; spend as a share of the
budget; catastrophes that were caused. All of a deployment and hour."""


class Group(NamedTuple):
    """What a way to divide came to, group by group.

    Attributes:
        mode: Which way.
        values: Means over the group's deployments `[measure, group]`.
        over: Largest share of the pool or the budget that was ordered `[group]`.
    """

    mode: Mode
    values: np.ndarray
    over: np.ndarray


class Line(NamedTuple):
    """One way by one measure, and less each other one; a value and the ends of 95 %."""

    mode: Mode
    measure: str
    mean: tuple[float, float, float]


class Pair(NamedTuple):
    """`priced` less another way by one measure.

    Attributes:
        against: The other way.
        measure: Of `MEASURES`.
        difference: Mean over groups, and the ends of 95 %.
        p: Of no difference, by flips of sign of whole groups.
        corrected: The same by Holm, over all pairs.
    """

    against: Mode
    measure: str
    difference: tuple[float, float, float]
    p: float
    corrected: float


def groups(
    count: int,
    sharing: Sharing,
    known: Iterable[Scenario],
    *,
    hours: int = 1,
    family: str | None = None,
) -> tuple[Episode, ...]:
    """Return the episodes of so many groups, one group after the other.

    Args:
        count: How many groups.
        sharing: How many deployments each has.
        known: Scenarios of the catalogue, of which none is played.
        hours: Of an episode.
        family: Of the faults, for example `load`; None = all.

    Raises:
        ValueError: There are not so many.
    """
    return environment_draw.episodes(
        count * sharing.members, known=known, slots=SLOTS, length_s=hours * _HOUR_S, first=FIRST,
        without=tuple(one for one in FAMILIES if family not in {None, one}),
    )  # fmt: skip


def measured(
    episodes: Sequence[Episode], sharing: Sharing, width: int, modes: Sequence[Mode] = tuple(Mode)
) -> Iterator[Group]:
    """Play every way over the same groups, batch by batch.

    Args:
        episodes: From `groups`.
        sharing: As they were drawn for.
        width: Episodes side by side at most.
        modes: Ways to divide.

    Yields:
        What each way came to in a batch; `joined` puts them together.
    """
    side = width // sharing.members * sharing.members
    for begin in range(0, len(episodes), side):
        part = tuple(episodes[begin : begin + side])
        world = world_for(part, width)
        still = world.play(Hold(), part)
        held = score(still.trace, still.trace, orders=still.orders)
        for mode in modes:
            played = world.play(Together(mode, sharing), part)
            found = score(played.trace, still.trace, orders=played.orders)
            used = _used(part, sharing, np.asarray(played.orders.replicas))
            yield Group(mode, _by_group(found, held, part, sharing.members), used)


def joined(parts: Iterable[Group]) -> dict[Mode, Group]:
    """Return every way over all groups."""
    found: dict[Mode, list[Group]] = {}
    for one in parts:
        found.setdefault(one.mode, []).append(one)
    return {
        mode: Group(
            mode,
            np.concatenate([one.values for one in rows], axis=1),
            np.concatenate([one.over for one in rows]),
        )
        for mode, rows in found.items()
    }


def lines(found: Mapping[Mode, Group]) -> list[Line]:
    """Return every way by every measure."""
    return [
        Line(mode, measure, _estimate(group.values[at]))
        for mode, group in found.items()
        for at, measure in enumerate(MEASURES)
    ]


def pairs(found: Mapping[Mode, Group]) -> list[Pair]:
    """Return `priced` less every other way, by every measure, with p-values for all at once."""
    ours = found[Mode.PRICED].values
    rows = [
        (mode, measure, ours[at] - group.values[at])
        for mode, group in found.items()
        if mode is not Mode.PRICED
        for at, measure in enumerate(MEASURES)
    ]
    chances = [sign_flip(difference) for _, _, difference in rows]
    return [
        Pair(mode, measure, _estimate(difference), p, corrected)
        for (mode, measure, difference), p, corrected in zip(
            rows, chances, holm(chances), strict=True
        )
    ]


def _estimate(values: np.ndarray) -> tuple[float, float, float]:
    rows = resamples(range(len(values)), _DRAWS, seed=0) / len(values)
    ends = interval(rows @ values)
    low, high = (np.nan, np.nan) if ends is None or len(values) == 1 else ends
    return float(values.mean()), low, high


def _by_group(found: Scores, held: Scores, part: Sequence[Episode], size: int) -> np.ndarray:
    hours = np.array([one.length_s / _HOUR_S for one in part])
    budget = np.array([float(one.params.money.budget_usd_per_hour) for one in part])
    rows = [
        (found.value - held.value) / hours,
        found.service.violation_s / 60.0 / hours,
        found.service.usd / budget / hours,
        found.judgement.caused.any(axis=1) / hours,
    ]
    return np.stack([row.reshape(-1, size).mean(axis=1) for row in rows])


def _used(part: Sequence[Episode], sharing: Sharing, ordered: np.ndarray) -> np.ndarray:
    """Return the largest share of what is shared that was ordered at once `[group]`."""
    size = sharing.members
    start = np.array([float(np.asarray(one.params.replicas)[0]) for one in part])
    usd = np.array([float(one.params.money.usd_per_hour[0]) for one in part])
    found = []
    for begin in range(0, len(part), size):
        mine = slice(begin, begin + size)
        replicas = ordered[mine, :, 0]
        pool = sharing.pool(start[mine].tolist())
        money = sharing.usd(start[mine].tolist(), usd[mine].tolist())
        spent = (replicas * usd[mine, None]).sum(axis=0).max()
        found.append(max(replicas.sum(axis=0).max() / pool, spent / money))
    return np.array(found)
