"""`homeostat explain ID`: one decision, with what was refused and why, and what is ahead now."""

import typer

from homeostat.cli.client import DEPLOYMENT, URL, call
from homeostat.cli.output import OUTPUT, Output, show, show_fields


def explain(
    decision: str = typer.Argument(help="The decision's id, for example d-0007."),
    deployment: str | None = DEPLOYMENT,
    output: Output = OUTPUT,
    url: str = URL,
) -> None:
    """Show why a decision was taken, what was refused, and how the deployment is now."""
    params = {"deployment": deployment} if deployment else None
    data = call("GET", url, "decisions", decision, params=params)
    if output is Output.TABLE:
        from homeostat.cli import tables

        now = call("GET", url, "deployments", data["deployment"])
        show_fields(tables.decision(data) | tables.outlook(now))
    else:
        show(data, output)
