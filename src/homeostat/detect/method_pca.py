"""How columns go together (`detect.pca`) as a method: no column by itself, no season."""

from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.base.part import Part
from homeostat.detect import pca, stack_incident
from homeostat.detect.method import incidents, no_levels, said_of, told
from homeostat.detect.stack import Said


class State(NamedTuple):
    """What is remembered of each entity."""

    pca: pca.PcaState
    incident: stack_incident.State


class PcaMethod:
    """See the module.

    Args:
        config: Settings.
    """

    names: Final[tuple[str, ...]] = ()
    least_columns: Final = 2
    columns: Final = None

    def __init__(self, config: pca.Config) -> None:
        self.config = config
        self._pca = pca.Pca(config)

    def init(self, columns: int, *, entities: int = 1) -> State:
        """Return the state of entities that have seen nothing."""
        return State(self._pca.init(columns, entities=entities), incidents(entities))

    def step(self, state: State, values: Any, learn: Any, start: Any = None) -> tuple[State, Said]:
        """Judge one tick, then learn from it; see `method_rows.Rows.step`."""
        no_levels(start, "pca")
        after, output = self._pca.step(state.pca, values, learn)
        entity = output.entity
        heard = told(state.incident, entity.alarm, np.isnan(entity.neg_log10_p))
        said = said_of(entity.neg_log10_p, heard, entity.contributions)
        return State(after, heard.incident), said


PART: Final = Part(
    kind="method",
    name="pca",
    summary="How columns go together: principal components, and the columns that do not fit.",
    config=pca.Config,
    build=lambda config, model=None: PcaMethod(config),  # noqa: ARG005 - as every method's
)
