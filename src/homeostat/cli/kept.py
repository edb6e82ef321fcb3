"""The arguments that say where a journal lies, for every command that reads one."""

from typing import Any, Final

import typer

JOURNAL: Final[Any] = typer.Argument(
    help="The journal: a file, or postgresql://USER@HOST:PORT/DATABASE."
)
ANCHOR: Final[Any] = typer.Option(
    None, "--anchor", help="The file that anchors it; beside a file it is found by itself."
)
PASSWORD_FILE: Final[Any] = typer.Option(
    None, "--password-file", help="Holds the database's password; default: where libpq looks."
)
SCHEMA: Final[Any] = typer.Option("homeostat", "--schema", help="The database's schema.")
