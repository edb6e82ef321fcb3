"""The shape of error budgets, money and freezes in an answer: see `server.view_budgets`."""

from typing import Literal

from pydantic import Field

from homeostat.server.api.schemas import Body


class RateOut(Body):
    """One pair of windows over which a burn rate is watched."""

    factor: float = Field(description="On from so many times as fast as it may burn.")
    long_s: float
    short_s: float
    page: bool = Field(description="Whether a person is called; else a ticket will do.")
    long: float | None = Field(description="Over the long window, null when nothing was seen.")
    short: float | None
    on: bool | None = Field(description="Null while what was not seen could change it.")


class PromiseOut(Body):
    """One promise over a rolling window."""

    name: str
    signal: str
    target: float = Field(description="Share that must be good.")
    method: Literal["occurrences", "timeslices"]
    window_s: float
    watched_s: float = Field(description="Of the window, how long it is counted.")
    seen: float | None = Field(description="Share of that which was seen.")
    good: int
    bad: int
    left: float | None = Field(description="Error budget left, 1 to 0; below 0 it is overspent.")
    left_low: float | None = Field(description="Had all that was not seen been bad.")
    left_high: float | None = Field(description="Had all that was not seen been good.")
    rates: list[RateOut]


class SavingsOut(Body):
    """What was saved against something that is named."""

    days: int
    spent: float | None
    reference: float | None
    saved: float | None
    assumed_s: float = Field(description="Time in which nothing was seen, charged as before.")
    assumption: str


class MoneyOut(Body):
    """What it costs; days and months of UTC."""

    currency: str
    per_hour: float | None
    day: float | None
    month: float | None
    day_assumed: float | None = Field(
        description="Of the day, what nobody counted: before counting began, at the first rate."
    )
    month_assumed: float | None = Field(description="The same of the month.")
    day_projected: float | None = Field(description="By its end, if what runs goes on.")
    month_projected: float | None
    day_budget: float | None
    month_budget: float | None
    savings: SavingsOut | None


class BudgetsOut(Body):
    """The books of a deployment."""

    promises: list[PromiseOut]
    firing: list[str] = Field(description="Alerts that are on: promise and factor.")
    burning: bool | None = Field(description="One of them calls a person; null = not known.")
    money: MoneyOut | None


class FreezeOut(Body):
    """A freeze that is in force or comes next."""

    start: float
    end: float | None = Field(description="Null where none is in sight.")
    reason: str
