"""`homeostat twin`: record, fit the twin to recorded metrics, check it, hold it to processes."""

from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, show, tell

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_SOURCES: Final = typer.Argument(help="Recorded metrics (CSV); several are one after the other.")


@app.callback()
def root() -> None:
    """Fit the digital twin to recorded metrics, and check it."""


@app.command("record")
def record(
    journal: Path = typer.Argument(help="A controller's journal (homeostat.db)."),
    out: Path = typer.Option(..., "--out", help="The recording (CSV) for `twin fit`."),
    deployment: str | None = typer.Option(None, "--deployment", "-d", help="Which, if several."),
) -> None:
    """Turn what a controller saw into a recording to fit to. Exits 6 if there is none."""
    _needs("jax", "equinox", extra="twin")
    from homeostat.cli import twin_record

    twin_record.record(journal, out, deployment)


@app.command("fetch")
def fetch(
    prometheus: str = typer.Option(..., "--prometheus", help="Base address, http://HOST:9090."),
    select: list[str] = typer.Option(..., "--select", help="LABEL=VALUE; may be repeated."),
    out: Path = typer.Option(..., "--out", help="The recording (CSV) for `twin fit`."),
    since: str = typer.Option("6h", "--since", help="How far back."),
    step: str = typer.Option("1m", "--step", help="What a row stands for; four scrapes at least."),
    preset: list[str] = typer.Option([], "--preset", help="What series mean; by what is there."),
    token_file: Path | None = typer.Option(None, "--token-file", help="Holds a bearer token."),
    ca_file: Path | None = typer.Option(None, "--ca-file", help="Certificates to trust."),
) -> None:
    """Turn a stretch of a Prometheus' past into a recording. Exits 6 if it shows too little."""
    _needs("jax", "equinox", extra="twin")
    from homeostat.cli import twin_fetch
    from homeostat.server.config.units import duration_ns

    try:
        since_ns, step_ns = duration_ns(since), duration_ns(step)
    except ValueError as error:
        tell(f"homeostat: --since or --step: {error}")
        raise typer.Exit(Exit.USAGE) from None
    wanted = twin_fetch.asked(
        prometheus,
        select,
        preset,
        since_ns=since_ns,
        step_ns=step_ns,
        token_file=token_file,
        ca_file=ca_file,
    )
    twin_fetch.fetch(wanted, out)


@app.command("fit")
def fit(
    sources: list[Path] = _SOURCES,
    out: Path = typer.Option(..., "--out", help="The fit file (JSON)."),
    p99: float | None = typer.Option(None, "--p99", help="Promised p99 in seconds: plan for it."),
    demand: float | None = typer.Option(None, "--demand", help="Plan for these requests/s too."),
    batch_limit: int | None = typer.Option(
        None, "--batch-limit", min=1, help="Largest batch, if the recording does not say."
    ),
    price: float | None = typer.Option(None, "--price", help="US dollars per replica and hour."),
    report: Path | None = typer.Option(None, "--report", help="Also a page with pictures (HTML)."),
    seed: int = typer.Option(0, "--seed", min=0, help="The same seed gives the same fit."),
    output: Output = OUTPUT,
) -> None:
    """Fit the twin; say what is known, how well, and where it holds. Exits 6 if nothing is."""
    files = _needs_twin()
    for name, value in (("--p99", p99), ("--demand", demand), ("--price", price)):
        if value is not None and not 0.0 < value < 1e9:  # noqa: PLR2004 - a number that can be
            tell(f"homeostat: {name} {value:g} cannot be; give a number above 0")
            raise typer.Exit(Exit.USAGE)
    asked = files.Asked(
        p99_s=p99, demand_rps=demand, batch_limit=batch_limit, usd_per_hour=price, seed=seed
    )
    plain = files.or_no_data(lambda: files.fit(sources, asked))
    files.write_json(out, plain)
    if report is not None:
        files.write_page(report, plain)
    if output is Output.TABLE:
        files.show_fit(plain)
    else:
        show({name: plain[name] for name in files.SHOWN}, output)
    tell(f"wrote {out}" + (f" and {report}" if report else ""))


@app.command("check")
def check(
    fitted: Path = typer.Argument(metavar="FIT", help="A file written by `twin fit`."),
    later: list[Path] = typer.Option(..., "--input", help="A later recording; may be repeated."),
    output: Output = OUTPUT,
) -> None:
    """Compare a fit with a later recording. Exits 3 if its intervals fail, 6 if it shows little."""
    files = _needs_twin()
    plain = files.or_no_data(lambda: files.check(fitted, later))
    if output is Output.TABLE:
        files.show_check(plain)
    else:
        show(plain, output)
    if plain["same_recording"]:
        tell("this is the recording that the twin was fitted to: it shows nothing; record later")
    if plain["missed"]:
        raise typer.Exit(Exit.UNHEALTHY)
    if not plain["good"]:
        for why in plain["lacks"]:
            tell(f"homeostat: it shows too little to trust the twin: {why}")
        raise typer.Exit(Exit.NO_DATA)


@app.command("live")
def live(
    faults: list[str] = typer.Argument(None, metavar="[FAULT]...", help="Which; all if none."),
    file: Path | None = typer.Option(
        None, "--scenarios", help="A scenario file of your own, in place of the shipped ones."
    ),
    seeds: int = typer.Option(20, "--seeds", min=1, max=256, help="Draws that the twin plays."),
    runs: int = typer.Option(1, "--runs", min=1, help="Live runs of each fault."),
    twin_only: bool = typer.Option(False, "--twin-only", help="Predict; start nothing."),
    control: bool = typer.Option(False, "--control", help="Controller off, on both sides."),
    folder: Path | None = typer.Option(None, "--dir", help="Keep logs and journals here."),
    out: Path | None = typer.Option(None, "--out", help="Keep the figures here, for `lab docs`."),
    as_json: bool = typer.Option(False, "--json", help="The same as --output json."),
    output: Output = OUTPUT,
) -> None:
    """Do the demo's faults for real and in the twin; exits 1 if an effect has another sign."""
    _needs("jax", "equinox", extra="twin")
    if not twin_only:
        _needs("aiohttp", "uvloop", extra="demo")
    from homeostat.cli import twin_live

    asked = twin_live.Asked(
        faults=tuple(faults or ()),
        file=file,
        seeds=seeds,
        runs=runs,
        twin_only=twin_only,
        control=control,
        folder=folder,
        out=out,
    )
    twin_live.main(asked, Output.JSON if as_json else output)


def _needs_twin() -> ModuleType:
    """Return `twin_files`, or say what must be installed first."""
    _needs("jax", "equinox", extra="twin")
    from homeostat.cli import twin_files

    return twin_files


def _needs(*modules: str, extra: str) -> None:
    for needed in modules:
        if find_spec(needed) is None:
            tell(f"homeostat: this needs {needed}; `pip install 'homeostat[{extra}]'` brings it")
            raise typer.Exit(Exit.USAGE)
