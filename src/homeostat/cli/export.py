"""`homeostat export`: what a Prometheus and a Grafana are given to watch the controller itself."""

from pathlib import Path

import typer

from homeostat.cli.output import OUTPUT, Output, show, tell

app = typer.Typer(no_args_is_help=True)
_JOB = typer.Option("homeostat", "--job", help="The job_name under which it is scraped.")


@app.command("rules")
def rules(job: str = _JOB) -> None:
    """Print alert and recording rules over the controller's own metrics (YAML)."""
    import yaml

    from homeostat.base.errors import ConfigError
    from homeostat.server.telemetry.rules import rule_file

    try:
        found = rule_file(job)
    except ValueError as error:
        raise ConfigError(f"--job: {error}") from error
    typer.echo("# Written by `homeostat export rules`; for rule_files of a Prometheus.")
    typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=96), nl=False)


@app.command("grafana")
def grafana(
    out: Path = typer.Option(help="Folder to write to; what was written before is replaced."),
    job: str = _JOB,
    prometheus: str | None = typer.Option(
        None, "--prometheus", help="Its address as Grafana reaches it; also writes a data source."
    ),
    folder: str = typer.Option(
        "/var/lib/grafana/dashboards", "--folder", help="Where Grafana will find the dashboard."
    ),
) -> None:
    """Write the dashboard and the provisioning files of a Grafana."""
    from homeostat.base.errors import ConfigError
    from homeostat.cli.export_files import grafana_files

    try:
        files = grafana_files(job, prometheus, folder)
    except ValueError as error:
        raise ConfigError(f"export grafana: {error}") from error
    for place, text in files.items():
        file = out / place
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"{file}: {error.strerror}; name another folder with --out"
            ) from error
        tell(str(file))


@app.command("metrics")
def metrics(
    page: Path | None = typer.Option(None, "--page", help="Write the tables into a page instead."),
    output: Output = OUTPUT,
) -> None:
    """Print every metric that `/metrics` may show, with its labels."""
    from homeostat.server.telemetry.page import rows

    if page is None:
        show(rows(), output)
        return
    from homeostat.cli.export_files import written

    page.write_text(written(page), encoding="utf-8")
