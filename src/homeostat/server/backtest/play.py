"""Replays recorded deployments side by side through `sense.step` and `loop.step`, in shadow.

The senses run once a step over all of them, the decisions once a step for each. A shadow writes
nothing, so nothing of what is replayed depends on what would have been done. Each deployment is
alone in its fleet: what the guards forbid because of others is not replayed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base.actions import Action, SafeSet
from homeostat.base.decisions import DecisionRecord, Notice, Urgency
from homeostat.base.events import Command, FleetView, Record, Started, Tell, Ticked
from homeostat.base.evidence import Evidence, Incident
from homeostat.base.guard import GuardState
from homeostat.base.policy import KillLevel, Managed
from homeostat.base.state import LoopState
from homeostat.base.units import MINUTE, TimeNs
from homeostat.detect.breach_any import any_breach
from homeostat.detect.forecast_load import chance_within
from homeostat.govern.decide import label
from homeostat.loop import sense
from homeostat.loop import step as loop_step
from homeostat.loop.parts import LoopParts
from homeostat.loop.sense_parts import SenseParts
from homeostat.server.backtest.recorded import Grid, History, Worlds
from homeostat.signals.past import Past

Floats = npt.NDArray[np.float64]

AHEAD_NS: Final = 15 * MINUTE
"""How far ahead a breach is foreseen: the middle one of the forecasters' horizons."""
_SHADOW: Final = "G12 shadow"
_TOLD_EVERY: Final = 16
_MET: Final = {True: 1.0, False: 0.0, None: np.nan}


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one deployment's replay came to.

    Attributes:
        managed: The configuration that it was replayed under.
        met: Objectives by tick: 1 met, 0 missed, NaN unknown [tick].
        chance: Probability that an objective is missed within `AHEAD_NS`, as said while all were
            met; NaN = nothing was said [tick].
        ready: Whether the baselines had been learnt [tick].
        incidents: Every change of every incident, with the tick, in order.
        decisions: Every recorded decision with its tick.
        wanted: The first action of each incident that only the shadow held back, by incident.
        refused: Of each incident, what was refused for other reasons, and those reasons as they
            were given first.
        notices: Everything that people would have been told, with its tick.
    """

    managed: Managed
    met: Floats = field(repr=False)
    chance: Floats = field(repr=False)
    ready: npt.NDArray[np.bool_] = field(repr=False)
    incidents: list[tuple[int, Incident, bool]] = field(default_factory=list)
    decisions: list[tuple[int, DecisionRecord]] = field(default_factory=list)
    wanted: dict[str, tuple[int, Action]] = field(default_factory=dict)
    refused: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    notices: list[tuple[int, Notice]] = field(default_factory=list)

    def pages(self) -> list[tuple[int, Notice]]:
        """Return what would have woken somebody."""
        return [(tick, one) for tick, one in self.notices if one.urgency is Urgency.PAGE]


class _Mind:
    """One deployment's decisions, tick by tick."""

    def __init__(self, parts: LoopParts, managed: Managed, one: History, grid: Grid) -> None:
        self._parts = replace(parts, permit=self._permit)
        self._ask = parts.permit
        self._offered: list[SafeSet] = []
        self.one, self.worlds = one, Worlds(one, managed)
        self.state: LoopState = loop_step.initial(managed)
        ticks = grid.ticks
        self.seen = Seen(
            managed=managed,
            met=np.full(ticks, np.nan),
            chance=np.full(ticks, np.nan),
            ready=np.zeros(ticks, dtype=bool),
        )
        self._take(one.first, Started(at=grid.at(one.first), epoch=1, managed=managed))

    def tick(self, tick: int, evidence: Evidence, now: TimeNs) -> None:
        """Take one step's evidence."""
        seen = self.seen
        seen.met[tick] = _MET[evidence.slo_met]
        seen.ready[tick] = evidence.ready
        seen.chance[tick] = _chance(evidence)
        replicas = 0 if evidence.world is None else len(evidence.world.replicas)
        view = FleetView(targets=1, replicas=replicas)
        self._take(tick, Ticked(at=now, evidence=evidence, fleet=view, kill=KillLevel.OFF))

    def _permit(self, wanted: Sequence[Action], seen: GuardState, now: TimeNs) -> SafeSet:
        """Return the safe set, and remember it: it says why each action was refused."""
        offered = self._ask(wanted, seen, now)
        self._offered.append(offered)
        return offered

    def _take(self, tick: int, event: Any) -> None:
        self._offered.clear()
        self.state, commands = loop_step.step(self._parts, self.state, event)
        if (incident := self.state.incident) is not None:
            for offered in self._offered:
                self._refusals(tick, incident.id, offered)
        for command in commands:
            self._note(tick, command)

    def _refusals(self, tick: int, incident: str, offered: SafeSet) -> None:
        """Tell what only the shadow holds back from what would have been refused anyway."""
        for one in offered.refused:
            others = tuple(why for why in one.reasons if not why.startswith(_SHADOW))
            if others:
                reasons = self.seen.refused.setdefault(incident, {})
                reasons.setdefault(label(one.action), others)
            elif incident not in self.seen.wanted:
                self.seen.wanted[incident] = tick, one.action

    def _note(self, tick: int, command: Command) -> None:
        """Write down what a shadow says.

        Raises:
            AssertionError: It wants to do something.
        """
        match command:
            case Record(fact=Incident() as incident, open=is_open):
                self.seen.incidents.append((tick, incident, is_open))
            case Record(fact=DecisionRecord() as decision):
                self.seen.decisions.append((tick, decision))
            case Record():
                pass
            case Tell(notice=notice):
                self.seen.notices.append((tick, notice))
            case _:
                raise AssertionError(f"a shadow does nothing, and wants {type(command).__name__}")


def play(
    sense_parts: Callable[[Past], SenseParts],
    loop_parts: LoopParts,
    managed: Sequence[Managed],
    histories: Sequence[History],
    grid: Grid,
    progress: Callable[[int], None] | None = None,
) -> list[Seen]:
    """Return what the replay of each deployment came to.

    Args:
        sense_parts: The stages of sensing around a first stage.
        loop_parts: The stages of deciding.
        managed: Each deployment as `shadow.shadow` makes it, in the histories' order.
        histories: Their histories, all on the grid.
        grid: The ticks.
        progress: Told now and then how many deployment-steps are done.
    """
    # No decision asks for the health score, which is for people who watch.
    parts = replace(sense_parts(Past([one.recorded for one in histories])), health=None)
    state = sense.init(parts)
    minds = [
        _Mind(loop_parts, entry, one, grid) for entry, one in zip(managed, histories, strict=True)
    ]
    done = 0
    for tick in range(grid.ticks):
        now = grid.at(tick)
        there = [mind for mind in minds if mind.one.first <= tick <= mind.one.last]
        if not there:
            continue
        read = [mind.worlds.at(tick, now) for mind in there]
        entries = [mind.state.managed for mind in there]
        worlds = [one for one in read if one is not None]
        state, _, evidence = sense.step(parts, state, (), worlds, entries, frozenset(), now, tick)
        for mind, found in zip(there, evidence, strict=True):
            mind.tick(tick, found, now)
        done += len(there)
        if progress is not None and tick % _TOLD_EVERY == 0:
            progress(done)
    if progress is not None:
        progress(done)
    return [mind.seen for mind in minds]


def _chance(evidence: Evidence) -> float:
    """Return how probable a missed objective is soon; NaN where nothing is said.

    What is missed already is no forecast. How the promises go along nobody knows: the probability
    is at least that of the most probable one.
    """
    if evidence.slo_met is not True:
        return np.nan
    chances = {
        f"{one.subject} {one.signal}": chance_within(one, AHEAD_NS)
        for one in evidence.forecasts
        if one.horizons_ns
    }
    known = any(chance is not None for chance in chances.values())
    return any_breach(chances).low if known else np.nan
