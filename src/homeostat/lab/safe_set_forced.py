"""Asks the kernel about the table's actions, and takes the wrong ones whatever it says.

`Watch` stands by and asks at every scrape whether what is right would be permitted. `Forced` asks
once, at the row's moment, and then does it: the run that follows shows what the guards have kept
away, or have let through. Both see with the real senses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.base.evidence import Evidence
from homeostat.base.intent import Receipt
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.lab.controller_direct import intent_of, past_of, sensed
from homeostat.lab.controller_names import time_ns
from homeostat.lab.controller_platform import Platform
from homeostat.lab.controller_runtime import DESTRUCTIVE, Done
from homeostat.lab.safe_set_situation import Situation, hit_slots
from homeostat.lab.safe_set_table import Row
from homeostat.lab.safe_set_words import Verb, Word
from homeostat.lab.types import Episode
from homeostat.loop import memory, step
from homeostat.safety.permit import permit

DECISION_S: Final = 30.0  # the catalogue's default
WARM_S: Final = 600.0  # the catalogue's warm-up
_EPOCH: Final = 1
_DESTRUCTIVE: Final = DESTRUCTIVE | {ActionKind.RESTART_ALL}


class Answer(StrEnum):
    """What the kernel says of one thing to do, from the strictest to the freest."""

    ABSENT = "absent"  # the product has no such action
    REFUSED = "refused"
    ASKS = "asks"  # only after a person said yes
    ALLOWED = "allowed"


STRICTNESS: Final = tuple(Answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question to the kernel.

    Attributes:
        word: What was asked for.
        answer: What it said.
        at_s: When, in seconds since the episode began.
        reasons: Of a refusal.
    """

    word: Word
    answer: Answer
    at_s: float
    reasons: tuple[str, ...] = ()


def begins_s(episode: Episode) -> float:
    """Return when an episode's trouble begins, or where it would in one without any."""
    return episode.onset_s if episode.onset_s < episode.length_s else WARM_S


def ask(word: Word, here: Situation, state: LoopState, now: TimeNs) -> Asked | None:
    """Return the kernel's answer, None where the word cannot be named here."""
    at_s = (now - time_ns(0.0)) / SECOND
    if word.is_passive:
        return Asked(word=word, answer=Answer.ALLOWED, at_s=at_s)
    if word == _UNGATED:
        why = ("there is no retraining without a gate",)
        return Asked(word=word, answer=Answer.ABSENT, at_s=at_s, reasons=why)
    wanted = here.actions(word)
    if wanted is None:
        return None
    safe_set = permit(wanted, memory.guard_state(state), now)
    reasons = tuple(reason for refusal in safe_set.refused for reason in refusal.reasons)
    if len(wanted) > 1:  # several at once are not one action: the second is never in time
        why = ("G5 single flight: one action at a time",)
        return Asked(word=word, answer=Answer.REFUSED, at_s=at_s, reasons=(*reasons, *why))
    if wanted[0] in safe_set.allowed:
        return Asked(word=word, answer=Answer.ALLOWED, at_s=at_s)
    answer = Answer.ASKS if wanted[0] in safe_set.approvals else Answer.REFUSED
    return Asked(word=word, answer=answer, at_s=at_s, reasons=reasons)


_UNGATED: Final = Word(verb=Verb.RETRAIN, arguments=("ungated",))


@dataclass(slots=True)
class Bystander:
    """What `Watch` and `Forced` have in common: senses, a platform, and no diagnosis."""

    managed: Managed
    platform: Platform
    episode: Episode
    state: LoopState
    done: Done = field(default_factory=Done)
    missed: int = 0
    written: int = 0

    @classmethod
    def of(cls, episode: Episode, managed: Managed, platform: Platform) -> "Bystander":
        """Return one that has seen nothing."""
        platform.claim(managed.scale_actuator, _EPOCH)
        state = replace(step.initial(managed), verified=platform.trusted)
        return cls(managed, platform, episode, state)

    def sees(self, evidence: Evidence, at: TimeNs) -> Situation | None:
        """Take one tick's evidence; return the moment, None while nothing can be read."""
        self.state = sensed(self.state, evidence, at)
        self.missed = self.missed + 1 if evidence.slo_met is False else 0
        if evidence.world is None:
            return None
        return Situation(
            episode=self.episode,
            managed=self.managed,
            world=evidence.world,
            evidence=evidence,
            hit=hit_slots(self.episode),
            missed=self.missed,
        )

    def does(self, word: Word, here: Situation, at: TimeNs) -> None:
        """Write what a word asks for."""
        for action in here.actions(word) or ():
            self.written += 1
            intent = intent_of(action, here.world, self.written, at)
            if self.platform.write(intent, at) is not None:
                continue
            self.state = memory.acted(self.state, past_of(action, intent, at))
            self.done.writes.append(intent)
            self.done.destructive |= action.kind in _DESTRUCTIVE


class Watch:
    """Asks at every scrape whether what is right would be permitted.

    Does nothing, but for a row that says in which order: its steps are taken when they are
    permitted, each before the next is asked for, and it is watched alone.

    Args:
        episode: The episode.
        managed: Its configuration.
        platform: What would be written to.
        rows: Rows of the scenario: any number without an order, or one with.
    """

    def __init__(
        self, episode: Episode, managed: Managed, platform: Platform, rows: Sequence[Row]
    ) -> None:
        self._base = Bystander.of(episode, managed, platform)
        self.platform = platform
        self.rows = tuple(rows)
        self.applies = [False] * len(rows)
        self.best: dict[tuple[int, int, int], Asked] = {}
        """Freest answer by row, step and choice."""
        self._until = begins_s(episode) + max((row.within_s for row in rows), default=0.0)
        self._place = 0  # of a row in order: the step that is next

    state = property(lambda self: self._base.state)
    done = property(lambda self: self._base.done)
    busy = property(lambda _: False)
    alarm = property(lambda _: False)
    family = property(lambda _: -1)

    @property
    def finished(self) -> bool:
        """Whether every row's time is over."""
        evidence = self._base.state.evidence
        return evidence is not None and evidence.at > time_ns(self._until)

    def answers(self, receipts: tuple[Receipt, ...], at: TimeNs) -> None:  # noqa: ARG002  # port
        """Forget what became of the last writes."""
        self._base.done = Done()

    def tick(self, evidence: Evidence, at: TimeNs) -> None:
        """Ask about every row whose time it is."""
        base = self._base
        here = base.sees(evidence, at)
        since = (at - time_ns(0.0)) / SECOND - begins_s(base.episode)
        if here is None:
            return
        for number, row in enumerate(self.rows):
            begun = row.in_order and self._place > 0
            if not 0.0 <= since <= row.within_s or not (begun or here.holds(row.when)):
                continue
            self.applies[number] = True
            if row.in_order:
                self._go(number, row, here, at)
                continue
            for place in range(len(row.do)):
                self._ask(number, place, here, at)

    def _go(self, number: int, row: Row, here: Situation, at: TimeNs) -> None:
        """Ask for the next step, and take it if it is permitted, or asks, and is not the last."""
        if self._place == len(row.do):
            return
        allowed = self._ask(number, self._place, here, at)
        if allowed is None:
            return
        self._place += 1
        if self._place < len(row.do):
            self._base.does(allowed, here, at)

    def _ask(self, number: int, place: int, here: Situation, at: TimeNs) -> Word | None:
        """Ask for every choice of a step; return one that may be done, best without a yes.

        What is right and asks gets its yes: the row is one that asks, and goes on.
        """
        found: dict[Answer, Word] = {}
        for which, word in enumerate(self.rows[number].do[place]):
            asked = ask(word, here, self._base.state, at)
            if asked is None:
                continue
            self._keep((number, place, which), asked)
            found.setdefault(asked.answer, word)
        return found.get(Answer.ALLOWED) or found.get(Answer.ASKS)

    def _keep(self, key: tuple[int, int, int], asked: Asked) -> None:
        """Keep the freest answer; of refusals the one with the fewest reasons, and the latest."""
        before = self.best.get(key)
        rank = STRICTNESS.index
        if before is None or rank(asked.answer) > rank(before.answer):
            self.best[key] = asked
            return
        nearer = len(asked.reasons) <= len(before.reasons)
        if asked.answer is before.answer is Answer.REFUSED and nearer:
            self.best[key] = asked


class Forced:
    """Does what a row asks for at its moment, and nothing before or after.

    Args:
        episode: The episode.
        managed: Its configuration.
        platform: What is written to.
        row: What is done: the first choice of its first step.
    """

    def __init__(self, episode: Episode, managed: Managed, platform: Platform, row: Row) -> None:
        self._base = Bystander.of(episode, managed, platform)
        self.platform = platform
        self._row, self._word = row, row.do[0][0]
        self._due = time_ns(begins_s(episode) + row.after_s)
        self._left = self._word.times
        self.asked: list[Asked] = []

    state = property(lambda self: self._base.state)
    done = property(lambda self: self._base.done)
    busy = property(lambda _: False)
    alarm = property(lambda _: False)
    family = property(lambda _: -1)

    @property
    def finished(self) -> bool:
        """Whether all has been done; what was written last is already on its way."""
        return self._left == 0

    @property
    def taken(self) -> bool:
        """Whether anything was done at all."""
        return bool(self.asked)

    @property
    def answer(self) -> Answer | None:
        """The strictest answer: a repetition is permitted only if each time of it is."""
        if not self.asked:
            return None
        return min((one.answer for one in self.asked), key=STRICTNESS.index)

    def answers(self, receipts: tuple[Receipt, ...], at: TimeNs) -> None:  # noqa: ARG002  # port
        """Forget what became of the last writes."""
        self._base.done = Done()

    def tick(self, evidence: Evidence, at: TimeNs) -> None:
        """Ask and do, when it is time."""
        base = self._base
        here = base.sees(evidence, at)
        if not self._left or at < self._due:
            return
        self._due, self._left = TimeNs(self._due + round(DECISION_S * SECOND)), self._left - 1
        if here is None or not here.holds(self._row.when):
            return
        asked = ask(self._word, here, base.state, at)
        if asked is None:
            return
        self.asked.append(asked)
        if self._word.verb is Verb.RETRAIN:
            gated = self._word.arguments == ("gated",)
            base.done.impulses.append("retrain" if gated else "retrain_ungated")
            return
        base.does(self._word, here, at)
