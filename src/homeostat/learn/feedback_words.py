"""What is said of a stretch of time: trouble or not, by whom, and how far it is believed.

Four speak: the objectives (a missed promise is trouble, whoever denies it), people, the verified
effect of our own action (it helped: there was something to help), and silence (nobody said
anything, nothing was missed: presumably nothing was there). A stretch in which an action of ours
was in flight is marked as touched: what it shows may be our doing, so it says nothing of what is
normal.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Source(StrEnum):
    """Who says it."""

    OBJECTIVES = "objectives"
    PERSON = "person"
    OUTCOME = "outcome"
    SILENCE = "silence"


TRUST: Final = {
    Source.OBJECTIVES: 1.0,
    Source.PERSON: 0.95,
    Source.OUTCOME: 0.7,
    Source.SILENCE: 0.5,
}
"""How much one word weighs, of a sure one. One answer in twenty is a slip; an action that helped
may
have met a trouble that ended by itself; silence is also what a fault hears that nobody noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What one source says of a stretch.

    Attributes:
        source: Who.
        trouble: Whether there was trouble.
    """

    source: Source
    trouble: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all words on a stretch come to.

    Attributes:
        trouble: Whether there was trouble.
        weight: How far it is believed, in (0, 1].
    """

    trouble: bool
    weight: float


def verdict(words: tuple[Word, ...], *, touched: bool) -> Verdict | None:
    """Return what the words on a stretch come to; None when they settle nothing.

    Missed objectives outweigh everybody: nobody can teach that a broken promise is normal. Then
    people count, then outcomes, then silence; those of one source that contradict each other say
    nothing, and no lower source is asked instead.

    Args:
        words: In any order.
        touched: An action of ours was in flight in the stretch.

    >>> said = (Word(source=Source.PERSON, trouble=False),)
    >>> verdict(said, touched=False)
    Verdict(trouble=False, weight=0.95)
    >>> verdict((*said, Word(source=Source.OBJECTIVES, trouble=True)), touched=False)
    Verdict(trouble=True, weight=1.0)
    """
    for source in Source:
        told = {word.trouble for word in words if word.source is source}
        if source is Source.OBJECTIVES:
            # Objectives that are met say nothing: many a fault is found before it hurts.
            told.discard(False)
        if len(told) > 1:
            return None
        if told:
            trouble = told.pop()
            if touched and not trouble:
                return None
            return Verdict(trouble=trouble, weight=TRUST[source])
    return None
