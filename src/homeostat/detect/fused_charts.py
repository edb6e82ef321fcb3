"""What the charts of a deployment say together, as the fused score takes it.

A chart's p-value is that of a normal law, and operators' signals are not normal: it is read as so
many deviations and counted by a t law with four degrees of freedom, divided among the series
(Bonferroni), and must hold for `HELD` ticks.
"""

import math
from collections.abc import Sequence
from typing import Final

from homeostat.base.evidence import Evidence, Verdict
from homeostat.detect.layout import CHARTED, Layout

# Ticks in a row that charts must hold their alarm: a window of five scrapes straddles an onset.
HELD: Final = 4
_LOG10_TWO: Final = math.log10(2.0)


def chart_evidence(layout: Layout, evidence: Evidence) -> float:
    """Return the charts' evidence of a deployment on one tick, see the module; NaN for unknown.

    Args:
        layout: The rows.
        evidence: What is said of the deployment.
    """
    part = layout.parts.get(evidence.deployment)
    charted = 0 if part is None else int(part.charted.sum())
    unknown, most = 0, 0.0
    for claim in evidence.anomalies:
        if claim.verdict is Verdict.UNKNOWN:
            unknown += claim.signal in CHARTED
        elif claim.neg_log10_p is not None:
            most = max(most, claim.neg_log10_p)
    if unknown >= charted:
        return math.nan
    return max(heavy_tailed(most) - math.log10(max(charted, 1)), 0.0)


def heavy_tailed(neg_log10_p: float) -> float:
    """Return -log10 p by a t law with 4 degrees of freedom of what a normal law calls so rare.

    Both tails by their leading terms: deviations squared are 2 ln(10) times the evidence, and
    P(|t| > z) falls like (1 + z^2 / 4)^-2.

    >>> round(heavy_tailed(10.0), 1), round(heavy_tailed(300.0), 1)
    (2.2, 5.1)
    """
    squared = 2.0 * math.log(10.0) * max(neg_log10_p, 0.0)
    return 2.0 * math.log10(1.0 + squared / 4.0)


def merged(one: float, other: float) -> float:
    """Return the evidence of two that may depend in any way; NaN where neither is known.

    >>> round(merged(4.0, float("nan")), 2), round(merged(4.0, 1.0), 2)
    (4.0, 3.7)
    """
    if math.isnan(one) or math.isnan(other):
        return other if math.isnan(one) else one
    return max(one, other, _LOG10_TWO) - _LOG10_TWO


def held(charts: Sequence[float]) -> float:
    """Return the evidence that charts have held for as long as they must."""
    known = [one for one in charts if not math.isnan(one)]
    if not known:
        return math.nan
    return min(known) if len(known) == HELD else 0.0
