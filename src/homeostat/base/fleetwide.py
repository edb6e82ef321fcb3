"""What the whole fleet's tests say of one deployment: which of its series are told of.

Beside every other judgement, of which it takes nothing away: not here is how the tests are made
(`detect.fleetwide`), and what people are told because of them (`loop.telling`).
"""

from dataclasses import dataclass

from homeostat.base.units import TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleetwide:
    """One deployment in the tests of all charted series that a controller looks after.

    Attributes:
        told: The fleet tells of it; None where too little is known to test it, or nothing of it is
            seen on this tick.
        neg_log10_p: Evidence of its last whole block of ticks, as -log10 of a p-value over all its
            series; None for unknown.
        since: When the fleet first told of what lasts; None where it tells of nothing.
        series: The series that are rare enough for the fleet, as (subject, signal), sorted.
        tested: Series of it that were tested in the last block.
        share: Of all that is told, the share that may be false.
        false_incidents: What may be false besides, per 1,000 signals and day; None for none.
        alone: What rules suspect on this tick, none of it urgent and the objectives met, would not
            be suspected if the series that were tested and not told of stood where they usually do.
    """

    told: bool | None
    neg_log10_p: float | None
    since: TimeNs | None
    series: tuple[tuple[str, str], ...]
    tested: int
    share: float
    false_incidents: float | None
    alone: bool = False
