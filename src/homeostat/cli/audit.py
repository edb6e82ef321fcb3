"""`homeostat audit verify`: is the journal whole and untouched?"""

from pathlib import Path

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.kept import ANCHOR, JOURNAL, PASSWORD_FILE, SCHEMA
from homeostat.cli.output import OUTPUT, Output, show, tell

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root() -> None:
    """Check the journal."""


@app.command("verify")
def verify(
    journal: str = JOURNAL,
    anchor: Path | None = ANCHOR,
    password_file: Path | None = PASSWORD_FILE,
    schema: str = SCHEMA,
    output: Output = OUTPUT,
) -> None:
    """Verify the hash chain of every entry; exits 1 at the first one that does not fit.

    Exits 6 if it is whole but its anchor is gone: then its last entries may have been cut off.
    """
    from homeostat.server.replaying import Kept, verify_file

    kept = Kept(place=journal, anchor=anchor, password_file=password_file, schema=schema)
    found = verify_file(kept)
    show(found, output)
    if found["tail"] == "unknown":
        tell(
            f"homeostat: the chain is whole, but no anchor of {journal} says where it ended: that "
            "its last entries were cut off cannot be ruled out; put its .anchor file back beside "
            "it (--anchor names a database's), or a file with a kept copy of its first line"
        )
        raise typer.Exit(Exit.NO_DATA)
