"""`homeostat detect`: recorded or streamed values in, anomalies out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import Output, show, tell

if TYPE_CHECKING:
    from homeostat.cli.detect_layout import Wanted
    from homeostat.cli.detect_train import Learning

_STREAM: Final = Path("-")
_FORMS: Final = ("table", "json", "yaml")  # what --output takes where a command reads
_NAMED: Final = 3  # files without rows
_EXACT: Final = "--method shesd-exact only: "


def detect(
    source: Path = typer.Option(..., "--input", "-i", help="File or folder; - reads rows."),
    output: Path = typer.Option(..., "--output", "-o", help="File or folder for what is said."),
    json_file: Path | None = typer.Option(None, "--json", help="Write a summary; - prints it."),
    columns: str | None = typer.Option(
        None, "--columns", help="Columns to judge, separated by commas; else all of numbers."
    ),
    time: str | None = typer.Option(
        None, "--time", help="The column of times; '' numbers the rows."
    ),
    counters: str = typer.Option(
        "auto", "--counters", help="Columns that count up: names, none, or auto (by their names)."
    ),
    false_incidents: float | None = typer.Option(
        None,
        "--false-incidents",
        help="At most so many per 1,000 signals and day: rows that come more often need more "
        "evidence. Without it all need the same, so fast rows alarm more often a day.",
    ),
    method: str = typer.Option(
        "stack",
        "--method",
        help="What to judge by, one or several with commas: changepoint, conformal, ewma, pca, "
        "recurring, seasonal, shesd, spot, stack, vae, or an installed one. Alone, and not causal: "
        "shesd-exact, as published, which looks at all of a file first.",
    ),
    model: Path | None = typer.Option(
        None,
        "--model",
        help="The model that a method judges by, for example vae; with --train, the one to follow.",
    ),
    deployment: str | None = typer.Option(
        None, "--deployment", help="Whose ticks, where --input is a controller's journal (.db)."
    ),
    train: bool = typer.Option(
        False, "--train", help="Learn a model of --input, believed normal; --output is its file."
    ),
    share_of_ticks: float | None = typer.Option(
        None,
        "--share-of-ticks",
        help="Tell of incidents in at most this share of ticks, true or false, whatever happens: "
        "the level steers itself.",
    ),
    false_share: float | None = typer.Option(
        None,
        "--false-share",
        help="Judge a folder as one fleet: of its alarms at most this share is false.",
    ),
    state: Path | None = typer.Option(
        None, "--state", help="Go on from here with added rows; leave the state here."
    ),
    plot: bool = typer.Option(False, "--plot", help="Draw a page (HTML) beside each output."),
    fresh: bool = typer.Option(False, "--fresh", help="Judge a folder's files again, done or not."),
    period: int | None = typer.Option(
        None, "--period", help=_EXACT + "rows of the season; else it is found."
    ),
    longterm: int | None = typer.Option(
        None, "--longterm", help=_EXACT + "rows of pieces to judge apart."
    ),
    max_anomalies: float | None = typer.Option(
        None, "--max-anomalies", help=_EXACT + "at most this share; else 0.1."
    ),
    alpha: float | None = typer.Option(
        None, "--alpha", help=_EXACT + "level of the test; else 0.05."
    ),
    direction: str | None = typer.Option(
        None, "--direction", help=_EXACT + "both, pos or neg; else both."
    ),
    threshold: str | None = typer.Option(
        None, "--threshold", help=_EXACT + "large ones alone: med_max, p95, p99."
    ),
    only_last: bool = typer.Option(False, "--only-last", help=_EXACT + "of the last season alone."),
) -> None:
    """Find anomalies in recorded values (CSV, NPZ, Parquet); a row out for each row in.

    Exits 6 if nothing could be judged, 1 if a file of a folder could not be read.
    """
    from homeostat.cli import detect_asked, detect_exact
    from homeostat.cli.detect_layout import EmptyError, Wanted

    _refuse_budget(false_incidents)
    _refuse_share(false_share, budget=false_incidents, stream=source == _STREAM, plot=plot)
    whole = detect_exact.asked(
        _names(method),
        detect_exact.Given(
            period=period,
            longterm=longterm,
            max_anomalies=max_anomalies,
            alpha=alpha,
            direction=direction,
            threshold=threshold,
            only_last=only_last,
        ),
        {
            "--input -": source == _STREAM,
            "--state": state is not None,
            "--model": model is not None,
            "--train": train,
            "--false-incidents": false_incidents is not None,
            "--false-share": false_share is not None,
            "--share-of-ticks": share_of_ticks is not None,
        },
    )
    wanted = detect_asked.by(
        Wanted(
            time=time,
            columns=_names(columns),
            counters=_names(counters),
            false_incidents=false_incidents,
            share_of_ticks=share_of_ticks,
            deployment=deployment,
            whole=whole,
        ),
        detect_asked.How(
            methods=_names(method), model=model, train=train, false_share=false_share is not None
        ),
    )
    stopped = False
    try:
        if train:
            others = {"--state": state is not None, "--plot": plot, "--fresh": fresh}
            _trained(detect_asked.learning(source, output, wanted, others), json_file)
            return
        if source == _STREAM:
            _refuse_plot(plot=plot)
            summary, stopped = _stream(output, wanted, state, json_file)
        else:
            _no_standard_output(source, output)
            summary = (
                _files(source, output, wanted, state, fresh=fresh, plot=plot)
                if false_share is None
                else _fleet(source, output, wanted, state, false_share)
            )
    except EmptyError as error:
        tell(f"homeostat: {error}")
        raise typer.Exit(Exit.NO_DATA) from None
    except KeyboardInterrupt:
        tell("stopped; the same command takes it up again")
        raise typer.Exit(130) from None
    _report(summary, json_file, quiet=source == _STREAM)
    if source != _STREAM and any(one["rows"] for one in summary["files"]):
        tell(_where(summary, plot=plot))
    if stopped:
        raise typer.Exit(130)
    _end(summary)


def _files(
    source: Path, output: Path, wanted: "Wanted", state: Path | None, *, fresh: bool, plot: bool
) -> dict[str, Any]:
    from homeostat.cli import detect_run

    return detect_run.detect(
        detect_run.Asked(
            source=source, output=output, wanted=wanted, state=state, fresh=fresh, plot=plot
        )
    )


def _fleet(
    source: Path, output: Path, wanted: "Wanted", state: Path | None, share: float
) -> dict[str, Any]:
    from homeostat.cli import detect_fleet, detect_run

    asked = detect_run.Asked(source=source, output=output, wanted=wanted, state=state)
    return detect_fleet.detect(asked, share)


def _stream(
    output: Path, wanted: "Wanted", state: Path | None, json_file: Path | None
) -> tuple[dict[str, Any], bool]:
    from homeostat import __version__
    from homeostat.cli import detect_stream
    from homeostat.cli.detect_run import FORMAT

    if output == _STREAM and json_file == _STREAM:
        tell("homeostat: rows and the summary cannot both go to standard output; name a file")
        raise typer.Exit(Exit.USAGE)
    one, stopped = detect_stream.detect(output, wanted, state)
    facts = {"format": FORMAT, "version": __version__, "input": "-", "output": str(output)}
    facts |= {"methods": list(wanted.methods)}
    return facts | {"files": [one | {"output": str(output)}], "failed": []}, stopped


def _trained(asked: "Learning", json_file: Path | None) -> None:
    from homeostat.cli import detect_train

    summary = detect_train.train(asked)
    _written(summary, json_file)
    if json_file != _STREAM:
        shown = ("output", "columns", "ticks", "flagged", "rounds", "elbo_held_out")
        show([{name: summary[name] for name in shown}], Output.TABLE)
    if not summary["taken"]:
        for line in summary["compared"]["against"]:
            tell(f"homeostat: not written: {line}")
        tell(f"homeostat: {asked.before.path if asked.before else '--model'} stays as it is")
        raise typer.Exit(Exit.REFUSED)


def _refuse_budget(false_incidents: float | None) -> None:
    from homeostat.stats.fdr_budget import MOST

    if false_incidents is not None and not 0.0 < false_incidents <= MOST:
        tell(
            f"homeostat: --false-incidents {false_incidents:g}: must be above 0 and at most "
            f"{MOST:g} per 1,000 signals and day; 1 is one in three years of one signal"
        )
        raise typer.Exit(Exit.USAGE)


def _refuse_share(share: float | None, *, budget: float | None, stream: bool, plot: bool) -> None:
    if share is None:
        return
    from homeostat.cli import detect_fleet

    why = detect_fleet.refuse(share, budget=budget is not None, stream=stream, plot=plot)
    if why is not None:
        tell(f"homeostat: {why}")
        raise typer.Exit(Exit.USAGE)


def _refuse_plot(*, plot: bool) -> None:
    if plot:
        tell("homeostat: --plot draws recordings; a stream has no end to draw it at")
        raise typer.Exit(Exit.USAGE)


def _no_standard_output(source: Path, output: Path) -> None:
    if output == _STREAM:
        tell(f"homeostat: --output - goes with --input - alone; name a file or folder for {source}")
        raise typer.Exit(Exit.USAGE)


def _report(summary: dict[str, Any], json_file: Path | None, *, quiet: bool) -> None:
    _written(summary, json_file)
    if not quiet and json_file != _STREAM:
        show(_rows(summary), Output.TABLE)


def _written(summary: dict[str, Any], json_file: Path | None) -> None:
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
    if json_file == _STREAM:
        typer.echo(text)
    elif json_file is not None:
        from homeostat.cli.detect_write import write_text

        write_text(json_file, text + "\n")


def _end(summary: dict[str, Any]) -> None:
    """End with the code that the summary means."""
    if summary["failed"]:
        tell(f"homeostat: {len(summary['failed'])} files could not be read")
        raise typer.Exit(Exit.FAILED)
    if summary["files"] and not any(one["rows"] for one in summary["files"]):
        inputs = [one["input"] for one in summary["files"]]
        names = "standard input" if inputs == ["-"] else ", ".join(inputs[:_NAMED])
        more = len(inputs) - _NAMED
        tell(f"homeostat: no rows to judge in {names}" + f" and {more:,} more" * (more > 0))
        raise typer.Exit(Exit.NO_DATA)
    if not any(one["judged"] for one in summary["files"]):
        tell("homeostat: nothing could be judged: too few rows, or no known values")
        raise typer.Exit(Exit.NO_DATA)


def _rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "input": one["input"],
            "rows": one["rows"],
            "judged": one["judged"],
            "incidents": len(one["incidents"]),
            "began": _began(one["incidents"]),
            "notes": one["quality"]["notes"],
        }
        for one in summary["files"]
    ]


def _began(incidents: list[dict[str, Any]]) -> str:
    """Return when the first incident began, and the largest one where that is another."""
    if not incidents:
        return ""
    first = incidents[0]["start"]
    most = max(incidents, key=lambda one: one["neg_log10_p"])["start"]
    return first if most == first else f"{first}, largest {most}"


def _where(summary: dict[str, Any], *, plot: bool) -> str:
    """Return where the answers are, and the pages beside them."""
    from homeostat.cli.detect_write import page_of

    if len(summary["files"]) > 1:
        return f"answers: under {summary['output']}" + ", each with its page (.html)" * plot
    output = Path(summary["files"][0]["output"])
    said = f"answers: {output}" + f"; page: {page_of(output)}" * plot
    if output.name.lower() in _FORMS:
        said += f"; it is CSV, in a file called {output.name}: a summary as JSON is --json FILE"
    return said


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
