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


class DriftOut(Body):
    """What spoke against one histogram's being as it was, by a test that may be looked at always.

    What is not known is null, never zero.
    """

    subject: str = Field(description="`pool:a`, or `model` for features, which versions share.")
    kind: str = Field(description="`prediction`, `feature` or `activation`.")
    name: str = Field(description="Of the feature or layer; empty for predictions.")
    moved: bool | None = Field(description="Null where nothing can be said: see `why`.")
    why: str = Field(description="`few`, `missing`, ...; empty where something is said.")
    against: str = Field(description="The version whose past it is held against.")
    log10_e: float | None = Field(description='log10 of the e-value against "nothing moved".')
    all_log10_e: float | None = Field(description="Of all of the kind: what an alarm goes by.")
    among: int = Field(description="Histograms of the kind; the five most telling are listed.")
    total_variation: float | None = Field(description="Share of events that would have to move.")
    psi: float | None = Field(description="Population stability index.")
    psi_by_chance: float | None = Field(description="What it is on average if nothing moved.")
    gap: float | None = Field(description="Kolmogorov-Smirnov distance.")
    gap_neg_log10_p: float | None = Field(description="-log10 of its p-value at this look alone.")
    events: float | None = Field(description="Recent events behind the sizes.")
    reference: float | None = Field(description="Events of the past behind them.")
    bound: float | None = Field(description="Upper bound at which the shares differ most.")
    share: float | None = Field(description="Of recent events at or below it.")
    share_low: float | None = Field(description="The past's share is this at least, at any time.")
    share_high: float | None = Field(description="And this at most.")
    looks: int | None = Field(description="Ticks since it moved, where it did.")


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
    drifts: list[DriftOut]
