"""`homeostat lab choose`: of the seeds of a training run the one that is kept."""

from pathlib import Path
from typing import Final

import typer

from homeostat.cli.lab_needs import needs_twin
from homeostat.cli.output import OUTPUT, Output, show, tell

_OUT: Final = typer.Option(None, "--out", help="Where the best one is written alone.")


def choose(
    policies: Path = typer.Argument(help="What `homeostat train` wrote."),
    out: Path | None = _OUT,
    compositions: int = typer.Option(64, "--compositions", min=2, help="Episodes to judge by."),
    family: str | None = typer.Option(
        None, "--family", help="Of these faults alone, for a run trained `--without` them."
    ),
    commit: str | None = typer.Option(
        None, "--commit", help="Of the program that trained, where it is not this one."
    ),
    output: Output = OUTPUT,
) -> None:
    """Judge trained policies by compositions that none was trained in, and keep the best one."""
    needs_twin()
    from homeostat.cli import lab_choose_run

    show(lab_choose_run.choose(policies, out, compositions, family, commit), output)
    if out is not None:
        tell(f"wrote {out}")
