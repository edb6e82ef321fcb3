"""Seasonal Hybrid ESD over a recorded series as if it came tick by tick: refits and all.

The answer for a tick depends on the ticks up to it only. Between refits nothing is learnt, so a
whole stretch is judged in one call; that is the only difference from stepping.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.detect.shesd import Shesd, ShesdState
from homeostat.detect.shesd_config import Config
from homeostat.detect.shesd_refit import fit, install

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FIRST: Final = 256
"""Ticks before the first refit."""
_OFTEN: Final = 64  # ticks between refits at least, however short the season
_SHARE: Final = 4  # without a season, refit when a quarter more has been seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What was said of each tick, `[time]` each; see `DetectorOutput`.

    Attributes:
        neg_log10_p: Evidence against healthy, NaN for unknown.
        low: Lower edge of what was expected.
        high: Upper edge.
        alarm: Alarms.
        periods: The season each refit found, with the tick it was installed at.
    """

    neg_log10_p: Floats
    low: Floats
    high: Floats
    alarm: Bools
    periods: tuple[tuple[int, int], ...]


def run(values: npt.ArrayLike, config: Config, *, learn: Bools | None = None) -> Judged:
    """Judge one series from its first tick to its last.

    Args:
        values: `[time]`, equally spaced; NaN and infinities are unknown.
        config: The detector's settings.
        learn: Where it may learn, `[time]`; None for everywhere.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    allowed = np.ones(len(x), dtype=bool) if learn is None else np.asarray(learn, dtype=bool)
    detector = Shesd(config)
    state, at = detector.init(np, 1), 0
    out = np.full((3, len(x)), np.nan)
    alarm, periods = np.zeros(len(x), dtype=bool), []
    until = min(FIRST, len(x))
    while at < len(x):
        if state.fitted[0]:
            block = detector.judge(np, _as_rows(state, until - at), x[at:until])
            out[:, at:until] = block.neg_log10_p, block.low, block.high
            alarm[at:until] = block.alarm
        else:
            for tick in range(at, until):
                state, one = detector.step(np, state, x[tick : tick + 1], allowed[tick : tick + 1])
                out[:, tick] = one.neg_log10_p[0], one.low[0], one.high[0]
                alarm[tick] = one.alarm[0]
        begin = max(until - config.window, 0)
        past = np.where(allowed, x, np.nan)[begin:until]
        found = fit(past, config, flagged=alarm[begin:until])
        state = install(state, [0], [found])
        if not found.unknown:
            periods.append((until, found.period))
        at, until = until, min(next_refit(until, found.period), len(x))
    return Judged(neg_log10_p=out[0], low=out[1], high=out[2], alarm=alarm, periods=tuple(periods))


def next_refit(tick: int, period: int) -> int:
    """Return the number of ticks at which the next refit is due.

    Args:
        tick: Ticks so far; a refit was due now.
        period: The season that it found, 0 for none.

    >>> next_refit(256, 288), next_refit(256, 24), next_refit(4000, 0)
    (544, 320, 5000)
    """
    return tick + max(period or max(FIRST, tick // _SHARE), _OFTEN)


def _as_rows(state: ShesdState, ticks: int) -> ShesdState:
    """Return one series' state with the coming ticks as rows, each with its own phase."""
    wide = {
        name: np.broadcast_to(part, (*part.shape[:-1], ticks))
        for name, part in state._asdict().items()
        if name != "turn"
    }
    wide["phase"] = (state.phase + np.arange(ticks)) % max(int(state.period[0]), 1)
    return ShesdState(turn=state.turn, **wide)
