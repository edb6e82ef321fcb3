"""The variational autoencoder (`detect.vae`) as a method: one model, judging entities of one kind.

The model was taught before, on a past believed normal (`vae_model.fit`, `vae_file`), and learns
nothing here but how usual its scores are. Its two scores are said apart, each with incidents of its
own: an error of reconstruction means that columns no longer belong together, a divergence of the
latent values that they are, together, where they never were. Either alarms the entity.
"""

from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.base.part import Part
from homeostat.detect import stack_incident, vae
from homeostat.detect.method import (
    NeedsModelError,
    Told,
    each_of,
    incidents,
    no_levels,
    said_of,
    told,
)
from homeostat.detect.stack import Said
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_file import Loaded
from homeostat.stats import conformal as tables
from homeostat.stats import edetector

SCORES: Final = ("reconstruction_error", "latent_divergence")
"""What the autoencoder says apart, in order."""


class State(NamedTuple):
    """What is remembered.

    Attributes:
        vae: Of each entity.
        incident: Of the whole of each entity, then of its error, then of its divergence:
            `[3 * entity]`.
    """

    vae: vae.State
    incident: stack_incident.State


class VaeMethod:
    """See the module.

    Args:
        model: As it was read.
    """

    names: Final = SCORES

    def __init__(self, model: Loaded) -> None:
        self.model, self.columns = model, model.columns
        self.least_columns = len(model.columns)
        self.config = (model.digest, model.config)
        self._of = cache(lambda count: vae.Vae(model.config, [model.model] * count))

    def init(self, columns: int, *, entities: int = 1) -> State:
        """Return the state before the first tick.

        Raises:
            ValueError: The model is of another number of columns.
        """
        if columns != len(self.columns):
            raise ValueError(f"vae: the model is of {len(self.columns)} columns, got {columns}")
        return State(self._of(entities).init(np), incidents(3 * entities))

    def step(self, state: State, values: Any, learn: Any, start: Any = None) -> tuple[State, Said]:
        """Judge one tick, then learn how usual it is; see `method_rows.Rows.step`."""
        no_levels(start, "vae")
        table = np.asarray(values, dtype=float)
        count = len(table)
        allowed = np.broadcast_to(np.asarray(learn, dtype=bool), table.shape).all(axis=1)
        after, output = self._of(count).step(np, state.vae, table, allowed)
        parts = np.stack([output.neg_log10_p, output.error, output.divergence])
        loud = np.concatenate([output.alarm, *output.alarms])
        incident, alarm = told(state.incident, loud, np.isnan(parts).reshape(-1))
        starts, lasts = alarm.reshape(3, count), incident.active.reshape(3, count)
        whole = Told(stack_incident.State(*(part[:count] for part in incident)), starts[0])
        said = said_of(parts[0], whole, output.contributions)
        each = [each_of(parts[k], starts[k], lasts[k]) for k in (1, 2)]
        return State(after, incident), said._replace(each=np.concatenate(each, axis=1))


STATE_CLASSES: Final = (vae.State, tables.Table, edetector.Evidence, stack_incident.State)
"""What `stats.arrays.from_bytes` must know to read a state, beside `State`."""


def build(config: Config, model: Loaded | None = None) -> VaeMethod:  # noqa: ARG001 - the model's count
    """Return the method of a model, whose own settings count.

    Raises:
        NeedsModelError: There is no model.
    """
    if model is None:
        raise NeedsModelError("vae")
    return VaeMethod(model)


PART: Final = Part(
    kind="method",
    name="vae",
    summary="Variational autoencoder, taught before: reconstruction error, latent divergence.",
    config=Config,
    build=build,
)
