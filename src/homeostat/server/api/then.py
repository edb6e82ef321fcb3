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


class SeriesNameOut(Body):
    """One series of a deployment."""

    subject: str
    signal: str


class FleetwideOut(Body):
    """What the tests of all charted series of the whole fleet say of one deployment."""

    told: bool | None = Field(description="The fleet tells of it; null: too little is known.")
    neg_log10_p: float | None = Field(description="Evidence of its last block of ticks.")
    since: float | None = Field(description="Since when the fleet tells of it.")
    series: list[SeriesNameOut] = Field(description="Those that are rare enough for the fleet.")
    tested: int = Field(description="Series that were tested in the last block.")
    share: float = Field(description="Of all that is told, the share that may be false.")
    false_incidents: float | None = Field(
        description="What may be false besides, per 1,000 signals and day; null for none."
    )
    alone: bool = Field(
        description="What rules suspect rests on charts that the fleet does not tell of."
    )


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
    fleetwide: FleetwideOut | None
