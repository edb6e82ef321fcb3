"""Tests of histograms, which may be looked at after every tick, in words."""

from collections.abc import Mapping
from typing import Any

Plain = Mapping[str, Any]


def drifted(one: Plain) -> str:
    """Return what the test of a histogram says: "pool:a prediction: unknown (few)"."""
    name = " ".join(part for part in (one["subject"], one["kind"], one["name"]) if part)
    looks = "" if one["looks"] is None else f" {one['looks']} ticks ago"
    said = {True: f"moved{looks}", False: "not shown to have moved"}
    words = [said.get(one["moved"], f"unknown ({one['why']})")]
    if one["log10_e"] is not None:
        words.append(f"e-value {10.0 ** one['log10_e']:.2g}")
    if one["all_log10_e"] is not None and one["among"] > 1:
        words.append(f"{10.0 ** one['all_log10_e']:.2g} of all {one['among']}")
    return f"{name}: {', '.join(words)}{_sizes(one)}"


def _sizes(one: Plain) -> str:
    """Return by how much it moved, with the samples behind it; nothing where that is not known."""
    if one["psi"] is None or one["gap"] is None:
        return "" if one["events"] is None else f" (of {one['events']:.0f} events, no size yet)"
    was = f" of {one['against']}" if one["against"] else ""
    text = (
        f"; total variation {one['total_variation']:.2g}, PSI {one['psi']:.2g} "
        f"({one['psi_by_chance']:.2g} by chance), KS {one['gap']:.2g} "
        f"(-log10 p {one['gap_neg_log10_p']:.1f} at this look), {one['events']:.0f} events "
        f"against {one['reference']:.0f}{was}"
    )
    if one["bound"] is None:
        return text
    return (
        f"{text}; up to {one['bound']:g}: {one['share']:.3g}, "
        f"was {one['share_low']:.3g} to {one['share_high']:.3g}"
    )
