"""Deployments of a simulation that share a pool and a budget: who gets replicas, three ways.

Every controller knows the same of its own deployment: the rate at the gateway and what a replica
serves within the promise, by the twin's queue tables. Its own best number of replicas is what it
wishes for. Only how scarce replicas are divided differs: each its own part (`split`), whoever asks
first (`first`), or by the linear program (`priced`, `policy.allotment`). In none does the sum of
what is ordered ever leave the pool or the budget, but for what was ordered when the episode began.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from homeostat.base import names
from homeostat.base.policy import GuardPolicy
from homeostat.lab.baselines.autoscaler import Autoscaler
from homeostat.lab.baselines.scaling import Rules
from homeostat.lab.deployment_build import capacity_within_rps
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import Episode, Move
from homeostat.policy.allotment import Need, allot, cost_of, floor_of
from homeostat.policy.claim import Kind, Resource
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Variant

_ARRIVALS: Final = signals.GATEWAY_SIGNALS.index(names.ARRIVAL_RATE)
_WEIGHT: Final = 0.3  # of the newest scrape in the mean of the rate
_SILENT: Final = 4  # scrapes in a row without a rate, after which it is not known
_UTILISATION: Final = GuardPolicy().utilisation_max
POOL: Final = "pool"
BUDGET: Final = "budget"


class Mode(StrEnum):
    """How what is scarce is divided."""

    SPLIT = "split"
    FIRST = "first"
    PRICED = "priced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What is shared by how many.

    Attributes:
        members: Deployments of a group; episodes side by side in their order.
        room: Of the pool and of the budget beyond what all hold at the start, as a share of it.
    """

    members: int
    room: float

    def __post_init__(self) -> None:
        """Refuse what is no sharing.

        Raises:
            ValueError: Names the value and the range.
        """
        if self.members < 1 or not 0.0 <= self.room < math.inf:
            raise ValueError(
                f"together: needs members of 1 or more and room of 0 or more, "
                f"got {self.members} and {self.room}"
            )

    def pool(self, held: Sequence[float]) -> float:
        """Return the slots of a group that begins with so many replicas each."""
        return math.floor(sum(held) * (1.0 + self.room) + 1e-6)

    def usd(self, held: Sequence[float], prices: Sequence[float]) -> float:
        """Return the budget of a group, USD an hour."""
        spent = sum(count * price for count, price in zip(held, prices, strict=True))
        return spent * (1.0 + self.room)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a controller knows of its own deployment, besides its scrapes.

    Attributes:
        start: Replicas of pool A when the episode begins.
        most: That its own cap, the quota and the slots leave to pool A.
        rps: Of one replica within the promise.
        usd: Price of a replica, an hour.
        budget: Its own hourly budget, the unit of worth.
    """

    start: int
    most: int
    rps: float
    usd: float
    budget: float

    def need(self, name: str, held: int, load: float) -> Need:
        """Return what it needs with so many replicas and this load, in replicas."""
        return Need(
            name=name, held=held, floor=floor_of(held, 1, load, _UTILISATION),
            most=max(self.most, held), load=load, violation=FROZEN.value_budgets,
            unit_cost=self.usd / self.budget, uses=((POOL, 1.0), (BUDGET, self.usd)),
        )  # fmt: skip


def member(episode: Episode) -> Member:
    """Return what a controller knows: its deployment as configured, and a twin of it in health."""
    p = episode.params
    law, money = p.service, p.money
    start, other = (float(np.asarray(p.replicas)[v]) for v in (Variant.A, Variant.B))
    left_s = float(p.promise.p99_s) - float(law.queue_delay_s) - float(p.limits.network_s)
    rps = capacity_within_rps(
        float(law.tau0_s[Variant.A]), float(law.alpha_s[Variant.A]),
        float(law.batch_max[Variant.A]), cv2=float(law.cv2[Variant.A]),
        ca2=1.0 + (float(p.demand.ca2) - 1.0) / max(start, 1.0), within_s=left_s,
    )  # fmt: skip
    most = min(float(money.hard_cap), float(p.provision.cap), float(episode.slots)) - other
    return Member(
        start=round(start), most=max(math.floor(most), round(start)), rps=rps,
        usd=float(money.usd_per_hour[Variant.A]), budget=float(money.budget_usd_per_hour),
    )  # fmt: skip


def own_best(need: Need) -> int:
    """Return the number of replicas that is best for a deployment that is alone; of equals fewer.

    >>> one = Member(start=3, most=9, rps=10.0, usd=1.0, budget=10.0)
    >>> own_best(one.need("a", 3, 2.0)), own_best(one.need("a", 3, math.nan))
    (3, 3)
    """
    if math.isnan(need.load):
        return need.held

    return min(range(need.floor, need.most + 1), key=lambda units: cost_of(need, units))


def split(group: Sequence[Member], needs: Sequence[Need], sharing: Sharing) -> list[int]:
    """Return what each orders within a part of its own: what it began with, and the room on it."""
    own = [max(math.floor(one.start * (1.0 + sharing.room) + 1e-6), 1) for one in group]
    return [min(own_best(need), part) for need, part in zip(needs, own, strict=True)]


def first(group: Sequence[Member], needs: Sequence[Need], sharing: Sharing, turn: int) -> list[int]:
    """Return what each orders where whoever asks first is served; who that is goes round."""
    return _within(group, needs, [own_best(one) for one in needs], sharing, turn)


def priced(
    group: Sequence[Member], needs: Sequence[Need], sharing: Sharing, turn: int
) -> list[int]:
    """Return what each orders by the linear program, as far as there is room for it already."""
    wishes = [own_best(one) for one in needs]
    pool, usd = _resources(group, sharing)
    if sum(wishes) > pool or _spend(group, wishes) > usd * (1.0 + 1e-9):
        shared = (Resource(name=POOL, most=pool), Resource(name=BUDGET, most=usd))
        found = allot(needs, shared)
        if found.kind is not Kind.DIVIDED:
            return [one.held for one in needs]
        wishes = [one.units for one in found.shares]
    return _within(group, needs, wishes, sharing, turn)


def _resources(group: Sequence[Member], sharing: Sharing) -> tuple[float, float]:
    held = [float(one.start) for one in group]
    return sharing.pool(held), sharing.usd(held, [one.usd for one in group])


def _spend(group: Sequence[Member], units: Sequence[int]) -> float:
    return sum(one.usd * count for one, count in zip(group, units, strict=True))


def _within(
    group: Sequence[Member],
    needs: Sequence[Need],
    wishes: Sequence[int],
    sharing: Sharing,
    turn: int,
) -> list[int]:
    """Return wishes, those for more cut to what is free; what others might give up is theirs."""
    pool, usd = _resources(group, sharing)
    granted = [need.held for need in needs]
    free, money = pool - sum(granted), usd * (1.0 + 1e-9) - _spend(group, granted)
    for step in range(len(group)):
        at = (turn + step) % len(group)
        price = max(group[at].usd, 1e-12)
        more = min(wishes[at] - granted[at], math.floor(free), math.floor(money / price))
        if more > 0:
            granted[at], free, money = granted[at] + more, free - more, money - more * price
    return [min(wish, has) for wish, has in zip(wishes, granted, strict=True)]


Divide = Callable[[Sequence[Member], Sequence[Need], Sharing, int], list[int]]
DIVIDE: Final[Mapping[Mode, Divide]] = {
    Mode.SPLIT: lambda group, needs, sharing, _: split(group, needs, sharing),
    Mode.FIRST: first,
    Mode.PRICED: priced,
}


class Together:
    """A policy for groups of deployments: an autoscaler each, and one way to divide.

    What is given back waits for the stabilisation that every autoscaler has; a person is paged
    by the same static alert.

    Args:
        mode: How what is scarce is divided.
        sharing: What is shared by how many.
    """

    def __init__(self, mode: Mode, sharing: Sharing) -> None:
        self.name = f"together:{mode.value}"
        self._divide, self._sharing = DIVIDE[mode], sharing
        self._inner = Autoscaler(self.name, wish=self._wish, rules=Rules())

    def start(self, episodes: Sequence[Episode]) -> None:
        """Prepare for groups of episodes.

        Raises:
            ValueError: The episodes are no whole number of groups.
        """
        if len(episodes) % self._sharing.members:
            raise ValueError(
                f"together: {len(episodes)} episodes are no groups of {self._sharing.members}"
            )
        self._members = [member(one) for one in episodes]
        self._rate = np.full(len(episodes), np.nan)
        self._silent = np.zeros(len(episodes), int)
        self._turn = 0
        self._inner.start(episodes)

    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Divide, and order."""
        return self._inner.act(now_s, scrape)

    def _wish(self, scrape: Scrape, current: np.ndarray) -> np.ndarray:
        loads = self._loads(scrape)
        wished = np.array(current, dtype=float)
        size = self._sharing.members
        for begin in range(0, len(loads), size):
            places = range(begin, begin + size)
            group = [self._members[at] for at in places]
            needs = [
                one.need(f"d{at}", round(float(current[at, Variant.A])), float(loads[at]))
                for at, one in zip(places, group, strict=True)
            ]
            found = self._divide(group, needs, self._sharing, self._turn)
            wished[begin : begin + size, Variant.A] = found
        self._turn += 1
        return wished

    def _loads(self, scrape: Scrape) -> np.ndarray:
        """Return the load of each pool A in replicas; NaN = not known."""
        rate = np.asarray(scrape.gateway)[:, _ARRIVALS] * np.asarray(scrape.weights)[:, Variant.A]
        known = np.isfinite(rate) & (rate >= 0.0)
        self._silent = np.where(known, 0, self._silent + 1)
        moved = np.where(np.isnan(self._rate), rate, self._rate + _WEIGHT * (rate - self._rate))
        self._rate = np.where(known, moved, self._rate)
        rps = np.array([one.rps for one in self._members])
        with np.errstate(divide="ignore", invalid="ignore"):
            loads = self._rate / rps
        # A replica that serves nothing within the promise says nothing of how many would.
        lost = (self._silent >= _SILENT) | ~np.isfinite(loads)
        return np.where(lost, np.nan, loads)
