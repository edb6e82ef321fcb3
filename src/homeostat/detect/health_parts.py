"""The parts of the health score: from what was seen and foretold to what it takes away.

Each function makes one part; none looks at another's. A loss grows with what is bad and only with
that: with how near a value is to its limit, how probable and how soon a breach is, how rare a
value is. What is unknown makes an UNKNOWN part with the loss that `health.Losses` asks for, and
with the worst that it could be.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, cast

from homeostat.base.evidence import Suspicion, Verdict
from homeostat.base.units import SECOND
from homeostat.detect.breach_time import TimeLeft
from homeostat.detect.health import Concern, Losses, Part

# Nearer to its limit than this share of it an objective takes away, up to a tenth at the limit: it
# is kept, but a step away from being missed.
_NEAR: Final = 0.1
_NEAR_LOSS: Final = 0.1
# An alarm at 1 in 10^4 takes away half of its share, one at 1 in 10^12 three quarters.
_RARE: Final = 4.0
# More probable than not is a finding, less is a possibility that only lowers the score.
_SURE: Final = 0.5


def objective(
    subject: str, signal: str, value: float | None, limit: float, *, at_least: bool = False,
    losses: Losses,
) -> Part:  # fmt: skip
    """Return the part of a promise now.

    Args:
        subject: See `SeriesKey`.
        signal: A name from `base.names`.
        value: None where unknown.
        limit: The promise.
        at_least: The value must not fall below the limit; else it must not rise above.
        losses: What may be taken away.
    """
    if value is None or not math.isfinite(value):
        worst, text = 1.0, "nobody sees whether the promise is kept"
        loss = losses.unknown_objective
        return _part(Concern.OBJECTIVE, subject, signal, Verdict.UNKNOWN, loss, worst, text)
    over = (limit - value) if at_least else (value - limit)
    text = f"{value:.4g}, promised {'at least' if at_least else 'at most'} {limit:.4g}"
    if over > 0.0:
        return _part(Concern.OBJECTIVE, subject, signal, Verdict.ANOMALOUS, 1.0, 1.0, text)
    room = -over / (_NEAR * abs(limit)) if limit else math.inf
    loss = _NEAR_LOSS * max(1.0 - room, 0.0)
    return _part(Concern.OBJECTIVE, subject, signal, Verdict.HEALTHY, loss, loss, text)


def breach(
    subject: str, signal: str, chances: Sequence[float | None], minutes: Sequence[float],
    losses: Losses,
) -> Part:  # fmt: skip
    """Return the part of a coming breach: its urgency, weighed by when it comes.

    Args:
        subject: See `SeriesKey`.
        signal: A name from `base.names`.
        chances: Probability that the limit is passed by each horizon; None where unknown.
        minutes: The horizons, ascending, as many.
        losses: As many urgencies as horizons.

    Raises:
        ValueError: The numbers of horizons differ.
    """
    if not len(chances) == len(minutes) == len(losses.urgency):
        raise ValueError(
            f"health: {len(chances)} chances and {len(losses.urgency)} urgencies for "
            f"{len(minutes)} horizons; give as many"
        )
    if None in chances:
        # What a shorter look knows still counts; what a longer one would add does not get better.
        seen = _urgency([one or 0.0 for one in chances], losses)
        worst = _urgency([1.0 if one is None else one for one in chances], losses)
        loss = max(seen, losses.unknown_forecast)
        text = "too little history to say whether the limit is passed"
        verdict = Verdict.ANOMALOUS if seen > losses.unknown_forecast else Verdict.UNKNOWN
        return _part(Concern.BREACH, subject, signal, verdict, loss, max(worst, loss), text)
    known = cast("Sequence[float]", chances)
    loss = _urgency(known, losses)
    text = ", ".join([
        f"{chance:.0%} within {minute:g} min" for chance, minute in zip(known, minutes, strict=True)
    ])
    verdict = Verdict.ANOMALOUS if max(known) >= _SURE else Verdict.HEALTHY
    return _part(Concern.BREACH, subject, signal, verdict, loss, loss, text)


def _urgency(chances: Sequence[float], losses: Losses) -> float:
    """Return sum of urgency x probability that it comes between this horizon and the one before."""
    total = before = 0.0
    for chance, urgency in zip(chances, losses.urgency, strict=True):
        now = max(min(chance, 1.0), before)
        total += urgency * (now - before)
        before = now
    return total


def time_left(subject: str, signal: str, left: TimeLeft | None, losses: Losses) -> Part:
    """Return the part of a share that climbs towards its limit.

    Args:
        subject: See `SeriesKey`.
        signal: A name from `base.names`.
        left: Quantiles of the time; None where unknown.
        losses: What may be taken away.
    """
    if left is None:
        loss, text = losses.unknown_forecast, "nobody sees whether the limit is reached"
        worst = max(losses.urgency[0], loss)
        return _part(Concern.TIME_LEFT, subject, signal, Verdict.UNKNOWN, loss, worst, text)
    weights = _masses(left.levels)
    loss = losses.urgency[0] * sum(
        weight * _soon(at, losses) for weight, at in zip(weights, left.at_ns, strict=True)
    )
    said = ", ".join(
        f"{level:.0%} by {'none in sight' if at is None else f'{at / SECOND:.0f} s'}"
        for level, at in zip(left.levels, left.at_ns, strict=True)
    )
    middle = left.at_ns[len(left.at_ns) // 2]
    found = middle is not None and middle <= losses.reach_ns
    verdict = Verdict.ANOMALOUS if found else Verdict.HEALTHY
    return _part(Concern.TIME_LEFT, subject, signal, verdict, loss, loss, said)


def _masses(levels: Sequence[float]) -> list[float]:
    """Return the probability that each quantile stands for: half way to its neighbours."""
    edges = [0.0, *((a + b) / 2.0 for a, b in pairwise(levels)), 1.0]
    return [b - a for a, b in pairwise(edges)]


def _soon(at: int | None, losses: Losses) -> float:
    """Return 1 for at once, 0 for out of reach, a straight line between."""
    if at is None or at >= losses.reach_ns:
        return 0.0
    return min((losses.reach_ns - at) / (losses.reach_ns - losses.soon_ns), 1.0)


def alarm(
    subject: str, signal: str, neg_log10_p: float | None, losses: Losses, *, alarms: bool
) -> Part:
    """Return the part of a detector's word on a signal that no objective is about.

    Args:
        subject: See `SeriesKey`.
        signal: A name from `base.names`.
        neg_log10_p: Evidence against healthy; None where unknown.
        losses: What may be taken away.
        alarms: Whether the detector alarms.
    """
    if neg_log10_p is None or math.isnan(neg_log10_p):
        loss, text = losses.unknown_detector, "no baseline, or nothing reported"
        worst = max(losses.alarm, loss)
        return _part(Concern.ALARM, subject, signal, Verdict.UNKNOWN, loss, worst, text)
    text = f"1 in 10^{neg_log10_p:.1f} while well"
    if not alarms:
        return _part(Concern.ALARM, subject, signal, Verdict.HEALTHY, 0.0, 0.0, text)
    score = max(neg_log10_p, 0.0)
    loss = losses.alarm * score / (score + _RARE)
    return _part(Concern.ALARM, subject, signal, Verdict.ANOMALOUS, loss, loss, text)


def suspicion(one: Suspicion, losses: Losses) -> Part:
    """Return the part of a suspected fault."""
    loss = losses.suspicion * min(max(one.confidence, 0.0), 1.0)
    text = "; ".join(one.because) or "suspected"
    return _part(Concern.SUSPICION, one.subject, one.family, Verdict.ANOMALOUS, loss, loss, text)


def _part(
    concern: Concern, subject: str, signal: str, verdict: Verdict, loss: float, worst: float,
    because: str,
) -> Part:  # fmt: skip
    return Part(concern, subject, signal, verdict, loss, worst, because)
