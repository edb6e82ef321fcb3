"""`homeostat audit verify`: is the journal whole and untouched?"""

from pathlib import Path

import typer

from homeostat.cli.output import OUTPUT, Output, show

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root() -> None:
    """Check the journal."""


@app.command("verify")
def verify(
    journal: Path = typer.Argument(help="The journal's database file."),
    output: Output = OUTPUT,
) -> None:
    """Verify the hash chain of every entry; exits 1 at the first one that does not fit."""
    from homeostat.server.replaying import verify_file

    show(verify_file(journal), output)
