"""What deployments that share something should have: a proposal to look at, which nothing follows.

Worked out from what the view holds when somebody asks. What is worth what is in
`policy.allotment`; here the view's facts become needs, and the answer plain values. Where it cannot
be seen how much a deployment holds there is no answer: what it takes of the rest is not known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from homeostat.base import names
from homeostat.base.policy import LeverLimit
from homeostat.base.types import Managed, TimeNs
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.policy.allotment import Allotment, Need, allot, floor_of
from homeostat.policy.claim import Kind, Resource
from homeostat.policy.division import SolverError
from homeostat.policy.reward import Level
from homeostat.policy.seat_context import believed
from homeostat.safety.change import limit_of
from homeostat.server.plan import SharedPlan
from homeostat.server.view_deployment import DeploymentState
from homeostat.server.view_series import plain_number

Plain = dict[str, Any]

_MISSED: Final = Level(budget_usd_per_hour=1.0).violation
"""Hourly budgets that a missed hour costs, as what learns is paid."""
_MOST: Final = 1000  # replicas of a deployment that are thought of, whatever its policy allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be divided, as values.

    Attributes:
        at: The time.
        needs: Of every deployment that shares something.
        resources: What is shared: slots and money apart.
        unseen: Why there can be no answer, deployment by deployment; empty = there can.
    """

    at: TimeNs
    needs: tuple[Need, ...]
    resources: tuple[Resource, ...]
    unseen: tuple[str, ...]


def asked(shared: Sequence[SharedPlan], states: Sequence[DeploymentState], now: TimeNs) -> Asked:
    """Return what is to be divided now.

    Args:
        shared: What is shared, each with a name of its own.
        states: Of every deployment.
        now: The time.
    """
    needs, unseen = list[Need](), list[str]()
    for state in states:
        managed = state.managed
        if managed is None or not any(one.name in managed.shares for one in shared):
            continue
        world = state.world if state.world_failed_at is None else None
        if world is None or now - world.observed_at > _fresh(managed):
            unseen.append(f"{state.name}: nobody can see how many replicas it has")
            continue
        try:
            needs.append(_need(shared, state, managed, world, now))
        except ValueError as error:  # a value that nobody thought of is no need, nor nothing
            unseen.append(str(error))
    resources = [
        Resource(name=name, most=most) for one in shared for name, most in _parts(one).items()
    ]
    return Asked(at=now, needs=tuple(needs), resources=tuple(resources), unseen=tuple(unseen))


def answered(question: Asked) -> Plain:
    """Return what each should have, as plain values; pure, and may take some milliseconds."""
    if question.unseen:
        return _plain(question, Kind.UNKNOWN, question.unseen, None)
    try:
        found = allot(question.needs, question.resources)
    except (SolverError, ValueError) as error:  # as above
        return _plain(question, Kind.UNKNOWN, [str(error)], None)
    return _plain(question, found.kind, found.because, found)


def _parts(one: SharedPlan) -> dict[str, float]:
    """Return what a shared thing is made of: its slots by its name, and its money."""
    slots = {} if one.slots is None else {one.name: float(one.slots)}
    return slots | ({} if one.per_hour is None else {f"{one.name} per hour": one.per_hour})


def _fresh(managed: Managed) -> float:
    return managed.guard.fresh_scrapes * managed.scrape_ns


def _need(
    shared: Sequence[SharedPlan],
    state: DeploymentState,
    managed: Managed,
    world: Snapshot,
    now: TimeNs,
) -> Need:
    guard, pool = managed.guard, managed.stable_pool
    mine = [one for one in world.replicas if one.pool == pool]
    held = sum(one.state is not ReplicaState.GONE for one in mine)
    ready = sum(one.state is ReplicaState.READY for one in mine)
    load = _load(state, managed, ready, now)
    limit = limit_of(guard.limits, names.lever_replicas(pool))
    slots = [one.slots for one in shared if one.name in managed.shares and one.slots is not None]
    price = managed.replica_usd_per_hour
    budget = guard.budget_usd_per_hour
    # Without a budget of its own what it runs now stands for it, without a price a replica is one.
    hour = budget or max(held, 1) * (price or 1.0)
    uses = [
        (name, 1.0 if name == one.name else price)
        for one in shared
        if one.name in managed.shares
        for name in _parts(one)
    ]
    return Need(
        name=state.name, held=held,
        floor=floor_of(held, guard.min_replicas, load, guard.utilisation_max),
        most=max(held, _most(limit, slots)), load=load,
        violation=_MISSED * hour, unit_cost=price, uses=tuple(uses),
    )  # fmt: skip


def _most(limit: LeverLimit | None, slots: Sequence[int]) -> int:
    """Return the most replicas that the policy and what is shared leave room for."""
    return math.floor(min([_MOST, *slots, *([] if limit is None else [limit.high])]))


def _load(state: DeploymentState, managed: Managed, ready: int, now: TimeNs) -> float:
    """Return the load of the stable pool in replicas; NaN = not known, or too old."""
    evidence = state.evidence
    if evidence is None or now - evidence.at > _fresh(managed) or not ready:
        return math.nan
    used = believed(evidence, names.pool(managed.stable_pool), names.UTILISATION)
    return used * ready if 0.0 <= used < math.inf else math.nan


def _plain(question: Asked, kind: Kind, because: Sequence[str], found: Allotment | None) -> Plain:
    prices = [None] * len(question.resources) if found is None else found.prices
    rows = [
        {
            "deployment": need.name,
            "held": need.held,
            "proposed": need.held if found is None else found.shares[at].units,
            "floor": need.floor,
            "load": plain_number(need.load),
            "price": None if found is None else plain_number(found.shares[at].price),
            "shares": [name for name, _ in need.uses],
        }
        for at, need in enumerate(question.needs)
    ]
    return {
        "answer": kind.value,
        "because": list(because),
        "lost": None if found is None else plain_number(found.lost),
        "shared": [
            {
                "name": one.name,
                "most": plain_number(one.most),
                "used": plain_number(_used(question, one.name)),
                "price": plain_number(price),
            }
            for one, price in zip(question.resources, prices, strict=True)
        ],
        "deployments": rows,
    }


def _used(question: Asked, name: str) -> float:
    return sum(need.held * dict(need.uses).get(name, 0.0) for need in question.needs)
