"""The learner that the wiring hands to the decision seat; the loop itself imports no stage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from homeostat.base.actions import Action, SafeSet
from homeostat.base.evidence import Evidence
from homeostat.base.guard import GuardState
from homeostat.base.learning import (
    Advice,
    Awaited,
    Covering,
    Liked,
    Offer,
    Payoff,
    Pick,
    Standing,
    Tally,
    Watched,
)
from homeostat.base.policy import AdaptivePolicy, Managed
from homeostat.base.units import TimeNs


class Weigh(Protocol):
    """`policy.seat.weigh`."""

    def __call__(
        self,
        offers: Sequence[Offer],
        incumbent: Action,
        safe_set: SafeSet,
        seen: GuardState,
        learnt: str,
        *,
        pick_id: str,
        now: TimeNs,
        roll: float,
    ) -> Advice:
        """Return what the learner would do."""
        ...


class Learn(Protocol):
    """`policy.seat_learn.learn`."""

    def __call__(self, learnt: str, policy: AdaptivePolicy, pick: Pick, payoff: Payoff) -> str:
        """Return what is known after one outcome."""
        ...


Chart = Callable[
    [tuple[float, ...], Sequence[float]], tuple[tuple[float, ...], tuple[float | None, ...]]
]
"""`detect.charted.charted`."""


class Like(Protocol):
    """`policy.seat_trained.like`."""

    def __call__(
        self,
        incumbent: Action,
        seen: GuardState,
        safe_set: SafeSet,
        watched: Watched | None,
        now: TimeNs,
        *,
        find: Callable[[str], Any],
    ) -> Liked:
        """Return what a trained policy would do."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedParts:
    """A trained policy as an arm.

    Attributes:
        chart: The control charts of what it is told.
        watch: What is remembered for it, tick by tick (`policy.trained_watch.watched`).
        find: Its network, by the digest that the configuration names (`server.snapshots.known`).
        like: What it would do.
    """

    chart: Chart
    watch: Callable[[Watched | None, Evidence, Managed, Chart], Watched]
    find: Callable[[str], Any]
    like: Like


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatParts:
    """What `loop.seat` calls.

    Attributes:
        offers: What the arms would do; the guards are asked of it (`policy.seat_arms.offers`).
        weigh: Which of them the learner would have.
        payoff: What came of a pick (`policy.seat_effect.payoff`).
        latency: p95 over the time that it took, NaN if unknown (`policy.seat_effect.latency`).
        learn: Takes one outcome in.
        renew: What is known after a person set the mode (`policy.seat_learn.renewed`).
        cover: Whether the twin's intervals held (`learn.covering.cover`).
        stand: How learning stands against the runbook (`learn.standing.stand`).
        trained: A trained policy as an arm, None for none.
    """

    offers: Callable[[Action, GuardState, SafeSet], tuple[Offer, ...]]
    weigh: Weigh
    payoff: Callable[[Awaited, Managed], Payoff]
    latency: Callable[[Tally], float]
    learn: Learn
    renew: Callable[[str, AdaptivePolicy], str]
    cover: Callable[[Covering, Awaited, float], tuple[Covering, bool | None]]
    stand: Callable[[Standing, Awaited, Payoff], Standing]
    trained: TrainedParts | None = None
