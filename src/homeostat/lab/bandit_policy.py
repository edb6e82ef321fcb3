"""Policy `bandit`: the contextual bandit of the decision seat, and nothing that keeps it safe.

For comparison with `safe_canary`: the same arms (the runbook's proposal, to hold, what the twin
likes best), the same context, the same corrections of the twin and the same reward, learnt on the
same compositions. Left out is what Layer 1 and the canary add: no guard is asked, no limit of a
cost is kept, an arm is played whole or not at all (a ramp is one write), nothing is a way back that
is never weighed, the twin is believed wherever it answers, and nothing is verified or taken back.
It acts on the first suspicion and waits for what comes of one choice before it makes the next.
What the platform itself refuses, and kinds that the lab grants to nobody, it cannot do either. No
configuration of the product can run it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from homeostat.base.actions import HOLD, Action, SafeSet
from homeostat.base.events import Rehearse
from homeostat.base.evidence import Incident
from homeostat.base.guard import GuardState
from homeostat.base.learning import INCUMBENT, Advice, Awaited, Offer, Payoff, Pick
from homeostat.base.policy import Managed
from homeostat.base.rehearsal import Rehearsal, Trust, ranked
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.lab.controller import Controller, Mind, Think
from homeostat.lab.controller_direct import Direct
from homeostat.lab.controller_names import own_names
from homeostat.lab.controller_parts import GRANTED
from homeostat.lab.controller_platform import Platform
from homeostat.lab.controller_twin import TWIN, Twin
from homeostat.lab.runbook_policy import suspected
from homeostat.lab.seat_file import SEATS, taught
from homeostat.lab.types import Episode
from homeostat.loop import memory
from homeostat.loop.seat import draw
from homeostat.loop.seat_tally import counted
from homeostat.policy import runbook, seat, seat_effect, seat_learn
from homeostat.safety.permit import permit

_POLICY: Final = SEATS["bandit"]
_NAN: Final = float("nan")


class Gambler:
    """Chooses in one episode; asked at every tick by `Direct`.

    Args:
        twin: What it asks.
        learnt: What it knows when it begins, as the seat keeps it; empty = nothing.

    Attributes:
        played: How often it played each arm, by name.
        taught: What it learnt from, in order: the pick, and what came of it.
    """

    def __init__(self, twin: Twin, learnt: str = "") -> None:
        self.played: Counter[str] = Counter()
        self.taught: list[tuple[Pick, Payoff]] = []
        self._twin, self._learnt = twin, learnt
        self._awaited: Awaited | None = None
        self._until = TimeNs(0)
        self._number = 0

    def choose(self, state: LoopState, now: TimeNs) -> tuple[Action, SafeSet]:
        """Return what it does now; the set that comes with it permits nothing and is not asked."""
        seen = memory.guard_state(state)
        nothing = permit((), seen, now)
        self._follow(state, now)
        if now < self._until:
            return HOLD, nothing
        incident = suspected(state, now)
        wanted, _ = runbook.candidates(incident, seen, ())
        if incident is None and state.calm_ticks < state.managed.guard.scale_in_scrapes:
            wanted = ()  # as in the loop: a saving waits for a long calm
        whole = tuple(replace(one, ramp=()) for one in wanted)
        able = tuple(one for one in whole if one.is_passive or one.kind in GRANTED)
        if not able:
            return HOLD, nothing
        if able[0].is_passive:
            return able[0], nothing  # tells a person: there is no choice in that
        return self._pick(able, state, seen, incident, now), nothing

    def _pick(
        self,
        wanted: Sequence[Action],
        state: LoopState,
        seen: GuardState,
        incident: Incident | None,
        now: TimeNs,
    ) -> Action:
        """Return the arm with the most to gain, or now and then another one."""
        self._number += 1
        active = tuple(one for one in wanted if not one.is_passive)
        answer = self._asked(active, state, incident, now)
        seen = replace(seen, rehearsal=replace(answer, trust=Trust()))
        first = active[0]
        liked = [one.action for one in ranked(answer.prospects) if not one.action.is_passive]
        offers = [Offer(arm="hold", action=HOLD)]
        offers += [Offer(arm="twin", action=liked[0])] if liked and liked[0] != first else []
        pick_id = f"d-{self._number:04d}"
        advice = seat.weigh(
            offers, first, permit((), seen, now), seen, self._learnt,
            pick_id=pick_id, now=now, roll=draw(f"{state.managed.name}|{pick_id}"),
        )  # fmt: skip
        arm = INCUMBENT if advice.number < 0 else offers[advice.number].arm
        self.played[arm] += 1
        self._await(state, advice, answer, arm, now)
        return first if advice.number < 0 else offers[advice.number].action

    def _asked(
        self, wanted: Sequence[Action], state: LoopState, incident: Incident | None, now: TimeNs
    ) -> Rehearsal:
        """Return the twin's answer to what would come of the runbook's candidates."""
        question = Rehearse(
            id=f"r-{self._number:04d}",
            deployment=state.managed.name,
            at=now,
            candidates=tuple(wanted),
            horizon_ns=TWIN.horizon_ns,
            draws=TWIN.draws,
            seed=self._number,
            deadline=TimeNs(now + TWIN.deadline_ns),
        )
        return self._twin(question, replace(state, incident=incident))

    def _await(
        self, state: LoopState, advice: Advice, answer: Rehearsal, arm: str, now: TimeNs
    ) -> None:
        """Wait for what comes of a choice, as far as the twin looked ahead."""
        self._until = TimeNs(now + (answer.horizon_ns or TWIN.horizon_ns))
        self._awaited = Awaited(
            pick=advice.pick,
            arm=arm,
            incident_id="",
            until=self._until,
            base=advice.base,
            before=_NAN,
            foreseen_hold=_NAN,
            foreseen_low=_NAN,
            foreseen_high=_NAN,
            met=None if state.evidence is None else state.evidence.slo_met,
        )

    def _follow(self, state: LoopState, now: TimeNs) -> None:
        """Measure a tick of what is awaited, and learn from it when its time is over."""
        awaited = self._awaited
        if awaited is None or state.evidence is None:
            return
        tally = counted(awaited.tally, state.evidence, state.managed)
        self._awaited = awaited = replace(awaited, tally=tally)
        if now < awaited.until:
            return
        self._awaited = None
        payoff = seat_effect.payoff(awaited, state.managed)
        if payoff.gains() is None:
            return
        self._learnt = seat_learn.learn(self._learnt, _POLICY, awaited.pick, payoff)
        self.taught.append((awaited.pick, payoff))


class Gambling(Direct):
    """Decides for one episode as its gambler says.

    Args:
        managed: The deployment.
        platform: What is written to.
        gambler: Who chooses.
    """

    def __init__(self, managed: Managed, platform: Platform, gambler: Gambler) -> None:
        super().__init__(managed, platform, gambler.choose)
        self.played, self.taught = gambler.played, gambler.taught


def bandit(trained: Mapping[str, bytes], *, person: bool = True, scale: float = 1.0) -> Controller:
    """Return the bandit without guards as a policy.

    Args:
        trained: Files of what was learnt, by policy.
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.

    Raises:
        UntrainedError: What it learnt is not among them.
    """
    return gambling(taught("bandit", trained).learnt, person=person, scale=scale)


def gambling(learnt: str, *, person: bool = True, scale: float = 1.0) -> Controller:
    """Return the same, knowing what it is given.

    Args:
        learnt: As the seat keeps it; empty = nothing.
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.
    """
    return Controller(
        "bandit", think=_think(learnt), configure=_configured, person=person, scale=scale,
        health=False, named=own_names,
    )  # fmt: skip


def _think(learnt: str) -> Think:
    def think(episode: Episode, entry: Managed, platform: Platform) -> Mind:
        return Gambling(entry, platform, Gambler(Twin(episode), learnt))

    return think


def _configured(entry: Managed) -> Managed:
    return replace(entry, twin=TWIN, adaptive=_POLICY)
