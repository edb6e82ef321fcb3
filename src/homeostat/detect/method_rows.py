"""A detector of single series as a method: each column by itself, the worst few tell.

Any `PART` of kind "detector" becomes one, the room's and those of installed packages. An entity's
evidence is that of its most telling column, paid for by how many were judged (Bonferroni), and it
alarms where a column does: with k columns k times as often as the detector promises of one.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.base.ports import Detector
from homeostat.detect import stack_incident
from homeostat.detect.across import worst
from homeostat.detect.method import incidents, no_each, no_levels, told
from homeostat.detect.stack import Said, scale

# Columns that contributions name, as many as the stack's.
_FEW: Final = 5


class RowsState(NamedTuple):
    """What is remembered.

    Attributes:
        detector: Of each column, `[entity * column]` last.
        incident: Of each entity.
    """

    detector: Any
    incident: stack_incident.State


class Rows:
    """See the module.

    Args:
        name: What the detector is called.
        detector: The detector; its state must be nested tuples of arrays.
        config: Its settings.

    Raises:
        ValueError: Its state is something else, which no checkpoint can hold.
    """

    names: Final[tuple[str, ...]] = ()
    least_columns: Final = 1
    columns: Final = None

    def __init__(self, name: str, detector: Detector[Any], config: Any) -> None:
        self.name, self.detector, self.config = name, detector, (name, config)
        if not _arrays_only(detector.init(np, 1)):
            raise ValueError(
                f"method {name}: its state is no nested tuple of arrays, so a run could not be "
                "taken up; give it one"
            )

    def init(self, columns: int, *, entities: int = 1) -> RowsState:
        """Return the state of entities that have seen nothing.

        Raises:
            ValueError: There is no column or no entity.
        """
        if columns < 1 or entities < 1:
            raise ValueError(f"{self.name}: need columns and entities, got {columns}, {entities}")
        return RowsState(self.detector.init(np, entities * columns), incidents(entities))

    def step(
        self, state: RowsState, values: Any, learn: Any, start: Any = None
    ) -> tuple[RowsState, Said]:
        """Judge one tick, then learn from it.

        Args:
            state: From `init` or the last step.
            values: Float `[entity, column]`; NaN and infinities are unknown.
            learn: Bool that broadcasts to `[entity, column]`: where anything may be learnt.
            start: Must be None; see `method.no_levels`.
        """
        no_levels(start, self.name)
        table = np.asarray(values, dtype=float)
        allowed = np.broadcast_to(np.asarray(learn, dtype=bool), table.shape)
        after, output = self.detector.step(
            np, state.detector, table.reshape(-1), allowed.reshape(-1)
        )
        each = np.asarray(output.neg_log10_p, dtype=float).reshape(table.shape)
        loud = np.asarray(output.alarm, dtype=bool).reshape(table.shape).any(axis=1)
        evidence = most(each)
        incident, alarm = told(state.incident, loud, np.isnan(evidence))
        said = Said(
            neg_log10_p=evidence,
            anomaly_score=scale(evidence, alarm, np.zeros_like(alarm)),
            alarm=alarm,
            active=incident.active,
            unknown=np.isnan(evidence),
            contributions=shares(each),
            low=np.asarray(output.low, dtype=float).reshape(table.shape),
            high=np.asarray(output.high, dtype=float).reshape(table.shape),
            each=no_each(len(table)),
            spoke=stack_incident.spoke(incident, np.isfinite(evidence)),
        )
        return RowsState(after, incident), said


def most(each: Any) -> Any:
    """Return the evidence of entities from that of columns `[entity, column]`, NaN if none is."""
    known = np.isfinite(each)
    count = known.sum(axis=1)
    loudest = np.where(known, each, 0.0).max(axis=1) - np.log10(np.maximum(count, 1))
    return np.where(count > 0, np.maximum(loudest, 0.0), np.nan)


def shares(each: Any) -> Any:
    """Return the shares of the few most telling columns; NaN where there is no evidence."""
    parts = np.nan_to_num(worst(each, _FEW))
    total = parts.sum(axis=1, keepdims=True)
    return np.where(total > 0.0, parts / np.where(total > 0.0, total, 1.0), np.nan)


def _arrays_only(state: Any) -> bool:
    if isinstance(state, tuple):
        return all(_arrays_only(part) for part in state)
    return isinstance(state, np.ndarray | np.generic) and state.dtype != object
