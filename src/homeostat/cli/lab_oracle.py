"""`homeostat lab oracle`: is the yardstick long enough to measure policies by?"""

from pathlib import Path
from typing import Final

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.lab_needs import listed, needs_twin
from homeostat.cli.output import OUTPUT, Output, show, tell

_POLICIES: Final = "threshold,hpa,hpa_tuned,keda,keda_tuned,static,random,runbook,homeostat"
_SCENARIOS: Final = typer.Option(None, "--scenarios", help="Scenario file, in place of our own.")
_OUT: Final = typer.Option(Path("lab"), "--out", help="Folder for what is written.")


def oracle(
    scenarios: list[Path] | None = _SCENARIOS,
    policies: str = typer.Option(
        _POLICIES, "--policies", help="Which are measured by it; it is not shown what they did."
    ),
    seeds: int = typer.Option(1, "--seeds", min=1, help="Episodes of each scenario."),
    first_seed: int = typer.Option(0, "--first-seed", min=0, help="The first of them."),
    only: str | None = typer.Option(None, "--only", help="Scenario ids, separated by commas."),
    doubled: str | None = typer.Option(
        None, "--doubled", help="Scenarios on which a search of twice the effort is tried as well."
    ),
    out: Path = _OUT,
    jobs: int | None = typer.Option(None, "--jobs", min=1, help="Workers; else one for each core."),
    output: Output = OUTPUT,
) -> None:
    """Measure the clairvoyant: does a policy that it was not shown beat it, and where?

    It starts from hold, threshold and hpa alone. Exits 1 if a policy beats it in a scenario by more
    than its interval. What is done is kept; an episode takes half a minute.
    """
    files = needs_twin()
    from homeostat.cli import lab_oracle_run as run
    from homeostat.report.lab_oracle import shown

    every = files.catalogue(scenarios or ())
    catalogue = every.only(listed(only))
    catalogue.playable()
    plan = run.Plan(
        catalogue=catalogue,
        policies=tuple(name for name in files.members(listed(policies)) if name != "oracle"),
        seeds=files.seeds(first_seed, seeds),
        doubled=every.only(listed(doubled)).scenarios if doubled else (),
        out=out,
        jobs=jobs or files.cores(),
    )
    try:
        found = run.Run(plan).go()
    except KeyboardInterrupt:
        tell(f"stopped; what was done is in {out / 'shards'}: the same command takes it up again")
        raise typer.Exit(130) from None
    show(shown(found, plain=output is not Output.TABLE), output)
    tell(f"wrote {out / 'oracle.json'}")
    if not found.passes:
        raise typer.Exit(Exit.FAILED)
