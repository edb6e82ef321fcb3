"""`homeostat policy`: prove, compare, test and export guard policies."""

from pathlib import Path

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, tell

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
INTERVAL = typer.Option(
    None,
    "--interval",
    help="Scrape interval, such as 15s, of policies that no deployment in the files uses.",
)


@app.callback()
def root() -> None:
    """Prove guard policies, and compare them."""


@app.command("verify")
def verify(
    files: list[Path] = typer.Argument(help="Policies, deployments, or folders of them."),
    interval: str | None = INTERVAL,
    timeout: float = typer.Option(30.0, "--timeout", help="Seconds for one answer of the solver."),
    report: Path | None = typer.Option(None, "--report", help="Also a page with pictures (HTML)."),
    output: Output = OUTPUT,
) -> None:
    """Prove what policies promise, or show what breaks it.

    Exits 0 if everything is proved, 1 if something is refuted, 2 if a file cannot be used and 6 if
    something stays unknown: a solver that does not answer in time has proved nothing.
    """
    needed()
    from homeostat.cli import policy_verify

    policy_verify.verify(files, nanoseconds(interval), timeout, report, output)


@app.command("diff")
def diff(
    old: Path = typer.Argument(help="The policy in force."),
    new: Path = typer.Argument(help="The policy that would take its place."),
    interval: str | None = INTERVAL,
    timeout: float = typer.Option(30.0, "--timeout", help="Seconds for one answer of the solver."),
    output: Output = OUTPUT,
) -> None:
    """Say what the new policy allows that the old one does not, each with a state that shows it.

    Exits 0 if nothing is newly allowed, 1 if something is, 6 if something stays unknown.
    """
    needed()
    from homeostat.cli import policy_diff

    policy_diff.diff(old, new, nanoseconds(interval), timeout, output)


@app.command("test")
def recorded(
    file: Path = typer.Argument(help="The policy."),
    journals: list[Path] = typer.Argument(help="Recorded journals (homeostat.db)."),
    deployment: str | None = typer.Option(None, "--deployment", "-d", help="Only this one."),
    output: Output = OUTPUT,
) -> None:
    """Say which recorded actions a policy would have blocked or asked for.

    Exits 0 if it would have let everything through as it was, 1 if not, 6 if nothing was done.
    """
    from homeostat.cli import policy_try

    policy_try.recorded(file, journals, deployment, output)


@app.command("export")
def export(
    file: Path = typer.Argument(help="The policy."),
    account: str = typer.Option(
        "system:serviceaccount:homeostat:homeostat",
        "--account",
        help="The controller's user name in the cluster.",
    ),
    target: list[str] = typer.Option(
        [],
        "--target",
        metavar="POOL=NAMESPACE/NAME",
        help="The Deployment of a pool, judged by its bounds alone; POOL=NAMESPACE/hpa/NAME for "
        "an autoscaler. May be given several times.",
    ),
) -> None:
    """Print the stateless part as a Kubernetes ValidatingAdmissionPolicy (YAML)."""
    from homeostat.cli import policy_export

    policy_export.export(file, account, target)


def needed() -> None:
    """Stop with exit 6 where the solver is not installed: then nothing is known."""
    from homeostat.server.proving import installed

    if not installed():
        tell("homeostat: proofs need the solver; pip install 'homeostat[proof]'")
        raise typer.Exit(Exit.NO_DATA)


def nanoseconds(interval: str | None) -> int | None:
    """Return a duration from the command line."""
    from homeostat.base.errors import ConfigError
    from homeostat.server.config.units import duration_ns

    if interval is None:
        return None
    try:
        return duration_ns(interval)
    except ValueError as error:
        raise ConfigError(f"--interval: {error}") from error
