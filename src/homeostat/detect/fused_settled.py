"""Of which series the level has changed for good, and who may take that for usual by itself.

The change-point detector says when a new level has settled. That alone is no health: whoever breaks
a model slowly enough settles too. A new level may become usual only where, from before the change
began until now, the objectives were known to be met, no rule suspected anything, nothing of ours
was in flight, and enough was seen to tell. Whatever else, somebody has to say that it is normal.

Not here: which of these rows may really begin anew (`detect.settling`).
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from homeostat.base import names
from homeostat.base.evidence import Evidence, SeriesKey

FELT: Final = frozenset({
    names.ERROR_RATIO, names.LATENCY_P50, names.LATENCY_P95, names.ACCURACY, names.PROBE_HEALTH,
    names.PROBE_INFERENCE, names.PROBE_LATENCY, names.PROBE_FAILURES,
})  # fmt: skip
"""What users feel: within the objective of a tick it may burn a budget for days, which only the
loop adds up, so that such a level becomes usual by a person's word alone."""


class News(NamedTuple):
    """A level that has settled.

    Attributes:
        key: Of which series.
        ticks: For how long it has been changing, at least.
    """

    key: SeriesKey
    ticks: int


def is_sure(evidence: Evidence, busy: frozenset[str], dark: frozenset[str]) -> bool:
    """Return whether a deployment is known to be well on a tick, the score apart.

    Args:
        evidence: What rules and charts say of it.
        busy: Deployments with an action of ours in flight.
        dark: Deployments of which too little is seen.
    """
    name = evidence.deployment
    well = evidence.slo_met is True and not evidence.suspicions  # unknown is not met
    return well and name not in busy and name not in dark


def throughout(news: Sequence[News], sure: Mapping[str, int], before: int) -> tuple[SeriesKey, ...]:
    """Return the series whose deployment was known to be well for as long as they changed.

    What users feel (`FELT`) is none of them.

    Args:
        news: Levels that have settled on this tick.
        sure: Ticks in a row on which it was, by deployment.
        before: For so many ticks before the change it must have been, too.
    """
    return tuple(
        one.key
        for one in news
        if one.key.signal not in FELT and sure.get(one.key.deployment, 0) >= one.ticks + before
    )
