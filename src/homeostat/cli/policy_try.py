"""What `homeostat policy test` does: asks a policy about what was done, and says the difference."""

from dataclasses import asdict
from pathlib import Path

import typer

from homeostat.base.errors import ConfigError
from homeostat.cli.exits import Exit
from homeostat.cli.output import Output, show, tell
from homeostat.server.proving import subjects
from homeostat.server.trying import tried

_SAME = {"ran": ("run",), "asked": ("run", "ask")}


def recorded(file: Path, journals: list[Path], deployment: str | None, output: Output) -> None:
    """Hold a policy to recorded journals.

    Args:
        file: The policy.
        journals: The journals.
        deployment: One deployment, None for all.
        output: How to print.
    """
    found = subjects([file])
    if len(found) != 1:
        raise ConfigError(f"{file} holds {len(found)} policies; name a file with one")
    rails = found[0].rails
    rows = [one for path in journals for one in tried(path, rails, deployment)]
    if not rows:
        tell("homeostat: nothing was done in these journals, so nothing would have been blocked")
        raise typer.Exit(Exit.NO_DATA)
    tighter = [one for one in rows if one.would not in _SAME[one.was]]
    shown = rows if output is not Output.TABLE else tighter
    if shown:
        show([asdict(one) for one in shown], output)
    blocked = sum(one.would == "block" for one in rows)
    asked = sum(one.would == "ask" and one.was == "ran" for one in rows)
    tell(
        f"homeostat: of {len(rows)} recorded actions it would have blocked {blocked} and asked "
        f"about {asked} that ran; what would have come of it is not known"
    )
    if tighter:
        raise typer.Exit(Exit.FAILED)
