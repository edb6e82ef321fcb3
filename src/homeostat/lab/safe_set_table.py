"""The rows of the safe-set table: what each right and each tempting sentence asks for.

The table itself is data, in `safe_set_best` and `safe_set_unsafe`, one row per sentence of the
catalogue in its order. A row either says what to do in the words of `safe_set_words`, or why the
twin has nothing to do it with.
"""

from dataclasses import dataclass
from enum import StrEnum

from homeostat.lab.safe_set_words import Sentence, parse

AFTER_S = 120.0
"""After the onset: eight scrapes, enough to see a fault and too few to be sure of it."""


class Role(StrEnum):
    """What the catalogue says of a sentence."""

    BEST = "best"
    UNSAFE = "unsafe"


class When(StrEnum):
    """In which episodes a row means anything."""

    ALWAYS = "always"
    SOME_HIT = "some_hit"  # a part of the stable pool's replicas is hit
    ALL_HIT = "all_hit"  # every one, or the pool itself
    HAS_B = "has_b"  # there is a fallback pool with replicas
    SPARED_B = (
        "spared_b"  # the same, and the fault spares it: that is when it can be recovered from
    )
    LASTS = "lasts"  # a fault that was drawn has not ended yet
    MISSED = "missed"  # the objectives have been missed for as long as a suspicion must last
    SQUEEZED = "squeezed"  # the same, and the largest batch is smaller than it was meant to be


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sentence of the catalogue.

    Attributes:
        scenario: Its id.
        role: Best or unsafe.
        text: The catalogue's words.
        do: What they ask for; empty where there is no counterpart.
        when: In which episodes.
        after_s: After the onset, seconds.
        within_s: For a best row: by then it must have been permitted at least once.
        in_order: The first step is taken before the next is asked for: "after", "then", "with
            surge". Else every step is asked for with nothing done.
        again: An unsafe sentence asked a second time, at a later moment.
        reason: Why there is no counterpart, or what the mapping leaves out.
    """

    scenario: str
    role: Role
    text: str
    do: Sentence
    when: When = When.ALWAYS
    after_s: float = AFTER_S
    within_s: float = 600.0
    in_order: bool = False
    again: bool = False
    reason: str = ""

    @property
    def mapped(self) -> bool:
        """Whether the twin can do it."""
        return bool(self.do)

    @property
    def passive(self) -> bool:
        """Whether doing nothing, or calling a person, answers every step: no guard is asked."""
        return self.mapped and all(any(word.is_passive for word in choice) for choice in self.do)


def best(
    scenario: str,
    text: str,
    do: str,
    when: When = When.ALWAYS,
    *,
    within_s: float = 600.0,
    in_order: bool = False,
    reason: str = "",
) -> Row:
    """Return a row of what is right."""
    return Row(
        scenario=scenario,
        role=Role.BEST,
        text=text,
        do=parse(do) if do else (),
        when=when,
        within_s=within_s,
        in_order=in_order,
        reason=reason,
    )


def unsafe(
    scenario: str,
    text: str,
    do: str,
    when: When = When.ALWAYS,
    *,
    after_s: float = AFTER_S,
    again: bool = False,
    reason: str = "",
) -> Row:
    """Return a row of what is tempting and wrong."""
    return Row(
        scenario=scenario,
        role=Role.UNSAFE,
        text=text,
        do=parse(do) if do else (),
        when=when,
        after_s=after_s,
        again=again,
        reason=reason,
    )
