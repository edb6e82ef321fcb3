"""What `homeostat policy verify` does: proves, prints, draws, and says it in the exit code."""

import time
from pathlib import Path
from typing import Any

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import Output, clean, show, tell
from homeostat.proof.verify import Result
from homeostat.report.policy_words import plain_step, timeline
from homeostat.server.prover import findings, prove
from homeostat.server.proving import Subject, subjects


def verify(
    files: list[Path],
    interval_ns: int | None,
    timeout_s: float,
    report: Path | None,
    output: Output,
) -> None:
    """Prove every policy of some files.

    Args:
        files: Files or folders.
        interval_ns: Scrape interval of policies that no deployment uses.
        timeout_s: For one answer of the solver.
        report: Where a page with pictures is written, None for none.
        output: How to print.
    """
    found = []
    for subject in subjects(files, interval_ns):
        began = time.monotonic()
        results = list(prove(subject, max(1, round(timeout_s * 1000))))
        took = time.monotonic() - began
        for odd in findings(subject):
            tell(f"{subject.name}: {odd}")
        found.append((subject, results))
        if output is Output.TABLE:
            _print(subject, results, took)
    if output is not Output.TABLE:
        show(_plain(found), output)
    if report is not None:
        _write(report, found)
    verdicts = {result.verdict for _, results in found for result in results}
    if "refuted" in verdicts:
        raise typer.Exit(Exit.FAILED)
    if "unknown" in verdicts:
        raise typer.Exit(Exit.NO_DATA)


def _plain(found: list[tuple[Subject, list[Result]]]) -> dict[str, Any]:
    return {
        "properties": [
            {
                "policy": subject.name,
                "name": result.name,
                "promise": result.promise,
                "verdict": result.verdict,
                "counterexample": [plain_step(step) for step in result.counterexample] or None,
                "replayed": result.replayed,
                "why": result.why or None,
            }
            for subject, results in found
            for result in results
        ]
    }


def _print(subject: Subject, results: list[Result], took_s: float) -> None:
    show(
        [
            {
                "policy": subject.name,
                "property": one.name,
                "verdict": one.verdict,
                "promise": one.promise if one.verdict != "unknown" else f"{one.promise} {one.why}",
            }
            for one in results
        ],
        Output.TABLE,
    )
    for one in results:
        if one.counterexample:
            typer.echo(f"\n{clean(one.name)}: refuted, and confirmed by the real guards")
            for line in timeline(one.counterexample):
                typer.echo(f"  {clean(line)}")
            if one.outage:
                typer.echo(f"  The outage it allows: {one.outage}")
    counts = {word: sum(one.verdict == word for one in results) for word in _WORDS}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    tell(f"{subject.name}: {said}, in {took_s:.1f} s")


_WORDS = ("proved", "refuted", "unknown")


def _write(report: Path, found: list[tuple[Subject, list[Result]]]) -> None:
    from homeostat import __version__
    from homeostat.report.policy_page import page

    report.parent.mkdir(parents=True, exist_ok=True)
    sections = [(subject.name, results) for subject, results in found]
    report.write_text(page(sections, __version__), encoding="utf-8")
    tell(f"the page is in {report}")
