"""`homeostat backtest`: a recorded past, replayed through the same senses and decisions."""

from importlib.util import find_spec
from pathlib import Path

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, tell


def backtest(
    recordings: list[Path] = typer.Argument(
        None, metavar="[RECORDING]...", help="CSV files as `twin fetch` writes them, NAME.csv."
    ),
    file: list[Path] = typer.Option([], "--file", "-f", help="Configuration; may be repeated."),
    since: str = typer.Option("30d", "--since", help="How far back from the latest row, or now."),
    step: str | None = typer.Option(
        None, "--step", help="Between two looks; by what the history resolves, 10,080 at most."
    ),
    deployment: list[str] = typer.Option(
        [], "--deployment", "-d", help="Which of the configured ones; may be repeated."
    ),
    p95: str | None = typer.Option(None, "--p95", help="Promised p95, where no file says it."),
    errors: float = typer.Option(0.01, "--errors", help="Promised share of errors, likewise."),
    replicas: str | None = typer.Option(
        None, "--replicas", metavar="LOW:HIGH", help="Replicas that may be set, likewise."
    ),
    report: Path | None = typer.Option(None, "--report", help="Also a page with pictures (HTML)."),
    saved: bool = typer.Option(True, help="Fit a twin to the history and say what was saved."),
    jobs: int | None = typer.Option(None, "--jobs", min=1, help="Processes; one for each core."),
    seed: int = typer.Option(0, "--seed", min=0, help="The same seed gives the same intervals."),
    output: Output = OUTPUT,
) -> None:
    """Say what would have been detected, foreseen, done and refused. Reads history only.

    Exits 6 if there is no history.
    """
    from homeostat.cli import backtest_run
    from homeostat.server.config.units import duration_ns

    try:
        since_ns = duration_ns(since)
        step_ns = None if step is None else duration_ns(step)
        p95_ns = None if p95 is None else duration_ns(p95)
    except ValueError as error:
        tell(f"homeostat: --since, --step or --p95: {error}")
        raise typer.Exit(Exit.USAGE) from None
    if saved and any(find_spec(needed) is None for needed in ("jax", "equinox")):
        tell("without homeostat[twin] nothing can be said of what would have been saved")
        saved = False
    asked = backtest_run.Asked(
        recordings=tuple(recordings or ()),
        files=tuple(file),
        since_ns=since_ns,
        step_ns=step_ns,
        only=tuple(deployment),
        p95_ns=p95_ns,
        errors=errors,
        replicas=replicas,
        report=report,
        saved=saved,
        jobs=jobs,
        seed=seed,
    )
    backtest_run.main(asked, output)
