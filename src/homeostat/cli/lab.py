"""`homeostat lab`: simulated episodes, judged: a catalogue, one episode, or a comparison."""

from pathlib import Path
from typing import Final

import typer

from homeostat.cli import (
    lab_choose,
    lab_compose,
    lab_evaluate,
    lab_learn,
    lab_oracle,
    lab_together,
)
from homeostat.cli.exits import Exit
from homeostat.cli.lab_needs import listed, needs_twin
from homeostat.cli.output import OUTPUT, Output, clean, show, tell

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command("compose")(lab_compose.compose)
app.command("choose")(lab_choose.choose)
app.command("oracle")(lab_oracle.oracle)
app.command("evaluate")(lab_evaluate.evaluate)
app.command("learn")(lab_learn.learn)
app.command("together")(lab_together.together)

_SCENARIOS: Final = typer.Option(
    None, "--scenarios", help="A scenario file instead of the catalogue; may be repeated."
)
_TRACES: Final = typer.Option(
    None, "--trace", help="NAME=FILE: a recorded load that scenarios replay; may be repeated."
)
_FIGURES: Final = typer.Argument(None, help="What `lab run` and the like wrote, results.json.")
_OUT: Final = typer.Option(Path("lab"), "--out", help="Folder for what is written.")
_COLUMNS: Final = ("id", "name", "family", "length", "end", "best")


@app.callback()
def root() -> None:
    """Play simulated episodes and judge them."""


@app.command("list")
def list_scenarios(
    scenarios: list[Path] | None = _SCENARIOS,
    policies: bool = typer.Option(False, "--policies", help="List the policies instead."),
    output: Output = OUTPUT,
) -> None:
    """List the scenarios: what happens, how long an episode is, and what is right to do."""
    files = needs_twin()
    if policies:
        show(files.policy_rows(), output, ("policy", "does"))
        return
    rows = files.scenario_rows(files.catalogue(scenarios or ()))
    if output is Output.TABLE:
        rows = [row | {"best": row["best"][:1]} for row in rows]
    show(rows, output, _COLUMNS)


@app.command("episode")
def episode(
    scenario: str = typer.Argument(help="A scenario's id, for example S07."),
    policy: str = typer.Option(..., "--policy", help="Who decides; see `lab list --policies`."),
    seed: int = typer.Option(
        0, "--seed", min=0, max=2**31 - 1, help="The same seed gives the same episode."
    ),
    scenarios: list[Path] | None = _SCENARIOS,
    trace: list[str] | None = _TRACES,
    out: Path = _OUT,
    output: Output = OUTPUT,
) -> None:
    """Play one episode; write its trace (CSV) and its picture (SVG), and say how it went."""
    files = needs_twin()
    from homeostat.cli.lab_run import play_one

    catalogue = files.catalogue(scenarios or ()).with_traces(trace or ())
    files.known("scenario", scenario, [one.id for one in catalogue.scenarios])
    files.known("policy", policy, files.policies())
    catalogue.playable([scenario])
    tell(
        f"playing {scenario} under {policy}; the first one of a size is compiled, which takes time"
    )
    summary = play_one(catalogue, scenario, policy, seed, out)
    show(summary, output) if output is not Output.TABLE else _fields(summary)


@app.command("run")
def run(
    scenarios: list[Path] | None = _SCENARIOS,
    trace: list[str] | None = _TRACES,
    policies: str = typer.Option(
        "baselines",
        "--policies",
        help="Names, separated by commas; baselines and all stand for several.",
    ),
    seeds: int = typer.Option(100, "--seeds", min=1, help="Episodes of each scenario."),
    first_seed: int = typer.Option(0, "--first-seed", min=0, help="Seeds count up from here."),
    only: str | None = typer.Option(None, "--only", help="Scenario ids, separated by commas."),
    out: Path = _OUT,
    jobs: int | None = typer.Option(None, "--jobs", min=1, help="Workers; else one for each core."),
    films: int = typer.Option(2, "--films", min=0, help="Worst episodes drawn for each policy."),
    sensitivity: bool = typer.Option(
        False, "--sensitivity", help="Judge by halved and doubled thresholds too; takes longer."
    ),
    person_scale: float = typer.Option(
        1.0, "--person-scale", help="Times the delays of the model of a person, 0.1 to 10."
    ),
    output: Output = OUTPUT,
) -> None:
    """Compare policies over scenarios and seeds; write results.json and report.html.

    What is done is kept: the same command takes up a run that was broken off.
    """
    files = needs_twin()
    from homeostat.cli.lab_run import Plan, Run

    catalogue = files.catalogue(scenarios or ()).with_traces(trace or ()).only(listed(only))
    catalogue.playable()
    names = files.members(listed(policies))
    if not names:
        tell("homeostat: --policies names none; see `homeostat lab list --policies`")
        raise typer.Exit(Exit.USAGE)
    _within("--person-scale", person_scale, 0.1, 10.0)
    plan = Plan(
        catalogue=catalogue,
        policies=names,
        seeds=files.seeds(first_seed, seeds),
        out=out,
        jobs=jobs or files.cores(),
        films=films,
        sensitivity=sensitivity,
        person_scale=person_scale,
    )
    try:
        outcome = Run(plan).go()
    except KeyboardInterrupt:
        tell(f"stopped; what was done is in {out / 'shards'}: the same command takes it up again")
        raise typer.Exit(130) from None
    if output is Output.TABLE:
        show(outcome.rows(), output)
    else:
        show(outcome.plain(), output)
    tell(f"wrote {outcome.json_file} and {outcome.html_file}")
    if outcome.failed:
        tell(f"homeostat: without {', '.join(outcome.failed)}, which failed; see above")
        raise typer.Exit(Exit.FAILED)


@app.command("cycles")
def cycles(
    scenarios: list[Path] | None = _SCENARIOS,
    policies: str = typer.Option("threshold", "--policies", help="Names, separated by commas."),
    count: int = typer.Option(1000, "--cycles", min=1, help="Hours in each line of the table."),
    search: int = typer.Option(
        2000, "--search-cycles", min=1, help="Other hours, on which the density is searched."
    ),
    every: str = typer.Option(
        "72,12,2", "--every", help="Hours between incidents, for the lines beside the one found."
    ),
    out: Path = _OUT,
    jobs: int | None = typer.Option(None, "--jobs", min=1, help="Workers; else one for each core."),
    output: Output = OUTPUT,
) -> None:
    """Uptime, latency, errors and recovery over cycles of one hour, as the HASH paper's table.

    First the fault density is searched at which threshold alerts have the paper's 78 % uptime;
    then the table is played there and at other densities. What is done is kept.
    """
    files = needs_twin()
    from homeostat.cli.lab_cycles import Plan, Run
    from homeostat.report.lab_cycles import shown

    names = listed(policies)
    for name in names:
        files.known("policy", name, [one for one in files.policies() if one != "oracle"])
    plan = Plan(
        catalogue=files.catalogue(scenarios or ()),
        policies=names,
        cycles=count,
        search_cycles=search,
        every_h=_hours(every),
        out=out,
        jobs=jobs or files.cores(),
    )
    try:
        found = Run(plan).go()
    except KeyboardInterrupt:
        tell(f"stopped; what was done is in {out / 'cycles'}: the same command takes it up again")
        raise typer.Exit(130) from None
    show(shown(found, plain=output is not Output.TABLE), output)
    tell(f"wrote {out / 'cycles.json'}")
    if found.met is False:
        tell("homeostat: on the hours measured the baseline missed its uptime; search on more")
        raise typer.Exit(Exit.FAILED)


@app.command("feedback")
def feedback(
    count: int = typer.Option(500, "--cycles", min=10, help="Hours with feedback."),
    unseen: int = typer.Option(200, "--unseen", min=1, help="Other hours, which are measured."),
    per_hour: float = typer.Option(
        1.38, "--per-hour", help="Incidents an hour, 0 to 4; see `lab cycles`."
    ),
    recorded: bool = typer.Option(
        False, "--recorded", help="Use what OUT holds, whichever version recorded it."
    ),
    out: Path = _OUT,
    jobs: int | None = typer.Option(None, "--jobs", min=1, help="Workers; else one for each core."),
    output: Output = OUTPUT,
) -> None:
    """What feedback on alarms is worth: learn on hours, measure on others that were never seen.

    Prints event F1 and false alarms of the shipped detector and of the one that learnt; exits 1 if
    the gate is missed. What is done is kept.
    """
    files = needs_twin()
    _within("--per-hour", per_hour, 0.0, 4.0)
    from homeostat.cli.lab_feedback import Plan, Run
    from homeostat.report.lab_feedback import shown, verdict

    plan = Plan(
        cycles=count,
        unseen=unseen,
        per_hour=per_hour,
        out=out,
        jobs=jobs or files.cores(),
        recorded=recorded,
    )
    try:
        found = Run(plan).go()
    except KeyboardInterrupt:
        tell(f"stopped; what was done is in {out / 'feedback'}: the same command takes it up again")
        raise typer.Exit(130) from None
    show(shown(found, plain=output is not Output.TABLE), output)
    tell(f"{verdict(found)} Wrote {out / 'feedback.json'}")
    if not found.passes:
        raise typer.Exit(Exit.FAILED)


@app.command("safe-set")
def safe_set(
    seeds: int = typer.Option(20, "--seeds", min=1, help="Replays of each action."),
    only: str | None = typer.Option(None, "--only", help="Scenario ids, separated by commas."),
    out: Path = _OUT,
    jobs: int | None = typer.Option(None, "--jobs", min=1, help="Workers; else one for each core."),
    output: Output = OUTPUT,
) -> None:
    """Take every tempting action of the catalogue, and ask for every right one: the guards' test.

    Prints the catastrophic actions that the guards would have let through, and the right ones that
    they refuse; exits 1 if the gate is not passed. What is done is kept.
    """
    files = needs_twin()
    from homeostat.cli.lab_safe_set import Plan, Run
    from homeostat.report.lab_safe_set import shown, verdict

    catalogue = files.catalogue(()).only(listed(only))
    try:
        found = Run(
            Plan(catalogue=catalogue, seeds=seeds, out=out, jobs=jobs or files.cores())
        ).go()
    except KeyboardInterrupt:
        tell(f"stopped; what was done is in {out / 'safe-set'}: the same command takes it up again")
        raise typer.Exit(130) from None
    show(shown(found, plain=output is not Output.TABLE), output)
    tell(f"{verdict(found)} Wrote {out / 'safe-set.json'}")
    if not found.passes:
        raise typer.Exit(Exit.FAILED)


@app.command("tune")
def tune(
    budget: int = typer.Option(40, "--budget", min=1, help="Settings tried of each autoscaler."),
    seeds: int = typer.Option(3, "--seeds", min=1, help="Episodes of each scenario to try on."),
    only: str | None = typer.Option(None, "--only", help="Scenario ids, separated by commas."),
    out: Path = _OUT,
    jobs: int | None = typer.Option(None, "--jobs", min=1, help="Workers; else one for each core."),
    output: Output = OUTPUT,
) -> None:
    """Search the best settings of the autoscalers, on seeds that no evaluation uses.

    Each gets the same number of tries on the same episodes; the stock setting is the first. What
    is done is kept.
    """
    files = needs_twin()
    from homeostat.cli.lab_tune import Plan, Run
    from homeostat.report.lab_tuning import shown

    plan = Plan(
        catalogue=files.catalogue(()).only(listed(only)),
        budget=budget,
        seeds=seeds,
        out=out,
        jobs=jobs or files.cores(),
    )
    try:
        found = Run(plan).go()
    except KeyboardInterrupt:
        tell(f"stopped; what was done is in {out / 'tuning'}: the same command takes it up again")
        raise typer.Exit(130) from None
    show(shown(found, plain=output is not Output.TABLE), output)
    tell(f"wrote {out / 'tuning.json'}")


@app.command("docs")
def docs(
    files: list[Path] | None = _FIGURES,
    page: Path = typer.Option(Path("docs/reference/lab-figures.md"), "--page", help="Which page."),
    check: bool = typer.Option(False, "--check", help="Write nothing; exit 1 if it differs."),
) -> None:
    """Write measured figures into the documentation, from what runs left.

    A small summary of each file is kept beside the page; the page says what the summaries hold.
    --check also says which are older than the code they rest on; that alone is no failure.
    """
    from homeostat.cli import lab_docs

    if check:
        if files:
            tell("homeostat: --check compares a page with the figures kept beside it; name no file")
            raise typer.Exit(Exit.USAGE)
        if found := lab_docs.difference(page):
            typer.echo(found)
            tell(f"{page} does not say what was measured; `homeostat lab docs` writes it")
            raise typer.Exit(Exit.FAILED)
        for one in lab_docs.ages(page):
            typer.echo(clean(one.said()))
        return
    new = lab_docs.kept(files or (), page)
    new[page] = lab_docs.wanted(page, new)
    write = needs_twin().write
    for file, text in new.items():
        write(file, text)
    tell(f"wrote {', '.join(map(str, new))}")


@app.command("outages")
def outages(
    page: Path | None = typer.Option(None, "--page", help="Write the table into this page."),
    output: Output = OUTPUT,
) -> None:
    """Run other people's outages against a rule of the kind that failed there, and against us.

    Exit 1 if Homeostat does the harm where it is said to do better.
    """
    from homeostat.cli import lab_outages

    rows = lab_outages.played()
    show(lab_outages.plain(rows), output, ("outage", "naive", "homeostat"))
    if page is not None:
        try:
            text = lab_outages.renewed(page, rows)
        except ValueError as error:
            tell(f"homeostat: {page}: {error}")
            raise typer.Exit(Exit.USAGE) from None
        page.write_text(text, encoding="utf-8")
        tell(f"wrote {page}")
    if any(row.ours.harm and not row.outage.no_better for row in rows):
        raise typer.Exit(Exit.FAILED)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of results.json."""
    import json

    from homeostat.report.lab_schema import schema

    typer.echo(json.dumps(schema(), indent=2))


def _hours(text: str) -> tuple[float, ...]:
    """Return the positive numbers of a list with commas, or end with what is wrong."""
    try:
        found = tuple(float(word) for word in listed(text))
    except ValueError:
        found = ()
    if not found or not all(0.0 < hours < float("inf") for hours in found):
        tell(f"homeostat: --every {text!r}: write hours between incidents, for example 72,12,2")
        raise typer.Exit(Exit.USAGE)
    return found


def _within(option: str, value: float, low: float, high: float) -> None:
    """End with what is wrong unless a number lies between two others; NaN never does."""
    if not low <= value <= high:
        tell(f"homeostat: {option} {value:g} cannot be; give {low:g} to {high:g}")
        raise typer.Exit(Exit.USAGE)


def _fields(summary: dict[str, object]) -> None:
    from homeostat.cli.output import cell, show_fields

    show_fields({name.replace("_", " "): cell(value) for name, value in summary.items()})
