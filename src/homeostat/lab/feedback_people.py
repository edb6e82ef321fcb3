"""Who says what of a recorded hour: a model of people, and the words that need nobody.

Pre-registered, not fitted: seven alarms in ten are answered and one answer in twenty is wrong; of
the faults that nobody was told of, people report seven in ten that hurt and two in ten that did
not. Everything else is silence, also over faults. What is true is known to this model alone;
learning gets the words.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homeostat.learn.feedback_words import Source, Word

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """How people answer.

    Attributes:
        answers: Share of alarms that somebody answers.
        wrong: Share of answers that are wrong.
        reports_hurt: Share of untold faults with damage that somebody reports.
        reports_other: Share of untold faults without damage that somebody reports.
        always: What somebody says of every alarm, whatever it was: True trouble, False nothing;
            None for honest people.
    """

    answers: float = 0.7
    wrong: float = 0.05
    reports_hurt: float = 0.7
    reports_other: float = 0.2
    always: bool | None = None

    def on_alarm(self, chance: np.random.Generator, *, true: bool) -> tuple[Word, ...]:
        """Return what people say of an alarm.

        Args:
            chance: Draws twice, whatever comes of it.
            true: Whether there was a fault.
        """
        heard, slip = chance.random(2)
        if heard >= self.answers:
            return ()
        said = self.always if self.always is not None else (true != (slip < self.wrong))
        return (Word(source=Source.PERSON, trouble=bool(said)),)

    def on_untold(self, chance: np.random.Generator, *, hurt: bool) -> tuple[Word, ...]:
        """Return what people say of a fault that nobody was told of."""
        share = self.reports_hurt if hurt else self.reports_other
        if chance.random() >= share or self.always is False:
            return ()
        return (Word(source=Source.PERSON, trouble=True),)


def without_people(missed: Bools, helped: Bools) -> tuple[Word, ...]:
    """Return the words on a stretch that need nobody.

    Args:
        missed: Ticks at which the objectives had been missed for as long as counts, `[tick]`.
        helped: Ticks at which an action of ours was seen to have helped, `[tick]`.
    """
    words: tuple[Word, ...] = ()
    if missed.any():
        words += (Word(source=Source.OBJECTIVES, trouble=True),)
    if helped.any():
        words += (Word(source=Source.OUTCOME, trouble=True),)
    return words
