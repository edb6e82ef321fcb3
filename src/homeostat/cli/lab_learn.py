"""`homeostat lab learn`: what a decision seat of the lab knows before it is evaluated."""

import os
from pathlib import Path
from typing import Final

import typer

from homeostat.cli.lab_needs import needs_twin
from homeostat.cli.output import OUTPUT, Output, show, tell

_OUT: Final = typer.Option(..., "--out", help="The file, for example safe_canary.json.")


def learn(
    policy: str = typer.Argument(help="`safe_canary` or `bandit`."),
    out: Path = _OUT,
    compositions: int = typer.Option(200, "--compositions", min=1, max=400, help="Episodes."),
    block: int = typer.Option(
        25, "--block", min=1, max=50, help="Episodes that are played before any is learnt from."
    ),
    hours: int = typer.Option(
        2, "--hours", min=1, max=24, help="Of an episode; savings come after an hour's watch."
    ),
    output: Output = OUTPUT,
) -> None:
    """Let a decision seat learn in random compositions of faults, and keep what it knows.

    Never in a scenario of the catalogue, by which it is judged.
    """
    files = needs_twin()
    from homeostat.server import compiled

    # Before anything imports JAX: where it keeps what it compiles.
    for name, value in compiled.environment(files.compile_cache()).items():
        os.environ.setdefault(name, value)
    from homeostat.cli import lab_learn_run

    asked = lab_learn_run.Asked(
        policy=policy, out=out, compositions=compositions, block=block, hours=hours
    )
    show([lab_learn_run.main(asked)], output)
    tell(f"wrote {out}")
