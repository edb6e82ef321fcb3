"""`homeostat lab together`: what it is worth to divide a shared pool and budget by a price."""

import os
from pathlib import Path
from typing import Final

import typer

from homeostat.cli.lab_needs import needs_twin
from homeostat.cli.output import OUTPUT, Output

_OUT: Final = typer.Option(Path("together"), "--out", help="Folder for what is written.")
_PAGE: Final = typer.Option(
    None, "--page", help="A page with the markers of this measurement, which is written into it."
)


def together(
    groups: int = typer.Option(32, "--groups", min=1, max=400, help="Groups of deployments."),
    members: int = typer.Option(4, "--members", min=1, max=16, help="Deployments of a group."),
    room: str = typer.Option(
        "0.15", "--room", help="Of what all hold at the start, what more there is; with commas."
    ),
    hours: int = typer.Option(1, "--hours", min=1, max=24, help="Of an episode."),
    family: str | None = typer.Option(None, "--family", help="Of these faults alone."),
    out: Path = _OUT,
    page: Path | None = _PAGE,
    output: Output = OUTPUT,
) -> None:
    """Compare three ways to divide what several deployments share, over the same random groups.

    `split` gives each a part of its own, `first` serves whoever asks first, `priced` divides by
    the linear program. Writes together.json into OUT.
    """
    files = needs_twin()
    from homeostat.server import compiled

    # Before anything imports JAX: where it keeps what it compiles.
    for name, value in compiled.environment(files.compile_cache()).items():
        os.environ.setdefault(name, value)
    from homeostat.cli import lab_together_run

    asked = lab_together_run.Asked(
        groups=groups, members=members, room=room, hours=hours, family=family, out=out, page=page
    )
    lab_together_run.main(asked, output)
