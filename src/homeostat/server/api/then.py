"""The shape of what was known at a decision: the contract of `server.view_then`."""

from homeostat.server.api.ahead import ForecastOut, HealthPartOut, HealthScoreOut
from homeostat.server.api.schemas import Body
from homeostat.server.api.seen import ReadingOut, SuspicionOut


class ThenOut(Body):
    """What a decision was taken with."""

    at: float
    slo_met: bool | None
    numbers: list[ReadingOut]
    suspicions: list[SuspicionOut]
    health_score: HealthScoreOut | None
    health_parts: list[HealthPartOut]
    forecasts: list[ForecastOut]
