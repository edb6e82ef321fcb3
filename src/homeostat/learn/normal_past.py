"""Which ticks of a controller's past teach a model what is normal (HASH 3.3, recursive feedback).

A tick is calm while no rule suspects anything, no objective is missed, no action of ours is under
way, and for some ticks after each. On top of that counts what was said of stretches, weighed as
everywhere else (`feedback_words.verdict`): an incident that people called nothing is normal, also
where rules and detectors saw something in it; one that people confirmed, that an action of ours
helped against, or that somebody reported as missed, is trouble from its first to its last tick.
Missed objectives outweigh every word, and what our own actions touched says nothing of what is
normal. Not here: reading a journal, fitting a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import UNLIKE_ITSELF, Evidence
from homeostat.base.units import TimeNs
from homeostat.learn.feedback import PATIENCE
from homeostat.learn.feedback_words import Source, Word, verdict

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A stretch of time of which something was said.

    Attributes:
        name: The incident, or when trouble was reported as missed.
        since: Its first moment.
        until: Its last.
        words: What was said, of people and outcomes; what the objectives say is in the evidence.
    """

    name: str
    since: TimeNs
    until: TimeNs
    words: tuple[Word, ...]


class Stretch(NamedTuple):
    """A stretch, judged.

    Attributes:
        name: As in `Spoken`.
        trouble: What all words come to; None = they settle nothing.
        ticks: Which, bool `[tick]`.
    """

    name: str
    trouble: bool | None
    ticks: Bools


class NormalPast(NamedTuple):
    """What may teach.

    Attributes:
        calm: Ticks that may teach what is normal, bool `[tick]`.
        sure: Those of them that people called nothing: a detector's incident is no objection.
        touched: Ticks on which an action of ours was under way.
        stretches: All of which something was said, and which hold a tick.
    """

    calm: Bools
    sure: Bools
    touched: Bools
    stretches: tuple[Stretch, ...]


def normal_past(
    seen: Sequence[Evidence],
    spoken: Sequence[Spoken],
    acted: Sequence[tuple[TimeNs, TimeNs]],
    *,
    belongs: int,
) -> NormalPast:
    """Return which ticks teach what is normal.

    Args:
        seen: One deployment's evidence, oldest first.
        spoken: What was said, in any order.
        acted: When actions of ours were under way: first and last moment of each.
        belongs: Ticks of trouble and of an action that teach nothing, from its last on; at least 1.

    Raises:
        ValueError: `belongs` is below 1: trouble itself would teach.
    """
    if belongs < 1:
        raise ValueError(f"normal past: at least 1 tick belongs to trouble, got {belongs}")
    at = np.array([one.at for one in seen], dtype=np.int64)
    missed = np.array([one.slo_met is False for one in seen], dtype=bool)
    trouble = missed | np.array([_suspected(one) for one in seen], dtype=bool)
    touched = np.zeros(len(seen), dtype=bool)
    for first, last in acted:
        touched |= (at >= first) & (at <= last)
    judged = [_judged(one, at, missed, touched) for one in spoken]
    stretches = tuple(one for one in judged if one.ticks.any())
    nothing = np.zeros(len(seen), dtype=bool)
    for one in stretches:
        if one.trouble is False:
            nothing |= one.ticks
    trouble &= missed | ~nothing
    for one in stretches:
        if one.trouble is not False:
            trouble |= one.ticks
    ready = np.array([one.ready for one in seen], dtype=bool)
    calm = ready & (_since(trouble | touched) >= belongs)
    return NormalPast(calm=calm, sure=calm & nothing, touched=touched, stretches=stretches)


def _suspected(one: Evidence) -> bool:
    """Return whether a rule suspects something; that a tick is unlike itself is no rule."""
    return any(each.confidence > UNLIKE_ITSELF for each in one.suspicions)


def _judged(one: Spoken, at: Ints, missed: Bools, touched: Bools) -> Stretch:
    ticks = (at >= one.since) & (at <= one.until)
    words = one.words
    if _longest(missed[ticks]) >= PATIENCE:
        words = (*words, Word(source=Source.OBJECTIVES, trouble=True))
    found = verdict(words, touched=bool(touched[ticks].any()))
    return Stretch(name=one.name, trouble=None if found is None else found.trouble, ticks=ticks)


def _longest(flags: Bools) -> int:
    """Return the longest run of true.

    >>> _longest(np.array([True, False, True, True]))
    2
    """
    most = run = 0
    for flag in flags.tolist():
        run = run + 1 if flag else 0
        most = max(most, run)
    return most


def _since(flags: Bools) -> Ints:
    """Return how many ticks ago the last true was, as if one was never; `[tick]`.

    >>> _since(np.array([False, True, False, False])).tolist()[1:]
    [0, 1, 2]
    """
    place = np.arange(len(flags))
    never = -np.iinfo(np.int32).max
    last = np.maximum.accumulate(np.where(flags, place, never)) if len(flags) else place
    return np.asarray(place - last, dtype=np.int64)
