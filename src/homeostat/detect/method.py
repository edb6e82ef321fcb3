"""What a method is: something that `homeostat detect` can judge a recording by.

The shipped one is the stack (`detect.stack`); each detector of this room is one, by itself. All
take `[entity, column]` a tick and say the same things (`stack.Said`), so that files, streams,
checkpoints, pages and the conformance kit know none of them by name. They are found as plug-ins
are: a file that exports a `PART` of kind "method", and every `PART` of kind "detector"
(`detect.method_rows`).

A detector alarms on every tick of a fault, and an operator wants to hear of it once: an incident
starts at its first alarm, and ends after `QUIET` known ticks in a row without one. Not here: what
starts an incident of the stack, which goes by its evidence.
"""

from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.detect import stack_incident
from homeostat.detect.stack import Said, scale

QUIET: Final = 30
"""Known ticks without an alarm that end an incident; as the stack's."""
_INCIDENT: Final = stack_incident.Config(start=1.0, stay=1.0, quiet=QUIET)


class Method(Protocol):
    """Judges entities of several columns, tick by tick: causal, pure, entities apart.

    A state is nested tuples of NumPy arrays of fixed size (`detect.stack_checkpoint`).
    """

    @property
    def config(self) -> Any:
        """Return all its settings; what they are written as says whether two are the same."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Return what it says apart from each other, beside the whole; see `Said.each`."""
        ...

    @property
    def least_columns(self) -> int:
        """Return how many columns an entity has at least."""
        ...

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Return the names of the only columns that it knows; None if it takes any."""
        ...

    def init(self, columns: int, *, entities: int = 1) -> Any:
        """Return the state of entities that have seen nothing."""
        ...

    def step(self, state: Any, values: Any, learn: Any, start: Any = None) -> tuple[Any, Said]:
        """Judge one tick, then learn from it; see `Stack.step`."""
        ...


class NeedsModelError(ConfigError):
    """A method that judges by a model was asked for without one."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"method {name}: judges by a model; make one of data believed normal with "
            f"`homeostat detect --method {name} --train --input PAST --output MODEL`, and give it "
            "with --model MODEL"
        )


class Told(NamedTuple):
    """Whether an incident lasts, and where one starts.

    Attributes:
        incident: To go on with, `[entity]`.
        alarm: Where one starts, bool `[entity]`.
    """

    incident: stack_incident.State
    alarm: Any


def incidents(entities: int) -> stack_incident.State:
    """Return entities without an incident."""
    return stack_incident.init(np, entities)


def told(state: stack_incident.State, alarm: Any, unknown: Any) -> Told:
    """Return the incidents after one tick of a detector that alarms for as long as a fault lasts.

    Args:
        state: From `incidents` or the last tick.
        alarm: Bool `[entity]`.
        unknown: Where nothing could be judged, bool `[entity]`.
    """
    seen = np.where(unknown, np.nan, np.where(alarm, 1.0, 0.0))
    return Told(*stack_incident.step(np, _INCIDENT, state, seen))


def no_levels(start: Any, name: str) -> None:
    """Refuse a level of evidence: what a budget makes of one was measured for the stack alone.

    Raises:
        ValueError: There is one.
    """
    if start is not None:
        raise ValueError(f"{name}: alarms by its own rule; a level of evidence is for the stack")


def said_of(evidence: Any, heard: Told, contributions: Any) -> Said:
    """Return what is said of one tick where no band is known.

    Args:
        evidence: -log10 p, NaN where unknown, `[entity]`.
        heard: Where incidents start and last.
        contributions: `[entity, column]`, NaN where there is no evidence.
    """
    nothing = np.full(contributions.shape, np.nan)
    some = np.nan_to_num(evidence) > 0.0
    return Said(
        neg_log10_p=evidence,
        anomaly_score=scale(evidence, heard.alarm, np.zeros_like(heard.alarm)),
        alarm=heard.alarm,
        active=heard.incident.active,
        unknown=np.isnan(evidence),
        contributions=np.where(some[:, None], contributions, np.nan),
        low=nothing,
        high=nothing,
        each=no_each(len(heard.alarm)),
        spoke=stack_incident.spoke(heard.incident, np.isfinite(evidence)),
    )


def each_of(evidence: Any, alarm: Any, active: Any) -> Any:
    """Return one of the parts of `Said.each`, `[entity, 1, 4]`, see there."""
    score = scale(evidence, alarm, np.zeros_like(alarm))
    return np.stack([score, evidence, alarm * 1.0, active * 1.0], axis=1)[:, None, :]


def no_each(entities: int) -> Any:
    """Return that nothing is said apart."""
    return np.empty((entities, 0, 4))
