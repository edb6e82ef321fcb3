"""`homeostat explain ID`: one decision, with what was known then and what was refused and why."""

import typer

from homeostat.cli.client import DEPLOYMENT, URL, call
from homeostat.cli.output import OUTPUT, Output, show, show_fields


def explain(
    decision: str = typer.Argument(help="The decision's id, for example d-0007."),
    deployment: str | None = DEPLOYMENT,
    output: Output = OUTPUT,
    url: str = URL,
) -> None:
    """Show why a decision was taken, what was known then, what was refused and why."""
    params = {"deployment": deployment} if deployment else None
    data = call("GET", url, "decisions", decision, params=params)
    if output is Output.TABLE:
        from homeostat.cli import tables, tables_shared

        then = tables.then(data) | tables.moved(data)
        then |= tables_shared.now(call("GET", url, "shared"), data["deployment"])
        show_fields(tables.decision(data) | tables.question(data) | then)
    else:
        show(data, output)
