"""The feedback loop as the wiring hands it over; the loop itself imports no stage."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from homeostat.base.evidence import Evidence, Incident
from homeostat.base.feedback import FeedbackPolicy, FeedbackState, Heeded, Said
from homeostat.base.units import TimeNs


class Watched(Protocol):
    """`learn.feedback_live.watched`."""

    def __call__(
        self,
        before: FeedbackState | None,
        policy: FeedbackPolicy,
        evidence: Evidence,
        heeded: Heeded,
        *,
        incident: Incident | None,
        busy: bool,
        helped: frozenset[str],
    ) -> FeedbackState:
        """Return the state after one tick."""
        ...


class Answered(Protocol):
    """`learn.feedback_live.answered`."""

    def __call__(
        self,
        before: FeedbackState | None,
        policy: FeedbackPolicy,
        said: Said,
        *,
        incident_id: str,
        about: TimeNs | None,
    ) -> tuple[FeedbackState, str]:
        """Return the state after a person's word, and what it was worth."""
        ...


class Forgotten(Protocol):
    """`learn.feedback_live.forgotten`."""

    def __call__(self, before: FeedbackState | None, *, everything: bool) -> FeedbackState:
        """Return the state after a person's reset."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackParts:
    """What `loop.heeding` calls.

    Attributes:
        heed: What feedback makes of one tick's evidence.
        watched: The state after the tick.
        answered: The state after a person's word.
        forgotten: The state after a reset.
    """

    heed: Callable[[FeedbackState | None, FeedbackPolicy, Evidence], Heeded]
    watched: Watched
    answered: Answered
    forgotten: Forgotten
