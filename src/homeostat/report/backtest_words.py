"""Figures of a backtest as people read them: a value, and in brackets where it may lie (90 %)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Figure = Mapping[str, Any] | None

_MINUTE_S = 60.0


def share(one: Figure) -> str:
    """Return a share of so many, with its interval.

    >>> share({"value": 0.5, "low": 0.25, "high": 0.75, "n": 4})
    '2 of 4 (25 to 75 %)'
    """
    if one is None:
        return "-"
    number = round(one["value"] * one["n"])
    return f"{number} of {one['n']} ({100 * one['low']:.0f} to {100 * one['high']:.0f} %)"


def spread(one: Figure) -> str:
    """Return a value with its interval.

    >>> spread({"value": 2.0, "low": 0.36, "high": 6.3, "n": 2})
    '2 (0.36 to 6.3)'
    """
    if one is None:
        return "-"
    if one["low"] is None or one["high"] is None:
        return f"{one['value']:.3g} (unknown)"
    return f"{one['value']:.3g} ({one['low']:.3g} to {one['high']:.3g})"


def minutes(one: Figure) -> str:
    """Return a time in seconds with its interval, in minutes.

    >>> minutes({"value": 90.0, "low": 60.0, "high": 120.0, "n": 3})
    '1.5 min (1 to 2)'
    """
    if one is None:
        return "-"
    low, high = one["low"] / _MINUTE_S, one["high"] / _MINUTE_S
    return f"{one['value'] / _MINUTE_S:.3g} min ({low:.3g} to {high:.3g})"


def skill(one: Mapping[str, Any] | None) -> str:
    """Return how good forecasts were.

    >>> skill({"skill": {"value": 0.2, "low": 0.1, "high": 0.3, "n": 9}, "brier": 0.1,
    ...        "happened": 2})
    '0.2 (0.1 to 0.3)'
    """
    return "-" if one is None else spread(one["skill"])


def moment(at_s: float | None) -> str:
    """Return a time as people read it, UTC.

    >>> moment(1_700_000_000.0)
    '2023-11-14 22:13'
    """
    if at_s is None:
        return "-"
    return str(np.datetime64(round(at_s), "s").astype("datetime64[m]")).replace("T", " ")


def saved(one: Mapping[str, Any] | None) -> str:
    """Return what an action would have saved, or why that is unknown.

    >>> saved({"minutes": None, "why": "no law"})
    'unknown: no law'
    """
    if one is None:
        return "-"
    if one["minutes"] is None:
        return f"unknown: {one['why']}"
    ends = one["minutes"]
    return f"{ends['value']:.3g} min ({ends['low']:.3g} to {ends['high']:.3g})"
