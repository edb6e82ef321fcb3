"""Levers that somebody else moved: an autoscaler, a person, another controller.

What a lever does is felt minutes later, and then nothing in the metrics says why: fewer replicas
look like a slow service. The loop knows which moves were its own, so what it did not move is kept
for a while and named where the objectives are missed and nothing else explains it. A coincidence is
no proof: it ranks just above "unclear", waits as long to be confirmed, and nobody acts on it; what
is undone is up to whoever did it. Versions are not looked at: a release has rules of its own.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Evidence, Family, Suspicion
from homeostat.base.state import LeverMove, LoopState, SeenLevers
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Scalar, Snapshot

# Ratios and quantiles look back over 20 scrapes (`detect.causes_common`), a queue fills before it
# is felt, and replicas that are asked for take as long again to be missed.
KEPT_SCRAPES: Final = 60
MOST: Final = 8
"""Moves that are kept; of one that fights with itself the last ones say all."""
# Above "unclear" (0.2), below every rule of one tick.
CONFIDENCE: Final = 0.22
_PREFIXES: Final = (names.lever_replicas(""), names.lever_weight(""))
_LEVERS: Final = frozenset({
    names.BATCH_MAX, names.BATCH_WAIT, names.CONCURRENCY, names.GATEWAY_LIMIT,
})  # fmt: skip


def followed(state: LoopState, evidence: Evidence) -> LoopState:
    """Return the state with what somebody else has moved by this tick.

    Args:
        state: Before the tick.
        evidence: The tick's; without a world nothing is known of levers.
    """
    world, before = evidence.world, state.seen_levers
    if world is None:
        return state
    now, levers = evidence.at, _levers(world)
    if before is None:
        return replace(state, seen_levers=SeenLevers(levers=levers))
    was = dict(before.levers)
    kept_ns = KEPT_SCRAPES * state.managed.scrape_ns
    moves = [one for one in before.moves if 0 <= now - one.at < kept_ns]
    for lever, value in levers:
        if lever in was and was[lever] != value and not _ours(state, lever, now):
            moves.append(LeverMove(lever=lever, was=was[lever], now=value, at=now))
    if levers == before.levers and tuple(moves) == before.moves:
        return state
    # A lever that was not read this time keeps what it was.
    known = tuple(sorted({**was, **dict(levers)}.items()))
    return replace(state, seen_levers=SeenLevers(levers=known, moves=tuple(moves[-MOST:])))


def suspected(state: LoopState, evidence: Evidence) -> Evidence:
    """Return the evidence with a move of somebody else's, where that may explain it.

    Args:
        state: With the moves up to this tick (`followed`).
        evidence: This tick's.
    """
    moves = state.seen_levers.moves if state.seen_levers is not None else ()
    others = [one for one in evidence.suspicions if one.family is not Family.UNCLEAR]
    if not moves or evidence.slo_met is not False or others:
        return evidence
    unclear = evidence.suspicions[0].because if evidence.suspicions else ()
    found = Suspicion(
        family=Family.CONTROL,
        subject=names.MODEL,
        confidence=CONFIDENCE,
        because=(*(_said(one, evidence.at) for one in reversed(moves)), *unclear),
    )
    # Direct evidence that is unclear by itself (probes fail everywhere) stays before it.
    ranked = sorted((*evidence.suspicions, found), key=lambda one: -one.confidence)
    return replace(evidence, suspicions=tuple(ranked))


def _levers(world: Snapshot) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted([pair for pair in world.levers if _followed(pair[0])]))


@lru_cache(maxsize=4096)
def _followed(lever: str) -> bool:
    return lever in _LEVERS or lever.startswith(_PREFIXES)


def _ours(state: LoopState, lever: str, now: TimeNs) -> bool:
    """Return whether an action of ours may have moved a lever: one in flight, or one of lately."""
    flying = state.record
    if flying is not None and lever in {name for name, _ in flying.action.change}:
        return True
    kept_ns = KEPT_SCRAPES * state.managed.scrape_ns
    return any(lever in one.levers and now - one.at < kept_ns for one in state.past)


def _said(one: LeverMove, now: TimeNs) -> str:
    ago = (now - one.at) / SECOND
    return f"{one.lever} went from {one.was} to {one.now} {ago:.0f} s ago, and not by us"
