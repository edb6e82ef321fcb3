"""`homeostat run -f FILE`: the controller."""

from pathlib import Path

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, show


def run(
    file: list[Path] = typer.Option(..., "--file", "-f", help="Configuration; may be repeated."),
    once: bool = typer.Option(False, "--once", help="One cycle, then stop."),
    quiet: bool = typer.Option(False, "--quiet", help="Do not print notices on the terminal."),
    unproved_by: str = typer.Option(
        "",
        "--unproved-by",
        metavar="NAME",
        help="Who answers for acting under policies that are not proved; for test runs.",
    ),
    output: Output = OUTPUT,
) -> None:
    """Watch the configured deployments and keep them inside their limits.

    Shadow unless the file says otherwise, and until its policy is proved: it says what it would do
    and changes nothing.
    With --once what was seen is printed; exits 3 if an objective is missed, 6 if one is unknown.
    """
    from homeostat.server.main import serve

    rows = serve(tuple(file), once=once, quiet=quiet, unproved_by=unproved_by)
    if not once:
        return
    show(rows, output)
    if any(row["objectives"] == "missed" for row in rows):
        raise typer.Exit(Exit.UNHEALTHY)
    if any(row["objectives"] == "unknown" for row in rows):
        raise typer.Exit(Exit.NO_DATA)
