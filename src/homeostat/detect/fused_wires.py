"""Where the values of a fleet go in the batches of the fused score: worked out when it changes.

A deployment's series and columns seldom change, those of some deployment often do. So what is
worked out of one is kept for as long as its part of the layout and its columns' names are the same
objects: a layout takes parts over that did not change, a batch its names.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.detect.fused_groups import Name, places
from homeostat.detect.layout import Layout, Part

Ints = npt.NDArray[np.int64]
Key = tuple[int, int]
"""Of a batch: its width, and which of that width."""


class _Wire(NamedTuple):
    """Of one deployment: its rows, its columns' names, which rows have one, and which.

    The names are those of `fused_groups.seated`; `waiting` are charted rows without a column.
    """

    part: Part
    names: tuple[Name, ...]
    rows: Ints
    columns: Ints
    waiting: Ints


class Wires:
    """See the module; what is kept changes no answer."""

    def __init__(self) -> None:
        self._of: dict[str, _Wire] = {}

    def knows(self, deployment: str, part: Part, names: tuple[Name, ...]) -> bool:
        """Return whether what is kept of a deployment is of this part and of these columns."""
        wire = self._of.get(deployment)
        return wire is not None and wire.part is part and wire.names is names

    def waiting(self, layout: Layout) -> Ints:
        """Return the frame's rows whose deployment has a place and no column for them.

        Args:
            layout: That `of` was called with last.
        """
        none = np.zeros(0, dtype=np.int64)
        every = (
            wire.waiting + layout.first[name]
            for name, wire in self._of.items()
            if wire.waiting.size
        )
        return np.concatenate([none, *every])

    def all_seated(self, deployment: str, part: Part, names: tuple[Name, ...]) -> bool:
        """Return whether all of a deployment's charted series are known to have their columns."""
        known = self.knows(deployment, part, names)
        return known and not self._of[deployment].waiting.size

    def of(
        self,
        layout: Layout,
        where: Mapping[str, tuple[Key, int]],
        names: Mapping[Key, tuple[tuple[Name, ...], ...]],
    ) -> tuple[dict[Key, Ints], dict[Key, Ints]]:
        """Return of each batch the rows of the frame, and the cells that their values go to.

        Args:
            layout: The frame's rows.
            where: The batch of each deployment that has one, and its place there.
            names: Of each batch each place's columns.
        """
        rows: dict[Key, list[Any]] = {key: [] for key in names}
        cells: dict[Key, list[Any]] = {key: [] for key in names}
        wires: dict[str, _Wire] = {}
        for name, part in layout.parts.items():
            if name not in where:
                continue
            key, place = where[name]
            known = names[key][place]
            if self.knows(name, part, known):
                wire = self._of[name]
            else:
                taken, columns = places(known, part)
                waiting = np.setdiff1d(np.flatnonzero(part.charted), taken).astype(np.int64)
                wire = _Wire(part, known, taken, columns, waiting)
            wires[name] = wire
            rows[key].append(wire.rows + layout.first[name])
            cells[key].append(wire.columns + place * key[0])
        self._of = wires
        none = np.zeros(0, dtype=np.int64)
        return (
            {key: np.concatenate([none, *every]) for key, every in rows.items()},
            {key: np.concatenate([none, *every]) for key, every in cells.items()},
        )
