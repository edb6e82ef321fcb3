"""`homeostat lab evaluate`: the papers' evaluation, policies over the same seeds, into a page."""

from pathlib import Path
from typing import Final

import typer

from homeostat.cli.lab_needs import needs_twin
from homeostat.cli.output import OUTPUT, Output, tell

# Of the learners those whose files come with the package; others are named when they were made.
_POLICIES: Final = (
    "hold,threshold,hpa,runbook,random_safe,random,ppo_hash,ppo,homeostat,homeostat_twin"
)
_PAGE: Final = typer.Option(
    None, "--page", help="A page with the markers of the evaluation, which is written into it."
)
_OUT: Final = typer.Option(Path("evaluation"), "--out", help="Folder for what is written.")


def evaluate(
    policies: str = typer.Option(_POLICIES, "--policies", help="Names, separated by commas."),
    reference: str = typer.Option("threshold", "--reference", help="What they are set against."),
    seeds: int = typer.Option(100, "--seeds", min=1, help="Episodes of each scenario."),
    first_seed: int = typer.Option(0, "--first-seed", min=0, help="Seeds count up from here."),
    only: str | None = typer.Option(None, "--only", help="Scenario ids, separated by commas."),
    out: Path = _OUT,
    page: Path | None = _PAGE,
    jobs: int | None = typer.Option(None, "--jobs", min=1, help="Workers; else one for each core."),
    output: Output = OUTPUT,
) -> None:
    """Compare policies pair by pair: interquartile means, differences, and what chance may do.

    What is played is kept in OUT, as by `lab run`: the same command takes it up again. Writes
    evaluation.json and learning.svg there; with --page both go into the page and beside it.
    """
    files = needs_twin()
    from homeostat.cli import lab_evaluate_run

    def names(text: str | None) -> list[str]:
        return [one.strip() for one in (text or "").split(",") if one.strip()]

    asked = lab_evaluate_run.Asked(
        catalogue=files.catalogue(()).only(names(only)),
        policies=files.members(names(policies)),
        reference=reference,
        seeds=files.seeds(first_seed, seeds),
        out=out,
        page=page,
        jobs=jobs or files.cores(),
    )
    try:
        lab_evaluate_run.main(asked, output)
    except KeyboardInterrupt:
        tell(f"stopped; what was done is in {out / 'shards'}: the same command takes it up again")
        raise typer.Exit(130) from None
