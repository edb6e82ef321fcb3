"""The shape of what was known at a decision: the contract of `server.view_then`."""

from pydantic import Field

from homeostat.server.api.ahead import ForecastOut, HealthPartOut, HealthScoreOut
from homeostat.server.api.schemas import Body
from homeostat.server.api.seen import ReadingOut, SuspicionOut


class PromiseOut(Body):
    """What spoke against one objective, by a test that may be looked at on every tick."""

    subject: str
    signal: str
    limit: float | None = Field(description="What was promised.")
    broken: bool | None = Field(
        description="The evidence is what an alarm takes; null where nothing was counted."
    )
    log10_e: float | None = Field(description="log10 of the e-value against the promise.")
    since: float | None = Field(description="Since when it speaks against it, if it does.")
    tests: int = Field(description="Ticks that were counted.")
    share_low: float | None = Field(
        description="The mean share of a tick that breaks it is this at least: 95 %, at any time."
    )
    share_high: float | None = Field(description="And this at most.")
    share_tests: int = Field(description="Ticks behind the two, since the share moved last.")


class ThenOut(Body):
    """What a decision was taken with."""

    at: float
    slo_met: bool | None
    numbers: list[ReadingOut]
    suspicions: list[SuspicionOut]
    health_score: HealthScoreOut | None
    health_parts: list[HealthPartOut]
    forecasts: list[ForecastOut]
    promises: list[PromiseOut]
