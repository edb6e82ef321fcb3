"""What an action did: its effect less what would have come anyway, and whether that was foreseen.

`credit` is the effect of one action with the twin's prediction of doing nothing taken off: what was
foreseen of the load explains most of what a before-and-after comparison would call an effect.
`Calibration` asks whether the twin's 90 % intervals hold nine effects in ten. Where they hold fewer
than eight of the last fifty, the twin does not know what it does not know, and it says so: drop to
approve. It never says the opposite; autonomy comes back by other evidence (`govern.autonomy`).
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.stats.exact import clopper_pearson

Floats = npt.NDArray[np.float64]

LAST: Final = 50
"""Effects that are looked back on."""
LEAST: Final = 0.8
"""Share of them that 90 % intervals must hold. With exact intervals fewer than 40 of 50 are held
in 1 look of 107 (binomial); looks overlap, so false drops are rarer than looks suggest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One action's effect on one quantity; NaN = not known.

    Attributes:
        before: The level when it was decided.
        after: The level when its effect had settled.
        foreseen_hold: What the twin foresaw had nothing been done.
        foreseen_low: Lower end of the 90 % interval of the difference that it makes.
        foreseen_high: Upper end.
    """

    before: float
    after: float
    foreseen_hold: float
    foreseen_low: float
    foreseen_high: float


def credit(effect: Effect) -> float:
    """Return what the action did: the level after it, less what was foreseen without it.

    NaN when one of the two is not known; before and after alone are no substitute, since they call
    the load's own course an effect.
    """
    return effect.after - effect.foreseen_hold


def held(effect: Effect) -> bool | None:
    """Return whether the foreseen interval holds the effect; None when that is not known."""
    did = credit(effect)
    if not all(map(math.isfinite, (did, effect.foreseen_low, effect.foreseen_high))):
        return None
    return effect.foreseen_low <= did <= effect.foreseen_high


class Calibration(NamedTuple):
    """The last effects: whether each interval held its effect, oldest first.

    Attributes:
        hits: At most `LAST` of them.
        unknown: Effects that could not be judged, ever.
    """

    hits: tuple[bool, ...] = ()
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What calibration says now.

    Attributes:
        share: Of the last effects that were held, NaN before there are any.
        low: Lower end of its exact 95 % interval.
        high: Upper end.
        seen: How many are looked back on.
        drop: Whether autonomy is to drop to approve.
        because: One sentence for people.
    """

    share: float
    low: float
    high: float
    seen: int
    drop: bool
    because: str


def calibrated(state: Calibration, effect: Effect) -> Calibration:
    """Return the state after one effect; what cannot be judged is counted, not held or missed."""
    hit = held(effect)
    if hit is None:
        return state._replace(unknown=state.unknown + 1)
    return state._replace(hits=(*state.hits, hit)[-LAST:])


def reading(state: Calibration) -> Reading:
    """Return what the last effects say of the twin's intervals.

    Fewer than `LAST` effects cannot clear the twin, but can convict it: once so many were missed
    that the share of the full window will be below `LEAST` whatever follows.
    """
    seen, hits = len(state.hits), sum(state.hits)
    if not seen:
        return Reading(
            share=math.nan, low=0.0, high=1.0, seen=0, drop=False,
            because="no effect has been compared with its prediction yet",
        )  # fmt: skip
    low, high = clopper_pearson(hits, seen, 0.95)
    drop = hits + (LAST - seen) < round(LEAST * LAST)
    words = f"90 % intervals held {hits} of the last {seen} effects"
    because = f"{words}; drop to approve" if drop else words
    return Reading(share=hits / seen, low=low, high=high, seen=seen, drop=drop, because=because)


def with_control(outcome: Floats, control: Floats, mean: float) -> tuple[Floats, float]:
    """Return outcomes with a control variate taken off, and the share of variance that is left.

    outcome - b (control - mean), b from the other half of the rounds, so that no round corrects
    itself and the mean stays right.

    Args:
        outcome: `[round]`.
        control: What was foreseen of each, `[round]`.
        mean: The control's known mean.

    Raises:
        ValueError: Fewer than four rounds, or of different lengths.
    """
    if len(outcome) < 4 or len(outcome) != len(control):  # noqa: PLR2004 - two halves of two
        raise ValueError("credit: need four rounds or more, each with its control")
    even = np.arange(len(outcome)) % 2 == 0
    slope = np.where(
        even, _slope(outcome[~even], control[~even]), _slope(outcome[even], control[even])
    )
    corrected = outcome - slope * (control - mean)
    return corrected, float(corrected.var() / max(outcome.var(), np.finfo(float).tiny))


def _slope(outcome: Floats, control: Floats) -> float:
    off = control - control.mean()
    square = float(off @ off)
    return float(off @ outcome) / square if square > 0.0 else 0.0
