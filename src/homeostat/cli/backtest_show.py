"""How a backtest is printed: what was found of each deployment, and each incident, for people."""

from collections.abc import Mapping
from typing import Any

import typer

from homeostat.cli.output import Output, show, show_fields
from homeostat.report.backtest_words import minutes, moment, saved, share, spread


def show_all(plain: Mapping[str, Any], output: Output) -> None:
    """Print a backtest.

    Args:
        plain: As `backtest_run` makes it.
        output: How.
    """
    if output is not Output.TABLE:
        show(plain, output)
        return
    show([_row(one) for one in plain["deployments"]], Output.TABLE)
    incidents = [
        _incident(one["name"], incident)
        for one in plain["deployments"]
        for incident in one["incidents"]
    ]
    if incidents:
        typer.echo("")
        show(incidents, Output.TABLE)
    typer.echo("")
    steps = f"{plain['replayed']:,} steps of {plain['step_s']:g} s"
    show_fields({
        "replayed": f"{steps} in {plain['took_s']:g} s",
        "premises": plain["premises"],
    })


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    found = one["summary"]
    would = found["would"]
    return {
        "deployment": one["name"],
        "days": round((one["to_s"] - one["from_s"]) / 86_400.0, 1),
        "known": f"{one['known'] / one['steps']:.1%}",
        "missed": f"{found['missed_minutes']:.0f} min",
        "breaches": found["breaches"],
        "detected": share(found["detected"]),
        "after": minutes(found["delay_s"]),
        "open before": found["standing"],
        "foreseen": share(found["foreseen"]),
        "by": minutes(found["lead_s"]),
        "extra/week": spread(found["extra_per_week"]),
        "act": would["act"],
        "page": would["page"],
        "blind": would["blind"],
        "saved": saved(found["saved"]),
    }


def _incident(name: str, one: Mapping[str, Any]) -> dict[str, Any]:
    refused = "; ".join(f"{each['action']}: {each['because'][0]}" for each in one["refused"])
    return {
        "deployment": name,
        "incident": one["id"],
        "confirmed": moment(one["confirmed_s"]),
        "suspected": f"{one['family']} {one['subject']}",
        "felt": one["felt"],
        "would": one["action"]["text"] if one["action"] else one["outcome"],
        "saved": saved(one["saved"]),
        "refused": refused,
    }
