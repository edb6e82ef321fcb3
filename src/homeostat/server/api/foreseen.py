"""The shape of a rehearsal in an answer: the contract of `server.view_rehearsal`."""

from homeostat.server.api.schemas import Body

Interval = tuple[float | None, float | None, float | None]  # 5 %, 50 % and 95 % of the draws


class ForeseenOut(Body):
    """What the twin foresees, in the units of the names."""

    latency_ms: Interval
    error_ratio: Interval
    availability: Interval
    usd_per_hour: Interval
    breach: Interval


class ProspectOut(Body):
    """One candidate's prospect."""

    action: str
    rank: int | None  # among what is permitted, 1 = best foreseen; by a trusted twin only
    foreseen: ForeseenOut
    against_hold: ForeseenOut
    ends_well: float | None


class RehearsalOut(Body):
    """What was foreseen of each candidate, and whether it was believed."""

    id: str
    horizon_s: float
    draws: int
    trusted: bool
    distrust: list[str]
    notes: list[str]
    prospects: list[ProspectOut]
