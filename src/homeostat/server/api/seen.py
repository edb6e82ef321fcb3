"""The shape of one judged series and of one suspicion in an answer."""

from typing import Literal

from homeostat.server.api.schemas import Body

Verdict = Literal["healthy", "anomalous", "unknown"]


class ReadingOut(Body):
    """One judged series."""

    subject: str
    signal: str
    value: float | None
    verdict: Verdict
    quality: str
    low: float | None
    high: float | None
    age_s: float
    samples: float | None


class SuspicionOut(Body):
    """One suspected fault."""

    family: str
    subject: str
    confidence: float | None
    because: list[str]
    urgent: bool
