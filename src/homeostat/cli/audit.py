"""`homeostat audit`: is the journal whole and untouched, and back to an older version's shape."""

import time
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


@app.command("downgrade")
def downgrade(
    journal: str = JOURNAL,
    to: str = typer.Option(..., "--to", help="The shape wanted, as 0001."),
    anchor: Path | None = ANCHOR,
    password_file: Path | None = PASSWORD_FILE,
    schema: str = SCHEMA,
    output: Output = OUTPUT,
) -> None:
    """Bring a journal back to the shape that an older version of Homeostat reads.

    Stop every controller first; it is refused while one leads. No entry is changed or dropped, and
    a newer version brings it to its own shape again when it opens it.
    """
    from homeostat.base.units import TimeNs
    from homeostat.server.downgrading import downgrade_file
    from homeostat.server.replaying import Kept

    kept = Kept(place=journal, anchor=anchor, password_file=password_file, schema=schema)
    show(downgrade_file(kept, to, TimeNs(time.time_ns())), output)
