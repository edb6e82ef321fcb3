"""Forecasts that wait for their truth: who made what when, in a memory of fixed size.

A forecast `horizon` ticks ahead can be judged only that much later. Every horizon keeps a few
places; a forecast is put down every `stride` ticks and taken out when its time has come, so that
an hour ahead costs as much memory as five minutes. All series share the clock of ticks.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

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

    def put(self, xp: ModuleType, kept: Any, new: Any, tick: Any) -> Any:
        """Return the places with `new` (`[horizon, ...]`) put down where it is time to."""
        stride = xp.asarray(self.strides)
        now = (tick % stride == 0)[:, None] & (
            xp.arange(PLACES)[None, :] == ((tick // stride) % PLACES)[:, None]
        )
        shape = now.shape + (1,) * (kept.ndim - 2)
        held = xp.asarray(new, dtype=kept.dtype)
        return xp.where(now.reshape(shape), held[:, None], kept)
