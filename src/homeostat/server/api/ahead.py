"""The shape of the health score and of forecasts in an answer: see `server.view_health`."""

from typing import Literal

from pydantic import Field

from homeostat.server.api.schemas import Body

Verdict = Literal["healthy", "anomalous", "unknown"]


class HealthPartOut(Body):
    """What one concern of one signal takes away from the score."""

    concern: Literal["objective", "breach", "time_left", "alarm", "suspicion"]
    subject: str
    signal: str
    verdict: Verdict
    loss: float | None = Field(description="Share that it takes away, 0 to 1.")
    because: str


class HealthScoreOut(Body):
    """One number for how a deployment is; it orders situations and is no probability."""

    score: float | None = Field(description="0 to 100.")
    low: float | None = Field(description="If all that is unknown were as bad as it can be.")
    high: float | None = Field(description="If all that is unknown were well.")
    verdict: Verdict = Field(description="Unknown where what is known is well and not all is.")
    parts: list[HealthPartOut] = Field(description="The worst, worst first.")


class ForecastOut(Body):
    """What one series is about to do if nobody acts."""

    subject: str
    signal: str
    limit: float | None = Field(description="What it must not pass; null where none is known.")
    time_to_limit_s: float | None = Field(description="Earliest credible crossing.")
    likely_s: float | None = Field(description="When it is crossed as likely as not.")
    horizons_s: list[float | None] = Field(description="How far ahead the next two look.")
    chances: list[float | None] = Field(
        description="Probability that the limit is passed by then, null where unknown."
    )
    quantiles: list[list[float | None]] = Field(
        description="At each horizon: the value with probability 5 %, 50 % and 95 %."
    )
    left_s: list[float | None] = Field(
        description="Until the limit is reached with probability 5 %, 50 % and 95 %, for a share "
        "that climbs; null where that is not in sight, none where it is unknown."
    )
