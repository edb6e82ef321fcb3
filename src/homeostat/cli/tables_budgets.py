"""Error budgets, money and freezes for `homeostat get deployments NAME`, by name."""

from collections.abc import Callable, Mapping
from typing import Any

Plain = Mapping[str, Any]


def budgets(row: Plain, clock: Callable[[float], str]) -> dict[str, str | list[str]]:
    """Return what is left of promises and money; nothing where nothing is declared.

    Args:
        row: The deployment.
        clock: Puts a time into words.
    """
    found = row.get("budgets")
    out: dict[str, str | list[str]] = {}
    if found is not None:
        for promise in found["promises"]:
            out[f"budget {promise['name']}"] = _promise(promise)
        if found["money"] is not None:
            out["money"] = _money(found["money"])
    freeze = row.get("freeze")
    if freeze is not None:
        end = "" if freeze["end"] is None else f" to {clock(freeze['end'])}"
        out["freeze"] = f"{clock(freeze['start'])}{end} {freeze['reason']}".strip()
    return out


def _promise(promise: Plain) -> list[str]:
    share = "unknown" if promise["left"] is None else f"{promise['left']:.1%}"
    low, high = promise["left_low"], promise["left_high"]
    between = "" if low is None else f" (between {low:.1%} and {high:.1%} by what was not seen)"
    days = promise["window_s"] / 86_400
    lines = [
        f"{share} left of {1 - promise['target']:.3%} in {days:g} d{between}",
        f"{promise['bad']} bad, {promise['good']} good, {promise['seen'] or 0.0:.0%} seen",
    ]
    for rate in promise["rates"]:
        words = {True: "ON", False: "off", None: "unknown"}[rate["on"]]
        long, short = _rate(rate["long"]), _rate(rate["short"])
        lines.append(f"burns {long} and {short} of {rate['factor']:g}x: {words}")
    return lines


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}x"


def _money(money: Plain) -> list[str]:
    lines = []
    for period in ("per_hour", "day", "month"):
        amount, budget = money[period], money.get(f"{period}_budget")
        told = "unknown" if amount is None else f"{amount:.2f}"
        of = "" if budget is None else f" of {budget:.2f}"
        ahead = money.get(f"{period}_projected")
        more = "" if ahead is None else f", {ahead:.2f} by its end at this rate"
        guess = money.get(f"{period}_assumed") or 0.0
        part = f", {guess:.2f} assumed from before counting began" if guess > 0 else ""
        lines.append(f"{period.replace('_', ' ')} {told}{of} {money['currency']}{part}{more}")
    saved = money["savings"]
    if saved is not None:
        lines.append(f"saved {saved['saved']:.2f} in {saved['days']} d {saved['assumption']}")
    return lines
