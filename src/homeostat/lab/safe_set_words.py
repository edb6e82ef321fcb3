"""The words in which the safe-set table says what a catalogue's sentence asks for.

`restart hit | drain hit` are alternatives, `scale a +1 > restart hit` comes one after the other,
`scale a +1 x8` is asked for eight times, a decision apart. Parsing only: what a word means in a
given deployment is in `safe_set_situation`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from typing_extensions import override


class Verb(StrEnum):
    """What is done."""

    HOLD = "hold"
    ESCALATE = "escalate"
    SCALE = "scale"  # POOL and +1, -1, *2, half, one, zero, max
    BATCH = "batch"  # *2, /2, max, usual, twice (the usual one, doubled)
    RESIZE = "resize"  # *2
    SHIFT = "shift"  # POOL and percent
    ROLLBACK = "rollback"  # POOL
    RESTART = "restart"  # hit, healthy, loading, oldest (of those hit, else of all), all
    DRAIN = "drain"  # hit, others (all but one)
    SHED = "shed"  # share of what is in flight
    RETRAIN = "retrain"  # gated, ungated


_ARGUMENTS: Final[Mapping[Verb, str]] = {
    Verb.HOLD: r"",
    Verb.ESCALATE: r"",
    Verb.SCALE: r"(a|b) (\+1|-1|\*2|half|one|zero|max)",
    Verb.BATCH: r"(\*2|/2|max|usual|twice)",
    Verb.RESIZE: r"(\*2)",
    Verb.SHIFT: r"(b|canary) (\d+)",
    Verb.ROLLBACK: r"(a|b)",
    Verb.RESTART: r"(hit|healthy|loading|oldest|all)",
    Verb.DRAIN: r"(hit|others)",
    Verb.SHED: r"(0\.\d+)",
    Verb.RETRAIN: r"(gated|ungated)",
}
_TIMES: Final = re.compile(r"^(.*?)(?: x(\d+))?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One thing to do.

    Attributes:
        verb: What.
        arguments: Target and magnitude, as written.
        times: How often, a decision apart.
    """

    verb: Verb
    arguments: tuple[str, ...] = ()
    times: int = 1

    @property
    def is_passive(self) -> bool:
        """Whether it changes nothing."""
        return self.verb in {Verb.HOLD, Verb.ESCALATE}

    @override
    def __str__(self) -> str:
        """Return the word as it is written."""
        text = " ".join((self.verb.value, *self.arguments))
        return text if self.times == 1 else f"{text} x{self.times}"


Sentence = tuple[tuple[Word, ...], ...]
"""Steps, one after the other; each a choice of words."""


def parse(text: str) -> Sentence:
    """Return what a sentence asks for.

    Raises:
        ValueError: A word is unknown, or its target or magnitude is; names the word.

    >>> [[str(word) for word in step] for step in parse("scale a +1 > restart hit | drain hit")]
    [['scale a +1'], ['restart hit', 'drain hit']]
    """
    return tuple(tuple(_word(part.strip()) for part in step.split("|")) for step in text.split(">"))


def _word(text: str) -> Word:
    found = _TIMES.match(text)
    body, times = (text, None) if found is None else found.groups()
    verb, _, rest = body.partition(" ")
    if verb not in set(Verb):
        raise ValueError(f"{text!r}: unknown verb {verb!r}; known are {', '.join(Verb)}")
    matched = re.fullmatch(_ARGUMENTS[Verb(verb)], rest)
    if matched is None:
        raise ValueError(f"{text!r}: {verb} wants {_ARGUMENTS[Verb(verb)] or 'nothing'}")
    return Word(verb=Verb(verb), arguments=matched.groups(), times=int(times or 1))
