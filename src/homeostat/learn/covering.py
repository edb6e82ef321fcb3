"""Keeps the line of how well the twin's 90 % intervals hold, for the decision seat.

The arithmetic is `credit`'s; what is kept of it is a noun of the journal. Of a choice it is asked
whether what came lies in what was foreseen of exactly that choice; of a choice to hold, likewise.
"""

from homeostat.base.learning import Awaited, Covering
from homeostat.learn.credit import Calibration, Effect, calibrated, held, reading


def cover(before: Covering, awaited: Awaited, after: float) -> tuple[Covering, bool | None]:
    """Return the line after one effect, and whether it was held; None = not known.

    Args:
        before: The line so far.
        awaited: The pick, with what was foreseen of it.
        after: p95 of latency over the time until it had settled, milliseconds; NaN = not known.
    """
    effect = Effect(
        before=awaited.before,
        after=after,
        foreseen_hold=awaited.foreseen_hold,
        foreseen_low=awaited.foreseen_low - awaited.foreseen_hold,
        foreseen_high=awaited.foreseen_high - awaited.foreseen_hold,
    )
    now = calibrated(Calibration(before.hits, before.unknown), effect)
    told = reading(now)
    kept = Covering(hits=now.hits, unknown=now.unknown, drop=told.drop, because=told.because)
    return kept, held(effect)
