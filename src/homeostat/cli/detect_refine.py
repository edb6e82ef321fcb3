"""Whether a model may follow the one before: both play the same past, and nothing must be lost.

Trouble that people confirmed, that an action helped against or that missed objectives showed is
never learnt from, so it judges the new model fairly: whatever of it the old one told of, the new
one must tell of, too. What people called nothing, and calm time, were learnt from; there the new
model must not be louder than the old one, nor, in calm time, than its own promise surely allows.
Nobody can teach a fault away by words alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from homeostat.cli.detect_cells import Floats
from homeostat.detect import method_vae
from homeostat.detect.vae_file import Loaded
from homeostat.learn.normal_past import Stretch
from homeostat.stats.chisq import neg_log10_tail

SURE: Final = 0.05
"""A count of false incidents that the promise makes rarer than this speaks against a model."""
_STEP: Final = 1000  # ticks between two words to the progress bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one model said of the past.

    Attributes:
        trouble: Stretches of known trouble in which it told of something.
        nothing: Stretches that people called nothing, in which it did.
        calm: Incidents that it began elsewhere, on ticks believed normal.
    """

    trouble: tuple[str, ...]
    nothing: tuple[str, ...]
    calm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Both models on the same past.

    Attributes:
        before: The old one.
        after: The new one.
        trouble: How many stretches of known trouble there were.
        nothing: How many were called nothing.
        promised: Incidents in calm time that the new one's run length allows on average.
    """

    before: Side
    after: Side
    trouble: int
    nothing: int
    promised: float

    @property
    def lost(self) -> tuple[str, ...]:
        """Known trouble that the old one told of, and the new one does not."""
        return tuple(one for one in self.before.trouble if one not in self.after.trouble)

    @property
    def against(self) -> tuple[str, ...]:
        """What speaks against the new one; nothing of it = it may follow."""
        out = [f"it no longer tells of {one}" for one in self.lost]
        if len(self.after.nothing) > len(self.before.nothing):
            out.append(
                f"it tells of {len(self.after.nothing)} stretches that people called nothing, "
                f"where {len(self.before.nothing)} were told of"
            )
        calm = self.after.calm
        if calm > self.before.calm and _at_least(calm, self.promised) < SURE:
            out.append(
                f"it begins {calm} incidents in calm time, where {self.before.calm} were and its "
                f"run length promises {self.promised:.2g}"
            )
        return tuple(out)

    @property
    def taken(self) -> bool:
        """Whether it may follow."""
        return not self.against

    def facts(self) -> dict[str, Any]:
        """Return this for a summary."""
        return {
            "trouble": self.trouble,
            "nothing": self.nothing,
            "promised": self.promised,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "against": list(self.against),
        }


def compare(
    before: Loaded,
    after: Loaded,
    columns: Sequence[str],
    values: Floats,
    believed: np.ndarray,
    stretches: Sequence[Stretch],
    advance: Callable[[int], None],
) -> Compared:
    """Return what both models say of a past.

    Args:
        before: The old model; its columns are among `columns`.
        after: The new one.
        columns: Of the values.
        values: `[tick, column]`.
        believed: Ticks believed normal, bool `[tick]`.
        stretches: Of which something was said.
        advance: Told how many ticks are done.
    """
    sides = [
        _side(_active(model, columns, values, believed, advance), believed, stretches)
        for model in (before, after)
    ]
    return Compared(
        before=sides[0],
        after=sides[1],
        trouble=sum(one.trouble is True for one in stretches),
        nothing=sum(one.trouble is False for one in stretches),
        promised=float(_elsewhere(believed, stretches).sum()) / after.config.run_length,
    )


def _active(
    model: Loaded,
    columns: Sequence[str],
    values: Floats,
    believed: np.ndarray,
    advance: Callable[[int], None],
) -> np.ndarray:
    """Return on which ticks an incident of a model lasts, bool `[tick]`."""
    method = method_vae.VaeMethod(model)
    table = values[:, [columns.index(name) for name in model.columns]]
    state, out = method.init(len(model.columns)), np.zeros(len(values), dtype=bool)
    for tick in range(len(table)):
        state, said = method.step(state, table[tick : tick + 1], bool(believed[tick]))
        out[tick] = said.active[0]
        if tick % _STEP == _STEP - 1:
            advance(_STEP)
    advance(len(table) % _STEP)
    return out


def _side(active: np.ndarray, believed: np.ndarray, stretches: Sequence[Stretch]) -> Side:
    begins = active & ~np.concatenate([[False], active[:-1]])
    told = [one for one in stretches if (active & one.ticks).any()]
    return Side(
        trouble=tuple(one.name for one in told if one.trouble is True),
        nothing=tuple(one.name for one in told if one.trouble is False),
        calm=int((begins & _elsewhere(believed, stretches)).sum()),
    )


def _elsewhere(believed: np.ndarray, stretches: Sequence[Stretch]) -> np.ndarray:
    """Return which believed ticks are in no stretch."""
    out = believed.copy()
    for one in stretches:
        out &= ~one.ticks
    return out


def _at_least(count: int, mean: float) -> float:
    """Return how likely a Poisson count of this mean is at least so large.

    >>> round(_at_least(1, 0.1), 4)
    0.0952
    """
    if count == 0:
        return 1.0
    return float(-np.expm1(-np.log(10.0) * neg_log10_tail(2.0 * mean, 2 * count)))
