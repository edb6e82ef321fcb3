"""What tests that may be looked at at any time say of a deployment, by name, in words."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from homeostat.cli.output import cell
from homeostat.cli.tables_drift import drifted

Plain = Mapping[str, Any]

_SHOWN: Final = 5  # series that are named


def tested(row: Plain, clock: Callable[[float], str]) -> dict[str, str | list[str]]:
    """Return the tests of objectives, of histograms, and of the whole fleet where it is asked for.

    Args:
        row: The deployment, or what was known of it.
        clock: Puts a time into words.
    """
    out: dict[str, str | list[str]] = {
        "objectives tested": [_objective(one, clock) for one in row["promises"]] or ["not counted"],
        "histograms tested": [drifted(one) for one in row["drifts"]] or ["none"],
    }
    if (fleet := row.get("fleetwide")) is not None:
        out["told by the fleet"] = _fleet(fleet, clock)
    return out


def _objective(one: Plain, clock: Callable[[float], str]) -> str:
    """Return what the test of an objective says: "gateway error_ratio, 0.01 promised: ..."."""
    said = {True: "broken", False: "not shown to be broken", None: "not counted now"}
    since = "" if one["since"] is None else f", against it since {clock(one['since'])}"
    return (
        f"{one['subject']} {one['signal']}, {cell(one['limit'])} promised: {said[one['broken']]}, "
        f"e-value {10.0 ** one['log10_e']:.2g}{since} ({one['tests']} ticks); "
        f"share that breaks it {one['share_low']:.2g} to {one['share_high']:.2g}"
    )


def _fleet(one: Plain, clock: Callable[[float], str]) -> list[str]:
    """Return what the tests of the whole fleet say: told or not, of what, and at which promise."""
    promise = f"false share {one['share']:.2g}"
    if one["false_incidents"] is not None:
        promise += f" and {one['false_incidents']:g} per 1,000 signals and day besides"
    evidence = "" if one["neg_log10_p"] is None else f", 1e-{one['neg_log10_p']:.1f}"
    if one["told"] is None:
        return [f"unknown: too little is known, or nothing is seen ({promise})"]
    if not one["told"]:
        lines = [f"no{evidence}, {one['tested']} series tested ({promise})"]
        if one["alone"]:
            lines.append("what is suspected rests on charts that the fleet does not tell of")
        return lines
    series = [f"{of['signal']} of {of['subject']}" for of in one["series"]]
    more = f" and {len(series) - _SHOWN} more" if len(series) > _SHOWN else ""
    since = "" if one["since"] is None else f" since {clock(one['since'])}"
    return [f"yes{since}{evidence} ({promise})", ", ".join(series[:_SHOWN]) + more or "-"]
