"""The real controller as a lab policy: many episodes side by side, each its own fleet.

`loop.sense.step` runs once a scrape over the whole batch, `loop.step.step` once per deployment and
event, with the shipped detectors, guards, runbook and verification (`controller_parts`). This file
only carries things to and fro: the scrape becomes pages (`controller_pages`) and a snapshot
(`controller_platform`), writes become orders (`controller_orders`), notices become pages of a
person who follows the human model. Nobody answers its questions: an action that needs a yes is a
page and expires.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from homeostat.base.evidence import Evidence
from homeostat.base.intent import Receipt
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.lab.baselines.alerts import Pager
from homeostat.lab.baselines.levers import changed, move
from homeostat.lab.budgeted import with_budget
from homeostat.lab.controller_counters import Counters
from homeostat.lab.controller_forecast import breach_probability
from homeostat.lab.controller_names import episode_name, time_ns
from homeostat.lab.controller_orders import Desk
from homeostat.lab.controller_pages import Sources
from homeostat.lab.controller_parts import loop_parts, managed, sense_parts
from homeostat.lab.controller_platform import ANSWERED_BEFORE_S, Platform
from homeostat.lab.controller_runtime import Done, Runtime
from homeostat.lab.types import Episode, Move
from homeostat.loop import sense
from homeostat.twin.outputs import Scrape

Configure = Callable[[Managed], Managed]


class Mind(Protocol):
    """Decides for one deployment: `Runtime`, or something simpler to compare it with."""

    platform: Platform
    state: LoopState
    done: Done

    @property
    def busy(self) -> bool:
        """Whether an action is in flight."""

    @property
    def finished(self) -> bool:
        """Whether nothing will be done any more, whatever comes."""

    @property
    def family(self) -> int:
        """What is diagnosed, as a place in `lab.types.FAMILIES`; -1 for nothing."""

    @property
    def alarm(self) -> bool:
        """Whether the deployment is taken to be abnormal."""

    def answers(self, receipts: tuple[Receipt, ...], at: TimeNs) -> None:
        """Take what became of the last scrape's writes."""

    def tick(self, evidence: Evidence, at: TimeNs) -> None:
        """Take one tick's evidence and decide."""


def real(_: Episode, entry: Managed, platform: Platform) -> Mind:
    """Return the real decision loop for one episode."""
    return Runtime(loop_parts(), entry, platform, time_ns(0.0))


Think = Callable[[Episode, Managed, Platform], Mind]
Named = Callable[[Sequence[Episode]], Sequence[str]]


def by_place(episodes: Sequence[Episode]) -> list[str]:
    """Return names of deployments by their places in the batch."""
    return [episode_name(number) for number in range(len(episodes))]


class Controller:
    """The controller, its sources and its targets, for one batch of episodes.

    Args:
        name: As the report calls it.
        think: Makes what decides for one episode; the real decision loop by default.
        configure: Changes a deployment's configuration; leaves it by default.
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.
        health: Whether what no decision rests on is worked out: the health score, and the tests
            of histograms.
        named: Names the deployments of a batch, each by a name of its own.
        false_incidents: The budget of each controller, per 1,000 signals and day; None for none.
    """

    def __init__(
        self,
        name: str = "homeostat",
        *,
        think: Think = real,
        configure: Configure | None = None,
        person: bool = True,
        scale: float = 1.0,
        health: bool = True,
        named: Named = by_place,
        false_incidents: float | None = None,
    ) -> None:
        self.name = name
        self._false_incidents = false_incidents
        self._named = named
        self._think = think
        self._health = health
        self._configure = configure or (lambda entry: entry)
        self._person, self._scale = person, scale

    def start(self, episodes: Sequence[Episode]) -> None:
        """Forget everything and start one controller per episode."""
        promised = np.array([float(e.params.promise.p99_s) for e in episodes])
        self._counters = Counters(promised, episodes[0].slots)
        self._desk = Desk(episodes)
        self._pager = Pager(episodes, scale=self._scale)
        parts, budget = sense_parts(), self._false_incidents
        parts = parts if budget is None else with_budget(parts, budget)
        self._sense_parts = parts if self._health else replace(parts, health=None, drift=None)
        self._sense: Any = sense.init(self._sense_parts)
        self._tick = 0
        deployments = self._named(episodes)
        self._sources = Sources(deployments, episodes[0].slots, self._counters.bounds_ms)
        self._minds: list[Mind] = []
        for name, episode in zip(deployments, episodes, strict=True):
            entry = self._configure(managed(episode, name))
            self._minds.append(self._think(episode, entry, Platform(name, episode.params)))

    @property
    def minds(self) -> Sequence[Mind]:
        """What decides for each episode, to look at."""
        return self._minds

    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Take one scrape: answers to the last writes, evidence, decisions, new orders."""
        at = time_ns(now_s)
        if all(mind.finished for mind in self._minds):
            self._desk.fresh(scrape)
            return move(self._desk.orders)
        self._answers(now_s, scrape)
        evidence = self._evidence(now_s, scrape)
        for mind, found in zip(self._minds, evidence, strict=True):
            mind.tick(found, at)
        return self._move(now_s, scrape)

    def _answers(self, now_s: float, scrape: Scrape) -> None:
        """Read the platforms back, and let the controllers hear what became of their writes."""
        self._desk.fresh(scrape)
        before = time_ns(now_s - ANSWERED_BEFORE_S)
        for number, mind in enumerate(self._minds):
            receipts = mind.platform.read(now_s, scrape, number)
            if mind.platform.moved:
                self._desk.keep(number, mind.platform.levers)
            mind.answers(receipts, before)

    def _evidence(self, now_s: float, scrape: Scrape) -> tuple[Evidence, ...]:
        """Run the senses once over the whole batch."""
        at = time_ns(now_s)
        reborn = np.zeros(np.shape(scrape.phase), bool)
        for number, mind in enumerate(self._minds):
            slots, again = mind.platform.slots, mind.platform.reborn
            if again:
                reborn[number, list(again)] = True
                self._sources.restart(number, {index: slots[index].started for index in again})
        self._counters.restart(reborn)
        self._counters.take(now_s, scrape)
        said = self._sources.round(now_s, scrape, self._counters)
        worlds = [mind.platform.snapshot(at) for mind in self._minds]
        entries = [mind.state.managed for mind in self._minds]
        busy = frozenset(m.state.managed.name for m in self._minds if m.busy)
        self._tick += 1
        self._sense, _, evidence = sense.step(
            self._sense_parts, self._sense, (said,), worlds, entries, busy, at, self._tick
        )
        return evidence

    def _move(self, now_s: float, scrape: Scrape) -> Move:
        done = [mind.done for mind in self._minds]
        for number, one in enumerate(done):
            for intent in one.writes:
                self._desk.write(number, intent.post)
            for impulse in one.impulses:
                self._desk.press(number, impulse)
        told = np.array([one.told for one in done])
        called = self._pager.step(now_s, told, scrape)
        orders = self._desk.orders
        if self._person:
            # People and the controller may both limit the gateway: the lower limit is in force.
            least = np.minimum(orders.admit_rps, called.admit_rps)
            orders = changed(orders, person_fixes=called.fixes, admit_rps=least)
        return Move(
            orders=orders,
            intervened=np.array([bool(one.writes or one.impulses) for one in done]),
            paged=called.paged,
            family=np.array([mind.family for mind in self._minds]),
            destructive=np.array([one.destructive for one in done]),
            person_minutes=called.minutes,
            alarm=np.array([mind.alarm for mind in self._minds]),
            breach_probability=np.array(
                [breach_probability(mind.state.evidence) for mind in self._minds], np.float32
            ),
        )
