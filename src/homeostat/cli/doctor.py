"""`homeostat doctor`: whether what a file describes can work, and what to do where it cannot."""

from pathlib import Path

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, show, tell

_COLUMNS = ("status", "check", "about", "found", "fix")


def doctor(
    file: list[Path] = typer.Option(
        [Path("homeostat.yaml")], "--file", "-f", help="Configuration; may be repeated."
    ),
    output: Output = OUTPUT,
) -> None:
    """Check what a configuration rests on: servers, clocks, scrapes, buckets, owners, this machine.

    Reads only. Every check is ok, warn, fail or unknown, with what to do about it.
    Exits 1 if one fails, 6 if one is unknown and none fails.
    """
    import asyncio
    from dataclasses import asdict

    from homeostat.cli.doctor_ask import asked
    from homeostat.cli.doctor_check import Status, worst
    from homeostat.cli.doctor_here import machine
    from homeostat.server.config import load

    config = load(tuple(file))
    checks = [*machine(config), *asyncio.run(asked(config))]
    rows = [asdict(one) | {"status": one.status.value} for one in checks]
    show(rows, output, _COLUMNS)
    counts = {one: sum(check.status is one for check in checks) for one in Status}
    tell(", ".join(f"{count} {status.value}" for status, count in counts.items()))
    verdict = worst(checks)
    if verdict is Status.FAIL:
        raise typer.Exit(Exit.FAILED)
    if verdict is Status.UNKNOWN:
        raise typer.Exit(Exit.NO_DATA)
