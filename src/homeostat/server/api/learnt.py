"""The shape of what learning said on a decision: the contract of `server.view_learning`."""

from typing import Literal

from pydantic import Field

from homeostat.server.api.schemas import Body

Span = tuple[float | None, float | None, float | None]  # lower bound, estimate, upper bound


class ArmOut(Body):
    """One arm as it was weighed."""

    arm: str
    action: str
    fraction: float | None
    chance: float | None = Field(description="With which probability it could be chosen.")
    gain: Span = Field(description="On the runbook's, in shares of the worst hour.")
    extra: dict[str, Span] = Field(description="Costs beyond the runbook's, 0 to 1, by name.")
    refused: list[str] = Field(description="Why it could not be played; empty: it could.")


class IntervalsOut(Body):
    """How well the twin's 90 % intervals held the last effects."""

    held: int
    of: int
    share: float | None
    unknown: int
    drop: bool = Field(description="Too few: autonomy is down to approve where learning is on.")
    because: str


class StandingOut(Body):
    """How learning stands against the runbook, by the outcomes of what it did."""

    answer: Literal["promote", "refuse", "wait"] = Field(
        description="promote: surely better, within every limit; refuse: surely not, so that the "
        "runbook decides again until a person sets the mode; wait: not enough data."
    )
    scored: int
    unknown: int
    because: list[str]


class CameOut(Body):
    """What came of it; null where it is not known."""

    at: float
    reward: float | None
    foreseen_of_runbook: float | None
    costs: dict[str, float | None]
    held: bool | None
    because: str
    intervals: IntervalsOut
    standing: StandingOut


class LearningOut(Body):
    """What learning said, and what was played."""

    mode: Literal["off", "shadow", "on"]
    wanted: str = Field(description="The arm that it chose.")
    played: str = Field(description="The arm that was played.")
    chance: float | None = Field(description="The probability of exactly what was played.")
    draw: float | None
    key: str = Field(description="What the draw was made from.")
    because: list[str]
    arms: list[ArmOut]
    trained: str = Field(description="What a trained policy said; empty where none was heard.")
    came: CameOut | None
