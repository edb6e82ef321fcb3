"""A replica that has fallen behind its peers by less than one tick can show, and for long.

Replicas of one version under one balancer do the same work at the same time, so that load, larger
requests and whatever they share moves all of them, and their ratio stays what it is: the device
time of one over what its batch explains, beside the median of its peers'. A device whose clock is
throttled, or that has a neighbour, leaves it for good. Hardware may differ, so what the ratio
usually is is learnt for each process while nothing is suspected, before it is judged.

Compared are means over blocks as long as the windows that device times look back over, so that
blocks hardly depend on each other, by Page's cumulative sum (Biometrika 41 (1954)): what is above
the usual by more than `ALLOWED` adds up, and `AT` of it is a straggler. With blocks that spread by
2 % (five scrapes of 5 %, recorded episodes of the lab) chance reaches that never in practice, with
5 % once in 100,000 blocks (Siegmund, "Sequential Analysis" (1985), 2.52). A replica slower by 15 %
is found in three blocks and by 40 % in one.

It is only told, while users feel nothing: what is slow without hurting is nobody's repair, and a
replica that was slow for a moment is above the line until its next block.
"""

import math
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import (
    LOOKBACK_SCRAPES,
    UNLIKE_ITSELF,
    Evidence,
    Family,
    Suspicion,
)
from homeostat.base.state import Lag, LoopState
from homeostat.loop import beside

ALLOWED: Final = 0.06
"""Half of a device slower by an eighth, as a logarithm."""
AT: Final = 0.25
FIRST: Final = 4
"""Blocks of calm before a process is judged: hardware may differ from the first one on."""
# What is usual follows over so many blocks, hours of seconds or a day of quarter minutes.
_MOST: Final = 100


def followed(state: LoopState, evidence: Evidence) -> LoopState:
    """Return the state with how far each replica is behind its peers.

    Args:
        state: Before the tick.
        evidence: The tick's; a tick in which not all are known is left out.
    """
    world = evidence.world
    paces = None if world is None else beside.paces(state, evidence, world)
    if not paces:
        return state
    before = {(one.replica, one.incarnation): one for one in state.lags}
    calm = state.calm_ticks > 0 and state.record is None
    lags = []
    for (name, incarnation), own in sorted(paces.items()):
        others = sorted([pace for key, pace in paces.items() if key != (name, incarnation)])
        ratio = math.log(own / others[(len(others) - 1) // 2])
        lag = before.get((name, incarnation), Lag(replica=name, incarnation=incarnation))
        lags.append(_with(lag, ratio, calm=calm))
    return replace(state, lags=tuple(lags))


def suspected(state: LoopState, evidence: Evidence) -> Evidence:
    """Return the evidence with a replica that has fallen behind, where no rule blames one.

    Args:
        state: With the lags up to this tick (`followed`).
        evidence: This tick's.
    """
    behind = [one for one in state.lags if one.grown >= AT]
    if not behind:
        return evidence
    worst = max(behind, key=lambda one: (one.last - one.usual, one.replica))
    told = evidence.suspicions
    hurts = evidence.slo_met is False or bool(told and told[0].confidence > UNLIKE_ITSELF)
    if hurts:
        return evidence  # one block may be a moment that is over: nobody is blamed by it
    slower = math.expm1(worst.last - worst.usual)
    found = Suspicion(
        family=Family.REPLICA,
        subject=names.replica(worst.replica),
        confidence=UNLIKE_ITSELF,
        because=(
            f"{worst.replica} has fallen behind its peers: a batch takes {slower:.0%} longer",
            "what they share does not explain it, and it lasts",
        ),
    )
    return replace(evidence, suspicions=(found,))


def _with(lag: Lag, ratio: float, *, calm: bool) -> Lag:
    """Return a lag with one tick more; what is usual is learnt from blocks of calm."""
    ticks, total = lag.ticks + 1, lag.total + ratio
    if ticks < LOOKBACK_SCRAPES:
        return replace(lag, ticks=ticks, total=total)
    mean = total / ticks
    lag = replace(lag, ticks=0, total=0.0, last=mean)
    if lag.blocks >= FIRST:
        grown = max(lag.grown + mean - lag.usual - ALLOWED, 0.0)
        lag = replace(lag, grown=min(grown, 2.0 * AT))
    if not calm or lag.grown > 0.0:
        return lag
    weight = 1.0 / (min(lag.blocks, _MOST) + 1)
    return replace(lag, blocks=lag.blocks + 1, usual=lag.usual + weight * (mean - lag.usual))
