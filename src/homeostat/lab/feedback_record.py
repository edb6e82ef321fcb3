"""What the detectors make of many hours, recorded once: strengths, outcomes, and what was true.

An hour is a cycle of the HASH table (`lab.cycles`) whose incidents are random compositions
(`lab.compose`), played under the shipped controller. What is learnt is worked out afterwards,
on the recording: the twin is played once, however many ways of learning are compared.

An hour with incidents is one event, from the first onset to the last second with an active fault
or damage, as in `lab.metrics_people`. Not here: who says what of it (`feedback_people`), learning.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import Evidence
from homeostat.base.intent import ActionState, Receipt
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.lab.compose import unseen
from homeostat.lab.controller import Controller, Mind, real
from homeostat.lab.controller_platform import Platform
from homeostat.lab.controller_runtime import Done
from homeostat.lab.cycles import CYCLE_S, Cycle, hour, size_of
from homeostat.lab.judge_view import view
from homeostat.lab.metrics_windows import damaged
from homeostat.lab.run import world_for
from homeostat.lab.scenario import Scenario
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import Episode, Trace
from homeostat.learn.feedback_channels import CHANNELS, strengths
from homeostat.twin.shapes import SCRAPE_S

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

SCRAPES: Final = CYCLE_S // SCRAPE_S
WIDTH: Final = 50
"""Hours side by side; see `lab.shards.Options`."""

_HELPED: Final = frozenset({ActionState.SUCCEEDED})
# Taken back because it did not help, or ended without a proof that it did.
_DID_NOT: Final = frozenset({ActionState.ROLLED_BACK, ActionState.STUCK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Hours to be played side by side.

    Attributes:
        pairs: Cycles with their number of incidents, at most `WIDTH`, of one size.
        scenarios: That the cycles were drawn from.
    """

    pairs: tuple[tuple[Cycle, int], ...]
    scenarios: tuple[Scenario, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """Hours, in the order of their numbers once joined.

    Attributes:
        number: Of the cycle, `[hour]`.
        strength: Of each channel, NaN for unknown, `[hour, scrape, channel]`.
        alarm: The shipped controller takes the deployment to be abnormal, `[hour, scrape]`.
        busy: An action of ours is in flight, `[hour, scrape]`.
        outcome: An action ended: 1 it was seen to help, -1 not to, 0 neither, `[hour, scrape]`.
        event: Within the event, `[hour, scrape]`.
        hurt: There was damage, `[hour, scrape]`.
    """

    number: Ints
    strength: Floats
    alarm: Bools
    busy: Bools
    outcome: Ints
    event: Bools
    hurt: Bools

    def __len__(self) -> int:
        """How many hours."""
        return len(self.number)


def compositions(count: int, *, first_seed: int) -> tuple[Scenario, ...]:
    """Return random compositions of one hour with seeds from `first_seed` on."""
    return tuple(unseen(first_seed + k, length_s=CYCLE_S) for k in range(count))


def pieces(
    scenarios: Sequence[Scenario], cycles: Sequence[Cycle], per_hour: float
) -> Iterator[Piece]:
    """Yield the pieces that together are these cycles at a density."""
    by_size: dict[tuple[int, float], list[tuple[Cycle, int]]] = {}
    for cycle in cycles:
        count = cycle.count(per_hour)
        by_size.setdefault(size_of(scenarios, cycle, count), []).append((cycle, count))
    for _, pairs in sorted(by_size.items()):
        for first in range(0, len(pairs), WIDTH):
            part = tuple(pairs[first : first + WIDTH])
            yield Piece(pairs=part, scenarios=tuple(scenarios))


def record(piece: Piece) -> Recording:
    """Play one piece in this process and return what is to be kept of it."""
    episodes = [hour(piece.scenarios, cycle, count) for cycle, count in piece.pairs]
    world = world_for(episodes, WIDTH)
    minds: list[Witness] = []

    def think(episode: Episode, entry: Managed, platform: Platform) -> Mind:
        minds.append(Witness(real(episode, entry, platform)))
        return minds[-1]

    trace = world.play(Controller("homeostat", think=think), episodes).trace
    hurt = damaged(view(trace), FROZEN)
    return Recording(
        number=np.array([cycle.number for cycle, _ in piece.pairs], dtype=np.int64),
        strength=np.array([mind.strength for mind in minds], dtype=np.float32),
        alarm=np.asarray(trace.moves["alarm"], dtype=bool),
        busy=np.array([mind.was_busy for mind in minds], dtype=bool),
        outcome=np.array([mind.outcome for mind in minds], dtype=np.int64),
        event=event_of(trace, _folded(hurt), np.array([count for _, count in piece.pairs])),
        hurt=_folded(hurt),
    )


def event_of(trace: Trace, hurt: Bools, incidents: Ints) -> Bools:
    """Return the scrapes within each hour's event, `[hour, scrape]`; none without incidents."""
    at = (np.arange(hurt.shape[1]) + 1.0) * SCRAPE_S
    onset = np.array([episode.onset_s for episode in trace.episodes])[:, None]
    began = (at >= onset) & (incidents > 0)[:, None]
    active = (_folded(np.asarray(trace.truth.faulty, dtype=bool)) | hurt) & began
    # Active now or later: the event lasts to its last active scrape, gaps included.
    later = np.logical_or.accumulate(active[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(began & later)


def joined(parts: Sequence[Recording]) -> Recording:
    """Return several recordings as one, by the hours' numbers.

    Raises:
        ValueError: There is none, or an hour is there twice.
    """
    if not parts:
        raise ValueError("no recordings to join; record at least one piece")
    number = np.concatenate([part.number for part in parts])
    if len(np.unique(number)) < len(number):
        raise ValueError("an hour was recorded twice; keep one recording of each")
    order = np.argsort(number, kind="stable")
    every = {
        one.name: np.concatenate([getattr(part, one.name) for part in parts])[order]
        for one in fields(Recording)
    }
    return Recording(**every)


def by_name(strength: Floats, channels: Sequence[str]) -> Floats:
    """Return strengths in the order of `CHANNELS`; a channel that was not there yet is unknown.

    Args:
        strength: `[hour, scrape, channel]`.
        channels: The names of its channels.
    """
    out = np.full((*strength.shape[:2], len(CHANNELS)), np.nan, dtype=np.float32)
    for place, name in enumerate(CHANNELS):
        if name in channels:
            out[:, :, place] = strength[:, :, list(channels).index(name)]
    return out


def _folded(ticks: Bools) -> Bools:
    """Return in which scrapes a tick is true, `[hour, scrape]`."""
    return np.asarray(ticks.reshape(len(ticks), -1, SCRAPE_S).any(axis=2))


class Witness:
    """The real decision loop of one hour, with what it sees and what comes of it written down.

    Args:
        inner: Decides.
    """

    def __init__(self, inner: Mind) -> None:
        self._inner = inner
        self.strength: list[Any] = []
        self.was_busy: list[bool] = []
        self.outcome: list[int] = []
        self._ended: frozenset[str] = frozenset()
        self._look()

    def _look(self) -> None:
        self.platform: Platform = self._inner.platform
        self.state: LoopState = self._inner.state
        self.done: Done = self._inner.done

    @property
    def busy(self) -> bool:
        """Whether an action is in flight."""
        return self._inner.busy

    @property
    def finished(self) -> bool:
        """Never: every scrape is to be seen."""
        return False

    @property
    def family(self) -> int:
        """What is diagnosed."""
        return self._inner.family

    @property
    def alarm(self) -> bool:
        """Whether the deployment is taken to be abnormal."""
        return self._inner.alarm

    def answers(self, receipts: tuple[Receipt, ...], at: TimeNs) -> None:
        """Pass on what became of the last scrape's writes."""
        self._inner.answers(receipts, at)
        self._look()

    def tick(self, evidence: Evidence, at: TimeNs) -> None:
        """Write down the strengths, let the loop decide, and write down what ended."""
        self.strength.append(strengths(evidence))
        self._inner.tick(evidence, at)
        self._look()
        self.was_busy.append(self._inner.busy)
        ended = {one.id: one.state for one in self._inner.state.finished}
        new = [state for name, state in ended.items() if name not in self._ended]
        self._ended |= ended.keys()
        helped, did_not = any(s in _HELPED for s in new), any(s in _DID_NOT for s in new)
        self.outcome.append(int(helped) - int(did_not and not helped))


Play = Callable[[Sequence[Piece]], Iterator[Recording]]
"""Plays pieces, in any order and any processes."""
