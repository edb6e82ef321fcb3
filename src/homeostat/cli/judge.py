"""`homeostat judge`: is this canary worse, is it proven not to be, and how long will it take?"""

from pathlib import Path
from typing import Final

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output

SOURCE = typer.Option(
    None,
    "--input",
    "-i",
    help="CSV of counters: t,canary_total,canary_bad,stable_total,stable_bad.",
)
_MINUTES: Final = 240.0
FAR = typer.Option(None, "--prometheus", help="Address of a Prometheus to read counters from.")
QUERIES = typer.Option(
    None,
    "--query",
    "-q",
    help="NAME=SELECTOR: canary_total, canary_bad or canary_good, the same of stable; "
    "canary_latency and stable_latency for histograms.",
)
TOKEN = typer.Option(None, help="File with the bearer token of the Prometheus.")


def judge(
    source: Path | None = SOURCE,
    prometheus: str | None = FAR,
    query: list[str] | None = QUERIES,
    minutes: float = typer.Option(60.0, help="Prometheus: how long the canary has been running."),
    prometheus_token_file: Path | None = TOKEN,
    alpha: float = typer.Option(0.05, help="Chance of a wrong verdict, over the whole canary."),
    margin: float = typer.Option(1.2, help="A ratio of bad responses up to this is no harm."),
    slow_margin: float = typer.Option(1.1, help="The same, above a bound of a histogram."),
    below: float = typer.Option(2.0, help="What a certificate says of the ratio; 0 for none."),
    bucket: float = typer.Option(60.0, help="Seconds of one bet; longer than bursts of errors."),
    missing: int = typer.Option(5, help="More buckets without the canary are no evidence."),
    deadline: float = typer.Option(_MINUTES, help="Minutes until a certificate must be there."),
    pods: int | None = typer.Option(None, help="Pods of the canary."),
    calibration: Path | None = typer.Option(
        None, help="CSV of earlier stable pods: window,pod,total,bad; widens the margin."
    ),
    plot: Path | None = typer.Option(None, help="Draw the evidence (SVG)."),
    certified: bool = typer.Option(False, "--certified", help="Exit 6 while it is not certified."),
    plan: bool = typer.Option(
        False, "--plan", help="Say how long it will take, and judge nothing."
    ),
    requests: float | None = typer.Option(None, help="Plan: requests a minute, both arms."),
    bad: float | None = typer.Option(None, help="Plan: share of bad responses, 0.005."),
    share: str | None = typer.Option(None, help="Plan: the canary's share, or a ramp: 1,5,10 (%)."),
    ratio: float = typer.Option(2.0, help="Plan: times the errors that are to be found."),
    burst: float = typer.Option(1.0, help="Plan: bad responses that come together."),
    seed: int = typer.Option(1, help="Plan: seed of its made-up canaries."),
    output: Output = OUTPUT,
) -> None:
    """Judge a canary from both arms' counters (a file's, or a Prometheus's), or plan one.

    Exits 0 if it is certified or undecided (hold), 3 for harm, 5 if its time is up without a
    certificate, 6 if the canary is not seen or there is nothing to judge, 2 if the file, or the
    Prometheus, cannot be read. With --certified, undecided is 6 as well.
    """
    from homeostat.cli import judge_plan, judge_prometheus, judge_run

    asked = judge_run.Asked(
        alpha=alpha,
        margin=margin,
        slow_margin=slow_margin,
        below=below or None,
        bucket_s=bucket,
        missing=missing,
        deadline_s=60.0 * deadline,
        pods=pods,
        calibration=calibration,
        only_certified=certified,
    )
    if plan:
        wanted = judge_plan.Wanted(
            requests=requests, bad=bad, share=share, ratio=ratio, burst=burst, seed=seed
        )
        judge_plan.plan(source, wanted, asked, output)
        return
    far = judge_prometheus.asked(prometheus, query or [], minutes, prometheus_token_file)
    code = judge_run.judge(source, asked, plot, output, far)
    if code is not Exit.OK:
        raise typer.Exit(code)
