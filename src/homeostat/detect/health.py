"""One number for how a deployment is: 0 to 100, with the parts that made it, and what is unknown.

A part is a concern of one signal: an objective that is missed or nearly, a breach that a forecast
sees coming, a limit that is within reach, a detector's alarm, a suspected fault. Each part would
take away a share of the whole, its loss in 0..1. Of each of the five concerns the worst part
counts, so that a fleet of replicas weighs no more than one, and what is left is what they leave
together:

    score = 100 x product over concerns of (1 - worst loss)

No concern is hidden by others that are well, and an objective missed now is 0. The score falls or
stays when a loss grows. It orders situations; it is not a probability.

What is unknown is never good: it takes away at least as much as `Losses` says, the verdict is
UNKNOWN and not HEALTHY, and two more numbers say what the score would be if all that is unknown
were well (`high`), and if it were as bad as it can be (`low`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from homeostat.base.evidence import Verdict
from homeostat.base.units import HOUR, MINUTE


class Concern(StrEnum):
    """What a part is about."""

    OBJECTIVE = "objective"  # is the promise kept now
    BREACH = "breach"  # will it be passed within the horizons
    TIME_LEFT = "time_left"  # when does a share reach its limit
    ALARM = "alarm"  # has a detector found it unusual
    SUSPICION = "suspicion"  # what fault is suspected


_CONCERNS: Final = tuple(Concern)
_UNKNOWN: Final = Verdict.UNKNOWN  # looking a member up takes ten times as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """How much each concern may take away. Chosen, not measured: an order of what is worse.

    Attributes:
        unknown_objective: Nobody sees whether the promise is kept.
        unknown_forecast: Nobody sees what is coming.
        unknown_detector: Nobody sees whether a signal is unusual.
        alarm: A detector's alarm without a missed objective, at most.
        suspicion: A suspected fault of full confidence without a missed objective.
        urgency: What a sure breach takes away, by how soon it is, by horizon; the first is a breach
            within the shortest.
        soon_ns: A limit reached within this time takes away all that a sure breach does.
        reach_ns: A limit reached later than this takes nothing away.
    """

    unknown_objective: float = 1.0
    unknown_forecast: float = 0.3
    unknown_detector: float = 0.1
    alarm: float = 0.3
    suspicion: float = 0.5
    urgency: tuple[float, ...] = (0.9, 0.7, 0.5)
    soon_ns: int = 5 * MINUTE
    reach_ns: int = HOUR

    def __post_init__(self) -> None:
        """Refuse losses that would make a worse state look better.

        Raises:
            ValueError: Names the setting and its value.
        """
        shares = {
            "unknown_objective": self.unknown_objective,
            "unknown_forecast": self.unknown_forecast,
            "unknown_detector": self.unknown_detector,
            "alarm": self.alarm,
            "suspicion": self.suspicion,
        }
        for name, share in shares.items():
            if not 0.0 < share <= 1.0:
                raise ValueError(f"health: {name} must be in (0, 1], got {share}")
        falls = list(self.urgency) == sorted(self.urgency, reverse=True)
        if not self.urgency or not falls or not all(0.0 < one <= 1.0 for one in self.urgency):
            raise ValueError(f"health: urgency must fall within (0, 1], got {self.urgency}")
        if not 0 < self.soon_ns < self.reach_ns:
            raise ValueError(
                f"health: soon_ns must be below reach_ns, got {self.soon_ns} and {self.reach_ns}"
            )


class Part(NamedTuple):
    """One concern of one signal.

    Attributes:
        concern: What it is about.
        subject: See `SeriesKey`.
        signal: A name from `base.names`; of a suspicion, the family.
        verdict: HEALTHY takes nothing away, UNKNOWN is never HEALTHY.
        loss: What it takes away, 0..1.
        worst: What it could take away, if it is unknown; else the loss.
        because: One short sentence with numbers, for people.
    """

    concern: Concern
    subject: str
    signal: str
    verdict: Verdict
    loss: float
    worst: float
    because: str

    @property
    def known(self) -> bool:
        """Whether the loss is what was seen."""
        return self.verdict is not Verdict.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a deployment is.

    Attributes:
        score: 0 (an objective is missed, or nobody sees whether) to 100.
        low: The score if all that is unknown were as bad as it can be.
        high: The score if all that is unknown were well.
        verdict: ANOMALOUS if something known takes away, else UNKNOWN if something is unknown,
            else HEALTHY.
        parts: What takes away or is unknown comes first, by loss; then what is well.
    """

    score: float
    low: float
    high: float
    verdict: Verdict
    parts: tuple[Part, ...]

    @property
    def unknown(self) -> tuple[Part, ...]:
        """What nobody sees."""
        return tuple(part for part in self.parts if not part.known)


def health(parts: Iterable[Part], losses: Losses | None = None) -> Health:
    """Return the score of these parts.

    Args:
        parts: Concerns, see `health_parts`. None at all is unknown: nothing was looked at.
        losses: Only `unknown_objective` is used, for no parts at all.
    """
    sure = Losses() if losses is None else losses
    order = sorted(parts, key=_place)
    if not order:
        score = _left({Concern.OBJECTIVE: sure.unknown_objective})
        return Health(score=score, low=0.0, high=100.0, verdict=Verdict.UNKNOWN, parts=())
    loss: dict[Concern, float] = {}
    worst: dict[Concern, float] = {}
    known: dict[Concern, float] = {}
    for part in order:
        _raised(loss, part.concern, part.loss)
        _raised(worst, part.concern, part.worst)
        if part.verdict is not _UNKNOWN:
            _raised(known, part.concern, part.loss)
    return Health(
        score=_left(loss),
        low=_left(worst),
        high=_left(known),
        verdict=_verdict(order),
        parts=tuple(order),
    )


def _place(part: Part) -> tuple[float, bool, Concern, str, str]:
    known = part.verdict is not _UNKNOWN
    return -part.loss, known, part.concern, part.subject, part.signal


def _raised(worst: dict[Concern, float], concern: Concern, loss: float) -> None:
    if loss > worst.get(concern, 0.0):
        worst[concern] = loss


def _left(worst: Mapping[Concern, float]) -> float:
    """Return what the worst loss of each concern leaves of a hundred."""
    share = 1.0
    for concern in _CONCERNS:  # in one order: the last bit of a product depends on it
        if concern in worst:
            share *= 1.0 - worst[concern]
    return 100.0 * share


def _verdict(parts: Sequence[Part]) -> Verdict:
    verdicts = [part.verdict for part in parts]
    if Verdict.ANOMALOUS in verdicts:
        return Verdict.ANOMALOUS
    return Verdict.UNKNOWN if Verdict.UNKNOWN in verdicts else Verdict.HEALTHY
