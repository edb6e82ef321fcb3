"""What the oracle may try next: changes to a plan, made from knowing the faults and the future.

A plan is one episode's orders for every scrape from now to its end, fields [R, ...]. Edits compose:
the search applies them to the best plan so far. They respect nothing but the hard cap on replicas:
the oracle has no safe set.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, cast

import jax
import numpy as np

from homeostat.lab.types import Episode
from homeostat.twin.orders import Orders
from homeostat.twin.shapes import SCRAPE_S, Cure, Phase, Variant

READY_AHEAD = 20  # scrapes: so long before it is needed a replica is asked for
STAGGER = 4  # scrapes between two restarts, so that the first is loading when the next begins
Edit = Callable[[Orders], Orders]
Grown = Callable[[np.ndarray], np.ndarray]  # from replicas of each scrape to others

CURES: Final = frozenset({
    "as many as allowed",
    "half as many again",
    "restart those hit at once",
    "restart all of A one by one",
    "roll A back",
    "roll B back",
    "0.25 of the traffic to B",
    "0.5 of the traffic to B",
    "1 of the traffic to B",
    "all traffic to A",
})
"""Edits that may put right what a retraining would, and are had at once."""
_SIZES: Final[Mapping[str, Grown]] = {
    "one replica more": lambda n: n + 1,
    "half as many again": lambda n: np.ceil(1.5 * n),
    "as many as allowed": lambda n: np.full_like(n, np.inf),
    "one replica less": lambda n: n - 1,
    "a quarter less": lambda n: np.floor(0.75 * n),
}
_MORE_SIZES: Final[Mapping[str, Grown]] = {
    "two replicas more": lambda n: n + 2,
    "a quarter as many again": lambda n: np.ceil(1.25 * n),
    "twice as many": lambda n: 2 * n,
    "two replicas less": lambda n: n - 2,
    "half of them": lambda n: np.floor(0.5 * n),
}


def level(orders: Orders, scrapes: int) -> Orders:
    """Return the plan that keeps one episode's lever values, without impulses."""
    flags = {"restart", "rollback", "retrain", "retrain_ungated", "person_fixes", "by_us"}
    values: dict[str, Any] = {}
    for name, value in vars(orders).items():
        one = np.asarray(value)
        row = np.zeros_like(one) if name in flags else one
        values[name] = np.repeat(row[None], scrapes, axis=0)
    return Orders(**values)


def edits(
    episode: Episode,
    standing: Orders,
    phase: np.ndarray,
    slot_variant: np.ndarray,
    *,
    finer: bool = False,
) -> Iterator[tuple[str, Edit]]:
    """Yield the changes that may be worth trying, with their names.

    Args:
        episode: Whose faults and demand are known.
        standing: Its orders at the start, unbatched.
        phase: `shapes.Phase` of each slot now [S].
        slot_variant: Variant of each slot now [S].
        finer: Whether more values of each lever are tried, about twice as many changes in all.
    """
    yield "as at the start", _as_at_start(episode, standing)
    yield from _replica_edits(episode, finer=finer)
    yield from _batch_edits(episode, finer=finer)
    yield from _concurrency_edits(finer=finer)
    yield from _slot_edits(episode, phase, slot_variant)
    if finer:
        yield from _more_slot_edits(phase, slot_variant)
    yield from _traffic_edits(episode, finer=finer)
    yield from _model_edits(episode)


def later_from(plan: Orders) -> int:
    """Return the scrape from which on traffic goes elsewhere as planned; the length if never.

    A short look ahead sees what such a plan costs and not what it is worth: the edits that one
    chooses among leave it alone.
    """
    weights = np.asarray(plan.weights)
    moved = (weights != weights[:1]).any(axis=1)
    return int(moved.argmax()) if moved.any() else len(weights)


def moves_later(plan: Orders) -> bool:
    """Return whether a plan moves traffic later on."""
    return later_from(plan) < _length(plan)


def nothing_later(standing: Orders) -> tuple[str, Edit]:
    """Return the change that gives up what is planned for later, with its name.

    Args:
        standing: Orders at the start, unbatched: a canary without traffic goes back to as many.
    """

    def edit(plan: Orders) -> Orders:
        weights, replicas = np.array(plan.weights), np.array(plan.replicas)
        weights[:] = weights[:1]
        if weights[0, Variant.CANARY] == 0.0:
            replicas[:, Variant.CANARY] = np.asarray(standing.replicas)[Variant.CANARY]
        retrain = np.zeros_like(np.asarray(plan.retrain))
        return _with(plan, weights=weights, replicas=replicas, retrain=retrain)

    return "nothing later", edit


def instead_of_later(
    standing: Orders, quick: Iterable[tuple[str, Edit]], onset: int
) -> Iterator[tuple[str, Edit]]:
    """Yield what a plan that moves traffic later is weighed against: the cheap cures in their time.

    Args:
        standing: Orders at the start, unbatched.
        quick: Edits of which the cures are taken.
        onset: Scrapes until the fault begins, 0 or less = it has.
    """
    name, none = nothing_later(standing)
    yield name, none
    if onset > 0:
        for cure, edit in quick:
            if cure in CURES:
                yield f"{cure}, at the onset", _delayed(none, edit, onset)


def _delayed(first: Edit, edit: Edit, scrapes: int) -> Edit:
    def both(plan: Orders) -> Orders:
        plan = first(plan)
        if scrapes >= _length(plan):
            return plan
        rest = edit(jax.tree.map(lambda leaf: np.asarray(leaf)[scrapes:], plan))
        return cast(
            "Orders",
            jax.tree.map(
                lambda old, new: np.concatenate([np.asarray(old)[:scrapes], new]), plan, rest
            ),
        )

    return both


def _as_at_start(episode: Episode, standing: Orders) -> Edit:
    most = float(episode.params.money.hard_cap)

    def edit(plan: Orders) -> Orders:
        new = level(standing, _length(plan))
        at = later_from(plan)
        if at == _length(plan):
            return new
        weights, replicas = np.array(new.weights), np.array(new.replicas)
        weights[at:] = np.asarray(plan.weights)[at:]
        canary = np.asarray(plan.replicas)[:, Variant.CANARY]
        replicas[:, Variant.CANARY] = np.maximum(replicas[:, Variant.CANARY], canary)
        others = replicas.sum(axis=1) - replicas[:, Variant.A]
        replicas[:, Variant.A] = np.clip(replicas[:, Variant.A], 0.0, np.maximum(most - others, 1))
        return _with(new, weights=weights, replicas=replicas, retrain=np.asarray(plan.retrain))

    return edit


def _replica_edits(episode: Episode, *, finer: bool) -> Iterator[tuple[str, Edit]]:
    most = float(episode.params.money.hard_cap)
    for name, grown in ({**_SIZES, **_MORE_SIZES} if finer else _SIZES).items():
        yield name, _replicas(Variant.A, grown, most)
    yield "a replica of B more", _replicas(Variant.B, lambda n: n + 1, most)
    if finer:
        yield "two replicas of B more", _replicas(Variant.B, lambda n: n + 2, most)
        yield "a replica of B less", _replicas(Variant.B, lambda n: n - 1, most)


def _replicas(variant: Variant, grown: Grown, most: float) -> Edit:
    def edit(plan: Orders) -> Orders:
        replicas = np.array(plan.replicas)
        others = replicas.sum(axis=1) - replicas[:, variant]
        ceiling = np.maximum(most - others, replicas[:, variant])
        floor = np.minimum(replicas[:, variant], 1)  # none stays none where fewer are asked for
        replicas[:, variant] = np.clip(grown(replicas[:, variant]), floor, ceiling)
        return _with(plan, replicas=replicas)

    return edit


def _batch_edits(episode: Episode, *, finer: bool) -> Iterator[tuple[str, Edit]]:
    limit = float(episode.params.service.batch_limit)

    def times(factor: float) -> Edit:
        def edit(plan: Orders) -> Orders:
            batch = np.clip(np.round(np.asarray(plan.batch_max) * factor), 1, limit)
            return _with(plan, batch_max=batch)

        return edit

    for factor in (0.5, 2.0, 4.0, *(0.25, 0.75, 1.5, 8.0) * finer):
        yield f"batch x {factor:g}", times(factor)


def _concurrency_edits(*, finer: bool) -> Iterator[tuple[str, Edit]]:
    # Written anew, the lever also puts right a limit that somebody else has set.
    def times(factor: float) -> Edit:
        def edit(plan: Orders) -> Orders:
            held = np.maximum(np.round(np.asarray(plan.concurrency) * factor), 1)
            return _with(plan, concurrency=held)

        return edit

    for factor in (0.5, 2.0, *(0.25, 0.75, 1.5, 4.0) * finer):
        yield f"concurrency x {factor:g}", times(factor)


def _slot_edits(
    episode: Episode, phase: np.ndarray, slot_variant: np.ndarray
) -> Iterator[tuple[str, Edit]]:
    faults = episode.faults
    real = np.isfinite(np.asarray(faults.start_s))
    slots = np.asarray(faults.slots, bool)
    # A fault that hits every slot singles none out, except where restarting is its cure.
    cured = np.asarray(faults.cure) == Cure.RESTART
    aimed = slots[real & (cured | ~slots.all(axis=1))]
    alive = np.isin(phase, [int(Phase.READY), int(Phase.HUNG)])
    hit = np.flatnonzero(aimed.any(axis=0) & alive) if aimed.size else np.zeros(0, int)
    sick = np.flatnonzero(phase == Phase.HUNG)
    if hit.size:
        yield "restart those hit at once", _restarts(hit, together=True)
        yield "drain those hit", _drain(hit)
    if hit.size > 1:
        yield "restart those hit one by one", _restarts(hit, together=False)
        yield "restart the first one hit", _restarts(hit[:1], together=True)
    if sick.size and set(sick) != set(hit):
        yield "restart what hangs", _restarts(sick, together=True)
    # Old processes carry leaks and backlogs; B's are not worth the risk.
    stable = np.flatnonzero(alive & (slot_variant == Variant.A))
    if stable.size:
        yield "restart all of A one by one", _restarts(stable, together=False)
    yield "drain nobody", lambda plan: _with(plan, drain=np.zeros_like(np.asarray(plan.drain)))


def _more_slot_edits(phase: np.ndarray, slot_variant: np.ndarray) -> Iterator[tuple[str, Edit]]:
    serving = phase == Phase.READY
    stable, other = (np.flatnonzero(serving & (slot_variant == v)) for v in (Variant.A, Variant.B))
    if stable.size:
        yield "restart the first of A", _restarts(stable[:1], together=True)
        yield "drain the first of A", _drain(stable[:1])
    if other.size:
        yield "restart all of B one by one", _restarts(other, together=False)
        yield "drain the first of B", _drain(other[:1])


def _restarts(slots: np.ndarray, *, together: bool) -> Edit:
    def edit(plan: Orders) -> Orders:
        restart = np.array(plan.restart)
        for number, slot in enumerate(slots):
            at = 0 if together else number * STAGGER
            if at < len(restart):
                restart[at, slot] = True
        return _with(plan, restart=restart)

    return edit


def _drain(slots: np.ndarray) -> Edit:
    def edit(plan: Orders) -> Orders:
        drain = np.array(plan.drain)
        drain[:, slots] = True
        return _with(plan, drain=drain)

    return edit


def _traffic_edits(
    episode: Episode, *, finer: bool = False, whole: bool = False
) -> Iterator[tuple[str, Edit]]:
    usual = float(np.median(np.asarray(episode.params.demand.knots_rps)))

    def admit(rps: float) -> Edit:
        return lambda plan: _with(plan, admit_rps=np.full(_length(plan), rps))

    def shift(variant: Variant, share: float) -> Edit:
        def edit(plan: Orders) -> Orders:
            weights = np.array(plan.weights)
            until = _length(plan) if whole else later_from(plan)
            weights[:until] = 0.0
            weights[:until, Variant.A] = 1.0 - share
            weights[:until, variant] += share
            return _with(plan, weights=weights)

        return edit

    for share in (0.4, 0.7, 0.95, *(0.25, 0.55, 0.85) * finer):
        yield f"let in {share:g} of the usual load", admit(share * usual)
    yield "let all in", admit(np.inf)
    for share in (0.25, 0.5, 1.0, *(0.1, 0.35, 0.65, 0.8) * finer):
        yield f"{share:g} of the traffic to B", shift(Variant.B, share)
    yield "all traffic to A", shift(Variant.A, 1.0)


def _model_edits(episode: Episode) -> Iterator[tuple[str, Edit]]:
    def back(variant: Variant) -> Edit:
        def edit(plan: Orders) -> Orders:
            flags = np.array(plan.rollback)
            flags[0, variant] = True
            return _with(plan, rollback=flags)

        return edit

    yield "roll A back", back(Variant.A)
    yield "roll B back", back(Variant.B)
    yield "all traffic to the canary", _promote(episode, 0, 0)


def slow_edits(episode: Episode, standing: Orders) -> Iterator[tuple[str, Edit]]:
    """Yield the changes whose worth shows only after the ordinary horizon; arguments as above."""
    ahead = float(episode.params.quality.retrain_s) / SCRAPE_S
    done = int(np.ceil(ahead)) + 2  # the order takes effect a scrape later, the write some seconds
    shift = _promote(episode, done, max(0, done - READY_AHEAD))

    def retrain(plan: Orders) -> Orders:
        if done >= _length(plan):
            return plan
        flags = np.array(plan.retrain)
        flags[0] = True
        return shift(_with(plan, retrain=flags))

    yield "retrain, gated, and move there when it is done", retrain
    yield "as at the start", lambda plan: level(standing, _length(plan))
    yield from (pair for pair in _model_edits(episode))
    yield from _traffic_edits(episode, whole=True)


def _promote(episode: Episode, weights_at: int, replicas_at: int) -> Edit:
    """Return the edit that makes the canary as large as A, and later sends all traffic there."""
    size = float(np.asarray(episode.params.replicas)[Variant.A])
    most = float(episode.params.money.hard_cap)

    def edit(plan: Orders) -> Orders:
        weights, replicas = np.array(plan.weights), np.array(plan.replicas)
        weights[weights_at:] = np.arange(weights.shape[1]) == Variant.CANARY
        later = replicas[replicas_at:]
        room = most - later.sum(axis=1) + later[:, Variant.CANARY]
        wanted = np.maximum(later[:, Variant.CANARY], np.minimum(size, room))
        later[:, Variant.CANARY] = wanted
        return _with(plan, weights=weights, replicas=replicas)

    return edit


def _length(plan: Orders) -> int:
    return len(np.asarray(plan.admit_rps))


def _with(plan: Orders, **values: np.ndarray) -> Orders:
    return replace(plan, **cast("Any", values))
