"""One question, one answer: from evidence and candidates to a rehearsal, trusted or not.

Composes the steps: read the situation, suspect the faults, draw, rehearse, judge the trust. Pure:
the worker process that calls it keeps the clock, the deadline and the compiled programs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.evidence import Evidence, Incident
from homeostat.base.policy import Managed
from homeostat.base.rehearsal import Rehearsal, Trust
from homeostat.base.units import SECOND, TimeNs
from homeostat.twin.fit_values import Fit
from homeostat.twin.orders import Orders
from homeostat.twin.rehearse import AT_A_TIME, Candidate, Question, rehearse
from homeostat.twin.rehearse_draw import draw
from homeostat.twin.rehearse_faults import suspected
from homeostat.twin.rehearse_live import Unseen, situation
from homeostat.twin.rehearse_orders import NotRehearsedError, orders_of, stages_of, standing_orders
from homeostat.twin.rehearse_play import Stage
from homeostat.twin.rehearse_prior import Prior
from homeostat.twin.rehearse_situation import Situation, Slot
from homeostat.twin.rehearse_trust import Standing, dated, ready, said, state_of, trust
from homeostat.twin.shapes import SLOT_COUNTS, Phase, Variant

_LAW: Final = 2
# What leaves less of the deployment to carry its load.
_SHRINKS: Final = frozenset({ActionKind.SCALE_DOWN, ActionKind.RESIZE_DOWN, ActionKind.BATCH_DOWN})
_SPARE: Final = 2  # slots left free for what candidates add


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked.

    Attributes:
        id: Names the answer.
        at: When.
        managed: The deployment's configuration.
        evidence: The latest tick's.
        incident: The open one; None = all is calm.
        candidates: Actions, best first.
        horizon_ns: How far to look.
        draws: How many.
        seed: Equal questions with equal seeds have equal answers.
    """

    id: str
    at: TimeNs
    managed: Managed
    evidence: Evidence | None
    incident: Incident | None
    candidates: tuple[Action, ...]
    horizon_ns: int
    draws: int
    seed: int


@dataclass(slots=True, kw_only=True)
class Theatre:
    """A fitted twin, ready to answer.

    Attributes:
        found: The fit.
        standing: What is known of it besides.
        assume: What a person says instead of priors.
        draws: How many are usually asked for: what `warm` compiles.
        stages: Compiled programs by slots.
    """

    found: Fit
    standing: Standing
    assume: Mapping[str, Prior] = field(default_factory=dict)
    draws: int = 64
    stages: dict[int, Stage] = field(default_factory=dict)

    def stage(self, slots: int) -> Stage:
        """Return the program of a size; it compiles at its first use."""
        if slots not in self.stages:
            self.stages[slots] = Stage(slots)
        return self.stages[slots]


def unknown(asked_id: str, at: TimeNs, reasons: Sequence[str]) -> Rehearsal:
    """Return the rehearsal that did not take place: it foresees nothing, and is not trusted."""
    return Rehearsal(
        id=asked_id,
        at=at,
        horizon_ns=0,
        draws=0,
        prospects=(),
        trust=Trust(reasons=tuple(f"nothing was rehearsed: {reason}" for reason in reasons)),
    )


def answer(theatre: Theatre, asked: Asked) -> Rehearsal:
    """Return what comes of the candidates.

    Args:
        theatre: The fitted twin.
        asked: The question.
    """
    now = situation(asked.managed, asked.evidence)
    if isinstance(now, Unseen) or asked.evidence is None:
        return unknown(asked.id, asked.at, now.reasons if isinstance(now, Unseen) else ())
    slots = size(len(now.slots))
    given = {"number": asked.draws, "slots": slots, "seed": asked.seed}
    draws = draw(theatre.found, now, assume=theatre.assume, **given)
    service = draws.lanes[0].service
    law = np.stack([np.asarray(service.tau0_s)[:, 0], np.asarray(service.alpha_s)[:, 0]], axis=1)
    wrong = suspected(asked.incident, asked.evidence, now, law, slots=slots, seed=asked.seed)
    candidates, left_out = _candidates(theatre.found, now, asked.candidates, slots)
    return rehearse(
        theatre.stage(slots),
        draws.facing(wrong.faults, (*left_out, dated(theatre.found, theatre.standing, asked.at))),
        Question(id=asked.id, at=asked.at, horizon_s=asked.horizon_ns / SECOND),
        standing_orders(now, slots),
        candidates,
        trust(theatre.found, theatre.standing, now, at=asked.at, unplayed=wrong.unplayed),
    )


def size(replicas: int) -> int:
    """Return the slots of the smallest program with room for replicas and for more of them.

    >>> [size(n) for n in (1, 2, 3, 6, 7, 31)]
    [4, 4, 8, 8, 16, 32]
    """
    return next((s for s in SLOT_COUNTS if s >= replicas + _SPARE), SLOT_COUNTS[-1])


def _candidates(
    found: Fit, now: Situation, actions: Sequence[Action], slots: int
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Return what can be rehearsed, and why the rest cannot."""
    kept, left_out = [], []
    for action in actions:
        if action == HOLD or action.is_passive:
            continue
        try:
            one = Candidate(
                action=action,
                orders=orders_of(action, now, slots),
                before=stages_of(action, now, slots),
            )
        except NotRehearsedError as error:
            left_out.append(f"{action.kind} {action.subject} was not rehearsed: {error}")
            continue
        one = replace(one, loads=tuple(_load(found, now, orders) for orders in one.played))
        strange = _unseen(found, now, one)
        if strange:
            left_out.append(f"{action.kind} {action.subject} was not rehearsed: {strange[0]}")
        else:
            kept.append(one)
    return kept, tuple(left_out)


def _unseen(found: Fit, now: Situation, one: Candidate) -> list[str]:
    """Return sentences if a candidate leads where nobody can say what comes of it."""
    strange = [why for orders in one.played for why in _beyond(found, now, orders)]
    if one.action.kind not in _SHRINKS or strange:
        return strange
    if now.unread_memory:
        which = ", ".join(now.unread_memory)
        return [f"memory in use of {which} is not known, and what is left would be filled sooner"]
    # What is taken away is missing also when the load comes that is forecast.
    later = replace(now, rate_rps=now.peak_rps, mean_batch=math.nan)
    if later.rate_rps > now.rate_rps:
        strange = [why for orders in one.played for why in _beyond(found, later, orders)]
    return [f"{why}, where the load is forecast to be" for why in strange]


def _moved(now: Situation, orders: Orders) -> tuple[int, Situation]:
    """Return the ready replicas of the stable pool with orders, and the deployment with them."""
    wanted = float(np.asarray(orders.replicas)[Variant.A])
    after = ready(now) + round(wanted - now.target[Variant.A])
    batch_max = float(np.asarray(orders.batch_max)[Variant.A])
    weight = float(np.asarray(orders.weights)[Variant.A])
    return after, replace(now, batch_max=batch_max, weights=(weight, 1.0 - weight, 0.0))


def _load(found: Fit, now: Situation, orders: Orders) -> float:
    """Return the load of the stable pool with orders; NaN if nothing would serve."""
    after, moved = _moved(now, orders)
    return state_of(found, moved, after, now)[0]


def _beyond(found: Fit, now: Situation, orders: Orders) -> list[str]:
    """Return a sentence if an action leads where the deployment was never seen."""
    after, moved = _moved(now, orders)
    still = (moved.batch_max, moved.weights[Variant.A]) == (now.batch_max, now.weights[Variant.A])
    if still and after == ready(now):
        return []  # where it stands already: that is `trust`'s question
    if found.region is None:
        return ["the fit knows no region"]
    load, batch = state_of(found, moved, after, now)
    return said(found.region, load, batch, after)


def warm(theatre: Theatre, slots: int) -> None:
    """Compile the program of one size by playing a scrape of nothing.

    Args:
        theatre: Keeps them.
        slots: One of `shapes.SLOT_COUNTS`.
    """
    now = Situation(
        rate_rps=1.0,
        requests=1.0,
        slots=(Slot(name="a-1", variant=Variant.A, phase=Phase.READY),),
        weights=(1.0, 0.0, 0.0),
        batch_max=1.0,
        latency_ms=1000.0,
        error_ratio=0.01,
    )
    given = {"number": theatre.draws, "slots": slots, "seed": 0}
    draws = draw(theatre.found, now, assume=theatre.assume, **given)
    hold = standing_orders(now, slots)
    many: Orders = jax.tree.map(lambda leaf: jnp.stack([leaf] * AT_A_TIME), hold)
    jax.tree.map(np.asarray, theatre.stage(slots).play(draws.lanes, many, 1))
