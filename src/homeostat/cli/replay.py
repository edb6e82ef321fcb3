"""`homeostat replay`: take every decision of a journal again and compare them bit for bit."""

from pathlib import Path

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, show, tell


def replay(
    journal: Path = typer.Argument(help="The journal's database file."),
    deployment: str | None = typer.Option(None, "--deployment", "-d", help="Only this one."),
    output: Output = OUTPUT,
) -> None:
    """Replay a journal; exits 1 if any decision comes out differently."""
    from homeostat.server.replaying import replay_file

    results = replay_file(journal, deployment)
    if not results:
        tell("homeostat: the journal holds no deployment of that name")
        raise typer.Exit(Exit.NO_DATA)
    columns = ("deployment", "events", "commands", "decisions", "unrecorded", "mismatches", "first")
    show(results, output, columns)
    if any(result["mismatches"] for result in results):
        raise typer.Exit(Exit.FAILED)
