"""Forecasts that wait for their truth: who made what when, in a memory of fixed size.

A forecast `horizon` ticks ahead can be judged only that much later. Every horizon keeps a few
places; a forecast is put down every `stride` ticks and taken out when its time has come, so that
an hour ahead costs as much memory as five minutes. All series share the clock of ticks.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

import numpy as np

PLACES: Final = 8
"""Forecasts under way for each horizon: neighbours overlap by seven eighths and say little new."""


class Pending:
    """Places for forecasts under way; the caller keeps the arrays `[horizon, place, ...]`.

    Args:
        horizons: Ticks ahead, ascending, at least 1 each.

    Raises:
        ValueError: There is no horizon, or they do not ascend.
    """

    def __init__(self, horizons: Sequence[int]) -> None:
        if not horizons or horizons[0] < 1 or list(horizons) != sorted({*horizons}):
            raise ValueError(f"forecast: horizons must ascend from 1 tick, got {list(horizons)}")
        self.horizons = tuple(horizons)
        self.strides = tuple(-(-one // PLACES) for one in horizons)
        self._pairs = tuple(zip(self.horizons, self.strides, strict=True))

    def due(self, xp: ModuleType, tick: Any) -> tuple[Any, Any]:
        """Return which horizons have a forecast to judge (bool `[horizon]`), and its place.

        Args:
            xp: numpy or jax.numpy.
            tick: Number of this tick, int scalar.
        """
        made = tick - xp.asarray(self.horizons)
        stride = xp.asarray(self.strides)
        return (made >= 0) & (made % stride == 0), (made // stride) % PLACES

    def taken(self, xp: ModuleType, kept: Any, place: Any) -> Any:
        """Return what lies at these places, `[horizon, ...]` of `[horizon, place, ...]`."""
        return kept[xp.arange(len(self.horizons)), place]

    def idle(self, xp: ModuleType, tick: Any) -> bool:
        """Return whether no horizon has a forecast to judge on this tick: more than half of them.

        Args:
            xp: numpy or jax.numpy; of a traced tick nothing is said.
            tick: Number of this tick, int scalar.
        """
        if xp is not np:
            return False
        made = [(int(tick) - one, stride) for one, stride in self._pairs]
        return not any(since >= 0 and since % stride == 0 for since, stride in made)

    def put(self, xp: ModuleType, kept: Any, new: Any, tick: Any) -> Any:
        """Return the places with `new` (`[horizon, ...]`) put down where it is time to.

        What was kept is not changed; where it is time for nothing it is returned as it is.
        """
        if xp is np:
            return self._put_one_by_one(kept, new, int(tick))
        stride = xp.asarray(self.strides)
        now = (tick % stride == 0)[:, None] & (
            xp.arange(PLACES)[None, :] == ((tick // stride) % PLACES)[:, None]
        )
        shape = now.shape + (1,) * (kept.ndim - 2)
        held = xp.asarray(new, dtype=kept.dtype)
        return xp.where(now.reshape(shape), held[:, None], kept)

    def _put_one_by_one(self, kept: Any, new: Any, tick: int) -> Any:
        """Put down what it is time for: a place or two of 24, on less than half of the ticks."""
        now = [head for head, stride in enumerate(self.strides) if tick % stride == 0]
        if not now:
            return kept
        out = kept.copy()
        for head in now:
            out[head, (tick // self.strides[head]) % PLACES] = new[head]
        return out
