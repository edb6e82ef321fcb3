"""The same senses and the same guards without the loop around them: decide, write, forget.

For comparison with `controller_runtime`. What is left out: incidents (a suspicion is acted on at
first sight), verification, undo, read-back and retries. What stays: every scrape's evidence, the
guards with their counters, trusted versions, and one action at a time while the platform changes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from homeostat.base.actions import Action, ActionKind, SafeSet
from homeostat.base.changed import changed
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.evidence import Evidence, Suspicion
from homeostat.base.guard import PastAction
from homeostat.base.intent import Intent, Receipt
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Snapshot
from homeostat.lab.controller_names import family_index
from homeostat.lab.controller_platform import Platform
from homeostat.lab.controller_runtime import DESTRUCTIVE, Done, fleet_of_one
from homeostat.loop import memory, step

_DEADLINE_NS: Final = 5 * SECOND  # as the guard policy's default
Choose = Callable[[LoopState, TimeNs], tuple[Action, SafeSet]]
"""Picks one member of a safe set, and returns both."""


class Direct:
    """Decides for one episode by asking `choose` at every tick.

    Args:
        managed: The deployment.
        platform: What is written to.
        choose: Picks the action.
    """

    def __init__(self, managed: Managed, platform: Platform, choose: Choose) -> None:
        self.platform = platform
        self.state = replace(step.initial(managed), verified=platform.trusted)
        self.done = Done()
        self._choose = choose
        self._written = 0
        self._told: tuple[str, str] | None = None
        platform.claim(managed.scale_actuator, 1)

    @property
    def busy(self) -> bool:
        """Whether the platform still carries out what was written."""
        world = self.state.world
        return world is not None and world.changing and bool(self.state.past)

    @property
    def finished(self) -> bool:
        """Never: something may always be chosen."""
        return False

    @property
    def family(self) -> int:
        """What is suspected first, as a place in `lab.types.FAMILIES`; -1 for nothing."""
        first = self._suspected()
        return family_index(None if first is None else first.family)

    @property
    def alarm(self) -> bool:
        """Whether anything is suspected."""
        return self._suspected() is not None

    def answers(self, receipts: tuple[Receipt, ...], at: TimeNs) -> None:  # noqa: ARG002  # see top
        """Forget what became of the last writes."""
        self.done = Done()

    def tick(self, evidence: Evidence, at: TimeNs) -> None:
        """Take one tick's evidence, decide and write."""
        self.state = sensed(self.state, evidence, at)
        if not evidence.ready or evidence.world is None:
            return
        action, safe_set = self._choose(self.state, at)
        if action.kind is ActionKind.ESCALATE or action in safe_set.approvals:
            self._tell(action, at)
        elif not action.is_passive:
            self._write(action, evidence.world, at)

    def _suspected(self) -> Suspicion | None:
        evidence = self.state.evidence
        return evidence.suspicions[0] if evidence is not None and evidence.suspicions else None

    def _tell(self, action: Action, at: TimeNs) -> None:
        """Tell a person, once for each suspicion."""
        first = self._suspected()
        about = ("", "") if first is None else (first.family.value, first.subject)
        if about == self._told:
            return
        self._told = about
        name = self.state.managed.name
        title = f"{action.kind} {action.subject}: {' at '.join(about)}"
        notice = Notice(key=name, deployment=name, at=at, urgency=Urgency.PAGE, title=title)
        self.done.notices.append(notice)

    def _write(self, action: Action, world: Snapshot, at: TimeNs) -> None:
        self._written += 1
        intent = intent_of(action, world, self._written, at)
        if self.platform.write(intent, at) is not None:
            return
        self.state = memory.acted(self.state, past_of(action, intent, at))
        self.done.writes.append(intent)
        self.done.destructive |= action.kind in DESTRUCTIVE


def sensed(state: LoopState, evidence: Evidence, at: TimeNs) -> LoopState:
    """Return the state after one tick's evidence: trusted versions, peaks and the past with it."""
    calm = evidence.slo_met is True and not evidence.suspicions
    fresh = changed(
        state,
        evidence=evidence,
        world=evidence.world,
        fleet=fleet_of_one(state, evidence),
        calm_ticks=state.calm_ticks + 1 if calm else 0,
    )
    return memory.remember(fresh, at)


def intent_of(action: Action, world: Snapshot, number: int, at: TimeNs) -> Intent:
    """Return one action as a write against the world as read back.

    Args:
        action: What is done; of a ramp the lowest stage.
        world: As read back.
        number: Of the write.
        at: When.
    """
    name = f"d-{number:04d}"
    post = first_rung(action)
    stamp = world.stamp(action.actuator)
    return Intent(
        id=f"{name}.0.0",
        action_id=name,
        deployment=world.deployment,
        actuator=action.actuator,
        epoch=1,
        stage=0,
        pre=tuple((lever, world.lever(lever) or 0) for lever, _ in post),
        post=post,
        token=stamp.token if stamp is not None else None,
        evidence_at=at,
        deadline=TimeNs(at + _DEADLINE_NS),
    )


def past_of(action: Action, intent: Intent, at: TimeNs) -> PastAction:
    """Return an action that reached the world, for the guards' counters."""
    return PastAction(
        id=intent.action_id,
        kind=action.kind,
        subject=action.subject,
        at=at,
        levers=tuple(lever for lever, _ in action.change),
    )


def first_rung(action: Action) -> Levers:
    """Return what an action writes first: its change, or the lowest stage of its ramp."""
    if not action.ramp:
        return action.change
    return ((action.change[0][0], action.ramp[0]),)
