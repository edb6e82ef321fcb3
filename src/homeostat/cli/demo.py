"""`homeostat demo`: a real local deployment that breaks and heals."""

from pathlib import Path

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, show, tell


def demo(
    headless: bool = typer.Option(False, "--headless", help="No live display; end by itself."),
    fault: str | None = typer.Option(
        None, "--fault", help="A fault's name, or several joined by commas, or `all`."
    ),
    seed: int = typer.Option(0, "--seed", help="Order, targets and start times follow from it."),
    control: bool = typer.Option(False, "--control", help="Controller off: what would happen."),
    duration: float | None = typer.Option(None, "--duration", help="End after so many seconds."),
    json_file: Path | None = typer.Option(None, "--json", help="Write the results here."),
    folder: Path | None = typer.Option(None, "--dir", help="Keep logs and journal here."),
    evidence_rules: bool = typer.Option(
        True,
        "--evidence-rules/--no-evidence-rules",
        help="Off: act on missing data and single ticks, as a paired run; never do this elsewhere.",
    ),
    twin: Path | None = typer.Option(None, "--twin", help="Rehearse actions in this fitted twin."),
    twin_check: Path | None = typer.Option(
        None, "--twin-check", help="Its check (`twin check --output json`), or it is not trusted."
    ),
    list_faults: bool = typer.Option(False, "--list", help="List the faults and end."),
    output: Output = OUTPUT,
) -> None:
    """Start model servers, a proxy and load on this machine, break them, and heal them."""
    try:
        from homeostat.demo.runner import Options, list_rows, run_demo
        from homeostat.demo.setup import TwinFiles
    except ModuleNotFoundError as error:
        tell(
            f"homeostat: the demo needs {error.name}; "
            "install it with `pip install 'homeostat[demo]'`"
        )
        raise typer.Exit(Exit.USAGE) from error
    if list_faults:
        show(list_rows(), output)
        return
    if twin is None and twin_check is not None:
        tell("homeostat: --twin-check is the check of a fit; name that with --twin")
        raise typer.Exit(Exit.USAGE)
    options = Options(
        headless=headless,
        fault=fault,
        seed=seed,
        control=control,
        duration_s=duration,
        json_file=json_file,
        folder=folder,
        evidence_rules=evidence_rules,
        twin=None if twin is None else TwinFiles(fit=twin, check=twin_check),
    )
    raise typer.Exit(run_demo(options))
