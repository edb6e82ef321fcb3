"""`homeostat replay`: take every decision of a journal again and compare them bit for bit."""

from pathlib import Path

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.kept import ANCHOR, JOURNAL, PASSWORD_FILE, SCHEMA
from homeostat.cli.output import OUTPUT, Output, show, tell


def replay(
    journal: str = JOURNAL,
    deployment: str | None = typer.Option(None, "--deployment", "-d", help="Only this one."),
    anchor: Path | None = ANCHOR,
    password_file: Path | None = PASSWORD_FILE,
    schema: str = SCHEMA,
    output: Output = OUTPUT,
) -> None:
    """Replay a journal; exits 1 if any decision comes out differently.

    Where other code than this wrote it, that is said: its own version replays it bit for bit.
    """
    from homeostat.server.code_version import code_version
    from homeostat.server.replaying import Kept, replay_file

    kept = Kept(place=journal, anchor=anchor, password_file=password_file, schema=schema)
    results = replay_file(kept, deployment)
    if not results:
        tell("homeostat: the journal holds no deployment of that name")
        raise typer.Exit(Exit.NO_DATA)
    columns = ("deployment", "events", "commands", "decisions", "unrecorded", "mismatches", "first")
    show(results, output, columns)
    differ = [result for result in results if result["mismatches"]]
    for result in differ:
        if result["written_by"] is not None:
            tell(
                f"homeostat: {result['deployment']}: the journal was written by another version "
                f"({result['written_by']}), this is {code_version()}: other code may decide "
                "otherwise, so the differences say nothing about the journal; replay it with the "
                "version that wrote it"
            )
    if differ:
        raise typer.Exit(Exit.FAILED)
