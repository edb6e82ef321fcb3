"""`homeostat train`: a policy by proximal policy optimisation in the twin."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, tell

_FAMILY: Final = typer.Option(None, "--without", help="A fault family to leave out; repeat it.")
_LIMIT: Final = typer.Option(None, "--limit", help="NAME=MEAN of a cost per step; repeat it.")


def train(
    out: Path = typer.Option(Path("policy.safetensors"), "--out", help="The policies."),
    budget_steps: int = typer.Option(200_000, "--budget-steps", min=1, help="Of each seed."),
    seeds: int = typer.Option(1, "--seeds", min=1, max=64, help="Policies side by side."),
    first_seed: int = typer.Option(0, "--first-seed", min=0, help="Of the first policy."),
    environments: int = typer.Option(8, "--environments", min=1, help="Of each seed."),
    length: int = typer.Option(64, "--length", min=1, help="Steps between two updates."),
    episodes: int = typer.Option(256, "--episodes", min=1, help="Compositions to draw from."),
    slots: int = typer.Option(8, "--slots", help="Replica slots of every deployment."),
    hours: int = typer.Option(1, "--hours", min=1, max=24, help="Of an episode."),
    reward: str = typer.Option("level", "--reward", help="`level`, or `hash` as HASH writes it."),
    entropy: float = typer.Option(0.01, "--entropy", help="Weight of trying things out."),
    hash_rate: bool = typer.Option(False, "--hash-rate", help="HASH's learning rate, bounded."),
    unguarded: bool = typer.Option(
        False, "--unguarded", help="HASH's six actions and no guard; for comparison."
    ),
    without: list[str] = _FAMILY,
    limit: list[str] = _LIMIT,
    resume: bool = typer.Option(False, "--resume", help="Take up the run that OUT was left by."),
    every: int = typer.Option(10, "--checkpoint-every", min=1, help="Updates."),
    output: Output = OUTPUT,
) -> None:
    """Train policies in the twin, in random compositions of faults.

    Never in a scenario of the catalogue, by which a policy is judged. A run that was broken off is
    taken up with --resume and ends bit for bit as one that was not. Beside OUT: OUT.run, the whole
    run; OUT.html, its learning curves.
    """
    for needed in ("jax", "equinox", "optax"):
        if find_spec(needed) is None:
            tell(f"homeostat: this needs {needed}; `pip install 'homeostat[twin]'` brings it")
            raise typer.Exit(Exit.USAGE)
    from homeostat.server import compiled

    # Before anything imports JAX: where it keeps what it compiles.
    for name, value in compiled.environment(compiled.folder(compiled.processor())).items():
        os.environ.setdefault(name, value)
    from homeostat.cli import train_run

    asked = train_run.Asked(
        out=out,
        budget_steps=budget_steps,
        seeds=tuple(range(first_seed, first_seed + seeds)),
        environments=environments,
        length=length,
        episodes=episodes,
        slots=slots,
        hours=hours,
        reward=reward,
        entropy=entropy,
        hash_rate=hash_rate,
        unguarded=unguarded,
        without=tuple(without or ()),
        limits=tuple(limit or ()),
        resume=resume,
        every=every,
    )
    train_run.main(asked, output)
