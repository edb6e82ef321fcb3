"""What the runtime is given: the record, the loop's stages, and everybody who is told."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from homeostat.base.events import Command, Event, Rehearse
from homeostat.base.evidence import Evidence
from homeostat.base.policy import KillLevel
from homeostat.base.ports import Journal, Notifier
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, TimeNs
from homeostat.loop.parts import LoopParts
from homeostat.server.reading import Deployment
from homeostat.server.telemetry.pulse import Pulse

Rehearser = Callable[[Rehearse, LoopState], Awaitable[Rehearsal]]
Sense = Callable[..., tuple[Any, Any, tuple[Evidence, ...]]]


@dataclass(slots=True, kw_only=True)
class Shell:
    """What the runtime needs from outside; the wiring fills it.

    Attributes:
        journal: The record.
        parts: The loop's stages.
        sense: `loop.sense.step` with its parts bound: (state, reports, worlds, managed, busy,
            now, tick) -> (state, signals, evidence).
        sense_state: The sense state to start from.
        encode_frame: Signals to bytes for the journal, None to keep no frames.
        kill: Reads the kill switch; must not raise.
        observe: Told of every event and command (the read model).
        notifiers: Tell people.
        owner: Names this controller in the journal.
        deployments: By name.
        retention_ns: How long frames and ticks are kept, if the journal can drop any.
        took: Told how long each cycle took, ns.
        pulse: Told how this process does.
        stage: Told when a stage began and ended: with no name a cycle's reading and sensing, with a
            deployment's name one step of its loop, journal included; must not raise.
        rehearse: Asks the twin, by its deadline; None if there is no twin.
    """

    journal: Journal
    parts: LoopParts
    sense: Sense
    sense_state: Any
    encode_frame: Callable[[Any], bytes] | None
    kill: Callable[[], KillLevel]
    observe: Callable[[str, Event | Command], None]
    notifiers: tuple[Notifier, ...]
    owner: str
    deployments: dict[str, Deployment] = field(default_factory=dict)
    retention_ns: int = 7 * 24 * HOUR
    took: Callable[[int], None] | None = None
    pulse: Pulse = field(default_factory=Pulse)
    stage: Callable[[str, TimeNs, TimeNs], None] | None = None
    rehearse: Rehearser | None = None
