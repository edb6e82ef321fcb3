"""Predicted against measured: recovery, what the fault did, and what the action did.

Every effect is a change between two stretches of time: the fault's from before it to while nobody
had acted, the action's from there to after recovery. The twin's stretches have the length of the
measured ones. NumPy only; knows neither the twin nor the local deployment.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

import numpy as np

from homeostat.lab.live_effects import (
    LEVEL,
    WINDOW_S,
    Floats,
    Seconds,
    State,
    recovery_s,
    state,
)

# Smaller changes are none: the error ratio and a tenth of the latency that are promised, and twice
# the standard deviation of Poisson arrivals between two stretches of time.
SAME_ERRORS: Final = 0.01
SAME_P99_OF_OBJECTIVE: Final = 0.1
SAME_DEVIATIONS: Final = 2.0
QUANTITIES: Final = tuple(field.name for field in fields(State))


class Happened(Protocol):
    """One live run: see `demo.live_run.Measured`."""

    @property
    def recovery_s(self) -> float | None:
        """Seconds until service was well again; None = not."""

    @property
    def acted_s(self) -> float | None:
        """Seconds until the first action; None = none."""

    @property
    def before(self) -> State:
        """Before the fault."""

    @property
    def during(self) -> State:
        """Until the first action."""

    @property
    def after(self) -> State | None:
        """In the first seconds of recovery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The twin's draws as numbers that can be compared, [N] each; NaN = there is none.

    Attributes:
        recovery_s: With the controller; inf = not within the run.
        acted_s: Until its first action.
        effect: Of the fault, for each of `QUANTITIES`.
        action: Of the action.
        hold_recovery_s: If nobody acts.
    """

    recovery_s: Floats
    acted_s: Floats
    effect: Mapping[str, Floats]
    action: Mapping[str, Floats]
    hold_recovery_s: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One quantity of one fault.

    Attributes:
        quantity: `recovery_s`, `fault: p99_ms`, `action: error_ratio`, ...
        median: Predicted; None = not within the run.
        low: Of the prediction's 90 % interval.
        high: See `low`.
        measured: None = not within the run, or not measured.
        inside: Whether it lies in the interval; None = not measured.
        agrees: Whether both have one sign; None = it has none, or it was not measured.
    """

    quantity: str
    median: float | None
    low: float | None
    high: float | None
    measured: float | None = None
    inside: bool | None = None
    agrees: bool | None = None


def side(
    hold: Seconds,
    acting: Seconds,
    onsets: Floats,
    objective: tuple[float, float],
    *,
    must_hurt: bool,
    shown_s: float | None = None,
) -> Side:
    """Return what the twin says.

    Args:
        hold: If nobody acts.
        acting: With the controller.
        onsets: Of the fault in each draw [N], s.
        objective: p95 in ms and error ratio.
        must_hurt: As `recovery_s`.
        shown_s: How long the fault was seen before anybody acted; None = as predicted.
    """
    healed = recovery_s(acting, onsets, *objective, must_hurt=must_hurt)
    effect: list[State] = []
    action: list[State | None] = []
    for row, onset in enumerate(onsets):
        until = _shown(acting.acted_s[row], shown_s)
        begin = float(math.floor(onset))
        before = state(hold, row, begin - WINDOW_S, begin)
        during = state(hold, row, begin, begin + max(until, 1.0))
        effect.append(during.minus(before))
        well = onset + healed[row]
        after = state(acting, row, well, well + WINDOW_S) if math.isfinite(well) else None
        action.append(None if after is None else after.minus(during))
    return Side(
        recovery_s=healed,
        acted_s=acting.acted_s,
        effect=_columns(effect),
        action=_columns(action),
        hold_recovery_s=recovery_s(hold, onsets, *objective, must_hurt=must_hurt),
    )


def rows(
    said: Side, happened: Sequence[Happened], objective: tuple[float, float], usual_rps: float
) -> tuple[Row, ...]:
    """Return one line for each quantity; of several live runs the median is compared.

    Args:
        said: The twin's.
        happened: The live runs; none = predictions alone.
        objective: p95 in ms and error ratio.
        usual_rps: Throughput without a fault.
    """
    acted_s = _median(one.acted_s for one in happened)
    shown_s = acted_s if acted_s is not None and math.isfinite(acted_s) else float(WINDOW_S)
    variance = usual_rps * (1.0 / max(shown_s, 1.0) + 1.0 / WINDOW_S)
    none = {
        "error_ratio": SAME_ERRORS,
        "p99_ms": SAME_P99_OF_OBJECTIVE * objective[0],
        "throughput": SAME_DEVIATIONS * math.sqrt(variance),
    }
    found = [
        _row("recovery_s", said.recovery_s, _median(one.recovery_s for one in happened)),
        _row(
            "acted_s",
            np.where(np.isnan(said.acted_s), math.inf, said.acted_s),
            acted_s,
        ),
    ]
    for name in QUANTITIES:
        real = _median(getattr(one.during.minus(one.before), name) for one in happened)
        found.append(_row(f"fault: {name}", said.effect[name], real, none[name]))
    for name in QUANTITIES:
        real = _median(
            None if one.after is None else getattr(one.after.minus(one.during), name)
            for one in happened
        )
        found.append(_row(f"action: {name}", said.action[name], real, none[name]))
    return tuple(found)


def signs_agree(found: Sequence[Row], *, acting: bool = True) -> bool | None:
    """Return whether every effect has the predicted sign; None = one was not measured.

    Args:
        found: Of one fault.
        acting: Whether anybody acted; else only the fault's effects are looked at.
    """
    kinds = ("fault:", "action:") if acting else ("fault:",)
    effects = [row.agrees for row in found if row.quantity.startswith(kinds)]
    if any(one is False for one in effects):
        return False
    return None if any(one is None for one in effects) else True


def sign(value: float, same: float) -> int:
    """Return the sign of a change, 0 if it is too small to speak of.

    >>> sign(-30.0, 25.0), sign(3.0, 25.0)
    (-1, 0)
    """
    return 0 if abs(value) < same else int(math.copysign(1, value))


def agree(one: float, other: float, same: float) -> bool:
    """Return whether two changes have one sign, or differ by less than is spoken of.

    >>> agree(100.0, 40.0, 25.0), agree(30.0, 20.0, 25.0), agree(100.0, 0.0, 25.0)
    (True, True, False)
    """
    return sign(one, same) == sign(other, same) or abs(one - other) < same


def commonest(actions: Sequence[Sequence[str]]) -> list[str]:
    """Return what most draws did, kinds of levers only, with how many did."""
    first = Counter(one[0].partition("=")[0].partition(".")[0] if one else "-" for one in actions)
    return [f"{what} ({count})" for what, count in first.most_common()]


def to_plain(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the lines as JSON can hold them."""
    return [{field.name: getattr(row, field.name) for field in fields(Row)} for row in found]


def _shown(acted_s: float, shown_s: float | None) -> float:
    """Return how long the fault is looked at: as it was measured, else until the action."""
    if shown_s is not None:
        return shown_s
    return float(acted_s) if math.isfinite(acted_s) else float(WINDOW_S)


def _columns(states: Sequence[State | None]) -> dict[str, Floats]:
    return {
        name: np.array([math.nan if one is None else getattr(one, name) for one in states])
        for name in QUANTITIES
    }


def _row(quantity: str, said: Floats, real: float | None, same: float | None = None) -> Row:
    known = said[~np.isnan(said)]
    if not known.size:
        return Row(quantity=quantity, median=None, low=None, high=None, measured=_plain(real))
    edge = (1.0 - LEVEL) / 2.0
    # Draws that really came up, not between two: between a number and never there is nothing.
    draws, last = np.sort(known), len(known) - 1
    low, median, high = (
        float(draws[at])
        for at in (math.floor(edge * last), last // 2, math.ceil((1.0 - edge) * last))
    )
    no_sign = real is None or same is None or math.isinf(real)
    return Row(
        quantity=quantity,
        median=_plain(median),
        low=_plain(low),
        high=_plain(high),
        measured=_plain(real),
        inside=None if real is None or (same and math.isinf(real)) else low <= real <= high,
        agrees=None if no_sign else agree(median, real or 0.0, same or 0.0),
    )


def _median(values: Iterable[float | None]) -> float | None:
    """Return the lower median, none standing for never; None without values."""
    known = sorted(math.inf if value is None else float(value) for value in values)
    return known[(len(known) - 1) // 2] if known else None


def _plain(value: float | None) -> float | None:
    """Return six digits of a number; None for one that JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")
