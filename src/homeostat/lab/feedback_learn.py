"""Feedback on recorded hours: what is told of, what is said of it, what is learnt from that.

Hour after hour as it would have come: what is in force is judged first and learnt from afterwards.
The recording does not change with what is told of: the shipped controller acted in it, as it would
beside a detector that only speaks. An alarm lasts until its score has been below the line for
`CALM` scrapes; what is left of an hour is cut into stretches of a quarter of an hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.lab.feedback_people import People, without_people
from homeostat.lab.feedback_record import Recording
from homeostat.learn import feedback
from homeostat.learn.feedback_channels import binned
from homeostat.learn.feedback_words import Source, Word
from homeostat.twin.shapes import SCRAPE_S

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CALM: Final = 8
"""Twice the persistence asked of a suspicion, as `loop.incidents` closes an incident."""
_QUARTER: Final = 900 // SCRAPE_S
_HOURS: Final = SCRAPE_S / 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One recorded hour as the detectors see it.

    Attributes:
        bins: Of strengths that have lasted, `[scrape, channel]`.
        missed: Scrapes in a row with missed objectives, `[scrape]`.
        shipped: The shipped controller's alarm, `[scrape]`.
        busy: An action in flight, `[scrape]`.
        helped: An action was seen to have helped, `[scrape]`.
        event: What was true, `[scrape]`.
        hurt: There was damage, `[scrape]`.
    """

    bins: Ints
    missed: Ints
    shipped: Bools
    busy: Bools
    helped: Bools
    event: Bools
    hurt: Bools


def hours(recording: Recording) -> Iterator[Hour]:
    """Yield a recording's hours, in their order."""
    for k in range(len(recording)):
        strength = recording.strength[k].astype(np.float64)
        yield Hour(
            bins=binned(feedback.lasting(strength)),
            missed=feedback.missed(strength),
            shipped=recording.alarm[k],
            busy=recording.busy[k],
            helped=recording.outcome[k] > 0,
            event=recording.event[k],
            hurt=recording.hurt[k],
        )


def alarms(told: Bools) -> list[slice]:
    """Return the alarms of an hour: from the scrape that is told of to the calm that ends it.

    Args:
        told: Scrapes at which there is something to tell of, `[scrape]`.
    """
    found: list[slice] = []
    at = np.flatnonzero(told)
    for tick in at.tolist():
        if found and tick < found[-1].stop:
            found[-1] = slice(found[-1].start, tick + CALM)
        else:
            found.append(slice(tick, tick + CALM))
    return [slice(one.start, min(one.stop, len(told))) for one in found]


def told_in(now: feedback.Drawn, hour: Hour) -> Bools:
    """Return the scrapes at which there is something to tell of, the shipped alarm's included."""
    return np.asarray(hour.shipped | feedback.told(now, hour.bins, hour.missed))


def learn(
    config: feedback.Config,
    state: feedback.State,
    hour: Hour,
    people: People,
    chance: np.random.Generator,
) -> feedback.State:
    """Return the state after one hour and all that was said of it."""
    now = feedback.drawn(config, state)
    for at, alarmed, said in _pieces(now, hour, people, chance):
        words = said + without_people(hour.missed[at] >= feedback.PERSIST, hour.helped[at])
        seen = feedback.stretch_of(
            now,
            hour.bins[at],
            hours=len(at) * _HOURS,
            alarmed=alarmed,
            touched=bool(hour.busy[at].any()),
        )
        state = feedback.learnt(config, state, now, seen, words)
    return state


_Piece = tuple[Ints, bool, tuple[Word, ...]]
"""Scrapes, whether they were told of, and what people or their silence say of them."""


def _pieces(
    now: feedback.Drawn, hour: Hour, people: People, chance: np.random.Generator
) -> Iterator[_Piece]:
    every, left = np.arange(len(hour.event)), np.ones(len(hour.event), dtype=bool)
    found, settled = False, len(every)
    for one in alarms(told_in(now, hour)):
        left[one] = False
        true = bool(hour.event[one].any())
        said = people.on_alarm(chance, true=true)
        found |= true
        if not said or any(word.trouble for word in said):
            settled = min(settled, one.start)
        yield every[one], True, said
    untold = np.flatnonzero(hour.event & left)
    if len(untold) and not found:
        said = people.on_untold(chance, hurt=bool(hour.hurt.any()))
        if said:
            left[untold] = False
            settled = min(settled, int(untold[0]))
            yield untold, False, said
    silent = (Word(source=Source.SILENCE, trouble=False),)
    # After an alarm that may have been true nobody says again that all is not well; and when its
    # trouble began nobody knows, so the quarter before it says nothing either.
    settled = max(settled - _QUARTER, 0) if settled < len(every) else settled
    for first in range(0, settled, _QUARTER):
        quarter = every[first : min(first + _QUARTER, settled)]
        if (rest := quarter[left[quarter]]).size:
            yield rest, False, silent
    after = every[settled:]
    if (rest := after[left[after]]).size:
        yield rest, False, ()
