"""Asks the kernel about the table's actions, and takes the wrong ones whatever it says.

`Watch` stands by and asks at every scrape whether what is right would be permitted. `Forced` asks
once, at the row's moment, and then does it: the run that follows shows what the guards have kept
away, or have let through. Both see with the real senses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from homeostat.base.actions import Action, ActionKind
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

    @classmethod
    def of(cls, episode: Episode, managed: Managed, platform: Platform) -> "Bystander":
        """Return one that has seen nothing."""
        platform.claim(managed.scale_actuator, _EPOCH)
        state = replace(step.initial(managed), verified=platform.trusted)
        return cls(managed, platform, episode, state)

    def situation(self, evidence: Evidence) -> Situation | None:
        """Return the moment, None while the deployment cannot be read."""
        if evidence.world is None:
            return None
        return Situation(
            episode=self.episode,
            managed=self.managed,
            world=evidence.world,
            evidence=evidence,
            hit=hit_slots(self.episode),
        )


class Watch:
    """Asks at every scrape whether what is right would be permitted; does nothing.

    Args:
        episode: The episode.
        managed: Its configuration.
        platform: What would be written to.
        rows: Rows of the scenario.
    """

    def __init__(
        self, episode: Episode, managed: Managed, platform: Platform, rows: Sequence[Row]
    ) -> None:
        self._base = Bystander.of(episode, managed, platform)
        self.platform = platform
        self.rows = tuple(rows)
        self.applies = [False] * len(rows)
        self.best: dict[tuple[int, int, int], Asked] = {}
        """Freest answer by row, step and choice; of equals the first."""
        self._until = begins_s(episode) + max((row.within_s for row in rows), default=0.0)

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

    def answers(self, receipts: tuple[Receipt, ...], at: TimeNs) -> None:
        """Nothing was written."""

    def tick(self, evidence: Evidence, at: TimeNs) -> None:
        """Ask about every row whose time it is."""
        base = self._base
        base.state = sensed(base.state, evidence, at)
        here = base.situation(evidence)
        now_s = (at - time_ns(0.0)) / SECOND
        if here is None:
            return
        for number, row in enumerate(self.rows):
            since = now_s - begins_s(base.episode)
            if not 0.0 <= since <= row.within_s or not here.holds(row.when):
                continue
            self.applies[number] = True
            for place, choice in enumerate(row.do):
                for which, word in enumerate(choice):
                    self._keep((number, place, which), ask(word, here, base.state, at))

    def _keep(self, key: tuple[int, int, int], asked: Asked | None) -> None:
        before = self.best.get(key)
        if asked is None:
            return
        rank = STRICTNESS.index
        if before is None or rank(asked.answer) > rank(before.answer):
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
        self._written = 0
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
        base.state = sensed(base.state, evidence, at)
        if not self._left or at < self._due:
            return
        self._due, self._left = TimeNs(self._due + round(DECISION_S * SECOND)), self._left - 1
        here = base.situation(evidence)
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
        for action in here.actions(self._word) or ():
            self._do(action, here, at)

    def _do(self, action: Action, here: Situation, at: TimeNs) -> None:
        self._written += 1
        intent = intent_of(action, here.world, self._written, at)
        if self.platform.write(intent, at) is not None:
            return
        base = self._base
        base.state = memory.acted(base.state, past_of(action, intent, at))
        base.done.writes.append(intent)
        base.done.destructive |= action.kind in _DESTRUCTIVE
