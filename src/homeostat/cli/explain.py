"""`homeostat explain ID`: one decision, with what was refused and why."""

import typer

from homeostat.cli.client import URL, call
from homeostat.cli.output import OUTPUT, Output, show


def explain(
    decision: str = typer.Argument(help="The decision's id, for example d-0007."),
    output: Output = OUTPUT,
    url: str = URL,
) -> None:
    """Show why a decision was taken, what was permitted, and what was refused."""
    data = call("GET", url, f"/v1/decisions/{decision}")
    if output is not Output.TABLE:
        show(data, output)
        return
    rows = [{"part": key, "what": value} for key, value in data.items() if value not in (None, [])]
    show(rows, output)
